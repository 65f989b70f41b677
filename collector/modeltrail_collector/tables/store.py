"""Delta tables below `<log>/tables/`: opening, commits that happen once, appending, replacing.

A mark is a Delta `app_transaction` (name -> number) that travels in the same commit as the rows. Delta
compares it only between writers that started from the same version, so each write goes: load the table,
compare the marks, write with that very handle. A writer whose outcome is unknown loads again and looks.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import msgspec
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from modeltrail_collector.errors import CollectorError, Unavailable

TIMEOUT: Final = "30s"
"""Of one request to an object store."""

WRITER: Final = WriterProperties(compression="ZSTD", compression_level=1, max_row_group_size=4096)
"""Row groups are small: a question about one run, or one name, decodes one of them and not a file."""

FILE_BYTES: Final = 4 << 20
"""Files are sorted by run, and a few changed runs cost the files they lie in: so none is large."""

PROPERTIES: Final = {
    "delta.logRetentionDuration": "interval 6 hours",
    "delta.deletedFileRetentionDuration": "interval 6 hours",
}
"""Every hundredth commit writes a checkpoint and removes older commits than this: Delta's own default of a
month would keep 86,000 files per table beside a compactor that looks every 30 seconds."""


class Outrun(CollectorError):  # noqa: N818  named after what happened
    """Another compactor committed first: load the table again and look what is left to do."""


class TableDamaged(Unavailable):
    """A table, or one of its files, is not what was written."""

    def __init__(self, uri: str, problem: str) -> None:
        super().__init__(f"table {uri} cannot be used ({problem}): `modeltrail rebuild` makes it anew")


class Changed(msgspec.Struct, frozen=True):
    """What differs between two versions of a table: its buckets, and the files (URIs) that came to it."""

    buckets: set[str]
    added: set[str]


class TableStore(msgspec.Struct, frozen=True):
    """The folder of all tables; `root` is a directory or an object store URI."""

    root: str

    def uri(self, name: str) -> str:
        """Where table `name` lies."""
        return f"{self.root.rstrip('/')}/{name}"

    @property
    def options(self) -> dict[str, str] | None:
        """How delta-rs reaches an object store: as the log does, by the usual environment variables."""
        return {"timeout": TIMEOUT, "allow_http": "true"} if "://" in self.root else None

    def open(self, name: str) -> DeltaTable | None:
        """The newest version of a table, None where nothing was ever written.

        Raises:
            TableDamaged: It is there and cannot be read.
            Unavailable: The store does not answer.
        """
        try:
            return DeltaTable(self.uri(name), storage_options=self.options)
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise _in_our_words(self.uri(name), error) from error

    def stamp(self, name: str) -> object | None:
        """What is another after every commit to a table, cheaply told; None where it cannot be.

        Only a local disk tells: the name of the newest commit, and when it was written.
        """
        if "://" in self.root:
            return None
        try:
            commits = (entry for entry in os.scandir(Path(self.uri(name), "_delta_log")) if _is_commit(entry))
            newest = max(commits, key=lambda entry: entry.name, default=None)
            return (newest.name, newest.stat().st_mtime_ns) if newest else None
        except OSError:
            return None

    def create(self, name: str, schema: pa.Schema) -> DeltaTable:
        """Make a table, empty, unless it is there; its first column partitions it.

        Raises Unavailable when it cannot be written.
        """
        try:
            return DeltaTable.create(
                self.uri(name),
                schema=schema,
                partition_by=[schema.names[0]],
                mode="ignore",
                configuration=PROPERTIES,
                storage_options=self.options,
            )
        except (DeltaError, OSError) as error:
            raise Unavailable(f"table {self.uri(name)} cannot be made: {error}") from error

    def create_with(
        self, name: str, schema: pa.Schema, rows: pa.RecordBatchReader, set_marks: Mapping[str, int]
    ) -> None:
        """Make a table that is not there, with rows and marks, in one commit. Raises as `append`."""
        try:
            with committing(self.uri(name)):
                write_deltalake(
                    self.uri(name),
                    rows,
                    mode="error",
                    partition_by=[schema.names[0]],
                    configuration=PROPERTIES,
                    storage_options=self.options,
                    target_file_size=FILE_BYTES,
                    writer_properties=WRITER,
                    commit_properties=_commit(set_marks),
                )
        except TableDamaged as error:
            if self.open(name) is None:
                raise
            raise Outrun(f"table {self.uri(name)} was made by another process") from error

    def open_or_create(self, name: str, schema: pa.Schema) -> DeltaTable:
        """The newest version of a table, made empty where there is none."""
        return self.open(name) or self.create(name, schema)

    def changed(self, table: DeltaTable, since: int) -> Changed:
        """What differs between version `since` and the loaded one: everything, where that version is gone."""
        now = files_by_bucket(table)
        try:
            before = files_by_bucket(DeltaTable(table.table_uri, since, self.options))
        except DeltaError:
            before = {}
        buckets = {bucket for bucket in now.keys() | before.keys() if now.get(bucket) != before.get(bucket)}
        added = {path for bucket in buckets for path in now.get(bucket, set()) - before.get(bucket, set())}
        return Changed(buckets, added)


def _is_commit(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(".json") and entry.name[:-5].isdigit()


def append(table: DeltaTable, rows: pa.Table, set_marks: Mapping[str, int]) -> None:
    """Add rows and set marks in one commit.

    Raises:
        Outrun: Another writer set one of them meanwhile, or gave the table another column.
        Unavailable: The store does not answer; look what is there before trying again.
    """
    with committing(table.table_uri):
        write_deltalake(
            table,
            rows,
            mode="append",
            schema_mode="merge",
            writer_properties=WRITER,
            commit_properties=_commit(set_marks),
        )


def replace(
    table: DeltaTable,
    rows: pa.Table | pa.RecordBatchReader,
    predicate: str | None,
    set_marks: Mapping[str, int],
) -> None:
    """Replace the rows that a SQL predicate is true for (None: all rows) and set marks in one commit.

    A column that one of the two lacks is empty there: a compactor of an older version may have written it.
    Raises as `append`.
    """
    with committing(table.table_uri):
        write_deltalake(
            table,
            rows,
            mode="overwrite",
            predicate=predicate,
            schema_mode="overwrite" if predicate is None else "merge",
            target_file_size=FILE_BYTES,
            writer_properties=WRITER,
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
def committing(uri: str) -> Iterator[None]:
    """Delta's errors in our words. Raises as `append`."""
    try:
        yield
    except CommitFailedError as error:
        raise Outrun(str(error)) from error
    except (DeltaError, OSError) as error:
        raise _in_our_words(uri, error) from error
    except Exception as error:
        if type(error) is not Exception:
            raise
        # On one processor delta-rs says so that the stream of rows ended early.
        raise _in_our_words(uri, error) from error


