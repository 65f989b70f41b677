"""Which change of the data is a cause: not that of a column that the model never saw, nor one of the code."""

import math
from datetime import timedelta

from modeltrail_collector import answers
from modeltrail_collector.answers.firing import alert
from modeltrail_collector.answers.rules import Drift, Rules
from modeltrail_collector.answers.why import code

DAY = timedelta(days=1)


def profile(make, **shifts: float):
    """1,000 rows a column: a bell of 20 bins, moved by so much."""
    counts = [round(1000 * math.exp(-(((n - 9.5) / 4) ** 2))) for n in range(20)]
    columns = {
        name: {"count": sum(counts), "nulls": 0, "histogram": {
            "edges": [shift + n - 10 for n in range(21)], "counts": counts}}
        for name, shift in shifts.items()
    }  # fmt: skip
    return make.facet("modelTrail_featureProfile", columns=columns)


def learned(make, number: int, **shifts: float):
    """A training on `age` and `label` of a file that has more columns, split in memory."""
    made = make.train(number, make.base + number * DAY, features=f"f{number}", strength=1.0)
    for event in made:
        event["inputs"] = event["inputs"][:1]
    file = made[1]["inputs"][0]
    file["inputFacets"]["modelTrail_featureProfile"] = profile(make, **shifts)
    fitted = make.used("t/train", f"rows {number}", role="train", rows=700) | {"namespace": "inmemory://"}
    fitted["inputFacets"]["modelTrail_featureProfile"] = profile(make, age=shifts["age"])
    fitted["inputFacets"]["modelTrail_dataUse"] |= {"features": ["age"], "labelColumn": "label"}
    made[1]["inputs"].append(fitted)
    made[1]["run"]["facets"]["modelTrail_codeState"] |= {"commit": "1" * 40, "dirty": False}
    return made


def told(entries) -> str:
    return "\n".join(entry["text"] for entry in entries)


def test_a_column_that_the_model_did_not_learn_from_is_no_cause(make, log_of) -> None:
    """Its drift is told as one that the model never saw; that the file has other rows stays possible."""
    log = log_of([*learned(make, 1, age=0, row_id=0), *learned(make, 2, age=0, row_id=9)])
    (cause,) = answers.why(log, "churn@2")["causes"]
    assert ("possible", "data", "other content", []) == tuple(
        cause[field] for field in ("strength", "kind", "what", "columns")
    )
    assert "row_id moved, and is none of the features that are recorded: PSI" in told(cause["against"])
    assert "PSI" not in told(cause["evidence"])


def test_fewer_rows_to_split_are_no_other_split(make, log_of) -> None:
    """A quarter of 663 rows is no whole number: its share is another, and which rows there were the cause."""

    def split(number: int, rows: int, share: float, seed: int = 1):
        made = learned(make, number, age=3 * (number - 1), row_id=0)
        fitted = made[1]["inputs"][1]["inputFacets"]
        fitted["inputStatistics"]["rowCount"] = fitted["modelTrail_dataUse"]["fingerprint"]["rows"] = rows
        for each in made[1]["inputs"]:
            each["inputFacets"]["modelTrail_dataUse"]["split"] = {"seed": seed, "fraction": share}
        return made

    def splits(*after) -> list[str]:
        found = answers.why(log_of([*split(1, 750, 0.75), *split(2, *after)]), "churn@2")["causes"]
        return [cause["what"] for cause in found if cause["kind"] != "data"]

    assert [] == splits(497, 0.749623)
    assert ["fraction 0.75 → 0.7"] == splits(464, 0.7)
    assert ["fraction 0.75 → 0.748"] == splits(748, 0.748)
    assert ["fraction 0.75 → 0.749623, seed 1 → 2"] == splits(497, 0.749623, 2)


def test_a_column_that_the_model_learned_from_stays_strong(make, log_of) -> None:
    """The same drift of a feature is strong, and shows in what was fitted on."""
    log = log_of([*learned(make, 1, age=0, row_id=0), *learned(make, 2, age=9, row_id=0)])
    (cause,) = answers.why(log, "churn@2")["causes"]
    assert ("strong", ["age"]) == (cause["strength"], cause["columns"])


