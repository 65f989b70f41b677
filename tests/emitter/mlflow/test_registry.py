"""What happens to registered models, with who, when and what was before."""

import getpass
import uuid
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression


def changes(told: list[dict]) -> list[tuple[Any, ...]]:
    """The registrations of the events: action, version, aliases, stage, the version before."""
    found = []
    for event in told:
        for output in event["outputs"]:
            if (said := output["facets"].get("modelTrail_registration")) is not None:
                before = said.get("previous", {}).get("version")
                found.append((said["action"], said["version"], said["aliases"], said.get("stage"), before))
    return found


@pytest.fixture
def client(bridged):
    made = bridged.MlflowClient()
    made.create_registered_model("churn")
    return made


@pytest.fixture
def version(client):
    """`version()`: one more version of `churn`."""
    return lambda **more: client.create_model_version("churn", "s3://models/churn", **more).version


def test_a_version_is_an_output_of_the_run_that_made_it(bridged, told, here) -> None:
    """Registered from a run, a version is told as that run's output, with bytes, symlink, time and actor."""
    with bridged.start_run() as run:
        info = bridged.sklearn.log_model(LogisticRegression(), name="model", registered_model_name="churn")
    (event,) = [each for each in told if each["eventType"] == "OTHER"]
    assert str(uuid.UUID(run.info.run_id)) == event["run"]["runId"]
    made = next(each for each in event["outputs"] if each["name"] == "models/churn")
    said = made["facets"]["modelTrail_registration"]
    registry = f"mlflow://{here}/mlflow.db"
    assert {"system": "mlflow", "uri": registry} == said["registry"]
    assert ("register", "1", getpass.getuser(), "observed") == (
        *(said[key] for key in ("action", "version", "actor", "capture")),
    )
    assert event["eventTime"] == said["at"]
    links = {(each["namespace"], each["name"]) for each in made["facets"]["symlinks"]["identifiers"]}
    assert (registry, f"logged_models/{info.model_id}") in links
    assert made["outputFacets"]["modelTrail_modelArtifact"]["digest"]
    assert {"models/churn", f"logged_models/{info.model_id}"} == {each["name"] for each in event["outputs"]}


def test_a_second_version_of_a_run_does_not_replace_the_first(bridged, told, version) -> None:
    """Of one run a model has one version: the next is a run of its own, below it."""
    with bridged.start_run() as run:
        version(run_id=run.info.run_id)
        version(run_id=run.info.run_id)
        first, second = told[-2:]
    mlflows = str(uuid.UUID(run.info.run_id))
    assert mlflows == first["run"]["runId"]
    assert mlflows != second["run"]["runId"]
    assert mlflows == second["run"]["facets"]["parent"]["run"]["runId"]
    assert ("churn.register", "REGISTER") == (
        second["job"]["name"],
        second["job"]["facets"]["jobType"]["jobType"],
    )


def test_a_version_without_a_run_is_a_run_of_its_own(told, version) -> None:
    """A version that no run made, or one of another server, is told all the same."""
    version()
    version(run_id="f" * 32)
    assert [("register", "1", [], None, None), ("register", "2", [], None, None)] == changes(told)
    assert 2 == len({event["run"]["runId"] for event in told})


def test_who_had_an_alias_before_is_told(client, told, version) -> None:
    """An alias that moves is set on the one and taken from the other, and both say who held it."""
    version()
    version()
    client.set_registered_model_alias("churn", "champion", "1")
    client.set_registered_model_alias("churn", "older", "1")
    client.set_registered_model_alias("churn", "champion", "2")
    client.delete_registered_model_alias("churn", "champion")
    client.delete_registered_model_alias("churn", "nobody")
    assert [
        ("alias_set", "1", ["champion"], None, None),
        ("alias_set", "1", ["champion", "older"], None, None),
        ("alias_set", "2", ["champion"], None, "1"),
        ("alias_removed", "1", ["older"], None, "1"),
        ("alias_removed", "2", [], None, "2"),
    ] == changes(told)[2:]
    assert len(told) == len({event["run"]["runId"] for event in told})


def test_stages_and_who_had_to_leave_them_are_told(client, told, version) -> None:
    """A version that takes a stage says whom it follows; what went to the archive for it is told too."""
    version()
    version()
    client.transition_model_version_stage("churn", "1", "Production")
    client.transition_model_version_stage("churn", "2", "Production", archive_existing_versions=True)
    assert [
        ("stage_change", "1", [], "Production", None),
        ("stage_change", "2", [], "Production", "1"),
        ("stage_change", "1", [], "Archived", "1"),
    ] == changes(told)[2:]


def test_what_is_deleted_is_told_with_what_it_was(client, told, version) -> None:
    """A version that is deleted, or all with their name, leaves an event each; a failure leaves none."""
    from mlflow.exceptions import MlflowException

    for _ in range(3):
        version()
    client.set_registered_model_alias("churn", "champion", "2")
    client.delete_model_version("churn", "1")
    with pytest.raises(MlflowException):
        client.delete_model_version("churn", "1")
    client.delete_registered_model("churn")
    assert [
        ("delete", "1", [], None, "1"),
        ("delete", "2", [], None, "2"),
        ("delete", "3", [], None, "3"),
    ] == (sorted(changes(told)[4:]))


