"""MLflow behaves the same with the bridge and without: results, exceptions, pages, classes."""

import pickle
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from modeltrail import guard, testing, transports

BACKENDS = ("sqlite", "file", "http")
IDS = re.compile(r"m-[0-9a-f]{32}|[0-9a-f]{32}")
TIMES = re.compile(r"\b1[0-9]{12}\b")


@pytest.fixture
def uri(request: pytest.FixtureRequest, backend: str, here: Any) -> str:
    """Where a store is that MLflow itself knows."""
    if backend == "http":
        return request.getfixturevalue("server")
    return f"file://{here}/mlruns" if backend == "file" else request.getfixturevalue("sqlite")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_store_answers_the_same(uri, told) -> None:
    """What MLflow's stores are asked for they answer the same, errors and pages too, bridged or not."""
    plain, bridged = (answers(prefix + uri, uuid.uuid4().hex[:8]) for prefix in ("", "modeltrail+"))
    assert len(plain) > 40
    assert plain == bridged
    assert {"START", "COMPLETE", "FAIL", "ABORT", "OTHER", "RUNNING"} == {
        event["eventType"] for event in told
    }


def answers(uri: str, name: str) -> list[str]:
    """What a store answers to all that the bridge sees, in words without ids, times and the name."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    found: list[str] = []

    def ask(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            result = call(*args, **kwargs)
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
            return None
        found.append(_plain(result))
        return result

    experiment = ask(client.create_experiment, f"{name}-churn")
    ask(client.create_experiment, f"{name}-churn")
    _runs(client, ask, experiment)
    _versions(client, ask, experiment, f"{name}-model")
    ids: dict[str, str] = {}
    words = "\n".join(found).replace(name, "<name>")
    places = rf"(^|experiment_id': '|/){experiment}(?='|/|$)"
    words = re.sub(places, r"\1<experiment>", words, flags=re.MULTILINE)
    words = IDS.sub(lambda match: ids.setdefault(match[0], f"<id {len(ids)}>"), words)
    return TIMES.sub("<time>", words).split("\n")


def _runs(client: Any, ask: Callable[..., Any], experiment: str) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

    run_id = ask(client.create_run, experiment, start_time=1000, run_name="one").info.run_id
    ask(client.log_param, run_id, "C", 0.5)
    ask(client.log_param, run_id, "C", 0.7)
    ask(client.log_param, run_id, "", 1)
    ask(client.log_metric, run_id, "loss", float("nan"), step=2, timestamp=7)
    ask(client.log_metric, run_id, "loss", "no number")
    ask(client.log_metric, "0" * 32, "loss", 1.0)
    metrics = [Metric("auc", value / 10, 5 + value, value) for value in range(5)]
    ask(client.log_batch, run_id, metrics, [Param("depth", "3")], [RunTag("team", "a")])
    ask(client.log_batch, run_id, metrics, params=[Param("depth", "4")])
    ask(client.log_batch, run_id, metrics * 1000)
    data = Dataset("orders", "12345678", "local", '{"uri": "/srv/orders.csv"}')
    ask(client.log_inputs, run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "test")])])
    ask(client.log_inputs, "0" * 32, [DatasetInput(data)])
    ask(client.set_tag, run_id, "stage", "x")
    ask(client.get_metric_history, run_id, "auc")
    other = ask(
        client.create_run, experiment, tags={"mlflow.parentRunId": run_id}, run_name="two"
    ).info.run_id
    page = ask(client.search_runs, [experiment], max_results=1, order_by=["start_time ASC"])
    assert page.token
    ask(client.search_runs, [experiment], "params.C = '0.5'")
    ask(client.search_runs, [experiment], "nonsense")
    ask(client.update_run, other, name="three")
    for ended, status in ((run_id, None), (other, "FAILED"), (other, "KILLED"), (run_id, "RUNNING")):
        ask(client.set_terminated, ended, status, end_time=9000)
        ask(client.get_run, ended)
    ask(client.set_terminated, run_id, "WHATEVER")
    ask(client.set_terminated, "0" * 32)
    ask(client.create_run, "987654321")


def _versions(client: Any, ask: Callable[..., Any], experiment: str, name: str) -> None:
    run_id = ask(client.create_run, experiment, run_name="three").info.run_id
    ask(client.get_model_version, name, 1)
    ask(client.create_registered_model, name)
    ask(client.create_registered_model, name)
    for _ in range(3):
        ask(client.create_model_version, name, "s3://models/churn", run_id)
    ask(client.create_model_version, f"{name}-none", "s3://models/churn")
    ask(client.set_registered_model_alias, name, "champion", "1")
    ask(client.set_registered_model_alias, name, "champion", "2")
    ask(client.set_registered_model_alias, name, "champion", "9")
    ask(client.set_registered_model_alias, name, "latest", "2")
    ask(client.get_model_version, name, "2")
    ask(client.delete_registered_model_alias, name, "champion")
    ask(client.delete_registered_model_alias, name, "nobody")
    ask(client.transition_model_version_stage, name, "1", "Production")
    ask(client.transition_model_version_stage, name, "2", "Production", archive_existing_versions=True)
    ask(client.transition_model_version_stage, name, "2", "Nowhere")
    ask(client.search_model_versions, f"name = '{name}'", max_results=2, order_by=["version_number ASC"])
    ask(client.delete_model_version, name, "2")
    ask(client.delete_model_version, name, "2")
    ask(client.delete_registered_model, name)
    ask(client.delete_registered_model, name)


def _plain(result: Any) -> str:
    if hasattr(result, "to_dictionary"):
        return str(result.to_dictionary())
    if isinstance(result, list):
        return f"{'; '.join(map(_plain, result))} more: {bool(getattr(result, 'token', None))}"
    return str(result)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_bridged_store_is_of_the_class_of_its_backend(uri) -> None:
    """Whoever checks the class of a store, or asks for an attribute of it, finds what MLflow made."""
    from mlflow.tracking._model_registry import utils as registry
    from mlflow.tracking._tracking_service import utils as tracking

    for plain, bridged in (
        (tracking._get_store(uri), tracking._get_store(f"modeltrail+{uri}")),
        (registry._get_store(uri, uri), registry._get_store(f"modeltrail+{uri}", f"modeltrail+{uri}")),
    ):
        assert isinstance(bridged, type(plain))
        assert (type(plain).__name__, type(plain).__module__) == (
            type(bridged).__name__,
            type(bridged).__module__,
        )
        assert vars(plain).keys() == vars(bridged).keys()
        assert set(dir(bridged)) - set(dir(plain)) == {"_modeltrail"}


def test_a_registry_is_pickled_as_without_the_bridge(here) -> None:
    """A store that MLflow can pickle it can still, and what comes out is MLflow's own."""
    from mlflow.store.model_registry.file_store import FileStore
    from mlflow.tracking._model_registry.utils import _get_store

    store = _get_store(f"modeltrail+file://{here}/mlruns", f"modeltrail+file://{here}/mlruns")
    again = pickle.loads(pickle.dumps(store))
    assert FileStore is type(again)
    assert store.root_directory == again.root_directory


