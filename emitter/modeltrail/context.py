"""The current run, and the parent of a new one.

The current run is a context variable: tasks of asyncio, and threads whose pool copies the context, see it.
Whatever is started outside of Python sees it as the environment variable OPENLINEAGE_CONTEXT.

A new run's parent is looked for in this order, the first that is there wins:

1. the argument `parent`
2. the current run of this context, else the run of a program that tells of its own (MLflow's, by the bridge)
3. OPENLINEAGE_CONTEXT, JSON: `{"parent": {"run": {"runId"}, "job": {"namespace", "name"}, "root": {…}}}`
4. the task that Airflow, or the run that Dagster runs in this process
5. OPENLINEAGE_PARENT_ID and OPENLINEAGE_ROOT_PARENT_ID, `namespace/job/run id`
6. the application of the active Spark session, if OpenLineage's listener tells of it; else what the session
   was given as its parent: `spark.openlineage.context`, `spark.openlineage.parent…`
7. AIRFLOW_CTX_…, which Airflow gives to the processes that a task starts
"""

import datetime as dt
import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from importlib import import_module
from typing import Any, Final, Protocol, cast, runtime_checkable

import msgspec

from modeltrail import airflow, dagster, event, settings, spark, standard
from modeltrail.errors import ConfigError
from modeltrail.guard import guarded

CONTEXT_ENV: Final = "OPENLINEAGE_CONTEXT"

_OF_RUN_ID: Final = r"\w+?__(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))(?:_|$)"
"""The time in an id of a DAG run: `manual__2026-11-24T04:00:00+00:00`, or with `_aB3dE9xZ` behind it."""


class Parent(msgspec.Struct, frozen=True):
    """A run by its names, and the root of its tree where that is another one."""

    run_id: str
    namespace: str
    name: str
    root: "Parent | None" = None

    @property
    def top(self) -> "Parent":
        """The root, which a run without a parent is itself."""
        return self.root or self

    def facet(self) -> dict[str, Any]:
        """The standard facet `parent` of a child of this run."""
        top = self.top
        return standard.parent(
            self.run_id,
            self.namespace,
            self.name,
            root_run_id=top.run_id,
            root_namespace=top.namespace,
            root_name=top.name,
        )

    def to_context(self) -> str:
        """The value of OPENLINEAGE_CONTEXT that makes this run the parent."""
        return json.dumps({"parent": {**_written(self), "root": _written(self.top)}}, separators=(",", ":"))

    def to_spark(self) -> dict[str, str]:
        """The configuration of Spark's listener that makes this run the parent of an application."""
        return {
            f"spark.openlineage.{prefix}{key}": value
            for prefix, run in (("parent", self), ("rootParent", self.top))
            for key, value in (("RunId", run.run_id), ("JobNamespace", run.namespace), ("JobName", run.name))
        }


@runtime_checkable
class Current(Protocol):
    """What can be the current run."""

    @property
    def identity(self) -> Parent:
        """Its names, for its children."""

    @property
    def is_open(self) -> bool:
        """Whether it goes on, in this process."""


_current: ContextVar[Current | None] = ContextVar("modeltrail_run", default=None)
_script: Current | None = None
_elsewhere: list[Callable[[], Parent | None]] = []  # where else in this process a run may go on


def current() -> Current | None:
    """The innermost open run of this context, else the run of the script; None in a forked child."""
    for found in (_current.get(), _script):
        if found is not None and found.is_open:
            return found
    return None


def push(run: Current) -> Token[Current | None]:
    """Make a run the current one of this context, until `pop`."""
    return _current.set(run)


def pop(token: Token[Current | None]) -> None:
    """Make the run before `push` the current one again."""
    try:
        _current.reset(token)
    except ValueError:  # closed in another context than it was opened in, a worker's callback for instance
        _current.set(None)


def adopt(run: Current | None) -> None:
    """Make a run the one of the whole process, current wherever no other is."""
    global _script  # noqa: PLW0603  one script per process
    _script = run


def also_look(place: "Callable[[], Parent | None]") -> None:
    """Let a new run that has no current one around it look for its parent there too."""
    if place not in _elsewhere:
        _elsewhere.append(place)


def parent(explicit: object = None) -> Parent | None:
    """The parent of a run that begins now; see the order above.

    Args:
        explicit: a Parent, an open run, `namespace/job/run id`, or a mapping as in OPENLINEAGE_CONTEXT.

    A place that cannot be read is passed over.
    """
    places: tuple[Callable[[], Parent | None], ...] = (
        lambda: _explicit(explicit),
        _in_process,
        *_elsewhere,
        _openlineage_context,
        _airflow_task,
        _dagster_run,
        _openlineage_parent_id,
        _spark,
        _airflow_environment,
    )
    for look in places:
        with guarded("looking for the parent run"):
            found = look()
            if found is not None:
                return found
    return None


def _explicit(given: object) -> Parent | None:
    if given is None or isinstance(given, Parent):
        return given
    if isinstance(given, Current):
        return given.identity
    if isinstance(given, str):
        return _from_id(given)
    if isinstance(given, Mapping):
        return from_context(cast("Mapping[str, Any]", given))
    raise ConfigError(f"parent is {given!r}; give a run, a Parent, 'namespace/job/run id' or a mapping")


def _in_process() -> Parent | None:
    run = current()
    return run.identity if run else None


