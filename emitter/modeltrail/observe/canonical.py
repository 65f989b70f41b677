"""One number per row: the canonicalisation under which equal data has equal fingerprints.

The rules, named by `VERSION` in every fingerprint made with them:

* A table is a multiset of rows; a row is a set of named cells. So the order of rows and of columns, chunks
  and an index do not matter; the number of equal rows does. A second column of one name counts as another
  column.
* A cell is its value, not its type: `1`, `1.0`, `numpy.float32(1)` and `Decimal("1")` are equal, and so are a
  category and its text, a date and its midnight. Numbers are equal when they are equal as exact numbers.
  `True` is not `1`, text is not bytes, a time with a zone (an instant) is not one without.
* Missing is missing: NaN, None, NaT, null and pandas' NA are equal.
* A cell becomes 64 bits; a row 128 bits by two sums over its cells, mixed; a table 128 bits by the sum over
  its rows modulo 2**64 in both lanes; the digest is the SHA-256 of that, the number of rows and the column
  names.

The row hash is fast and not cryptographic: it tells different data apart, not a forger from an honest
writer. The SHA-256 of a file does that.
"""

import hashlib
import math
import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import msgspec

from modeltrail.observe import members
from modeltrail.observe.members import Members

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

VERSION: Final = "modeltrail-rows/1"
MASK: Final = (1 << 64) - 1
EXACT: Final = 1 << 53  # up to here every integer is a float64
MISSING: Final = 0x9AE16A3B2F90404F
TRUE: Final = 0xC3A5C85C97CB3127
FALSE: Final = 0xB492B66FBE98F273
LARGE: Final = 0xA0761D6478BD642F
TEXT: Final = 0xE7037ED1A0B428DB
BYTES: Final = 0x8EBC6AF09C88C6E3
NAIVE: Final = 0x589965CC75374CC3
INSTANT: Final = 0x1D8E4E27C47D124F
SPAN: Final = 0xEB44ACCAB455D165
M1: Final = 0xBF58476D1CE4E5B9
M2: Final = 0x94D049BB133111EB
NANOS: Final = 10**9
LONG_TEXT: Final = 64
MANY: Final = 16
"""Of a list of so many numbers all words at once are made faster than one by one."""
_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class Cells(msgspec.Struct, frozen=True, eq=False):
    """Some rows of one column, or of several columns of one type.

    Attributes:
        values: (rows,) or (rows, columns), of any numpy dtype.
        missing: True where the value is missing beside what the values say themselves; same shape, or None.
        aware: whether a datetime64 counts from the epoch in UTC.
        codes: for categories: (rows,) positions in `values`, -1 for missing.
        offsets: for lists of numbers: (rows + 1,) where each begins in `values`.
    """

    values: "Array"
    missing: "Array | None" = None
    aware: bool = False
    codes: "Array | None" = None
    offsets: "Array | None" = None


