"""Which change a moved column speaks for: the data that has it, or that it may be made from; else code."""

import math
from datetime import timedelta

import pytest

from modeltrail_collector import answers

DAY = timedelta(days=1)
LOANS, PAYMENTS, CUSTOMERS = "/raw/loans.csv", "/raw/payments.csv", "/raw/customers.csv"


def profile(make, **means: float):
    """1,000 rows a column: a bell of 20 bins around so much."""
    counts = [round(1000 * math.exp(-(((n - 9.5) / 4) ** 2))) for n in range(20)]
    columns = {
        name: {"count": sum(counts), "nulls": 0, "mean": mean, "histogram": {
            "edges": [mean + n - 10 for n in range(21)], "counts": counts}}
        for name, mean in means.items()
    }  # fmt: skip
    return make.facet("modelTrail_featureProfile", columns=columns)


def read(make, name: str, *, role: str = "train", rows: int = 600, learned: str = "", **means: float):
    """A dataset with its profile, of which these columns are among the features."""
    content = f"{name} {means} {rows}"
    found = make.used(name, content, role=role, rows=rows, columns=",".join(means))
    use = found["inputFacets"]["modelTrail_dataUse"]
    use["features"] = learned.split()
    found["inputFacets"]["modelTrail_featureProfile"] = profile(make, **means)
    return found


def held(make, rows: int = 450, **means: float):
    """What the model was fitted on, in memory."""
    return read(make, "t/train", rows=rows, learned=" ".join(means), **means) | {"namespace": "inmemory://"}


def trained(make, number: int, inputs, *, commit: str = "1", accuracy: float | None = None):
    """A training on these inputs, by code of this commit."""
    made = make.train(number, make.base + number * DAY, features="", strength=1.0)
    for event in made:
        event["inputs"] = [*inputs, *event["inputs"][2:]]
    facets = made[1]["run"]["facets"]
    facets["modelTrail_codeState"] |= {"commit": commit * 40, "dirty": False}
    facets["modelTrail_metrics"]["metrics"] = []
    if accuracy is not None:
        judged = made[1]["inputs"][-1]["inputFacets"]["modelTrail_evaluation"]
        judged["metrics"] = [{"name": "accuracy", "value": accuracy}]
    return made


def credit(make, number: int, *, late: float = 0, share: float = 0, income: float = 0, **more):
    """A training on three files: late_share is made of payments, the other features are passed on."""
    loans = more.pop("loans", 600)
    inputs = [
        read(make, LOANS, rows=loans, learned="amount", loan=loans / 20, customer=0, amount=0),
        read(make, PAYMENTS, rows=12 * loans, loan=loans / 20, late=late),
        read(make, CUSTOMERS, rows=400, learned="income", customer=0, income=income),
        held(make, rows=loans, amount=0, income=income, late_share=share),
    ]
    return trained(make, number, inputs, **more)


def asked(log_of, *versions, first: int = 1) -> list[dict]:
    """The causes of the last of these versions against the first."""
    log = log_of([event for made in versions for event in made])
    return answers.why(log, f"churn@{first}", f"churn@{len(versions)}")["causes"]


def told(cause, mark: str = "evidence") -> str:
    return "\n".join(entry["text"] for entry in cause[mark])


def short(causes) -> list[tuple[str, str, str]]:
    return [(one["strength"], one["kind"], one["subject"]) for one in causes]


def test_a_derived_column_whose_files_did_not_move_points_to_the_code(make, log_of) -> None:
    """late_share speaks for the code, and not for the file in which another column moved too."""
    causes = asked(log_of, credit(make, 1), credit(make, 2, income=9, share=9, commit="2"))
    data, code = causes
    assert [("strong", "data", CUSTOMERS), ("strong", "code")] == [short([data])[0], short([code])[0][:2]]
    assert "shows in t/train: income PSI" in told(data)
    assert "late_share" not in told(data)
    assert "t/train: late_share PSI" in told(code)
    assert "which no change in what it was made from explains" in told(code)
    assert ["late_share"] == code["columns"]


def test_a_column_that_is_made_of_a_moved_one_speaks_for_its_file(make, log_of) -> None:
    """Late moved in payments.csv and is not passed on: late_share is evidence of that file alone."""
    later = credit(make, 2, late=9, share=9, income=9, commit="2")
    data = {cause["subject"]: told(cause) for cause in asked(log_of, credit(make, 1), later)}
    assert "shows in t/train: late_share PSI" in data[PAYMENTS]
    assert "shows in t/train: income PSI" in data[CUSTOMERS]
    assert "late_share" not in data[CUSTOMERS]
    assert not any("explains" in evidence for evidence in data.values())


