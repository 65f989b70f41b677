"""The current run, and where a new one looks for its parent."""

import contextvars
import datetime as dt
import json
import os
import sys
import threading
import uuid
from types import ModuleType, SimpleNamespace

import pytest
from openlineage.client.uuid import generate_static_uuid

import modeltrail
from modeltrail import context, spark
from modeltrail.context import Parent

A, B, C = (str(uuid.UUID(int=number, version=4)) for number in (1, 2, 3))


@pytest.fixture(autouse=True)
def lenient():
    """What cannot be read is passed over, as in a user's process."""
    modeltrail.testing.reset()
    yield
    modeltrail.testing.reset()


def in_openlineage_context(run_id: str, root: str | None = None) -> str:
    parent = {"run": {"runId": run_id}, "job": {"namespace": "ns", "name": "outer"}}
    if root:
        parent["root"] = {"run": {"runId": root}, "job": {"namespace": "ns", "name": "root"}}
    return json.dumps({"parent": parent})


def test_without_any_hint_there_is_no_parent():
    """A run that nobody started has no parent."""
    assert context.parent() is None


@pytest.mark.parametrize(
    "given",
    [
        Parent(A, "ns", "outer"),
        f"ns/outer/{A}",
        {"parent": {"run": {"runId": A}, "job": {"namespace": "ns", "name": "outer"}}},
    ],
)
def test_an_explicit_parent_has_three_forms(given):
    """A parent is given as Parent, as `namespace/job/run id` or as a mapping, all with one meaning."""
    assert Parent(A, "ns", "outer") == context.parent(given)


def test_a_run_is_a_parent():
    """A run given as the parent is the parent, open or not."""
    run = modeltrail.Run("outer", namespace="ns")
    assert run.run_id == context.parent(run).run_id


def test_openlineage_context_comes_before_parent_id(monkeypatch):
    """OPENLINEAGE_CONTEXT wins over OPENLINEAGE_PARENT_ID."""
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", f"ns/other/{B}")
    monkeypatch.setenv("OPENLINEAGE_CONTEXT", in_openlineage_context(A, C))
    assert Parent(A, "ns", "outer", Parent(C, "ns", "root")) == context.parent()


def test_the_current_run_comes_before_the_environment(monkeypatch, events):
    """A run opened inside another one is its child, whatever the environment says."""
    monkeypatch.setenv("OPENLINEAGE_CONTEXT", in_openlineage_context(A))
    with modeltrail.run("outer") as outer, modeltrail.run("inner") as inner:
        assert outer.run_id == events[-1]["run"]["facets"]["parent"]["run"]["runId"]
        assert A == events[-1]["run"]["facets"]["parent"]["root"]["run"]["runId"]
        assert inner.identity.root.run_id == A


def test_the_explicit_parent_comes_first(monkeypatch):
    """The argument wins over the environment."""
    monkeypatch.setenv("OPENLINEAGE_CONTEXT", in_openlineage_context(A))
    assert B == context.parent(f"ns/other/{B}").run_id


def test_parent_id_is_split_from_the_right(monkeypatch):
    """A namespace with slashes is read whole from OPENLINEAGE_PARENT_ID and OPENLINEAGE_ROOT_PARENT_ID."""
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", f"spark://host/a/job/{A}")
    monkeypatch.setenv("OPENLINEAGE_ROOT_PARENT_ID", f"spark://host/a/dag/{B}")
    assert Parent(A, "spark://host/a", "job", Parent(B, "spark://host/a", "dag")) == context.parent()


@pytest.mark.parametrize("broken", ["no json", "{}", '{"parent": {"run": {}}}', '{"parent": 5}', "[]"])
def test_a_broken_place_is_passed_over(monkeypatch, broken):
    """What cannot be read in one place does not keep the next one from being used."""
    monkeypatch.setenv("OPENLINEAGE_CONTEXT", broken)
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", f"ns/job/{B}")
    assert B == context.parent().run_id


def test_a_parent_that_is_no_uuid_is_passed_over(monkeypatch):
    """A run id that is no UUID would make the event invalid: it is not used."""
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", "ns/job/17")
    assert context.parent() is None