def _openlineage_context() -> Parent | None:
    text = os.environ.get(CONTEXT_ENV)
    return from_context(json.loads(text)) if text else None


def from_context(document: Mapping[str, Any]) -> Parent | None:
    """The parent in a document as OPENLINEAGE_CONTEXT holds one; None if it names none.

    Raises:
        KeyError, TypeError, ValueError: it is none, or its run id is no UUID.
    """
    named = document.get("parent")
    if not named:
        return None
    found = _named(named)
    root = named.get("root")
    return msgspec.structs.replace(found, root=_named(root)) if root else found


def _named(document: Mapping[str, Any]) -> Parent:
    job = document["job"]
    return _parent(document["run"]["runId"], job["namespace"], job["name"])


def _written(run: Parent) -> dict[str, Any]:
    return {"run": {"runId": run.run_id}, "job": {"namespace": run.namespace, "name": run.name}}


def _openlineage_parent_id() -> Parent | None:
    given = os.environ.get("OPENLINEAGE_PARENT_ID")
    if not given:
        return None
    root = os.environ.get("OPENLINEAGE_ROOT_PARENT_ID")
    return msgspec.structs.replace(_from_id(given), root=_from_id(root) if root else None)


def _from_id(text: str) -> Parent:
    """`namespace/job/run id`, from the right: a namespace may contain slashes."""
    parts = text.rsplit("/", 2)
    if len(parts) != 3:
        raise ConfigError(f"the parent run is {text!r}; write namespace/job/run id")
    namespace, name, run_id = parts
    return _parent(run_id, namespace, name)


def _parent(run_id: str, namespace: str, name: str) -> Parent:
    if not (namespace and name.strip()):  # Marquez would list no job of that namespace any more
        raise ConfigError(f"the parent's job is {namespace!r}, {name!r}; it needs a namespace and a name")
    return Parent(str(uuid.UUID(run_id)), namespace, name)


def _airflow_task() -> Parent | None:
    """The task instance of this process."""
    task = airflow.context().get("ti")
    if task is None:
        return None
    macros = import_module("airflow.providers.openlineage.plugins.macros")
    own = _from_id(macros.lineage_parent_id(task))
    find_root = getattr(macros, "lineage_root_parent_id", None)
    return msgspec.structs.replace(own, root=_from_id(find_root(task)) if find_root else None)


def _dagster_run() -> Parent | None:
    found = dagster.run()
    return Parent(*found) if found else None


def _spark() -> Parent | None:
    """The application of the active Spark session; where that is not told of, what it was given as parent."""
    session = spark.session()
    if session is None:
        return None
    with guarded("asking Spark's listener for its application"):
        if found := spark.application(session):
            return _application(found)
    conf = spark.conf(session)
    if text := conf("spark.openlineage.context"):
        return from_context(json.loads(text))
    own = _from_conf(conf, "parent")
    return msgspec.structs.replace(own, root=_from_conf(conf, "rootParent")) if own else None


def _application(found: Mapping[str, str | None]) -> Parent | None:
    def named(of: str) -> Parent | None:
        run_id, namespace, name = (found[f"{of}{key}"] for key in ("run_id", "namespace", "name"))
        return Parent(run_id, namespace, name) if run_id and namespace and name else None

    own = named("")
    return msgspec.structs.replace(own, root=named("root_")) if own else None


def _from_conf(conf: Callable[[str], str | None], prefix: str) -> Parent | None:
    run_id, namespace, name = (
        conf(f"spark.openlineage.{prefix}{part}") for part in ("RunId", "JobNamespace", "JobName")
    )
    return Parent(run_id, namespace, name) if run_id and namespace and name else None


def _airflow_environment() -> Parent | None:
    """The task's run id worked out as Airflow's provider does; map index and clear number are not in there.

    Source: `build_task_instance_run_id` and `build_dag_run_id` of apache-airflow-providers-openlineage 2.20.
    """
    dag, task, attempt = (os.environ.get(f"AIRFLOW_CTX_{key}") for key in ("DAG_ID", "TASK_ID", "TRY_NUMBER"))
    if not (dag and task and attempt):
        return None
    date = os.environ.get("AIRFLOW_CTX_LOGICAL_DATE") or os.environ.get("AIRFLOW_CTX_EXECUTION_DATE")
    if not date and (made := re.match(_OF_RUN_ID, os.environ.get("AIRFLOW_CTX_DAG_RUN_ID", ""))):
        date = made[1]  # a run without a logical date goes by the time that its id was made of
    if not date:
        return None
    instant = dt.datetime.fromisoformat(date)
    configured = os.environ.get("AIRFLOW__OPENLINEAGE__NAMESPACE")
    namespace = configured or settings.current().namespace
    root = static_run_id(instant, f"{namespace}.{dag}.0")
    own = static_run_id(instant, f"{namespace}.{dag}.{task}.{attempt}.-1")
    return Parent(own, namespace, f"{dag}.{task}", Parent(root, namespace, dag))


def static_run_id(instant: dt.datetime, data: str) -> str:
    """The run id that openlineage-python's `generate_static_uuid` gives for the same instant and data."""
    utc = instant.astimezone(dt.UTC)
    digest = hashlib.sha1(f"{utc.isoformat()}{data}".encode(), usedforsecurity=False).digest()
    return event.uuid7(int(utc.timestamp() * 1000), int.from_bytes(digest) >> 84)