def test_where_nothing_else_can_have_moved_it_a_derived_column_speaks_for_the_data(make, log_of) -> None:
    """With the same code a column of no known origin is told of the file that changed."""
    (cause,) = asked(log_of, credit(make, 1), credit(make, 2, income=9, share=9))
    assert ("strong", "data", CUSTOMERS) == short([cause])[0]
    assert "late_share PSI" in told(cause)
    assert "what moved late_share is not recorded" in told(cause, "against")


def test_more_rows_are_told_as_rows_and_not_as_the_column_that_counts_them(make, log_of) -> None:
    """Of an id that moved with more rows it is said that it is no feature; the headline has the rows."""
    causes = asked(log_of, credit(make, 1), credit(make, 2, loans=720))
    assert [("possible", LOANS, "rows 600 → 720"), ("possible", PAYMENTS, "rows 7,200 → 8,640")] == [
        (cause["strength"], cause["subject"], cause["what"]) for cause in causes
    ]
    for cause in causes:
        assert [] == cause["columns"]
        assert "loan moved, and is none of the features that are recorded" in told(cause, "against")


def test_what_files_are_joined_by_makes_no_other_column(make, log_of) -> None:
    """An id that both files have moved with the rows: late_share moved farther than these can move it."""
    causes = asked(log_of, credit(make, 1), credit(make, 2, loans=720, share=9, commit="2"))
    assert "code" == causes[0]["kind"]
    assert all("late_share" not in told(cause) for cause in causes if cause["kind"] == "data")


def prepared(
    make, number: int, lineage: dict, *, spend: float = 0, age: float = 0, in_memory=False, **commits: str
):
    """A run that makes train.csv of feed.csv, and one that trains on it."""
    at = make.base + number * DAY
    made = make.prepare(number, at, raw="", features="")
    feed = read(make, "/raw/feed.csv", role="other", spend=spend, visits=0)
    table = read(make, "/data/train.csv", learned="total age", total=spend + age, age=age)
    facets = {"columnLineage": make.facet("columnLineage", fields=lineage)}
    for event in made:
        event["inputs"] = [feed]
        event["outputs"] = [make.dataset("/data/train.csv", **facets)]
    made[1]["run"]["facets"]["modelTrail_codeState"] = make.facet(
        "modelTrail_codeState", commit=commits.get("commit", "1") * 40, dirty=False, entryPoint="prepare.py"
    )
    fitted = [held(make, total=spend + age, age=age)] if in_memory else []
    events = trained(make, number, [table, *fitted], commit=commits.get("trainer", "1"))
    for event in events:
        event["eventTime"] = (at + DAY / 2).isoformat().replace("+00:00", "Z")
    return [*made, *events]


def of_feed(*fields: str) -> dict:
    return {
        "total": {
            "inputFields": [{"namespace": "file", "name": "/raw/feed.csv", "field": one} for one in fields]
        }
    }


def test_column_lineage_says_what_a_column_is_made_of(make, log_of) -> None:
    """Where a run says that total is made of visits, which did not move, spend is not why it did."""
    for column, is_shown in (("spend", True), ("visits", False)):
        later = prepared(make, 2, of_feed(column), spend=9, commit="2")
        causes = asked(log_of, prepared(make, 1, of_feed(column)), later)
        feed = next(cause for cause in causes if cause["subject"] == "/raw/feed.csv")
        step = next(cause for cause in causes if cause["kind"] == "preparation")
        assert is_shown == ("shows in train.csv: total PSI" in told(feed))
        assert is_shown != ("train.csv: total PSI" in told(step))


def joined(make, number: int, *, visits: float = 0, note: float = 0):
    """A training on train.csv: total is made of visits of the feed, age is its own, note another file's."""
    other = "/raw/other.csv"
    made = prepared(make, number, {}, spend=visits)
    fields = {"total": ("/raw/feed.csv", "visits"), "age": ("/raw/feed.csv", "age"), "note": (other, "age")}
    lineage = {
        column: {"inputFields": [{"namespace": "file", "name": name, "field": field}]}
        for column, (name, field) in fields.items()
    }
    for event in made[:2]:
        event["inputs"] = [
            read(make, "/raw/feed.csv", role="other", visits=visits, age=0),
            read(make, other, role="other", age=note),
        ]
        event["outputs"][0]["facets"]["columnLineage"]["fields"] = lineage
    table = read(make, "/data/train.csv", learned="total age", total=visits, age=0, note=note)
    for event in made[2:]:
        event["inputs"][0] = table
    return made


