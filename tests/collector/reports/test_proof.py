"""The proof of a report where the log was damaged, or thinned."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import msgspec

from modeltrail_collector.log import Batch, maintain, open_log
from modeltrail_collector.model import LOCAL, Reason
from modeltrail_collector.tables import compact


def test_damage_is_told_once(churn, ask, tmp_path) -> None:
    """Of a segment that cannot be read it is not said, record by record, that nothing was sealed there."""
    shutil.copytree(churn.uri, tmp_path / "log")
    segment = min((tmp_path / "log" / "raw").rglob("*.avro"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    found = ask(open_log(str(tmp_path / "log")), "churn@1", "audit", "json")
    assert ["offsets 0 to 4" in problem for problem in found.problems] == [True]
    proof = json.loads(found.text)["sections"][-1]
    answers = {row[0]: row[-1] for table in proof["tables"] for row in table["rows"] if "local/" in row[0]}
    assert "not verified" == answers["local/0/3"]
    assert {"name": "facets compared", "value": 0} == {
        key: one[key] for one in proof["facts"] for key in ("name", "value") if "facets" in one["name"]
    }


def test_what_a_record_was_warned_of(make, ask, tmp_path) -> None:
    """The verdict of a record that was kept with a warning says what is wrong in it, and where."""
    log, entries = open_log(str(tmp_path / "log")), make.entries(make.story()[:4])
    reasons = (Reason("format", "$.run.facets.x.at", 'must be a date, found "soon"'),)
    entries[3] = msgspec.structs.replace(entries[3], verdict="warned", reasons=reasons)
    log.append(LOCAL, Batch(0, 4, entries))
    compact(log)
    proof = json.loads(ask(log, "churn@1", "audit", "json").text)["sections"][-1]
    (records,) = [one for one in proof["tables"] if one["title"] == "Records"]
    assert {
        "local/0/2": "accepted",
        "local/0/3": 'warned: $.run.facets.x.at must be a date, found "soon"',
    }.items() <= {row[0]: row[4] for row in records["rows"]}.items()


def thinned(make, events, at: Path):
    """A compacted log of these events of which the first two were removed by retention."""
    log, entries = open_log(str(at)), make.entries(events)
    now = log.wall()
    for start, end, days in ((0, 2, 200), (2, 4, 100), (4, len(events), 0)):
        log.wall = lambda days=days: now - 86_400_000 * days
        log.append(LOCAL, Batch(start, end, entries[start:end]))
    compact(log)
    maintain(log, keep=timedelta(days=30))
    return log


def test_facets_of_what_is_kept_are_compared_in_a_thinned_log(make, ask, tmp_path) -> None:
    """That other records of the chain were removed is no reason to believe the tables about the rest."""
    log = thinned(make, make.story(), tmp_path / "log")
    whole = ask(log, "churn@2", "audit", "json")
    assert () == whole.problems
    assert "verified, but for records removed by retention" in whole.text
    other = make.story()
    other[5]["run"]["facets"]["modelTrail_hyperparameters"]["params"][0]["value"] = 0.123
    forged = thinned(make, other, tmp_path / "forged")
    shutil.rmtree(tmp_path / "log" / "tables")
    shutil.copytree(Path(forged.uri) / "tables", tmp_path / "log" / "tables")
    found = ask(open_log(log.uri), "churn@2", "audit", "json")
    assert any("the facet modelTrail_hyperparameters" in problem for problem in found.problems)
