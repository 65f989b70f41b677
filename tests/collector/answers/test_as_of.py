"""What was so at a past time, and what was known then."""

import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

import modeltrail_collector
from modeltrail_collector import answers
from modeltrail_collector.cli import answers as commands
from modeltrail_collector.cli.as_of import as_of as command
from modeltrail_collector.cli.impact import impact
from modeltrail_collector.errors import ConfigError, NotFound

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ARRIVAL = datetime.fromtimestamp(1_770_000_000, UTC)
"""When the record at offset 0 of the story arrived; each next one comes a millisecond later."""


def deployment(make, at, version, *, action="create", kind="COMPLETE", **more):
    """A run that says something about churn@version at an endpoint."""
    said = make.facet(
        "modelTrail_deployment",
        action=action,
        endpoint={"platform": "k8s", "name": "churn-api"},
        environment="production",
        model={"namespace": "modeltrail://registry", "name": "models/churn", "version": version},
        effectiveAt=at.isoformat(),
        **more,
    )
    run_id = make.uuid7(at, 700 + int(version))
    return make.run_event(kind, at, run_id, "deploy", run_facets={"modelTrail_deployment": said})


def in_force(log, at) -> dict[str, float | None]:
    """The versions in force and their share."""
    with modeltrail_collector.open(log.uri, as_of=at) as db:
        return {row["model_version"]: row["traffic_percent"] for row in answers.as_of(db)}


def test_what_was_in_production_and_from_what(churn, make) -> None:
    """Nothing was deployed before the second version; then it answers, with its run and the data of that."""
    assert {} == in_force(churn, make.base + DAY)
    with modeltrail_collector.open(churn.uri, as_of=make.base + 2 * DAY) as db:
        (row,) = answers.as_of(db)
    assert ("churn-api", "production", "models/churn", "2") == tuple(
        row[name] for name in ("endpoint", "environment", "model_name", "model_version")
    )
    assert make.uuid7(make.base + DAY, 202) == row["run"]["run_id"]
    assert f"{make.data}/features.parquet" in {data["name"] for data in row["run"]["data"]}
    assert make.digest("features 1") in {data["fingerprint"] for data in row["run"]["data"]}


def test_a_past_time_may_be_a_text(churn, make) -> None:
    """A handle takes a time as the command line does, and says what to write where it is none."""
    with modeltrail_collector.open(churn.uri, as_of=(make.base + 2 * DAY).isoformat()) as db:
        assert ["2"] == [row["model_version"] for row in answers.as_of(db)]
    with pytest.raises(ConfigError, match="'yesterday' is no time: write"):
        modeltrail_collector.open(churn.uri, known_at="yesterday")


def test_the_makers_of_many_versions_are_those_of_few(churn, make, monkeypatch) -> None:
    """Of thousands they are looked for among all versions, of a few by their names: it is the same answer."""
    for at in (None, make.base + 2 * DAY):
        with modeltrail_collector.open(churn.uri, as_of=at) as db:
            few = answers.as_of(db)
            monkeypatch.setattr(sys.modules[answers.as_of.__module__], "_MANY", 0)
            assert few == answers.as_of(db)
            monkeypatch.undo()
        assert all(row["run"]["data"] for row in few)
        assert few


def test_a_version_is_known_by_its_bytes_whatever_it_was_deployed_as(make, log_of) -> None:
    """A deployment under a name that nobody trained leads by its digest to the run that made these bytes."""
    served = deployment(make, make.base + DAY, "7")
    model = {"namespace": "s3://serving", "name": "blue", "version": "7", "digest": make.digest("model 1")}
    served["run"]["facets"]["modelTrail_deployment"]["model"] = model
    (row,) = answers.as_of(log_of([*make.train(1, make.base, features="f", strength=1.0), served]))
    assert ("blue", "train-churn") == (row["model_name"], row["run"]["job_name"])


def test_what_a_run_made_is_no_data_of_it(make, log_of) -> None:
    """A model that its own run evaluated is not told among the data that it was made from."""
    events = make.train(1, make.base, features="f", strength=1.0)
    for event in events:
        event["inputs"] = [*event["inputs"], *event["outputs"]]
    (row,) = answers.as_of(log_of([*events, deployment(make, make.base + DAY, "1")]))
    told = {data["name"] for data in row["run"]["data"]}
    assert f"{make.data}/features.parquet" in told
    assert not told & {model["name"] for event in events for model in event["outputs"]}


