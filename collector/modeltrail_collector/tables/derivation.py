"""From `flat` to the reduced tables: which of them are behind, by which rows, and their rows anew.

Each reduced table carries in its marks how far it is in every partition of the log, so that what is new to it
is known from the rows themselves: files may be joined or removed below it, and versions forgotten.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
import pyarrow as pa
from deltalake import DeltaTable

from modeltrail_collector.failpoints import reached
from modeltrail_collector.tables import models, reduce, scan, store
from modeltrail_collector.tables.reduce import Touched
from modeltrail_collector.tables.schema import BY_MODEL, DERIVED, FLAT
from modeltrail_collector.tables.snapshot import Snapshot
from modeltrail_collector.tables.work import Progress, Work, mark_of, offset_of

GENERATION: Final = "generation"
"""The mark that a rebuild raises: what was derived from an earlier generation of `flat` is derived anew."""

ROWS: Final = "rows"
"""The mark of `flat` and `rejected` that says by which rules the tables' rows were made."""

ROWS_VERSION: Final = 10
"""Raised whenever the same records come to other rows: those that are there are mended by a rebuild only.

1 (no mark): of versions with the same bytes one run was taken for the maker of all; content that nobody saw
had the fingerprint "". 2: figures did not say of which of the models of their run they are. 3: the file of
what has another name, or lies behind a link, was no name of it. 4: of what a run did to a version in its
registry the last counted, that it was deleted was not told, and what took an alias from it counted as said of
it. 5: who only found a model counted as its maker before who wrote it and told of no training; an alias
that a version was registered with anew took the place of those that it had. 6: after which step of its
training a model was saved was not told, and of several versions of one name that a run read, made or
registered the last counted. 7: what was renamed or altered came of nothing, and who dropped data counted as
its writer; of what a run read it was not told whether anybody saw what became of it. 8: data was not known by
its bytes under another name. 9: it was not told which outputs of its run something may have gone into.
"""

FORGOTTEN: Final = "forgotten"
"""The mark of retention: the day (since 1970) before which runs were forgotten; see `retention`."""

_LAST: Final = "deployments"
"""What speaks of rows of `models` and is few: who asks meanwhile finds no deployment before its version."""

_MANY_RUNS: Final = 1_000
"""So many runs are found faster as whole buckets than one by one."""


class Derived(msgspec.Struct, frozen=True):
    """What was done: the tables written that were there, each with the version before, and the buckets."""

    tables: dict[str, tuple[DeltaTable, int]] = {}
    buckets: int = 0


def derive(work: Work) -> Derived:
    """Bring the reduced tables up to `flat`.

    The handles are opened, and their marks compared, before rows are derived: a commit that would overwrite a
    newer one fails.
    """
    flat = work.tables.open_or_create("flat", FLAT)
    handles = {name: work.tables.open(name) for name in DERIVED}
    state = _State(work, flat, handles)
    behind = {name: handles[name] for name in state.behind}
    touched = state.touched()
    if not behind or (touched is not None and not touched.buckets):
        return Derived()
    before = {name: (table, table.version()) for name, table in behind.items() if table is not None}
    few = touched
    if touched is not None and touched.runs is not None and len(touched.runs) >= _MANY_RUNS:
        few = Touched(touched.buckets, None)

    def tell(part: int) -> None:
        work.tell(Progress("part", part))

    def replace(name: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        work.write(name, behind[name], rows, few.predicate(name) if few else None, state.marks)
        reached("table_replaced")
        work.tell(Progress(name, flat.version()))

    last: dict[str, pa.Table] = {}
    for name, rows in reduce.by_run(flat, few, behind.keys(), tell):
        if name == _LAST and few is not None:
            last[name] = rows.read_all()
        else:
            replace(name, rows)
    by_model = {name: behind[name] for name in BY_MODEL if name in behind}
    _derive_models(work, by_model, touched.runs if touched else None, state.marks)
    work.tell(Progress("models", flat.version()))
    for name, held in last.items():
        replace(name, held)
    return Derived(before, len(store.files_by_bucket(flat) if touched is None else touched.buckets))


def _derive_models(
    work: Work, behind: dict[str, DeltaTable | None], runs: set[str] | None, marks: dict[str, int]
) -> None:
    """Derive `models` and `changes` for what these runs (None: all) may concern.

    Where they concern no model the marks are set all the same: else the next compaction took these runs for
    new, and the one after it still more.
    """
    if not behind:
        return
    opened = {name: Snapshot(name, work.tables.open(name)) for name in models.READS}
    with scan.connect() as connection:
        scan.reach(connection, work.tables.root)
        buckets = models.derive(connection, lambda name, *where: opened[name].query(*where), runs)
        for name, table in behind.items():
            if table is not None and runs is not None and not buckets:
                work.append(table, BY_MODEL[name].empty_table(), marks)
            else:
                rows = scan.fetch(connection, models.sorted_rows(name), BY_MODEL[name])
                among = None if runs is None else store.among("bucket", buckets)
                work.write(name, table, rows, among, marks)
            reached("table_replaced")


class _State:
    """Which tables are behind `flat`, and `marks`: what one says that is derived from this version of it.

    To look a mark up costs milliseconds, and there is one per partition: tables that were derived from the
    same version say the same.
    """

    def __init__(self, work: Work, flat: DeltaTable, handles: Mapping[str, DeltaTable | None]) -> None:
        self._work, self._flat = work, flat
        of_flat = f"flat/{flat.metadata().id}"
        of_retention = {name: flat.transaction_version(name) or 0 for name in (GENERATION, FORGOTTEN)}
        offsets = self._offsets(flat)
        self.marks = {of_flat: flat.version(), **of_retention, **offsets}
        self.behind: set[str] = set()
        self._all = self._forgotten = False
        self._seen: dict[int, dict[str, int]] = {flat.version(): offsets}
        for name, table in handles.items():
            if table is None:
                self._all = True
                self.behind.add(name)
                continue
            since = table.transaction_version(of_flat)
            generation, forgotten = (table.transaction_version(mark) or 0 for mark in of_retention)
            if since is None or generation != of_retention[GENERATION]:
                self._all = True
            elif forgotten != of_retention[FORGOTTEN]:
                self._forgotten = True
            if since is not None and since not in self._seen:
                self._seen[since] = self._offsets(table)
            if since is None or (generation, forgotten, self._seen[since]) != (
                *of_retention.values(),
                offsets,
            ):
                self.behind.add(name)

    def _offsets(self, table: DeltaTable) -> dict[str, int]:
        return {mark_of(partition): offset_of(table, partition) for partition in self._work.partitions}

    def touched(self) -> Touched | None:
        """What the tables behind have not seen; None where all of a table has to be derived."""
        if self._all or not self.behind:
            return None
        changed = self._work.tables.changed(self._flat, min(self._seen))
        if self._forgotten:
            return Touched(changed.buckets, None)
        seen = {
            partition: min(offsets[mark_of(partition)] for offsets in self._seen.values())
            for partition in self._work.partitions
        }
        return reduce.new_rows(self._flat, changed.added, seen)
