"""A dead letter: a rejected record with the reason in its headers, as it goes to the dead-letter topic."""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import msgspec

from modeltrail_collector import judge
from modeltrail_collector.log import Segment, judge_of
from modeltrail_collector.model import Entry, Header

PREFIX: Final = "modeltrail."
ID: Final = f"{PREFIX}dead_letter.id"
_MESSAGE_CHARACTERS: Final = 1000


class Letter(msgspec.Struct, frozen=True):
    """What is published. `headers` are the record's own, then ours, whose names begin with `modeltrail.`."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    lies_at: str

    def without_value(self) -> "Letter":
        """For a topic that takes no record of this size: a header says where the value lies."""
        size = str(len(self.value or b""))
        said = _header("dead_letter.value_bytes", size), _header("dead_letter.value_lies_at", self.lies_at)
        return msgspec.structs.replace(self, key=self.key or b"", value=None, headers=(*self.headers, *said))

    def bare(self) -> "Letter":
        """Only what is ours, for a topic that takes not even the key and the headers."""
        ours = tuple(header for header in self.headers if header.key.startswith(PREFIX))
        return msgspec.structs.replace(self, key=b"", headers=ours)


class Publisher(Protocol):
    """Where letters go."""

    def publish(self, letters: Sequence[Letter]) -> None:
        """Publish all of them, and return when they are safe there.

        Raises:
            CollectorError: Some or all may be there, or not: publish all again.
        """

    def close(self) -> None:
        """Release everything."""


def letters_of(segment: Segment, entries: Iterator[Entry], start: int, where: str) -> Iterator[Letter]:
    """The dead letters of a segment, from offset `start` on; `where` is the URI of its log.

    A record that is a dead letter itself is left out: collectors that read each other's dead-letter topics
    would send it round for ever.
    """
    for entry in entries:
        is_letter = any(header.key == ID for header in entry.headers)
        if entry.verdict == "rejected" and entry.offset >= start and not is_letter:
            yield _letter(segment, entry, where)


def _letter(segment: Segment, entry: Entry, where: str) -> Letter:
    origin = segment.partition
    name = f"{origin.topic}/{origin.topic_id}/{origin.partition}/{entry.offset}"
    cause = judge.cause(entry.reasons)
    ours = {
        "error.code": cause.code,
        "error.path": cause.path,
        "error.message": cause.message[:_MESSAGE_CHARACTERS],
        "error.count": str(len(entry.reasons)),
        "error.reasons": msgspec.json.encode(entry.reasons).decode(),
        "origin.topic": origin.topic,
        "origin.topic_id": origin.topic_id,
        "origin.partition": str(origin.partition),
        "origin.offset": str(entry.offset),
        "origin.timestamp": str(entry.timestamp_ms),
        "judge.id": judge_of(segment, entry.offset),
        "dead_letter.id": name,
    }
    headers = (*entry.headers, *(_header(key, text) for key, text in ours.items()))
    # The client sends no record that has neither.
    key = b"" if entry.key is entry.value is None else entry.key
    return Letter(entry.offset, key, entry.value, headers, f"{where.rstrip('/')}/{segment.name}")


def _header(name: str, text: str) -> Header:
    return Header(PREFIX + name, text.encode(errors="replace"))
