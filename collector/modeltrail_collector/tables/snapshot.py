"""A version of a table, opened to be read: which of its files the rows that are asked for lie in.

The files of a derived table are sorted by one column (`SORTED_BY`), and the table's log says of each between
which values its rows lie: to look there costs microseconds, to open a file a millisecond.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import msgspec
import pyarrow as pa
from deltalake import DeltaTable

from modeltrail_collector.tables import scan
from modeltrail_collector.tables.flatten import model_bucket, name_bucket, run_bucket
from modeltrail_collector.tables.schema import BY_MODEL, BY_NAME, BY_RUN, SORTED_BY, TABLES
from modeltrail_collector.tables.store import place, statistics

_MANY: Final = 500
"""So many values are not told to the files one by one: the question joins with them anyway."""


_SEVERAL: Final = 16
"""With so many values it still takes less to look at each row twice than to decode rows in vain."""
_FEW: Final = 4
"""With so many it takes less to look for all in all files than to plan a SELECT for each bucket."""

_HASHES: Final = ("d", "x")
"""How the buckets of names begin, and those of runs whose id holds no day. Not those of models: these are so
many that a file has one row group."""


class Near(msgspec.Struct, frozen=True):
    """The rows whose sorted column has one of some values: pairs of a value's bucket and the value."""

    places: frozenset[tuple[str, str]]

    @property
    def values(self) -> frozenset[str]:
        """The values alone."""
        return frozenset(value for _, value in self.places)

    @property
    def is_literal(self) -> bool:
        """Whether the SELECT itself leaves out what is not near; else it may hold more, for a join."""
        return len(self.places) <= _MANY and not any("\0" in value for _, value in self.places)

    @property
    def parts(self) -> list["Near"]:
        """What is near, in parts to be looked for apart: each bucket that is a hash, and all others.

        The values of a hash lie evenly between those of another: where all are looked for in all files, each
        has a row group read in the files of every bucket.
        """
        if len(self.places) <= _FEW:
            return [self]
        found: dict[str, set[tuple[str, str]]] = {}
        for bucket, value in sorted(self.places):
            found.setdefault(bucket if bucket.startswith(_HASHES) else "", set()).add((bucket, value))
        return [Near(frozenset(places)) for places in found.values()]


def near_to(
    name: str,
    runs: Collection[str] | None = None,
    models: Collection[tuple[str, str]] | None = None,
    keys: Collection[str] | None = None,
) -> Near | None:
    """Where the rows of these runs, models or names lie in a table; None: anywhere."""
    if name in BY_RUN and runs is not None:
        return Near(frozenset((run_bucket(run_id), run_id) for run_id in runs))
    if name in BY_NAME and keys is not None:
        return Near(frozenset((name_bucket(key), key) for key in keys))
    if name in BY_MODEL and models is not None:
        return Near(frozenset((model_bucket(*one), one[1]) for one in models))
    return None


_FIRST_PART: Final = 4
_STATISTIC: Final = timedelta(milliseconds=1)
"""Delta's statistics of times are cut off at a millisecond."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ANY_TIME: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""Of a file of which nothing is known anything may come: it is read first."""


class _File(NamedTuple):
    bucket: str
    uri: str
    least: str | None
    most: str | None


class Part(NamedTuple):
    """Some of a table's rows (a SELECT), and the latest time that there is in those that are left."""

    query: str
    later: datetime | None


