"""Work on the tables: what it counts and tells, the marks it leaves, and that only one does it at a time."""

import contextlib
import gc
import re
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import msgspec
import pyarrow as pa
from deltalake import DeltaTable

from modeltrail_collector.errors import ConfigError, OwnershipLost, Unavailable
from modeltrail_collector.log import Log
from modeltrail_collector.log.store import Lease
from modeltrail_collector.model import LogPartition
from modeltrail_collector.tables import store
from modeltrail_collector.tables.store import Outrun, TableStore

_ATTEMPTS: Final = 10
_UNUSABLE: Final = re.compile(r"[][\\\x00-\x1f\x7f]|%[0-9A-Fa-f]{2}")
"""What delta-rs takes for something else in the path of a folder, or panics at."""

Result = TypeVar("Result")


class Progress(msgspec.Struct, frozen=True):
    """One step done: `stage` is a table's name and `rows` the rows written to it.

    Or it is `read`, and they are the records read so far; or `part`, and they are the number of the part that
    was derived.
    """

    stage: str
    rows: int


OnProgress = Callable[[Progress], None]


class Work(msgspec.Struct, frozen=True):
    """One owner's turn. Every commit goes through here: a lost lease is noticed before it, not after."""

    log: Log
    partitions: list[LogPartition]
    tables: TableStore
    lease: Lease
    tell: OnProgress

    def append(self, table: DeltaTable, rows: pa.Table, set_marks: dict[str, int]) -> None:
        """See `store.append`."""
        self.lease.check()
        store.append(table, rows, set_marks)

    def replace(
        self,
        table: DeltaTable,
        rows: pa.Table | pa.RecordBatchReader,
        predicate: str | None,
        set_marks: dict[str, int],
    ) -> None:
        """See `store.replace`."""
        self.lease.check()
        store.replace(table, rows, predicate, set_marks)

    def write(
        self,
        name: str,
        table: DeltaTable | None,
        rows: pa.Table | pa.RecordBatchReader,
        predicate: str | None,
        set_marks: dict[str, int],
    ) -> None:
        """`replace`; a table that is not there is made of the rows, in the same one commit."""
        if table is not None:
            self.replace(table, rows, predicate, set_marks)
        else:
            self.lease.check()
            self.tables.create_with(name, rows.schema, rows, set_marks)


def table_store(log: Log) -> TableStore:
    """Where the tables of a log lie.

    Raises ConfigError where delta-rs cannot keep any.
    """
    found = None if "://" in log.uri else _UNUSABLE.search(log.uri)
    if found:
        raise ConfigError(
            f"no tables can lie in {log.uri!r}, for the {found[0]!r} in it: move the log elsewhere"
        )
    return TableStore(f"{log.uri.rstrip('/')}/tables")


def alone(log: Log, tell: OnProgress | None, work: Callable[[Work], Result]) -> Result:
    """Do something to the tables while nobody else does.

    The lease is what keeps two apart; should one lose it while it is frozen, the marks in its commits make it
    fail, and it starts again from what is then stored.
    """
    for _ in range(_ATTEMPTS):
        try:
            with log.store.lease("tables") as lease, _without_garbage_collector():
                return work(Work(log, log.partitions(), table_store(log), lease, tell or _silent))
        except (Outrun, OwnershipLost) as error:
            last = error
    raise Unavailable(f"another process came first {_ATTEMPTS} times: {last}")


def mark_of(partition: LogPartition) -> str:
    """The name of a log partition's mark, topic id included: a topic made anew starts at offset 0 again."""
    return f"{partition.topic}/{partition.topic_id}/{partition.partition}"


def offset_of(table: DeltaTable, partition: LogPartition) -> int:
    """Up to which offset of a log partition a table is."""
    return table.transaction_version(mark_of(partition)) or 0


@contextlib.contextmanager
def _without_garbage_collector() -> Iterator[None]:
    """Rows are many and hold no cycles: to look for some takes a quarter of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _silent(_: Progress) -> None:
    pass
