"""Rules: each kind with a story in which it fires and one in which it does not."""

import importlib
import json
import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner

from modeltrail_collector.answers import firing as alerts
from modeltrail_collector.answers import forbidden
from modeltrail_collector.answers.rules import AnyRule, read_rules
from modeltrail_collector.cli.alert import alert as command
from modeltrail_collector.errors import ConfigError

answers_trace = importlib.import_module("modeltrail_collector.answers.trace")

ROOT = Path(__file__).parents[3]
SQL = ROOT / "collector" / "modeltrail_collector" / "answers" / "sql"
DAY = timedelta(days=1)
NOW = datetime(2026, 3, 10, tzinfo=UTC)


@pytest.fixture
def ask(tmp_path):
    """What one rule finds in a log: (subject, finding, actual), sorted."""

    def ask(log, *lines: str, now=NOW):
        return sorted((one.subject, one.finding, one.actual) for one in findings(log, *lines, now=now))

    def findings(log, *lines: str, now=NOW):
        path = tmp_path / "rules.toml"
        path.write_text("\n".join(("[[rule]]", 'name = "r"', *lines)))
        return alerts.alert(log, read_rules(path), now=now)

    ask.findings = findings
    return ask


HOLDOUT = "accuracy /data/churn/holdout.parquet"
PSI = "PSI of %s in /data/churn/features.parquet"


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["below = 0.84"], [("churn@3", HOLDOUT, "0.83")]),
        (["below = 0.83"], []),
        (["below = 0.84", 'versions = "deployed"'], [("churn@2", HOLDOUT, "0.82")]),
        (["below = 0.83", 'versions = "all"'], [("churn@1", HOLDOUT, "0.81"), ("churn@2", HOLDOUT, "0.82")]),
        (["above = 0.82"], [("churn@3", HOLDOUT, "0.83")]),
        (["above = 0.82", 'model = "other*"'], []),
        (["above = 0.82", 'dataset = "holdout.parquet"'], [("churn@3", HOLDOUT, "0.83")]),
        (["above = 0.82", 'dataset = "train.parquet"'], []),
        (["above = 0.82", 'slice = "*"'], []),
        (["rose_by = 0.005"], [("churn@3", HOLDOUT, "0.83")]),
        (["rose_by = 0.02"], []),
        (["rose_by = 0.015", 'against = "1"'], [("churn@3", HOLDOUT, "0.83")]),
        (["moved_by = 0.005"], [("churn@3", HOLDOUT, "0.83")]),
        (["fell_by = 0.005"], []),
    ],
)
def test_metric(churn, ask, lines, found) -> None:
    """A figure fires below, above, and where it moved against the version before or a named one."""
    assert found == ask(churn, 'kind = "metric"', 'metric = "accuracy"', *lines)


def test_a_finding_carries_its_evidence(churn, ask, make) -> None:
    """It names what was expected, the run that said so, its record in the log, and the figures."""
    (one,) = ask.findings(churn, 'kind = "metric"', 'metric = "accuracy"', "rose_by = 0.005")
    assert "at most 0.005 above 0.82 (version 2)" == one.expected
    assert make.uuid7(make.base + 3 * DAY, 203) == one.run_id
    assert {"topic": "local", "topic_id": "local", "partition": 0, "offset": 11} == one.source
    assert ("2", 0.82) == (one.facts["base_version"], pytest.approx(one.facts["base_value"]))


def test_a_figure_that_is_no_number_fires(make, log_of, ask) -> None:
    """NaN is below every floor: a training that diverged must not pass."""
    events = make.train(1, make.base, features="f", strength=1.0)
    metrics = events[1]["run"]["facets"]["modelTrail_metrics"]["metrics"]
    metrics[0] |= {"value": None, "nonFinite": "nan"}
    log = log_of(events)
    assert [("churn@1", "loss train", "nan")] == ask(log, 'kind = "metric"', 'metric = "loss"', "below = 0")


