"""What Marquez keeps of the events it takes, and what is left behind by those that it refuses.

Nothing here is one transaction, as nothing is in Marquez: an event that fails half way leaves what was
written before. That, and that names are checked late, is how one event makes lists unreadable for everybody.
"""

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from typing import Any, Final

from modeltrail_collector.testing.fake_marquez.reading import Event, is_uri, kind, moment

NAMESPACE: Final = re.compile(r"[a-zA-Z:;=/0-9_\-.@+]{1,1024}")
_REPLACED: Final = re.compile(r"[^a-zA-Z:/0-9\-_.@+]")
_ENDS: Final = {"complete": "COMPLETED", "abort": "ABORTED", "fail": "FAILED"}

Facets = dict[str, Any]
Name = tuple[str, str]


class FailedError(Exception):
    """Marquez fell over: its answer is a page without a reason."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class Merged:
    """Facets by key: of each the latest by its event's time, whole."""

    latest: dict[str, tuple[datetime, Any]] = field(default_factory=dict)

    def add(self, facets: Facets | None, when: datetime) -> None:
        """Merge an event's facets in."""
        for key, facet in (facets or {}).items():
            if key not in self.latest or self.latest[key][0] <= when:
                self.latest[key] = when, facet

    def shown(self) -> Facets:
        """The facets alone."""
        return {key: facet for key, (_, facet) in self.latest.items()}


@dataclass(eq=False)
class Version:
    """One version of a dataset: what one run wrote, or a DatasetEvent told."""

    dataset: "Dataset"
    run: str | None
    fields: list[Facets] | None
    lifecycle: str
    created: datetime
    facets: Merged = field(default_factory=Merged)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))  # what a run gives, which leads nowhere
    version: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(eq=False)
class Dataset:
    """A dataset under its first name; its symlinks are other names of it."""

    namespace: str
    name: str
    created: datetime
    updated: datetime
    versions: list[Version] = field(default_factory=list)
    deleted: bool = False


@dataclass(eq=False)
class Job:
    """A job; `edges` are those that a JobEvent told."""

    namespace: str
    name: str
    simple: str
    parent: str | None
    created: datetime
    updated: datetime
    runs: list["Run"] = field(default_factory=list)
    facets: Facets = field(default_factory=dict)
    edges: tuple[list[Dataset], list[Dataset]] = field(default_factory=lambda: ([], []))


@dataclass(eq=False)
class Run:
    """A run belongs to the job of its first event for ever; its state is that of the last to arrive."""

    id: str
    job: Job
    created: datetime
    updated: datetime
    state: str = "NEW"
    started: datetime | None = None
    ended: datetime | None = None
    facets: Merged = field(default_factory=Merged)
    job_facets: Merged = field(default_factory=Merged)
    inputs: dict[Version, Merged] = field(default_factory=dict)
    outputs: dict[Version, Merged] = field(default_factory=dict)

    def enter(self, event_type: str, when: datetime) -> None:
        """Whatever says neither start nor end means that the run is running, from then on."""
        self.state = _ENDS.get(event_type.lower(), "RUNNING")
        if self.state == "RUNNING":
            self.started = when
        else:
            self.ended = when


