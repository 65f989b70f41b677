"""What exactly produced a model version."""

import json
import re
from datetime import timedelta

from click.testing import CliRunner

import modeltrail_collector
from modeltrail_collector import answers
from modeltrail_collector.cli import answers as commands


def test_every_section_of_the_story(churn, make) -> None:
    """The answer holds every section of what the training run said."""
    told = answers.show(churn, "churn@3")
    assert told == json.loads(json.dumps(told))
    assert "train-churn" == told["run"]["job_name"]
    assert ["train", "test"] == [row["use"] for row in told["data"]]
    assert (make.digest("features 2"), 4000) == (told["data"][0]["fingerprint"], told["data"][0]["rows"])
    assert ["age", "tenure", "label"] == [column["name"] for column in told["data"][0]["columns"]]
    assert ["QuantileTransformer"] == [step["op"] for step in told["transformations"]]
    assert {"C": "0.1", "max_iter": "500"} == {row["name"]: row["value"] for row in told["params"]}
    assert (True, "train.py") == (told["code"]["dirty"], told["code"]["entryPoint"])
    assert "3.11.9" == told["environment"]["python"]["version"]
    assert ["loss"] == [row["name"] for row in told["metrics"]]
    assert ["accuracy"] == [row["name"] for row in told["evaluations"]]
    assert make.digest("model 3") == told["artifact"]["digest"]
    assert ("churn", "3") == (told["registration"]["name"], told["registration"]["version"])
    assert "2" == told["changes"][0]["base_version"]


def test_each_fact_names_how_it_was_learned_and_where(churn) -> None:
    """Facts carry `capture`, and the log record in which they were said."""
    told = answers.show(churn, "churn@3")
    place = {"topic": "local", "topic_id": "local", "partition": 0, "offset": 11}
    for section in ("data", "transformations", "params", "metrics"):
        assert all(fact["capture"] == "observed" and fact["source"] == place for fact in told[section])
    for section in ("code", "environment", "artifact", "registration"):
        assert place == told[section]["source"]


def test_what_nobody_said_is_none(churn, make, log_of) -> None:
    """A section that no event speaks of is None: not recorded."""
    assert answers.show(churn, "churn@3")["deployments"] is None
    assert answers.show(churn, "churn@1")["changes"] is None
    bare = make.dataset("m", datasetType=make.facet("t", datasetType="MODEL", subType="ML_MODEL"))
    told = answers.show(log_of([make.run_event("COMPLETE", make.base, "r", "j", outputs=[bare])]), "m")
    said = {name for name, value in told.items() if value is not None}
    assert {"model", "run"} == said


def test_versions_of_the_same_bytes_have_their_own_runs(make, log_of) -> None:
    """What was trained again to the same bytes is told of the run that did, and the others are named."""
    kind = make.facet("t", datasetType="MODEL", subType="ML_MODEL")

    def event(number: int, name: str = "churn", *, trained: bool = True, **found):
        model = make.dataset(
            name,
            datasetType=kind,
            modelTrail_registration=make.facet("r", name=name, version=str(number)),
            outputFacets__modelTrail_modelArtifact=make.facet("a", digest=make.digest("model"), **found),
        )
        facets = {"modelTrail_training": make.facet("t", algorithm=f"A{number}")} if trained else {}
        at = make.base + timedelta(minutes=number)
        said = {"name": "churn", "version": str(number), "digest": make.digest("model")}
        deployed = make.facet("d", action="create", model=said, effectiveAt=at.isoformat())
        facets |= {"modelTrail_deployment": deployed} if name == "churn" else {}
        return make.run_event("COMPLETE", at, f"run {number}", "train", run_facets=facets, outputs=[model])

    later = [event(5, written=False), event(6, "other")]  # trains something else beside; another name
    log = log_of([event(1), event(2), event(3), event(4, trained=False), *later])
    for number, maker in {1: 1, 2: 2, 3: 3, 4: 1, 5: 1}.items():
        told = answers.show(log, f"churn@{number}")
        assert (f"run {maker}", f"A{maker}") == (told["run"]["run_id"], told["model"]["algorithm"])
        others = {row["run_id"] for row in told["run"]["others"]}
        assert {f"run {one}" for one in (1, 2, 3, 6) if one != maker} == others
        assert str(number) == told["registration"]["version"]
        assert [str(number)] == [row["model_version"] for row in told["deployments"]]
    assert "run 6" == answers.show(log, "other@6")["run"]["run_id"]
    why = answers.why(log, "churn@1", "churn@5")
    assert ["run 1", "run 1"] == [why[side]["run_id"] for side in ("before", "after")]
    text = CliRunner().invoke(commands.show, ["churn@2", "--log", log.uri]).stdout
    assert ["run 1", "run 3", "run 6"] == re.findall("same bytes from.*(run .*)", text)


