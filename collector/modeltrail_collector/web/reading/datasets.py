"""Datasets and their versions in Marquez's shape."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from modeltrail_collector.answers.database import Row
from modeltrail_collector.web.reading import facets as facets_
from modeltrail_collector.web.reading import runs, versions
from modeltrail_collector.web.reading.facets import Facets, objects, text
from modeltrail_collector.web.reading.seen import Name, Seen, id_of, name_of

_SCOPES: Final = ("input", "input_facet", "output", "output_facet")


def page(seen: Seen, namespace: str, limit: int, offset: int) -> dict[str, Any]:
    """The datasets of a namespace."""
    query = "FROM dataset WHERE namespace = $namespace"
    rows, total = seen.page(f"SELECT * {query}", "name", limit, offset, namespace=namespace)
    return {"datasets": views(seen, rows), "totalCount": total}


def find(seen: Seen, name: Name) -> Row | None:
    """The dataset of this name, or with this other name."""
    namespace, own = seen.meant(name)
    found = seen.rows(
        "FROM dataset WHERE namespace = $namespace AND name = $own", namespace=namespace, own=own
    )
    return found[0] if found else None


def views(seen: Seen, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """These rows of `dataset`, each with the facets of its last version."""
    last = seen.runs(run for row in rows for run in (row["written_by"], row["read_by"]) if run)
    facets = Facets(seen, [row["run_id"] for row in last], *_SCOPES)
    ended = {row["run_id"]: row["ended_at"] or row["last_event_at"] for row in last}
    unwritten = {row["read_by"] for row in rows if row["written_by"] is None}
    used = versions.used(seen, [row for row in last if row["run_id"] in unwritten])
    read = {(one.run_id, one.name): one.version for one in used if one.role == "input"}
    told = seen.told("dataset", [name_of(row) for row in rows])
    shown = []
    for row in rows:
        name = name_of(row)
        alone = told.get(name, [])
        of_read = _of_run(facets, row["read_by"], "input", name)
        found = {**of_read, **facets_.told(alone), **_of_run(facets, row["written_by"], "output", name)}
        event = next((one for one in alone if one["key"] == ""), None)
        current = read.get((row["read_by"], name))
        if row["written_by"]:
            current = versions.by_run(name, row["written_by"])
        elif event:
            current = versions.by_event(name, event)
        shown.append(
            {
                **_common(name, found),
                "createdAt": row["first_at"],
                "updatedAt": row["last_at"],
                "lastModifiedAt": ended.get(row["written_by"]) or (event and event["happened_at"]),
                "currentVersion": current,
                "facets": found,
                "deleted": _lifecycle(found) == "DROP",
            }
        )
    return shown


def _of_run(facets: Facets, run_id: str | None, side: str, name: Name) -> dict[str, msgspec.Raw]:
    return {**facets.of(run_id, side, name), **facets.of(run_id, f"{side}_facet", name)}


def _common(name: Name, facets: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    """What a dataset and a version of it both show."""
    tags = objects(facets, "tags", "tags")
    return {
        "id": id_of(name),
        "type": "DB_TABLE",
        "name": name[1],
        "physicalName": name[1],
        "namespace": name[0],
        "sourceName": text(facets, "dataSource", "name") or "default",
        "fields": [
            {
                "name": each.get("name"),
                "type": each.get("type"),
                "tags": [tag_name(tag) for tag in tags if tag.get("field") == each.get("name")],
                "description": each.get("description"),
            }
            for each in objects(facets, "schema", "fields")
        ],
        "tags": [tag_name(tag) for tag in tags if tag.get("field") is None],
        "description": text(facets, "documentation", "description"),
    }


def tag_name(tag: Mapping[str, Any]) -> str:
    """A tag of OpenLineage as one word: its key, and its value where it has one (`true` is none)."""
    key, value = tag.get("key"), tag.get("value")
    return f"{key}:{value}" if isinstance(value, str) and value not in {"", "true"} else f"{key}"


def _lifecycle(facets: Mapping[str, msgspec.Raw]) -> str:
    return (text(facets, "lifecycleStateChange", "lifecycleStateChange") or "").upper()


def versions_page(seen: Seen, row: Row, limit: int, offset: int) -> dict[str, Any]:
    """The versions of a dataset, the latest first."""
    found = versions.of_dataset(seen, name_of(row))
    return {"versions": _versions(seen, row, found[offset : offset + limit]), "totalCount": len(found)}


def version(seen: Seen, row: Row, asked: str) -> dict[str, Any] | None:
    """The version of this id."""
    name = name_of(row)
    found = [one for one in versions.of_dataset(seen, name) if versions.id_of(name, one) == asked]
    return _versions(seen, row, found)[0] if found else None


def _versions(seen: Seen, dataset: Row, found: Sequence[Row]) -> list[dict[str, Any]]:
    name = name_of(dataset)
    of = seen.runs(one["run_id"] for one in found if one["run_id"])
    facets = Facets(seen, [row["run_id"] for row in of], *_SCOPES)
    writers = {one["run_id"] for one in found if one["role"] == "output"}
    made = {run["id"]: run for run in runs.views(seen, [row for row in of if row["run_id"] in writers])}
    alone = facets_.told(seen.told("dataset", [name]).get(name, []))
    shown = []
    for one in found:
        id_ = versions.id_of(name, one)
        own = alone if one["run_id"] is None else _of_run(facets, one["run_id"], one["role"], name)
        shown.append(
            {
                **_common(name, own),
                "id": versions.version_id(name, id_),
                "createdAt": one["at"],
                "version": id_,
                "lifecycleState": _lifecycle(own),
                "createdByRun": made.get(one["run_id"]) if one["role"] == "output" else None,
                "facets": own,
            }
        )
    return shown
