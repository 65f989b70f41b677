"""Delta tables below `<log>/tables/`: opening, commits that happen once, appending, replacing.

A mark is a Delta `app_transaction` (name -> number) that travels in the same commit as the rows. Delta
compares it only between writers that started from the same version, so each write goes: load the table,
compare the marks, write with that very handle. A writer whose outcome is unknown loads again and looks.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from modeltrail_collector.errors import CollectorError, Unavailable

_WRITER: Final = WriterProperties(compression="ZSTD", compression_level=1)
_FILE_BYTES: Final = 4 << 20
"""Files are sorted by run, and a few changed runs cost the files they lie in: so none is large."""


class Outrun(CollectorError):  # noqa: N818  named after what happened
    """Another compactor committed first: load the table again and look what is left to do."""


class TableStore(msgspec.Struct, frozen=True):
    """The folder of all tables; `root` is a directory or an object store URI."""

    root: str

    def uri(self, name: str) -> str:
        """Where table `name` lies."""
        return f"{self.root.rstrip('/')}/{name}"

    def open(self, name: str) -> DeltaTable | None:
        """The newest version of a table, None where nothing was ever written.

        Raises Unavailable when the store cannot be read.
        """
        try:
            return DeltaTable(self.uri(name))
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise Unavailable(
                f"table {self.uri(name)} cannot be read ({error}): "
                "move it away and run `modeltrail rebuild`; the log holds all of it"
            ) from error

    def open_or_create(self, name: str, schema: pa.Schema) -> DeltaTable:
        """The newest version of a table, made empty where there is none; its first column partitions it."""
        found = self.open(name)
        if found is not None:
            return found
        return DeltaTable.create(self.uri(name), schema=schema, partition_by=[schema.names[0]], mode="ignore")


def append(table: DeltaTable, rows: pa.Table, set_marks: Mapping[str, int]) -> None:
    """Add rows and set marks in one commit. Raises Outrun when another writer set one of them meanwhile."""
    with _outrun():
        write_deltalake(
            table,
            rows,
            mode="append",
            schema_mode="merge",
            writer_properties=_WRITER,
            commit_properties=_commit(set_marks),
        )


def replace(
    table: DeltaTable,
    rows: pa.Table | pa.RecordBatchReader,
    predicate: str | None,
    set_marks: Mapping[str, int],
) -> None:
    """Replace the rows that a SQL predicate is true for (None: all rows) and set marks in one commit.

    Raises Outrun as `append`.
    """
    with _outrun():
        write_deltalake(
            table,
            rows,
            mode="overwrite",
            predicate=predicate,
            schema_mode="overwrite" if predicate is None else None,
            target_file_size=_FILE_BYTES,
            writer_properties=_WRITER,
            commit_properties=_commit(set_marks),
        )


def among(column: str, values: Iterable[str]) -> str:
    """The predicate that a column has one of these values."""
    texts = ("'" + value.replace("'", "''") + "'" for value in sorted(values))
    return f"{column} IN ({', '.join(texts) or 'NULL'})"


def _commit(set_marks: Mapping[str, int]) -> CommitProperties:
    return CommitProperties(
        app_transactions=[Transaction(name, number) for name, number in set_marks.items()]
    )


@contextlib.contextmanager
def _outrun() -> Iterator[None]:
    try:
        yield
    except CommitFailedError as error:
        raise Outrun(str(error)) from error


def files_by_bucket(table: DeltaTable) -> dict[str, set[str]]:
    """The data files of a table version, by the value of its partition column."""
    actions = pa.table(table.get_add_actions(flatten=True))
    column = next(name for name in actions.column_names if name.startswith("partition."))
    found: dict[str, set[str]] = {}
    for bucket, path in zip(actions[column].to_pylist(), actions["path"].to_pylist(), strict=True):
        found.setdefault(bucket, set()).add(path)
    return found


class Changed(msgspec.Struct, frozen=True):
    """What differs between two versions of a table: its buckets, and the files (paths) that came to it."""

    buckets: set[str]
    added: set[str]


def changed(table: DeltaTable, since: int) -> Changed:
    """What differs between version `since` and the loaded one: everything, where that version is gone."""
    now = files_by_bucket(table)
    try:
        before = files_by_bucket(DeltaTable(table.table_uri, version=since))
    except DeltaError:
        before = {}
    buckets = {bucket for bucket in now.keys() | before.keys() if now.get(bucket) != before.get(bucket)}
    added = {path for bucket in buckets for path in now.get(bucket, set()) - before.get(bucket, set())}
    return Changed(buckets, added)
