"""Which columns of what a run made came of which columns of what it read, as far as producers say."""

import json
from typing import Any

from modeltrail_collector.answers.database import Database, Row

_Name = tuple[str, str]
Said = dict[tuple[str, str, str, str], dict[str, Any]]


def said_of_columns(db: Database) -> Said:
    """What the reached runs say of columns: where those of outputs came from, which of inputs were used."""
    db.attach("facets", runs={row["run_id"] for row in db.rows("SELECT DISTINCT run_id FROM reached")})
    rows = db.rows("""
        SELECT DISTINCT f.run_id, f.key, f.namespace, f.name, f.value
        FROM near_facets AS f SEMI JOIN reached USING (run_id)
        WHERE f.value IS NOT NULL AND ((f.scope = 'output' AND f.key = 'columnLineage')
            OR (f.scope = 'input_facet' AND f.key = 'modelTrail_dataUse'))""")
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