def test_what_column_lineage_leads_into_no_feature_is_no_likely_cause(make, log_of) -> None:
    """A column that is called as a feature is none of it; one that a feature is made of is one."""
    (feed,) = asked(log_of, joined(make, 1), joined(make, 2, visits=9))
    assert ("strong", "data", "/raw/feed.csv", ["visits"]) == (*short([feed])[0], feed["columns"])
    assert "none of the features" not in told(feed, "against")
    (other,) = asked(log_of, joined(make, 1), joined(make, 2, note=9))
    assert ("unlikely", "data", "/raw/other.csv") == short([other])[0]
    assert "no column of it went into train.csv, as its column lineage says" in told(other, "against")
    assert "age moved, and is none of the features that are recorded" in told(other, "against")


def test_a_column_that_a_preparation_moved_points_to_it(make, log_of) -> None:
    """Its input changed too, and has no such column: the run that was made differently did it."""
    later = prepared(make, 2, of_feed("spend"), age=9, commit="2")
    later[1]["inputs"][0]["inputFacets"]["modelTrail_dataUse"]["fingerprint"]["digest"] = make.digest("other")
    causes = asked(log_of, prepared(make, 1, of_feed("spend")), later)
    assert ("strong", "preparation", "prepare-churn") == short(causes)[0]
    assert "which no change in what it was made from explains" in told(causes[0])


def test_code_of_the_training_moves_no_column_of_what_it_read(make, log_of) -> None:
    """The run that made train.csv is the same: that total moved speaks for its feed."""
    later = prepared(make, 2, of_feed("visits"), spend=9, trainer="2")
    causes = asked(log_of, prepared(make, 1, of_feed("visits")), later)
    feed = next(cause for cause in causes if cause["subject"] == "/raw/feed.csv")
    assert "strong" == feed["strength"]
    assert "shows in train.csv: total PSI" in told(feed)
    assert "what moved total is not recorded" in told(feed, "against")


def test_versions_in_between_are_evidence(make, log_of) -> None:
    """A change that moved no figure there is no strong cause; code that alone came at the largest move is."""
    causes = asked(
        log_of,
        credit(make, 1, accuracy=0.6),
        credit(make, 2, income=9, accuracy=0.6),
        credit(make, 3, income=9, commit="2", accuracy=0.9),
        credit(make, 4, income=9, commit="2", loans=720, accuracy=0.91),
    )
    assert [("strong", "code"), ("possible", "data"), ("possible", "data"), ("possible", "data")] == [
        one[:2] for one in short(causes)
    ]
    most = (
        "it changed where accuracy moved most: churn@2 → churn@3, and nothing else that is told here did so"
    )
    assert most in told(causes[0])
    customers = next(cause for cause in causes if cause["subject"] == CUSTOMERS)
    assert "where it changed no figure moved: churn@1 → churn@2" in told(customers, "against")


@pytest.mark.parametrize(
    ("change", "other"), [({"age": 9, "commit": "2"}, "preparation"), ({"spend": 9}, "data")]
)
def test_nobody_says_that_nothing_else_came_where_that_is_not_known(make, log_of, change, other) -> None:
    """The code did not come alone: the data that it read was made differently in the same version."""
    versions = [
        prepared(make, 1, of_feed("spend")), prepared(make, 2, of_feed("spend")),
        prepared(make, 3, of_feed("spend"), trainer="2", **change),
    ]  # fmt: skip
    for number, events in enumerate(versions):
        judged = events[-1]["inputs"][-1]["inputFacets"]["modelTrail_evaluation"]
        judged["metrics"] = [{"name": "accuracy", "value": 0.9 if number == 2 else 0.6}]
    causes = asked(log_of, *versions)
    assert {"code", other} == {cause["kind"] for cause in causes}
    (code,) = [cause for cause in causes if cause["kind"] == "code"]
    assert "possible" == code["strength"]
    text = "it changed where accuracy moved most: churn@2 → churn@3"
    assert text in [entry["text"] for entry in code["evidence"]]


def test_versions_in_between_without_figures_are_no_evidence(make, log_of) -> None:
    """Nobody measured the version in which the data changed: that no figure moved there is not said."""
    between = credit(make, 2, income=9)
    for event in between:
        event["inputs"].pop()
    causes = asked(log_of, credit(make, 1, accuracy=0.6), between, credit(make, 3, income=9, accuracy=0.9))
    (data,) = [cause for cause in causes if cause["kind"] == "data"]
    assert "strong" == data["strength"]
    assert "no figure moved" not in told(data, "against")