def test_a_deployment_is_part_of_its_version(churn) -> None:
    """The version that serves says where."""
    (row,) = answers.show(churn, "churn@2")["deployments"]
    assert ("churn-api", "production", "declared") == (row["endpoint"], row["environment"], row["capture"])
    assert 7 == row["source"]["offset"]


def test_broken_facets_are_shown_as_far_as_they_go(make, log_of) -> None:
    """Facets that are kept although they break their schema never break the answer."""
    for broken in ([], "text", 5, {"steps": 5, "params": 7, "python": "3", "fields": {}}):
        data = make.dataset("d", schema=broken, inputFacets__modelTrail_dataUse=broken)
        keys = (
            "featureTransformations",
            "hyperparameters",
            "environment",
            "codeState",
            "training",
            "metrics",
        )
        facets = {f"modelTrail_{key}": broken for key in keys}
        model = make.dataset("m", modelTrail_model=broken, outputFacets__modelTrail_modelArtifact=broken)
        event = make.run_event(
            "COMPLETE", make.base, "r", "j", run_facets=facets, inputs=[data], outputs=[model]
        )
        told = answers.show(log_of([event]), "m")
        assert "m" == told["model"]["name"]


def test_a_version_that_was_registered_twice_is_two(make, log_of) -> None:
    """Other bytes under the version of others: both are there, each with its own data, and told of."""
    first = make.train(1, make.base, features="bad", strength=1.0)
    again = make.train(2, make.base + timedelta(hours=1), features="good", strength=0.5)
    registered = again[1]["outputs"][1]["facets"]
    registered["modelTrail_registration"]["version"] = registered["version"]["datasetVersion"] = "1"
    log = log_of([*first, *again])
    now, before = (row for row in answers.models(log) if row["registered_name"])
    assert ("1", f"1+{before['digest'][:12]}") == (now["version"], before["version"])
    for row, other, features in ((now, before, "good"), (before, now, "bad")):
        told = answers.show(log, f"churn@{row['version']}")
        assert (row["digest"], make.digest(features)) == (
            told["artifact"]["digest"],
            told["data"][0]["fingerprint"],
        )
        assert [other["version"]] == told["registration"]["other_bytes"]
        assert row["run_id"] == answers.trace(log, row["digest"])["run"]["run_id"]
    learned = answers.impact(log, fingerprint=make.digest("bad"))
    assert [before["version"]] == [row["version"] for row in learned if row.get("registered_name")]
    shown = CliRunner().invoke(commands.show, ["churn@1", "--log", log.uri], catch_exceptions=False).output
    assert re.search(rf"registered again\s+with other bytes: {re.escape(before['version'])}", shown)


