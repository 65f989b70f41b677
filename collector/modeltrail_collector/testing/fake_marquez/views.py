"""What Marquez shows of what it keeps, in the shapes of its API."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from modeltrail_collector.testing.fake_marquez.model import (
    NAMESPACE,
    Dataset,
    FailedError,
    Job,
    Model,
    Name,
    Run,
    Version,
    readable,
)
from modeltrail_collector.testing.fake_marquez.reading import (
    DATASET_FACETS,
    JOB_FACETS,
    RUN_FACETS,
    Event,
    kind,
    moment,
)

Shown = dict[str, Any]

_LATEST_RUNS: Final = 10
_BEFORE: Final = "2030-01-01T00:00:00Z"
_AFTER: Final = "1970-01-01T00:00:00Z"


def page(key: str, rows: Sequence[Shown], query: dict[str, str]) -> Shown:
    """A part of a list, and how long it is."""
    offset, limit = int(query.get("offset", 0)), int(query.get("limit", 100))
    return {key: rows[offset : offset + limit], "totalCount": len(rows)}


def namespaces(model: Model) -> list[Shown]:
    """All namespaces. One that cannot be read fails the list."""
    _must(NAMESPACE.fullmatch(name) is not None for name in model.namespaces)
    return [namespace(model, name) for name in sorted(model.namespaces)]


def namespace(model: Model, name: str) -> Shown:
    """One namespace."""
    created = _iso(model.namespaces[name])
    times = {"createdAt": created, "updatedAt": created}
    return {"name": name, **times, "ownerName": "anonymous", "description": None, "isHidden": False}


def jobs(model: Model, within: str | None) -> list[Shown]:
    """All jobs, or those of a namespace. One whose name, or whose output's, cannot be read fails the list."""
    found = [job for job in model.jobs.values() if within in {None, job.namespace}]
    _must(readable((job.namespace, job.name)) for job in found)
    ended = [run for job in found for run in job.runs if run.ended]
    _must(readable(_key(version.dataset)) for run in ended for version in run.outputs)
    return [job_view(job) for job in sorted(found, key=lambda job: (job.namespace, job.name))]


def job_view(job: Job) -> Shown:
    """One job."""
    inputs, outputs = _io(job)
    recent = [run_view(run) for run in reversed(job.runs[-_LATEST_RUNS:])]
    return {
        "id": {"namespace": job.namespace, "name": job.name},
        "type": "BATCH",
        "name": job.name,
        "simpleName": job.simple,
        "parentJobName": job.parent,
        "createdAt": _iso(job.created),
        "updatedAt": _iso(job.updated),
        "namespace": job.namespace,
        "inputs": [_id(_key(dataset)) for dataset in inputs],
        "outputs": [_id(_key(dataset)) for dataset in outputs],
        "location": (job.facets.get("sourceCodeLocation") or {}).get("url"),
        "description": (job.facets.get("documentation") or {}).get("description"),
        "latestRun": recent[0] if recent else None,
        "latestRuns": recent,
        "facets": job.facets,
    }


def runs(job: Job) -> list[Shown]:
    """The runs of a job, the latest first."""
    return [run_view(run) for run in reversed(job.runs)]


def run_view(run: Run) -> Shown:
    """One run."""
    took = run.ended - run.started if run.ended and run.started else None
    return {
        "id": run.id,
        "createdAt": _iso(run.created),
        "updatedAt": _iso(run.updated),
        "state": run.state,
        "startedAt": _iso(run.started),
        "endedAt": _iso(run.ended),
        "durationMs": None if took is None else int(took.total_seconds() * 1000),
        "job": {"namespace": run.job.namespace, "name": run.job.name},
        "inputDatasetVersions": [_of_run(version, facets.shown()) for version, facets in run.inputs.items()],
        "outputDatasetVersions": [
            _of_run(version, facets.shown()) for version, facets in run.outputs.items()
        ],
        "facets": run.facets.shown(),
    }


def _of_run(version: Version, facets: Shown) -> Shown:
    return {
        "datasetVersionId": {**_id(_key(version.dataset)), "version": version.id},
        "facets": facets,
    }


def run_facets(run: Run, of: str | None) -> Shown:
    """The facets of a run, or of its job."""
    found = run.job_facets if of == "job" else run.facets
    return {"runId": run.id, "facets": found.shown()}


def datasets(model: Model, within: str) -> list[Shown]:
    """The datasets of a namespace, other names of datasets among them. An empty name fails the list."""
    found = sorted(name for name in model.datasets if name[0] == within)
    _must(name[1].strip() != "" for name in found)
    return [dataset_view(model, name) for name in found]


def dataset_view(model: Model, name: Name) -> Shown:
    """One dataset: with the facets of its last version alone."""
    dataset = model.datasets[name]
    last = dataset.versions[-1] if _key(dataset) == name and dataset.versions else None
    return {
        **_dataset(name, last),
        "createdAt": _iso(dataset.created),
        "updatedAt": _iso(dataset.updated),
        "lastModifiedAt": _iso(last.created) if last else None,
        "currentVersion": last.version if last else None,
        "facets": last.facets.shown() if last else {},
        "deleted": dataset.deleted,
    }


