"""Log records -> flat rows: a pure function of one Arrow batch.

It keeps no state, so the same function runs here and inside Spark's `mapInArrow` over the same segments.
"""

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson
import pyarrow as pa

from modeltrail_collector.model import Entry, LogPartition
from modeltrail_collector.tables.schema import ENTRIES, FLAT, REJECTED

_EPOCH_YEARS: Final = range(2000, 2101)
_FACET_COLUMNS: Final = ("scope", "namespace", "name", "key", "part", "value")

Facets = dict[str, msgspec.Raw]
FacetRow = tuple[str, str | None, str | None, str, str, str | None]


class _Run(msgspec.Struct):
    facets: Facets = {}


class _Job(msgspec.Struct):
    namespace: str = ""
    name: str = ""
    facets: Facets = {}


class _Dataset(msgspec.Struct):
    namespace: str = ""
    name: str = ""
    facets: Facets = {}
    input_facets: Facets = msgspec.field(default={}, name="inputFacets")
    output_facets: Facets = msgspec.field(default={}, name="outputFacets")


class _Event(msgspec.Struct):
    producer: str | None = None
    run: _Run | None = None
    job: _Job | None = None
    dataset: _Dataset | None = None
    inputs: list[_Dataset] = []
    outputs: list[_Dataset] = []


_decode = msgspec.json.Decoder(_Event).decode


def entries_batch(partition: LogPartition, entries: Iterable[Entry]) -> pa.RecordBatch:
    """Entries of one log partition as the Arrow batch that `flatten` and `rejected` take."""
    rows = list(entries)
    columns: list[Any] = []
    for field in ENTRIES:
        if field.name == "topic_id":
            values: list[Any] = [partition.topic_id] * len(rows)
        elif field.name == "reasons":
            values = [[msgspec.structs.asdict(reason) for reason in row.reasons] for row in rows]
        else:
            values = [getattr(row, field.name) for row in rows]
        columns.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=ENTRIES)


