"""Who looks after a log while collectors write it: maintain, compact, rebuild and repair, by chance.

Each work is a process, and each step that it comes by one at which it may be killed. What is left half done
the next one finishes.
"""

import os
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from faults import life
from faults.members import Task

from modeltrail_collector.errors import CollectorError, NotVerified
from modeltrail_collector.failpoints import STEPS
from modeltrail_collector.log import open_log
from modeltrail_collector.log.maintenance import maintain

WORK = "FAULTS_WORK"
KEEP = timedelta(seconds=30)
IN_TABLES = ("flat_committed", "rejected_committed", "table_replaced")

COLLECTING = tuple(STEPS)[: tuple(STEPS).index("letters_published") + 1]
"""The steps that collectors come by, where the log is on a disk and dead letters are published."""


def tidy(task: Task) -> None:
    """Roll up what is small, remove what is old."""
    maintain(open_log(task.log), keep=KEEP)


def tabulate(task: Task) -> None:
    """Bring the tables up to the end of the log; join, vacuum, checkpoint."""
    from modeltrail_collector import tables
    from modeltrail_collector.tables import upkeep

    log = open_log(task.log)
    tables.compact(log)
    upkeep.keep_up(log)


def rebuild(task: Task) -> None:
    from modeltrail_collector import tables

    tables.rebuild(open_log(task.log))


def rebuild_damaged(task: Task) -> None:
    life.damage_a_table(task)
    rebuild(task)


def mend(task: Task) -> None:
    """Repair a segment that nobody has rolled up, after a bit of it was flipped."""
    log = open_log(task.log)
    for partition in log.partitions():
        for segment in list(log.segments(partition))[:-1]:
            if not (segment.parts or segment.removed or segment.repair):
                life.flip(Path(task.log, segment.name))
                repair(task)
                return


def repair(task: Task) -> None:
    assert {"repaired"} >= {outcome.outcome for outcome in life.repair_all(task)}


Work = Callable[[Task], None]

ANYWHERE: Mapping[Work, tuple[str, ...]] = {
    tidy: ("rollup_written", "part_stubbed", "removal_recorded", "records_removed"),
    life.roll_up: ("rollup_written", "part_stubbed", "rollup_removed"),
    tabulate: (*IN_TABLES, "files_joined", "table_vacuumed", "table_checkpointed"),
    rebuild: ("generation_swapped", "table_replaced"),
    life.forget: ("rows_forgotten", *IN_TABLES),
}
"""What can be done, and the steps that it comes by."""

ON_A_DISK: Mapping[Work, tuple[str, ...]] = ANYWHERE | {
    mend: ("evidence_kept", "segment_repaired"),
    rebuild_damaged: ("damage_cleared", "generation_swapped"),
}
"""The same where files can be damaged."""

WORKS = {work.__name__: work for work in ON_A_DISK}


def care(task: Task) -> None:
    """The work that the environment names; what another one left damaged is mended as its errors say."""
    try:
        try:
            _work(task)
        except NotVerified:
            repair(task)
    except CollectorError as error:  # as the command line does
        sys.stderr.write(f"{os.environ[WORK]}: {error}\n")
        raise SystemExit(error.exit_code) from error


def _work(task: Task) -> None:
    """The work, or what its error says; both a table and a segment may be damaged."""
    from modeltrail_collector import tables
    from modeltrail_collector.tables import TableDamaged

    try:
        WORKS[os.environ[WORK]](task)
    except TableDamaged:
        tables.rebuild(open_log(task.log))


def rows_twice(log: str) -> int:
    """How many records are in the table of all of them twice, when it is brought up to date."""
    from modeltrail_collector import tables
    from modeltrail_collector.tables import TableDamaged

    opened = open_log(log)
    try:
        tables.compact(opened)
    except TableDamaged:
        tables.rebuild(opened)
    table = tables.table_store(opened).open("flat")
    rows = table.to_pyarrow_table(columns=["partition", "offset"]).to_pylist() if table else []
    return len(rows) - len({tuple(row.values()) for row in rows})