def changed(text: str) -> str:
    """A patch that changes one line of a file."""
    return f"diff --git a/{text} b/{text}\n--- a/{text}\n+++ b/{text}\n@@ -1 +1 @@\n-a\n+b\n"


def with_patch(make, number: int, patch: str, **more):
    made = learned(make, number, age=number, row_id=0)
    state = made[1]["run"]["facets"]["modelTrail_codeState"]
    state |= {"dirty": bool(patch), "diff": patch or None, **more}
    if patch:
        state["diffSha256"] = make.digest(patch)
    return made


def test_tracked_data_is_no_code(make, log_of) -> None:
    """Where of the tracked files only data differs, by its suffix or since it was read, code is ruled out."""
    patch = changed("d.csv") + changed("churn/features.parquet") + changed("data/churn/features.parquet")
    answer = answers.why(log_of([*with_patch(make, 1, ""), *with_patch(make, 2, patch)]), "churn@2")
    assert "code" not in [cause["kind"] for cause in answer["causes"]]
    assert any(
        line.startswith("code: of the tracked files only data differs: chur") for line in answer["unchanged"]
    )
    assert [{"path": "conf.json", "added": 1, "removed": 1}] == code._told_apart(
        code.files(changed("conf.json") + changed("d.json")), {"/somewhere/d.json"}
    )["files"]


def test_a_diff_that_is_cut_tells_no_counts(make, log_of) -> None:
    """Of a cut diff the files are named without counts, and it does not say that both changes are known."""
    patch = changed("train.py") + changed("d.csv")
    log = log_of([*with_patch(make, 1, ""), *with_patch(make, 2, patch, diffTruncated=True)])
    (cause,) = [one for one in answers.why(log, "churn@2")["causes"] if one["kind"] == "code"]
    assert "train.py" == cause["subject"]
    assert "the recorded diff is cut: what else differs is not known" in told(cause["against"])
    assert "data, and no code: d.csv" in told(cause["against"])
    assert "both uncommitted changes are known" not in told(cause["against"])


def test_drift_of_a_column_in_two_datasets_is_two_findings(make, log_of) -> None:
    """A finding names the dataset: one that ends does not end the other."""
    log = log_of([*learned(make, 1, age=0, row_id=0), *learned(make, 2, age=9, row_id=0)])
    found = alert(log, Rules(rule=[Drift(name="drift", psi_above=0.2)]))
    places = ("/data/churn/features.parquet", "t/train")
    assert {f"PSI of age in {place}" for place in places} == {one.finding for one in found}
    assert 2 == len({one.key for one in found})


def test_a_preparation_made_differently_tells_the_rows_that_it_kept(make, log_of) -> None:
    """Of a new filter in the run that prepares it says how many rows came of it before and after."""
    events = []
    for number, rows in ((1, 4000), (2, 3900)):
        at = make.base + number * DAY
        prepared = make.prepare(number, at, raw="customers", features=f"features {number}")
        if number == 2:
            prepared[1]["run"]["facets"]["modelTrail_featureTransformations"] = make.facet(
                "modelTrail_featureTransformations", steps=[{"id": "filter", "op": "filter"}]
            )
        trained = make.train(number, at + DAY / 2, features=f"features {number}", strength=1.0)
        for event in trained:
            event["inputs"][0]["inputFacets"]["modelTrail_dataUse"]["fingerprint"]["rows"] = rows
        events += [*prepared, *trained]
    cause = answers.why(log_of(events), "churn@2")["causes"][0]
    assert ("preparation", "prepare-churn") == (cause["kind"], cause["subject"])
    assert "features.parquet: rows 4,000 → 3,900" in told(cause["evidence"])


def prepared(make, log_of, **said):
    """What why says of two versions from one raw feed, where those who prepared it told this of their job."""
    events = []
    for number in (1, 2):
        at = make.base + number * DAY
        made = make.prepare(number, at, raw="raw", features=f"f{number}")
        for event in made:
            texts = {key: both[number - 1] for key, both in said.items() if both[number - 1]}
            event["job"]["facets"] |= {key: make.facet(key, **text) for key, text in texts.items()}
        events += [*made, *make.train(number, at + DAY / 2, features=f"f{number}", strength=1.0)]
    return answers.why(log_of(events), "churn@2")


