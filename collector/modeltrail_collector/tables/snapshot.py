"""A version of a table, opened to be read: which of its files the rows that are asked for lie in.

The files of a derived table are sorted by one column (`SORTED_BY`), and the table's log says of each between
which values its rows lie: to look there costs microseconds, to open a file a millisecond.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

import msgspec
from deltalake import DeltaTable

from modeltrail_collector.tables import scan
from modeltrail_collector.tables.schema import SORTED_BY, TABLES
from modeltrail_collector.tables.store import statistics

_MANY: Final = 500
"""So many values are not told to the files one by one: the question joins with them anyway."""


class Near(msgspec.Struct, frozen=True):
    """The rows whose sorted column has one of these values, and the buckets that they lie in."""

    buckets: frozenset[str]
    values: frozenset[str]

    @property
    def is_literal(self) -> bool:
        """Whether the SELECT itself leaves out what is not near; else it may hold more, for a join."""
        return len(self.values) <= _MANY and not any("\0" in value for value in self.values)


class _File(NamedTuple):
    bucket: str
    uri: str
    least: str | None
    most: str | None


class Snapshot:
    """The files of a table's version; a table that is not there has none."""

    def __init__(self, name: str, table: DeltaTable | None) -> None:
        self.table, self.schema = table, TABLES[name]
        self.bytes = 0
        self._column, self._same = SORTED_BY.get(name), True
        self._files: dict[str, list[_File]] = {}
        if table is not None:
            self._read(table)

    def _read(self, table: DeltaTable) -> None:
        found = statistics(table)
        self.bytes = sum(found["size_bytes"].to_pylist())
        self._same = scan.have_all(found, self.schema)
        root = table.table_uri.removeprefix("file://").rstrip("/")
        unknown = [None] * found.num_rows
        limits = (f"{end}.{self._column}" for end in ("min", "max"))
        least, most = (found[name].to_pylist() if name in found.column_names else unknown for name in limits)
        buckets = found[f"partition.{self.schema.names[0]}"].to_pylist()
        for bucket, path, *ends in zip(buckets, found["path"].to_pylist(), least, most, strict=True):
            self._files.setdefault(bucket, []).append(_File(bucket, f"{root}/{path}", *ends))

    @property
    def buckets(self) -> Collection[str]:
        """The buckets that have files."""
        return self._files.keys()

    def query(self, near: Near | None = None, buckets: Collection[str] | None = None) -> str:
        """The SELECT of all rows, or of those near something, or of those buckets; in the declared shape."""
        chosen = self._files.keys() if buckets is None else self._files.keys() & buckets
        if near is None:
            return self._reading(file.uri for bucket in sorted(chosen) for file in self._files[bucket])
        files = self.files(near)
        query = self._reading(file.uri for file in files if buckets is None or file.bucket in chosen)
        if not files or not near.is_literal:
            return query
        among = ", ".join(map(scan.quoted, sorted(near.values)))
        return f'FROM ({query}) WHERE "{self._column}" IN ({among})'

    def files(self, near: Near) -> list[_File]:
        """The files in which something near may lie."""
        values = sorted(near.values)
        return [
            file
            for bucket in sorted(self._files.keys() & near.buckets)
            for file in self._files[bucket]
            if _may_hold(file, values)
        ]

    def _reading(self, uris: Iterable[str]) -> str:
        return scan.reading(list(uris), self.schema, same=self._same)


def _may_hold(file: _File, values: list[str]) -> bool:
    """Whether one of these values, which are sorted, may be in a file."""
    if file.least is None or file.most is None:
        return True
    at = bisect_left(values, file.least)
    return at < len(values) and values[at] <= file.most
