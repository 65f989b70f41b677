"""Where a corpus takes its names, columns, numbers and texts from."""

import random
import string
import uuid
from datetime import UTC, datetime, timedelta

LETTERS = string.ascii_letters + string.digits
SYLLABLES = [a + b for a in "bcdfglmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "el", "or")]
START = datetime(2026, 1, 1, tzinfo=UTC)


def _vocabulary() -> list[str]:
    """The 300 words a usual company's tables and columns are named with."""
    rng = random.Random(20260101)
    return ["".join(rng.choices(SYLLABLES, k=rng.randint(2, 3))) for _ in range(300)]


class Values:
    """A seeded source of values; `unique` spells every word anew instead of taking it from a vocabulary."""

    vocabulary = _vocabulary()

    def __init__(self, seed: str, *, unique: bool) -> None:
        self.rng = random.Random(seed)
        self.unique = unique

    def word(self) -> str:
        if self.unique:
            return "".join(self.rng.choices(LETTERS, k=self.rng.randint(5, 8)))
        return self.rng.choice(self.vocabulary)

    def name(self, words: int = 2, join: str = "_") -> str:
        return join.join(self.word() for _ in range(words))

    def names(self, count: int) -> list[str]:
        """Distinct column names."""
        return [f"{self.name()}_{index}" for index in range(count)]

    def text(self, words: int) -> str:
        return self.name(words, " ")

    def integer(self, low: int, high: int) -> int:
        return self.rng.randint(low, high)

    def real(self) -> float:
        return self.rng.random() if self.unique else round(self.rng.random(), 4)

    def pick(self, *choices):
        return self.rng.choice(choices)

    def column_type(self) -> str:
        if self.unique:
            return f"{self.pick('decimal', 'varchar', 'char')}({self.integer(1, 65535)})"
        return self.pick("int64", "double", "string", "timestamp", "boolean", "decimal(18,2)")

    def digest(self) -> str:
        return f"{self.rng.getrandbits(256):064x}"

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def time(self) -> str:
        moment = START + timedelta(microseconds=self.rng.randrange(300 * 86400 * 10**6))
        return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
