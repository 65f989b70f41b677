"""From files to the log: the inbox, and what `collect --from-files` names. Sealing twice adds nothing."""

import glob
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from modeltrail_collector import judge
from modeltrail_collector.errors import ConfigError, OwnershipLost
from modeltrail_collector.intake import files
from modeltrail_collector.log import Log
from modeltrail_collector.model import LOCAL
from modeltrail_collector.pump.local import LocalWriter
from modeltrail_collector.pump.totals import Totals

_logger = logging.getLogger(__name__)


def seal_inbox(log: Log) -> int:
    """Seal what lies in the log's inbox and remove what is done; returns how many records were sealed.

    A log in an object store has no inbox.
    """
    if log.inbox is None or not log.inbox.is_dir():
        return 0
    # Named from the log on: a log that is moved takes its inbox along.
    named = {path: f"inbox/{path.name}" for path in _in_inbox(log.inbox)}
    totals = _seal(log, named, strict=False)
    progress = sealed_so_far(log)
    for path, name in named.items():
        if files.remove_if_done(path, name, progress):
            _logger.debug("%s is sealed and its writer is gone: removed", path)
    return totals.records


def _in_inbox(inbox: Path) -> Iterator[Path]:
    """Its files: by a link one could have us read what only we may read, by a pipe have us wait for ever."""
    for path in sorted(inbox.glob("*.ndjson")):
        if path.is_symlink() or not path.is_file():
            _logger.error("%s is no regular file and is not read: move it away", path)
        else:
            yield path


def seal_files(log: Log, patterns: Sequence[str], *, strict: bool = False) -> Totals:
    """Seal NDJSON files, or files of one event each; they stay where they are.

    Args:
        log: The log.
        patterns: Paths, or globs (`**` for any depth).
        strict: Reject what the judge would warn about.

    Raises:
        ConfigError: A pattern matches no file.
        Unavailable: A file or the store cannot be read or written.
    """
    return _seal(log, {path: str(path) for path in _matching(patterns)}, strict=strict)


def _matching(patterns: Iterable[str]) -> Iterator[Path]:
    seen = set()
    for pattern in patterns:
        found = sorted(Path(name).absolute() for name in glob.glob(pattern, recursive=True))  # noqa: PTH207  absolute patterns too
        paths = [path for path in found if path.is_file()]
        if not paths:
            raise ConfigError(f"no file matches {pattern!r}; quote the pattern, and give a path or a glob")
        yield from (path for path in paths if path not in seen)
        seen.update(paths)


def sealed_so_far(log: Log) -> dict[tuple[str, str], int]:
    """How far each file was sealed, by the headers of the local chain."""
    progress: dict[tuple[str, str], int] = {}
    for segment in log.segments(LOCAL):
        for file in segment.files:
            progress[file.path, file.first_line_sha256] = file.next_byte
    return progress


def _seal(log: Log, named: Mapping[Path, str], *, strict: bool) -> Totals:
    totals = Totals()
    log.recover(LOCAL)
    while True:
        try:
            _seal_once(log, named, totals, strict=strict)
        except OwnershipLost:
            _logger.info("another collector seals files into %s: going on behind it", log.uri)
        else:
            return totals


def _seal_once(log: Log, named: Mapping[Path, str], totals: Totals, *, strict: bool) -> None:
    end = log.end(LOCAL)
    progress = sealed_so_far(log)
    pending = LocalWriter(log, end, totals)
    for path, name in named.items():
        for line in files.unsealed(path, name, progress):
            record = files.record(line, pending.end)
            pending.add(record, judge.judge(record.value, strict=strict), line.progress)
    pending.seal()