def test_a_version_of_a_run_that_is_over_takes_nothing_back(bridged, told, here) -> None:
    """What is registered after the end of its run is told with names alone: what was observed stays."""
    Path("churn.csv").write_text("tenure,churned\n1,0\n2,1\n")
    with bridged.start_run() as run:
        bridged.log_param("C", 1)
        data = bridged.data.from_pandas(pd.read_csv("churn.csv"), source="churn.csv")
        bridged.log_input(data, context="training")
        info = bridged.sklearn.log_model(LogisticRegression(), name="model", pip_requirements=[])
    bridged.register_model(info.model_uri, "churn")
    event = told[-1]
    assert ("OTHER", str(uuid.UUID(run.info.run_id))) == (event["eventType"], event["run"]["runId"])
    assert {} == event["run"]["facets"]
    assert [{"namespace": "file", "name": f"{here}/churn.csv"}] == event["inputs"]
    made = {each["name"]: each for each in event["outputs"]}
    assert "register" == made["models/churn"]["facets"]["modelTrail_registration"]["action"]
    assert {"namespace", "name"} == made[f"logged_models/{info.model_id}"].keys()
    (entry,) = [
        each for each in event["job"]["facets"]["lineage"]["entries"] if each["name"] == "models/churn"
    ]
    assert [f"{here}/churn.csv"] == [each["name"] for each in entry["inputs"]]


def test_versions_go_by_a_new_name_with_their_history(client, told, version) -> None:
    """A name that changes makes versions of the new one of those of the old one, which are gone."""
    version()
    client.set_registered_model_alias("churn", "champion", "1")
    client.rename_registered_model("churn", "churn-eu")
    made, gone = told[-2:]
    assert ["models/churn"] == [each["name"] for each in made["inputs"]]
    assert ["models/churn-eu"] == [each["name"] for each in made["outputs"]]
    (entry,) = made["job"]["facets"]["lineage"]["entries"]
    assert ["models/churn"] == [each["name"] for each in entry["inputs"]]
    assert ["models/churn"] == [each["name"] for each in gone["outputs"]]
    assert [("register", "1", ["champion"], None, None), ("delete", "1", [], None, None)] == changes(told)[
        -2:
    ]


def test_a_version_that_is_copied_leads_to_the_one_that_it_is_a_copy_of(bridged, told) -> None:
    """Promoted to another name, and from there once more, it has the same bytes and came of that version."""
    with bridged.start_run():
        model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        more = {"registered_model_name": "dev", "pip_requirements": []}
        info = bridged.sklearn.log_model(model, name="model", **more)
    client = bridged.MlflowClient()
    client.copy_model_version("models:/dev/1", "stage")
    client.copy_model_version("models:/stage/1", "prod")
    for (event, name), before in zip(
        ((told[-2], "stage"), (told[-1], "prod")), ("dev", "stage"), strict=True
    ):
        assert f"{name}.register" == event["job"]["name"]
        sources = [f"models/{before}", f"logged_models/{info.model_id}"]
        assert sources == [each["name"] for each in event["inputs"]]
        assert "1" == event["inputs"][0]["facets"]["version"]["datasetVersion"]
        assert ["MODEL"] * 2 == [each["facets"]["datasetType"]["datasetType"] for each in event["inputs"]]
        (entry,) = event["job"]["facets"]["lineage"]["entries"]
        assert (f"models/{name}", sources) == (entry["name"], [each["name"] for each in entry["inputs"]])
    digests = {
        each["outputFacets"]["modelTrail_modelArtifact"]["digest"]
        for event in told
        for each in event["outputs"]
        if each["name"].startswith("models/")
    }
    assert 1 == len(digests)
    client.rename_registered_model("dev", "dev-eu")
    client.copy_model_version("models:/stage/1", "late")
    assert ["models/late"] == [each["name"] for each in told[-1]["outputs"]]


def test_a_tag_of_a_version_is_told(client, told, version) -> None:
    """A version that is marked is told with the mark, as the tag of a run about that version."""
    version()
    client.set_model_version_tag("churn", "1", "validation_status", "approved")
    (tag,) = told[-1]["run"]["facets"]["tags"]["tags"]
    assert ("validation_status", "approved") == (tag["key"], tag["value"])
    assert ["models/churn"] == [each["name"] for each in told[-1]["outputs"]]


def test_a_version_is_told_below_the_run_of_ours_that_registers_it(told, version) -> None:
    """What a registration script does in a run of modeltrail is below that run."""
    import modeltrail

    with modeltrail.run("promote") as run:
        version(run_id=None)
    (event,) = [each for each in told if each["job"]["name"] == "churn.register"]
    assert run.run_id == event["run"]["facets"]["parent"]["run"]["runId"]


def test_prompts_are_no_models(bridged, told) -> None:
    """MLflow keeps prompts in its registry: their versions and aliases are no models' and not told."""
    bridged.genai.register_prompt("greeting", "Hello {{name}}")
    bridged.genai.set_prompt_alias("greeting", "live", 1)
    assert [] == changes(told)
