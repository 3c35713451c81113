"""Charts as SVG: plain shapes with classes, so that the page's colours, light and dark, apply to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qiltest.report.measure import (
    LENGTH_CLASSES,
    Rate,
    by_variant,
    denoise_median,
    length_rates,
    speed_ups,
    step_times,
    variant_rate,
)
from qiltest.report.words import count, percent, seconds, times
from qiltest.runs.records import Run

WIDTH = 460.0
_LEFT, _RIGHT, _ROW, _TOP = 96.0, 112.0, 34.0, 8.0


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One SVG element: "rect" (x, y, width, height), "line" (x, y, x2, y2), "dot" (x, y), "text" (x, y), "path"."""

    kind: str
    style: str
    x: float = 0.0
    y: float = 0.0
    x2: float = 0.0
    y2: float = 0.0
    text: str = ""
    anchor: str = "start"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart with its title, what it says in words, and the numbers behind it as a table."""

    title: str
    note: str
    width: float
    height: float
    shapes: tuple[Shape, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class _Bar:
    label: str
    style: str
    value: float
    text: str
    low: float | None = None
    high: float | None = None


def charts(run: Run) -> tuple[Chart, ...]:
    """Return the charts that the run has numbers for, those that say most first."""
    made = (_rate_chart(run), _denoise_chart(run), _length_chart(run), _step_chart(run))
    return tuple(chart for chart in made if chart is not None)


def _styles(run: Run) -> dict[str, str]:
    return {variant.name: f"v{number % 6}" for number, (variant, _) in enumerate(by_variant(run))}


def _rate_chart(run: Run) -> Chart | None:
    styles = _styles(run)
    bars, rows = [], []
    for variant, results in by_variant(run):
        rate = variant_rate(results)
        if rate is not None:
            bars.append(
                _Bar(label=variant.name, style=styles[variant.name], value=rate.value, text=percent(rate.value))
            )
            rows.append((variant.name, percent(rate.value), str(rate.distance), str(rate.length), str(rate.count)))
    note = "Counted edits per expected character, all pictures of a variant together."
    columns = ("variant", "error rate", "edits", "characters", "pictures")
    return _bars("Error rate by variant", note, bars, columns, rows)


def _denoise_chart(run: Run) -> Chart | None:
    styles, ratios = _styles(run), speed_ups(run)
    bars, rows = [], []
    for variant, results in by_variant(run):
        value = denoise_median(results)
        if value is None:
            continue
        own = sorted(ratios[result.id] for result in results if result.id in ratios)
        faster = times(own[len(own) // 2] if len(own) % 2 else sum(own[len(own) // 2 - 1 :][:2]) / 2) if own else ""
        text = f"{seconds(value)} · {faster}" if faster else seconds(value)
        bars.append(_Bar(label=variant.name, style=styles[variant.name], value=value, text=text))
        rows.append((variant.name, seconds(value), faster or "–", str(len(results))))
    columns = ("variant", "denoise, median", "speed-up, median", "pictures")
    return _bars("Denoise latency", "Median of the denoise loop alone; speed-up over the base.", bars, columns, rows)


def _step_chart(run: Run) -> Chart | None:
    styles = _styles(run)
    bars, rows = [], []
    for variant, results in by_variant(run):
        steps = step_times(results)
        if steps is not None:
            low, mid, high = (seconds(value) for value in (steps.least, steps.median, steps.most))
            bars.append(
                _Bar(
                    label=variant.name,
                    style=styles[variant.name],
                    value=steps.median,
                    text=mid,
                    low=steps.least,
                    high=steps.most,
                )
            )
            rows.append((variant.name, low, mid, high, str(steps.count)))
    columns = ("variant", "least", "median", "most", "steps")
    return _bars("Step latency", "Seconds per step: median, least to most.", bars, columns, rows)


def _bars(
    title: str, note: str, bars: Sequence[_Bar], columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> Chart | None:
    """Lay out horizontal bars, or dots with their range where bars have one."""
    if not bars:
        return None
    most = max(bar.high or bar.value for bar in bars) or 1.0
    scale = (WIDTH - _LEFT - _RIGHT) / most
    shapes: list[Shape] = []
    for number, bar in enumerate(bars):
        middle = _TOP + _ROW * (number + 0.5)
        shapes.append(Shape(kind="text", style="label", x=_LEFT - 10, y=middle + 4, text=bar.label, anchor="end"))
        if bar.low is None or bar.high is None:
            end = _LEFT + max(bar.value * scale, 1.5)
            shapes.append(Shape(kind="rect", style=bar.style, x=_LEFT, y=middle - 9, x2=end - _LEFT, y2=18))
        else:
            low, high, value = (_LEFT + number * scale for number in (bar.low, bar.high, bar.value))
            end = max(high, value)
            shapes.append(Shape(kind="line", style=f"range {bar.style}", x=low, y=middle, x2=high, y2=middle))
            shapes.append(Shape(kind="dot", style=bar.style, x=value, y=middle))
        shapes.append(Shape(kind="text", style="value", x=end + 10, y=middle + 4, text=bar.text))
    height = _TOP * 2 + _ROW * len(bars)
    axis = Shape(kind="line", style="axis", x=_LEFT, y=_TOP, x2=_LEFT, y2=height - _TOP)
    return Chart(
        title=title,
        note=note,
        width=WIDTH,
        height=height,
        shapes=(*shapes, axis),
        columns=columns,
        rows=tuple(rows),
    )


def _length_chart(run: Run) -> Chart | None:
    """Lay out error rate over text length, one line a variant; classes without texts leave a gap."""
    styles = _styles(run)
    series = {variant.name: length_rates(results) for variant, results in by_variant(run)}
    rates = [rate for values in series.values() for rate in values if rate is not None]
    if not rates:
        return None
    ceiling = _ceiling(max(rate.value for rate in rates))
    left, right, top, bottom = 48.0, 18.0, 14.0, 190.0
    step = (WIDTH - left - right) / len(LENGTH_CLASSES)
    shapes: list[Shape] = []
    for tick in range(5):
        y = bottom - (bottom - top) * tick / 4
        shapes.append(Shape(kind="line", style="grid" if tick else "axis", x=left, y=y, x2=WIDTH - right, y2=y))
        label = percent(ceiling * tick / 4)
        shapes.append(Shape(kind="text", style="tick", x=left - 8, y=y + 4, text=label, anchor="end"))
    for number, bounds in enumerate(LENGTH_CLASSES):
        x = left + step * (number + 0.5)
        shapes.append(Shape(kind="text", style="tick", x=x, y=bottom + 18, text=_class_name(bounds), anchor="middle"))
    for index, (name, values) in enumerate(series.items()):
        shift = (index - (len(series) - 1) / 2) * 10
        points = [
            (left + step * (number + 0.5) + shift, bottom - (bottom - top) * rate.value / ceiling, rate)
            for number, rate in enumerate(values)
            if rate is not None
        ]
        path = " ".join(f"{'L' if place else 'M'}{x:.1f} {y:.1f}" for place, (x, y, _) in enumerate(points))
        shapes.append(Shape(kind="path", style=styles[name], text=path))
        shapes.extend(
            Shape(kind="dot", style=styles[name], x=x, y=y, text=f"{name}: {percent(rate.value)}")
            for x, y, rate in points
        )
        shapes.append(Shape(kind="dot", style=styles[name], x=left + 8 + index * 110, y=bottom + 44))
        shapes.append(Shape(kind="text", style="label", x=left + 18 + index * 110, y=bottom + 48, text=name))
    return Chart(
        title="Error rate by text length",
        note="Counted edits per expected character, by the number of characters in the expected text.",
        width=WIDTH,
        height=bottom + 58,
        shapes=tuple(shapes),
        columns=("variant", *(_class_name(bounds) for bounds in LENGTH_CLASSES)),
        rows=tuple((name, *(_rate_words(rate) for rate in values)) for name, values in series.items()),
    )


def _rate_words(rate: Rate | None) -> str:
    return "–" if rate is None else f"{percent(rate.value)} ({count(rate.count, 'text')})"


def _class_name(bounds: tuple[int, int | None]) -> str:
    return f"{bounds[0]}–{bounds[1]}" if bounds[1] is not None else f"{bounds[0]}+"


def _ceiling(value: float) -> float:
    """Return the end of an axis from 0: the next of 1, 2, 4, 5 or 8 times a power of ten."""
    if value <= 0:
        return 0.04
    power: float = 10.0 ** math.floor(math.log10(value))
    steps = (step * power for step in (1, 2, 4, 5, 8))
    return next((step for step in steps if value <= step), 10 * power)