class RowHash:
    """Sums the hashes of rows; blocks can come in any order.

    Of `rows` rows in all those with the smallest hashes are known again.
    """

    def __init__(self, names: Sequence[str], rows: int) -> None:
        import numpy as np

        self._bound = members.bound(rows)
        self._smallest = [np.zeros(0, np.uint64)]
        self._names = _distinct(names)
        self._keys = np.array([_key(name) for name in self._names], np.uint64).reshape(-1, 2)
        self._lanes = [0, 0]
        self._categories: dict[int, tuple[Any, Any]] = {}
        self.rows = 0

    def add(self, rows: int, columns: Iterable[tuple[int, Cells]]) -> None:
        """Add `rows` rows: (position of the first column, cells) pairs that cover every column once."""
        import numpy as np

        first, second = np.zeros(rows, np.uint64), np.zeros(rows, np.uint64)
        for position, cells in columns:
            found = self._words(cells)
            width = 1 if found.ndim == 1 else found.shape[1]
            one, two = _lanes(self._keys[position : position + width], found.reshape(rows, width))
            # Rows of some tens of cells `einsum` sums three times as fast as `sum`.
            first += np.einsum("rc->r", one) if width > 1 else one[:, 0]
            second += np.einsum("rc->r", two) if width > 1 else two[:, 0]
        self._add_rows(first, second)

    def add_sparse(self, indptr: "Array", indices: "Array", values: "Array") -> None:
        """Add the rows of a matrix in compressed sparse row form; a cell that is not there is zero."""
        import numpy as np

        zero = _lanes(self._keys, np.zeros(len(self._keys), np.uint64))
        present = _lanes(self._keys[indices], words(Cells(values)))
        sums = []
        for empty, lane in zip(zero, present, strict=True):
            until = np.concatenate(
                [np.zeros(1, np.uint64), np.cumsum(lane - empty[indices], dtype=np.uint64)]
            )
            sums.append(until[indptr[1:]] - until[indptr[:-1]] + empty.sum(dtype=np.uint64))
        self._add_rows(*sums)

    def _add_rows(self, first: "Array", second: "Array") -> None:
        import numpy as np

        # A factor of each cell is one of their sum, modulo 2**64 too.
        first *= np.uint64(M2)
        second *= np.uint64(M2)
        second ^= first >> np.uint64(1)
        for lane, sums in enumerate((first, second)):
            total = int(_mix(sums).sum(dtype=np.uint64))
            self._lanes[lane] = (self._lanes[lane] + total) & MASK
        # The second is made of both: two numbers of another sign leave the first as it is, every other time.
        self._smallest.append(second if self._bound == MASK else second[second <= np.uint64(self._bound)])
        self.rows += len(first)

    def members(self) -> Members:
        """The rows so far, to be known again."""
        import numpy as np

        return Members(np.concatenate(self._smallest).tobytes(), self._bound)

    def _words(self, cells: Cells) -> "Array":
        if cells.codes is None:
            return words(cells)
        import numpy as np

        known = self._categories.get(id(cells.values))
        if known is None:  # the values are kept beside their words, so that their id stays theirs
            table = np.append(words(Cells(cells.values)), np.uint64(MISSING))
            known = self._categories[id(cells.values)] = (cells.values, table)
        found: Array = known[1][cells.codes]
        return found

    def hexdigest(self, scope: str = "") -> str:
        """The fingerprint of all rows so far; `scope` enters it, so that a sample never equals a whole."""
        parts = [VERSION, scope, str(self.rows), *map("{:016x}".format, self._lanes), *sorted(self._names)]
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _lanes(keys: "Array", found: "Array") -> tuple["Array", "Array"]:
    """The two halves that each cell adds to its row's sums, but for the factor of `_add_rows`.

    The first takes the place of `found`.
    """
    import numpy as np

    found ^= keys[:, 0]
    found *= np.uint64(M1)
    found ^= found >> np.uint64(32)
    return found, found * keys[:, 1]


def words(cells: Cells) -> "Array":
    """64 bits for each cell: equal for equal values, whatever held them."""
    import numpy as np

    values = cells.values
    kind = values.dtype.kind
    if cells.offsets is not None:
        found = _lists(values, cells.offsets)
    elif kind == "b":
        found = np.where(values, np.uint64(TRUE), np.uint64(FALSE))
    elif kind in "iu":
        found = _integers(values)
    elif kind == "f":
        found = _floats(values)
    elif kind in "Mm":
        found = _times(values, SPAN if kind == "m" else INSTANT if cells.aware else NAIVE)
    else:
        found = _objects(values)
    if cells.missing is not None:
        found[cells.missing] = MISSING
    return found


def _integers(values: "Array") -> "Array":
    import numpy as np

    floats = values.astype(np.float64)
    found: Array = floats.view(np.uint64)
    if values.dtype.itemsize < 8 or values.size == 0 or np.abs(floats).max() < EXACT:
        return found
    limit = 2.0**64 if values.dtype.kind == "u" else 2.0**63
    with np.errstate(invalid="ignore"):  # out of range is what is being asked
        inexact = (floats >= limit) | (floats.astype(values.dtype) != values)
    return np.where(inexact, values.astype(np.uint64) ^ np.uint64(LARGE), found)