@pytest.mark.parametrize("is_base", [False, True])
def test_a_model_that_was_only_read_is_no_data_that_a_version_was_made_from(make, log_of, is_base) -> None:
    """A champion that a challenger was held against is none, a model that the run went on from is."""
    events = make.train(1, make.base, features="f", strength=1.0)
    champion = make.used("/x/champion.joblib", "champion", role="other", rows=0)
    champion["facets"]["datasetType"] = make.facet("t", datasetType="MODEL", subType="ML_MODEL")
    sources = [events[1]["inputs"][0], *([champion] if is_base else [])]
    of = [{"namespace": each["namespace"], "name": each["name"], "type": "DATASET"} for each in sources]
    entries = [
        {"namespace": made["namespace"], "name": made["name"], "type": "DATASET", "inputs": of}
        for made in events[1]["outputs"]
    ]
    events[1]["inputs"].append(champion)
    events[1]["job"]["facets"]["lineage"] = make.facet("lineage", entries=entries)
    (row,) = answers.as_of(log_of([*events, deployment(make, make.base + DAY, "1")]))
    told = {data["name"] for data in row["run"]["data"]}
    assert (True, is_base) == (f"{make.data}/features.parquet" in told, "/x/champion.joblib" in told)


def test_shares_rollbacks_and_retirement(make, log_of) -> None:
    """A share leaves the others in force, the whole replaces them, a failed deployment changes nothing."""
    at = [make.base + n * HOUR for n in range(8)]
    log = log_of([
        deployment(make, at[0], "1"),
        deployment(make, at[1], "2", action="update", trafficPercent=10),
        deployment(make, at[2], "3", action="update", kind="FAIL"),
        deployment(make, at[3], "2", action="shift_traffic", trafficPercent=100),
        deployment(make, at[4], "1", action="rollback"),
        deployment(make, at[5], "1", action="retire"),
    ])  # fmt: skip
    expected = [{"1": None}, {"1": None, "2": 10.0}, {"1": None, "2": 10.0}, {"2": 100.0}, {"1": None}, {}]
    assert expected == [in_force(log, moment) for moment in at[:6]]
    with modeltrail_collector.open(log.uri, as_of=at[0]) as db:
        assert answers.as_of(db)[0]["run"] is None  # nobody recorded what made it


def test_what_leaves_need_not_be_said_in_full(make, log_of) -> None:
    """What is retired may be told by name, version or bytes alone; the share of those that stay is open."""
    hours = [make.base + n * HOUR for n in range(9)]

    def called(event, **model):
        event["run"]["facets"]["modelTrail_deployment"]["model"] = model
        return event

    of = {"namespace": "modeltrail://registry", "name": "models/churn"}
    first, second = make.digest("model 1"), make.digest("model 2")
    log = log_of([
        *make.train(1, make.base - HOUR, features="f", strength=1.0),
        called(deployment(make, hours[0], "1"), **of, version="1", digest=first),
        called(deployment(make, hours[1], "2", trafficPercent=10), name="models/churn", version="2"),
        called(deployment(make, hours[2], "3", trafficPercent=20), **of, version="2"),
        called(deployment(make, hours[3], "4", action="retire"), name="churn", digest=first),
        called(deployment(make, hours[4], "5", action="retire"), name="models/churn", version="3"),
        called(deployment(make, hours[5], "6", trafficPercent=5), name="models/churn", digest=second),
        called(deployment(make, hours[6], "7", action="retire"), name="models/other"),
        called(deployment(make, hours[7], "8", action="retire"), name="models/churn"),
    ])  # fmt: skip
    expected = [
        *({"1": None}, {"1": None, "2": 10.0}, {"1": None, "2": 20.0}, {"2": None}, {"2": None}),
        *({"2": None, None: 5.0}, {"2": None, None: 5.0}, {}),
    ]
    assert expected == [in_force(log, moment) for moment in hours[:8]]
    rows = answers.impact(log, "features.parquet")
    ends = {row["version"]: row["until"] for row in rows if row["kind"] == "endpoint"}
    assert hours[3].isoformat()[:19] == ends["1"][:19]


