"""Log records -> flat rows: a pure function of one Arrow batch.

It keeps no state, so the same function runs here and inside Spark's `mapInArrow` over the same segments.
"""

import contextlib
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson
import pyarrow as pa

from modeltrail_collector.model import Entry, LogPartition
from modeltrail_collector.tables.schema import ENTRIES, FLAT, REJECTED

_EPOCH_YEARS: Final = range(2000, 2101)
_REGISTRATION: Final = "modelTrail_registration"
_ADDING: Final = frozenset({"modelTrail_metricSeries", "lineage", _REGISTRATION})
_MADE: Final = ("bucket", "ingested_at", "event_time", "happened_at", "producer", "digest", "snapshot")

Facets = dict[str, msgspec.Raw]


class _Run(msgspec.Struct, gc=False):
    facets: Facets = {}


class _Job(msgspec.Struct, gc=False):
    namespace: str = ""
    name: str = ""
    facets: Facets = {}


class _Dataset(msgspec.Struct, gc=False):
    namespace: str = ""
    name: str = ""
    facets: Facets = {}
    input_facets: Facets = msgspec.field(default={}, name="inputFacets")
    output_facets: Facets = msgspec.field(default={}, name="outputFacets")


class _Event(msgspec.Struct, gc=False):
    producer: str | None = None
    run: _Run | None = None
    job: _Job | None = None
    dataset: _Dataset | None = None
    inputs: list[_Dataset] = []
    outputs: list[_Dataset] = []


_decode = msgspec.json.Decoder(_Event).decode


def entries_batch(partition: LogPartition, entries: Iterable[Entry]) -> pa.RecordBatch:
    """Entries of one log partition as the Arrow batch that `flatten` and `rejected` take."""
    rows = [msgspec.structs.astuple(entry) for entry in entries]
    columns: dict[str, Any] = dict(zip(Entry.__struct_fields__, zip(*rows, strict=True), strict=False))
    columns["topic_id"] = [partition.topic_id] * len(rows)
    columns["reasons"] = [
        [msgspec.structs.asdict(reason) for reason in reasons] for reasons in columns.get("reasons", ())
    ]
    return pa.RecordBatch.from_arrays(
        [pa.array(columns.get(field.name, ()), field.type) for field in ENTRIES], schema=ENTRIES
    )