def filtered(make, number: int, banned: int | None, **more):
    """A training that reads a list of ids beside its table, and keeps no row that is on it."""
    inputs = [read(make, LOANS, learned="amount", amount=0), held(make, rows=2000 - (banned or 0), amount=0)]
    if banned is not None:
        inputs.append(read(make, "/raw/ban.csv", role="other", rows=banned, customer=0))
    made = trained(make, number, inputs, **more)
    sources = [{field: one[field] for field in ("namespace", "name")} for one in inputs[:2]]
    for output in made[1]["outputs"]:
        output["facets"]["lineage"] = make.facet("lineage", inputs=sources)
    return made


def test_a_file_that_was_read_for_nobody_saw_what_is_possible(make, log_of) -> None:
    """A list of ids that grew is a possible cause of other rows, and no file that is the same."""
    (cause,) = asked(log_of, filtered(make, 1, 100), filtered(make, 2, 1000, commit="2"))[:1]
    assert ("possible", "data", "/raw/ban.csv") == short([cause])[0]
    assert "rows 100 → 1,000, read by the run, use not seen" == cause["what"]
    assert "the files that" not in told(cause)


def test_what_the_files_that_are_the_same_are_is_said(make, log_of) -> None:
    """Rows that differ though the files are the same are told as that; not where a list of ids came."""
    inputs = [read(make, LOANS, learned="amount", amount=0), held(make, rows=900, amount=0)]
    (cause,) = asked(log_of, filtered(make, 1, None), trained(make, 2, inputs))
    assert "the files that it is known to be made from are the same, and nothing recorded" in told(cause)
    (cause,) = asked(log_of, filtered(make, 1, None), filtered(make, 2, 900))
    assert ("/raw/ban.csv", "is new, read by the run, use not seen") == (cause["subject"], cause["what"])


def looked_up(make, number: int, mapping: str, *, region: float = 0, age: float = 0, commit: str = "1"):
    """A preparation that maps a column by a file without rows or columns, and a training on its output."""
    made = prepared(make, number, {}, age=age, commit=commit)
    lookup = make.used("/raw/map.json", mapping, role="other", rows=1)
    lookup["facets"].pop("schema")
    use = lookup["inputFacets"]["modelTrail_dataUse"]
    use.pop("features")
    use["fingerprint"].pop("rows")
    lookup["inputFacets"].pop("inputStatistics")
    table = read(make, "/data/train.csv", learned="region age", region=region, age=age)
    for event in made[:2]:
        raw = read(make, "/raw/feed.csv", role="other", age=0, city=0)
        event["inputs"] = [raw, lookup]
        lineage = make.facet("lineage", inputs=[{"namespace": "file", "name": "/raw/feed.csv"}])
        event["outputs"] = [make.dataset("/data/train.csv", lineage=lineage)]
    for event in made[2:]:
        event["inputs"][0] = table
    return made


def test_a_column_that_was_looked_up_speaks_for_the_mapping(make, log_of) -> None:
    """The column that no other file has is told of it; one of a file that is the same speaks for the code."""
    first = looked_up(make, 1, "a")
    (data,) = asked(log_of, first, looked_up(make, 2, "b", region=9))
    assert ("data", "/raw/map.json") == short([data])[0][1:]
    assert "shows in train.csv: region PSI" in told(data)
    causes = asked(log_of, first, looked_up(make, 2, "b", region=9, age=9, commit="2"))
    data, step = (next(one for one in causes if one["kind"] == kind) for kind in ("data", "preparation"))
    assert ("strong", "possible") == (step["strength"], data["strength"])
    assert "train.csv: age PSI" in told(step)
    assert "age PSI" not in told(data)


def test_what_moved_a_column_is_said_once_to_be_unknown(make, log_of) -> None:
    """Two symptoms in a row have the column: that nobody knows what moved it is one sentence."""
    causes = asked(
        log_of,
        prepared(make, 1, of_feed("visits"), in_memory=True),
        prepared(make, 2, of_feed("visits"), spend=9, in_memory=True),
    )
    feed = next(cause for cause in causes if cause["subject"] == "/raw/feed.csv")
    lines = [entry for entry in feed["against"] if entry["text"] == "what moved total is not recorded"]
    assert [4] == [len(entry["sources"]) for entry in lines]