class Snapshot:
    """The files of a table's version; a table that is not there has none."""

    def __init__(self, name: str, table: DeltaTable | None) -> None:
        self.table, self.schema = table, TABLES[name]
        self.bytes = 0
        self._column, self._same = SORTED_BY.get(name), True
        self._files: dict[str, list[_File]] = {}
        self._uris: list[str] = []
        self._buckets: list[str] = []
        self._statistics: pa.Table | None = None
        if table is not None:
            self._read(table)

    def _read(self, table: DeltaTable) -> None:
        found = statistics(table)
        self.bytes = sum(found["size_bytes"].to_pylist())
        self._same = scan.are_same(found, self.schema)
        root = place(table)
        unknown = [None] * found.num_rows
        limits = (f"{end}.{self._column}" for end in ("min", "max"))
        least, most = (found[name].to_pylist() if name in found.column_names else unknown for name in limits)
        self._buckets = found[f"partition.{self.schema.names[0]}"].to_pylist()
        self._uris = [f"{root}/{path}" for path in found["path"].to_pylist()]
        self._statistics = found
        for bucket, uri, *ends in zip(self._buckets, self._uris, least, most, strict=True):
            self._files.setdefault(bucket, []).append(_File(bucket, uri, *ends))

    @property
    def version(self) -> str:
        """Which version of which table it is."""
        return f"{self.table.metadata().id}:{self.table.version()}" if self.table is not None else "-"

    @property
    def buckets(self) -> Collection[str]:
        """The buckets that have files."""
        return self._files.keys()

    def query(self, near: Near | None = None, buckets: Collection[str] | None = None) -> str:
        """The SELECT of all rows, or of those near something, or of those buckets; in the declared shape."""
        chosen = self._files.keys() if buckets is None else self._files.keys() & buckets
        if near is None:
            return self._reading(file.uri for bucket in sorted(chosen) for file in self._files[bucket])
        if near.is_literal:
            return f"SELECT {scan.names(self.schema)} FROM {self.rows(near, chosen)}"  # noqa: S608  ours
        return self._reading(file.uri for file in self.files(near) if file.bucket in chosen)

    def lacking(self, column: str) -> str:
        """The SELECT of all rows of the files that may have some without a value there."""
        nulls = zip(self._uris, self._nulls(column), strict=True)
        return self._reading(uri for uri, count in nulls if count != 0)

    def source(self, near: Near) -> str:
        """What a SELECT is FROM that reads the files in which something near may lie."""
        return scan.source([file.uri for file in self.files(near)], self.schema, same=self._same)

    def rows(self, near: Near, buckets: Collection[str] | None = None) -> str:
        """What a SELECT is FROM that reads just what is near, of those buckets; AND may follow."""
        parts = [
            (uris, self.among(part))
            for part in near.parts
            if (uris := [file.uri for file in self.files(part) if buckets is None or file.bucket in buckets])
        ]
        if len(parts) > 1:
            several = (f"{self._reading(uris)} WHERE {is_near}" for uris, is_near in parts)
            return f"({' UNION ALL '.join(several)}) WHERE true"
        uris, is_near = parts[0] if parts else ([], "true")
        # A subquery would cost the planner a third of what such a read takes.
        return f"{scan.source(uris, self.schema, same=self._same)} WHERE {is_near}"

    def among(self, near: Near) -> str:
        """The condition, as SQL, under which a row is near; of several values, up to some, said twice.

        By an IN of several values DuckDB (2.0) leaves out row groups, decodes all columns of the others, and
        only then looks. What is no plain comparison the scan looks at itself, before it decodes the others.
        """
        is_near = f'"{self._column}" IN ({", ".join(map(scan.quoted, sorted(near.values)))})'
        return f"{is_near} AND coalesce({is_near}, false)" if 1 < len(near.places) <= _SEVERAL else is_near

    def newest_first(self, *times: str) -> Iterator[Part]:
        """All rows, in parts that grow: of those files first that go on the longest by these columns."""
        ends = [self._latest(time) for time in times]
        files = [
            (max((end[number] for end in ends), default=_ANY_TIME), uri)
            for number, uri in enumerate(self._uris)
        ]
        files.sort(reverse=True)
        size = _FIRST_PART
        while files:
            part, files = files[:size], files[size:]
            later = files[0][0] + _STATISTIC if files else None
            yield Part(self._reading(uri for _, uri in part), later)
            size *= _FIRST_PART

    def limits(self, time: str) -> dict[str, tuple[datetime, datetime]]:
        """Between which times this column lies, by bucket; a bucket is left out where that is not known."""
        ends = zip(self._ends(f"min.{time}"), self._ends(f"max.{time}"), self._nulls(time), strict=True)
        found: dict[str, tuple[datetime, datetime]] = {}
        unknown: set[str] = set()
        for bucket, (least, most, nulls) in zip(self._buckets, ends, strict=True):
            if least is None or most is None or nulls != 0:
                unknown.add(bucket)
                continue
            known = found.get(bucket, (least, most + _STATISTIC))
            found[bucket] = (min(known[0], least), max(known[1], most + _STATISTIC))
        return {bucket: span for bucket, span in found.items() if bucket not in unknown}

    def _latest(self, time: str) -> list[datetime]:
        """The latest that may be in each file, by its statistics."""
        return [_ANY_TIME if end is None else end for end in self._ends(f"max.{time}")]

    def _ends(self, statistic: str) -> list[datetime | None]:
        """A statistic of each file that is a time."""
        if self._statistics is None or statistic not in self._statistics.column_names:
            return [None] * len(self._uris)
        # As numbers: pyarrow's conversion of times imports pandas, which takes half a second, and a cast its
        # functions, which take a tenth.
        ends = self._statistics[statistic].combine_chunks().view(pa.int64()).to_pylist()
        return [None if end is None else _EPOCH + timedelta(microseconds=end) for end in ends]

    def _nulls(self, column: str) -> list[int | None]:
        """How many rows of each file have no value there."""
        if self._statistics is None or f"null_count.{column}" not in self._statistics.column_names:
            return [None] * len(self._uris)
        counts: list[int | None] = self._statistics[f"null_count.{column}"].to_pylist()
        return counts

    def files(self, near: Near) -> list[_File]:
        """The files in which something near may lie."""
        by_bucket: dict[str, list[str]] = {}
        for bucket, value in sorted(near.places):
            by_bucket.setdefault(bucket, []).append(value)
        return [
            file
            for bucket, values in by_bucket.items()
            for file in self._files.get(bucket, ())
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