class Broken:
    """What a hook of ours may come to."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")


HOOKS = (
    *("create_run", "log_batch", "log_metric", "log_inputs", "update_run_info"),
    *("create_model_version", "set_registered_model_alias", "delete_registered_model_alias"),
    *("transition_model_version_stage", "delete_model_version", "delete_registered_model"),
)


@pytest.fixture
def lenient(as_at_start: None) -> Iterator[testing.MemorySender]:
    """A sender in a process whose failures are logged, as a user's are."""
    sender = testing.MemorySender()
    with transports.using(sender):
        yield sender


_asked: list[str] = []


@pytest.fixture
def plain_answers(here: Any) -> list[str]:
    """What a store in files answers without the bridge, worked out once."""
    if not _asked:
        _asked.extend(line.replace(str(here), "<here>") for line in answers(f"file://{here}/mlruns", "plain"))
    return [line.replace("<here>", str(here)) for line in _asked]


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.usefixtures("lenient")
def test_what_fails_in_the_bridge_fails_there_alone(hook, late, here, plain_answers, monkeypatch) -> None:
    """Whichever hook of ours raises, before MLflow's own call or after it, MLflow answers as without us."""
    from modeltrail.mlflow.registry import Registry
    from modeltrail.mlflow.tracking import Tracking

    owner = Tracking if hook in Tracking.METHODS else Registry
    monkeypatch.setattr(owner, hook, staticmethod(lambda *_, **__: Broken() if late else Broken()()))
    assert plain_answers == answers(f"modeltrail+file://{here}/mlruns", "bridged")
    verb = "telling" if late else "seeing"
    assert f"{verb} {hook} of MLflow: RuntimeError" in guard.failures()
    assert {"RuntimeError"} == {kind.rpartition(" ")[2] for kind in guard.failures()}


