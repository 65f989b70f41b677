"""Where events wait that could not be delivered: NDJSON files, one per process, synced line by line."""

import shlex
from pathlib import Path

import attrs

from modeltrail import guard
from modeltrail.transports.lines import LineFile


@attrs.frozen
class Backlog:
    """What lies in a spool: files, events (lines) and bytes."""

    files: int
    events: int
    bytes: int


class Spool:
    """Keeps undelivered events in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._file = LineFile(directory)

    def keep(self, value: bytes, why: str) -> None:
        """Keep one event on disk and, the first time in this process, say what to do about it.

        Raises:
            DeliveryError: The disk did not take it either.
        """
        self._file.append(value)
        self._file.sync()
        guard.warn_once(
            "spool",
            "an event could not be delivered and is kept in %s: %s. To take it into the log: %s",
            self.directory,
            why,
            collect_command(self.directory),
        )

    def close(self) -> None:
        """Close the file; keeping another event starts a new one."""
        self._file.close()


def collect_command(directory: Path) -> str:
    """The command line that takes a spool into the log; running it twice adds nothing."""
    return f"modeltrail collect --from-files {shlex.quote(str(directory / '*.ndjson'))}"


def backlog(directory: Path) -> Backlog:
    """Count what lies in a spool.

    Raises:
        OSError: The directory cannot be read.
    """
    contents = [path.read_bytes() for path in sorted(directory.glob("*.ndjson"))]
    return Backlog(len(contents), sum(text.count(b"\n") for text in contents), sum(map(len, contents)))