def profile(make, shift: float = 0.0, blue: int = 50):
    """1,000 rows: a bell of 20 bins from -10 to 10, moved; a category."""
    edges = [shift + n - 10 for n in range(21)]
    counts = [round(1000 * math.exp(-(((n - 9.5) / 4) ** 2))) for n in range(20)]
    column = {"histogram": {"edges": edges, "counts": counts}}
    top = [{"value": "blue", "count": blue}, {"value": "red", "count": 100 - blue}]
    columns = {"age": column, "colour": {"topK": top, "other": 0}}
    return make.facet("modelTrail_featureProfile", columns=columns)


def two_versions(make, **after):
    events = []
    for number, how in ((1, {}), (2, after)):
        made = make.train(number, make.base + number * DAY, features="f", strength=1.0)
        made[1]["inputs"][0]["inputFacets"]["modelTrail_featureProfile"] = profile(make, **how)
        events += made
    return events


@pytest.mark.parametrize(
    ("after", "found"),
    [({}, []), ({"shift": 0.1}, []), ({"shift": 4}, [PSI % "age"]), ({"blue": 90}, [PSI % "colour"])],
)
def test_drift(make, log_of, ask, after, found) -> None:
    """A bell or a category that moved fires by its column's PSI; the same or nearly the same does not."""
    log = log_of(two_versions(make, **after))
    assert found == [one[1] for one in ask(log, 'kind = "drift"', "psi_above = 0.2")]
    assert [] == ask(log, 'kind = "drift"', "psi_above = 0.2", 'column = "other"')


def test_the_psi_is_that_of_the_formula(make, log_of, ask) -> None:
    """50:50 that becomes 90:10 has the PSI 0.4 ln(1.8) + 0.4 ln(5)."""
    log = log_of(two_versions(make, blue=90))
    (one,) = ask.findings(log, 'kind = "drift"', "psi_above = 0.2")
    assert 0.4 * math.log(1.8) + 0.4 * math.log(5) == pytest.approx(one.facts["psi"])
    assert one.facts["psi"] > one.facts["psi_by_chance"]
    assert "at most 0.2 against version 1" == one.expected


def test_drift_that_monitoring_measured(churn, make, log_of, ask) -> None:
    """A PSI that a monitoring run reports of a version in use fires; the newest window counts."""

    def monitored(number, statistic):
        at = make.base + (5 + number) * DAY
        said = make.facet(
            "modelTrail_monitoring", window={"start": at.isoformat(), "end": at.isoformat()},
            model={"name": "churn", "version": "3"}, referenceRunId=make.uuid7(at, 1),
            drift=[{"column": "age", "method": "psi", "statistic": statistic}],
        )  # fmt: skip
        return make.run_event(
            "COMPLETE", at, make.uuid7(at, 500 + number), "watch", run_facets={"modelTrail_monitoring": said}
        )

    rule = ('kind = "drift"', "psi_above = 0.2")
    bad, good = monitored(1, 0.5), monitored(2, 0.1)
    assert [("churn@3", "PSI of age in use", "0.5")] == ask(log_of([*make.story(), bad]), *rule)
    assert [] == ask(log_of([*make.story(), bad, good]), *rule)


def test_missing(churn, make, log_of, ask) -> None:
    """What nobody recorded of the newest version fires fact by fact; what is recorded does not."""
    rule = ('kind = "missing"', 'facts = ["evaluation", "data_fingerprint", "code_state", "environment"]')
    assert [] == ask(churn, *rule)
    events = make.train(1, make.base, features="f", strength=1.0)
    del events[1]["run"]["facets"]["modelTrail_codeState"]
    events[1]["inputs"] = [make.dataset("features.parquet")]
    log = log_of([events[1]])
    assert ["no code state", "no data fingerprint", "no evaluation"] == [one[1] for one in ask(log, *rule)]


def test_stalled(make, log_of, ask) -> None:
    """A run without an end for longer than allowed fires; one that ended, or began just now, does not."""
    at = make.base
    old, young, done = (make.uuid7(at, n) for n in (1, 2, 3))
    log = log_of(
        [
            make.run_event("START", at, old, "nightly"),
            make.run_event("START", at + timedelta(hours=5), young, "nightly"),
            make.run_event("START", at, done, "nightly"),
            make.run_event("COMPLETE", at + timedelta(minutes=1), done, "nightly"),
        ]
    )
    rule = ('kind = "stalled"', 'after = "6h"')
    found = [(f"nightly {old}", "no end", "START since 2026-03-02T09:00:00Z")]
    assert found == ask(log, *rule, now=at + timedelta(hours=7))
    assert [] == ask(log, *rule, now=at + timedelta(hours=5))
    assert [] == ask(log, *rule, 'job = "hourly*"', now=at + timedelta(hours=7))


