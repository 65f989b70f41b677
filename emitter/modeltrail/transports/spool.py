"""Where events wait that Kafka does not have yet: NDJSON files of one directory, one at a time per process.

A file is read from where the last acknowledged line ended, which is noted beside it, and removed when all of
it is acknowledged. A living writer holds a shared lock on its file, so that only what a process that has
ended left is taken up by another. A line may be delivered twice, where a process dies between the
acknowledgement and the note.
"""

import contextlib
import os
import shlex
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from modeltrail import guard
from modeltrail.errors import DeliveryError
from modeltrail.transports import forks
from modeltrail.transports.lines import LineFile, lock_unless_written

FILES = "*.ndjson"
REFUSED = "refused"
"""The folder, below that of a spool, of events that Kafka will never take."""

LIMIT_BYTES = 1 << 30
_CUT_BYTES = 64 << 20
_READ_BYTES = 1 << 20
_MOST_LINES = 200


class Backlog(msgspec.Struct, frozen=True):
    """What lies in a spool: files, events (lines), bytes; `refused` events are those Kafka never takes."""

    files: int = 0
    events: int = 0
    bytes: int = 0
    refused: int = 0

    def with_file(self, file: "Outgoing") -> "Backlog":
        """The same and what waits in a file."""
        events = file.count()
        return msgspec.structs.replace(
            self,
            files=self.files + bool(events),
            events=self.events + events,
            bytes=self.bytes + file.size - file.sent,
        )


class Line(NamedTuple):
    """An event in a file, and where its line ends there."""

    value: bytes
    end: int


class Outgoing:
    """A file of the spool on its way out."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor
        self._note = path.with_suffix(".sent")
        self.sent = self._noted()
        forks.renew_in_children(self)

    def lines(self) -> list[Line]:
        """The next whole lines: as many as may arrive twice where a process is killed; none: all was read."""
        size = _READ_BYTES
        while True:
            data = self._read(size, self.sent)
            if b"\n" in data or len(data) < size:
                break
            size *= 2  # one line is larger than that
        found: list[Line] = []
        start = 0
        while len(found) < _MOST_LINES and (end := data.find(b"\n", start)) >= 0:
            found.append(Line(data[start:end], self.sent + end + 1))
            start = end + 1
        return found

    def rest(self) -> bytes:
        """What lies behind the last whole line: its writer was killed at it."""
        return self._read(self.size - self.sent, self.sent)

    def advance(self, lines: list[Line]) -> None:
        """Note that these lines, the next ones, are acknowledged."""
        self.sent = lines[-1].end
        with contextlib.suppress(OSError):  # a full disk: what was sent is sent once more after a restart
            new = self._note.with_suffix(".sent.new")
            new.write_text(str(self.sent))
            new.replace(self._note)

    def count(self) -> int:
        """How many lines have not been sent."""
        found, at = 0, self.sent
        while data := self._read(_READ_BYTES, at):
            found += data.count(b"\n")
            at += len(data)
        return found

    def is_ours_alone(self) -> bool:
        """Lock the file unless a living process writes to it; say whether it is there and locked now."""
        if self._descriptor is None or not lock_unless_written(self._descriptor):
            return False
        self.sent = self._noted()  # who had it before may have sent more
        return self.path.exists()

    @property
    def size(self) -> int:
        """The bytes of the file."""
        return 0 if self._descriptor is None else os.fstat(self._descriptor).st_size

    def remove(self) -> None:
        """Remove a file that nobody writes to any more, and its note."""
        self.path.unlink(missing_ok=True)
        self.forget()

    def forget(self) -> None:
        """Remove the note of a file that is gone."""
        self._note.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file, and of the lock on it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def after_fork(self) -> None:
        """Our copy would hold the parent's lock."""
        with contextlib.suppress(OSError):
            self.close()

    def _read(self, size: int, at: int) -> bytes:
        if self._descriptor is None:
            return b""
        os.lseek(self._descriptor, at, os.SEEK_SET)
        return os.read(self._descriptor, size)

    def _noted(self) -> int:
        try:
            return min(int(self._note.read_text()), self.size)
        except (OSError, ValueError):
            return 0