def test_events_that_nobody_takes_cost_no_run(here, lenient, plain_answers) -> None:
    """Where no event can be delivered, MLflow answers as it does without the bridge."""
    lenient.fails_with = "the disk is full"
    assert plain_answers == answers(f"modeltrail+file://{here}/mlruns", "bridged")
    assert {"emitting an event: DeliveryError"} == guard.failures().keys()
    assert [] == lenient.sent


def test_an_exception_passes_with_one_frame_of_ours(sqlite, told) -> None:
    """What MLflow raises is what arrives: nothing is chained to it, and one frame of ours is in between."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient(f"modeltrail+{sqlite}")
    with pytest.raises(MlflowException) as caught:
        client._tracking_client.store.log_batch("0" * 32, [], [], [])
    assert caught.value.__context__ is None or "modeltrail" not in str(caught.value.__context__)
    ours = [entry for entry in caught.traceback if "modeltrail/mlflow" in str(entry.path)]
    assert ["method"] == [entry.name for entry in ours]


def test_arguments_that_do_not_fit_are_for_mlflow_to_refuse(sqlite, told) -> None:
    """A call with wrong arguments raises what MLflow's own method raises."""
    from mlflow.tracking._tracking_service.utils import _get_store

    raised = []
    for uri in (sqlite, f"modeltrail+{sqlite}"):
        with pytest.raises(TypeError) as caught:
            _get_store(uri).log_batch("x", nonsense=1)
        raised.append(str(caught.value))
    assert raised[0] == raised[1]


def test_threads_do_not_disturb_each_other(bridged, told) -> None:
    """Runs of several threads are each told whole."""
    client = bridged.MlflowClient()
    experiment = client.get_experiment_by_name("churn").experiment_id

    def work(number: int) -> None:
        run = client.create_run(experiment).info.run_id
        for step in range(20):
            client.log_metric(run, "loss", number, step=step)
        client.set_terminated(run)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    series = [
        event["run"]["facets"]["modelTrail_metricSeries"]["points"]
        for event in told
        if event["eventType"] == "RUNNING"
    ]
    assert [20] * 4 == [len(points) for points in series]
    assert [1] * 4 == [len({point["value"] for point in points}) for points in series]
    assert 4 == len([event for event in told if event["eventType"] == "COMPLETE"])


def test_mlflow_without_the_bridge_loads_next_to_nothing_of_ours() -> None:
    """Where modeltrail is installed and no URI asks for it, MLflow loads its entry points and no more."""
    code = (
        "import warnings; warnings.simplefilter('ignore'); import sys, mlflow, mlflow.artifacts\n"
        "print(*sorted(name for name in sys.modules if name.startswith('modeltrail')))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert {"modeltrail.mlflow.stores", "modeltrail.mlflow.artifacts"} <= loaded
    heavy = ("modeltrail.runs", "modeltrail.observe", "modeltrail.transports", "modeltrail.facets")
    assert [] == [name for name in loaded if name.startswith(heavy)]


def test_a_broken_bridge_leaves_mlflow_usable(here) -> None:
    """An installation of ours that cannot be imported costs a warning, and no run."""
    code = (
        "import sys, warnings; sys.modules['modeltrail.guard'] = None\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always'); import mlflow, mlflow.artifacts\n"
        "print(sum('modeltrail+sqlite' in str(each.message) for each in seen))\n"
        "mlflow.set_tracking_uri('sqlite:///:memory:'); print(mlflow.MlflowClient().search_experiments())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 0 == result.returncode, result.stderr
    assert "1" == result.stdout.splitlines()[0], result.stdout