def test_what_happened_to_a_version_in_its_registry(make, log_of) -> None:
    """Who gave it an alias, from which version, and who deleted it: each with its record, in their order."""
    at = make.base + timedelta(days=5)
    hour = timedelta(hours=1)
    previous = {"version": "2", "aliases": ["candidate", "champion"]}
    events = [
        make.in_registry(2, at, "alias_set", aliases=["candidate", "champion"], actor="ada"),
        make.in_registry(3, at + hour, "alias_set", aliases=["champion"], previous=previous),
        make.in_registry(2, at + 2 * hour, "delete", actor="bob"),
    ]
    log = log_of([*make.story(), *events])
    told = answers.show(log, "churn@2")["registration"]
    assert [("register", None), ("alias_set", "ada"), ("delete", "bob")] == [
        (one["action"], one["actor"]) for one in told["history"]
    ]
    assert told["history"][-1] == told["deleted"]
    assert (14, events[2]["run"]["runId"]) == (
        told["deleted"]["source"]["offset"],
        told["deleted"]["run_id"],
    )
    other = answers.show(log, "churn@3")["registration"]
    assert (None, previous) == (other["deleted"], other["history"][-1]["previous"])
    asked = [commands.show, ["churn@2", "--section", "registration", "--log", log.uri]]
    shown = CliRunner().invoke(*asked, catch_exceptions=False).output
    assert re.search(r"deleted +2026-03-07 11:00:00 by bob +observed local/0@14", shown)
    assert re.search(r"alias_set +2026-03-07 09:00:00 by ada, aliases candidate, champion +observed", shown)
    asked[1][0] = "churn@3"
    shown = CliRunner().invoke(*asked, catch_exceptions=False).output
    assert "aliases champion, before: version 2 (candidate, champion)" in shown
    with modeltrail_collector.open(log.uri, as_of=at + hour) as db:
        assert answers.show(db, "churn@2")["registration"]["deleted"] is None


def test_a_version_that_is_registered_again_is_there(make, log_of) -> None:
    """A deletion is that of the bytes that were registered before it; what came after is not deleted."""
    day = timedelta(days=1)
    first = make.train(1, make.base, features="a", strength=1.0)
    again = make.train(2, make.base + 2 * day, features="b", strength=0.5)
    registered = again[1]["outputs"][1]["facets"]
    registered["modelTrail_registration"]["version"] = registered["version"]["datasetVersion"] = "1"
    log = log_of([*first, make.in_registry(1, make.base + day, "delete"), *again])
    before = f"1+{make.digest('model 1')[:12]}"
    for version, actions in (("1", ["register"]), (before, ["register", "delete"])):
        answer = answers.show(log, f"churn@{version}")
        told = answer["registration"]
        assert actions == [one["action"] for one in told["history"]]
        assert (version == before) == (told["deleted"] is not None)
        assert (version == before) == (answer["model"]["deleted_at"] is not None)
    same = make.train(1, make.base + 2 * day, features="a", strength=1.0)
    log = log_of([*first, make.in_registry(1, make.base + day, "delete"), *same])
    assert answers.show(log, "churn@1")["registration"]["deleted"] is None


def test_all_that_a_run_did_to_a_version_in_its_registry_is_told(make, log_of) -> None:
    """Each action of one run is in the history, once however often it was told, and the last ones hold."""
    at, hour = make.base + timedelta(days=5), timedelta(hours=1)
    steps = [
        ("START", "register", {}),
        ("RUNNING", "alias_set", {"aliases": ["blue"]}),
        ("RUNNING", "alias_set", {"aliases": ["blue", "green"]}),
        ("COMPLETE", "stage_change", {"aliases": ["blue", "green"], "stage": "Production"}),
    ]
    done = []
    for number, (kind, action, known) in enumerate(steps):
        event = make.in_registry(3, at + number * hour, action, **known)
        event["run"]["runId"] = make.uuid7(at, 900)
        done.append(event | {"eventType": kind})
    again = done[1] | {"eventTime": done[2]["eventTime"]}
    log = log_of([*make.story(), *done, again])
    told = answers.show(log, "churn@3")["registration"]
    assert [(action, known.get("aliases")) for _, action, known in steps] == [
        (one["action"], one["aliases"]) for one in told["history"][1:]
    ]
    assert (["blue", "green", "Production"], "Production") == (told["aliases"], told["stage"])
    assert ["candidate"] not in [row["aliases"] for row in answers.models(log)]


