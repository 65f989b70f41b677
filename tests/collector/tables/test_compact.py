"""From sealed segments to Delta tables: once, again, anew, killed in between and two at a time."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from importlib import resources
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from modeltrail_collector.answers.database import database
from modeltrail_collector.errors import ConfigError, NotVerified, Unavailable
from modeltrail_collector.log import Batch, open_log
from modeltrail_collector.model import LOCAL, LogPartition, Reason
from modeltrail_collector.tables import (
    PUBLIC,
    compact,
    derivation,
    models,
    rebuild,
    reduce,
    segments_behind,
    store,
    table_store,
    upkeep,
)
from modeltrail_collector.tables.flatten import run_bucket
from modeltrail_collector.tables.schema import DERIVED, FLAT

STAGES = (
    "flat",
    "rejected",
    "events",
    "facets",
    "runs",
    "run_datasets",
    "edges",
    "params",
    "metrics",
    "deployments",
)
DIE_AT = """
import os, signal, sys
from modeltrail_collector.log import open_log
from modeltrail_collector.tables import compact
_, uri, stage = sys.argv
compact(open_log(uri), on_progress=lambda step: step.stage == stage and os.kill(os.getpid(), signal.SIGKILL))
"""
# As if each had lost its lease to the other without noticing.
WITHOUT_TURNS = """
import contextlib, sys
from modeltrail_collector.log import open_log
from modeltrail_collector.log.store import LocalStore, _Held
from modeltrail_collector.tables import compact
LocalStore.lease = lambda self, name: contextlib.nullcontext(_Held())
for _ in range(3):
    compact(open_log(sys.argv[1]))
"""


def start(code: str, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", code, *arguments])


def all_end_well(*processes: "subprocess.Popen[bytes]") -> bool:
    return [process.wait(120) for process in processes] == [0] * len(processes)


def all_tables(table):
    return {name: table(name) for name in PUBLIC}


@pytest.fixture
def story(make):
    """The churn story's entries, with one rejected record among them."""
    entries = make.entries(make.story())
    return [*entries, make.rejected(len(entries), b"nope", Reason("not_json", "$", "no JSON"))]


