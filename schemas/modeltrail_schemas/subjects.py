"""Persons in data, as the facet `modelTrail_subjects` names them: pseudonyms that need a key, in an index.

Who writes an index and who looks a person up in it work them out here.

**Spelling.** One person is spelled in one way, whatever library or file held the value:

- Whole numbers, of any type, are their decimal digits: 7, 7.0, `Decimal("7.00")`, numpy's and Arrow's own.
- Text is stripped of white space around it and normalised (NFC). Text that is a whole number in plain digits,
  with a sign, leading zeros or a fraction of zeros (`"7"`, `"007"`, `"+7.0"`), is that number; other text
  stands as it is, upper and lower case apart.
- Bytes are the text that they hold in UTF-8, else their hexadecimal digits. Other values (fractions, dates,
  UUIDs, …) are what `str` says of them. True and False are not 1 and 0.
- None, NaN, NaT and empty text are nobody.

**Pseudonym**: the first 16 bytes of HMAC-SHA256 over `modeltrail subject 1`, a line feed and the spelling.

**Index**: the pseudonyms, each once, sorted, nothing else.
"""

import hashlib
import hmac
import re
import unicodedata
from decimal import Decimal
from numbers import Integral, Real
from pathlib import Path
from typing import Final

METHOD: Final = "hmac-sha256"
BYTES: Final = 16
MAX_SUBJECTS: Final = 1_000_000
"""An index holds no more, so that it can be read at once."""
MIN_KEY_BYTES: Final = 32
LARGEST: Final = 10**40
"""A number of this size that is no integer by its type is no id, and not written out."""
NEW_KEY: Final = "openssl rand -hex -out subjects.key 32"

_PREFIX: Final = b"modeltrail subject 1\n"
_KEY_NAME: Final = b"modeltrail subjects key"
_WHOLE: Final = re.compile(r"([+-]?)0*([0-9]+)(?:\.0*)?")


def read_key(path: Path) -> bytes:
    """The secret in a file, without white space around it.

    Raises:
        OSError: It cannot be read.
        ValueError: It is too short to be one.
    """
    key = path.read_bytes().strip()
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"{path} holds {len(key)} bytes, a key has at least {MIN_KEY_BYTES}: {NEW_KEY}")
    return key


def key_id(key: bytes) -> str:
    """What a key is called where it is not to be known."""
    return hmac.digest(key, _KEY_NAME, "sha256")[:8].hex()


def pseudonym(key: bytes, spelling: str) -> bytes:
    """What stands for a person in an index."""
    return hmac.digest(key, _PREFIX + spelling.encode("utf-8", "surrogatepass"), "sha256")[:BYTES]


def spelled(value: object) -> str | None:
    """A person by the value of an id column; None for nobody."""
    if type(value) is int:  # what most ids are
        return str(value)
    if isinstance(value, str):
        return _text(value)
    if value is None or _is_missing(value):
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        return _bytes(bytes(value))
    if isinstance(value, bool) or type(value).__name__ in {"bool", "bool_"}:
        return str(bool(value))
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Decimal | Real):
        return _number(value if isinstance(value, Decimal) else float(value))
    return _text(str(value))


def index(pseudonyms: set[bytes]) -> bytes:
    """The file of an index."""
    return b"".join(sorted(pseudonyms))


def is_index(data: bytes) -> bool:
    """Whether these bytes can be an index."""
    return len(data) % BYTES == 0 and len(data) <= MAX_SUBJECTS * BYTES


def holds(data: bytes, wanted: bytes) -> bool:
    """Whether an index holds a pseudonym."""
    low, high = 0, len(data) // BYTES
    while low < high:
        middle = (low + high) // 2
        if data[middle * BYTES : (middle + 1) * BYTES] < wanted:
            low = middle + 1
        else:
            high = middle
    return data[low * BYTES : (low + 1) * BYTES] == wanted


def sha256(data: bytes) -> str:
    """The digest that the facet names an index by."""
    return hashlib.sha256(data).hexdigest()


def _text(value: str) -> str | None:
    text = unicodedata.normalize("NFC", str(value)).strip()
    found = _WHOLE.fullmatch(text) if text.isascii() else None
    if found is None:
        return text or None
    return "-" + found[2] if found[1] == "-" and found[2] != "0" else found[2]


def _number(value: Decimal | float) -> str:
    """A fraction, or a whole number of a type that has fractions."""
    whole = -LARGEST < value < LARGEST and value == int(value)
    return str(int(value)) if whole else str(value)


def _bytes(value: bytes) -> str | None:
    try:
        return _text(value.decode())
    except UnicodeDecodeError:
        return value.hex()


def _is_missing(value: object) -> bool:
    """NaN, NaT and pandas.NA are what is not equal to itself, or refuses to say."""
    if isinstance(value, Decimal):
        return value.is_nan()
    try:
        return bool(value != value)  # noqa: PLR0124
    except (TypeError, ValueError):
        return type(value).__name__ == "NAType"