def test_what_is_over_is_not_stalled(make, log_of, ask) -> None:
    """A run that never ended below one that did is not stalled; below one that did not, or before, it is."""
    events = []
    for number in (1, 2):
        above, below = (make.uuid7(make.base, 10 * number + n) for n in (1, 2))
        parent = {"run": {"runId": above}, "job": {"namespace": "n", "name": "app"}}
        events += [
            make.run_event("START", make.base, above, "app"),
            make.run_event("START", make.base, below, "job", run_facets={"parent": parent}),
        ]
    ended = make.run_event("COMPLETE", make.base + timedelta(hours=1), events[0]["run"]["runId"], "app")
    late, facets = make.uuid7(make.base, 99), events[1]["run"]["facets"]
    events.append(make.run_event("START", make.base + timedelta(hours=2), late, "late", run_facets=facets))
    log = log_of([*events, ended])
    found = ask(log, 'kind = "stalled"', 'after = "6h"', now=make.base + timedelta(hours=9))
    assert sorted(f"{each['job']['name']} {each['run']['runId']}" for each in events[2:]) == sorted(
        subject for subject, *_ in found
    )


def test_unregistered(churn, make, log_of, ask) -> None:
    """A deployed version that no registry knows fires while it serves; a registered one does not."""
    rule = ('kind = "unregistered"',)
    assert [] == ask(churn, *rule)

    def deployed(number, version, digest=None):
        at = make.base + (8 + number) * DAY
        model = {"namespace": "modeltrail://registry", "name": "models/churn", "version": version}
        model |= {"digest": digest} if digest else {}
        said = make.facet(
            "modelTrail_deployment", action="create", model=model, effectiveAt=at.isoformat(),
            endpoint={"platform": "k8s", "name": "churn-api"}, environment="production",
        )  # fmt: skip
        facets = {"modelTrail_deployment": said}
        return make.run_event("COMPLETE", at, make.uuid7(at, 600 + number), "deploy", run_facets=facets)

    log = log_of([*make.story(), deployed(1, "99")])
    assert [("models/churn@99 at churn-api", "not registered", "in no registry that the log knows")] == ask(
        log, *rule
    )
    assert [] == ask(log, *rule, 'environment = "staging"')
    assert [] == ask(log_of([*make.story(), deployed(1, "99"), deployed(2, "3")]), *rule)
    other = make.digest("somebody rebuilt it")
    assert 1 == len(ask(log_of([*make.story(), deployed(1, "3", other)]), *rule))


def test_of_versions_of_the_same_bytes_that_is_deployed_which_the_deployment_names(make, log_of, ask) -> None:
    """What was trained again to the same bytes is not deployed; of a deployment by bytes alone it may be."""
    digest = make.digest("model 2")
    events = [*make.story(), *make.train(4, make.base + 4 * DAY, features="features 1", strength=0.1)]
    text = json.dumps(events).replace(make.digest("model 4"), digest)
    rule = ('kind = "metric"', 'metric = "accuracy"', "below = 1", 'versions = "deployed"')
    for said, found in (
        ({"namespace": "modeltrail://registry", "name": "models/churn", "version": "2"}, {"churn@2"}),
        ({"name": "churn", "version": "4"}, {"churn@4"}),
        ({}, {"churn@2", "churn@4"}),
        ({"name": "churn", "version": digest[:12]}, {"churn@2", "churn@4"}),
    ):
        told = json.loads(text)
        deployed = next(event for event in told if "modelTrail_deployment" in event["run"]["facets"])
        deployed["run"]["facets"]["modelTrail_deployment"]["model"] = said | {"digest": digest}
        assert found == {subject for subject, *_ in ask(log_of(told), *rule)}


