"""The lifecycle of a run: from START to one last event, whatever happens to the process."""

import os
from collections import Counter, deque
from collections.abc import Callable
from contextvars import Token
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar
from weakref import ref

import msgspec

from modeltrail import context, event, naming, settings, transports
from modeltrail.context import Parent
from modeltrail.event import Dataset
from modeltrail.guard import guarded, warn_once
from modeltrail.observe import code, environment
from modeltrail.runs import datasets, models, moved, outcome, process, scenes
from modeltrail.runs.datasets import Input
from modeltrail.runs.facts import Facts
from modeltrail.runs.models import Model
from modeltrail.runs.scenes import Evaluation
from modeltrail.runs.story import Teller
from modeltrail.runs.waiting import Waiting
from modeltrail_schemas import encoding

T = TypeVar("T")

_PLACES: Final = (str, os.PathLike, Dataset, type(None))
"""What means a file, by its name or as the last one, and no object."""
_MAX_DECLARED: Final = 100
"""So many evaluations are kept for what is saved after them."""


class Lifecycle:
    """The part of a `Run` that sends its events; the verbs are in `Run`.

    Attributes:
        namespace: of the job.
        name: of the job.
        run_id: UUID of this run.
        facts: what is known so far.
    """

    def __init__(
        self,
        name: str,
        *,
        namespace: str | None = None,
        job_type: str | None = None,
        parent: object = None,
        run_id: str | None = None,
    ) -> None:
        self.namespace = encoding.shortened(namespace or settings.current().namespace)
        self.name = naming.given(name)
        self.run_id = run_id or event.new_run_id()
        self.facts = Facts(job_type)
        self._parent_given = parent
        self._teller = Teller(Parent(self.run_id, self.namespace, self.name), None)
        self._state: Literal["new", "quiet", "open", "muted", "closed"] = "new"
        self._since: str | None = None
        self._pid = os.getpid()
        self._lock = process.Lock()
        self._token: Token[context.Current | None] | None = None
        self._waiting = Waiting()
        self._said = scenes.Said()
        self._gone: Counter[str] = Counter()
        self._declared: deque[tuple[Evaluation, list[Model]]] = deque(maxlen=_MAX_DECLARED)
        self._aborted = False
        self._changed: Callable[[], None] | None = None
        self._send_last: Callable[[dict[str, Any]], object] = transports.emit
        self._untold: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"<Run {self.namespace}/{self.name} {self.run_id} {self._state}>"

    # --- lifecycle ------------------------------------------------------------

    @property
    def identity(self) -> Parent:
        """Its names, and the root of its tree, as its children need them; while it is quiet its parent's."""
        quiet = self._state == "quiet"
        return (quiet and self._teller.parent) or self._teller.identity

    @property
    def is_open(self) -> bool:
        """Whether it was started and has not ended, in this process."""
        return self._state in {"quiet", "open", "muted"} and self._pid == os.getpid()

    def start(self) -> Self:
        """Send START, and be the current run until `end`."""
        self.begin()
        self._token = context.push(self)
        return self

    def begin(self) -> None:
        """Send START without becoming the current run."""
        with guarded("starting a run"):
            if self._state not in {"new", "quiet"}:
                warn_once(f"started {self.run_id}", "%r was started before; make a new run", self)
                return
            self._pid = os.getpid()
            if settings.current().disabled:
                self._state = "muted"
                return
            if self._state == "new":
                self.under(context.parent(self._parent_given))
            self._state = "open"
            self.facts.look_around()
            with process.Section():
                process.opened(self)
                start = self._teller.tell("START", self.facts)
                transports.emit({**start, "eventTime": self._since or start["eventTime"]})
            process.end_at_exit()

    def wait(self) -> None:
        """Be open, and begin with the first that there is to tell; without any no event is sent."""
        self._since = event.now()
        self.under(context.parent(self._parent_given))
        self._state = "quiet"

    def _speak(self) -> None:
        """Begin, if that was waited with."""
        with self._lock:
            if self._state == "quiet":
                self.begin()

    def under(self, parent: Parent | None) -> None:
        """Take a place in the tree of runs."""
        identity = msgspec.structs.replace(self.identity, root=parent.top if parent else None)
        self._teller = Teller(identity, parent)

    def follow(self, changed: Callable[[], None]) -> None:
        """Be open without START and end, which another process sends; `changed` is called after each verb."""
        self._state = "open"
        self._changed = changed

    def ends_elsewhere(
        self, changed: Callable[[], None], send_last: Callable[[dict[str, Any]], object]
    ) -> None:
        """Give the last event to `send_last`, which may have another process send it, as `follow` does."""
        self._changed, self._send_last = changed, send_last

    def end(self, error: BaseException | None = None) -> None:
        """Send the last event: COMPLETE, or what the exception `error` comes to. Ending twice is harmless."""
        kind: event.EventType = "FAIL"
        facet: dict[str, Any] | None = None
        with guarded("describing how a run ended"):
            kind, facet = outcome.of(error, aborted=self._aborted)
        self._end(kind, facet)
        if self._token is not None and self._pid == os.getpid():
            token, self._token = self._token, None
            context.pop(token)

    def abort(self, reason: str) -> None:
        """Send ABORT."""
        self._end("ABORT", outcome.message(reason))

    def expect_abort(self) -> None:
        """Take an exception from here on as the consequence of an abort."""
        self._aborted = True

    def when_ending(self, tell: Callable[[], None]) -> None:
        """Call `tell` before the run ends, while the verbs can still be called."""
        self._untold.append(tell)

    def _ask(self) -> None:
        """Have told what others still know."""
        untold, self._untold = self._untold, []
        for tell in untold if self.is_open else ():
            with guarded("telling what is left"):
                tell()

    def settle(self) -> None:
        """Tell what was only read or imported, and send evaluations whose model had not turned out yet."""
        self._ask()
        with guarded("looking at the code"):
            code.look_at_imported(self.facts.run_facets)
        with guarded("looking for renamed models"):
            moved.follow_models(self.facts)
        with guarded("looking at the environment"):
            environment.look_at_imported(self.facts.run_facets)
        with self._lock:
            waiting = self._waiting.take()
        for evaluation in waiting:
            with guarded("recording an evaluation"):
                self._evaluated(evaluation)
        self.facts.metrics.forget_seen(self._said)
        for place in self.facts.take_written_again():
            with guarded("recording what was written"):
                self.facts.add_output(datasets.look(place)[0])
        for read in self.facts.only_read():
            with guarded("recording what was read"):
                dataset, view = datasets.look(read.source)
                is_late = not self.facts.models and self.facts.reads.is_late(dataset.identity)
                found = Input.of(dataset, view, "other", {"followed": True} if is_late else {})
                found.read_at = read.at
                self.facts.add_input(found)
        self.facts.infer_late()
        with guarded("looking for renamed files"):
            moved.follow_outputs(self.facts)

    def story(self) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The event COMPLETE as it would be now, and the chunk of metrics that is not yet sent."""
        return self._teller.tell("COMPLETE", self.facts), self.facts.metrics.pending()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(error)

    def _end(self, kind: event.EventType, error: dict[str, Any] | None) -> None:
        self._ask()
        if self._state == "quiet" and self.facts.only_read():
            self._speak()
        with process.Section(), guarded("ending a run"):
            with self._lock:
                if not self.is_open:
                    return
                untold, self._state = self._state in {"quiet", "muted"}, "closed"
            if untold:
                return
            try:
                self.settle()
                if chunk := self.facts.metrics.take():
                    self._send_chunk(chunk)
                self._send_last(self._teller.tell_end(kind, self.facts, error))
            finally:
                process.closed(self)

    def _send_chunk(self, chunk: dict[str, Any]) -> None:
        transports.emit(self._teller.tell_chunk(self.facts, chunk))

    def _do(self, what: str, action: Callable[[], T], otherwise: T) -> T:
        """Run a verb under guard, if the run is open."""
        if self._state == "muted":
            return otherwise
        if not self.is_open:
            where = "in a forked process" if self._pid != os.getpid() else f"while the run is {self._state}"
            warn_once(f"{where} {self.run_id}", "%s: %s is not recorded %s", self, what, where)
            return otherwise
        self._speak()
        with guarded(f"recording {what}"):
            result = action()
            if self._changed is not None:
                self._changed()
            return result
        return otherwise

    # --- children that are over at once ------------------------------------------------------------

    def _judged(self, evaluation: Evaluation) -> None:
        """Send an evaluation, or keep it until it is known what of, or all that is scored."""
        if evaluation.capture == "observed":
            self._wait_for_more(evaluation)
            return
        self._said.add(value for _, value in evaluation.values())
        if self.facts.job_type == "EVALUATE" or self.facts.find_model(evaluation.model) is not None:
            self._evaluated(evaluation)
        else:
            with self._lock:
                self._waiting.add(evaluation)

    def _wait_for_more(self, evaluation: Evaluation) -> None:
        """Keep a score until the run ends, with those of the same model on the same data."""
        found = evaluation.weakly(self.facts.made_of(evaluation.model))
        with self._lock:
            self._waiting.add_score(found)

    def learns(self, thing: object) -> None:
        """An object is fitted (again): what was saved or scored of it before is another model."""
        since = object()
        with self._lock:
            self._waiting.forget(thing)
            for model in self.facts.models:
                if model.was(thing):
                    model.forget(since)

    def _turned_out(self, made: Model) -> None:
        """What was scored of a model that is saved now stays its own, also when the object is gone.

        What was said of the object, and sent, is told of this file too.
        """
        with self._lock:
            self._waiting.turned_out(made)
            said = [
                (evaluation, known)
                for evaluation, known in self._declared
                if made.state is not None
                and any(made.state == each.state for each in known)
                and made.content not in {each.content for each in known}
            ]
        for evaluation, known in said:
            known.append(made)
            self._send_evaluation(evaluation, [made])

    def made(self, model: Model, source: object) -> None:
        """An object was saved as an output model that is described already."""

        def record() -> None:
            model.remember(source, self.facts.fits.came_of(source))
            with self._lock:
                self.facts.models.append(model)
                self.facts.put_out += 1
            self._turned_out(model)

        self._do("a model", record, None)

    def _evaluated(self, evaluation: Evaluation) -> None:
        """Send an evaluation as a run of its own; a run that is one already takes in the first of a model."""
        evaluation = evaluation.without(self._said)
        if not evaluation.metrics:
            return
        found = self._scored(evaluation)
        if not found:
            for name, value in evaluation.values():
                self._gone[name] += 1
                more = {"split": evaluation.role, "dataset": evaluation.reference()}
                model_id = evaluation.model_id
                self.facts.metrics.add(name, value, self._gone[name] - 1, **more, model_id=model_id)
            return

        if evaluation.capture != "observed" and not isinstance(evaluation.subject, _PLACES):
            with self._lock:
                self._declared.append((evaluation.weakly(found[0]), list(found)))
        self._send_evaluation(evaluation, found)

    def _send_evaluation(self, evaluation: Evaluation, found: list[Model]) -> None:
        def fill(facts: Facts, run_id: str) -> None:
            for model in found:
                evaluation.put_into(facts, model, run_id)

        if self.facts.job_type == "EVALUATE" and found[0].identity not in self.facts.judged:
            fill(self.facts, self.run_id)
        else:
            self._child("EVALUATE", fill)

    def _scored(self, evaluation: Evaluation) -> list[Model]:
        """What was seen to be scored is that object, in all its files, and none that resembles it."""
        subject = evaluation.subject
        if subject is scenes.GONE:
            return []
        if isinstance(evaluation.model, ref):
            subject = self.facts.made_of(subject) or models.named(subject)
        elif isinstance(subject, _PLACES):
            return [self.facts.model(subject)]
        elif not isinstance(subject, Model) or evaluation.capture != "observed":
            subject = self.facts.model(subject)
        return models.forms(subject, self.facts.models)

    def _child(self, job_type: str, fill: Callable[[Facts, str], None]) -> None:
        """Send START and COMPLETE of a child run, `{job}.evaluate` for instance.

        Environment and code are the parent's: they stand in its events.
        """
        facts = Facts(job_type)
        name = f"{self.name}.{job_type.lower()}"
        identity = Parent(event.new_run_id(), self.namespace, name, self.identity.top)
        fill(facts, identity.run_id)
        teller = Teller(identity, self.identity)
        with process.Section():
            transports.emit(teller.tell("START", facts))
            transports.emit(teller.tell("COMPLETE", facts))
