"""What `modeltrail maintain` does to the tables, and how it says so."""

from datetime import timedelta

import msgspec

from modeltrail_collector.errors import NotVerified
from modeltrail_collector.log import Log
from modeltrail_collector.tables import Forgotten, Upkeep, compact, forget, keep_up
from modeltrail_schemas.words import counted


class TablesDone(msgspec.Struct, frozen=True):
    """What was done to the tables: `forgotten` only where old runs were to be forgotten."""

    upkeep: Upkeep
    forgotten: Forgotten | None = None


def blocked(log: Log) -> list[str]:
    """Bring the tables up to the log; why its oldest records may not be removed yet, where that fails."""
    try:
        compact(log)
    except NotVerified as error:
        return [f"{error}; no record is removed before the tables hold it"]
    return []


def maintain_tables(log: Log, *, keep: timedelta | None, dry_run: bool) -> TablesDone:
    """Forget what is too old, then join small files, remove what no reader needs and write checkpoints."""
    forgotten = forget(log, keep, dry_run=dry_run) if keep is not None else None
    return TablesDone(Upkeep() if dry_run else keep_up(log), forgotten)


def said(done: TablesDone, *, dry_run: bool) -> list[str]:
    """Sentences for people."""
    lines = []
    if (gone := done.forgotten) is not None:
        lines.append(
            f"Tables {'would forget' if dry_run else 'forgot'} what arrived before {gone.before}: "
            f"{counted(gone.runs, 'run')}, {counted(gone.events, 'event')}, "
            f"{counted(gone.rejected, 'rejected record')}, {counted(gone.models, 'model version')}. "
            f"{counted(gone.kept, 'older run', 'stays', 'stay')} for a model version in use."
        )
    joined, removed = done.upkeep.joined, done.upkeep.removed
    if joined or removed:
        files = counted(joined, "file", "holds", "hold")
        lines.append(f"Tables: {files} what many small ones did; {counted(removed, 'file')} removed.")
    return lines
