"""From MLflow's record of a run to its events.

The live bridge and the import tell the same story from here, so that neither contradicts the other. All of it
is what MLflow was told: `declared`, but for what could be seen besides.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from modeltrail import naming, settings, standard
from modeltrail.context import Parent
from modeltrail.event import Dataset, EventType
from modeltrail.facets import (
    ModelTrailEnvironmentRunFacet,
    ModelTrailMetricSeriesRunFacet,
    metric_entry,
)
from modeltrail.guard import guarded
from modeltrail.mlflow import datasets, evaluations, joining, models, names
from modeltrail.mlflow.datasets import Entity
from modeltrail.mlflow.evaluations import Scores
from modeltrail.mlflow.joining import Made
from modeltrail.observe import redact
from modeltrail.runs import learned
from modeltrail.runs.datasets import Input
from modeltrail.runs.facts import Facts
from modeltrail.runs.fits import Fit
from modeltrail.runs.models import Model
from modeltrail.runs.story import Teller

PARENT: Final = "mlflow.parentRunId"
ENDS: Final[Mapping[str, EventType]] = {"FINISHED": "COMPLETE", "FAILED": "FAIL", "KILLED": "ABORT"}
"""What the states of MLflow are that end a run."""
_NONE: Final[Mapping[Any, Any]] = {}
_MAX_TAG: Final = 5_000
_MAX_DEPTH: Final = 20
_SEQ_BITS: Final = 52


class Server(msgspec.Struct):
    """What the bridge asks of a tracking store, and how it calls what it is told.

    Attributes:
        store: the tracking store.
        registry: the namespace of its models.
        live: whether it tells what happens now, not what is long over.
        here: whether the runs go on in this process.
        fetch: the tracking URI by which MLflow can be asked for what lies elsewhere; None where nobody shall
            wait for that.
    """

    store: Any
    registry: str
    live: bool
    here: bool = False
    fetch: str | None = None
    _experiments: dict[str, str] = msgspec.field(default_factory=dict)

    def job(self, experiment_id: str) -> str:
        """The name of the job: that of the experiment, the same for each of its runs.

        A server runs for months, and has it at hand: an experiment may have another name by now.
        """
        if experiment_id not in self._experiments or (self.live and not self.here):
            self._experiments[experiment_id] = self.store.get_experiment(experiment_id).name
        return self._experiments[experiment_id]

    def identity(self, run: Any) -> Parent:
        """The names of a run, and the root of its tree by the tags that name parents."""
        return msgspec.structs.replace(self._named(run), root=self._root(run))

    def parent(self, run: Any) -> Parent | None:
        """The run that a nested run belongs to."""
        parent_id = run.data.tags.get(PARENT)
        return self.identity(self.store.get_run(parent_id)) if parent_id else None

    def time(self, milliseconds: int) -> str:
        """A time of MLflow as the time of an event."""
        return names.time(milliseconds, live=self.live)

    def _named(self, run: Any) -> Parent:
        return Parent(
            names.run_id(run.info.run_id), settings.current().namespace, self.job(run.info.experiment_id)
        )

    def _root(self, run: Any) -> Parent | None:
        top = run
        for _ in range(_MAX_DEPTH):  # tags are written by anybody, in circles too
            parent_id = top.data.tags.get(PARENT)
            if not parent_id:
                break
            top = self.store.get_run(parent_id)
        return None if top is run else self._named(top)

    def facts(
        self,
        run: Any,
        *,
        whole: bool = True,
        logged: Mapping[str, Any] | None = None,
        seen: Sequence[Input] = (),
        frames: Mapping[Entity, Input] = _NONE,
        made: Sequence[Made] = (),
    ) -> Facts:
        """What the record of a run says: its tags, and of the `whole` of it all else.

        Args:
            run: it.
            whole: whether to tell more than its tags.
            logged: its logged models, if somebody has asked for them.
            seen: the files that it reads, as they were seen.
            frames: what it reads of these and is not all of them.
            made: how its models came about, where a run of ours saw that.
        """
        facts = Facts(capture="declared")
        tags = run.data.tags
        facts.add_tags(_tags(run))
        if (location := _location(tags)) is not None:
            facts.job_facets["sourceCodeLocation"] = location
        if not whole:
            return facts
        facts.params.add(run.data.params, "explicit")
        fits = {each.fit: learned.take_over_fit(facts, each.facts, each.fit) for each in dict.fromkeys(made)}
        logged = self.logged(run) if logged is None else logged
        scores = _scores(run, logged)
        told = self._told(run, scores, frames)
        for used in sorted(joining.inputs([*(each for _, each in told), *seen], made), key=datasets.rank):
            facts.add_input(
                msgspec.structs.replace(used, fits=frozenset(filter(None, map(fits.get, used.fits))))
            )
        known, measured = {key: used.dataset for key, used in told}, evaluations.moments(scores)
        for metric in run.data._metric_objs:  # noqa: SLF001  the public view has values alone
            on = measured.get(evaluations.moment(metric), (metric.dataset_name, metric.dataset_digest))
            facts.metrics.set_last(metric.key, metric.value, **_details(metric, known.get(on)))
        of_models = {each.model_id: fits[each.fit] for each in made}
        for model in self._models(run, logged):
            model_id = getattr(model, "model_id", "")
            model.fit = of_models.get(model_id) or _asked(facts, model, logged.get(model_id), run)
            facts.models.append(model)
        return facts

    def _told(
        self, run: Any, scores: Iterable[Scores], frames: Mapping[Entity, Input]
    ) -> list[tuple[Entity, Input]]:
        """The datasets of a run; one that nobody said what for, and a model was scored on, is for a test.

        Behind a file comes what was read of it, where that is not all.
        """
        read_at, job = names.time(run.info.start_time, live=False), self.job(run.info.experiment_id)
        scored, found = {each.data for each in scores}, []
        every = list(datasets.inputs(run, job, read_at, here=self.here))
        several = datasets.parted(every, here=self.here)
        for entity, used in every:
            key = (entity.name, entity.digest)
            role = "test" if used.role is None and key in scored else used.role
            found.append((key, msgspec.structs.replace(used, role=role)))
            if (frame := frames.get(key, used if used.dataset.identity in several else None)) is not None:
                found.append((key, datasets.in_memory(frame, entity, job, role)))
        return datasets.apart(found)

    def evaluations(
        self, run: Any, facts: Facts, logged: Mapping[str, Any], frames: Mapping[Entity, Input] = _NONE
    ) -> Iterator[tuple[str, Facts]]:
        """What a run scored of logged models, each as a run of its own: its id, and what is known of it."""
        scores = _scores(run, logged)
        known = {key: used.dataset for key, used in self._told(run, scores, frames)}
        yield from evaluations.runs(run, scores, facts, known, self.registry)

    def logged(self, run: Any) -> dict[str, Any]:
        """The logged models that a run made or read, by their ids, as far as they are still there.

        A run that keeps a model of each epoch has many: one request for all that it made itself.
        """
        read, made = getattr(run.inputs, "model_inputs", ()), getattr(run.outputs, "model_outputs", ())
        ids = dict.fromkeys(each.model_id for each in (*(made or ()), *(read or ())))
        own = or_none(self._made_by, run) if len(ids) > 1 else None
        found = {key: (own or {}).get(key) or or_none(self.store.get_logged_model, key) for key in ids}
        return {key: told for key, told in found.items() if told is not None}

    def _made_by(self, run: Any) -> dict[str, Any]:
        ask, of_run = self.store.search_logged_models, f"source_run_id = '{run.info.run_id}'"
        every = pages(lambda token: ask([run.info.experiment_id], of_run, page_token=token))
        return {each.model_id: each for each in every}

    def _models(self, run: Any, logged: Mapping[str, Any]) -> Iterator[Model]:
        """The models that a run made."""
        algorithm = run.data.tags.get(models.ALGORITHM)
        made = getattr(run.outputs, "model_outputs", None) or ()
        for model_id in dict.fromkeys(each.model_id for each in made):
            told = logged.get(model_id)
            if told is not None and not models.is_failed(told):
                with guarded("looking at a logged model"):
                    yield models.logged(told, self.registry, algorithm, fetch=self.fetch)
        if not made:
            for path in models.from_history(run.data.tags):
                where = f"{run.info.artifact_uri}/{path}"
                yield models.saved(where, self.registry, algorithm, fetch=self.fetch)


def _asked(facts: Facts, model: Model, told: Any, run: Any) -> Fit | None:
    """The fit of a logged model that MLflow was told parameters of, besides those of its run."""
    asked = (told.params or {}) if told is not None else {}
    own = {name: value for name, value in asked.items() if run.data.params.get(name) != value}
    if not own:
        return None
    fit = facts.fits.begin((model.view.algorithm or "model").rpartition(".")[2])
    facts.params.add(own, "explicit", None, fit)
    return fit


def _scores(run: Any, logged: Mapping[str, Any]) -> list[Scores]:
    return evaluations.found(run, logged.values()) if getattr(run.inputs, "dataset_inputs", None) else []


def pages(ask: Callable[[str | None], Any]) -> Iterator[Any]:
    """What MLflow answers, page by page; it is asked with the token of the page."""
    token: str | None = None
    while True:
        page = ask(token)
        yield from page
        token = getattr(page, "token", None)
        if not token:
            return


def or_none(ask: Callable[..., Any], *args: Any) -> Any:
    """What MLflow answers; None where it has no such thing."""
    from mlflow.exceptions import MlflowException

    try:
        return ask(*args)
    except MlflowException:
        return None


def evaluated(
    server: Server,
    run: Any,
    facts: Facts,
    around: Parent,
    at: str,
    *,
    logged: Mapping[str, Any],
    frames: Mapping[Entity, Input] = _NONE,
) -> Iterator[dict[str, Any]]:
    """The events of a run's evaluations, which are below it."""
    for run_id, judged in server.evaluations(run, facts, logged, frames):
        own = Parent(run_id, around.namespace, f"{around.name}.evaluate", around.top)
        yield event("COMPLETE", at, judged, own, around)


