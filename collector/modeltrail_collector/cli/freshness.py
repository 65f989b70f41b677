"""What an answer does not know yet, or no more, said on stderr after it."""

import click

from modeltrail_collector.log import Log
from modeltrail_collector.tables import forgotten_before, segments_behind


def warn_if_behind(log: Log) -> None:
    """Say when the log, or its inbox, holds more than the tables."""
    missing = []
    if waiting := _waiting(log):
        missing.append(f"{waiting:,} event{'s' if waiting > 1 else ''} in the inbox")
    if segments := segments_behind(log):
        missing.append(f"{segments:,} segment{'s' if segments > 1 else ''}")
    if missing:
        click.echo(f"{' and '.join(missing)} not compacted: modeltrail compact", err=True)


def warn_if_forgotten(log: Log) -> None:
    """Say before when the tables know no other runs than those of models in use."""
    if (day := forgotten_before(log)) is not None:
        click.echo(
            f"what arrived before {day} was forgotten, but for models in use (maintain --keep-tables)",
            err=True,
        )


def _waiting(log: Log) -> int:
    """Events in the inbox that are not sealed."""
    found = sorted(log.inbox.glob("*.ndjson")) if log.inbox is not None and log.inbox.is_dir() else []
    if not found:
        return 0
    from modeltrail_collector.intake import files
    from modeltrail_collector.pump.files import sealed_so_far

    progress = sealed_so_far(log)
    return sum(1 for path in found for _ in files.unsealed(path, f"inbox/{path.name}", progress))
