"""Plots of a dossier, as data; `templates/charts.html` draws them."""

from typing import Any, Final

import msgspec

from modeltrail_collector.reports.document import Chart, Series
from modeltrail_collector.reports.facts import items, slice_
from modeltrail_collector.reports.gather import Dossier

MOST_SERIES: Final = 24
MOST_POINTS: Final = 400
MOST_PROFILES: Final = 60


def series(dossier: Dossier) -> list[Chart]:
    """Each metric over steps, its splits in one plot."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for row in dossier.series:
        if isinstance(row["value"], int | float):  # NaN and infinity have no place in a plot
            name = ", ".join(part for part in (row["split"], slice_(row["slice"])) if part)
            found.setdefault(row["name"], {}).setdefault(name, []).append((row["step"], row["value"]))
    charts = [
        Chart(
            group="Over steps",
            title=metric,
            kind="lines",
            series=tuple(Series(name, _thinned(points)) for name, points in lines.items()),
            x="step",
            note=_thinned_note(lines),
        )
        for metric, lines in found.items()
        if max(map(len, lines.values())) > 1
    ]
    return _at_most(MOST_SERIES, charts)


def _at_most(most: int, charts: list[Chart]) -> list[Chart]:
    """As many of them, an equal share of each group; a group says how many of it are drawn."""
    if len(charts) <= most:
        return charts
    groups: dict[str, list[Chart]] = {}
    for chart in charts:
        groups.setdefault(chart.group, []).append(chart)
    share = max(1, most // len(groups))
    return [
        msgspec.structs.replace(chart, group=f"{name}: {min(share, len(group))} of {len(group)} are drawn")
        for name, group in groups.items()
        for chart in group[:share]
    ]


def _thinned(points: list[tuple[int, float]]) -> tuple[tuple[Any, ...], ...]:
    every = -(-len(points) // MOST_POINTS)
    return tuple(points[::every] if every == 1 else [*points[::every], points[-1]])


def _thinned_note(lines: dict[str, list[tuple[int, float]]]) -> str:
    most = max(map(len, lines.values()))
    return f"One in {-(-most // MOST_POINTS)} of {most:,} points is told." if most > MOST_POINTS else ""


def slices(dossier: Dossier) -> list[Chart]:
    """Each metric of the evaluations on a dataset by slice, with all of the data first; the last of each."""
    found: dict[tuple[str, str | None], dict[str, float]] = {}
    for row in dossier.story["evaluations"] or ():
        if isinstance(row["value"], int | float):
            values = found.setdefault((row["name"], row["dataset"]), {})
            values[slice_(row["slice"]) or "all"] = row["value"]
    charts = [
        Chart(
            group="By slice",
            title=metric,
            kind="bars",
            series=(Series(metric, tuple(sorted(values.items(), key=lambda one: one[0] != "all"))),),
            note=f"on {dataset}" if dataset else "",
        )
        for (metric, dataset), values in found.items()
        if len(values) > 1
    ]
    return _at_most(MOST_SERIES, charts)


def profiles(dossier: Dossier, *roles: str) -> list[Chart]:
    """The distribution of each column of the inputs, as it was when they were read."""
    uses = {
        (row["namespace"], row["name"]): value.get("role")
        for row, value in dossier.about("modelTrail_dataUse")
    }
    charts = []
    for row, value in dossier.about("modelTrail_featureProfile"):
        use = uses.get((row["namespace"], row["name"]))
        columns = value["columns"] if isinstance(value.get("columns"), dict) else {}
        if not roles or use in roles:
            group = f"Distributions in {row['name']}"
            charts += [
                _profile(group, name, column) for name, column in columns.items() if isinstance(column, dict)
            ]
    return _at_most(MOST_PROFILES, [chart for chart in charts if chart is not None])


def _profile(group: str, name: str, column: dict[str, Any]) -> Chart | None:
    nulls, mean, std = column.get("nulls"), column.get("mean"), column.get("std")
    notes = [f"{column['count']:,} values"] if isinstance(column.get("count"), int) else []
    notes += [f"{nulls:,} missing"] if isinstance(nulls, int) and nulls else []
    notes += [f"mean {mean:.4g}"] if isinstance(mean, int | float) else []
    notes += [f"std {std:.4g}"] if isinstance(std, int | float) else []
    note = ", ".join(notes)
    shape = column["histogram"] if isinstance(column.get("histogram"), dict) else {}
    edges, counts = items(shape.get("edges")), items(shape.get("counts"))
    if (
        counts
        and len(edges) == len(counts) + 1
        and all(isinstance(n, int | float) for n in (*edges, *counts))
    ):
        bins = tuple(zip(edges, edges[1:], counts, strict=False))
        return Chart(group=group, title=name, kind="histogram", series=(Series(name, bins),), note=note)
    top = [
        (str(one.get("value")), one["count"])
        for one in items(column.get("topK"))
        if isinstance(one, dict) and isinstance(one.get("count"), int | float)
    ]
    if not top:
        return None
    other = column.get("other")
    top = top[:8] + ([("(others)", other)] if isinstance(other, int) and other else [])
    return Chart(group=group, title=name, kind="bars", series=(Series(name, tuple(top)),), note=note)