def test_what_serves_is_not_the_version_of_another_registry(make, log_of, ask) -> None:
    """A deployed version of an unknown registry is unregistered, and that of another one is not deployed."""
    elsewhere = json.loads(json.dumps(make.deploy(3, make.base + 4 * DAY)).replace("modeltrail:", "mlflow:"))
    trained = make.train(3, make.base, features="f", strength=1)
    log = log_of([*trained, *elsewhere, make.in_registry(3, make.base + 5 * DAY, "delete")])
    assert [] == ask(log, 'kind = "metric"', 'metric = "accuracy"', "below = 1", 'versions = "deployed"')
    found = ask(log, 'kind = "unregistered"')
    assert [("models/churn@3 at churn-api", "not registered", "in no registry that the log knows")] == found


def test_what_serves_though_it_was_deleted(make, log_of, ask) -> None:
    """A deployed version that was deleted from its registry fires, with who did it, until it is back."""
    rule = ('kind = "unregistered"',)
    at = make.base + 5 * DAY
    deleted = make.in_registry(2, at, "delete", actor="bob")
    log = log_of([*make.story(), make.in_registry(3, at, "delete"), deleted])
    (one,) = ask.findings(log, *rule)
    assert ("churn@2 at churn-api", "deleted from its registry") == (one.subject, one.finding)
    assert f"at {at.isoformat()} by bob" == one.actual
    assert (deleted["run"]["runId"], 13) == (one.run_id, one.source["offset"])
    assert [] == ask(log, *rule, 'environment = "staging"')
    again = make.in_registry(2, at + DAY, "register")
    assert [] == ask(log_of([*make.story(), deleted, again]), *rule)


def test_the_newest_is_not_one_that_was_deleted(make, log_of, ask) -> None:
    """A rule about the newest version is about the newest that is there: what fired of a deleted one ends."""
    rule = ('kind = "metric"', 'metric = "accuracy"', "below = 1")
    assert {"churn@3"} == {subject for subject, *_ in ask(log_of(make.story()), *rule)}
    gone = make.in_registry(3, make.base + 5 * DAY, "delete")
    assert {"churn@2"} == {subject for subject, *_ in ask(log_of([*make.story(), gone]), *rule)}


def test_what_serves_by_its_bytes_is_deleted_with_the_last_version_of_them(make, log_of, ask) -> None:
    """A deployment that names bytes alone fires once no version of these is in the registry any more."""
    copy = make.in_registry(4, make.base + 4 * DAY, "register")
    artifact = make.facet("modelTrail_modelArtifact", digest=make.digest("model 2"))
    copy["outputs"][0]["outputFacets"] = {"modelTrail_modelArtifact": artifact}
    serving = make.deploy(2, make.base + 4 * DAY)
    said = serving[1]["run"]["facets"]["modelTrail_deployment"]
    said["model"] = {"digest": make.digest("model 2")}
    gone = [make.in_registry(number, make.base + 5 * DAY, "delete") for number in (2, 4)]
    rule = ('kind = "unregistered"',)
    assert [] == ask(log_of([*make.story(), copy, *serving, gone[0]]), *rule)
    found = ask(log_of([*make.story(), copy, *serving, *gone]), *rule)
    assert ["deleted from its registry"] == [finding for _, finding, _ in found]


def test_forbidden(churn, make, log_of, ask) -> None:
    """A version that learned from a dataset through others fires, with the way; another dataset does not."""
    rule = ('kind = "forbidden"',)
    (one,) = ask.findings(churn, *rule, 'dataset = "customers.csv"')
    assert ("churn@3", "/data/churn/raw/customers.csv through 1 more") == (one.subject, one.actual)
    assert ["models/churn", "/data/churn/features.parquet", "/data/churn/raw/customers.csv"] == [
        step.rpartition(":")[2] for step in one.facts["way"]
    ]
    assert [] == ask(churn, *rule, 'dataset = "patients.csv"')
    digest = make.digest("customers")
    assert 1 == len(ask(churn, *rule, f'fingerprint = "{digest[:12]}"'))
    assert [] == ask(churn, *rule, f'fingerprint = "{make.digest("x")[:12]}"')