def test_another_query_of_a_job_is_another_preparation(make, log_of) -> None:
    """The SQL that made the data of each version, or its source, is the cause where it differs."""
    queries = [{"query": f"SELECT id, amount{unit} AS amount FROM raw"} for unit in ("", " * 100")]
    answer = prepared(make, log_of, sql=queries)
    cause = answer["causes"][0]
    assert ("strong", "preparation", "prepare-churn") == (cause["strength"], cause["kind"], cause["subject"])
    assert f"sql: {queries[0]['query']} → {queries[1]['query']}" in told(cause["evidence"])
    assert "its inputs are the same, and features.parquet is not" in told(cause["evidence"])
    assert not any("prepare-churn" in line for line in answer["not_recorded"])
    sources = [{"language": "python", "sourceCode": f"rows * {number}"} for number in (1, 2)]
    cause = prepared(make, log_of, sourceCode=sources)["causes"][0]
    assert ("preparation", "prepare-churn") == (cause["kind"], cause["subject"])
    assert "code: other source files" in told(cause["evidence"])


def test_a_preparation_without_code_cannot_be_ruled_out(make, log_of) -> None:
    """Who made the data by what nobody recorded is named; the same query on both sides is its code."""
    missing = "code of prepare-churn, which prepared the data"
    assert missing in prepared(make, log_of)["not_recorded"]
    answer = prepared(make, log_of, sql=[{"query": "SELECT 1"}] * 2)
    assert missing not in answer["not_recorded"]
    assert "preparation" not in {cause["kind"] for cause in answer["causes"]}
    one = prepared(make, log_of, sql=[{"query": "SELECT 1"}, None])
    assert missing in one["not_recorded"]
    assert "preparation" not in {cause["kind"] for cause in one["causes"]}


def test_a_feed_of_one_part_of_a_folder_is_the_cause(make, log_of) -> None:
    """Where several runs wrote in a folder, what changed in what any of them read explains the folder."""
    folder, events = make.data + "/features.parquet", []
    for number in (1, 2):
        at = make.base + number * DAY
        for hour, (feed, content) in enumerate({"old": f"rows {number}", "new": "rows"}.items()):
            wrote = make.run_event(
                "COMPLETE", at + timedelta(hours=hour), make.uuid7(at, hour), f"ingest {feed}",
                inputs=[make.used(f"{make.data}/{feed}.csv", content, role="other", rows=9)],
                outputs=[make.dataset(f"{folder}/{feed}.parquet")],
            )  # fmt: skip
            events.append(wrote)
        events += make.train(number, at + DAY / 2, features=f"f{number}", strength=1.0)
    answer = answers.why(log_of(events), "churn@2")
    (cause,) = (one for one in answer["causes"] if one["kind"] == "data")
    assert cause["subject"].endswith("old.csv")
    (parts,) = (row for row in answer["changes"]["data"] if row["name"] == folder)
    assert (["/data/churn/old.csv"], "ingest new, ingest old") == (parts["because_of"], parts["written_by"])
    assert {"/data/churn/new.csv": "same", "/data/churn/old.csv": "changed", folder: "changed"} == {
        row["name"]: row["change"] for row in answer["changes"]["data"] if row["use"] != "test"
    }


def test_what_was_written_before_a_run_failed_explains_what_was_read(make, log_of) -> None:
    """Where the last run that was to write data failed, the feeds of the one before it are its causes too."""
    features, events = make.data + "/features.parquet", []
    for number in (1, 2):
        at = make.base + number * DAY
        for hour, kind in enumerate(("COMPLETE", "FAIL")):
            feed = make.used(f"{make.data}/{kind}.csv", f"rows {number}", role="other", rows=9)
            wrote = make.run_event(
                kind, at + timedelta(hours=hour), make.uuid7(at, hour), f"job {kind}",
                inputs=[feed] if kind == "COMPLETE" else [], outputs=[make.dataset(features)],
            )  # fmt: skip
            events.append(wrote)
        events += make.train(number, at + DAY / 2, features=f"f{number}", strength=1.0)
    data = answers.why(log_of(events), "churn@2")["changes"]["data"]
    (found,) = (row for row in data if row["name"] == features)
    assert ([f"{make.data}/COMPLETE.csv"], "job COMPLETE, job FAIL") == (
        found["because_of"],
        found["written_by"],
    )
