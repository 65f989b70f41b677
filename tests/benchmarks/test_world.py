"""The generated world is what compacting its events makes."""

import json

import msgspec
import pyarrow as pa
import pytest
from benchmarks import world

from modeltrail_collector import answers
from modeltrail_collector.judge import judge
from modeltrail_collector.log import open_log
from modeltrail_collector.model import Entry, LogPartition
from modeltrail_collector.tables import compact, flatten, store, table_store
from modeltrail_collector.tables.derivation import derive
from modeltrail_collector.tables.schema import DERIVED, FLAT, TABLES
from modeltrail_collector.tables.work import alone

RUNS = 600


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    log = open_log(str(tmp_path_factory.mktemp("world") / "log"))
    world.generate(log, RUNS)
    return log


def rows(log, name):
    return sorted(map(repr, table_store(log).open(name).to_pyarrow_table().to_pylist()))


def event(row):
    """The event that a flat row was read from."""
    run, job, places = {}, {}, {}
    for facet in row["facets"]:
        value = facet["value"] and json.loads(facet["value"])
        role, _, of_use = facet["scope"].partition("_")
        if role in ("run", "job"):
            (run if role == "run" else job)[facet["key"]] = value
            continue
        place = places.setdefault((role, facet["namespace"], facet["name"]), {"facets": {}})
        if facet["key"]:
            place.setdefault(f"{role}Facets" if of_use else "facets", {})[facet["key"]] = value
    given = {"inputs": [], "outputs": []}
    for (role, namespace, name), said in places.items():
        given[f"{role}s"].append({"namespace": namespace, "name": name, **said})
    return given | {
        "eventType": row["event_type"],
        "eventTime": row["event_time"].isoformat(),
        "producer": row["producer"],
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": row["run_id"], "facets": run},
        "job": {"namespace": row["job_namespace"], "name": row["job_name"], "facets": job},
    }


def test_its_rows_are_those_of_real_events():
    """Each flat row is what `flatten` makes of an event that the judge accepts, facet by facet."""
    table = world.flat_rows(RUNS, 0, 20)
    of = LogPartition("lineage", "00000000-0000-4000-8000-000000000001", 0)
    for row in table.to_pylist():
        value = json.dumps(event(row), separators=(",", ":")).encode()
        verdict = judge(value)
        assert verdict.verdict == "accepted", verdict
        entry = Entry(
            topic=of.topic, partition=row["partition"], offset=row["offset"], source=None, timestamp_ms=0,
            ingested_at_ms=int(row["ingested_at"].timestamp() * 1000), key=None, headers=(), value=value,
            sha256=row["sha256"], **msgspec.structs.asdict(verdict),
        )  # fmt: skip
        (made,) = flatten.flatten(flatten.entries_batch(of, [entry])).to_pylist()
        for one in (made, row):
            one["facets"] = [
                facet | {"value": facet["value"] and json.loads(facet["value"])} for facet in one["facets"]
            ]
            one.pop("digest")
        assert made == row


def test_its_tables_are_those_of_a_compaction(small, tmp_path):
    """Schemas, partitions and settings are the product's; deriving all from `flat` gives the same rows."""
    real = open_log(str(tmp_path / "log"))
    flat = table_store(small).open("flat").to_pyarrow_table().cast(FLAT)
    store.append(table_store(real).create("flat", FLAT), flat, {})
    alone(real, None, derive)
    for name in ("flat", *DERIVED):
        ours, theirs = (table_store(log).open(name) for log in (small, real))
        assert ours.schema() == theirs.schema()
        assert ours.metadata().partition_columns == theirs.metadata().partition_columns
        assert ours.metadata().configuration == theirs.metadata().configuration
        assert rows(small, name) == rows(real, name), name
    assert len(rows(small, "events")) == RUNS * 10


def test_it_is_complete(small):
    """No table is empty, a compaction finds nothing to do, and the questions have answers."""
    versions = {name: table_store(small).open(name).version() for name in TABLES}
    assert compact(small).buckets == 0
    assert versions == {name: table_store(small).open(name).version() for name in TABLES}
    assert all(rows(small, name) for name in TABLES)
    assert answers.show(small, "p0@2")["changes"]
    tree = answers.trace(small, "chain/60.parquet")
    for number in range(59, -1, -1):
        (tree,) = [node for node in tree["inputs"] if node["name"] == f"chain/{number}.parquet"]
    assert answers.as_of(small)


def test_it_is_the_same_every_time():
    """The rows follow from the number of runs alone."""
    first, second = (world.flat_rows(RUNS, 3, 9) for _ in range(2))
    assert isinstance(first, pa.Table)
    assert first.equals(second)
