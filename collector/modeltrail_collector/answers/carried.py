"""Which columns of what a run made came of which columns of what it read, as far as producers say."""

import json
from collections.abc import Collection
from typing import Any

from modeltrail_collector.answers.database import Database, Row

_Name = tuple[str, str]
Said = dict[tuple[str, str, str, str], dict[str, Any]]


def said_of_columns(db: Database, runs: Collection[str]) -> Said:
    """What these runs say of columns: where those of outputs came from, which of inputs were used."""
    rows = db.read(
        "facets",
        "DISTINCT run_id, key, namespace, name, value",
        runs=runs,
        where="""value IS NOT NULL AND ((scope = 'output' AND key = 'columnLineage')
            OR (scope = 'input_facet' AND key = 'modelTrail_dataUse'))""",
    )
    said: Said = {}
    for row in rows:
        value = json.loads(row["value"])
        if isinstance(value, dict):
            said[row["run_id"], row["key"], row["namespace"], row["name"]] = value
    return said


def columns(said: Said, row: Row, read: _Name, columns: frozenset[str] | None) -> frozenset[str] | None:
    """The columns of an output that came of these columns of an input; None where nobody says, or all."""
    if columns is None:
        return None
    lineage = said.get((row["run_id"], "columnLineage", row["namespace"], row["name"]))
    fields = (lineage or {}).get("fields")
    if isinstance(fields, dict) and fields:
        return frozenset(name for name, field in fields.items() if _comes_from(field, read, columns))
    use = said.get((row["run_id"], "modelTrail_dataUse", *read)) or {}
    features = use.get("features")
    if isinstance(features, list) and features:
        used = {*map(str, features), str(use.get("labelColumn"))}
        return None if columns & used else frozenset()
    return None


def _comes_from(field: object, read: _Name, columns: frozenset[str]) -> bool:
    inputs = field.get("inputFields") if isinstance(field, dict) else None
    return any(
        (each.get("namespace"), each.get("name")) == read and each.get("field") in columns
        for each in (inputs if isinstance(inputs, list) else ())
        if isinstance(each, dict)
    )