def test_the_aliases_of_a_deleted_version_are_those_that_it_had_then(make, log_of) -> None:
    """What another version was given before is none of them; what is given later was one."""
    at, hour = make.base + timedelta(days=5), timedelta(hours=1)
    done = [
        make.in_registry(2, at, "alias_set", aliases=["blue", "green"]),
        make.in_registry(3, at + hour, "alias_set", aliases=["blue"]),
        make.in_registry(2, at + hour, "register", aliases=["red"]),
        make.in_registry(2, at + 2 * hour, "delete", aliases=[]),
        make.in_registry(3, at + 3 * hour, "alias_set", aliases=["green"]),
    ]
    told = answers.show(log_of([*make.story(), *done]), "churn@2")["registration"]
    assert (["green", "red"], []) == (told["until_deleted"], told["aliases"])


def test_an_alias_that_a_version_is_registered_with_anew_is_one_more(make, log_of) -> None:
    """Who registers it from elsewhere knows not what else it has; who does something to an alias says all."""
    at, hour = make.base + timedelta(days=5), timedelta(hours=1)
    done = [
        make.in_registry(9, at, "register", aliases=["candidate"]),
        make.in_registry(9, at + hour, "register", aliases=["champion"]),
        make.in_registry(
            9, at + 2 * hour, "stage_change", aliases=["candidate", "champion"], stage="Staging"
        ),
        make.in_registry(9, at + 2 * hour, "register"),
        make.in_registry(9, at + 3 * hour, "alias_removed", aliases=["champion"]),
        make.in_registry(9, at + 4 * hour, "register", aliases=["blue"]),
    ]
    told = [
        answers.show(log_of(done[: number + 1]), "churn@9")["registration"] for number in range(len(done))
    ]
    both = ["candidate", "champion"]
    staged = [*both, "Staging"]
    assert [["candidate"], both, staged, staged, ["champion"], ["blue", "champion"]] == [
        one["aliases"] for one in told
    ]
    assert [None, None, "Staging", "Staging", None, None] == [one["stage"] for one in told]


def test_who_found_a_model_did_not_make_it(make, log_of) -> None:
    """Who wrote the bytes made them, also where he told of no training and others had found them before."""

    def run(number: int, name: str, **said):
        artifact = make.facet("modelTrail_modelArtifact", digest=make.digest("m"), **said)
        kind = make.facet("t", datasetType="MODEL", subType="ML_MODEL")
        model = make.dataset(name, datasetType=kind, outputFacets__modelTrail_modelArtifact=artifact)
        at = make.base + timedelta(minutes=number)
        read = [make.dataset(f"raw {number}")]
        return make.run_event("COMPLETE", at, f"{number:03}", "any", inputs=read, outputs=[model])

    log = log_of(
        [run(0, "m.bin", written=False), run(1, "n.bin", written=False), run(2, "m.bin"), run(3, "m.bin")]
    )
    for name in ("m.bin", "n.bin"):
        assert "002" == answers.show(log, name)["run"]["run_id"]
    assert ["raw 2"] == [each["name"] for each in answers.trace(log, "m.bin")["inputs"]]
    assert "000" == answers.show(log_of([run(0, "m.bin", written=False)]), "m.bin")["model"]["run_id"]