class Spool:
    """Keeps events in `directory`, at most `limit` bytes of this process.

    Attributes:
        waiting: How many events wait that were appended here.
    """

    def __init__(self, directory: Path, limit: int = LIMIT_BYTES) -> None:
        self.directory = directory
        self.limit = limit
        self._file = LineFile(directory)
        self._set_up()
        forks.renew_in_children(self)

    def _set_up(self) -> None:
        self.waiting = 0
        self._bytes = 0
        self._counting = threading.Lock()
        self._parts: deque[tuple[Path, int]] = deque()
        self._reading: Outgoing | None = None

    def append(self, value: bytes) -> None:
        """Keep one event: it survives the death of the process, and a power cut once it is synced.

        Raises:
            DeliveryError: The spool is full, or the disk did not take it.
        """
        if self._bytes + len(value) >= self.limit:
            raise DeliveryError(
                f"the spool {self.directory} is full: {self._bytes} of {self.limit} bytes wait in it, see "
                "`modeltrail spool status`; spool_max_bytes allows for more"
            )
        with self._counting:
            self._file.append(value)
            self.waiting += 1
            self._bytes += len(value) + 1

    def keep(self, value: bytes, why: str) -> None:
        """Keep one event that could not be delivered and, the first time in this process, say so.

        Raises:
            DeliveryError: The disk did not take it either.
        """
        self.append(value)
        self._file.sync()
        guard.warn_once(
            "spool",
            "an event could not be delivered and waits in %s: %s. `modeltrail spool status` says what to do",
            self.directory,
            why,
        )

    def sync(self) -> None:
        """Have everything kept so far survive a power cut.

        Raises:
            DeliveryError: The disk reports an error.
        """
        self._file.sync()

    def files(self) -> list[Path]:
        """The files of this process, oldest first; those that were removed too."""
        return [path for path, _ in self._parts] + ([self._file.path] if self._file.path else [])

    def close(self) -> None:
        """Sync and close the files, for others to take up.

        Raises:
            DeliveryError: The disk reports an error; they are closed all the same.
        """
        try:
            self._file.close()
        finally:
            self._let_go()

    def own(self) -> Outgoing | None:
        """The oldest file of this process with events that wait; it stays open from one call to the next."""
        with self._counting:  # no file is begun meanwhile
            path = next(iter(self.files()), None)
            if self._reading is not None:
                if self._reading.path == path or self._reading.lines():
                    return self._reading
                self._done(self._reading)  # somebody took it away; all of it was read
            if path is None or not self.waiting:
                return None
            try:
                self._reading = Outgoing(path, os.open(path, os.O_RDONLY))
            except FileNotFoundError:  # somebody took away what waited
                self.waiting = self._bytes = 0
            return self._reading

    def sent(self, file: Outgoing, lines: list[Line]) -> None:
        """Note that these lines of a file of this process are acknowledged; remove what is sent in full."""
        file.advance(lines)
        with self._counting:
            self.waiting -= len(lines)
            self._bytes -= sum(len(line.value) + 1 for line in lines)
        if self._parts and file.path == self._parts[0][0]:
            if file.sent >= file.size:
                file.remove()
                self._done(file)
                os.close(self._parts.popleft()[1])
        elif file.path != self._file.path:
            file.forget()  # somebody took it away, and there is a new one
        elif self._file.remove(file.sent):
            file.forget()
            self._done(file)
        elif file.sent > _CUT_BYTES and (part := self._file.detach()):
            self._parts.append(part)  # what is sent of a file takes up room until all of it is

    def abandoned(self, pattern: str = FILES) -> Iterator[Outgoing]:
        """The files that nobody writes to any more, oldest first, each locked for the time it is used.

        Where another process delivers one just now, what the same writer wrote later waits for that.
        """
        held: set[str] = set()
        for path in sorted(self.directory.glob(pattern), key=_written):
            writer = path.name.rpartition("-")[0]
            try:
                file = Outgoing(path, os.open(path, os.O_RDONLY))
            except OSError:  # gone, or another user's
                continue
            try:
                if writer not in held and file.is_ours_alone():
                    yield file
                elif path.exists():
                    held.add(writer)
            finally:
                file.close()

    def _done(self, file: Outgoing) -> None:
        self._reading = None
        file.close()

    def _let_go(self) -> None:
        if self._reading is not None:
            self._done(self._reading)
        while self._parts:
            os.close(self._parts.popleft()[1])

    def after_fork(self) -> None:
        """The parent's files stay the parent's."""
        self._let_go()
        self._set_up()


def collect_command(directory: Path) -> str:
    """The command line that takes a spool into the log; running it twice adds nothing."""
    return f"modeltrail collect --from-files {shlex.quote(str(directory / '**' / FILES))}"


def left_in(paths: list[Path]) -> int:
    """How many events still wait in these files."""
    found = 0
    for path in paths:
        with contextlib.suppress(OSError), opened(path) as file:
            found += file.count()
    return found


def backlog(directory: Path) -> Backlog:
    """Count what lies in a spool, or in all spools below a directory.

    Raises:
        OSError: The directory cannot be read.
    """
    found = {False: Backlog(), True: Backlog()}
    for path in directory.rglob(FILES):
        with contextlib.suppress(OSError), opened(path) as file:
            is_refused = path.parent.name == REFUSED
            found[is_refused] = found[is_refused].with_file(file)
    return msgspec.structs.replace(found[False], refused=found[True].events)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Outgoing]:
    """A file of a spool, to be read."""
    file = Outgoing(path, os.open(path, os.O_RDONLY))
    try:
        yield file
    finally:
        file.close()


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
