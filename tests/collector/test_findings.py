"""What changed in a new model version, told in the log: once, by whoever, killed and stored wherever."""

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from modeltrail_collector.answers import impact
from modeltrail_collector.cli.tables import compact as command
from modeltrail_collector.findings import compact_and_tell
from modeltrail_collector.findings.event import Version
from modeltrail_collector.findings.event import make as make_event
from modeltrail_collector.judge import judge
from modeltrail_collector.log import Batch, Log, open_log
from modeltrail_collector.log.verify import verify
from modeltrail_collector.model import LOCAL
from modeltrail_collector.tables import compact, forget, rebuild, table_store

WORK = """
import sys
from modeltrail_collector.findings import compact_and_tell
from modeltrail_collector.log import open_log
compact_and_tell(open_log(sys.argv[1]))
"""


@pytest.fixture
def log(tmp_path: Path, make) -> Log:
    """A log that holds the churn story, and is not compacted."""
    return filled(open_log(str(tmp_path / "log")), make)


def filled(log: Log, make) -> Log:
    entries = make.entries(make.story())
    log.append(LOCAL, Batch(0, len(entries), entries))
    return log


def told(log: Log) -> dict[str, dict]:
    """Version -> the facet, of all that lies in the log itself."""
    found: dict[str, dict] = {}
    for segment in log.segments(LOCAL):
        for entry in log.read(segment):
            event = json.loads(entry.value)
            for dataset in event["inputs"]:
                if facet := dataset["facets"].get("modelTrail_changes"):
                    version = dataset["facets"]["version"]["datasetVersion"]
                    assert version not in found, f"version {version} is told twice"
                    found[version] = facet
    return found


def rows(log: Log, name: str) -> list[dict]:
    return table_store(log).open(name).to_pyarrow_table().to_pylist()


def test_what_is_left_out_is_counted() -> None:
    """What is too long for the event, and causes that are unlikely or too many, are counted there."""
    version = Version("ns", "m", "2", "2026-03-02T09:00:00Z", "1")
    rows = [
        {"section": "parameters", "path": f"p{n:03}", "before": "b" * 2000, "after": None} for n in range(99)
    ]
    cause = {"kind": "code", "subject": "a.py", "evidence": [], "against": []}
    causes = [cause | {"strength": strength} for strength in ["strong"] * 22 + ["unlikely"] * 3]
    facet = make_event(version, rows, causes)["inputs"][0]["facets"]["modelTrail_changes"]
    told = facet["parameters"]["removed"]
    assert (1000, "b…") == (len(told[0]["before"]), told[0]["before"][-2:])
    assert [{"path": f"{99 - len(told)} more, too long to be told here"}] == facet["parameters"]["changed"]
    left = [(one["path"], one["evidence"].partition(":")[0]) for one in facet["likelyCauses"][20:]]
    assert [("2 more", "likely"), ("3 more", "unlikely")] == left
    unknown = make_event(version, rows, None)["inputs"][0]["facets"]["modelTrail_changes"]
    assert "likelyCauses" not in unknown


def test_every_new_version_is_told_once(log, make) -> None:
    """Each version is told with the one before it and the likely causes; told again there is nothing."""
    assert (12 + 3, 3) == ((found := compact_and_tell(log)).records, found.changes)
    facets = told(log)
    assert {"1", "2", "3"} == facets.keys()
    assert [None, "1", "2"] == [facets[version].get("baseVersion") for version in "123"]
    assert [{"path": "C", "before": "1.0", "after": "0.1"}] == facets["2"]["parameters"]["changed"]
    assert facets["2"]["likelyCauses"][0]["path"] == "parameters: C"
    assert facets["2"]["likelyCauses"][0]["evidence"].startswith("strong: C: 1.0 → 0.1")
    assert [] == facets["1"]["likelyCauses"]
    again = compact_and_tell(log)
    assert (0, 0) == (again.records, again.changes)
    events = make.train(4, make.base + timedelta(days=5), features="features 2", strength=3.0)
    end = log.end(LOCAL)
    log.append(LOCAL, Batch(end, end + 2, make.entries(events, start=end)))
    assert (3, 1) == ((found := compact_and_tell(log)).records, found.changes)
    assert "3" == told(log)["4"]["baseVersion"]


def test_to_tell_of_a_version_is_not_to_learn_from_its_data(log) -> None:
    """`impact` says the same of a log with the runs that tell what changed in a version as without them."""
    compact(log)
    before = [impact(log, name) for name in ("raw/customers.csv", "models/churn")]
    assert 3 == compact_and_tell(log).changes
    compact(log)
    assert before == [impact(log, name) for name in ("raw/customers.csv", "models/churn")]


def test_it_is_an_event_as_any_other(log) -> None:
    """The strictest judge accepts it, its chain holds, its run is in the tables, and it makes no version."""
    compact_and_tell(log)
    entries = [entry for segment in log.segments(LOCAL) for entry in log.read(segment)][12:]
    for entry in entries:
        assert "accepted" == judge(entry.value, strict=True).verdict, judge(entry.value, strict=True).reasons
        assert "modeltrail:changes" == entry.source
    assert verify(log).ok
    runs = [row for row in rows(log, "runs") if row["job_name"] == "model-changes"]
    assert ["COMPLETE"] * 3 == [row["state"] for row in runs]
    assert {"5"} == {row["run_id"][14] for row in runs}
    versions = [(row["name"], row["version"]) for row in rows(log, "models") if row["registered_name"]]
    assert 3 == len(versions)