def test_context_reads_what_it_writes():
    """What a parent writes for its children is read back with its root."""
    parent = Parent(A, "ns", "job", Parent(B, "ns", "dag"))
    assert parent == context.from_context(json.loads(parent.to_context()))


@pytest.mark.parametrize("date", ["2026-11-24T04:00:00+00:00", "2026-11-24T06:00:00.123456+02:00"])
def test_static_run_ids_are_those_of_the_client(date):
    """Run ids worked out from a date and a name are those that openlineage-python works out."""
    instant = dt.datetime.fromisoformat(date)
    expected = generate_static_uuid(instant=instant, data=b"ns.dag.task.1.-1")
    assert str(expected) == context.static_run_id(instant, "ns.dag.task.1.-1")


def test_airflow_environment_is_worked_out(monkeypatch):
    """From AIRFLOW_CTX_… the run ids of task and DAG are worked out as Airflow's provider does."""
    date = "2026-11-24T04:00:00+00:00"
    for key, value in {
        "DAG_ID": "dag",
        "TASK_ID": "task",
        "TRY_NUMBER": "2",
        "LOGICAL_DATE": date,
    }.items():
        monkeypatch.setenv(f"AIRFLOW_CTX_{key}", value)
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__NAMESPACE", "ml-ns")
    instant = dt.datetime.fromisoformat(date)
    task = str(generate_static_uuid(instant=instant, data=b"ml-ns.dag.task.2.-1"))
    dag = str(generate_static_uuid(instant=instant, data=b"ml-ns.dag.0"))
    assert Parent(task, "ml-ns", "dag.task", Parent(dag, "ml-ns", "dag")) == context.parent()
    monkeypatch.delenv("AIRFLOW_CTX_LOGICAL_DATE")
    assert context.parent() is None
    for made in (f"manual__{date}", f"asset_triggered__{date}_aB3dE9xZ"):
        monkeypatch.setenv("AIRFLOW_CTX_DAG_RUN_ID", made)
        assert Parent(task, "ml-ns", "dag.task", Parent(dag, "ml-ns", "dag")) == context.parent()
    for made in ("one-of-my-own", "my__run", f"manual__{date}x"):
        monkeypatch.setenv("AIRFLOW_CTX_DAG_RUN_ID", made)
        assert context.parent() is None


