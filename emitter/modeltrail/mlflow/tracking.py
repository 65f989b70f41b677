"""What runs tell while they go on, by what MLflow's tracking store is called for.

A START when MLflow creates a run, values of metrics in chunks as they come, and at its end the whole story as
MLflow has it then, whoever logged it.
"""

import sys
import time
from collections.abc import Iterable
from typing import Any, ClassVar, Final

import msgspec

from modeltrail import context, transports
from modeltrail import event as events
from modeltrail.context import Parent
from modeltrail.event import Dataset
from modeltrail.guard import guarded
from modeltrail.mlflow import datasets, joining, models, names, record
from modeltrail.mlflow.datasets import Entity
from modeltrail.mlflow.joining import Made
from modeltrail.mlflow.record import Server
from modeltrail.mlflow.stores import Finish
from modeltrail.observe import code, environment
from modeltrail.runs import Run, outcome, process
from modeltrail.runs.datasets import Input
from modeltrail.runs.facts import Facts
from modeltrail.runs.series import Series


class _Open(msgspec.Struct):
    """A run that this process was told of.

    Attributes:
        identity: its names.
        parent: the run that it belongs to.
        seen: what this process saw of its environment and code.
        inputs: the files that it was said to read, as they were then, and the models that it loaded.
        frames: of what MLflow has a word for what is not the whole of its file.
        series: the values of metrics that are not told yet.
        made: how its models came about, where a run of ours saw that.
    """

    identity: Parent
    parent: Parent | None = None
    seen: Facts = msgspec.field(default_factory=Facts)
    inputs: list[Input] = msgspec.field(default_factory=list)
    frames: dict[Entity, Input] = msgspec.field(default_factory=dict)
    series: Series = msgspec.field(default_factory=Series)
    made: list[Made] = msgspec.field(default_factory=list)


_open: dict[str, _Open] = {}
"""The runs that go on, as far as this process was told, by MLflow's id."""


class Tracking:
    """Sees a tracking store.

    Args:
        store: it.
        uri: where it is.
        in_server: whether this is a process of `mlflow server`. There the run goes on elsewhere: nothing is
            seen besides what MLflow is told, and values of metrics are asked for at the end.
    """

    METHODS: ClassVar[tuple[str, ...]] = (
        "create_run",
        "log_batch",
        "log_metric",
        "log_inputs",
        "update_run_info",
        "finalize_logged_model",
        "get_logged_model",
    )

    def __init__(self, store: Any, uri: str, *, in_server: bool) -> None:
        self._server = Server(store, names.namespace(uri), live=True, here=not in_server)
        self._in_server = in_server
        self._lock = process.Lock()
        if not in_server:
            context.also_look(active)
            process.end_at_exit(_flush)

    def create_run(self, **_: Any) -> Finish:
        """START."""
        return lambda run: self._begun(run, run.info.start_time)

    def log_batch(self, run_id: str, metrics: Iterable[Any] = (), **_: Any) -> Finish | None:
        """Values of metrics, held back until a chunk is due."""
        values = list(metrics or ())
        if self._in_server or not values:
            return None
        return lambda _: self._measured(run_id, values)

    def log_metric(self, run_id: str, metric: Any) -> Finish | None:
        """The same of one value."""
        return self.log_batch(run_id, [metric])

    def log_inputs(self, run_id: str, datasets: Iterable[Any] | None = None, **_: Any) -> Finish | None:
        """The files that a run reads, as they are now."""
        given = list(datasets or ())
        if self._in_server or not given:
            return None
        return lambda _: self._read(run_id, given)

    def update_run_info(self, run_id: str, run_status: Any, end_time: int | None, **_: Any) -> Finish | None:
        """COMPLETE, FAIL or ABORT; START of a run that goes on again."""
        from mlflow.entities import RunStatus

        status = RunStatus.to_string(run_status) if run_status is not None else ""
        if status == "RUNNING":
            return self._resumed(run_id)
        if (kind := record.ENDS.get(status)) is None:
            return None
        error = outcome.of(sys.exception())[1] if kind == "FAIL" and not self._in_server else None
        was_over = kind == "COMPLETE" and self._is_given_up(run_id)

        def finish(_: Any) -> None:
            run = self._server.store.get_run(run_id)
            at = run.info.end_time or end_time or run.info.start_time
            if was_over:
                self._begun(run, at, works_here=False)
            found = self._found(run)
            _open.pop(run_id, None)
            self._last_values(run, found, self._server.time(at))
            with guarded("looking at the code"):
                code.look_at_imported(found.seen.run_facets)
                environment.look_at_imported(found.seen.run_facets)
            logged = self._server.logged(run)
            facts = story(self._server, run, found, logged=logged)
            self._emit(kind, at, facts, found, errorMessage=error)
            with guarded("telling of evaluations"):
                judged = facts, found.identity, self._server.time(at)
                for told in record.evaluated(self._server, run, *judged, logged=logged, frames=found.frames):
                    transports.emit(told)

        return finish

    def finalize_logged_model(self, **_: Any) -> Finish | None:
        """A model is complete."""
        if self._in_server:
            return None

        def finish(told: Any) -> None:
            if models.is_failed(told):
                return
            made = joining.logged(told, self._server.registry)
            if made is not None and told.source_run_id:
                self._by_id(told.source_run_id).made.append(made)

        return finish

    def get_logged_model(self, model_id: str, **_: Any) -> Finish | None:
        """A model is loaded by its id, or by that of the run that logged it and its name there."""
        if self._in_server or (uri := joining.loading()) is None:
            return None

        def finish(told: Any) -> None:
            if uri.rstrip("/") in {f"models:/{model_id}", f"runs:/{told.source_run_id}/{told.name}"}:
                loaded(models.by_id(model_id, self._server.registry), told.source_run_id)

        return finish

    def _begun(self, run: Any, milliseconds: int, *, works_here: bool = True) -> None:
        """START, by the process that works at the run."""
        found = self._found(run)
        if works_here and not self._in_server:
            found.parent = found.parent or context.parent()
            found.seen.look_around()
        found.identity = msgspec.structs.replace(
            found.identity, root=found.parent.top if found.parent else None
        )
        self._emit("START", milliseconds, story(self._server, run, found, whole=False), found)
        process.end_at_exit()  # before the transport is closed

    def _resumed(self, run_id: str) -> Finish | None:
        """A run is taken up by its id: one that was over, or that another process made for this one.

        What is logged to a run that is complete was not its work: that had the code of then.
        """
        before = record.or_none(self._server.store.get_run, run_id)
        if before is None:
            return None
        is_known = self._in_server or (run_id in _open and _open[run_id].seen.run_facets)
        if before.info.status not in record.ENDS and is_known:
            return None
        works_here = before.info.status != "FINISHED"
        return lambda _: self._begun(before, int(time.time() * 1000), works_here=works_here)

    def _is_given_up(self, run_id: str) -> bool:
        """Whether a run failed or was killed: it is complete by somebody's word, who has not taken it up."""
        before = None if run_id in _open else record.or_none(self._server.store.get_run, run_id)
        return before is not None and before.info.status in {"FAILED", "KILLED"}

    def _found(self, run: Any) -> _Open:
        """What is known of a run; of one that is new to this process what its record says."""
        if (known := _open.get(run.info.run_id)) is not None:
            return known
        # a parent that goes on here knows its root, which may be no run of MLflow's
        above = _open.get(run.data.tags.get(record.PARENT, ""))
        parent = above.identity if above else self._server.parent(run)
        found = _Open(self._server.identity(run), parent)
        # of several processes of a server one may begin a run and another end it
        return found if self._in_server else _open.setdefault(run.info.run_id, found)

    def _by_id(self, run_id: str) -> _Open:
        found = _open.get(run_id)
        return found if found is not None else self._found(self._server.store.get_run(run_id))

    def _measured(self, run_id: str, values: Iterable[Any]) -> None:
        found = self._by_id(run_id)
        with process.Section():
            for value in values:
                with self._lock:
                    due = found.series.add(record.point(value))
                if due is not None:
                    _tell_chunk(due, found, events.now())

    def _read(self, run_id: str, given: Iterable[Any]) -> None:
        found = self._by_id(run_id)
        for each in given:
            with guarded("looking at a dataset"):
                told = datasets.of(each, found.identity.name, events.now(), here=True)
                if (seen := datasets.seen(told)) is not None:
                    found.inputs.append(seen.file)
                    if seen.frame is not None:
                        found.frames[each.dataset.name, each.dataset.digest] = seen.frame

    def _last_values(self, run: Any, found: _Open, at: str) -> None:
        """What is left of the series; where this process did not see it, all that MLflow keeps."""
        if self._in_server:
            for chunk in record.history(run, record.whole_history(self._server.store)):
                transports.emit(record.chunk_event(chunk, at, found.identity, found.parent))
        elif (held := found.series.take()) is not None:
            _tell_chunk(held, found, at)

    def _emit(
        self, kind: events.EventType, milliseconds: int, facts: Facts, found: _Open, **run_facets: Any
    ) -> None:
        at = self._server.time(milliseconds)
        with process.Section():
            transports.emit(record.event(kind, at, facts, found.identity, found.parent, **run_facets))