def test_forbidden_versions_beyond_the_first_that_are_traced_together(churn, ask, monkeypatch) -> None:
    """All that learned from it fire, however few are looked at at once."""
    monkeypatch.setattr(forbidden, "_AT_ONCE", 1)
    found = ask.findings(churn, 'kind = "forbidden"', 'dataset = "customers.csv"', 'versions = "all"')
    assert {"churn@1", "churn@2", "churn@3"} == {one.subject for one in found}


def test_forbidden_versions_that_are_too_many_for_one_answer(churn, ask, monkeypatch) -> None:
    """What does not fit into one answer is traced in parts, and each version is told with its way."""
    monkeypatch.setattr(answers_trace, "THINGS", 8)
    monkeypatch.setattr(forbidden, "_SHARING", 1)
    found = ask.findings(churn, 'kind = "forbidden"', 'dataset = "customers.csv"', 'versions = "all"')
    assert [3, 3, 3] == [len(one.facts["way"]) for one in found]


def test_forbidden_by_the_names_that_its_reader_knows(make, log_of, ask) -> None:
    """A model that learned from a table fires where its place, or what went into it, is meant."""
    links = make.facet("symlinks", identifiers=[{"namespace": "file", "name": "/lake/t", "type": "LOCATION"}])
    events = make.train(1, make.base + DAY, features="f", strength=1.0)
    for event in events:
        event["inputs"] = [make.dataset("t", namespace="hive://meta", symlinks=links)]
    written = {"inputs": [make.dataset("/raw/patients")], "outputs": [make.dataset("/lake/t")]}
    log = log_of([make.run_event("COMPLETE", make.base, "000", "prepare", **written), *events])
    for dataset in ("/lake/t", "/raw/patients"):
        (one,) = ask.findings(log, 'kind = "forbidden"', f'dataset = "{dataset}"')
        assert "churn@1" == one.subject


def test_forbidden_is_content_not_a_name(make, log_of, ask) -> None:
    """A file that once held forbidden rows does not blame versions trained on what it held after."""
    bad = make.prepare(1, make.base, raw="leaked", features="features with the leak")
    good = make.prepare(2, make.base + DAY, raw="clean", features="clean features")
    log = log_of([*bad, *good, *make.train(1, make.base + 2 * DAY, features="clean features", strength=1.0)])
    rule = ('kind = "forbidden"', f'fingerprint = "{make.digest("leaked")[:20]}"')
    assert [] == ask(log, *rule)
    log = log_of(
        [*bad, *good, *make.train(1, make.base + 2 * DAY, features="features with the leak", strength=1.0)]
    )
    assert 1 == len(ask(log, *rule))


def test_a_query_of_ones_own(churn, ask) -> None:
    """Each row of a `sql` rule is a finding: its columns by name, the others as facts."""
    query = (
        "SELECT job_name AS subject, 'often' AS finding, count(*) AS n FROM runs GROUP BY ALL HAVING n > 2"
    )
    (one,) = ask.findings(churn, 'kind = "sql"', f'query = "{query}"')
    assert ("train-churn", "often", {"n": 3}) == (one.subject, one.finding, one.facts)
    assert [] == ask(churn, 'kind = "sql"', "query = \"SELECT * FROM runs WHERE state = 'FAIL'\"")


@pytest.mark.parametrize(
    "query",
    [
        "DROP VIEW runs",
        "SELECT 1; SELECT 2",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT x FROM runs",
    ],
)
def test_a_query_reads_the_tables_and_nothing_else(churn, ask, query) -> None:
    """No statement but one SELECT over the tables is asked, and the refusal names the rule."""
    with pytest.raises(ConfigError, match="rule 'r' cannot be asked"):
        ask(churn, 'kind = "sql"', f'query = "{query}"')


def test_no_rule_sees_what_a_rule_said(make, log_of, ask) -> None:
    """Runs that tell of alerts are in no table that a rule reads: it never fires on its own event."""
    told = make.run_event("START", make.base, make.uuid7(make.base, 1), "r")
    told["job"]["namespace"] = alerts.NAMESPACE
    log = log_of([told])
    for query in (
        "SELECT * FROM runs",
        "SELECT * FROM events",
        "SELECT * FROM facets",
        "SELECT * FROM metrics",
    ):
        assert [] == ask(log, 'kind = "sql"', f'query = "{query}"')
    assert [] == ask(log, 'kind = "stalled"', 'after = "1s"')


