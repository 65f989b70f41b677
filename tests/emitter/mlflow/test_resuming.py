"""Runs of MLflow that are taken up by their id: when they were over, or made by another process."""

import subprocess
import sys
import uuid
from typing import Any

import pytest


def experiment(mlflow: Any) -> str:
    return mlflow.get_experiment_by_name("churn").experiment_id


def kinds(told: list[dict]) -> list[str]:
    return [each["eventType"] for each in told if each["eventType"] != "RUNNING"]


def test_a_run_that_failed_and_is_taken_up_ends_as_mlflow_says(bridged, told) -> None:
    """It begins anew, so that what it came to in the end counts, and not its first failure."""
    with pytest.raises(ZeroDivisionError), bridged.start_run() as run:
        1 / 0  # noqa: B018
    with bridged.start_run(run_id=run.info.run_id):
        bridged.log_metric("auc", 0.5)
    assert ["START", "FAIL", "START", "COMPLETE"] == kinds(told)
    assert {str(uuid.UUID(run.info.run_id))} == {each["run"]["runId"] for each in told}
    times = [each["eventTime"] for each in told]
    assert sorted(times) == times
    assert "modelTrail_codeState" in told[2]["run"]["facets"]


def test_a_run_that_was_complete_keeps_the_code_that_it_ran(bridged, told) -> None:
    """What is logged to it afterwards is told, and whose code that is does not count as the run's."""
    with bridged.start_run() as run:
        pass
    with bridged.start_run(run_id=run.info.run_id):
        bridged.log_metric("late", 1.0)
    assert ["START", "COMPLETE", "START", "COMPLETE"] == kinds(told)
    *_, again, value, end = told
    assert not {"modelTrail_codeState", "modelTrail_environment"} & {
        *again["run"]["facets"],
        *end["run"]["facets"],
    }
    assert ["late"] == [each["name"] for each in value["run"]["facets"]["modelTrail_metricSeries"]["points"]]


def test_a_run_that_another_process_made_is_of_the_one_that_works_at_it(bridged, told) -> None:
    """Code and environment are of who takes it up, as the script of `mlflow run` does."""
    code = (
        "import mlflow, sys; mlflow.set_tracking_uri(sys.argv[1])\n"
        "print(mlflow.MlflowClient().create_run(sys.argv[2]).info.run_id)"
    )
    uri = bridged.get_tracking_uri()
    command = [sys.executable, "-W", "ignore", "-c", code, uri, experiment(bridged)]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    with bridged.start_run(run_id=made.stdout.split()[-1]):
        pass
    assert ["START", "COMPLETE"] == kinds(told)
    for event in told:
        assert {"modelTrail_codeState", "modelTrail_environment"} <= set(event["run"]["facets"])


def test_a_run_that_its_own_process_takes_up_began_once(bridged, told) -> None:
    """Made by a client and entered by its id, as sweeps do, a run has one START."""
    run = bridged.MlflowClient().create_run(experiment(bridged))
    with bridged.start_run(run_id=run.info.run_id):
        pass
    assert ["START", "COMPLETE"] == kinds(told)


@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
def test_a_run_that_is_set_right_ends_as_it_was_set(bridged, told, status) -> None:
    """Who says of a run that had failed that it is finished has not taken it up, nor ran its code."""
    client = bridged.MlflowClient()
    run = client.create_run(experiment(bridged))
    client.set_terminated(run.info.run_id, status)
    client.set_terminated(run.info.run_id, "FINISHED")
    assert ["START", {"FAILED": "FAIL", "KILLED": "ABORT"}[status], "START", "COMPLETE"] == kinds(told)
    assert "modelTrail_codeState" not in told[-2]["run"]["facets"]
    client.set_terminated(run.info.run_id, "FINISHED")
    assert ["COMPLETE"] == kinds(told)[4:]