def test_what_tables_take_up_lasts(log, seal, story, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of new segments are synced before their rows are committed.

    A collector may have died between a name and its sync: a power cut then took from the log what its tables
    had (found by the simulation, as a table with a record that the log lacks).
    """
    seal(story)
    (folder,) = [path.parent for path in Path(log.uri).glob("raw/*/*/*/*.avro")][:1]
    fsync, synced = os.fsync, []
    monkeypatch.setattr(os, "fsync", lambda opened: synced.append(os.fstat(opened).st_ino) or fsync(opened))
    assert len(story) == compact(log).records
    assert folder.stat().st_ino in synced


def test_a_table_is_made_with_its_rows(story, seal, log) -> None:
    """A table that is derived for the first time is made and filled in one commit, and not empty before."""
    seal(story)
    compact(log)
    assert {0} == {table_store(log).open(name).version() for name in DERIVED}


def test_shapes_are_those_of_the_contract(story, seal, log) -> None:
    """Every table has each published column, with its name and type."""
    contract = json.loads((resources.files("modeltrail_schemas") / "tables" / "tables.json").read_text())
    seal(story)
    compact(log)
    for name, shape in contract.items():
        on_disk = pa.schema(DeltaTable(f"{log.uri}/tables/{name}").schema().to_arrow())
        for column in shape["columns"]:
            assert column["type"] == str(PUBLIC[name].field(column["name"]).type)
            assert column["name"] in on_disk.names


def test_keys_are_unique(story, seal, log, table) -> None:
    """Each public table has one row per key."""
    seal(story)
    compact(log)
    keys = {
        "events": ("topic_id", "partition", "offset"),
        "runs": ("run_id",),
        "run_datasets": ("run_id", "role", "namespace", "name"),
        "params": ("run_id", "model_id", "component", "name"),
        "models": ("namespace", "name", "version"),
        "deployments": ("run_id",),
    }
    for name, key in keys.items():
        rows = table(name)
        assert rows
        assert len(rows) == len({tuple(row[column] for column in key) for row in rows})


def test_the_story_in_tables(story, seal, log, table, make) -> None:
    """Three registered versions and their three files are in `models`, made by the runs that trained them."""
    seal(story)
    result = compact(log)
    assert (1, 13, 1) == (result.segments, result.records, result.rejected)
    models = {(row["name"], row["version"]): row for row in table("models")}
    assert 6 == len(models)
    third = models["models/churn", "3"]
    assert make.digest("model 3") == third["digest"]
    assert "sklearn.linear_model.LogisticRegression" == third["algorithm"]
    assert (
        third["run_id"] == models[f"{make.data}/models/churn.joblib", make.digest("model 3")[:12]]["run_id"]
    )
    changed = {
        (r["version"], r["section"], r["path"]): (r["before"], r["after"])
        for r in table("changes")
        if r["name"] == "models/churn"
    }
    assert ("1.0", "0.1") == changed["2", "parameters", "C"]
    assert (
        "StandardScaler() fitted on train",
        "QuantileTransformer() fitted on train",
    ) == changed["3", "transformations", "scale"]
    assert ("3", "parameters", "C") not in changed
    (endpoint,) = table("deployments")
    assert ("2", "churn-api", "COMPLETE") == (
        endpoint["model_version"],
        endpoint["endpoint"],
        endpoint["state"],
    )
    (reason,) = table("rejected")
    assert ("not_json", 12) == (reason["code"], reason["offset"])


@pytest.mark.parametrize("cut", [1, 3, 4, 8])
def test_piece_by_piece_is_as_at_once_and_as_rebuilt(story, seal, log, table, cut) -> None:
    """Compacting after each segment gives the tables that one compaction gives, and that a rebuild gives."""
    for start in range(0, len(story), cut):
        seal(story[start : start + cut])
        compact(log)
    piecewise = all_tables(table)
    rebuild(log)
    assert piecewise == all_tables(table)
    shutil.rmtree(Path(log.uri) / "tables")
    compact(log)
    assert piecewise == all_tables(table)


@pytest.mark.parametrize("many", [1, 3, 1000])
def test_run_by_run_is_as_bucket_by_bucket(make, log, table, monkeypatch, many) -> None:
    """Few touched runs are replaced alone, many with their buckets, odd ids and records without a run too."""
    monkeypatch.setattr(derivation, "_MANY_RUNS", many)
    ids = ["it's", "a\\b", 'say "x"', "zwei\nZeilen", "", "ü", make.uuid7(make.base, 1)]
    job = {"job": {"namespace": "n", "name": "j", "facets": {"a": {"v": 1}}}}
    for number, kind in enumerate(["START", "RUNNING", "COMPLETE"]):
        at = make.base + timedelta(seconds=number)
        params = {"modelTrail_hyperparameters": {"params": [{"name": "C", "value": number}]}}
        events = [make.run_event(kind, at, run_id, "j", run_facets=params) for run_id in ids]
        said = [*events[number : number + 5], {"eventTime": at.isoformat(), **job}]
        entries = make.entries(said, start=log.end(LOCAL))
        log.append(LOCAL, Batch(log.end(LOCAL), log.end(LOCAL) + len(said), entries))
        compact(log)
    found = all_tables(table)
    assert 7 == len(found["runs"])
    assert 3 == len([row for row in found["events"] if row["run_id"] is None])
    rebuild(log)
    assert found == all_tables(table)


def test_a_late_event_changes_only_its_bucket(story, seal, log, make) -> None:
    """A new event of one run rewrites the bucket of that run; files of other days stay as they are."""
    seal(story)
    compact(log)
    before = store.files_by_bucket(table_store(log).open("runs"))
    late = make.run_event("FAIL", make.base + timedelta(hours=9), make.uuid7(make.base, 101), "prepare-churn")
    seal(make.entries([late], start=len(story)))
    assert 1 == compact(log).buckets
    after = store.files_by_bucket(table_store(log).open("runs"))
    assert {"2026-03-02"} == {bucket for bucket in after if after[bucket] != before.get(bucket)}


def test_nothing_new_writes_nothing(story, seal, log) -> None:
    """Compacting again without new segments commits nothing."""
    seal(story)
    compact(log)
    versions = [table_store(log).open(name).version() for name in PUBLIC]
    result = compact(log)
    assert (0, 0, 0) == (result.segments, result.records, result.buckets)
    assert versions == [table_store(log).open(name).version() for name in PUBLIC]


def test_an_empty_log_has_empty_tables(log) -> None:
    """Compacting a log without segments makes every table, empty."""
    assert 0 == compact(log).records
    assert all(0 == table_store(log).open(name).to_pyarrow_table().num_rows for name in PUBLIC)


def test_two_at_once_add_nothing_twice(story, log, table) -> None:
    """Compactors that do not take turns lose commits to each other and start again; no row is there twice."""
    for number, entry in enumerate(story):
        log.append(LOCAL, Batch(number, number + 1, [entry]))
    assert all_end_well(start(WITHOUT_TURNS, log.uri), start(WITHOUT_TURNS, log.uri))
    compact(log)
    found = all_tables(table)
    assert 13 == len(found["events"]) + len(found["rejected"])
    rebuild(log)
    assert found == all_tables(table)


def test_turns_end_with_their_owner(story, seal, log, table) -> None:
    """On a local disk compactors take turns, and a turn ends when its owner is killed."""
    seal(story)
    assert -signal.SIGKILL == start(DIE_AT, log.uri, "flat").wait(120)
    assert all_end_well(start(DIE_AT, log.uri, "never"), start(DIE_AT, log.uri, "never"))
    assert 12 == len(table("events"))


def test_an_outrun_handle_writes_nothing(tmp_path: Path) -> None:
    """A commit from a handle that another writer's mark has overtaken fails, of either kind."""
    tables = store.TableStore(str(tmp_path))
    stale, also = tables.open_or_create("flat", FLAT), tables.open("flat")
    store.append(also, FLAT.empty_table(), {"p": 5})
    with pytest.raises(store.Outrun):
        store.append(stale, FLAT.empty_table(), {"p": 5})
    stale = tables.open("flat")
    store.replace(tables.open("flat"), FLAT.empty_table(), "bucket = 'x1'", {"p": 6})
    with pytest.raises(store.Outrun):
        store.replace(stale, FLAT.empty_table(), "bucket = 'x2'", {"p": 6})
    assert 6 == tables.open("flat").transaction_version("p")


def test_this_deltalake_refuses_a_second_joining_of_files(tmp_path: Path) -> None:
    """Of two overlapping joinings of small files the second fails instead of doubling the rows."""
    for number in range(4):
        write_deltalake(tmp_path, pa.table({"n": [number]}), mode="append")
    one, two = DeltaTable(tmp_path), DeltaTable(tmp_path)
    one.optimize.compact()
    with pytest.raises(CommitFailedError):
        two.optimize.compact()
    assert 4 == DeltaTable(tmp_path).to_pyarrow_table().num_rows


def test_marks_survive_joining_and_vacuum(tmp_path: Path) -> None:
    """A table's marks survive the joining of its files, a vacuum and a checkpoint."""
    tables = store.TableStore(str(tmp_path))
    for number in range(1, 4):
        store.append(tables.open_or_create("flat", FLAT), FLAT.empty_table(), {"p": number})
    table = tables.open("flat")
    table.optimize.compact()
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    table.create_checkpoint()
    table.cleanup_metadata()
    assert 3 == tables.open("flat").transaction_version("p")


def test_small_files_are_joined_and_old_ones_removed(make, log, table, monkeypatch) -> None:
    """Many small commits do not leave many small files, and joining them changes no table."""
    monkeypatch.setattr(upkeep, "_MANY_FILES", 3)
    monkeypatch.setattr(upkeep, "_VACUUM_EVERY", 2)
    monkeypatch.setattr(upkeep, "_KEEP_HOURS", 0)
    for number, entry in enumerate(make.entries(make.story())):
        log.append(LOCAL, Batch(number, number + 1, [entry]))
        compact(log)
    flat = table_store(log).open("flat")
    assert max(map(len, store.files_by_bucket(flat).values())) <= 4
    found = all_tables(table)
    rebuild(log)
    assert found == all_tables(table)


def test_joined_files_are_sorted_by_what_is_asked_for(make, log) -> None:
    """Upkeep leaves the rows of a day in one file, in the order of their runs, however they came.

    Mentions by name and by how: a folder is mentioned by everything below it, and asked for as what is read.
    """
    for number in range(6):
        run = make.uuid7(make.base, 9 - number)
        event = make.run_event(
            *("COMPLETE", make.base, run, "j"),
            inputs=[make.dataset(("d", "d/part")[number % 2])],
            outputs=[make.dataset(f"d/{number}")],
        )
        log.append(LOCAL, Batch(number, number + 1, make.entries([event], start=number)))
        compact(log)
    upkeep.keep_up(log)

    def files(name, *columns):
        for file in table_store(log).open(name).file_uris():
            found = pq.ParquetFile(file.removeprefix("file://")).read(columns)
            yield list(zip(*found.to_pydict().values(), strict=True))

    for name in ("runs", "run_datasets"):
        (rows,) = files(name, "run_id")
        assert sorted(rows) == rows
        assert 6 <= len(rows)
    of_folder = set()
    for rows in files("mentions", "key", "how"):
        assert sorted(rows) == rows
        of_folder |= {how for key, how in rows if key == "d"}
    assert {"folder", "name"} == of_folder


def test_a_removed_table_is_derived_again(story, seal, log, table) -> None:
    """Whatever folder of the tables is removed, the next compaction brings back the same rows."""
    seal(story)
    compact(log)
    found = all_tables(table)
    for name in ("runs", "flat", "models"):
        shutil.rmtree(Path(log.uri) / "tables" / name)
        compact(log)
        assert found == all_tables(table)


def test_a_damaged_table_says_what_to_do(story, seal, log) -> None:
    """A table whose log is damaged is named, with what to do; after that a rebuild helps."""
    seal(story)
    compact(log)
    folder = Path(log.uri) / "tables" / "runs"
    (folder / "_delta_log" / "00000000000000000001.json").write_text("{ not JSON")
    with pytest.raises(Unavailable, match="modeltrail rebuild"):
        compact(log)
    folder.rename(folder.with_name("damaged"))
    rebuild(log)
    assert 6 == table_store(log).open("runs").to_pyarrow_table().num_rows


def test_a_topic_made_anew_is_another_topic(make, seal, log, table) -> None:
    """Offsets of a topic that was deleted and made again start at 0 again, and are all taken up."""
    for topic_id in ("first", "second"):
        chain = LogPartition("t", topic_id, 0)
        seal(make.entries([make.run_event("START", make.base, topic_id, "j")], chain), chain)
        compact(log)
    assert {"first", "second"} == {row["run_id"] for row in table("runs")}


def test_a_segment_that_was_edited_is_refused(story, seal, log) -> None:
    """A segment that is not what was sealed ends the compaction: nothing of it reaches a table."""
    seal(story)
    (segment,) = Path(log.uri).rglob("*.avro")
    segment.chmod(0o644)
    data = bytearray(segment.read_bytes())
    data[-30] ^= 1
    segment.write_bytes(data)
    with pytest.raises(NotVerified):
        compact(open_log(log.uri))
    assert table_store(log).open("events") is None


def test_behind_is_counted(story, seal, log) -> None:
    """The number of segments that the tables lack is known without reading them."""
    assert 0 == segments_behind(log)
    seal(story[:5])
    seal(story[5:])
    assert 2 == segments_behind(log)
    compact(log)
    assert 0 == segments_behind(log)


def test_a_registration_elsewhere_names_the_training_run(make, seal, log, table) -> None:
    """A run that only registers adds the name; the version's run is the one that trained, in any order."""
    trained = make.train(1, make.base, features="f", strength=1.0)
    trained[1]["outputs"] = trained[1]["outputs"][:1]
    registered = make.dataset(
        "models/churn",
        namespace="modeltrail://registry",
        version=make.facet("version", datasetVersion="7"),
        modelTrail_registration=make.facet("r", name="churn", version="7"),
        outputFacets__modelTrail_modelArtifact=make.facet("a", digest="sha256:" + make.digest("model 1")),
    )
    later = make.base + timedelta(days=3)
    register = make.run_event("COMPLETE", later, make.uuid7(later, 9), "register", outputs=[registered])
    seal(make.entries([register]))
    compact(log)
    assert [make.uuid7(later, 9)] == [row["run_id"] for row in table("models")]
    seal(make.entries(trained, start=1))
    compact(log)
    runs = {row["version"]: (row["run_id"], row["registered_run_id"]) for row in table("models")}
    assert (make.uuid7(make.base, 201), make.uuid7(later, 9)) == runs["7"]
    assert_rebuilt(log, table)


@pytest.fixture
def copied(make):
    """A run's event that puts bytes out as a model under a name."""

    def copied(
        number: int, name: str, days: int, registry: str = "r", *, version: str = "", **artifact: object
    ):
        model = make.dataset(
            name,
            namespace=registry,
            outputFacets__modelTrail_modelArtifact=make.facet("a", **artifact),
            **({"modelTrail_registration": make.facet("r", name=name, version=version)} if version else {}),
        )
        at = make.base + timedelta(days=days)
        return make.run_event("COMPLETE", at, make.uuid7(make.base, number), "copy", outputs=[model])

    return copied


def test_what_is_heard_later_reaches_all_names_of_the_bytes(make, copied, seal, log, table) -> None:
    """A run that is heard again, in a compaction of its own, changes what is said of a copy."""
    trained = make.train(1, make.base, features="f", strength=1.0)
    seal(make.entries([*trained, copied(1, "copy", 2, digest="sha256:" + make.digest("model 1"))]))
    compact(log)
    again = trained[-1] | {"eventTime": (make.base + timedelta(days=9)).isoformat()}
    training = again["run"]["facets"]["modelTrail_training"] | {"algorithm": "another"}
    again["run"] = again["run"] | {"facets": again["run"]["facets"] | {"modelTrail_training": training}}
    seal(make.entries([again], start=9))
    compact(log)
    assert {"another"} == {row["algorithm"] for row in table("models") if row["name"] == "copy"}
    assert_rebuilt(log, table)


def test_a_run_that_put_out_other_bytes_after_all_is_no_longer_their_maker(
    make, copied, seal, log, table
) -> None:
    """The row of a copy names the first run that made its bytes; which that is, may change later.

    Also where the version of that name is by now known by other bytes.
    """
    first = copied(1, "a", 1, version="7", digest="sha256:d1")
    other = copied(3, "a", 3, version="7", digest="sha256:d2")
    seal(make.entries([first, copied(2, "b", 2, digest="sha256:d1"), other]))
    compact(log)
    assert [make.uuid7(make.base, 1)] == [row["run_id"] for row in table("models") if row["name"] == "b"]
    seal(make.entries([copied(1, "a", 4, version="7", digest="sha256:d3")], start=3))
    compact(log)
    assert make.uuid7(make.base, 2) in {row["run_id"] for row in table("models") if row["name"] == "b"}
    assert_rebuilt(log, table)


def test_a_name_in_another_namespace_is_another_model(make, copied, seal, log, table) -> None:
    """A run that speaks of a name changes no row of the same name elsewhere, nor are these there twice."""
    seal(
        make.entries([copied(n, "a", n, registry, digest=f"sha256:{n}") for n, registry in enumerate("xyz")])
    )
    compact(log)
    seal(make.entries([copied(3, "a", 3, "y", digest="sha256:3")], start=3))
    compact(log)
    assert ["x", "y", "y", "z"] == sorted(row["namespace"] for row in table("models"))
    assert_rebuilt(log, table)


def test_an_output_that_is_no_model_after_all_is_none(make, copied, seal, log, table) -> None:
    """Where the last facet that made a model of an output is deleted, its row goes."""
    seal(make.entries([copied(1, "a", 1, digest="sha256:d1"), copied(2, "b", 2, digest="sha256:d1")]))
    compact(log)
    assert {"a", "b"} == {row["name"] for row in table("models")}
    seal(make.entries([copied(2, "b", 3, _deleted=True)], start=2))
    compact(log)
    assert {"a"} == {row["name"] for row in table("models")}
    assert_rebuilt(log, table)


def test_what_a_run_says_no_more_is_taken_back_everywhere(make, copied, seal, log, table) -> None:
    """A streaming run's next window has other outputs: what it registered before is no longer there."""
    first = copied(1, "a", 1, digest="sha256:d1")
    window, other = copied(2, "n", 2, version="3", digest="sha256:d1"), copied(2, "m", 3, digest="sha256:d2")
    pattern = {"eventContentMode": "COMPLETE_SNAPSHOT"}
    for event in (window, other):
        event["job"]["facets"] = {"jobType": make.facet("j", integration="SPARK", emissionPattern=pattern)}
    seal(make.entries([first, window]))
    compact(log)
    assert {"a", "n"} == {row["name"] for row in table("models")}
    seal(make.entries([other], start=2))
    compact(log)
    assert {"a", "m"} == {row["name"] for row in table("models")}
    assert_rebuilt(log, table)


def test_figures_by_digest_count_for_the_bytes(make, copied, seal, log, table) -> None:
    """An evaluation that names the bytes counts for them, whatever its input is called."""

    def judged(number: int, digest: str, value: float):
        figures = [{"name": "accuracy", "value": value}]
        facet = make.facet("e", modelDigest=f"sha256:{digest}", metrics=figures)
        use = make.facet("u", role="other", fingerprint={"algorithm": "sha256", "digest": "u1"})
        cur = make.dataset(
            "cur",
            namespace="r",
            inputFacets__modelTrail_evaluation=facet,
            inputFacets__modelTrail_dataUse=use,
        )
        at = make.base + timedelta(days=9)
        return make.run_event("COMPLETE", at, make.uuid7(make.base, number), "audit", inputs=[cur])

    seal(make.entries([copied(n, "b", n, digest=f"sha256:d{n}") for n in (1, 2)]))
    compact(log)
    seal(make.entries([judged(number, "d2", number / 10) for number in (7, 5, 6)], start=2))
    compact(log)
    assert {"0.7"} == {row["after"] for row in table("changes") if row["path"] == "accuracy"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "GROUP", 1)
        assert_rebuilt(log, table)
        patch.setattr(models, "FEW", 0)
        assert_rebuilt(log, table)
    seal(make.entries([judged(number, "d9", 0.9) for number in (7, 5, 6)], start=5))
    compact(log)
    assert [] == [row for row in table("changes") if row["path"] == "accuracy"]
    assert_rebuilt(log, table)


def test_runs_of_any_id_are_rebuilt_in_parts(make, copied, seal, log, table) -> None:
    """No run is lost between two parts, nor one whose id is empty, nor what has none."""
    events = [copied(number, "a", 1, digest=f"sha256:{number}") for number in range(3)]
    for event, run_id in zip(events, ("", "it's", "x"), strict=True):
        event["run"]["runId"] = run_id
    jobs = (f"job-{number}" for number in itertools.count())
    job = next(name for name in jobs if run_bucket(f"n\0{name}") == run_bucket("x"))
    about = {"namespace": "n", "name": job, "facets": {"a": {"v": 1}}}
    seal(make.entries([*events, {"eventTime": make.base.isoformat(), "job": about}]))
    compact(log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduce, "PART_ROWS", 0.1)
        assert_rebuilt(log, table)
    assert {"", "it's", "x"} == {row["run_id"] for row in table("runs")}


def assert_rebuilt(log, table) -> None:
    found = all_tables(table)
    rebuild(log)
    assert found == all_tables(table)


def test_an_evaluation_elsewhere_changes_what_differs(make, seal, log, table) -> None:
    """An evaluation in a run of its own, days later, becomes part of what differs between the versions."""
    seal(make.entries(make.story()))
    compact(log)
    later = make.base + timedelta(days=30)
    evaluation = make.facet(
        "e", modelVersion="3", metrics=[{"name": "fairness", "value": 0.7}], dataset={"name": "census"}
    )
    judged = make.dataset(
        "models/churn", namespace="modeltrail://registry", inputFacets__modelTrail_evaluation=evaluation
    )
    event = make.run_event("COMPLETE", later, make.uuid7(later, 1), "audit", inputs=[judged])
    seal(make.entries([event], start=12))
    compact(log)
    rows = [row for row in table("changes") if row["path"] == "fairness [census]"]
    assert [("models/churn", "3", None, "0.7")] == [
        (r["name"], r["version"], r["before"], r["after"]) for r in rows
    ]


def test_progress_is_told(story, seal, log) -> None:
    """Each table is told when it is written, after the records that were read."""
    seal(story)
    told = []
    compact(log, on_progress=told.append)
    assert ["read", *STAGES, "mentions", "models"] == [step.stage for step in told]
    assert 13 == told[0].rows


def test_a_mark_is_compared_only_by_the_handle(tmp_path: Path) -> None:
    """Delta itself accepts a smaller number from a fresh handle: the marks must be read first."""
    write_deltalake(tmp_path, pa.table({"n": [1]}))
    for number in (30, 10):
        commit = CommitProperties(app_transactions=[Transaction("p", number)])
        write_deltalake(DeltaTable(tmp_path), pa.table({"n": [1]}), mode="append", commit_properties=commit)
    assert 10 == DeltaTable(tmp_path).transaction_version("p")


def test_what_concerns_no_model_is_derived_once(make, log) -> None:
    """Events that speak of no model are new to a compaction only once: it writes only what is new since."""
    for number in range(3):
        event = make.run_event("COMPLETE", make.base, make.uuid7(make.base, number), "j")
        log.append(LOCAL, Batch(number, number + 1, make.entries([event], start=number)))
        compact(log)
        newest = table_store(log).open("runs").history(1)[0]
        assert 1 == newest["operationMetrics"]["num_added_rows"]


def test_a_table_that_another_made_meanwhile_is_no_damage(tmp_path: Path) -> None:
    """Who finds a table made by another process that it was about to make starts again."""
    tables = store.TableStore(str(tmp_path))
    nothing = FLAT.empty_table().to_reader
    tables.create_with("flat", FLAT, nothing(), {"p": 1})
    with pytest.raises(store.Outrun, match="another process"):
        tables.create_with("flat", FLAT, nothing(), {"p": 2})
    assert 1 == tables.open("flat").transaction_version("p")


@pytest.mark.parametrize("name", ["my log", "Blätter", "50%", "a#b?c", "it's"])
def test_any_name_of_a_folder(tmp_path, make, name) -> None:
    """A log lies in a folder of any name: delta-rs tells its path percent-encoded, the rows are found."""
    log = open_log(tmp_path / name)
    log.append(LOCAL, Batch(0, 12, make.entries(make.story())))
    assert 12 == compact(log).records
    log.append(LOCAL, Batch(12, 13, make.entries([make.story()[0]], start=12)))
    assert 1 == compact(log).records
    rebuild(log)
    with database(log, "events") as db:
        assert 13 == len(db.rows("SELECT * FROM events"))


@pytest.mark.parametrize("name", ["a[1]", "a\\b", "a%20b"])
def test_names_of_a_folder_that_delta_cannot_use(tmp_path, make, name) -> None:
    """A folder that delta-rs takes for another, or panics at, is named before anything is written."""
    log = open_log(tmp_path / name)
    log.append(LOCAL, Batch(0, 12, make.entries(make.story())))
    with pytest.raises(ConfigError, match="move the log elsewhere"):
        compact(log)
    assert not Path(tmp_path, name, "tables").exists()