def test_a_rebuild_tells_nothing_again(log) -> None:
    """Tables made anew, or lost altogether, know what was told: the log does."""
    compact_and_tell(log)
    rebuild(log)
    assert 0 == compact_and_tell(log).changes
    assert 3 == len(told(log))


def test_two_that_tell_the_same_count_once(tmp_path, make) -> None:
    """Of two logs of one story the events are equal, byte by byte: copies of one event count once."""
    values = []
    for name in ("a", "b"):
        log = filled(open_log(str(tmp_path / name)), make)
        compact_and_tell(log)
        values.append([entry.value for segment in log.segments(LOCAL) for entry in log.read(segment)])
    assert values[0] == values[1]
    more = [entry for segment in log.segments(LOCAL) for entry in log.read(segment)][12:]
    copies = make.entries([entry.value for entry in more], start=15)
    log.append(LOCAL, Batch(15, 18, copies))
    compact(log)
    copied = [row["duplicate"] for row in rows(log, "events") if row["offset"] >= 12]
    assert [False] * 3 + [True] * 3 == sorted(copied)
    assert 0 == compact_and_tell(log).changes


@pytest.mark.parametrize("step", ["changes_found", "segment_put", "changes_sealed", "flat_committed:2"])
def test_killed_at_a_step_it_is_told_once(log, step: str) -> None:
    """Killed before, at or after sealing what is told, the next one tells what is missing, and no more."""
    environment = os.environ | {"MODELTRAIL_FAILPOINT": step}
    killed = subprocess.run([sys.executable, "-c", WORK, log.uri], env=environment, check=False)
    assert -signal.SIGKILL == killed.returncode
    compact_and_tell(open_log(log.uri))
    assert {"1", "2", "3"} == told(log).keys()
    assert verify(open_log(log.uri)).ok


def test_in_an_object_store(s3_uri, make) -> None:
    """A log in an object store has no inbox, and what changed is told in its chain all the same."""
    log = filled(open_log(s3_uri), make)
    assert 3 == compact_and_tell(log).changes
    assert 3 == len(told(log))
    assert 0 == compact_and_tell(open_log(s3_uri)).changes


def test_a_log_whose_events_came_from_kafka(tmp_path, make) -> None:
    """Where there is no local chain yet, telling begins it."""
    log = open_log(str(tmp_path / "log"))
    partition = type(LOCAL)("events", "6f2f3f4e-0000-4000-8000-000000000001", 0)
    entries = make.entries(make.story(), partition)
    log.append(partition, Batch(0, len(entries), entries))
    assert (15, 3) == ((found := compact_and_tell(log)).records, found.changes)
    assert 3 == len(told(log))


def test_what_retention_forgot_is_not_told_again(log) -> None:
    """What was told of a version that is kept may be forgotten: it is not new, and not told a second time."""
    compact_and_tell(log)
    forget(log, timedelta(days=-2))
    assert 3 == sum(row["registered_name"] is not None for row in rows(log, "models"))
    assert [] == [row for row in rows(log, "runs") if row["job_name"] == "model-changes"]
    assert 0 == compact_and_tell(log).changes


def test_a_turn_tells_so_many(log) -> None:
    """An old log is told turn by turn, newest versions first."""
    assert 2 == compact_and_tell(log, most=2).changes
    assert {"3", "2"} == told(log).keys()
    assert 1 == compact_and_tell(log, most=2).changes


def test_a_file_that_is_registered_goes_by_its_name(log) -> None:
    """A model's file and its registered name are one version, told once, under the name."""
    compact_and_tell(log)
    of = {row["name"] for row in rows(log, "facets") if row["key"] == "modelTrail_changes"}
    assert {"models/churn"} == of


def test_compact_tells_where_asked(log) -> None:
    """One compaction tells only with --changes, and says so; --watch tells without being asked."""
    runner = CliRunner()
    quiet = runner.invoke(command, ["--log", log.uri], catch_exceptions=False)
    assert {} == told(log)
    assert "told" not in quiet.stdout
    loud = runner.invoke(command, ["--log", log.uri, "--changes"], catch_exceptions=False)
    assert "What changed was told of 3 model versions." in loud.stdout
    assert 3 == len(told(log))


def test_a_watching_compactor_tells(log) -> None:
    """`compact --watch` tells of new versions by itself, and with --no-changes it does not."""
    script = Path(sys.executable).with_name("modeltrail")
    for more, expected in ((["--no-changes"], 0), ([], 3)):
        arguments = [script, "compact", "--watch", "--interval", "0.1", "--json", "--log", log.uri, *more]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert expected == json.loads(process.stdout.readline()).get("changes", 0)
            process.send_signal(signal.SIGTERM)
            assert 0 == process.wait(60)
        assert expected == len(told(log))