def test_a_storm_is_told_as_one(churn, ask) -> None:
    """Fifty findings are told one by one, a thousand as one whose key does not follow their number."""
    query = 'query = "SELECT n::VARCHAR AS subject FROM range({}) AS t(n)"'
    few, many, more = (ask.findings(churn, 'kind = "sql"', query.format(n)) for n in (50, 51, 1000))
    assert 50 == len(alerts.summarised(few))
    ((one,), (other,)) = (alerts.summarised(found) for found in (many, more))
    assert one.key == other.key
    assert ("more than 50 findings", "1,000", 10) == (other.finding, other.actual, len(other.facts["first"]))


BAD = [
    ('[[rule]]\nname = "x"\nkind = "metric"\nmetric = "a"\nbelw = 3', "line 5, rule 'x': .*belw.*mean below"),
    ('\n[[rule]]\nname = "x"\nkind = "metrix"', "line 4, rule 'x', kind: Invalid value 'metrix'. Kinds:"),
    ('[[rule]]\nname = "x"\nkind = "metric"\nmetric = "a"\nbelow = "3"', "line 5, .*Expected.*; it is '3'"),
    (2 * '[[rule]]\nname = "x"\nkind = "stalled"\n"after"= 6\n', "line 4, rule 'x', after: Expected"),
    ('[[rule]]\nname = "x"\nkind = "metric"\nmetric = "a"', "give one of below, above.* it has none of them"),
    ('[[rule]]\nname = "x"\nkind = "metric"\nmetric = "a"\nbelow = 1\nabove = 2', "it has below and above"),
    *(
        (f'[[rule]]\nname = "x"\nkind = "metric"\nmetric = "a"\n{bound} = {value}',
         f"line 1, rule 'x'.*{bound} is {value}: write a number")
        for bound, value in (("below", "nan"), ("below", "inf"), ("above", "-inf"), ("moved_by", "inf"))
    ),
    ('[[rule]]\nname = "x"\nkind = "drift"\npsi_above = inf', "psi_above is inf: write a number"),
    ('[[rule]]\nname = "x"\nkind = "stalled"\nafter = "6 hours"', "it is '6 hours'. Write 30s, 15m"),
    ('[[rule]]\nname = "x"\nkind = "missing"\nfacts = ["eval"]', "'eval'.*evaluation, data_fingerprint"),
    ('[[rule]]\nname = "x"\nkind = "forbidden"', "give dataset .* or fingerprint"),
    ('[[rule]]\nkind = "stalled"\nafter = "6h"', "line 1, rule 1: .*`name`"),
    ('[[rule]]\nname = "x"', "line 1, rule 'x': .*`kind`. Kinds: metric"),
    ("rule = 1", "Expected `array`, got `int`; it is 1"),
    ("x = [", "cannot be read: .*line 1|cannot be read: Invalid value"),
    ("", "`rule`"),
    (2 * '[[rule]]\nname = "x"\nkind = "sql"\nquery = "SELECT 1"\n', "line 5: a second rule is called 'x'"),
    ('[[rule]]\nname = "x"\nkind = "sql"\nquery = "SELECT 1"\n[[webhook]]\nname = "w"\nurl = "ftp://x"',
     "line 5, webhook 'w': url is 'ftp://x'"),
    ('[[rule]]\nname = "x"\nkind = "sql"\nquery = "SELECT 1"\n[[webhook]]\nname = "w"\nurl = "http://x/${NOPE_X}"',
     "the environment has no NOPE_X"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), BAD)
def test_a_rules_file_that_is_wrong_says_where(tmp_path, text, said) -> None:
    """The error names the line, the rule, the key, the value seen, and what would have been understood."""
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_rules(path)


def run(*arguments):
    return CliRunner().invoke(command, [str(one) for one in arguments])