def event(
    kind: EventType,
    at: str,
    facts: Facts,
    identity: Parent,
    parent: Parent | None,
    **run_facets: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """An event of the whole story, at a time of MLflow's."""
    root = parent.top if parent else identity.root
    told = Teller(msgspec.structs.replace(identity, root=root), parent).tell(kind, facts, **run_facets)
    if ModelTrailEnvironmentRunFacet.KEY not in facts.run_facets:
        del told["run"]["facets"]["processing_engine"]  # it is that of this process, not of the run
    return {**told, "eventTime": at}


def only(told: dict[str, Any], output: tuple[str, str]) -> dict[str, Any]:
    """The event with one output, and the names of all else.

    What happens after the end of a run is told by somebody who may have seen less of it than who ended it.
    """
    run, job = told["run"]["facets"], told["job"]["facets"]
    told["run"]["facets"] = {key: run[key] for key in ("parent",) if key in run}
    told["job"]["facets"] = {key: job[key] for key in ("jobType", "lineage") if key in job}
    for side in ("inputs", "outputs"):
        names_alone = [{key: each[key] for key in ("namespace", "name")} for each in told[side]]
        told[side] = [
            each if tuple(name.values()) == output else name
            for each, name in zip(told[side], names_alone, strict=True)
        ]
    return told


def chunk_event(chunk: Mapping[str, Any], at: str, identity: Parent, parent: Parent | None) -> dict[str, Any]:
    """An event RUNNING with values of metrics."""
    return {**Teller(identity, parent).tell_chunk(Facts(), chunk), "eventTime": at}


def point(metric: Any) -> dict[str, Any]:
    """A value that MLflow was told, as a point of a series."""
    return metric_entry(
        metric.key, metric.value, step=metric.step, at=names.time(metric.timestamp, live=False)
    )


def chunk(points: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The facet `modelTrail_metricSeries`, numbered by what is in it.

    Several processes may tell of one run, and an import may tell it again: a number that they counted would
    mean different values.
    """
    rows = list(points)
    text = json.dumps(rows, sort_keys=True).encode()
    number = int.from_bytes(hashlib.sha256(text).digest()[:8]) >> (64 - _SEQ_BITS)
    steps = [row["step"] for row in rows]
    return ModelTrailMetricSeriesRunFacet(
        seq=number, points=rows, from_=min(steps), to=max(steps), capture="declared"
    ).to_dict()


def history(run: Any, ask: Callable[[str, str], Iterable[Any]]) -> Iterator[dict[str, Any]]:
    """The chunks of all that a run's metrics ever were; a metric of one value is told by the last event."""
    points = [
        point(metric)
        for key in run.data.metrics
        if len(found := list(ask(run.info.run_id, key))) > 1
        for metric in found
    ]
    most = ModelTrailMetricSeriesRunFacet.MAX_POINTS
    for start in range(0, len(points), most):
        yield chunk(points[start : start + most])


def whole_history(store: Any) -> Callable[[str, str], Iterator[Any]]:
    """How a store is asked for all values of a metric, page by page where it has pages."""

    def ask(run_id: str, key: str) -> Iterator[Any]:
        page = store.get_metric_history(run_id, key)
        yield from page
        while token := getattr(page, "token", None):
            page = store.get_metric_history(run_id, key, page_token=token)
            yield from page

    return ask


def _details(metric: Any, dataset: Dataset | None) -> dict[str, Any]:
    details: dict[str, Any] = {"step": metric.step, "at": names.time(metric.timestamp, live=False)}
    if dataset is not None:
        details["dataset"] = {"namespace": dataset.namespace, "name": dataset.name}
    return details


def _tags(run: Any) -> dict[str, str]:
    """All of a run's tags but the ones of a page's length; and what it is called."""
    named = {"mlflow.runId": run.info.run_id, "mlflow.experimentId": run.info.experiment_id}
    if run.info.run_name:
        named["mlflow.runName"] = run.info.run_name
    return {
        **{key: value for key, value in run.data.tags.items() if len(value) <= _MAX_TAG},
        **named,
    }


def _location(tags: Mapping[str, str]) -> dict[str, Any] | None:
    """`sourceCodeLocation` by the tags that MLflow sets of a git repository; its remote may have a token."""
    commit, remote = tags.get("mlflow.source.git.commit"), tags.get("mlflow.source.git.repoURL", "")
    repository = naming.uri(remote) if naming.is_uri(remote) else None
    source = redact.text(tags.get("mlflow.source.name", "")) or None
    url = repository or (f"file:{source}" if source else None)
    if commit is None or url is None:
        return None
    return standard.source_code_location(
        url,
        repo_url=repository or redact.text(remote) or None,
        path=source,
        version=commit,
        branch=tags.get("mlflow.source.git.branch"),
    )