class Model:
    """All that Marquez knows."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.namespaces: dict[str, datetime] = {}
        self.jobs: dict[Name, Job] = {}
        self.runs: dict[str, Run] = {}
        self.datasets: dict[Name, Dataset] = {}
        self.rows: dict[Name, Dataset] = {}  # by what Marquez makes of the namespace: each must be there once
        self._namespace("default", datetime.now(UTC))

    def take(self, event: Event) -> None:
        """Take an event that could be read and lacks nothing.

        Raises:
            FailedError: It was not taken, or only half.
        """
        if _has_nul(event):
            raise FailedError(500)
        self.events.append(event)
        when = moment(event["eventTime"])
        if kind(event) == "DatasetEvent":
            self._version(event["dataset"], when, None)
        elif kind(event) == "JobEvent":
            self._take_job(event, when)
        else:
            self._take_run(event, when)

    def _take_job(self, event: Event, when: datetime) -> None:
        job = self._job(event, when)
        for side, edges in zip(("inputs", "outputs"), job.edges, strict=True):
            told = [self._dataset(dataset, when) for dataset in _datasets(event, side)]
            edges += [dataset for dataset in told if dataset not in edges]
        _check([job, *job.edges[0], *job.edges[1]])

    def _take_run(self, event: Event, when: datetime) -> None:
        facets = event["run"].get("facets")
        job = self._job(event, when, (facets or {}).get("parent"))
        run = self._run(run_id(event["run"]["runId"]), job, when)
        run.updated = when
        if event.get("eventType") is not None:
            run.enter(str(event["eventType"]), when)
        elif facets is not None:
            raise FailedError(500)
        run.facets.add(facets, when)
        run.job_facets.add(event["job"].get("facets"), when)
        for dataset in _datasets(event, "inputs"):
            version = self._read(dataset, when)
            run.inputs.setdefault(version, Merged()).add(dataset.get("inputFacets"), when)
            version.facets.add(dataset.get("inputFacets"), when)
        for dataset in _datasets(event, "outputs"):
            version = self._version(dataset, when, run.id)
            run.outputs.setdefault(version, Merged()).add(dataset.get("outputFacets"), when)
            version.facets.add(dataset.get("outputFacets"), when)
        # Until a run ends only what has inputs is looked at again: a bad START is taken.
        if run.state in _ENDS.values():
            job.facets = run.job_facets.shown()
            _check([job, *(version.dataset for version in run.outputs)])
        elif run.state != "NEW" and run.inputs:
            _check([job])

    def _namespace(self, name: str, when: datetime) -> None:
        self.namespaces.setdefault(name, when)

    def _job(self, event: Event, when: datetime, link: Facets | None = None) -> Job:
        told, own = _name(event["job"])
        namespace = _REPLACED.sub("_", told)
        self._namespace(namespace, when)
        if kind(event) == "RunEvent" and not all(
            readable(_name(each)) for each in _datasets(event, "inputs")
        ):
            raise FailedError(400)
        if link is None:
            return self._job_named(namespace, own, None, own, when)
        parent = self._parent(link, namespace, when)
        simple = own.removeprefix(f"{parent.name}.")
        return self._job_named(namespace, f"{parent.name}.{simple}", parent.name, simple, when)

    def _parent(self, link: Facets, namespace: str, when: datetime) -> Job:
        """The job of the parent run; one that is not known, or by another name, is made beside the child."""
        name = str(link["job"]["name"])
        known = self.runs.get(run_id(link["run"]["runId"]))
        if known and (known.job.namespace, known.job.name) == (link["job"]["namespace"], name):
            return known.job
        parent = self._job_named(namespace, name, None, name, when)
        if not known:
            self._run(run_id(link["run"]["runId"]), parent, when)
        return parent

    def _job_named(self, namespace: str, name: str, parent: str | None, simple: str, when: datetime) -> Job:
        job = self.jobs.setdefault((namespace, name), Job(namespace, name, simple, parent, when, when))
        job.updated = when
        return job

    def _run(self, identity: str, job: Job, when: datetime) -> Run:
        if identity not in self.runs:
            self.runs[identity] = Run(identity, job, when, when)
            job.runs.append(self.runs[identity])
        return self.runs[identity]

    def _dataset(self, told: Facets, when: datetime) -> Dataset:
        facets = told.get("facets") or {}
        namespace, name = _name(told)
        self._namespace(namespace, when)
        _check_source(facets.get("dataSource"))
        row = _REPLACED.sub("_", namespace), name
        self._namespace(row[0], when)
        known = self.datasets.get((namespace, name))
        if known is None and row in self.rows:
            raise FailedError(500)
        dataset = known or Dataset(namespace, name, when, when)
        self.datasets[namespace, name] = self.rows[row] = dataset
        self._alias(dataset, facets.get("symlinks"), when)
        dataset.updated = when
        dataset.deleted = _lifecycle(facets) == "DROP"
        return dataset

    def _alias(self, dataset: Dataset, symlinks: Facets | None, when: datetime) -> None:
        if symlinks is None:
            return
        if symlinks.get("identifiers") is None:
            raise FailedError(500)
        for identifier in _whole(symlinks["identifiers"]):
            self._namespace(str(identifier["namespace"]), when)
            self.datasets.setdefault(_name(identifier), dataset)

    def _read(self, told: Facets, when: datetime) -> Version:
        """What a run reads is the version of the moment; a dataset without one gets its first."""
        dataset = self._dataset(told, when)
        if not dataset.versions:
            return self._version(told, when, None)
        dataset.versions[-1].facets.add(told.get("facets"), when)
        return dataset.versions[-1]

    def _version(self, told: Facets, when: datetime, run: str | None) -> Version:
        """One for each run and schema, a new one whenever no run wrote it."""
        dataset = self._dataset(told, when)
        facets = told.get("facets") or {}
        version = Version(dataset, run, _fields(facets), _lifecycle(facets), when)
        for earlier in dataset.versions:
            if run and _same(earlier, version):
                version = earlier
        if version not in dataset.versions:
            dataset.versions.append(version)
        version.facets.add(facets, when)
        return version


def readable(name: Name) -> bool:
    """Whether Marquez, when it lists what it has, can read a name again."""
    return NAMESPACE.fullmatch(name[0]) is not None and name[1].strip() != ""


def run_id(told: Any) -> str:
    """Ids that are no UUID become one, always the same."""
    try:
        return str(uuid.UUID(told)) if len(told) == 36 else _digest(told)
    except (ValueError, TypeError):
        return _digest(str(told))


def _digest(text: str) -> str:
    return str(uuid.UUID(bytes=md5(text.encode(), usedforsecurity=False).digest(), version=3))


def _same(one: Version, other: Version) -> bool:
    return (one.run, one.fields, one.lifecycle) == (other.run, other.fields, other.lifecycle)


def _fields(facets: Facets) -> list[Facets] | None:
    fields = (facets.get("schema") or {}).get("fields")
    return None if fields is None else _whole(fields)


def _lifecycle(facets: Facets) -> str:
    return str((facets.get("lifecycleStateChange") or {}).get("lifecycleStateChange") or "").upper()


def _check_source(source: Facets | None) -> None:
    if source is None:
        return
    if source.get("name") is None or not is_uri(str(source.get("uri") or "")):
        raise FailedError(500)


def _datasets(event: Event, side: str) -> list[Facets]:
    return _whole(event.get(side) or [])


def _whole(rows: list[Facets]) -> list[Facets]:
    """Nothing in Marquez expects a null in a list."""
    if None in rows:
        raise FailedError(500)
    return rows


def _name(told: Facets) -> Name:
    return str(told["namespace"]), str(told["name"])


def _check(written: Iterable[Job | Dataset]) -> None:
    """Names are read again when all is written."""
    if not all(readable((each.namespace, each.name)) for each in written):
        raise FailedError(400)


def _has_nul(value: object) -> bool:
    """PostgreSQL keeps no NUL, neither in text nor in JSON."""
    if isinstance(value, dict):
        return any(_has_nul(part) for item in value.items() for part in item)
    return any(map(_has_nul, value)) if isinstance(value, list) else isinstance(value, str) and "\0" in value
