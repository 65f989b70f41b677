"""A real MLflow server: bridged by who uses it, or by itself."""

import json
import uuid

import pytest
from sklearn.linear_model import LogisticRegression


def outputs(event: dict) -> dict[str, dict]:
    return {output["name"]: output for output in event["outputs"]}


def test_a_model_that_is_sent_to_a_server_is_seen_on_its_way(mlflow, server, told, here) -> None:
    """A client of a bridged server tells the bytes of a model that the server alone keeps."""
    mlflow.set_tracking_uri(f"modeltrail+{server}")
    mlflow.set_experiment("by-client")
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(LogisticRegression(), name="model", registered_model_name="sent")
    end = next(each for each in told if each["eventType"] == "COMPLETE")
    assert str(uuid.UUID(run.info.run_id)) == end["run"]["runId"]
    namespace = server.replace("http:", "mlflow:")
    made = outputs(end)[f"logged_models/{info.model_id}"]
    assert namespace == made["namespace"]
    digest = made["outputFacets"]["modelTrail_modelArtifact"]["digest"]
    kept = mlflow.get_logged_model(info.model_id).artifact_location
    loaded = mlflow.artifacts.download_artifacts(artifact_uri=kept, dst_path=str(here))
    from modeltrail.observe import model

    assert model.look(loaded).digest == digest
    registered = next(each for each in told if each["eventType"] == "OTHER")
    assert digest == outputs(registered)["models/sent"]["outputFacets"]["modelTrail_modelArtifact"]["digest"]
    assert "sklearn" == end["run"]["facets"]["modelTrail_training"]["framework"]


def test_artifacts_go_to_a_server_as_without_the_bridge(mlflow, server, told, here) -> None:
    """Files that are logged, listed and loaded through a server are the same with a URI of the bridge."""
    (here / "notes.txt").write_text("hello")
    mlflow.set_tracking_uri(f"modeltrail+{server}")
    with mlflow.start_run() as run:
        mlflow.log_artifact("notes.txt", "notes")
    for uri in (server, f"modeltrail+{server}"):
        client = mlflow.MlflowClient(uri)
        assert ["notes/notes.txt"] == [each.path for each in client.list_artifacts(run.info.run_id, "notes")]
        assert "hello" == mlflow.artifacts.load_text(f"{run.info.artifact_uri}/notes/notes.txt")


@pytest.mark.slow
def test_a_server_tells_for_clients_that_know_nothing_of_us(mlflow, bridging_server, inbox, here) -> None:
    """A server over a bridged store tells of all its clients' runs, and nothing of its own machine."""
    log = here / "lineage-of-server"
    with bridging_server(log=log) as address:
        mlflow.set_tracking_uri(address)
        mlflow.set_experiment("by-server")
        with mlflow.start_run(run_name="far") as run:
            mlflow.log_param("C", 1)
            for step in range(3):
                mlflow.log_metric("loss", step, step=step)
            mlflow.sklearn.log_model(LogisticRegression(), name="model", registered_model_name="far")
        mlflow.MlflowClient().set_registered_model_alias("far", "champion", "1")
        mlflow.MlflowClient().rename_experiment(run.info.experiment_id, "renamed")
        with mlflow.start_run():
            pass
    *told, began, _ = inbox(log)
    assert ("START", "renamed") == (began["eventType"], began["job"]["name"])
    assert ["START", "OTHER", "RUNNING", "COMPLETE", "COMPLETE"] == [each["eventType"] for each in told]
    assert [str(uuid.UUID(run.info.run_id))] * 4 == [each["run"]["runId"] for each in told[:4]]
    points = told[2]["run"]["facets"]["modelTrail_metricSeries"]["points"]
    assert [0, 1, 2] == [each["step"] for each in points]
    alias = outputs(told[4])["models/far"]["facets"]["modelTrail_registration"]
    assert ("alias_set", ["champion"]) == (alias["action"], alias["aliases"])
    assert "actor" not in alias
    of_server = {
        "modelTrail_environment",
        "modelTrail_codeState",
        "processing_engine",
        "environmentVariables",
    }
    assert [] == [each for each in told if of_server & set(each["run"]["facets"])]


@pytest.mark.slow
def test_a_server_is_imported_with_what_it_keeps_of_models(mlflow, server, modeltrail_command) -> None:
    """An import asks a server for the description of its models: framework and signature are known."""
    mlflow.set_tracking_uri(server)
    mlflow.set_experiment("imported")
    with mlflow.start_run():
        mlflow.sklearn.log_model(LogisticRegression(), name="model", registered_model_name="kept")
    modeltrail_command("import", "mlflow", "--experiment", "imported", MLFLOW_TRACKING_URI=server)
    modeltrail_command("compact")
    story = json.loads(modeltrail_command("show", "kept@1", "--json").stdout)
    assert "sklearn" == story["model"]["framework"]