def test_the_share_of_a_canary_is_told_wherever_it_is(make, log_of) -> None:
    """`show`, `impact` and `as-of` tell which share of the traffic a deployment gave; none where none was."""
    trained = [
        event
        for number in (1, 2)
        for event in make.train(number, make.base + number * HOUR, features="f", strength=1)
    ]
    deployed = [
        deployment(make, make.base + 3 * HOUR, "1"),
        deployment(make, make.base + 4 * HOUR, "2", action="update", trafficPercent=12.5),
    ]
    log = log_of([*trained, *deployed])

    def said(asked, *arguments):
        run = CliRunner().invoke(asked, [*arguments, "--log", log.uri], catch_exceptions=False)
        return [line for line in run.stdout.splitlines() if "since" in line or "production" in line]

    told = {"1": said(commands.show, "churn@1", "--section", "deployments")}
    told |= {"2": said(commands.show, "churn@2", "--section", "deployments")}
    assert {"1": [False], "2": [True]} == {
        version: ["12.5 % of the traffic" in line for line in lines] for version, lines in told.items()
    }
    spread = [line for line in said(impact, "features.parquet") if "→" in line]
    assert [("version 1", False), ("version 2", True)] == [
        (line[line.index("version") :][:9], "(12.5 % of the traffic then)" in line) for line in spread
    ]
    assert 1 == sum("12.5 % of the traffic" in line for line in said(command, "2100-01-01"))


def test_of_one_endpoint_or_model_or_version(make, log_of) -> None:
    """With a name: what is at that endpoint, where that model is in force, or that version; else NotFound."""
    hours = [make.base + n * HOUR for n in range(9)]
    trained = [
        event for number in (1, 2, 3) for event in make.train(number, hours[number], features="f", strength=1)
    ]

    def at(where: str, event, model: str = "models/churn"):
        said = event["run"]["facets"]["modelTrail_deployment"]
        said["endpoint"]["name"], said["model"]["name"] = where, model
        return event

    log = log_of([
        *trained,
        at("api", deployment(make, hours[4], "1")),
        at("api", deployment(make, hours[5], "2", trafficPercent=5)),
        at("batch", deployment(make, hours[5] + timedelta(minutes=1), "1")),
        at("mail", deployment(make, hours[5] + timedelta(minutes=2), "3")),
        at("mail", deployment(make, hours[6], "9"), model="fraud"),  # which the log knows by this alone
    ])  # fmt: skip

    def found(name: str | None = None, moment=None) -> list[str]:
        with modeltrail_collector.open(log.uri, as_of=moment) as db:
            rows = answers.as_of(db, name)
        every = answers.as_of(log) if moment is None else rows
        assert all(row in every for row in rows)  # told as among all others
        return [f"{row['endpoint']}: {row['model_name']}@{row['model_version']}" for row in rows]

    churn = ["api: models/churn@1", "api: models/churn@2", "batch: models/churn@1"]
    assert [*churn, "mail: fraud@9"] == found()
    assert churn == found("churn") == found("models/churn")
    assert churn[::2] == found("churn@1")
    assert churn[:2] == found("api")
    assert ["mail: fraud@9"] == found("fraud") == found("mail")
    assert [] == found("churn@3")
    assert ["mail: models/churn@3"] == found("churn@3", hours[6] - timedelta(seconds=1))
    assert found("api", hours[4]) == found("churn", hours[4]) == churn[:1]
    with pytest.raises(NotFound, match=r"is called 'chrun'\. Nearest: models/churn"):
        found("chrun")
    for name in ("models/nothing", "features.parquet"):  # the latter is data
        with pytest.raises(NotFound, match=f"No model or endpoint is called {name!r}"):
            found(name)
    with pytest.raises(NotFound, match=r"churn has no version '7'. It has: 3, 2, 1"):
        found("churn@7")


def test_of_two_teams_models_of_one_name_each_has_its_own(make, log_of) -> None:
    """The namespace tells them apart; without one there are two, which is said."""
    kind = make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")
    events = []
    for number, team in enumerate(("s3://red", "s3://blue"), 1):
        made = make.dataset("churn", namespace=team, datasetType=kind)
        events.append(make.run_event("COMPLETE", make.base, f"run {team}", "train", outputs=[made]))
        served = deployment(make, make.base + number * HOUR, str(number))
        said = served["run"]["facets"]["modelTrail_deployment"]
        said["endpoint"]["name"] = said["model"]["namespace"] = team
        said["model"]["name"] = "churn"
        events.append(served)
    log = log_of(events)
    assert ["s3://blue"] == [row["endpoint"] for row in answers.as_of(log, "s3://blue/churn")]
    assert ["s3://red"] == [row["endpoint"] for row in answers.as_of(log, "s3://red/churn")]
    with pytest.raises(NotFound, match="'churn' is not one"):
        answers.as_of(log, "churn")


