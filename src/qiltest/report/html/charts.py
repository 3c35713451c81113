"""Charts of the HTML report as SVG: error rates, latencies, history. Colours come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from qiltest.report.choice import MOST_VARIANTS
from qiltest.report.timeline import TimelineView
from qiltest.runs.aggregate import (
    LENGTH_CLASSES,
    by_variant,
    denoise_median,
    has_base,
    length_rates,
    median_speed_up,
    speed_ups,
    step_times,
    variant_rate,
)
from qiltest.runs.history import history
from qiltest.runs.records import Run
from qiltest.text.format import count, percent, seconds, times

WIDTH = 460.0
_PLOT_LEFT, _PLOT_RIGHT, _PLOT_BOTTOM, _PLOT_HEIGHT = 48.0, 18.0, 190.0, 176.0
#: half the width of a character of a label.
_HALF_CHARACTER = 3.3
#: a trend needs two runs.
_FEWEST_RUNS = 2
_LEFT, _RIGHT, _ROW, _TOP = 96.0, 150.0, 34.0, 8.0
#: width of the timeline, height of a row of it, and pieces of a row that are drawn.
_TIMELINE, _TIMELINE_ROW, _MOST_PIECES = 790.0, 20.0, 1_000
#: characters of a row's name that fit beside it.
_LABEL = 26


@dataclass(frozen=True, kw_only=True)
class Element:
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
    """A chart with its title, a note on what is shown, and its numbers as a table."""

    title: str
    note: str
    width: float
    height: float
    elements: tuple[Element, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class _Bar:
    label: str
    value: float
    text: str
    low: float | None = None
    high: float | None = None


def charts(run: Run) -> tuple[Chart, ...]:
    """Return the charts that the run has numbers for, most informative first; none for more variants than fit."""
    if len(by_variant(run)) > MOST_VARIANTS:
        return ()
    made = (_rate_chart(run), _denoise_chart(run), _length_chart(run), _step_chart(run), _history_chart(run))
    return tuple(chart for chart in made if chart is not None)


def timeline_chart(view: TimelineView) -> Chart:
    """Lay out a session from left to right, a row per kind of work."""
    left, right = 196.0, 64.0
    scale = (_TIMELINE - left - right) / max(view.wall, 1e-9)
    elements: list[Element] = []
    for number, stage in enumerate(view.stages):
        middle = _TOP + _TIMELINE_ROW * (number + 0.5)
        elements.append(
            Element(kind="text", style="label", x=left - 10, y=middle + 4, text=_label(stage.name), anchor="end")
        )
        for start, end in stage.pieces[:_MOST_PIECES]:
            width = max((end - start) * scale, 1.0)
            elements.append(Element(kind="rect", style="v0", x=left + start * scale, y=middle - 6, x2=width, y2=12))
        last = min(left + stage.end * scale, _TIMELINE - right)
        elements.append(Element(kind="text", style="tick", x=last + 6, y=middle + 4, text=seconds(stage.seconds)))
    height = _TOP * 2 + _TIMELINE_ROW * len(view.stages)
    for at in (0.0, view.wall) if view.first_image is None else (0.0, view.first_image, view.wall):
        x = left + at * scale
        elements.append(Element(kind="line", style="grid", x=x, y=_TOP, x2=x, y2=height - _TOP))
    rows = tuple(
        (
            stage.name,
            str(stage.times),
            *(f"{value:.2f}" for value in (stage.start, stage.end, stage.seconds, stage.alone)),
            ", ".join(f"{one.name} {one.seconds:.1f}" for one in stage.beside),
        )
        for stage in view.stages
    )
    return Chart(
        title="Work by kind",
        note="From the command to the last piece of work, in seconds; the line within is the first image.",
        width=_TIMELINE,
        height=height,
        elements=tuple(elements),
        columns=("work", "pieces", "from", "until", "seconds", "alone", "beside"),
        rows=rows,
    )


def _label(name: str) -> str:
    return name if len(name) <= _LABEL else f"{name[: _LABEL - 1]}…"


def _styles(run: Run) -> dict[str, str]:
    return {variant.name: f"v{number % 6}" for number, (variant, _) in enumerate(by_variant(run))}


def _rate_chart(run: Run) -> Chart | None:
    bars, rows = [], []
    for variant, results in by_variant(run):
        rate = variant_rate(results)
        if rate is not None:
            bars.append(_Bar(label=variant.name, value=rate.value, text=percent(rate.value)))
            rows.append((variant.name, percent(rate.value), str(rate.distance), str(rate.length), str(rate.count)))
    note = "Counted edits per expected character, all images of a variant together."
    columns = ("variant", "error rate", "edits", "characters", "images")
    return _bars("Error rate by variant", note, bars, columns, rows, styles=_styles(run))


def _denoise_chart(run: Run) -> Chart | None:
    ratios, based = speed_ups(run), has_base(run)
    shared = {result.id for result in run.results if result.timing is not None and not result.timing.comparable}
    bars, rows = [], []
    for variant, results in by_variant(run):
        value, ratio = denoise_median(results), median_speed_up(results, ratios)
        if value is not None:
            factor = "–" if ratio is None else times(ratio)
            disturbed = sum(result.id in shared for result in results)
            mark = "CPU shared" if disturbed else "" if ratio is None else factor
            bars.append(_Bar(label=variant.name, value=value, text=" · ".join(filter(None, (seconds(value), mark)))))
            row = (variant.name, seconds(value), *((factor,) if based else ()), str(len(results)))
            rows.append((*row, str(disturbed)) if shared else row)
    note = "Median time of the denoise loop" + ("; 2× is twice the base speed." if based else ".")
    note += " “CPU shared” marks what is not comparable: other work ran beside it." if shared else ""
    columns = ("variant", "denoise, median", *(("base speed, median",) if based else ()), "images")
    columns = (*columns, "not comparable (CPU shared)") if shared else columns
    return _bars("Denoise latency", note, bars, columns, rows, styles=_styles(run))


def _step_chart(run: Run) -> Chart | None:
    bars, rows = [], []
    for variant, results in by_variant(run):
        steps = step_times(results)
        if steps is not None:
            low, mid, high = (seconds(value) for value in (steps.least, steps.median, steps.most))
            bars.append(_Bar(label=variant.name, value=steps.median, text=mid, low=steps.least, high=steps.most))
            rows.append((variant.name, low, mid, high, str(steps.count)))
    columns = ("variant", "shortest", "median", "longest", "steps")
    note = "Time per step: median, shortest to longest."
    return _bars("Step latency", note, bars, columns, rows, styles=_styles(run))


def _bars(
    title: str,
    note: str,
    bars: Sequence[_Bar],
    columns: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    *,
    styles: Mapping[str, str],
) -> Chart | None:
    """Lay out horizontal bars, or dots with their range where bars have one."""
    if not bars:
        return None
    most = max(bar.high or bar.value for bar in bars) or 1.0
    scale = (WIDTH - _LEFT - _RIGHT) / most
    elements: list[Element] = []
    for number, bar in enumerate(bars):
        style, middle = styles[bar.label], _TOP + _ROW * (number + 0.5)
        elements.append(Element(kind="text", style="label", x=_LEFT - 10, y=middle + 4, text=bar.label, anchor="end"))
        if bar.low is None or bar.high is None:
            end = _LEFT + max(bar.value * scale, 1.5)
            elements.append(Element(kind="rect", style=style, x=_LEFT, y=middle - 9, x2=end - _LEFT, y2=18))
        else:
            low, high, value = (_LEFT + number * scale for number in (bar.low, bar.high, bar.value))
            end = max(high, value)
            elements.append(Element(kind="line", style=f"range {style}", x=low, y=middle, x2=high, y2=middle))
            elements.append(Element(kind="dot", style=style, x=value, y=middle))
        elements.append(Element(kind="text", style="value", x=end + 10, y=middle + 4, text=bar.text))
    height = _TOP * 2 + _ROW * len(bars)
    axis = Element(kind="line", style="axis", x=_LEFT, y=_TOP, x2=_LEFT, y2=height - _TOP)
    return Chart(
        title=title,
        note=note,
        width=WIDTH,
        height=height,
        elements=(*elements, axis),
        columns=columns,
        rows=tuple(rows),
    )


def _length_chart(run: Run) -> Chart | None:
    """Lay out error rate over text length, one line per variant; classes without texts leave a gap."""
    series = {variant.name: length_rates(results) for variant, results in by_variant(run)}
    names = tuple(f"{low}+" if high is None else f"{low}–{high}" for low, high in LENGTH_CLASSES)
    cells = {
        name: ["–" if rate is None else f"{percent(rate.value)} ({count(rate.count, 'text')})" for rate in values]
        for name, values in series.items()
    }
    return _lines(
        "Error rate by text length",
        "Counted edits per expected character, by the number of characters in the expected text.",
        {name: tuple(None if rate is None else rate.value for rate in values) for name, values in series.items()},
        names,
        styles=_styles(run),
        columns=("variant", *names),
        rows=tuple((name, *row) for name, row in cells.items()),
        spread=True,
    )


def _history_chart(run: Run) -> Chart | None:
    """Lay out error rates over the runs stored beside this one; None where this is the only one."""
    entries = history(run)
    if len(entries) < _FEWEST_RUNS:
        return None
    by_run = [entry.rates() for entry in entries]
    names = [variant.name for variant, _ in by_variant(run)]
    return _lines(
        "Error rate over runs",
        f"The last {len(entries)} recorded runs of these images with this model and reader, oldest first.",
        {name: tuple(rates[name].value if name in rates else None for rates in by_run) for name in names},
        _ends(entries[0].started, entries[-1].started, between=len(entries) - 2),
        styles=_styles(run),
        columns=("run", *names),
        rows=tuple(
            (entry.run, *(percent(rates[name].value) if name in rates else "–" for name in names))
            for entry, rates in zip(entries, by_run, strict=True)
        ),
        spread=False,
    )


def _ends(first: str, last: str, *, between: int) -> tuple[str, ...]:
    """Return the labels of the first and last run, month and day; with the time where it is one day."""
    end = 16 if first[:10] == last[:10] else 10
    return (first[5:end].replace("T", " "), *[""] * between, last[5:end].replace("T", " "))


def _lines(
    title: str,
    note: str,
    series: Mapping[str, Sequence[float | None]],
    places: Sequence[str],
    *,
    styles: Mapping[str, str],
    columns: tuple[str, ...],
    rows: tuple[tuple[str, ...], ...],
    spread: bool,
) -> Chart | None:
    """Lay out rates from 0, one line per name; `spread` puts the dots of one place side by side."""
    values = [value for line in series.values() for value in line if value is not None]
    if not values:
        return None
    ceiling = _ceiling(max(values))
    step = (WIDTH - _PLOT_LEFT - _PLOT_RIGHT) / len(places)
    elements = list(_grid(ceiling, places, step))
    for index, (name, line) in enumerate(series.items()):
        shift = (index - (len(series) - 1) / 2) * 10 if spread else 0.0
        points = [
            (_PLOT_LEFT + step * (place + 0.5) + shift, _PLOT_BOTTOM - _PLOT_HEIGHT * value / ceiling, value)
            for place, value in enumerate(line)
            if value is not None
        ]
        path = " ".join(f"{'L' if place else 'M'}{x:.1f} {y:.1f}" for place, (x, y, _) in enumerate(points))
        elements.append(Element(kind="path", style=styles[name], text=path))
        elements.extend(
            Element(kind="dot", style=styles[name], x=x, y=y, text=f"{name}: {percent(value)}")
            for x, y, value in points
        )
        across, down = _PLOT_LEFT + 8 + index % 3 * 130, _PLOT_BOTTOM + 44 + index // 3 * 22
        elements.append(Element(kind="dot", style=styles[name], x=across, y=down))
        elements.append(Element(kind="text", style="label", x=across + 10, y=down + 4, text=name))
    height = _PLOT_BOTTOM + 58 + (len(series) - 1) // 3 * 22
    return Chart(
        title=title, note=note, width=WIDTH, height=height, elements=tuple(elements), columns=columns, rows=rows
    )


def _grid(ceiling: float, places: Sequence[str], step: float) -> Iterator[Element]:
    for tick in range(5):
        y = _PLOT_BOTTOM - _PLOT_HEIGHT * tick / 4
        yield Element(kind="line", style="grid" if tick else "axis", x=_PLOT_LEFT, y=y, x2=WIDTH - _PLOT_RIGHT, y2=y)
        yield Element(
            kind="text", style="tick", x=_PLOT_LEFT - 8, y=y + 4, text=percent(ceiling * tick / 4), anchor="end"
        )
    for number, place in enumerate(places):
        # a label is centred on its place, as far as it stays within the chart
        x = min(_PLOT_LEFT + step * (number + 0.5), WIDTH - len(place) * _HALF_CHARACTER)
        yield Element(kind="text", style="tick", x=x, y=_PLOT_BOTTOM + 18, text=place, anchor="middle")


def _ceiling(value: float) -> float:
    """Return the end of an axis from 0: the next of 1, 2, 4, 5 or 8 times a power of ten."""
    if value <= 0:
        return 0.04
    power: float = 10.0 ** math.floor(math.log10(value))
    steps = (step * power for step in (1, 2, 4, 5, 8))
    return next((step for step in steps if value <= step), 10 * power)
