"""Named steps at which a test kills the process, to prove what a crash there leaves behind.

`MODELTRAIL_FAILPOINT=segment_put` kills it (SIGKILL, as a power cut or the out-of-memory killer would) the
first time that step is reached, `segment_put:3` the third time. Unset, a step costs one comparison.
`collector/README.md` says of each step what a crash leaves and who cleans it up.
"""

import os
import signal
from collections.abc import Callable
from typing import Final

from modeltrail_collector.errors import ConfigError

ENV: Final = "MODELTRAIL_FAILPOINT"

STEPS: Final = {
    "polled": "records are read from Kafka and gathered, nothing of them is sealed",
    "temporary_written": "a segment is written and synced under its hidden name, and has no other yet",
    "segment_put": "a segment has its name, nobody was told",
    "before_commit": "a segment is sealed, Kafka's committed offsets are not written",
    "letters_read": "rejected records are read from a sealed segment, their dead letters are not published",
    "letters_published": "dead letters are acknowledged by Kafka, how far they are is not remembered",
    "rollup_written": "a roll-up holds records that its segments hold too, none of them is a stub yet",
    "part_stubbed": "one more segment of a roll-up is a stub, those behind it are not yet",
    "rollup_removed": "a roll-up that no stub named is gone",
    "removal_recorded": "what retention is about to remove is recorded, nothing of it is gone",
    "records_removed": "retention took the records of one more file, those of the next ones are still there",
    "evidence_kept": "a damaged segment is copied beside its place, which still holds it",
    "segment_repaired": "one more damaged range is collected again, those behind it are not yet",
    "flat_committed": "`flat` holds new segments, `rejected` does not yet",
    "rejected_committed": "`flat` and `rejected` hold new segments, no reduced table does",
    "table_replaced": "one of the reduced tables is derived, the others are not yet",
    "changes_found": "what changed in new model versions is worked out, nothing of it is sealed",
    "changes_sealed": "what changed in new model versions is sealed, no table holds it yet",
    "files_joined": "small files of one bucket of a table are joined, the others are not yet",
    "table_vacuumed": "files that no reader of a table needs are removed, those of other tables are not yet",
    "table_checkpointed": "a table has a new checkpoint, its older commits are still there",
    "generation_swapped": "`flat` (then `rejected`) is rebuilt, the tables derived from it are not yet",
    "damage_cleared": "the damaged Delta log of a table is removed, the table is not yet made anew",
    "alerts_noted": "alerts that begin or end are noted, nobody was told",
    "alerts_sealed": "the events of alerts are in the log, that they are is not noted",
    "alerts_told": "alerts are printed, that they are is not noted",
    "alert_posted": "a webhook took an alert, that it did is not noted",
    "rows_forgotten": "retention took rows out of `flat` (then `rejected`), not yet out of the other tables",
    "event_relayed": "a backend took an event, that it did is not remembered",
}
"""Every step, and where a process that dies there stands."""


def _wanted() -> tuple[str, int] | None:
    step, _, count = os.environ.get(ENV, "").partition(":")
    if not step:
        return None
    if step not in STEPS or not (count or "1").isdecimal():
        raise ConfigError(
            f"{ENV}={os.environ[ENV]!r} is no failpoint; one of {', '.join(STEPS)}, or STEP:COUNT"
        )
    return step, int(count or "1")


_armed = _wanted()
_left = _armed[1] if _armed else 0
_watcher: Callable[[str], None] | None = None


def watch(watcher: Callable[[str], None] | None) -> None:
    """Have every step told to a simulation, which may interrupt there what it runs; None ends it."""
    global _watcher  # noqa: PLW0603  one simulation a process
    _watcher = watcher


def reached(step: str) -> None:
    """Say that the process is at a step; dies here if a test asked for it."""
    global _left  # noqa: PLW0603  a process dies once
    if _watcher is not None:
        _watcher(step)
    if _armed is None or _armed[0] != step:
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