def test_the_task_of_airflow_is_asked(monkeypatch):
    """In a task of Airflow its provider's own macros name the parent, before OPENLINEAGE_PARENT_ID does."""
    task = object()
    sdk = ModuleType("airflow.sdk")
    sdk.get_current_context = lambda: {"ti": task}
    macros = ModuleType("airflow.providers.openlineage.plugins.macros")
    macros.lineage_parent_id = {task: f"ns/dag.task/{A}"}.__getitem__
    macros.lineage_root_parent_id = {task: f"ns/dag/{B}"}.__getitem__
    for name in ("airflow", "airflow.providers", "airflow.providers.openlineage"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    plugins = ModuleType("airflow.providers.openlineage.plugins")
    monkeypatch.setitem(sys.modules, plugins.__name__, plugins)
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    monkeypatch.setitem(sys.modules, macros.__name__, macros)
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", f"ns/other/{C}")
    assert Parent(A, "ns", "dag.task", Parent(B, "ns", "dag")) == context.parent()


def test_airflow_without_a_task_is_passed_over(monkeypatch):
    """Where Airflow is imported but runs no task, the next place is asked."""

    def no_context():
        raise LookupError("no context here")

    sdk = ModuleType("airflow.sdk")
    sdk.get_current_context = no_context
    monkeypatch.setitem(sys.modules, "airflow", ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    assert context.parent() is None


@pytest.mark.parametrize("style", ["context", "keys"])
def test_the_spark_session_is_asked(monkeypatch, style):
    """The active Spark session's configuration names the parent, as JSON or in six keys."""
    if style == "context":
        conf = {"spark.openlineage.context": in_openlineage_context(A, B)}
    else:
        conf = {
            f"spark.openlineage.{prefix}{part}": value
            for prefix, values in {"parent": (A, "ns", "outer"), "rootParent": (B, "ns", "root")}.items()
            for part, value in zip(("RunId", "JobNamespace", "JobName"), values, strict=True)
        }
    session = SimpleNamespace(sparkContext=SimpleNamespace(getConf=lambda: conf))
    sql = ModuleType("pyspark.sql")
    sql.SparkSession = SimpleNamespace(getActiveSession=lambda: session)
    monkeypatch.setitem(sys.modules, "pyspark.sql", sql)
    assert Parent(A, "ns", "outer", Parent(B, "ns", "root")) == context.parent()


class Java:
    """An object of Java's as py4j shows it: its class has a name and fields, and it has getters."""

    def __init__(self, name="", fields=(), getters=()):
        self.getClass = lambda: self
        self.getName = lambda: name
        self.getDeclaredField = lambda field: SimpleNamespace(
            setAccessible=lambda _: None, get=lambda _: dict(fields)[field]
        )
        for getter, value in dict(getters).items():
            setattr(self, f"get{getter}", lambda value=value: value)


def optional(value):
    return SimpleNamespace(isPresent=lambda: value is not None, get=lambda: value)


@pytest.mark.parametrize(
    ("above", "conf", "expected"),
    [
        ({}, {}, Parent(A, "spark", "app")),
        ({"Parent": (B, "af", "task")}, {}, Parent(A, "spark", "app", Parent(B, "af", "task"))),
        (
            {"Parent": (B, "af", "task"), "RootParent": (C, "af", "dag")},
            {},
            Parent(A, "spark", "app", Parent(C, "af", "dag")),
        ),
        ({}, {"spark.openlineage.disabled": "true"}, None),
        ({}, {"spark.extraListeners": "another"}, None),
    ],
)
def test_the_listener_of_spark_is_asked(monkeypatch, above, conf, expected):
    """The application that the listener tells of is the parent, its root the listener's; unless it is off."""
    getters = {"ApplicationRunId": A, "JobNamespace": "spark", "ApplicationJobName": "app"}
    for of in ("Parent", "RootParent"):
        values = above.get(of, (None, None, None))
        parts = zip(("RunId", "JobNamespace", "JobName"), map(optional, values), strict=True)
        getters |= {f"{of}{part}": value for part, value in parts}
    factory = Java(fields={"openLineageEventEmitter": Java(getters=getters)})
    listeners = [Java("another"), Java(spark.LISTENER, {"contextFactory": factory})]
    bus = SimpleNamespace(listeners=lambda: SimpleNamespace(toArray=lambda: listeners))
    scala = SimpleNamespace(sc=lambda: SimpleNamespace(listenerBus=lambda: bus))
    conf = {"spark.extraListeners": spark.LISTENER} | conf
    activate(monkeypatch, getConf=lambda: conf, _jsc=scala, applicationId="local-1")
    assert expected == context.parent()


def activate(monkeypatch, **context_of_spark):
    """A session of Spark with this context."""
    session = SimpleNamespace(sparkContext=SimpleNamespace(**context_of_spark))
    sql = ModuleType("pyspark.sql")
    sql.SparkSession = SimpleNamespace(getActiveSession=lambda: session)
    monkeypatch.setitem(sys.modules, "pyspark.sql", sql)


def test_a_listener_that_never_hears_is_waited_for_once(monkeypatch):
    """One that could not start holds up the first run of its application, and no other."""
    monkeypatch.setattr(spark, "PATIENCE_S", 0.05)
    asked = []
    bus = SimpleNamespace(listeners=lambda: SimpleNamespace(toArray=lambda: asked.append(1) or []))
    scala = SimpleNamespace(sc=lambda: SimpleNamespace(listenerBus=lambda: bus))
    conf = {"spark.extraListeners": spark.LISTENER}
    activate(monkeypatch, getConf=lambda: conf, _jsc=scala, applicationId="local-silent")
    assert context.parent() is None
    waited, asked[:] = len(asked), []
    assert context.parent() is None
    assert 1 == len(asked) < waited


def test_a_copied_context_sees_the_run(events):
    """A thread that runs in a copy of the context sees the current run; a bare thread sees none."""
    seen = []

    def look():
        seen.append(modeltrail.current_run())

    with modeltrail.run("outer") as run:
        copied = contextvars.copy_context()
        for target, args in ((copied.run, (look,)), (look, ())):
            thread = threading.Thread(target=target, args=args)
            thread.start()
            thread.join()
    assert [run, None] == seen
    assert modeltrail.current_run() is None


def test_a_bare_thread_finds_the_run_as_parent(events):
    """A run opened in a thread without the context is a child of the open run all the same."""

    def work():
        with modeltrail.run("inner"):
            pass

    with modeltrail.run("outer") as outer:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    inner = next(event for event in events if event["job"]["name"] == "inner")
    assert outer.run_id == inner["run"]["facets"]["parent"]["run"]["runId"]


def test_the_run_of_the_script_is_current_everywhere(events):
    """The adopted run is the current one where no other is, in every thread."""
    run = modeltrail.Run("script")
    run.follow(lambda: None)
    context.adopt(run)
    try:
        assert modeltrail.current_run() is run
        with modeltrail.run("inner") as inner:
            assert modeltrail.current_run() is inner
        assert modeltrail.current_run() is run
    finally:
        context.adopt(None)


def test_children_get_the_context_in_their_environment(monkeypatch, events):
    """OPENLINEAGE_CONTEXT names the innermost open run, and is the host's own again afterwards."""
    monkeypatch.setenv("OPENLINEAGE_CONTEXT", in_openlineage_context(A))
    before = os.environ["OPENLINEAGE_CONTEXT"]
    with modeltrail.run("outer") as outer:
        with modeltrail.run("inner") as inner:
            assert inner.run_id == context.from_context(json.loads(os.environ["OPENLINEAGE_CONTEXT"])).run_id
        assert outer.run_id == context.from_context(json.loads(os.environ["OPENLINEAGE_CONTEXT"])).run_id
    assert before == os.environ["OPENLINEAGE_CONTEXT"]


def test_runs_that_overlap_in_time_leave_the_environment_as_it_was(events):
    """Runs may end in another order than they began; the environment ends as it was."""
    first, second = modeltrail.run("first"), modeltrail.run("second")
    first.begin()
    second.begin()
    first.end()
    assert second.run_id in os.environ["OPENLINEAGE_CONTEXT"]
    second.end()
    assert "OPENLINEAGE_CONTEXT" not in os.environ


@pytest.mark.parametrize(
    ("assets", "name"), [(["features"], "features"), (["a", "b"], "nightly"), ([], "nightly")]
)
def test_the_run_of_dagster_is_asked(monkeypatch, assets, name):
    """In an asset the parent is Dagster's run, by the asset's job; elsewhere, or if nobody tells, none."""
    adapter = SimpleNamespace(_resolve_namespace=lambda _: "lake")
    keys = [SimpleNamespace(to_user_string=lambda each=each: each) for each in assets]
    found = SimpleNamespace(
        run_id=A,
        job_name="nightly",
        has_assets_def=bool(assets),
        selected_asset_keys=keys,
        instance=SimpleNamespace(event_log_storage=SimpleNamespace(_adapter=adapter)),
    )
    dagster = ModuleType("dagster")
    dagster.DagsterInvariantViolationError = LookupError
    dagster.OpExecutionContext = SimpleNamespace(get=lambda: found)
    monkeypatch.setitem(sys.modules, "dagster", ModuleType("dagster"))
    assert context.parent() is None
    monkeypatch.setitem(sys.modules, "dagster", dagster)
    assert context.parent() is None
    monkeypatch.setitem(sys.modules, "dagster_openlineage", ModuleType("dagster_openlineage"))
    assert Parent(A, "lake", name) == context.parent()
    found.instance.event_log_storage = object()
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "ml")
    assert Parent(A, "ml", name) == context.parent()
    dagster.OpExecutionContext = SimpleNamespace(get=lambda: {}["no current context"])
    assert context.parent() is None