def test_who_only_registered_a_model_did_not_make_it(make, log_of) -> None:
    """A run that trained nothing and wrote no model is told as the one that registered it."""
    theirs, own = (
        make.facet("modelTrail_modelArtifact", digest=make.digest(str(written)), written=written)
        for written in (False, True)
    )

    def registered(number: int, at, **facets):
        said = make.facet("modelTrail_registration", name="risk", version=str(number))
        model = make.dataset(
            "models/risk", namespace="modeltrail://registry", modelTrail_registration=said, **facets
        )
        ours = {"modelTrail_environment": make.facet("modelTrail_environment", python={"version": "3.11"})}
        return make.run_event("COMPLETE", at, f"run {number}", "register", run_facets=ours, outputs=[model])

    deployed = make.deploy(1, make.base + timedelta(days=1))
    deployed[1]["run"]["facets"]["modelTrail_deployment"]["model"]["name"] = "risk"
    log = log_of([
        registered(1, make.base, outputFacets__modelTrail_modelArtifact=theirs),
        registered(2, make.base),
        registered(3, make.base, outputFacets__modelTrail_modelArtifact=own),
        registered(4, make.base) | {"inputs": [make.dataset("people.csv")]},
        *deployed,
    ])  # fmt: skip
    assert {"1": True, "2": True, "3": False, "4": False} == {
        version: answers.show(log, f"risk@{version}")["run"]["only_registered"] for version in "1234"
    }
    assert [None, None, "3.11", "3.11"] == [
        (answers.show(log, f"risk@{version}")["environment"] or {}).get("python", {}).get("version")
        for version in "1234"
    ]
    assert [None] == [row["run"] for row in answers.as_of(log)]
    told = CliRunner().invoke(commands.show, ["risk@1", "--log", log.uri], catch_exceptions=False).stdout
    assert re.search(r"made by\n  not recorded *\n  registered by register  COMPLETE", told)
    assert {"1": True, "2": True, "3": False, "4": False} == {
        version: answers.trace(log, f"risk@{version}")["run"]["only_registered"] for version in "1234"
    }
    told = CliRunner().invoke(commands.trace, ["risk@1", "--log", log.uri], catch_exceptions=False).stdout
    assert "└─ registered by register  COMPLETE" in told


def test_a_model_of_two_names_is_one_that_its_run_made(make, log_of) -> None:
    """Of models whose content nobody saw one that is said to be another name of one is not counted again."""
    typed = make.facet("t", datasetType="MODEL", subType="ML_MODEL")
    same = make.facet("s", identifiers=[{"namespace": "mlflow://host", "name": "logged", "type": "MODEL"}])
    registered = make.dataset("models/churn", namespace="mlflow://host", datasetType=typed, symlinks=same)
    logged, other = (
        make.dataset(name, namespace="mlflow://host", datasetType=typed) for name in ("logged", "m")
    )
    for outputs, count in (([registered, logged], 1), ([registered, logged, other], 2)):
        event = make.run_event("COMPLETE", make.base, "run", "train", outputs=outputs)
        assert count == answers.show(log_of([event]), "churn")["run"]["models"]


def test_what_a_job_asked_a_database_is_told_with_its_code(make, log_of) -> None:
    """In full, also where nothing else is known of the code; for people in one line that ends."""
    query = "SELECT age,\n       y\nFROM people WHERE age > 3" + " AND age > 3" * 40
    typed = make.facet("t", datasetType="MODEL", subType="ML_MODEL")
    event = make.run_event(
        "COMPLETE", make.base, "run", "train", outputs=[make.dataset("m", datasetType=typed)],
        job_facets={"sql": make.facet("s", query=query, dialect="postgres")},
    )  # fmt: skip
    log = log_of([event])
    code = answers.show(log, "m")["code"]
    assert {"query": query, "dialect": "postgres"}.items() <= code["query"].items()
    told = CliRunner().invoke(commands.show, ["m", "--log", log.uri], catch_exceptions=False).stdout
    assert re.search(r"  query +SELECT age, y FROM people WHERE age > 3 AND.{80,160} …", told)


def test_of_two_files_of_the_same_bytes_that_is_told_which_was_asked_for(make, log_of) -> None:
    """The best checkpoint is mostly the last one too."""
    kind = make.facet("t", datasetType="MODEL", subType="ML_MODEL")
    artifact = make.facet("modelTrail_modelArtifact", digest=make.digest("weights"))
    made = [
        make.dataset(name, datasetType=kind, outputFacets__modelTrail_modelArtifact=artifact)
        for name in ("/m/best.ckpt", "/m/last.ckpt")
    ]
    log = log_of([make.run_event("COMPLETE", make.base, "r", "fit", outputs=made)])
    for name in ("/m/best.ckpt", "/m/last.ckpt"):
        assert name == answers.show(log, name)["artifact"]["name"]
