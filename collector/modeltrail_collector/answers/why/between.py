"""What changed from version to version between the two that are compared, and which figures moved there.

Table `changes` holds each version of a name against the one made before it.
"""

import itertools
import math
from collections import defaultdict
from typing import Final

import msgspec

from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.answers.why.facts import Story
from modeltrail_collector.tables.versions import preceded

CODE: Final = ("code", "")
"""Stands in `Step.changed` for whatever of the tracked code differs: what was not committed is, later."""
_NO_CODE: Final = ("argv", "root", "untracked")
_MOST: Final = 100
"""Of more versions in between none is looked at."""


class Step(msgspec.Struct, frozen=True):
    """From one version to the next.

    Attributes:
        before: the label of the older one.
        after: the label of the newer one.
        changed: sections and paths that differ, as in table `changes`.
        moved: figure -> by how much it moved, at most, in whatever it was measured on; `math.inf` where it
            is no number on one side.
        compared: whether both versions have figures, and the same ones.
    """

    before: str
    after: str
    changed: frozenset[tuple[str, str]]
    moved: dict[str, float]
    compared: bool


def read(db: Database, before: Story, after: Story) -> list[Step]:
    """The steps from one version to a later one of the same name; none where there is no version between."""
    old, new = before.model, after.model
    if (old["namespace"], old["name"]) != (new["namespace"], new["name"]):
        return []
    name = {"models": [(new["namespace"], new["name"])], "namespace": new["namespace"]}
    made = db.read(
        "models",
        "version, digest, registered_name",
        where="""namespace = $namespace
            AND created_at BETWEEN CAST($first AS TIMESTAMPTZ) AND CAST($last AS TIMESTAMPTZ)""",
        then="ORDER BY created_at, version",
        first=old["created_at"],
        last=new["created_at"],
        **name,
    )
    before_it = {version["version"]: one["version"] for one, version in preceded(made)}
    versions = [new["version"]]
    while versions[0] != old["version"]:
        if versions[0] not in before_it:
            return []
        versions.insert(0, before_it[versions[0]])
    if not 2 < len(versions) <= _MOST + 2:
        return []
    rows = db.read(
        "changes",
        "version, section, path, before, after",
        where="namespace = $namespace AND list_contains($versions, version)",
        versions=versions[1:],
        **name,
    )
    return _steps(before, versions, rows)


def _steps(first: Story, versions: list[str], rows: list[Row]) -> list[Step]:
    called = first.label.removesuffix(first.model["version"])
    told: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        told[row["version"]].append(row)
    steps = []
    known = {row["name"] for row in first.figures}
    for was, now in itertools.pairwise(versions):
        figures = [row for row in told[now] if row["section"] == "evaluations"]
        gone, new = ({_figure(row) for row in figures if row[side] is None} for side in ("after", "before"))
        changed = frozenset(_place(row) for row in told[now])
        compared = bool(known) and not gone and not new
        steps.append(Step(called + was, called + now, changed, _moved(figures), compared))
        known = (known - gone) | new
    return steps


def _place(row: Row) -> tuple[str, str]:
    is_code = row["section"] == "code" and not row["path"].startswith(_NO_CODE)
    return CODE if is_code else (row["section"], row["path"])


def _figure(row: Row) -> str:
    """Its name, without what it was measured on."""
    return str(row["path"].partition(" [")[0])


def _moved(rows: list[Row]) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in rows:
        if None not in (row["before"], row["after"]):
            by = _by(row["before"], row["after"])
            found[_figure(row)] = max(by, found.get(_figure(row), 0.0))
    return {name: by for name, by in found.items() if by}


def _by(before: str, after: str) -> float:
    """How far apart two figures are, as text; 0 within a rounding error."""
    try:
        was, now = float(before), float(after)
    except ValueError:
        return math.inf
    if math.isclose(was, now, rel_tol=1e-9, abs_tol=1e-12):
        return 0.0
    return abs(now - was) if math.isfinite(now - was) else math.inf
