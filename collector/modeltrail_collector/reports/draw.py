"""Where the parts of a plot lie: numbers for `templates/charts.html`, which writes the SVG."""

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from modeltrail_collector.reports.document import Chart

WIDTH: Final = 340
HEIGHT: Final = 150
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 8, 20
BAR: Final = 18
LABEL: Final = 110
COLOURS: Final = ("#1f5f8b", "#c8641e", "#3f7d4e", "#8a4f9e", "#8b7a1f", "#5a5a5a")


class Tick(msgspec.Struct, frozen=True):
    """A mark on an axis."""

    at: float
    text: str


class Line(msgspec.Struct, frozen=True):
    """A line of a plot; `points` as SVG writes them, `name` for the legend."""

    name: str
    colour: str
    points: str
    ends: tuple[float, float]


class Bar(msgspec.Struct, frozen=True):
    """A bar; `text` is its value, `label` its name."""

    x: float
    y: float
    width: float
    height: float
    label: str = ""
    text: str = ""


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """A plot, laid out."""

    width: int = WIDTH
    height: int
    xs: tuple[Tick, ...] = ()
    ys: tuple[Tick, ...] = ()
    lines: tuple[Line, ...] = ()
    bars: tuple[Bar, ...] = ()


def draw(chart: Chart) -> Drawing:
    """Lay a plot out."""
    drawers = {"lines": _lines, "bars": _bars, "histogram": _histogram}
    return drawers[chart.kind](chart)


def number(value: float) -> str:
    """A number on an axis: four digits, thousands and millions shortened."""
    for size, name in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if name == 'k' else size):.3g}{name}"
    return f"{value:.4g}"


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Round numbers from `low` to `high`."""
    if not low < high:
        return [low]
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * one for one in (1, 2, 2.5, 5, 10) if power * one >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _scale(low: float, high: float, start: float, end: float) -> Any:
    size = (high - low) or 1.0
    return lambda value: round(start + (value - low) / size * (end - start), 1)


def _lines(chart: Chart) -> Drawing:
    xs = [x for one in chart.series for x, _ in one.points]
    ys = [y for one in chart.series for _, y in one.points]
    low, high = _range(ys)
    across = _scale(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    up = _scale(low, high, HEIGHT - BOTTOM, TOP)
    lines = [
        Line(
            one.name,
            COLOURS[n % len(COLOURS)],
            " ".join(f"{across(x)},{up(y)}" for x, y in one.points),
            (across(one.points[-1][0]), up(one.points[-1][1])),
        )
        for n, one in enumerate(chart.series)
    ]
    return Drawing(
        height=HEIGHT,
        xs=tuple(Tick(across(at), number(at)) for at in ticks(min(xs), max(xs))),
        ys=tuple(Tick(up(at), number(at)) for at in ticks(low, high)),
        lines=tuple(lines),
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    space = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return low - space, high + space


def _bars(chart: Chart) -> Drawing:
    points = chart.series[0].points
    low, high = min(0.0, *(value for _, value in points)), max(0.0, *(value for _, value in points))
    across = _scale(low, high, LABEL, WIDTH - 56)
    bars = [
        Bar(
            min(across(0), across(value)),
            4 + n * BAR,
            max(abs(across(value) - across(0)), 0.5),
            BAR - 6,
            label if len(label) <= 18 else label[:17] + "…",
            f"{value:,}" if isinstance(value, int) else f"{value:.4g}",
        )
        for n, (label, value) in enumerate(points)
    ]
    return Drawing(height=8 + len(points) * BAR, bars=tuple(bars))


def _histogram(chart: Chart) -> Drawing:
    """Area is count: bins may differ in width."""
    bins = [(float(start), float(end), float(count)) for start, end, count in chart.series[0].points]
    low, high = bins[0][0], bins[-1][1]
    dense = [count / (end - start) if end > start else 0.0 for start, end, count in bins]
    across = _scale(low, high, LEFT, WIDTH - RIGHT)
    up = _scale(0, max(dense) or 1.0, HEIGHT - BOTTOM, TOP)
    bars = [
        Bar(
            across(start),
            up(density),
            max(round(across(end) - across(start) - 0.5, 1), 0.5),
            round(HEIGHT - BOTTOM - up(density), 1),
        )
        for (start, end, _), density in zip(bins, dense, strict=True)
    ]
    width = min((end - start for start, end, _ in bins if end > start), default=1.0)
    return Drawing(
        height=HEIGHT,
        xs=tuple(Tick(across(at), number(at)) for at in ticks(low, high)),
        ys=tuple(Tick(up(at / width), number(at)) for at in ticks(0, max(dense) * width, 3)),
        bars=tuple(bars),
    )
