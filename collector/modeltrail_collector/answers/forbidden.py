"""Which model versions learned from a dataset that a rule forbids."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.answers.impact import walk
from modeltrail_collector.answers.places import Places
from modeltrail_collector.answers.readers import Thing
from modeltrail_collector.answers.rules import Forbidden
from modeltrail_collector.answers.trace import trails

_AT_ONCE: Final = 1_000
_SHARING: Final = 100
"""So many traces share the limit of one answer, if need be."""


def fill_reached(db: Database, rule: Forbidden, places: Places) -> None:
    """Make table `reached`: the runs that may have learned from what the rule forbids, however far away."""
    db.attach("mentions")
    named = "$dataset::VARCHAR IS NULL OR key GLOB $dataset OR key GLOB concat('*/', $dataset::VARCHAR)"
    rows = db.rows(
        f"""SELECT DISTINCT namespace, name,
            CASE WHEN $fingerprint::VARCHAR IS NOT NULL THEN fingerprint END AS fingerprint
        FROM mentions
        WHERE role = 'input' AND how IN ('name', 'identity')
            AND ({named} OR concat(key_namespace, '/', key) GLOB $dataset)
            AND ($fingerprint IS NULL OR starts_with(fingerprint, $fingerprint))
        ORDER BY ALL""",  # noqa: S608  a condition of ours
        dataset=rule.dataset,
        fingerprint=rule.fingerprint,
    )
    things = [Thing(**row, any_version=rule.fingerprint is None) for row in rows]
    runs = {row["run_id"] for row in walk(db, things, places) if row["kind"] == "run"}
    db.fill("reached", ("run_id",), [(run_id,) for run_id in sorted(runs)])


def confirmed(db: Database, rule: Forbidden, candidates: list[Row], places: Places) -> list[Row]:
    """Those whose own trace leads to the forbidden content, with the way there.

    By names alone a version would be blamed for what a file held before or after it was read. Where the trace
    does not go back to the end, names have to do.
    """
    found = []
    for row, tree in _traced(db, candidates, places):
        way = _way(tree, rule)
        if not way and not _is_cut(tree, "depth", "size"):
            continue
        last = way[-1] if way else {}
        through = f" through {len(way) - 2} more" if len(way) > 2 else ""
        if any(node["unsure"] for node in way[:-1]):
            through += ", by a run that failed and may not have written it"
        facts = {name: last.get(name) for name in ("namespace", "name", "version", "fingerprint")}
        found.append(
            {
                "subject": row["subject"],
                "run_id": row["run_id"],
                "finding": f"learned from {rule.dataset or rule.fingerprint}",
                "expected": "nothing of it in what it was made from",
                "actual": f"{last['name']}{through}" if way else "by its names; the trail is too long",
                "way": [f"{node['namespace']}:{node['name']}" for node in way],
                **facts,
            }
        )
    return found


def _traced(db: Database, candidates: list[Row], places: Places) -> Iterator[tuple[Row, dict[str, Any]]]:
    """Each with its trace: many at a time, so that they share what they read."""
    for first in range(0, len(candidates), _AT_ONCE):
        some = candidates[first : first + _AT_ONCE]
        yield from zip(some, _trails(db, some, places), strict=True)


def _trails(db: Database, some: list[Row], places: Places) -> list[dict[str, Any]]:
    """Their traces; what is too large together is traced in halves."""
    trees = trails(db, some, places)
    if len(some) <= _SHARING or not any(_is_cut(tree, "size") for tree in trees):
        return trees
    half = len(some) // 2
    return [*_trails(db, some[:half], places), *_trails(db, some[half:], places)]


def _is_cut(node: dict[str, Any], *reasons: str) -> bool:
    """Whether a trace ends before its end for one of these reasons."""
    return node["cut"] in reasons or any(_is_cut(one, *reasons) for one in node["inputs"])


def _way(node: dict[str, Any], rule: Forbidden) -> list[dict[str, Any]]:
    """The nodes from a model to what is forbidden, or none."""
    for one in sorted(node["inputs"], key=lambda one: one["unsure"]):  # what is sure comes first
        if _is_meant(one, rule):
            return [node, one]
        if way := _way(one, rule):
            return [node, *way]
    return []


def _is_meant(node: dict[str, Any], rule: Forbidden) -> bool:
    called = (node, *node["symlinks"])
    texts = [text for one in called for text in (one["name"], f"{one['namespace']}/{one['name']}")]
    patterns = (rule.dataset, f"*/{rule.dataset}") if rule.dataset else ("*",)
    named = any(fnmatchcase(text, pattern) for text in texts for pattern in patterns)
    return named and (rule.fingerprint is None or (node["fingerprint"] or "").startswith(rule.fingerprint))
