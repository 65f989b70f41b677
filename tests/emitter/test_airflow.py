"""What Airflow says of itself, without Airflow; `make interop` runs it."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from modeltrail import guard, settings
from modeltrail.observe import code

KAFKA = {"type": "modeltrail.KafkaTransport", "config": {"bootstrap.servers": "airflow:9092"}}
PROVIDER = "airflow.providers.openlineage"


pytestmark = pytest.mark.usefixtures("as_at_start")


@pytest.fixture
def provider(monkeypatch):
    """Airflow's provider in this process, with a configuration."""

    def install(config, namespace="default"):
        names = ("airflow", "airflow.providers", PROVIDER, f"{PROVIDER}.plugins")
        conf, adapter = ModuleType(f"{PROVIDER}.conf"), ModuleType(f"{PROVIDER}.plugins.adapter")
        conf.namespace = lambda: namespace
        adapter.OpenLineageAdapter = lambda: SimpleNamespace(get_openlineage_config=lambda: config)
        for module in (*map(ModuleType, names), conf, adapter):
            monkeypatch.setitem(sys.modules, module.__name__, module)

    return install


def test_programs_of_tasks_follow_airflows_variables(monkeypatch, tmp_path):
    """Transport and namespace are those of Airflow's own events; a file wins, as it does there."""
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", json.dumps(KAFKA))
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__NAMESPACE", "ml")
    found = settings.current()
    assert (KAFKA, "ml") == (found.transport, found.namespace)
    assert "AIRFLOW__OPENLINEAGE__TRANSPORT" == found.origins["transport"]
    assert "AIRFLOW__OPENLINEAGE__NAMESPACE" == found.origins["namespace"]
    (tmp_path / "ol.yml").write_text("transport: {type: console}")
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__CONFIG_PATH", str(tmp_path / "ol.yml"))
    assert {"type": "console"} == settings.current().transport


def test_what_is_said_to_openlineage_wins(monkeypatch):
    """What is configured for every OpenLineage client goes before what is for Airflow's events."""
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", json.dumps(KAFKA))
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__NAMESPACE", "ml")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "console")
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "mine")
    assert ({"type": "console"}, "mine") == (settings.current().transport, settings.current().namespace)


def test_the_provider_is_asked_where_it_is(monkeypatch, provider):
    """In Airflow's processes its provider knows: airflow.cfg and connections too, as soon as it is loaded."""
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", '{"type": "console"}')
    assert {"type": "console"} == settings.current().transport
    provider({"transport": KAFKA}, "of-the-file")
    assert (KAFKA, "of-the-file") == (settings.current().transport, settings.current().namespace)


@pytest.mark.parametrize("config", [None, {}, {"transport": {}}])
def test_a_provider_that_says_nothing(provider, config):
    """Without a transport of Airflow's events go to the local inbox."""
    provider(config)
    assert (None, "default") == (settings.current().transport, settings.current().namespace)
    assert "default" == settings.current().origins["transport"]


@pytest.mark.parametrize(
    ("key", "why"),
    [("TRANSPORT", "AIRFLOW__OPENLINEAGE__TRANSPORT"), ("CONFIG_PATH", "{no json cannot be read")],
)
def test_what_cannot_be_read_is_told(monkeypatch, key, why, caplog):
    """A broken variable or file costs a warning that names it, and the default."""
    monkeypatch.setenv(f"AIRFLOW__OPENLINEAGE__{key}", "{no json")
    assert settings.current().transport is None
    assert why in caplog.text
    assert guard.failures()


def test_the_code_of_a_task_is_its_dag(monkeypatch, tmp_path):
    """The entry point of what a task runs is the DAG's file, not the scheduler."""
    sdk = ModuleType("airflow.sdk")
    sdk.get_current_context = lambda: {"dag": SimpleNamespace(fileloc=str(tmp_path / "dag.py"))}
    monkeypatch.setitem(sys.modules, "airflow", ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    (tmp_path / "dag.py").write_text("print()")
    assert (str(tmp_path / "dag.py"), tmp_path / "dag.py") == (
        code.entry_point().name,
        code.entry_point().path,
    )
    assert code.state().source_sha256
