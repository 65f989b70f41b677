"""Which column came of which: `GET /column-lineage`, by the `columnLineage` of what was written last."""

import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

import msgspec

from modeltrail_collector.web.reading import datasets, jobs
from modeltrail_collector.web.reading.graph import parse
from modeltrail_collector.web.reading.seen import Name, Seen, name_of
from modeltrail_collector.web.refusal import Refusal

Column = tuple[Name, str]
"""A dataset and the name of its column."""

_KINDS: Final = ("dataset", "datasetField", "job")
_NAMED: Final = ("namespace", "name", "field")
_VERSION: Final = re.compile("#[0-9a-f-]{36}$")
"""What marquez-python puts behind a node; the graph is that of the last versions."""
_SAID: Final = """SELECT f.namespace, f.name, f.value
    FROM facets AS f JOIN dataset AS d ON f.run_id = d.written_by
    WHERE f.scope = 'output' AND f.key = 'columnLineage' AND f.value IS NOT NULL"""


def lineage(seen: Seen, node_id: str, depth: int, *, downstream: bool) -> dict[str, Any]:
    """The columns that those of a dataset, of what a job writes, or one column came of, so many steps back.

    With `downstream` those, too, that came of them.

    Raises:
        Refusal: There is no such node.
    """
    sources = _sources(seen)
    begin = _start(seen, node_id, {*sources, *chain.from_iterable(sources.values())})
    reached = begin | _reach(sources, begin, depth)
    if downstream:
        uses: dict[Column, dict[Column, Any]] = defaultdict(dict)
        for column, inputs in sources.items():
            for one in inputs:
                uses[one][column] = None
        reached |= _reach(uses, begin, depth)
    return {"graph": _shown(seen, sources, reached)}


def _sources(seen: Seen) -> dict[Column, dict[Column, dict[str, Any]]]:
    """Each column that somebody told the source of, and of each source what they told."""
    found: dict[Column, dict[Column, dict[str, Any]]] = {}
    for row in seen.rows(_SAID):
        value = msgspec.json.decode(row["value"])
        fields = value.get("fields") if isinstance(value, dict) else None
        for field, said in (fields if isinstance(fields, dict) else {}).items():
            if not isinstance(said, dict):
                continue
            inputs = said.get("inputFields")
            found[seen.meant(name_of(row)), field] = {
                (seen.meant(name_of(one)), one["field"]): _how(said, one)
                for one in (inputs if isinstance(inputs, list) else ())
                if isinstance(one, dict) and all(isinstance(one.get(key), str) for key in _NAMED)
            }
    return found


def _how(said: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    """How a column came of another, in the older words of the facet or the newer ones."""
    steps = one.get("transformations")
    first = steps[0] if isinstance(steps, list) and steps and isinstance(steps[0], dict) else {}
    return {
        "transformationDescription": said.get("transformationDescription") or first.get("description"),
        "transformationType": said.get("transformationType") or first.get("type"),
    }


def _start(seen: Seen, node_id: str, known: Iterable[Column]) -> set[Column]:
    kind, names = parse(_VERSION.sub("", node_id))
    if kind not in _KINDS:
        raise Refusal(404, f"Node '{node_id}' must be of type dataset, datasetField or job")
    if kind == "datasetField":
        return {_field(seen, node_id, names)}
    find = datasets.find if kind == "dataset" else jobs.find
    for name in names:
        if row := find(seen, name):
            written = {name_of(row)} if kind == "dataset" else _written(seen, name_of(row))
            return {column for column in known if column[0] in written}
    raise Refusal(404, f"Node '{node_id}' not found.")


def _field(seen: Seen, node_id: str, names: Iterable[Name]) -> Column:
    """The column that is meant: its name stands behind that of its dataset."""
    for of, field in names:
        for dataset in parse(f":{of}")[1]:
            if row := datasets.find(seen, dataset):
                return name_of(row), field
    raise Refusal(404, f"Node '{node_id}' not found.")


def _written(seen: Seen, job: Name) -> set[Name]:
    rows = seen.rows(
        """SELECT namespace, name FROM use WHERE current AND role = 'output'
        AND job_namespace = $namespace AND job_name = $name""",
        namespace=job[0],
        name=job[1],
    )
    return {name_of(row) for row in rows}


def _reach(steps: dict[Column, dict[Column, Any]], begin: set[Column], depth: int) -> set[Column]:
    reached, frontier = set(begin), set(begin)
    for _ in range(depth):
        frontier = {one for column in frontier for one in steps.get(column, ())} - reached
        if not frontier:
            break
        reached |= frontier
    return reached


def _shown(
    seen: Seen, sources: dict[Column, dict[Column, dict[str, Any]]], reached: set[Column]
) -> list[dict[str, Any]]:
    types = _types(seen, {column[0] for column in reached})
    into: dict[str, list[dict[str, str]]] = defaultdict(list)
    out: dict[str, list[dict[str, str]]] = defaultdict(list)
    for column in sorted(reached):
        for one in sorted(reached & sources.get(column, {}).keys()):
            edge = {"origin": _id(one), "destination": _id(column)}
            into[edge["destination"]].append(edge)
            out[edge["origin"]].append(edge)
    return [
        {
            "id": _id(column),
            "type": "DATASET_FIELD",
            "data": {
                "namespace": column[0][0],
                "dataset": column[0][1],
                "datasetVersion": None,
                "field": column[1],
                "fieldType": types.get(column),
                "inputFields": [
                    {"namespace": one[0][0], "dataset": one[0][1], "field": one[1], **how}
                    for one, how in sources.get(column, {}).items()
                ],
            },
            "inEdges": into[_id(column)],
            "outEdges": out[_id(column)],
        }
        for column in sorted(reached, key=_id)
    ]


def _types(seen: Seen, of: set[Name]) -> dict[Column, Any]:
    """The types of the columns of these datasets, where their schema is known."""
    seen.db.fill("wanted", ("namespace", "name"), of)
    rows = seen.rows("FROM dataset SEMI JOIN wanted USING (namespace, name)")
    return {
        (name_of(view), field["name"]): field["type"]
        for view in datasets.views(seen, rows)
        for field in view["fields"]
    }


def _id(column: Column) -> str:
    return f"datasetField:{column[0][0]}:{column[0][1]}:{column[1]}"
