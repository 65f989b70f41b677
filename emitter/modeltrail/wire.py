r"""An event as it goes over the wire: canonical JSON in UTF-8, and the key that decides its partition.

Canonical means: keys sorted, no spaces, one way to write each value, so that equal events have equal bytes.

=============================================  ==========================================================
value                                          on the wire
=============================================  ==========================================================
NaN, ±Infinity, pandas NA and NaT              ``null`` (JSON has no such numbers)
int of any size, bool, float, numpy scalars    a number or ``true``/``false``; integers keep all digits
numpy arrays, pandas and polars series         an array
tuple, deque, range, dict views                an array
set, frozenset                                 an array, sorted
datetime, date, time, pandas Timestamp         ISO 8601; UTC as ``Z``; a time without an offset stays without
timedelta                                      an ISO 8601 duration
Decimal                                        a string, so that no digit is lost
UUID, Path                                     a string
bytes                                          a string in base64
Enum                                           its value
attrs, msgspec and dataclass objects           an object of their fields, those that are None left out
keys that are no strings                       their JSON text: ``1``, ``true``, ``null``, ``2026-01-31``
lone surrogates (undecodable file names)       a backslash escape, ``caf\udce9``
NUL in a text, which PostgreSQL does not take  a backslash escape, ``\u0000``
functions, classes                             their dotted name
any other object                               its class in angle brackets, ``<sklearn.svm._classes.SVC>``
=============================================  ==========================================================

An event of plain values is written in one pass: orjson refuses what it would not write as the table says.
Only then is the event walked in Python, and what is plain afterwards is written by orjson too.
"""

import contextlib
import datetime as dt
import decimal
import enum
import inspect
import math
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec
import orjson

from modeltrail.errors import EncodingError
from modeltrail_schemas.keys import event_key

# Subclasses, dataclasses and times are left to us. What orjson writes by itself is the table's: enums, UUIDs.
_OPTIONS = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)
_as_text: Callable[[object], Any] = msgspec.to_builtins  # times in ISO 8601, bytes in base64

Path = tuple["Path | None", str | int]  # the step that leads to a value, after those before it

_EXACT = frozenset({bool, float, type(None)})
_TIME_OR_NUMBER = (dt.date, dt.time, dt.timedelta, decimal.Decimal, uuid.UUID)
_TO_PYTHON = ("tolist", "to_list", "to_pylist", "as_py")  # numpy, pandas, torch; polars; pyarrow
_MISSING = frozenset({"NAType", "NaTType"})
_NUMPY_TIMES = frozenset({"datetime64", "timedelta64"})
_NUL = rb"\u0000"
_TOO_LONG = 10**4300  # Python's own limit for turning an integer into digits; longer ones are written in hex


def encode(event: Mapping[str, Any]) -> bytes:
    """Write an event down; see the table above.

    Raises:
        EncodingError: A value that contains itself or is nested more than 254 deep, or an object that fails
            while it is read; the message ends in the JSON path.
    """
    with contextlib.suppress(TypeError):
        if _NUL not in (written := _write(event)):
            return written
    plain = _plain(event, None, set())
    try:
        return _write(plain)
    except TypeError as error:  # nothing else is left to refuse
        raise EncodingError("nested too deeply to be written as JSON @ $") from error


def _write(value: object) -> bytes:
    return orjson.dumps(value, option=_OPTIONS)


def key(event: Mapping[str, Any]) -> bytes:
    """The Kafka key; see `keys.event_key`.

    Raises:
        EncodingError: The event names no job and no dataset.
    """
    try:
        return event_key(event)
    except (KeyError, TypeError) as error:
        raise EncodingError(
            f"the event names no job or dataset with namespace and name: {error} @ $"
        ) from error


def _plain(value: object, path: Path | None, above: set[int]) -> Any:
    """The value in types that msgspec writes as the table says; `above` holds the ids of what contains it."""
    kind = type(value)
    if kind in _EXACT:
        return value
    if isinstance(value, str):
        return _text(str.__str__(value))
    if isinstance(value, enum.Enum):
        return _plain(value.value, path, above)
    if isinstance(value, int | float | bytes):
        return _builtin(value)
    if isinstance(value, _TIME_OR_NUMBER):
        return _time_or_number(value)
    if id(value) in above:
        raise EncodingError(f"a value that contains itself cannot be written as JSON @ {_shown(path)}")
    above.add(id(value))
    try:
        return _container(value, path, above)
    except EncodingError:
        raise
    except RecursionError as error:
        raise EncodingError(f"nested too deeply to be written as JSON @ {_shown(path)[:200]}…") from error
    except Exception as error:
        what = f"{kind.__module__}.{kind.__qualname__}"
        problem = f"{type(error).__name__}: {error}"
        raise EncodingError(f"{what} cannot be read: {problem} @ {_shown(path)}") from error
    finally:
        above.discard(id(value))


