"""What can be told of a value without making Python's objects of it.

These take up to forty times the room of the bytes that they come from, and as much more time than to look at
these: `[[],[],[],…` of 15 MB took 430 MiB and three seconds. Here the bytes are looked at where they lie.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypedDict

import msgspec

from modeltrail_collector.judge import messages, schema
from modeltrail_collector.judge.codes import Code

_CHUNK: Final = 1 << 16
_STRIDE: Final = 1 << 11

_FREE: Final = 32
SPARSE: Final = 16
DENSE: Final = 6
"""Bytes a value below which a rejected event (16) and one that is kept (6) are not taken apart."""

_SPACE: Final = b" \t\r\n"
_NOT_FINITE: Final = re.compile(rb"[-,:[\s]?(NaN|Infinity)")
_INDEX: Final = re.compile(r"\[\d+\]")
_BYTE: Final = re.compile(r"byte (\d+)")


def has_more_values(value: bytes, limit: int) -> bool:
    """Whether there are more object members and array items than `limit` in it; it need not be JSON.

    Commas and brackets are counted: an empty array or object counts as one item more than it has.
    """
    if _structure(value) <= limit:
        return False
    count, inside = 0, False
    for start in range(0, len(value), _CHUNK):
        piece = value[start : start + _CHUNK]
        if piece.endswith(
            b"\\"
        ):  # what it escapes lies in the next piece, which is told apart wrongly at worst
            piece = piece[:-1] + b" "
        parts = piece.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        count += _structure(b"".join(parts[inside::2]))
        if count > limit:
            return True
        inside ^= not len(parts) % 2
    return False


def is_dear(value: bytes, bytes_a_value: int) -> bool:
    """Whether it would become more Python objects than one in so many bytes.

    Real events have one array, object or item of such in 20 bytes or more, hostile ones in two.
    """
    limit, count = _FREE + len(value) // bytes_a_value, 0
    for start in range(0, len(value), _STRIDE):  # where there is too much, that is seen before the end
        piece = value[start : start + _STRIDE]
        count += len(piece) - len(piece.translate(None, b",[{"))
        if count > limit:
            return True
    return False


def _structure(value: bytes) -> int:
    return value.count(b",") + value.count(b"[") + value.count(b"{")


class Array(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An array that was not looked into."""


class _Object(TypedDict):
    pass


_Scalar = str | int | float | bool | Array | None
_Part = _Scalar | _Object

_LISTS: Final = frozenset({"inputs", "outputs"})

Lists = dict[str, msgspec.Raw]
Outline = dict[str, Any]
"""An event as far as the core schema knows it: its scalars; arrays and facets are not looked into."""


def outline(value: bytes) -> tuple[Outline, Lists] | None:
    """The outline of an event, and its lists of datasets as they are; None of what is no JSON object."""
    try:
        event = _read_outline()(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    lists: Lists = {}
    for name in _LISTS & event.keys():
        part = event[name]
        if memoryview(part)[0] == ord("["):
            event[name], lists[name] = Array(), part
        else:
            event[name] = _read_part(part)
    return event, lists


@cache
def _read_outline() -> Callable[[bytes], Outline]:
    holder = _Scalar | _outline_of("Run", "Job", "StaticDataset")
    others = dict.fromkeys(_LISTS, msgspec.Raw) | dict.fromkeys(("run", "job", "dataset"), holder)
    event = _outline_of(*schema.EVENTS.values(), **others)
    return msgspec.json.Decoder(event).decode


def _outline_of(*definitions: str, **others: Any) -> Any:
    fields = dict.fromkeys(schema.core_fields(definitions), _Part)
    return TypedDict("Fields", fields | others, total=False)  # type: ignore[operator]


class _Skipped(msgspec.Struct, gc=False):
    """Any object."""


def no_object(lists: Lists) -> str | None:
    """The path of the first item of these lists that is no object."""
    for name, raw in lists.items():
        try:
            _skip_objects(raw)
        except msgspec.ValidationError as error:
            return f"$.{name}" + (found[0] if (found := _INDEX.search(str(error))) else "")
    return None


_skip_objects: Final = msgspec.json.Decoder(list[_Skipped]).decode
_read_part: Final = msgspec.json.Decoder(_Part).decode


def seen(part: object) -> str:
    """A part of an outline as a message shows it."""
    if isinstance(part, Array):
        return "an array"
    return "an object" if isinstance(part, dict) else messages.seen(part)


_skip: Final = msgspec.json.Decoder(msgspec.Raw).decode


def told(value: bytes) -> str:
    """What a message says of a value that is no object."""
    return "an array" if value.lstrip(_SPACE)[:1] == b"[" else "no object"


def unreadable(value: bytes) -> tuple[Code, str] | None:
    """Why it is no JSON that is read here; None where it is JSON as far as a skipping reader can tell."""
    try:
        _skip(value)
    except RecursionError:
        return Code.TOO_DEEP, "nested far too deep"
    except msgspec.DecodeError as error:
        return why(value, str(error))
    return None


def why(value: bytes, error: str) -> tuple[Code, str]:
    """The code of a parser's error, which names the byte where it stopped."""
    if "not UTF-8" in error:
        return Code.NOT_UTF8, error
    at = int(found[1]) if (found := _BYTE.search(error)) else len(value)
    if "out of range" in error or _NOT_FINITE.match(value, max(at - 1, 0), at + 16):
        return Code.NOT_FINITE, f"at byte {at}: NaN, Infinity and numbers too large are not JSON; write null"
    return Code.NOT_JSON, error


def not_utf8(value: bytes) -> str:
    """Where and why it is no UTF-8."""
    try:
        value.decode()
    except UnicodeDecodeError as found:
        return f"byte {found.start} is no UTF-8: {found.reason}"
    return ""