def test_the_command(churn, tmp_path) -> None:
    """Exit code 1 with a line per finding, 0 with none; --json is an array with keys and sentences."""
    path = tmp_path / "rules.toml"
    path.write_text('[[rule]]\nname = "floor"\nkind = "metric"\nmetric = "accuracy"\nbelow = 0.9\n')
    found = run("--rules", path, "--log", churn.uri)
    assert 1 == found.exit_code
    lines = found.stdout.splitlines()
    assert ["error", "floor", "churn@3", HOLDOUT, "0.83", "at least 0.9"] == lines[1].split("\t")[:6]
    assert "local/0/11" == lines[1].split("\t")[7]
    (one,) = json.loads(run("--rules", path, "--log", churn.uri, "--json").stdout)
    assert ("floor", f"churn@3: {HOLDOUT}: 0.83, expected at least 0.9") == (one["rule"], one["message"])
    path.write_text(path.read_text().replace("0.9", "0.1"))
    quiet = run("--rules", path, "--log", churn.uri)
    assert (0, "", "Nothing fires.\n") == (quiet.exit_code, quiet.stdout, quiet.stderr)
    path.write_text(path.read_text().replace("accuracy", "acuracy"))
    mistyped = run("--rules", path, "--log", churn.uri).stderr
    assert "rule 'floor' cannot fire: no run told of a metric 'acuracy'. Nearest: accuracy." in mistyped


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            'kind = "missing"\nfacts = ["evaluation"]\nmodel = "chrun"',
            "no model is called 'chrun'. Nearest: churn.",
        ),
        (
            'kind = "drift"\npsi_above = 9\nagainst = "champion"',
            "no model has a version or alias 'champion'.",
        ),
        ('kind = "metric"\nmetric = "accuracy"\nfell_by = 1\nmodel = "ch*"\nagainst = "2"', ""),
    ],
)
def test_a_rule_about_what_nothing_is_called_says_so(churn, tmp_path, keys, said) -> None:
    """It would never fire, and look as if all were well: a model or a version that is in no row."""
    (path := tmp_path / "rules.toml").write_text(f'[[rule]]\nname = "one"\n{keys}\n')
    found = run("--rules", path, "--log", churn.uri)
    told = f"modeltrail: rule 'one' cannot fire: {said}\n" if said else ""
    assert f"Nothing fires.\n{told}" == found.stderr


def test_check_asks_without_a_log(tmp_path) -> None:
    """--check finds a wrong column in a query where there is no log at all, and says how many are right."""
    path = tmp_path / "rules.toml"
    path.write_text('[[rule]]\nname = "x"\nkind = "sql"\nquery = "SELECT run_id FROM runs"\n')
    found = run("--rules", path, "--check")
    assert (0, f"{path}: 1 rule can be asked.\n") == (found.exit_code, found.stderr)
    path.write_text(path.read_text().replace("run_id", "run_idd"))
    with pytest.raises(ConfigError, match=r"rule 'x' cannot be asked: .*run_idd"):
        CliRunner().invoke(command, ["--rules", str(path), "--check"], catch_exceptions=False)


def test_the_example_has_every_kind() -> None:
    """The rules file of the examples can be asked, and shows each kind there is."""
    rules = read_rules(ROOT / "examples" / "alerts.toml")
    alerts.check(rules)
    kinds = {one.__struct_config__.tag for one in rules.rule}
    assert {path.stem.removeprefix("rule_") for path in SQL.glob("rule_*.sql")} - {"views"} | {"sql"} == kinds


def test_the_page_tells_every_kind_and_key(tmp_path, monkeypatch) -> None:
    """docs/alerts.md names every kind with all its keys, and the files it shows can be read."""
    text = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    monkeypatch.setenv("ALERT_HOOK", "x")
    monkeypatch.setenv("ALERT_TOKEN", "y")
    shown = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert 2 == len(shown)
    for one in shown:
        (tmp_path / "rules.toml").write_text(one)
        read_rules(tmp_path / "rules.toml")
    for kind in get_args(AnyRule):
        assert f"| `{kind.__struct_config__.tag}` |" in text
        assert [] == [name for name in kind.__struct_fields__ if f"`{name}`" not in text]
