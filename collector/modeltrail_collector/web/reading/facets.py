"""The facets of runs, as they came."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from modeltrail_collector.answers.database import Row
from modeltrail_collector.web.reading.seen import Name, Seen, name_of

Shown = dict[str, msgspec.Raw]
"""By their key, JSON that is not looked into."""


class Facets:
    """The facets of some runs: of each place and key the latest."""

    def __init__(self, seen: Seen, runs: Collection[str], *scopes: str) -> None:
        self._found: dict[tuple[str, str, Name], Shown] = {}
        rows = seen.db.read(
            "facets",
            "run_id, scope, namespace, name, key, value",
            runs=set(runs),
            where="value IS NOT NULL AND list_contains($scopes, scope)",
            then="ORDER BY happened_at, part",
            scopes=list(scopes),
        )
        # What is said under the name that is meant goes before what is said under another one.
        for row in sorted(rows, key=lambda row: seen.meant(name_of(row)) == name_of(row)):
            place = row["run_id"], row["scope"], seen.meant(name_of(row))
            self._found.setdefault(place, {})[row["key"]] = raw(row["value"])

    def of_run(self, run_id: str) -> Shown:
        """Those of the run itself."""
        return self._found.get((run_id, "run", _NOBODY), {})

    def of(self, run_id: str | None, scope: str, name: Name) -> Shown:
        """Those of its job, or of a dataset in one of its places."""
        return self._found.get((run_id, scope, name), {}) if run_id else {}


_NOBODY: Any = (None, None)


def raw(value: str) -> msgspec.Raw:
    """JSON that stands as it is in an answer."""
    return msgspec.Raw(value.encode())


def told(rows: Iterable[Row]) -> Shown:
    """The facets in rows of `told`."""
    return {row["key"]: raw(row["value"]) for row in rows if row["value"] is not None}


def said(facets: Mapping[str, msgspec.Raw], key: str) -> dict[str, Any]:
    """One facet, read; empty where there is none, or it is no object."""
    value = msgspec.json.decode(facets[key]) if key in facets else {}
    return value if isinstance(value, dict) else {}


def text(facets: Mapping[str, msgspec.Raw], key: str, field: str) -> str | None:
    """A text in a facet; None where there is none."""
    value = said(facets, key).get(field)
    return value if isinstance(value, str) else None


def objects(facets: Mapping[str, msgspec.Raw], key: str, field: str) -> list[dict[str, Any]]:
    """The objects of a list in a facet."""
    value = said(facets, key).get(field)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
