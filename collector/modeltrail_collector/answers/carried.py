"""Which columns of what a run made came of which columns of what it read, as far as producers say.

What nobody says is None, and never "none of them": that a column went into nothing is only said where the
producer tells of all columns, or where what was fitted is known to be columns of the file as they are in it.
"""

import json
import math
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.answers.places import Key, Name, key_of
from modeltrail_collector.errors import NotFound
from modeltrail_collector.tables.own import edges
from modeltrail_collector.tables.pairing import IN_MEMORY

_SHAPING: Final = frozenset({"train", "validation", "calibration", "prompt"})
_SHOWN: Final = 40
_NEWEST: Final = 5
"""So many runs are asked first whether a column is there: the others only where they do not know it."""
_CONTENT: Final = ("count", "nulls", "quantiles", "topK", "other", "mean", "std")
"""Of a column's profile what is the same whichever library read it."""

_Facets = dict[Key, dict[str, Any]]


class Said(msgspec.Struct):
    """What runs say of columns: facets by run, namespace and name of the output or input.

    `sole` is the one dataset that each of these runs learned from, and from nothing else of it but features.
    `fitted` are the columns that an output was fitted on in memory, of a model whose run says it of each.
    """

    lineage: _Facets = {}
    schemas: _Facets = {}
    uses: _Facets = {}
    sole: dict[str, Name] = {}
    fitted: dict[Key, frozenset[str]] = {}


def said_of_columns(db: Database, runs: Collection[str]) -> Said:
    """What these runs say of columns: where those of outputs came from, which of inputs were used."""
    found = _facets(
        db,
        runs,
        """(scope = 'output' AND key IN ('columnLineage', 'schema'))
            OR (scope = 'input_facet' AND key = 'modelTrail_dataUse')
            OR (scope = 'input' AND key = 'schema') OR (scope = 'job' AND key = 'lineage')""",
    )
    said = Said(
        lineage=found.get(("output", "columnLineage"), {}),
        schemas=found.get(("output", "schema"), {}),
        uses=found.get(("input_facet", "modelTrail_dataUse"), {}),
    )
    for (run_id, *_), facet in found.get(("job", "lineage"), {}).items():
        said.fitted |= _fitted(run_id, facet, said.uses)
    learned: dict[str, dict[Name, dict[str, Any]]] = {}
    for (run_id, *name), use in said.uses.items():
        if use.get("role") in _SHAPING:
            learned.setdefault(run_id, {})[name[0], name[1]] = use
    schemas = found.get(("input", "schema"), {})
    named = {run_id: of for run_id, uses in learned.items() if (of := _sole(run_id, uses, schemas))}
    in_memory = {run_id for run_id in named if len(learned[run_id]) > 1}
    profiles = _facets(db, in_memory, "scope = 'input_facet' AND key = 'modelTrail_featureProfile'")
    seen = profiles.get(("input_facet", "modelTrail_featureProfile"), {})
    said.sole = {
        run_id: of
        for run_id, of in named.items()
        if all(_is_content_of(seen, run_id, name, of, use) for name, use in learned[run_id].items())
    }
    return said


def _fitted(run_id: str, lineage: Mapping[str, Any], uses: _Facets) -> dict[Key, frozenset[str]]:
    """The columns of the data in memory that leads to each output, where all of it says which it has."""
    found: dict[Key, list[frozenset[str]]] = {}
    for (namespace, name), source in edges(lineage):
        if source[0] == IN_MEMORY:
            taken = used(uses.get((run_id, IN_MEMORY, str(source[1])), {}))
            found.setdefault((run_id, str(namespace), str(name)), []).append(taken)
    return {output: frozenset().union(*several) for output, several in found.items() if all(several)}


def _facets(db: Database, runs: Collection[str], where: str) -> dict[tuple[str, str], _Facets]:
    rows = db.read(
        "facets",
        "DISTINCT run_id, scope, key, namespace, name, value",
        runs=runs,
        where=f"value IS NOT NULL AND ({where})",
    )
    found: dict[tuple[str, str], _Facets] = {}
    for row in rows:
        value = json.loads(row["value"])
        if isinstance(value, dict):
            facets = found.setdefault((row["scope"], row["key"]), {})
            facets[row["run_id"], row["namespace"], row["name"]] = value
    return found


def _sole(run_id: str, uses: Mapping[Name, dict[str, Any]], schemas: _Facets) -> Name | None:
    """The one dataset that has the label and all features by their names, of a training from no other."""
    places = [name for name in uses if name[0] != IN_MEMORY]
    if len(places) != 1:
        return None
    use = uses[places[0]]
    has = frozenset(column_names(schemas.get((run_id, *places[0])))) or used(use)
    is_told = all(each.get("features") and labels(each) for each in uses.values())
    is_chosen = use.get("query") or use.get("timeRange")
    taken = frozenset().union(*map(used, uses.values()))
    return places[0] if is_told and taken <= has and not is_chosen else None


def _is_content_of(profiles: _Facets, run_id: str, name: Name, of: Name, use: Mapping[str, Any]) -> bool:
    """Whether what was fitted is columns of that dataset as they are in it: all rows, the same values.

    A column may have been made anew under its name, and rows chosen by another column.
    """
    if name == of:
        return True
    one, other = ((profiles.get((run_id, *each)) or {}).get("columns") or {} for each in (name, of))
    return all(
        column in one and column in other and _is_same(one[column], other[column])
        for column in {*one, *used(use)}
    )


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two profiles are of the same values; of none where they tell of no values."""
    has_values = bool(one.get("quantiles") or one.get("topK"))
    return has_values and all(_is_equal(one.get(name), other.get(name)) for name in _CONTENT)


def _is_equal(one: object, other: object) -> bool:
    """Equal; of two fractions but for the order in which they were summed up."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return one == other