def _dataset(name: Name, version: Version | None) -> Shown:
    fields = (version.fields if version else None) or []
    facets = version.facets.shown() if version else {}
    return {
        "id": _id(name),
        "type": "DB_TABLE",
        "name": name[1],
        "physicalName": name[1],
        "namespace": name[0],
        "sourceName": (facets.get("dataSource") or {}).get("name", "default"),
        "fields": [
            {
                "name": each["name"],
                "type": each.get("type"),
                "tags": [],
                "description": each.get("description"),
            }
            for each in fields
        ],
        "tags": [],
        "description": (facets.get("documentation") or {}).get("description"),
    }


def versions(model: Model, name: Name) -> list[Shown]:
    """The versions of a dataset, the latest first; under another of its names there are none."""
    dataset = model.datasets[name]
    shown = [version_view(model, version) for version in reversed(dataset.versions)]
    return shown if _key(dataset) == name else []


def one_version(model: Model, name: Name, version: str) -> Shown | None:
    """One version, which Marquez cannot find as soon as its dataset has two names."""
    dataset = model.datasets[name]
    _must([sum(other is dataset for other in model.datasets.values()) == 1])
    found = [each for each in dataset.versions if each.version == version]
    return version_view(model, found[0]) if found else None


def version_view(model: Model, version: Version) -> Shown:
    """One version, with the run that wrote it."""
    name = _key(version.dataset)
    return {
        **_dataset(name, version),
        "id": {**_id(name), "version": version.version},
        "createdAt": _iso(version.created),
        "version": version.version,
        "lifecycleState": version.lifecycle,
        "createdByRun": run_view(model.runs[version.run]) if version.run else None,
        "facets": version.facets.shown(),
    }


def events(model: Model, query: dict[str, str]) -> Shown:
    """The RunEvents as they came, refused ones too, with null for each facet that Marquez has a type for."""
    before, after = moment(query.get("before", _BEFORE)), moment(query.get("after", _AFTER))
    found = [each for each in model.events if kind(each) == "RunEvent"]
    found = [each for each in found if after <= moment(each["eventTime"]) < before]
    down = query.get("sortDirection", "desc").lower() == "desc"
    found.sort(key=lambda each: moment(each["eventTime"]), reverse=down)
    shown = page("events", [_typed_event(each) for each in found], query)
    return {**shown, "totalCount": len(model.events)}


def _typed_event(event: Event) -> Shown:
    shown = {**event, "run": _typed(event["run"], RUN_FACETS), "job": _typed(event["job"], JOB_FACETS)}
    for side in ("inputs", "outputs"):
        shown[side] = event.get(side) and [_typed(each, DATASET_FACETS) for each in event[side]]
    return shown


def _typed(thing: Shown, types: Iterable[str]) -> Shown:
    facets = thing.get("facets")
    return thing if facets is None else {**thing, "facets": {**dict.fromkeys(types), **facets}}


def lineage(model: Model, node: str, depth: int) -> Shown | None:
    """All that hangs together with a job or dataset, in any direction; None where there is none such."""
    found: list[Job | Dataset] = [*model.jobs.values(), *model.datasets.values()]
    known = {_node(each): each for each in found}
    if node not in known:
        return None
    edges = [edge for job in model.jobs.values() for edge in _edges(job)]
    reached = {node}
    for _ in range(depth):
        reached |= {end for edge in edges if reached & set(edge) for end in edge}
    graph = []
    for each in sorted(reached):
        shown = known[each]
        data = job_view(shown) if isinstance(shown, Job) else dataset_view(model, _key(shown))
        del data["facets"]
        graph.append(
            {
                "id": each,
                "type": "JOB" if isinstance(shown, Job) else "DATASET",
                "data": data,
                "inEdges": [_edge(edge) for edge in edges if edge[1] == each],
                "outEdges": [_edge(edge) for edge in edges if edge[0] == each],
            }
        )
    return {"graph": graph}


def _edge(edge: Name) -> Shown:
    return {"origin": edge[0], "destination": edge[1]}


def _edges(job: Job) -> list[Name]:
    inputs, outputs = _io(job)
    into = [(_node(each), _node(job)) for each in (*inputs, *job.edges[0])]
    out = [(_node(job), _node(each)) for each in (*outputs, *job.edges[1])]
    return list(dict.fromkeys(into + out))


def _node(found: Job | Dataset) -> str:
    return f"{type(found).__name__.lower()}:{found.namespace}:{found.name}"


def _io(job: Job) -> tuple[list[Dataset], list[Dataset]]:
    """The datasets of the last run that told any."""
    for run in reversed(job.runs):
        if run.inputs or run.outputs:
            inputs, outputs = (
                list(dict.fromkeys(version.dataset for version in side)) for side in (run.inputs, run.outputs)
            )
            return inputs, outputs
    return [], []


def _key(dataset: Dataset) -> Name:
    return dataset.namespace, dataset.name


def _id(name: Name) -> Shown:
    return {"namespace": name[0], "name": name[1]}


def _must(fine: Iterable[bool]) -> None:
    if not all(fine):
        raise FailedError(500)


def _iso(when: datetime | None) -> str | None:
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z") if when else None