def flatten(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Flat rows (schema `FLAT`) of the accepted and warned records of a batch (schema `ENTRIES`)."""
    import pyarrow.compute as pc  # a tenth of a second, which who only asks need not wait

    kept = batch.filter(pc.not_equal(batch["verdict"], "rejected"))
    facets = _FacetColumns()
    read = ("value", "ingested_at_ms", "event_time", "run_id")
    made = [_flat(facets, *row) for row in zip(*(kept[name].to_pylist() for name in read), strict=True)]
    columns = dict(zip(_MADE, zip(*made, strict=True), strict=False)) if made else dict.fromkeys(_MADE, ())
    arrays: dict[str, Any] = {
        name: pa.array(column, FLAT.field(name).type) for name, column in columns.items()
    }
    arrays["facets"] = facets.array()
    return pa.RecordBatch.from_arrays(
        [arrays[name] if name in arrays else kept[name] for name in FLAT.names], schema=FLAT
    )


def rejected(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of table `rejected` (schema `REJECTED`): one per reason of each rejected record of a batch."""
    import pyarrow.compute as pc

    return pa.RecordBatch.from_pylist(
        [
            {**row, **reason, "ingested_at": at, "arrival_date": at.strftime("%Y-%m-%d")}
            for row in batch.filter(pc.equal(batch["verdict"], "rejected")).to_pylist()
            for at in [_from_ms(row["ingested_at_ms"])]
            for reason in row["reasons"]
            or [{"code": "unknown", "path": "$", "message": "No reason was kept."}]
        ],
        schema=REJECTED,
    )


def _flat(
    facets: "_FacetColumns",
    value: bytes | None,
    ingested_at_ms: int,
    said_time: str | None,
    run_id: str | None,
) -> tuple[Any, ...]:
    """The columns `_MADE` of one record; its facets are added to `facets`."""
    value = value or b""
    event = _read(value)
    arrived = _from_ms(ingested_at_ms)
    said = event_time(said_time)
    facets.add(event)
    return (
        run_bucket(run_id or _entity(event)),
        arrived,
        said,
        said or arrived,
        event.producer,
        canonical_digest(value),
        _is_snapshot(event),
    )


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


class _FacetColumns:
    """The facets of many events, column by column, for a nested array without a dictionary a row.

    Of a dataset one row has the key `""`: it says that the dataset was there. A tombstone has no value.
    """

    def __init__(self) -> None:
        self.offsets = [0]
        self.columns: tuple[list[Any], ...] = tuple([] for _ in range(6))

    def add(self, event: _Event) -> None:
        if event.run is not None:
            self._facets("run", None, None, event.run.facets)
        if event.job is not None:
            self._facets("job", event.job.namespace, event.job.name, event.job.facets)
        if event.run is not None:
            for dataset, version in zip(event.inputs, _several(event.inputs), strict=True):
                self._dataset("input", dataset, dataset.input_facets, version)
            for dataset, version in zip(event.outputs, _several(event.outputs), strict=True):
                self._dataset("output", dataset, dataset.output_facets, version)
        elif event.dataset is not None:
            self._dataset("dataset", event.dataset, {}, "")
        # The inputs and outputs that a JobEvent declares were not read or written by anybody.
        self.offsets.append(len(self.columns[0]))

    def _dataset(self, scope: str, dataset: _Dataset, use: Facets, version: str) -> None:
        for column, value in zip(
            self.columns, (scope, dataset.namespace, dataset.name, "", version, None), strict=True
        ):
            column.append(value)
        self._facets(scope, dataset.namespace, dataset.name, dataset.facets, version)
        if use:
            self._facets(f"{scope}_facet", dataset.namespace, dataset.name, use, version)

    def _facets(
        self, scope: str, namespace: str | None, name: str | None, facets: Facets, version: str = ""
    ) -> None:
        scopes, namespaces, names, keys, parts, values = self.columns
        many = len(facets)
        scopes += [scope] * many
        namespaces += [namespace] * many
        names += [name] * many
        keys += facets
        parts += [_part(key, raw) if key in _ADDING else version for key, raw in facets.items()]
        values += facets.values()

    def array(self) -> pa.ListArray:
        *texts, values = self.columns
        columns = [pa.array(column, pa.string()) for column in texts]
        columns.append(pa.array([None if value is None else _text(value) for value in values], pa.string()))
        struct = pa.StructArray.from_arrays(columns, fields=list(FLAT.field("facets").type.value_type))
        return pa.ListArray.from_arrays(pa.array(self.offsets, pa.int32()), struct)


def _several(datasets: list[_Dataset]) -> list[str]:
    """Of each dataset its version, where the event says several versions of one name; else nothing."""
    names = [(each.namespace, each.name) for each in datasets]
    if len(set(names)) == len(names):
        return [""] * len(names)
    versions = [_version(each.facets) for each in datasets]
    said = Counter(name for name, version in set(zip(names, versions, strict=True)) if version)
    return [version if said[name] > 1 else "" for name, version in zip(names, versions, strict=True)]


def _version(facets: Facets) -> str:
    """The version of a registry, else that of the dataset, as `sql/facets.sql` reads it; else nothing."""
    for key, field in ((_REGISTRATION, "version"), ("version", "datasetVersion")):
        with contextlib.suppress(msgspec.DecodeError, AttributeError):
            if key in facets and (version := msgspec.json.decode(facets[key]).get(field)) is not None:
                return str(version)
    return ""


def _text(raw: msgspec.Raw) -> str | None:
    """A facet's JSON as it came; None for a tombstone (`_deleted`)."""
    text = str(raw, "utf-8")
    if '"_deleted"' in text:
        facet = msgspec.json.decode(text)
        if isinstance(facet, dict) and facet.get("_deleted") is True:
            return None
    return text


def _part(key: str, raw: msgspec.Raw) -> str:
    """What tells apart facets that add up instead of replacing.

    A chunk's number, the hash of a statement, that of what was done to a version in its registry and when: in
    milliseconds, as registries keep it and an import tells again what was told when it happened.
    """
    if key == "lineage":
        return _hash(raw)
    try:
        said = msgspec.json.decode(raw)
        return _act(said) if key == _REGISTRATION else str(said["seq"])
    except (msgspec.DecodeError, TypeError, KeyError, IndexError, AttributeError):
        return ""


def _act(said: dict[str, Any]) -> str:
    at = said.get("at")
    known = event_time(at) if isinstance(at, str) else None
    when = at if known is None else known.isoformat(timespec="milliseconds")
    return _hash(msgspec.json.encode([said.get("version"), said.get("action"), when]))


def _hash(of: bytes | msgspec.Raw) -> str:
    return hashlib.sha256(of).hexdigest()[:16]


def _is_snapshot(event: _Event) -> bool:
    """Whether the job says that each of its events is a window of its own (COMPLETE_SNAPSHOT)."""
    raw = event.job.facets.get("jobType") if event.job else None
    if raw is None or b"COMPLETE_SNAPSHOT" not in bytes(raw):
        return False
    facet = msgspec.json.decode(raw)
    pattern = facet.get("emissionPattern") if isinstance(facet, dict) else None
    return isinstance(pattern, dict) and pattern.get("eventContentMode") == "COMPLETE_SNAPSHOT"


def canonical_digest(value: bytes) -> str:
    """32 hex digits over the canonical JSON (sorted keys, no space): equal for copies of one event.

    OpenLineage has no event id; a producer that sends an event twice may order its keys differently.
    """
    with contextlib.suppress(orjson.JSONDecodeError, orjson.JSONEncodeError):  # else compared byte for byte
        value = orjson.dumps(orjson.loads(value), option=orjson.OPT_SORT_KEYS)
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
    """The bucket of a model name: `m` and two hash digits; `sql/models.sql` has the same rule."""
    return "m" + hashlib.sha256(f"{namespace}\t{name}".encode("utf-8", "replace")).hexdigest()[:2]


def name_bucket(key: str) -> str:
    """The bucket of a name: `d` and a hash digit; `sql/mentions.sql` has the same rule."""
    return "d" + hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[0]


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
