"""What else can be browsed: namespaces, events, tags, sources, and a search by name."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from modeltrail_collector.answers.database import Row
from modeltrail_collector.log import Log, entries_at
from modeltrail_collector.model import LogPartition
from modeltrail_collector.web.reading.datasets import tag_name
from modeltrail_collector.web.reading.seen import Seen

_NAMESPACES = """SELECT namespace AS name, min(first_at) AS first_at, max(last_at) AS last_at FROM (
    SELECT namespace, first_at, last_at FROM job UNION ALL SELECT namespace, first_at, last_at FROM dataset
) WHERE $namespace IS NULL OR namespace = $namespace GROUP BY namespace"""


def namespaces(seen: Seen, limit: int, offset: int) -> dict[str, Any]:
    """The namespaces of jobs and datasets."""
    rows, total = seen.page(_NAMESPACES, "name", limit, offset, namespace=None)
    return {"namespaces": [_namespace(row) for row in rows], "totalCount": total}


def namespace(seen: Seen, name: str) -> dict[str, Any] | None:
    """One namespace."""
    found = seen.rows(_NAMESPACES, namespace=name)
    return _namespace(found[0]) if found else None


def _namespace(row: Row) -> dict[str, Any]:
    return {
        "name": row["name"],
        "createdAt": row["first_at"],
        "updatedAt": row["last_at"],
        "ownerName": "anonymous",
        "description": None,
        "isHidden": False,
    }


def events(
    seen: Seen,
    limit: int,
    offset: int,
    *,
    namespace: str | None = None,
    before: datetime | None = None,
    after: datetime | None = None,
    ascending: bool = False,
) -> dict[str, Any]:
    """The RunEvents as they came, without copies, by the time that they say; not those since removed."""
    way = "ASC" if ascending else "DESC"
    rows, total = seen.page(
        f"""SELECT topic, topic_id, "partition", "offset",
            coalesce(event_time, ingested_at) AS happened_at
        FROM events
        WHERE event_kind = 'run' AND NOT duplicate AND {seen.visible}
            AND ($namespace IS NULL OR job_namespace = $namespace)
            AND ($before IS NULL OR coalesce(event_time, ingested_at) < $before::TIMESTAMPTZ)
            AND ($after IS NULL OR coalesce(event_time, ingested_at) >= $after::TIMESTAMPTZ)""",  # noqa: S608
        f'happened_at {way}, topic {way}, topic_id {way}, "partition" {way}, "offset" {way}',
        limit,
        offset,
        namespace=namespace,
        before=before,
        after=after,
    )
    return {"events": _values(seen.db.log, rows), "totalCount": total}


def _values(log: Log, rows: Iterable[Row]) -> list[msgspec.Raw]:
    places = [(LogPartition(row["topic"], row["topic_id"], row["partition"]), row["offset"]) for row in rows]
    found: dict[tuple[LogPartition, int], bytes | None] = {}
    for partition in {partition for partition, _ in places}:
        wanted = {offset for of, offset in places if of == partition}
        found |= {(partition, one.offset): one.value for one in entries_at(log, partition, wanted)}
    values = (found.get(place) for place in places)
    return [msgspec.Raw(value) for value in values if value]


def search(
    seen: Seen, text: str, kind: str | None, *, by_time: bool, limit: int, namespace: str | None
) -> dict[str, Any]:
    """Jobs and datasets with this in their name, in any case; `%` stands for any letters, `_` for one."""
    order = "last_at DESC, namespace, name, type" if by_time else "name, namespace, type"
    rows, total = seen.page(
        """SELECT * FROM (SELECT 'JOB' AS type, namespace, name, last_at FROM job
            UNION ALL SELECT 'DATASET', namespace, name, last_at FROM dataset)
        WHERE name ILIKE concat('%', $text, '%') AND ($kind IS NULL OR type = $kind)
            AND ($namespace IS NULL OR namespace = $namespace)""",
        order,
        limit,
        0,
        text=text,
        kind=kind,
        namespace=namespace,
    )
    results = [
        {
            "type": row["type"],
            "name": row["name"],
            "updatedAt": row["last_at"],
            "namespace": row["namespace"],
            "nodeId": f"{row['type'].lower()}:{row['namespace']}:{row['name']}",
        }
        for row in rows
    ]
    return {"totalCount": total, "results": results}


def tags(seen: Seen, limit: int, offset: int) -> dict[str, Any]:
    """The tags that events give to jobs, runs and datasets."""
    given = (value.get("tags") for value, _, _ in _dated(seen, "tags"))
    listed = (tag for tags in given if isinstance(tags, list) for tag in tags if isinstance(tag, dict))
    shown = [{"name": name, "description": None} for name in sorted(set(map(tag_name, listed)))]
    return {"tags": shown[offset : offset + limit], "totalCount": len(shown)}


def sources(seen: Seen, limit: int, offset: int) -> dict[str, Any]:
    """The data sources that events name: of each the address that it was last seen at."""
    found: dict[str, dict[str, Any]] = {}
    for value, first, last in _dated(seen, "dataSource"):
        name, uri = value.get("name"), value.get("uri")
        if isinstance(name, str):
            known = found.setdefault(name, {"createdAt": first})
            scheme = uri.partition(":")[0].upper() if isinstance(uri, str) and ":" in uri else "DEFAULT"
            known |= {
                "type": scheme,
                "name": name,
                "updatedAt": last,
                "connectionUrl": uri,
                "description": None,
            }
            known["createdAt"] = min(known["createdAt"], first)
    shown = [found[name] for name in sorted(found)]
    return {"sources": shown[offset : offset + limit], "totalCount": len(shown)}


def _dated(seen: Seen, key: str) -> list[tuple[dict[str, Any], str, str]]:
    """Each value of a facet, when it was said first and last; the latest last."""
    rows = seen.rows(
        f"""SELECT value, min(happened_at) AS first_at, max(happened_at) AS last_at FROM (
            SELECT value, happened_at FROM facets
            WHERE key = $key AND run_id IS NOT NULL AND {seen.mention_visible}
            UNION ALL SELECT value, happened_at FROM told WHERE key = $key
        ) WHERE value IS NOT NULL GROUP BY value ORDER BY last_at, value""",  # noqa: S608
        key=key,
    )
    read = [(msgspec.json.decode(row["value"]), row["first_at"], row["last_at"]) for row in rows]
    return [one for one in read if isinstance(one[0], dict)]