def story(server: Server, run: Any, found: _Open | None = None, **asked: Any) -> Facts:
    """What the record of a run says, with what this process saw of it while it goes on here."""
    found = found or _open.get(run.info.run_id)
    if found is None:
        return server.facts(run, **asked)
    facts = server.facts(run, seen=found.inputs, frames=found.frames, made=found.made, **asked)
    facts.run_facets.update(found.seen.run_facets)
    facts.job_facets.update(found.seen.job_facets)
    return facts


def parent_of(run_id: str) -> Parent | None:
    """The parent of a run that goes on, which may be no run of MLflow's."""
    found = _open.get(run_id)
    return found.parent if found is not None else None


def loaded(model: Dataset, made_by: str | None) -> None:
    """A model was loaded: an input of MLflow's active run, if the bridge tells of it, else of ours.

    Args:
        model: which one.
        made_by: MLflow's id of the run that made it: what a run made itself is no input of it.
    """
    active_run, run = _active(), context.current()
    found = _open.get(active_run.info.run_id) if active_run is not None else None
    if found is not None:
        if active_run.info.run_id != made_by:
            found.inputs.append(Input(model, "other", capture="observed"))
    elif isinstance(run, Run) and run.facts.find_model(model) is None:
        run.facts.reads.load(model.identity)
        run.input(model, role="other", capture="observed")


def active() -> Parent | None:
    """MLflow's active run of this thread, if the bridge tells of it."""
    run = _active()
    found = _open.get(run.info.run_id) if run is not None else None
    return found.identity if found is not None else None


def _active() -> Any:
    fluent: Final = sys.modules.get("mlflow.tracking.fluent")
    return fluent.active_run() if fluent is not None and _open else None


def _tell_chunk(held: dict[str, Any], found: _Open, at: str) -> None:
    transports.emit(record.chunk_event(record.chunk(held["points"]), at, found.identity, found.parent))


def _flush() -> None:
    """At the end of the process: values that were logged to runs which it does not end."""
    for found in list(_open.values()):
        if (held := found.series.take()) is not None:
            _tell_chunk(held, found, events.now())
