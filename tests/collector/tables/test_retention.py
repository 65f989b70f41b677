"""Retention: rows of removed segments are carried over, and what the tables forget stays forgotten."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from modeltrail_collector.cli.answers import show, trace
from modeltrail_collector.cli.impact import impact
from modeltrail_collector.log import Batch
from modeltrail_collector.log.parts import removed
from modeltrail_collector.model import LOCAL, Reason
from modeltrail_collector.tables import TableDamaged, compact, forget, rebuild, table_store
from modeltrail_collector.tables.schema import TABLES

DAY_MS = 86_400_000
NOW_MS = int(datetime.now(UTC).timestamp() * 1000)
YEAR = timedelta(days=365)


def rows_of(log):
    found = {name: table_store(log).open(name).to_pyarrow_table().to_pylist() for name in TABLES}
    return {name: sorted(map(repr, rows)) for name, rows in found.items()}


def remove_raw(log, before: int) -> None:
    """What `maintain --keep-raw` does to the segments below an offset."""
    for segment in list(log.segments(LOCAL)):
        if segment.next_offset <= before:
            data = log.store.read(segment.name)
            assert log.store.replace(segment.name, data, removed(segment, "")[1])


def aged(entries, days):
    """Entries that arrived so many days ago."""
    return [msgspec.structs.replace(entry, ingested_at_ms=NOW_MS - days * DAY_MS) for entry in entries]


def seal_each(log, entries) -> None:
    for entry in entries:
        log.append(LOCAL, Batch(entry.offset, entry.offset + 1, [entry]))


@pytest.fixture
def story(make):
    entries = make.entries(make.story())
    return [*entries, make.rejected(len(entries), b"nope", Reason("not_json", "$", "no JSON"))]


def test_rows_of_removed_segments_are_carried_over(story, log) -> None:
    """A rebuild without the raw records of old segments gives the tables that there were with them."""
    seal_each(log, story)
    compact(log)
    found = rows_of(log)
    remove_raw(log, 8)
    assert 0 == compact(log).segments
    result = rebuild(log)
    assert (13, 5, 8) == (result.segments, result.records, result.carried)
    assert found == rows_of(log)
    remove_raw(log, 12)
    assert 12 == rebuild(log).carried
    assert found == rows_of(log)


def test_carried_over_from_a_table_whose_log_is_gone(story, log) -> None:
    """Without their Delta log the Parquet files are read: rows without raw records outlive that too."""
    seal_each(log, story)
    compact(log)
    found = rows_of(log)
    remove_raw(log, 8)
    for name in ("flat", "rejected", "runs"):
        shutil.rmtree(Path(log.uri) / "tables" / name / "_delta_log")
    with pytest.raises(TableDamaged, match=r"tables/flat.*modeltrail rebuild"):
        compact(log)
    assert 8 == rebuild(log).carried
    assert found == rows_of(log)


def test_records_removed_before_they_were_compacted(story, log) -> None:
    """Compaction goes on past records that were removed before it saw them."""
    seal_each(log, story)
    compact(log)
    more = [msgspec.structs.replace(entry, offset=entry.offset + 13) for entry in story]
    seal_each(log, more)
    remove_raw(log, 20)
    assert (13, 6) == ((result := compact(log)).segments, result.records)
    assert 0 == compact(log).segments


@pytest.fixture
def old(make, log):
    """A log of two years: three registered models, a run and a model that nobody uses, a job, garbage."""
    story = make.entries(make.story())
    unused = make.train(7, make.base, features="features 9", strength=1.0)
    for event in unused:
        event["inputs"], event["outputs"] = [], event["outputs"][:1]
        for output in event["outputs"]:
            output["name"] += "-unused"
            artifact = output["outputFacets"]["modelTrail_modelArtifact"]
            output["outputFacets"]["modelTrail_modelArtifact"] = {
                **artifact,
                "uri": artifact["uri"] + "-unused",
            }
    lonely = make.run_event("COMPLETE", make.base, make.uuid7(make.base, 950), "lonely")
    job = {"eventTime": make.base.isoformat(), "job": {"namespace": "n", "name": "j", "facets": {}}}
    more = make.entries([*unused, lonely, job], start=12)
    seal_each(log, aged([*story, *more, make.rejected(16, b"nope", Reason("not_json", "$", "?"))], 700))
    young = make.run_event("COMPLETE", make.base, make.uuid7(make.base, 951), "young")
    seal_each(log, make.entries([young], start=17)[:0] + aged(make.entries([young], start=17), 3))
    compact(log)
    return log


def column(log, name: str, of: str) -> set[str]:
    return set(table_store(log).open(name).to_pyarrow_table()[of].to_pylist())


def test_old_runs_are_forgotten_in_all_tables(old, make) -> None:
    """Old runs go with their models; those of registered models stay, with what they were made from."""
    before = rows_of(old)
    would = forget(old, YEAR, dry_run=True)
    assert before == rows_of(old)
    done = forget(old, YEAR)
    assert would == done
    assert (2, 4, 1, 1, 6) == (done.runs, done.events, done.rejected, done.models, done.kept)
    gone = {make.uuid7(make.base, 950), make.uuid7(make.base, 207)}
    for name in ("events", "runs", "facets", "run_datasets", "params", "metrics"):
        assert not gone & column(old, name, "run_id")
    assert {"prepare-churn", "train-churn", "deploy-churn", "young"} == column(old, "runs", "job_name")
    assert 6 == table_store(old).open("models").to_pyarrow_table().num_rows
    assert not column(old, "rejected", "offset")
    assert None not in column(old, "events", "run_id")


def test_answers_say_what_was_forgotten(old) -> None:
    """What follows data, or finds nothing, says before when old runs were forgotten: there was more."""

    def told(command, name: str) -> str:
        return CliRunner().invoke(command, [name, "--log", old.uri]).stderr

    asked = [(impact, "customers.csv"), (trace, "churn"), (show, "lonely")]
    assert {False} == {"forgotten" in told(*each) for each in asked}
    before = forget(old, YEAR).before[:10]
    said = f"what arrived before {before} was forgotten, but for models in use (maintain --keep-tables)\n"
    assert [said] * 3 == [told(*each) for each in asked]
    assert "" == told(show, "churn")


def test_what_is_forgotten_stays_so(old, make) -> None:
    """Neither compaction nor a rebuild, whatever table is gone, brings back what was forgotten."""
    forget(old, YEAR)
    found = rows_of(old)
    assert 0 == compact(old).buckets
    rebuild(old)
    assert found == rows_of(old)
    for name in ("flat", "events", "models"):
        shutil.rmtree(Path(old.uri) / "tables" / name)
        if name == "flat":
            with pytest.raises(TableDamaged, match="modeltrail rebuild"):
                compact(old)
        rebuild(old)
        assert found == rows_of(old)
    assert 0 == forget(old, 10 * YEAR).runs
    late = make.run_event("FAIL", make.base, make.uuid7(make.base, 950), "lonely")
    job = {"eventTime": make.base.isoformat(), "job": {"namespace": "n", "name": "k", "facets": {}}}
    rejected = make.rejected(20, b"nope", Reason("not_json", "$", "?"))
    seal_each(old, aged([*make.entries([late, job], start=18), rejected], 1))
    compact(old)
    found = rows_of(old)
    assert 1 == len([row for row in found["events"] if "lonely" in row])
    assert (1, 1) == (len(found["rejected"]), sum("'job_name': 'k'" in row for row in found["events"]))
    rebuild(old)
    assert found == rows_of(old)


def test_what_is_forgotten_is_not_carried_over(old) -> None:
    """Of tables without a Delta log also the files of before are read: what was forgotten there stays so."""
    forget(old, YEAR)
    found = rows_of(old)
    remove_raw(old, 17)
    for name in ("flat", "rejected"):
        shutil.rmtree(Path(old.uri) / "tables" / name / "_delta_log")
    assert len(found["events"]) - 1 == rebuild(old).carried
    assert found == rows_of(old)


def test_what_is_forgotten_stays_so_in_every_process(old, make) -> None:
    """What a rebuild forgets does not hang on the random order of sets: with this seed `runs` came first."""
    forget(old, YEAR)
    late = make.run_event("FAIL", make.base, make.uuid7(make.base, 950), "lonely")
    seal_each(old, aged(make.entries([late], start=18), 1))
    compact(old)
    found = rows_of(old)
    for lost in ("changes", "flat"):
        shutil.rmtree(Path(old.uri) / "tables" / lost)
        subprocess.run(
            [Path(sys.executable).with_name("modeltrail"), "rebuild", "--log", old.uri],
            env=os.environ | {"PYTHONHASHSEED": "7"},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        assert found == rows_of(old)


def test_what_a_run_lost_stays_so_when_the_horizon_moves_on(old, make) -> None:
    """A run that was forgotten, and spoke before and after a later horizon, does not get back its past."""
    forget(old, YEAR)
    spoken = (("RUNNING", 950, 300), ("COMPLETE", 960, 300), ("FAIL", 950, 1))
    for offset, (kind, run, days) in enumerate(spoken, start=18):
        event = make.run_event(kind, make.base, make.uuid7(make.base, run), f"late-{run}")
        seal_each(old, aged(make.entries([event], start=offset), days))
    compact(old)
    assert 1 == forget(old, timedelta(days=100)).runs
    found = rows_of(old)
    assert 2 == len([row for row in found["events"] if "late-950" in row])
    rebuild(old)
    assert found == rows_of(old)
    shutil.rmtree(Path(old.uri) / "tables" / "flat")
    rebuild(old)
    assert found == rows_of(old)


def test_a_model_that_is_spoken_of_is_kept(old, make) -> None:
    """A model that nobody registered stays, with its run, as long as a younger run reads it."""
    path = f"{make.data}/models/churn.joblib-unused"
    version = make.facet("version", datasetVersion=make.digest("model 7"))
    kind = make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")
    read = make.dataset(path, version=version, datasetType=kind)
    use = make.facet("u", fingerprint={"digest": make.digest("model 7")})
    read["inputFacets"] = {"modelTrail_dataUse": use}
    scored = make.run_event("COMPLETE", make.base, make.uuid7(make.base, 952), "score", inputs=[read])
    seal_each(old, aged(make.entries([scored], start=18), 1))
    done = forget(old, YEAR)
    assert (1, 0) == (done.runs, done.models)
    assert make.uuid7(make.base, 207) in column(old, "runs", "run_id")


def test_a_model_that_spark_loads_is_kept(old, make) -> None:
    """A younger run that reads the folder `metadata` of an old model keeps the run that made it."""
    read = make.dataset(f"{make.data}/models/churn.joblib-unused/metadata")
    later = make.base + timedelta(days=9)
    loaded = make.run_event("COMPLETE", later, make.uuid7(make.base, 952), "load", inputs=[read])
    seal_each(old, aged(make.entries([loaded], start=18), 1))
    forget(old, YEAR)
    assert make.uuid7(make.base, 207) in column(old, "runs", "run_id")


def test_who_made_what_was_copied_is_kept(old, make) -> None:
    """What a run in use read as a copy keeps the run that wrote the same bytes, under another name."""

    def of(content: str) -> dict:
        return {"version": make.facet("version", datasetVersion=make.digest(content))}

    prepared = make.dataset(f"{make.data}/prepared", **of("prepared"))
    copied = make.dataset("/app/prepared", **of("prepared"))
    kind = make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")
    model = make.dataset("/app/model", datasetType=kind, **of("model"))
    moments = (make.base + timedelta(days=day) for day in (9, 10))
    steps = (953, {"outputs": [prepared]}), (954, {"inputs": [copied], "outputs": [model]})
    made = [
        make.run_event("COMPLETE", at, make.uuid7(make.base, number), f"step {number}", **sides)
        for at, (number, sides) in zip(moments, steps, strict=True)
    ]
    seal_each(old, aged(make.entries(made, start=18), 690))
    asked = make.run_event("COMPLETE", make.base, make.uuid7(make.base, 955), "score", inputs=[model])
    seal_each(old, aged(make.entries([asked], start=20), 1))
    forget(old, YEAR)
    kept = {make.uuid7(make.base, number) for number, _ in steps}
    assert kept <= column(old, "runs", "run_id")


def test_nothing_old_changes_nothing(old) -> None:
    """Where nothing is older than what is to be kept, no table is written."""
    versions = [table_store(old).open(name).version() for name in TABLES]
    assert 0 == forget(old, 10 * YEAR).events
    assert versions == [table_store(old).open(name).version() for name in TABLES]