def flatten(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Flat rows (schema `FLAT`) of the accepted and warned records of a batch (schema `ENTRIES`)."""
    rows = [row for row in batch.to_pylist() if row["verdict"] != "rejected"]
    made = [_flat(row) for row in rows]
    copied = {"topic", "topic_id", "partition", "offset", "verdict", "event_kind", "event_type"}
    copied |= {"run_id", "job_namespace", "job_name", "sha256"}
    columns: list[Any] = []
    for field in FLAT:
        if field.name == "facets":
            columns.append(_facets_array([row["facets"] for row in made]))
        else:
            source = rows if field.name in copied else made
            columns.append(pa.array([row[field.name] for row in source], field.type))
    return pa.RecordBatch.from_arrays(columns, schema=FLAT)


def rejected(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of table `rejected` (schema `REJECTED`): one per reason of each rejected record of a batch."""
    return pa.RecordBatch.from_pylist(
        [
            {**row, **reason, "ingested_at": at, "arrival_date": at.strftime("%Y-%m-%d")}
            for row in batch.to_pylist()
            if row["verdict"] == "rejected"
            for at in [_from_ms(row["ingested_at_ms"])]
            for reason in row["reasons"]
            or [{"code": "unknown", "path": "$", "message": "No reason was kept."}]
        ],
        schema=REJECTED,
    )


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    value: bytes = row["value"] or b""
    event = _read(value)
    arrived = _from_ms(row["ingested_at_ms"])
    said = event_time(row["event_time"])
    facets = list(_facet_rows(event))
    whose = row["run_id"] or _entity(event)
    return {
        "bucket": run_bucket(whose),
        "ingested_at": arrived,
        "event_time": said,
        "happened_at": said or arrived,
        "producer": event.producer,
        "digest": canonical_digest(value),
        "snapshot": _is_snapshot(event),
        "facets": facets,
    }


def _entity(event: _Event) -> str:
    """Whom an event without a run speaks of."""
    of = event.job or event.dataset or _Job()
    return f"{of.namespace}\0{of.name}"


def _read(value: bytes) -> _Event:
    """The envelope, facets left as raw JSON.

    The judge admits lone surrogates (`"\\ud800"`), which are JSON but not Unicode: they become `?` here.
    """
    try:
        return _decode(value)
    except msgspec.DecodeError:
        try:
            return _decode(json.dumps(json.loads(value), ensure_ascii=False).encode("utf-8", "replace"))
        except (ValueError, RecursionError, msgspec.DecodeError):
            return _Event()


def _facet_rows(event: _Event) -> Iterator[FacetRow]:
    """(scope, namespace, name, key, part, value) of each facet; key `""` says that a dataset was there at all."""
    if event.run is not None:
        for key, raw in event.run.facets.items():
            yield "run", None, None, key, _part(key, raw), _text(raw)
    if event.job is not None:
        for key, raw in event.job.facets.items():
            yield "job", event.job.namespace, event.job.name, key, _part(key, raw), _text(raw)
    if event.run is None:
        if event.dataset is not None:
            yield from _dataset_rows("dataset", event.dataset, {})
        return  # the inputs and outputs a JobEvent declares were never read or written by anybody
    for dataset in event.inputs:
        yield from _dataset_rows("input", dataset, dataset.input_facets)
    for dataset in event.outputs:
        yield from _dataset_rows("output", dataset, dataset.output_facets)


def _dataset_rows(scope: str, dataset: _Dataset, use_facets: Facets) -> Iterator[FacetRow]:
    namespace, name = dataset.namespace, dataset.name
    yield scope, namespace, name, "", "", None
    for key, raw in dataset.facets.items():
        yield scope, namespace, name, key, "", _text(raw)
    for key, raw in use_facets.items():
        yield f"{scope}_facet", namespace, name, key, "", _text(raw)


def _part(key: str, raw: msgspec.Raw) -> str:
    """What tells apart facets that add up instead of replacing each other: a chunk's number, a statement's hash."""
    if key == "modelTrail_metricSeries":
        try:
            return str(msgspec.json.decode(raw)["seq"])
        except (msgspec.DecodeError, TypeError, KeyError, IndexError):
            return ""
    if key == "lineage":
        return hashlib.sha256(raw).hexdigest()[:16]
    return ""


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode()


def _is_snapshot(event: _Event) -> bool:
    """Whether the job says that each of its events is a window of its own (COMPLETE_SNAPSHOT)."""
    raw = event.job.facets.get("jobType") if event.job else None
    if raw is None or b"COMPLETE_SNAPSHOT" not in bytes(raw):
        return False
    facet = msgspec.json.decode(raw)
    pattern = facet.get("emissionPattern") if isinstance(facet, dict) else None
    return isinstance(pattern, dict) and pattern.get("eventContentMode") == "COMPLETE_SNAPSHOT"


def _facets_array(rows: list[list[FacetRow]]) -> pa.ListArray:
    """The nested column, built column by column: four times as fast as from dictionaries."""
    offsets = [0]
    for row in rows:
        offsets.append(offsets[-1] + len(row))
    columns = list(zip(*(facet for row in rows for facet in row), strict=True)) or [()] * len(_FACET_COLUMNS)
    struct = pa.StructArray.from_arrays(
        [pa.array(column, pa.string()) for column in columns], names=list(_FACET_COLUMNS)
    )
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), struct)


def canonical_digest(value: bytes) -> str:
    """32 hex digits over the canonical JSON (sorted keys, no space): equal for copies of one event.

    OpenLineage has no event id; a producer that sends an event twice may order its keys differently.
    """
    try:
        value = orjson.dumps(orjson.loads(value), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        pass  # what orjson cannot read is compared byte for byte
    return hashlib.sha256(value).hexdigest()[:32]


@functools.lru_cache(maxsize=16384)
def run_bucket(run_id: str) -> str:
    """The bucket of a run: the UTC date inside a UUIDv7 (years 2000 to 2100), else `x` and a hash digit."""
    if len(run_id) == 36 and run_id[14] == "7":
        try:
            at = datetime.fromtimestamp(int(run_id[:8] + run_id[9:13], 16) / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            at = None
        if at is not None and at.year in _EPOCH_YEARS:
            return at.strftime("%Y-%m-%d")
    return "x" + hashlib.sha256(run_id.encode("utf-8", "replace")).hexdigest()[0]


def model_bucket(namespace: str, name: str) -> str:
    """The bucket of a model name: `m` and two hash digits."""
    return "m" + hashlib.sha256(f"{namespace}\0{name}".encode("utf-8", "replace")).hexdigest()[:2]


def event_time(text: str | None) -> datetime | None:
    """An RFC 3339 time; None where it cannot be read. A time without a zone is taken as UTC."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _from_ms(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