def test_a_version_of_another_registry_was_not_deployed(make, log_of) -> None:
    """What a deployment says of churn@2 of one registry is said of no churn@2 of another one."""
    elsewhere = json.dumps(make.deploy(2, make.base + DAY)).replace("modeltrail://", "mlflow://")
    old, new = (make.train(number, make.base + number * HOUR, features="f", strength=1) for number in (2, 30))
    prepared = make.prepare(1, make.base, raw="r", features="f")
    log = log_of([*prepared, *old, *new, *json.loads(elsewhere)])
    assert [None] == [row["run"] for row in answers.as_of(log)]
    assert [None] == [one["run"] for one in answers.trace(log, "churn-api")["inputs"]]
    assert answers.show(log, "churn@2")["deployments"] is None
    assert "endpoint" not in {row["kind"] for row in answers.impact(log, "raw/customers.csv")}
    with pytest.raises(NotFound, match="is known to have been in production"):
        answers.why(log, "churn@30", against="production")


def test_what_was_known_of_now(make, log_of) -> None:
    """`as-of now --known-at` tells what is in force now of what was known then, also if it was to come."""
    log = log_of([deployment(make, ARRIVAL + DAY, "1"), deployment(make, ARRIVAL + 2 * DAY, "2")])

    def versions(*arguments: str) -> set[str]:
        result = CliRunner().invoke(command, [*arguments, "--log", log.uri, "--json"])
        return {row["model_version"] for row in json.loads(result.stdout)}

    first, both = (ARRIVAL + timedelta(milliseconds=each) for each in (0, 1))
    assert {"1"} == versions("now", "--known-at", first.isoformat())
    assert {"2"} == versions("now", "--known-at", both.isoformat())
    assert {"1"} == versions((ARRIVAL + DAY).isoformat(), "--known-at", both.isoformat())
    before = (ARRIVAL - DAY).isoformat()
    nothing = CliRunner().invoke(command, ["now", "--known-at", before, "--log", log.uri])
    said = f"No deployment was in force now, as far as was known at {ARRIVAL - DAY:%Y-%m-%d %H:%M:%S} UTC.\n"
    assert said == nothing.stderr


def test_what_was_known_is_another_question(make, log_of) -> None:
    """A deployment that is heard of late was so at the time, and was not known then."""
    events = [*make.train(1, make.base, features="f", strength=1.0), deployment(make, make.base + HOUR, "1")]
    log = log_of(events)
    known = ARRIVAL + timedelta(milliseconds=1)
    for as_of, known_at, versions in (
        (make.base + HOUR, None, ["1"]),
        (make.base, None, []),
        (make.base + HOUR, known, []),
        (make.base + HOUR, known + timedelta(milliseconds=1), ["1"]),
    ):
        with modeltrail_collector.open(log.uri, as_of=as_of, known_at=known_at) as db:
            assert versions == [row["model_version"] for row in answers.as_of(db)]


def test_what_took_effect_before_it_was_told_was_in_force(make, log_of) -> None:
    """A deployment counts from `effectiveAt` on, though its run is later; what was known then is as ever."""
    later = deployment(make, make.base + 9 * HOUR, "1")
    said = later["run"]["facets"]["modelTrail_deployment"]
    said["effectiveAt"] = (make.base + HOUR).isoformat()
    log = log_of([*make.train(1, make.base, features="f", strength=1.0), later])
    for hours, known_at, versions in ((0, None, []), (1, None, ["1"]), (9, None, ["1"]), (1, ARRIVAL, [])):
        with modeltrail_collector.open(log.uri, as_of=make.base + hours * HOUR, known_at=known_at) as db:
            assert versions == [row["model_version"] for row in answers.as_of(db)]


