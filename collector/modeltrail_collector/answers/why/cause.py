"""One candidate for what made a difference, with what speaks for it and against it."""

import json
import re
from typing import Any, Final

import msgspec

from modeltrail_collector.answers.database import Row
from modeltrail_collector.answers.why.between import Step
from modeltrail_collector.answers.why.data import Pair
from modeltrail_collector.answers.why.facts import Place, Story
from modeltrail_collector.answers.why.made import Made

STRENGTHS: Final = ("strong", "possible", "unlikely")
STRONG, POSSIBLE, UNLIKELY = range(3)
MUCH: Final = 5
"""So many columns, packages or files are named; the others are counted."""


class Cause(msgspec.Struct):
    """One candidate; `columns` are those that moved most, `weight` how far (within one strength).

    `doubtful`: it may not differ at all, and does not become likelier by being alone. `paths` are the
    sections and paths that table `changes` tells it by, `at_peak` whether it came where a figure moved most.
    `measures`: it may have moved a figure without the model.
    """

    kind: str
    subject: str
    what: str
    strength: int
    weight: float = 0.0
    evidence: list[Row] = []
    against: list[Row] = []
    columns: list[str] = []
    doubtful: bool = False
    paths: frozenset[tuple[str, str]] = frozenset()
    at_peak: bool = False
    measures: bool = False

    def for_(self, text: str, *places: Place | None) -> None:
        """Add what speaks for it, with where in the log that stands."""
        self.evidence = [*self.evidence, {"text": text, "sources": [place for place in places if place]}]

    def but(self, text: str, *places: Place | None) -> None:
        """Add what speaks against it."""
        self.against = [*self.against, {"text": text, "sources": [place for place in places if place]}]

    def told(self, rank: int) -> Row:
        """As JSON."""
        fields = ("kind", "subject", "what", "columns", "evidence", "against")
        return {"rank": rank, "strength": STRENGTHS[self.strength]} | {
            field: getattr(self, field) for field in fields
        }


class Found(msgspec.Struct, frozen=True):
    """All that was compared; `steps` are those over the versions in between, if there are any."""

    before: Story
    after: Story
    data: list[Pair]
    made: Made
    code: Row
    upstream: list[Row]
    figures: list[Row]
    steps: list[Step] = []


_BRIEF: Final = 60


def brief(value: Any) -> str:
    """A value in at most 60 characters."""
    text = str(value)
    text = text[:12] if re.fullmatch(r"[0-9a-f]{40,64}", text) else text
    return text if len(text) <= _BRIEF else text[: _BRIEF - 1] + "…"


def apart(before: str, after: str, most: int) -> tuple[str, str]:
    """Two texts of which only so much is shown: of long ones that begin alike what differs."""
    pairs = enumerate(zip(before, after, strict=False))
    start = next((place for place, (old, new) in pairs if old != new), min(len(before), len(after))) - 20
    if start <= 0 or max(len(before), len(after)) <= most:
        return before, after
    return f"…{before[start:]}", f"…{after[start:]}"


def both(before: str, after: str) -> str:
    """`before → after`, each in at most 60 characters."""
    return " → ".join(map(brief, apart(before, after, _BRIEF)))


def named(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    return ", ".join(names[:MUCH]) + (f" and {len(names) - MUCH} more" if len(names) > MUCH else "")


def shown(value: str | None, absent: str = "not there") -> str:
    """A value, or that it is absent."""
    return absent if value is None else brief(value)


def said_by_both(found: Found, *keys: str) -> list[Place | None]:
    """Where the two making runs say what stands in the first facet of these that they have."""
    return [
        next((said.place for key in keys if (said := story.find(key))), None)
        for story in (found.before, found.after)
    ]


def decoded(value: str | None) -> Any:
    """What a text is as JSON; itself where it is none."""
    try:
        return json.loads(value or "")
    except (ValueError, RecursionError):
        return value


def same_value(before: str | None, after: str | None) -> bool:
    """Whether two values differ by their type alone: 1, 1.0 and "1"; true and "true"."""
    if before is None or after is None:
        return False
    return bool(decoded(before) == decoded(after)) or before.strip('"') == after.strip('"')
