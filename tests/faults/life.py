"""All that ever happens to a log: together the works come by every step at which a process can be killed."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from faults.members import Task, collect

from modeltrail_collector.intake import kafka
from modeltrail_collector.log import open_log
from modeltrail_collector.log import rollup as rollup_
from modeltrail_collector.log.log import Log
from modeltrail_collector.log.maintenance import maintain
from modeltrail_collector.log.rollup import RollUp
from modeltrail_collector.log.store import Lease
from modeltrail_collector.model import LogPartition
from modeltrail_collector.pump.recollect import Recollector
from modeltrail_collector.pump.repair import Outcome, repair


class _Overtaken:
    """The lease of a process that was frozen just before it wrote, while another did all of its work."""

    def __init__(self, log: Log, partition: LogPartition, lease: Lease) -> None:
        self._log, self._partition, self._lease = log, partition, lease
        self._checks = 0

    def check(self) -> None:
        self._checks += 1
        if self._checks == 2:
            bounds = rollup_.PARTS, rollup_.FEW
            segments = sum(1 for _ in self._log.segments(self._partition)) - 1
            # Its roll-ups have other bounds, and leave nothing over.
            rollup_.PARTS, rollup_.FEW = next(size for size in range(3, 9) if segments % size != 1), 2
            RollUp(self._log, self._partition, self._lease, lambda _: None).run()
            rollup_.PARTS, rollup_.FEW = bounds


def begin(task: Task) -> None:
    """Collect to the end."""
    collect(replace(task, until_end=True))


def mend(task: Task) -> None:
    """Collect a segment again that was damaged."""
    flip(sorted(Path(task.log).glob("raw/**/*.avro"))[1])
    assert ["repaired"] == [outcome.outcome for outcome in repair_all(task)]


def flip(segment: Path) -> None:
    """Change a bit among its records."""
    data = bytearray(segment.read_bytes())
    data[-20] ^= 1
    segment.write_bytes(data)


def repair_all(task: Task) -> list[Outcome]:
    log = open_log(task.log)
    connection = kafka.Connection(task.servers, task.topic, task.group)
    recollector = Recollector(lambda _: kafka.KafkaSource(connection, (0, 1)), strict=False)
    try:
        return list(repair(log, recollector, log.partitions()))
    finally:
        recollector.close()


def roll_up(task: Task) -> None:
    """Roll up small segments, overtaken by another."""
    log = open_log(task.log)
    with log.store.lease("raw") as lease:
        for partition in log.partitions():
            RollUp(log, partition, _Overtaken(log, partition, lease), lambda _: None).run()


def tabulate(task: Task) -> None:
    """Compact, keep the tables up, and rebuild them when one is damaged."""
    from modeltrail_collector import tables
    from modeltrail_collector.tables import compaction, upkeep

    log = open_log(task.log)
    compaction._COMMIT_ROWS = 100  # so that there are files to join
    tables.compact(log)
    upkeep.keep_up(log)
    damage_a_table(task)
    tables.rebuild(log)


def damage_a_table(task: Task) -> None:
    """Spoil the Delta log of one, if there are any yet: behind a checkpoint nobody reads its commits."""
    for file in Path(task.log, "tables", "params", "_delta_log").glob("*.*"):
        file.write_bytes(b"\0")


def forget(task: Task) -> None:
    """Take everything out of the tables."""
    from modeltrail_collector.tables import retention

    retention.forget(open_log(task.log), timedelta(days=-2))


def retain(task: Task) -> None:
    """Take all records out of the log."""
    maintain(open_log(task.log), keep=timedelta(days=-2))


WORKS = (begin, mend, roll_up, tabulate, forget, retain)


def go_on(task: Task) -> None:
    """What is done after a crash, wherever it was."""
    from modeltrail_collector import tables
    from modeltrail_collector.tables import TableDamaged

    begin(task)
    repair_all(task)
    log = open_log(task.log)
    maintain(log)
    try:
        tables.compact(log)
    except TableDamaged:  # it says to rebuild
        tables.rebuild(log)