def test_every_question_can_be_asked_of_the_past(churn, make) -> None:
    """Models, runs, show, trace, changes and SQL answer from what had happened, a run under way as it was."""
    with modeltrail_collector.open(churn.uri, as_of=make.base + 3 * DAY + timedelta(minutes=1)) as db:
        assert ["2", "1"] == [row["version"] for row in answers.models(db)]
        assert "START" == answers.runs(db)[0]["state"]
        assert "COMPLETE" == answers.runs(churn)[0]["state"]
        assert "2" == answers.show(db, "churn")["model"]["version"]
        then, now = answers.show(db, "churn@2"), answers.show(churn, "churn@2")
        for section in ("model", "registration"):
            assert (["candidate"], []) == (then[section].pop("aliases"), now[section].pop("aliases"))
        for each in (then["model"], now["model"]):  # until when something was said that concerns it
            del each["last_event_at"], each["last_ingested_at"]
        assert then == now
        assert answers.trace(db, "churn@1") == answers.trace(churn, "churn@1")
        assert answers.changes(db, "churn@1", "churn@2") == answers.changes(churn, "churn@1", "churn@2")
        assert [{"version": "2"}] == answers.sql(
            db, "SELECT DISTINCT version FROM changes WHERE name = 'models/churn'"
        )
        with pytest.raises(NotFound, match="It has: 2, 1"):
            answers.show(db, "churn@3")


def test_what_differed_then_is_what_the_table_of_then_says(churn, make) -> None:
    """`show` of the past compares two versions; the table of all versions, as it was then, has the same."""
    columns = ("base_version", "section", "path", "before", "after")
    told = []
    for days in range(5):
        with modeltrail_collector.open(churn.uri, as_of=make.base + days * DAY + 5 * HOUR) as db:
            for version in {row["version"] for row in answers.models(db)}:
                shown = answers.show(db, f"churn@{version}")["changes"] or []
                query = f"SELECT {', '.join(columns)} FROM changes WHERE version = '{version}' ORDER BY ALL"
                assert db.sql(query).fetchall() == sorted(
                    tuple(row[name] for name in columns) for row in shown
                )
                told += shown
    assert {"1", "2"} == {row["base_version"] for row in told}


def test_the_commands_take_a_time(churn, make) -> None:
    """`as-of` prints where, which and from what; the other commands answer as of a time."""
    noon = (make.base + 2 * DAY).isoformat()
    result = CliRunner().invoke(command, [noon, "--log", churn.uri], catch_exceptions=False)
    lines = result.stdout.splitlines()
    assert "production  churn-api (k8s)" == lines[0]
    assert lines[1].startswith("  models/churn@2  since 2026-03-03 11:00:00")
    assert any("features.parquet" in line and "train" in line for line in lines)
    named = CliRunner().invoke(command, [noon, "churn-api", "--log", churn.uri], catch_exceptions=False)
    assert lines == named.stdout.splitlines()
    with pytest.raises(NotFound, match="'churn-ap'"):
        CliRunner().invoke(command, [noon, "churn-ap", "--log", churn.uri], catch_exceptions=False)
    result = CliRunner().invoke(command, ["2020-01-01", "--log", churn.uri])
    assert ("", "No deployment was in force then.\n") == (result.stdout, result.stderr)
    result = CliRunner().invoke(command, [noon, "churn@1", "--log", churn.uri])
    assert ("", "No deployment of churn@1 was in force then.\n") == (result.stdout, result.stderr)
    for ask, arguments in ((commands.models, []), (commands.runs, []), (commands.trace, ["churn@1"])):
        result = CliRunner().invoke(ask, [*arguments, "--json", "--as-of", noon, "--log", churn.uri])
        now = CliRunner().invoke(ask, [*arguments, "--json", "--log", churn.uri])
        then, today = json.loads(result.stdout), json.loads(now.stdout)
        assert (then == today) is (ask is commands.trace)
    result = CliRunner().invoke(command, ["now", "churn@1", "--log", churn.uri])
    assert ("", "No deployment of churn@1 was in force now.\n") == (result.stdout, result.stderr)
    result = CliRunner().invoke(command, ["now", "--json", "--log", churn.uri])
    assert answers.as_of(churn)
    assert answers.as_of(churn) == json.loads(result.stdout)
    result = CliRunner().invoke(command, ["noon", "--log", churn.uri])
    assert 2 == result.exit_code
    assert "is no time" in result.stderr