def _in_our_words(uri: str, error: Exception) -> Unavailable:
    """What delta-rs has no answer from is an OSError; everything else it says is about the table."""
    said = str(error).strip().partition("\n")[0]
    uri = uri.removeprefix("file://").rstrip("/")
    if isinstance(error, OSError):
        return Unavailable(f"table {uri} cannot be reached: {said}")
    return TableDamaged(uri, said)


def place(table: DeltaTable) -> str:
    """The path or the object store URI of a table: delta-rs tells a folder `my log` as `file:///my%20log`."""
    uri = table.table_uri.rstrip("/")
    path = uri.removeprefix("file://")
    return uri if path == uri else unquote(path)


def statistics(table: DeltaTable) -> pa.Table:
    """What the log of a loaded table says of each of its files.

    A stream, and not `pa.table(...)`: that imports pandas, which takes half a second.
    """
    return pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True)).read_all()


def files_by_bucket(table: DeltaTable) -> dict[str, set[str]]:
    """The data files of a table version (URIs), by the value of its partition column."""
    actions = statistics(table)
    column = next(name for name in actions.column_names if name.startswith("partition."))
    root = place(table)
    found: dict[str, set[str]] = {}
    for bucket, path in zip(actions[column].to_pylist(), actions["path"].to_pylist(), strict=True):
        found.setdefault(bucket, set()).add(f"{root}/{path}")
    return found
