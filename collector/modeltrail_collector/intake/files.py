"""Files as a source: NDJSON (the inbox, the stock `file` transport with `append`), and one event per file.

A line counts when its newline is there, so a file can be read while it is written. A `.json` file whose first
line is only `{`, or which has no newline at all, holds one event and counts when the whole of it parses: so
does the stock `file` transport write by default, and pretty-printed with `debug_mode`.

A file is its name and the SHA-256 of its first line: a rotated or recreated one is another file. How far it
was sealed stands in the log, never beside the file.
"""

import fcntl
import logging
import os
import stat
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple

import orjson

from modeltrail_collector.errors import Unavailable
from modeltrail_collector.model import LOCAL, FileProgress, Record

_logger = logging.getLogger(__name__)

MAX_LINE_BYTES = 64 << 20
"""A longer line is no event of anybody's, and would have to be held in memory."""

Progress = Mapping[tuple[str, str], int]
"""(name, SHA-256 of the first line) -> the byte up to which the file was sealed."""


class Line(NamedTuple):
    """One record of a file, and how far the file is read with it."""

    value: bytes
    number: int
    progress: FileProgress
    timestamp_ms: int


def unsealed(path: Path, name: str, progress: Progress) -> Iterator[Line]:
    """The records of a file that are not sealed yet; `name` is what the log calls it.

    Raises:
        Unavailable: The file cannot be read. One that does not exist any more has no records.
    """
    try:
        with _opened(path) as file:
            yield from _lines(_text(name), file, progress)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}") from error


def _opened(path: Path) -> BinaryIO:
    """A regular file: a pipe would make us wait, a device never end.

    Raises:
        Unavailable: It is something else.
    """
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise Unavailable(f"{path} is no regular file: move it away")
    return file


def _text(name: str) -> str:
    """A file's name as the log can hold it: it may be no Unicode."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _lines(name: str, file: BinaryIO, progress: Progress) -> Iterator[Line]:
    first = file.readline(MAX_LINE_BYTES)
    whole = name.endswith(".json") and (not first.endswith(b"\n") or first.strip() == b"{")
    if not first or not (whole or first.endswith(b"\n")):
        return
    identity = sha256(first).hexdigest()
    at = progress.get((name, identity), 0)
    file.seek(0, 2)
    if file.tell() < at:
        _logger.error("%s is shorter (%d bytes) than what was sealed of it (%d bytes)", name, file.tell(), at)
    if file.tell() <= at:
        return
    file.seek(0)
    if whole:
        yield from _document(name, file, identity)
    else:
        yield from _from_byte(name, file, identity, at)


def _document(name: str, file: BinaryIO, identity: str) -> Iterator[Line]:
    content = file.read(MAX_LINE_BYTES + 1)
    if len(content) > MAX_LINE_BYTES:
        _logger.error("%s is one document of more than %d bytes: left as it is", name, MAX_LINE_BYTES)
    elif _is_json(content):
        yield Line(content, 1, FileProgress(name, identity, len(content)), _modified_ms(file))
    else:
        _logger.warning("%s holds no whole JSON document (yet): left for the next time", name)


def _from_byte(name: str, file: BinaryIO, identity: str, at: int) -> Iterator[Line]:
    modified_ms = _modified_ms(file)
    number = _count_lines(file, at)
    while line := file.readline(MAX_LINE_BYTES):
        if not line.endswith(b"\n"):
            if len(line) == MAX_LINE_BYTES:
                _logger.error(
                    "%s, line %d has more than %d bytes: it and what follows are left as they are",
                    *(name, number + 1, MAX_LINE_BYTES),
                )
            return
        at += len(line)
        number += 1
        if line.strip():
            yield Line(line.rstrip(b"\r\n"), number, FileProgress(name, identity, at), modified_ms)


def _count_lines(file: BinaryIO, at: int) -> int:
    """How many lines lie before a byte; leaves the file there."""
    count, left = 0, at
    while left and (block := file.read(min(left, 1 << 20))):
        count += block.count(b"\n")
        left -= len(block)
    return count


def _modified_ms(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_mtime_ns // 1_000_000


def _is_json(content: bytes) -> bool:
    try:
        orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    return True


def record(line: Line, offset: int) -> Record:
    """A line as a record of the local chain; the file's time of change stands for the producer's clock."""
    source = f"{line.progress.path}:{line.number}"
    return Record(LOCAL.topic, LOCAL.partition, offset, source, line.timestamp_ms, None, (), line.value)


def remove_if_done(path: Path, name: str, progress: Progress) -> bool:
    """Remove an inbox file that is sealed to its last byte and whose writer is gone; say whether.

    A living writer holds a shared lock on its file (`flock`), so the exclusive one cannot be had. A file that
    ends in the middle of a line stays: nobody acknowledged that line, but it is not ours to throw away.
    """
    try:
        with _opened(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            first = file.readline(MAX_LINE_BYTES)
            sealed = progress.get((_text(name), sha256(first).hexdigest()), 0)
            if first and sealed == file.seek(0, 2):
                path.unlink()
                return True
    except (OSError, Unavailable):
        return False
    return False
