"""What each path of Marquez's API shows. Names come decoded; a thing that is not there is a Refusal."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from modeltrail_collector.answers.database import Row
from modeltrail_collector.web.reading import columns, datasets, graph, job_versions, jobs, lists, runs
from modeltrail_collector.web.reading.query import Query
from modeltrail_collector.web.reading.seen import Seen
from modeltrail_collector.web.refusal import Refusal

Path = Mapping[str, str]
Look = Callable[[Seen, Path, Query], Any]


def _missing(kind: str, name: str) -> Refusal:
    return Refusal(404, f"{kind} '{name}' not found.")


def _namespace(seen: Seen, path: Path, _: Query) -> Any:
    if found := lists.namespace(seen, path["namespace"]):
        return found
    raise _missing("Namespace", path["namespace"])


def _found_job(seen: Seen, path: Path) -> Row:
    _namespace(seen, path, Query({}))
    if found := jobs.find(seen, (path["namespace"], path["job"])):
        return found
    raise _missing("Job", path["job"])


def _found_dataset(seen: Seen, path: Path) -> Row:
    if found := datasets.find(seen, (path["namespace"], path["dataset"])):
        return found
    _namespace(seen, path, Query({}))
    raise _missing("Dataset", path["dataset"])


def _found_run(seen: Seen, path: Path) -> Row:
    if found := seen.runs([path["run"]]):
        return found[0]
    raise _missing("Run", path["run"])


def _jobs(seen: Seen, path: Path, query: Query) -> Any:
    namespace = _namespace(seen, path, query)["name"] if path else None
    return jobs.page(seen, namespace, *query.page())


def _datasets(seen: Seen, path: Path, query: Query) -> Any:
    return datasets.page(seen, _namespace(seen, path, query)["name"], *query.page())


def _version(seen: Seen, path: Path, _: Query) -> Any:
    if found := datasets.version(seen, _found_dataset(seen, path), path["version"]):
        return found
    raise _missing("Dataset version", path["version"])


def _job_version(seen: Seen, path: Path, _: Query) -> Any:
    if found := job_versions.find(seen, _found_job(seen, path), path["version"]):
        return found
    raise _missing("Job version", path["version"])


def _events(seen: Seen, path: Path, query: Query) -> Any:
    limit, offset = query.page()
    return lists.events(
        seen,
        limit,
        offset,
        namespace=path.get("namespace"),
        before=query.time("before"),
        after=query.time("after"),
        ascending=query.choice("sortDirection", "asc", "desc") == "asc",
    )


def _column_lineage(seen: Seen, _: Path, query: Query) -> Any:
    downstream = query.choice("withDownstream", "true", "false") == "true"
    return columns.lineage(seen, query.needed("nodeId"), query.depth(), downstream=downstream)


def _search(seen: Seen, _: Path, query: Query) -> Any:
    return lists.search(
        seen,
        query.needed("q"),
        query.choice("filter", "JOB", "DATASET"),
        by_time=query.choice("sort", "NAME", "UPDATE_AT", "UPDATED_AT") not in {None, "NAME"},
        limit=query.limit(),
        namespace=query.text("namespace"),
    )


LOOKS: Final[dict[str, Look]] = {
    "/namespaces": lambda seen, _, query: lists.namespaces(seen, *query.page()),
    "/namespaces/{namespace}": _namespace,
    "/namespaces/{namespace}/jobs": _jobs,
    "/namespaces/{namespace}/jobs/{job}": lambda seen, path, _: jobs.views(seen, [_found_job(seen, path)])[0],
    "/namespaces/{namespace}/jobs/{job}/runs": lambda seen, path, query: runs.of_job(
        seen, _found_job(seen, path), *query.page()
    ),
    "/namespaces/{namespace}/jobs/{job}/versions": lambda seen, path, query: job_versions.page(
        seen, _found_job(seen, path), *query.page()
    ),
    "/namespaces/{namespace}/jobs/{job}/versions/{version}": _job_version,
    "/jobs": _jobs,
    "/jobs/runs/{run}": lambda seen, path, _: runs.views(seen, [_found_run(seen, path)])[0],
    "/jobs/runs/{run}/facets": lambda seen, path, query: runs.facets(
        seen, _found_run(seen, path), query.choice("type", "run", "job") or "run"
    ),
    "/namespaces/{namespace}/datasets": _datasets,
    "/namespaces/{namespace}/datasets/{dataset}": lambda seen, path, _: datasets.views(
        seen, [_found_dataset(seen, path)]
    )[0],
    "/namespaces/{namespace}/datasets/{dataset}/versions": lambda seen, path, query: datasets.versions_page(
        seen, _found_dataset(seen, path), *query.page()
    ),
    "/namespaces/{namespace}/datasets/{dataset}/versions/{version}": _version,
    "/lineage": lambda seen, _, query: graph.lineage(seen, query.needed("nodeId"), query.depth()),
    "/column-lineage": _column_lineage,
    "/events/lineage": _events,
    "/events": _events,
    "/events/{namespace}": _events,
    "/search": _search,
    "/tags": lambda seen, _, query: lists.tags(seen, *query.page()),
    "/sources": lambda seen, _, query: lists.sources(seen, *query.page()),
}
"""By path, below `/api/v1`."""

WRITES: Final = (
    "/tags/{tag}",
    "/sources/{source}",
    "/jobs/runs/{run}/{mark}",
    "/namespaces/{namespace}/datasets/{dataset}/tags/{tag}",
    "/namespaces/{namespace}/datasets/{dataset}/fields/{field}/tags/{tag}",
)
"""The paths of Marquez that only write: nothing can be written here."""
