"""Charts of runs over time as SVG: a line per variant, its medians of the last five, and its drift."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from qiltest.report.html.charts import Chart, Element
from qiltest.report.trends.series import LAST, Latency, failing, rates
from qiltest.runs.history import HistoryEntry
from qiltest.text.format import percent

_WIDTH, _LEFT, _RIGHT, _TOP, _HEIGHT = 760.0, 58.0, 16.0, 12.0, 190.0
#: shares of an axis at which it has a line.
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
#: dates below an axis, and columns of the legend.
_DATES, _LEGEND, _COLUMN = 6, 4, 172.0


@dataclass(frozen=True, kw_only=True)
class _Line:
    name: str
    style: str
    values: tuple[float | None, ...]
    #: "dots" has a dot per run, the others are lines alone.
    dots: bool = True


@dataclass(frozen=True, kw_only=True)
class _Axis:
    low: float
    high: float

    def y(self, value: float) -> float:
        return _TOP + _HEIGHT * (1 - (value - self.low) / (self.high - self.low))


def trend_charts(entries: Sequence[HistoryEntry], latencies: Sequence[Latency]) -> Iterator[Chart]:
    """Yield the charts: error rates, images that do not pass, and the latency of each variant."""
    found = rates(entries)
    lines = [_Line(name=name, style=f"v{place % 6}", values=own) for place, (name, own) in enumerate(found.items())]
    if any(value is not None for line in lines for value in line.values):
        note = "Counted edits per expected character, all images of a variant in a run together."
        yield _chart("Texts: error rate", note, entries, lines, _from_zero(lines, least=0.02))
    amounts = _Line(name="images", style="v1", values=tuple(map(float, failing(entries))))
    note = "Images of a run that do not pass: failed, not judged, missing, not comparable or without a golden."
    yield _chart("Images that do not pass", note, entries, [amounts], _from_zero([amounts], least=4), whole=True)
    for place, one in enumerate(latencies):
        yield _latency_chart(one, entries, f"v{place % 6}")


def _latency_chart(one: Latency, entries: Sequence[HistoryEntry], style: str) -> Chart:
    lines = [
        _Line(name=one.variant, style=style, values=one.values),
        _Line(name=f"median of {LAST} before", style=f"{style} median", values=one.medians, dots=False),
    ]
    note = f"Denoise loop on {one.device or 'the device'}; 100 % is what the same images take in the median run."
    if one.drift is not None:
        drift = one.drift
        ends = tuple(drift.start + drift.slope * place for place in range(len(entries)))
        lines.append(_Line(name="drift", style="drift", values=ends, dots=False))
        note += f" {drift_words(one)}"
    known = [value for line in lines for value in line.values if value is not None]
    # at least 5 % to each side, so that noise does not look like a jump
    low, high = min(0.95, *known), max(1.05, *known)
    margin = (high - low) * 0.08
    axis = _Axis(low=max(0.0, low - margin), high=high + margin)
    return _chart(f"Latency: {one.variant}", note, entries, lines, axis)


def drift_words(one: Latency) -> str:
    """Return the drift of a latency in words; "" where there are too few runs."""
    drift = one.drift
    if drift is None:
        return ""
    interval = f"{100 * drift.low:+.2f} to {100 * drift.high:+.2f}"
    said = "Drift" if drift.shown else "No drift shown"
    return f"{said}: {100 * drift.slope:+.2f} % per run (95 % interval {interval})."


def _from_zero(lines: Iterable[_Line], *, least: float) -> _Axis:
    most = max((value for line in lines for value in line.values if value is not None), default=0.0)
    return _Axis(low=0.0, high=_round(max(most, least)))


def _round(value: float) -> float:
    """Return the next of 1, 2, 4 or 8 times a power of ten, which four equal steps divide well."""
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in (1, 2, 4, 8) if value <= step * power), 10 * power)


def _chart(
    title: str, note: str, entries: Sequence[HistoryEntry], lines: Sequence[_Line], axis: _Axis, *, whole: bool = False
) -> Chart:
    shown = (lambda value: f"{value:g}") if whole else percent
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(entries))
    elements: list[Element] = []
    for share in _TICKS:
        y, value = _TOP + _HEIGHT * (1 - share), axis.low + (axis.high - axis.low) * share
        style = "grid" if share else "axis"
        elements.append(Element(kind="line", style=style, x=_LEFT, y=y, x2=_WIDTH - _RIGHT, y2=y))
        elements.append(Element(kind="text", style="tick", x=_LEFT - 8, y=y + 4, text=shown(value), anchor="end"))
    for place in _dated(len(entries)):
        x = _LEFT + step * (place + 0.5)
        date = entries[place].started[5:10]
        elements.append(Element(kind="text", style="tick", x=x, y=_TOP + _HEIGHT + 18, text=date, anchor="middle"))
    for number, line in enumerate(lines):
        points = [
            (_LEFT + step * (place + 0.5), axis.y(value), value, place)
            for place, value in enumerate(line.values)
            if value is not None
        ]
        path = " ".join(f"{'L' if place else 'M'}{x:.1f} {y:.1f}" for place, (x, y, _, _) in enumerate(points))
        elements.append(Element(kind="path", style=line.style, text=path))
        elements.extend(
            Element(kind="dot", style=line.style, x=x, y=y, text=f"{entries[at].run}, {line.name}: {shown(value)}")
            for x, y, value, at in (points if line.dots else ())
        )
        across, down = _LEFT + number % _LEGEND * _COLUMN, _TOP + _HEIGHT + 44 + number // _LEGEND * 20
        elements.append(Element(kind="line", style=f"key {line.style}", x=across, y=down, x2=across + 18, y2=down))
        elements.append(Element(kind="text", style="label", x=across + 24, y=down + 4, text=line.name[:18]))
    return Chart(
        title=title,
        note=note,
        width=_WIDTH,
        height=_TOP + _HEIGHT + 60 + (len(lines) - 1) // _LEGEND * 20,
        elements=tuple(elements),
        columns=("run", "started", *(line.name for line in lines)),
        rows=tuple(
            (entry.run, entry.started[:16].replace("T", " "), *(_cell(line.values[place], shown) for line in lines))
            for place, entry in enumerate(entries)
        ),
    )


def _cell(value: float | None, shown: object) -> str:
    assert callable(shown)
    return "–" if value is None else str(shown(value))


def _dated(runs: int) -> list[int]:
    """Return the places that get a date: the first, the last, and some between."""
    if runs <= _DATES:
        return list(range(runs))
    return [round(number * (runs - 1) / (_DATES - 1)) for number in range(_DATES)]