def _floats(values: "Array") -> "Array":
    import numpy as np

    floats = np.add(values, 0.0, dtype=np.float64)  # -0.0 + 0.0 is 0.0
    found: Array = floats.view(np.uint64)
    unknown = np.isnan(floats)
    if unknown.any():
        found[unknown] = MISSING
    return found


def _times(values: "Array", tag: int) -> "Array":
    """Seconds and nanoseconds since the epoch, whatever the unit was."""
    import numpy as np

    unit, count = np.datetime_data(values.dtype)
    if unit not in _PER_SECOND or count != 1:
        kind = "datetime64" if values.dtype.kind == "M" else "timedelta64"
        unit = "s" if unit in {"generic", "Y", "M", "W", "D", "h", "m"} else "ns"
        values = values.astype(f"{kind}[{unit}]")
    per_second = _PER_SECOND[unit]
    seconds, rest = np.divmod(values.view(np.int64), per_second)
    nanos = (rest * (NANOS // per_second)).astype(np.uint64)
    found = (seconds.astype(np.uint64) * np.uint64(M1)) ^ (nanos * np.uint64(M2)) ^ np.uint64(tag)
    found[np.isnat(values)] = MISSING
    return found


def _objects(values: "Array") -> "Array":
    import numpy as np

    flat = values.ravel().tolist()
    found = np.empty(len(flat), np.uint64)
    groups: dict[type, list[int]] = {str: [], bytes: [], object: []}
    for position, value in enumerate(flat):
        groups[type(value) if type(value) in groups else object].append(position)
    if groups[str]:
        texts = [flat[position].encode("utf-8", "surrogatepass") for position in groups[str]]
        found[groups[str]] = _strings(texts, TEXT)
    if groups[bytes]:
        found[groups[bytes]] = _strings([flat[position] for position in groups[bytes]], BYTES)
    if groups[object]:
        found[groups[object]] = np.array([_scalar(flat[at]) for at in groups[object]], np.uint64)
    return found.reshape(values.shape)


def _lists(values: "Array", offsets: "Array") -> "Array":
    """As of Python's lists with these numbers, of which a word alone takes as long as fifty here."""
    import numpy as np

    found = words(Cells(values)).astype("<u8", copy=False).tobytes()
    ends = (offsets * 8).tolist()
    return np.array([_word(b"[" + found[start:end] + b"]") for start, end in pairwise(ends)], np.uint64)


def _strings(values: list[bytes], tag: int) -> "Array":
    """Eight bytes at a time, over all values at once; a value over 64 bytes is its BLAKE2b-256 first."""
    import numpy as np

    sizes = np.fromiter(map(len, values), np.uint64, len(values))
    if sizes.max() > LONG_TEXT:
        values = [
            hashlib.blake2b(value, digest_size=32).digest() if len(value) > LONG_TEXT else value
            for value in values
        ]
    lengths = np.minimum(sizes, np.where(sizes > LONG_TEXT, 32, LONG_TEXT).astype(np.uint64))
    width = max(1, math.ceil(int(lengths.max()) / 8))
    table = np.array(values, f"S{width * 8}").view("<u8").reshape(len(values), width)
    found = _mix(sizes * np.uint64(M1) + np.uint64(tag))
    for position in range(width):
        longer = lengths > position * 8
        found[longer] = _mix(found[longer] ^ table[longer, position])
    return found


def _mix(x: "Array") -> "Array":
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014), in place."""
    import numpy as np

    x ^= x >> np.uint64(30)
    x *= np.uint64(M1)
    x ^= x >> np.uint64(27)
    x *= np.uint64(M2)
    x ^= x >> np.uint64(31)
    return x


def _scalar(value: Any) -> int:
    """The word of one Python value; the same that `words` gives it inside a typed array."""
    import numpy as np

    if isinstance(value, bool | np.bool_):
        return TRUE if value else FALSE
    if value is None or _is_missing(value):
        return MISSING
    if isinstance(value, np.datetime64 | np.timedelta64):  # the latter is a numpy.number, too
        return int(words(Cells(np.array([value])))[0])
    if isinstance(value, int | float | Decimal | np.number):
        return _number(value)
    if isinstance(value, datetime | date | timedelta):
        return _moment(value)
    if isinstance(value, str):  # numpy.str_ and other kinds of str
        return int(_strings([str(value).encode("utf-8", "surrogatepass")], TEXT)[0])
    return _word(_encode(value))


def _is_missing(value: Any) -> bool:
    """NaN, NaT and pandas.NA are what is not equal to itself, or refuses to say."""
    if hasattr(value, "__len__"):
        return False
    try:
        return bool(value != value)  # noqa: PLR0124
    except (TypeError, ValueError):
        return type(value).__name__ == "NAType"


def _number(value: Any) -> int:
    try:
        exact = float(value)
        same = exact == value
    except (OverflowError, ValueError, TypeError):
        same = False
    if same:
        return int.from_bytes(struct.pack("<d", exact + 0.0), "little")
    if isinstance(value, int) or hasattr(value, "__index__"):
        whole = int(value)
        return (whole & MASK) ^ LARGE if -(1 << 63) <= whole < 1 << 64 else _word(b"i%d" % whole)
    return _word(f"n{value}".encode())


def _moment(value: date | timedelta) -> int:
    if isinstance(value, timedelta):
        tag, since = SPAN, value
    else:
        if not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)  # noqa: DTZ001
        tag = NAIVE if value.tzinfo is None else INSTANT
        since = value - datetime(1970, 1, 1, tzinfo=None if tag == NAIVE else UTC)
    seconds = since.days * 86400 + since.seconds
    nanos = since.microseconds * 1000 + int(getattr(since, "nanoseconds", 0))  # pandas has them
    return ((seconds * M1) & MASK) ^ ((nanos * M2) & MASK) ^ tag


def _encode(value: Any) -> bytes:
    """Nested values by their parts, a dict by its sorted keys; what is unknown by its type and its text."""
    import numpy as np

    if hasattr(value, "tolist"):
        value = value.tolist()
    elif hasattr(value, "to_list"):
        value = value.to_list()
    if isinstance(value, dict):
        parts = sorted(
            str(key).encode() + b"=" + _scalar(item).to_bytes(8, "little") for key, item in value.items()
        )
        return b"{" + b",".join(parts) + b"}"
    if isinstance(value, list) and len(value) >= MANY and set(map(type, value)) in ({int}, {float}):
        numbers = np.array(value)
        if numbers.dtype.kind == type(value[0]).__name__[0]:  # not whole ones of more than 63 bits
            return b"[" + words(Cells(numbers)).astype("<u8", copy=False).tobytes() + b"]"
    if isinstance(value, list | tuple):
        return b"[" + b"".join(_scalar(item).to_bytes(8, "little") for item in value) + b"]"
    if isinstance(value, set | frozenset):
        return b"(" + b"".join(sorted(_scalar(item).to_bytes(8, "little") for item in value)) + b")"
    if isinstance(value, bytes | bytearray | memoryview):
        return b"b" + bytes(value)
    if isinstance(value, time):
        return b"t" + value.isoformat().encode()
    text = str(value)
    shown = "" if " at 0x" in text else text  # an address says nothing about content
    return f"{type(value).__module__}.{type(value).__qualname__}:{shown}".encode("utf-8", "surrogatepass")


def _word(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _key(name: str) -> tuple[int, int]:
    seed = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return int.from_bytes(seed[:8], "little"), int.from_bytes(seed[8:], "little") | 1


def _distinct(names: Sequence[str]) -> list[str]:
    """A second column of one name is `name#1`."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        count = seen[name] = seen.get(name, -1) + 1
        found.append(f"{name}#{count}" if count else name)
    return found
