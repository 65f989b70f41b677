"""What a DataFrame of Spark is made from: the leaves of its plan, and how its rows were chosen of them.

Spark's own objects are asked by py4j. Only the plan is looked at: no job is started.
"""

import json
from collections.abc import Iterator
from functools import reduce
from itertools import islice
from typing import Any, Final

import msgspec

from modeltrail import naming, standard
from modeltrail.event import Dataset
from modeltrail.guard import warn_once
from modeltrail.observe import choices

MAX_SOURCES: Final = 200
MAX_LEAVES: Final = 500
"""So many are asked, a millisecond each: a plan that was put together in a loop has any number of them."""
MAX_DEPTH: Final = 100
_KEEPS_ROWS: Final = frozenset(
    {"Filter", "Project", "Repartition", "RepartitionByExpression", "Sort", "SubqueryAlias", "View"}
)
"""Nodes through which a share of the rows below stays a share of them."""
_NO_DATA: Final = frozenset({"CTERelationRef", "OneRowRelation"})
"""Leaves that stand for a part of the plan which is a child elsewhere, or for none at all."""


class Plan(msgspec.Struct, frozen=True):
    """What a frame is made from.

    Attributes:
        sources: what `run.input` takes of each place that is read: the path of a local one, which can be
            looked at, and a dataset with its columns for others.
        is_whole: whether that is all; not where rows come from the program's memory, a query of a database,
            or from what Spark does not tell a place of.
        split: how rows were chosen of it (`randomSplit`, `sample`), as in `modelTrail_dataUse`.
        places: the URIs of the sources.
    """

    sources: tuple[str | Dataset, ...] = ()
    is_whole: bool = False
    split: dict[str, Any] | None = None
    places: tuple[str, ...] = ()

    @property
    def only(self) -> str | Dataset | None:
        """The place that all rows are from, if it is one."""
        return self.sources[0] if len(self.sources) == 1 and self.is_whole else None


def read(frame: Any) -> Plan:
    """The plan of a frame, as analysed; that of Spark Connect lies on a server and says nothing here."""
    java = getattr(frame, "_jdf", None)
    if java is None:
        return Plan()
    plan = java.queryExecution().analyzed()
    sources: dict[str, str | Dataset] = {}
    leaves = list(islice(_leaves(plan), MAX_LEAVES + 1))
    is_whole = len(leaves) <= MAX_LEAVES
    for leaf in leaves[:MAX_LEAVES]:
        kind = leaf.getClass().getSimpleName()
        found = _told(leaf, kind)
        is_whole = is_whole and (bool(found) or kind in _NO_DATA)
        sources.update({place: _source(place, leaf) for place in found if place not in sources})
    if len(sources) > MAX_SOURCES:
        message = "a frame of Spark reads %d places; the first %d are recorded"
        warn_once("many sources", message, len(sources), MAX_SOURCES)
        is_whole = False
    places = tuple(sources)[:MAX_SOURCES]
    return Plan(tuple(sources.values())[:MAX_SOURCES], is_whole, _split(plan), places)


def _each(java: Any) -> Iterator[Any]:
    """The items of a Scala sequence."""
    return (java.apply(index) for index in range(java.size()))


def _leaves(plan: Any) -> Iterator[Any]:
    yield from _each(plan.collectLeaves())
    for subquery in _each(plan.subqueriesAll()):
        yield from _each(subquery.collectLeaves())


def _told(leaf: Any, kind: str) -> list[str]:
    """The URIs that a leaf reads; none where it does not say."""
    try:
        return _places(leaf, kind)
    except Exception:  # sources of others answer in their own ways, and fail in them
        return []


def _places(leaf: Any, kind: str) -> list[str]:
    if kind == "HiveTableRelation":
        return [leaf.tableMeta().location().toString()]
    if kind == "LogicalRelation":
        relation = leaf.relation()
        if relation.getClass().getSimpleName() == "HadoopFsRelation":
            return [path.toString() for path in _each(relation.location().rootPaths())]
    if kind == "DataSourceV2Relation":
        table = leaf.table()
        if table.getClass().getSuperclass().getSimpleName() == "FileTable":
            return [path.toString() for path in _each(table.fileIndex().rootPaths())]
        place = table.properties().get("location")
        return [place] if place else []
    return []


def _source(place: str, leaf: Any) -> str | Dataset:
    namespace, name = naming.identity(place)
    if naming.local_path(place) is not None:
        return place
    columns = [
        (field["name"], field["type"] if isinstance(field["type"], str) else field["type"]["type"])
        for field in json.loads(leaf.schema().json())["fields"]
    ]
    facets = {
        "schema": standard.schema(columns),
        "dataSource": standard.data_source(namespace, naming.uri(place)),
    }
    return Dataset(namespace, name, facets)


def _split(plan: Any) -> dict[str, Any] | None:
    """How the rows were chosen of the one place that they come from."""
    chosen: list[dict[str, Any]] = []  # the last one first, as a plan has them
    for _ in range(MAX_DEPTH):
        kind, below = plan.getClass().getSimpleName(), plan.children()
        if below.size() == 0:
            return reduce(choices.after, reversed(chosen)) if chosen else None
        if kind == "Sample":
            share = plan.upperBound() - plan.lowerBound()
            how = "bootstrap" if plan.withReplacement() else "random"
            known = {"fraction": round(share, 6)} if share <= 1 else {}
            chosen.append({"strategy": how, "seed": plan.seed(), **known})
        elif kind not in _KEEPS_ROWS or below.size() > 1:
            return None
        plan = below.apply(0)
    return None