def _shown(path: Path | None) -> str:
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(f".{step}" if isinstance(step, str) else f"[{step}]")
    return "$" + "".join(reversed(steps))


def _builtin(value: int | float | bytes) -> Any:  # noqa: PYI041  each is another type here
    """Subclasses (numpy.float64, numpy.bytes_) become the builtin itself."""
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bytes):
        return _as_text(bytes(value))
    exact = int(value)
    if -(2**63) <= exact < 2**64:
        return exact
    return orjson.Fragment(str(exact)) if abs(exact) < _TOO_LONG else hex(exact)


def _time_or_number(value: Any) -> Any:
    if type(value).__name__ in _MISSING:
        return None
    if isinstance(value, decimal.Decimal):
        return str(value) if value.is_finite() else None
    if type(value) in {dt.datetime, dt.date, dt.time, dt.timedelta, uuid.UUID}:
        return _as_text(value)
    if isinstance(value, dt.datetime):  # pandas.Timestamp and others of its kind
        return value.isoformat().replace("+00:00", "Z")
    if hasattr(value, "total_seconds"):
        return _as_text(dt.timedelta(seconds=value.total_seconds()))
    return str(value)


def _container(value: object, path: Path | None, above: set[int]) -> Any:
    if isinstance(value, Mapping):
        named = {_key_text(name): item for name, item in value.items()}
        return {name: _plain(item, (path, name), above) for name, item in named.items()}
    if isinstance(value, os.PathLike):
        return _text(os.fsdecode(value))
    if isinstance(value, AbstractSet):
        return _sorted([_plain(item, (path, 0), above) for item in value])
    if isinstance(value, bytearray | memoryview):
        return _as_text(bytes(value))
    if isinstance(value, Sequence) or _is_view(value):
        items: Iterable[Any] = value  # type: ignore[assignment]
        return [_plain(item, (path, place), above) for place, item in enumerate(items)]
    if not isinstance(value, type) and (fields := _fields(value)) is not None:
        return {name: _plain(v, (path, name), above) for name, v in fields.items() if v is not None}
    return _foreign(value, path, above)


def _foreign(value: Any, path: Path | None, above: set[int]) -> Any:
    """Objects of libraries, known by what they can do: none of them is imported here."""
    kind = type(value)
    if kind.__name__ in _MISSING:
        return None
    if kind.__name__ in _NUMPY_TIMES:
        return None if str(value) == "NaT" else str(value)
    if inspect.isclass(value) or inspect.isroutine(value):
        return f"{value.__module__}.{value.__qualname__}"
    if getattr(getattr(value, "dtype", None), "kind", "") in {"M", "m"}:  # tolist would give bare nanoseconds
        return _without_nat(value.astype(str).tolist())
    for name in _TO_PYTHON:
        if callable(getattr(kind, name, None)):
            read = getattr(value, name)()
            return _plain(read, path, above) if type(read) is not kind else _last_resort(read)
    if callable(getattr(kind, "isoformat", None)):
        return str(value.isoformat())
    return _last_resort(value)


def _without_nat(read: object) -> object:
    if isinstance(read, list):
        return [_without_nat(item) for item in read]
    return None if read == "NaT" else read


def _last_resort(value: object) -> object:
    """A number as a float (numpy.longdouble), else only the class: a repr may hold addresses and secrets."""
    if isinstance(value, complex):
        return str(value)
    if hasattr(type(value), "__float__") and not hasattr(type(value), "__len__"):
        number = float(value)  # type: ignore[arg-type]
        return number if math.isfinite(number) else None
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def _fields(value: object) -> dict[str, Any] | None:
    if described := getattr(type(value), "__attrs_attrs__", None):
        return {field.name: getattr(value, field.name) for field in described}
    for described_by in ("__struct_fields__", "__dataclass_fields__"):
        if names := getattr(type(value), described_by, None):
            return {name: getattr(value, name) for name in names}
    return None


def _is_view(value: object) -> bool:
    """deque, dict views and their like: iterable again and again, with a length, no array of a library."""
    sized = isinstance(value, Iterable) and hasattr(value, "__len__")
    return sized and type(value).__module__ in {"builtins", "collections"}


def _sorted(items: list[Any]) -> list[Any]:
    """As Python orders them; sets of several types by their JSON text."""
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=_write)


def _key_text(found: object) -> str:
    if isinstance(found, str):
        return _text(str.__str__(found))
    if isinstance(found, enum.Enum):
        return _key_text(found.value)
    if isinstance(found, float) and not math.isfinite(found):
        return str(float(found))
    written = _write(_plain(found, None, set())).decode()
    return written[1:-1] if written.startswith('"') else written


def _text(text: str) -> str:
    """As the table says; most text is ASCII without NUL."""
    text = text.replace("\0", r"\u0000")
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
