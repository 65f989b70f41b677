"""Who reads and writes what, as a graph: `GET /lineage`."""

from typing import Any, Final

from modeltrail_collector.answers.database import Row
from modeltrail_collector.web.reading import datasets, jobs
from modeltrail_collector.web.reading.seen import Name, Seen, name_of
from modeltrail_collector.web.refusal import Refusal

_MOST_NODES: Final = 2_000
Node = tuple[str, Name]
"""`job` or `dataset`, and its name."""

_EDGES: Final = """SELECT job_namespace, job_name, role, namespace, name FROM use
    WHERE current AND ((job_namespace, job_name) IN (SELECT (namespace, name) FROM wanted WHERE kind = 'job')
        OR (namespace, name) IN (SELECT (namespace, name) FROM wanted WHERE kind = 'dataset'))"""


def parse(node_id: str) -> tuple[str, list[Name]]:
    """The kind of a node, and the names that its id may mean: both a namespace and a name may hold colons."""
    kind, _, rest = node_id.partition(":")
    cuts = [number for number, letter in enumerate(rest) if letter == ":"]
    return kind, [(rest[:cut], rest[cut + 1 :]) for cut in reversed(cuts)]


def lineage(seen: Seen, node_id: str, depth: int) -> dict[str, Any]:
    """All that hangs together with a job or dataset, so many edges far, in both directions.

    Raises:
        Refusal: There is no such node, or too much hangs together with it.
    """
    reached = {_start(seen, node_id)}
    edges: set[tuple[Node, Node]] = set()
    frontier = set(reached)
    for _ in range(depth):
        found = {_edge(row) for row in _around(seen, frontier)}
        edges |= found
        frontier = {end for edge in found for end in edge} - reached
        reached |= frontier
        if len(reached) > _MOST_NODES:
            raise Refusal(
                400, f"more than {_MOST_NODES:,} jobs and datasets hang together: ask with a smaller depth"
            )
        if not frontier:
            break
    edges |= {edge for edge in map(_edge, _around(seen, frontier)) if reached.issuperset(edge)}
    return {"graph": _shown(seen, reached, edges)}


def _start(seen: Seen, node_id: str) -> Node:
    kind, names = parse(node_id)
    if kind not in {"job", "dataset"}:
        raise Refusal(404, f"Node '{node_id}' must be of type dataset or job")
    find = jobs.find if kind == "job" else datasets.find
    for name in names:
        if row := find(seen, name):
            return kind, name_of(row)
    raise Refusal(404, f"{kind.capitalize()} '{names[0][1] if names else node_id}' not found.")


def _around(seen: Seen, nodes: set[Node]) -> list[Row]:
    seen.db.fill("wanted", ("kind", "namespace", "name"), ((kind, *name) for kind, name in nodes))
    return seen.rows(_EDGES)


def _edge(row: Row) -> tuple[Node, Node]:
    job, dataset = ("job", name_of(row, "job_")), ("dataset", name_of(row))
    return (dataset, job) if row["role"] == "input" else (job, dataset)


def _shown(seen: Seen, nodes: set[Node], edges: set[tuple[Node, Node]]) -> list[dict[str, Any]]:
    seen.db.fill("wanted", ("kind", "namespace", "name"), ((kind, *name) for kind, name in nodes))
    rows = {
        kind: seen.rows(
            f"FROM {kind} SEMI JOIN (FROM wanted WHERE kind = $kind) AS w USING (namespace, name)",
            kind=kind,
        )
        for kind in ("job", "dataset")
    }
    views = jobs.views(seen, rows["job"], latest=1) + datasets.views(seen, rows["dataset"])
    kinds = ["job"] * len(rows["job"]) + ["dataset"] * len(rows["dataset"])
    into: dict[str, list[dict[str, str]]] = {}
    out: dict[str, list[dict[str, str]]] = {}
    for origin, destination in sorted((_id(*edge[0]), _id(*edge[1])) for edge in edges):
        into.setdefault(destination, []).append({"origin": origin, "destination": destination})
        out.setdefault(origin, []).append({"origin": origin, "destination": destination})
    shown = []
    for kind, view in zip(kinds, views, strict=True):
        del view["facets"]
        node = _id(kind, name_of(view))
        shown.append(
            {
                "id": node,
                "type": kind.upper(),
                "data": view,
                "inEdges": into.get(node, []),
                "outEdges": out.get(node, []),
            }
        )
    return sorted(shown, key=lambda one: one["id"])


def _id(kind: str, name: Name) -> str:
    return f"{kind}:{name[0]}:{name[1]}"