def columns(
    said: Said, row: Row, read: Name, columns: frozenset[str] | None, *, also: Collection[Name] = ()
) -> frozenset[str] | None:
    """The columns of an output that came of these columns of an input; None where nobody says, or all.

    Of a model those that it learned from. `also` are other names of the input.
    """
    if columns is None:
        return None
    output = (row["run_id"], row["namespace"], row["name"])
    if said.lineage.get(output, {}).get("fields"):
        return _by_lineage(said, output, {read, *also}, columns)
    if row["kind"] != "model":
        return None
    known = columns & said.fitted.get(output, used(said.uses.get((row["run_id"], *read), {})))
    return known or (frozenset() if said.sole.get(row["run_id"]) == read else None)


def _by_lineage(
    said: Said, output: Key, read: Collection[Name], columns: frozenset[str]
) -> frozenset[str] | None:
    """What `columnLineage` says. Of a column that it leaves out nobody says what it came of.

    Source of `dataset`: the facet's schema, "column level lineage that affects the whole dataset".
    """
    facet = said.lineage[output]
    fields = facet["fields"] if isinstance(facet["fields"], dict) else {}
    if _comes_from(facet.get("dataset"), read, columns):
        return frozenset(fields)
    came = frozenset(
        name
        for name, field in fields.items()
        if isinstance(field, dict) and _comes_from(field.get("inputFields"), read, columns)
    )
    is_whole = set(fields).issuperset(column_names(said.schemas.get(output)))
    return came if came or is_whole else None


def _comes_from(inputs: object, read: Collection[Name], columns: frozenset[str]) -> bool:
    return any(
        (each.get("namespace"), each.get("name")) in read and each.get("field") in columns
        for each in (inputs if isinstance(inputs, list) else ())
        if isinstance(each, dict)
    )


def check_column(db: Database, column: str, datasets: Collection[Name]) -> None:
    """Raises NotFound where the columns of these datasets are known, and none of them is called so.

    Under each of their names: that by which a run read one, which was written under another, too.
    """
    reading = db.read(
        "mentions",
        "key_namespace, key, run_id, namespace, name",
        keys={name for _, name in datasets},
        where="how IN ('name', 'identity') AND role IN ('input', 'output')",
        then="GROUP BY ALL ORDER BY max(last_event_at) DESC, run_id",
    )
    called = {key_of(row) for row in reading if (row["key_namespace"], row["key"]) in datasets}
    runs = list(dict.fromkeys(row["run_id"] for row in reading))
    known: set[str] = set()
    for some in (runs[:_NEWEST], runs[_NEWEST:]):
        known |= _known_columns(db, some, called)
        if known & {column, column.partition(".")[0]}:
            return
    if known:
        names = ", ".join(sorted({name.rpartition("/")[2] for _, name in datasets}))
        raise NotFound(f"{names} has no column {column!r}. It has: {_shown(known)}.")


def _known_columns(db: Database, runs: Collection[str], called: Collection[Key]) -> set[str]:
    """The columns that these runs say of what they call so."""
    found = _facets(db, runs, "key IN ('schema', 'columnLineage') AND scope IN ('input', 'output')")
    known: set[str] = set()
    for (_, key), facets in found.items():
        for of, facet in facets.items():
            if of in called:
                known.update(column_names(facet) if key == "schema" else facet.get("fields") or ())
    return known


def check_learned(db: Database, column: str, text: str, run_id: str) -> None:
    """Raises NotFound where it is known of all data that a run trained on what was taken of it: not this."""
    found = _facets(db, {run_id}, "scope = 'input_facet' AND key = 'modelTrail_dataUse'")
    uses = found.get(("input_facet", "modelTrail_dataUse"), {}).values()
    learned = [used(use) for use in uses if use.get("role") in _SHAPING]
    if learned and all(learned) and column not in frozenset().union(*learned):
        raise NotFound(
            f"{text} is not known to have learned from a column {column!r}. "
            f"It learned from: {_shown(frozenset().union(*learned))}."
        )


def _shown(columns: Collection[str]) -> str:
    names = sorted(columns)
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def used(use: Mapping[str, Any]) -> frozenset[str]:
    """The columns that a facet `modelTrail_dataUse` says went into a model: features, labels, weights."""
    weight = _strings([use.get("weightColumn")])
    return frozenset([*_strings(use.get("features")), *labels(use), *weight])


def labels(use: Mapping[str, Any]) -> list[str]:
    """The targets that a facet `modelTrail_dataUse` names: one, or several."""
    return list(dict.fromkeys(_strings([use.get("labelColumn")]) + _strings(use.get("labelColumns"))))


def column_names(schema: Mapping[str, Any] | None) -> list[str]:
    """The columns that a facet `schema` names."""
    fields = (schema or {}).get("fields")
    return _strings([each.get("name") for each in fields if isinstance(each, dict)] if fields else None)


def _strings(values: object) -> list[str]:
    return [each for each in values if isinstance(each, str)] if isinstance(values, list) else []
