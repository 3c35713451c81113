"""The chart of a comparison: change of the error rate per case and overall, with zero and the margin marked."""

from __future__ import annotations

from collections.abc import Iterator

from qiltest.comparison.records import Comparison
from qiltest.report.html.charts import Chart, Element

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 640.0, 200.0, 84.0, 26.0, 26.0
#: longest name of a case in the chart, in characters.
_NAME = 28


def change_chart(comparison: Comparison, margin: float) -> Chart | None:
    """Return the chart, in edits per 100 characters; None where nothing was compared."""
    if comparison.difference is None:
        return None
    scale = _Scale(comparison, margin)
    height = _TOP + _ROW * (len(comparison.cases) + 1) + 22
    elements = [
        *_line(scale, 0.0, "axis", height, "as before"),
        *_line(scale, 100 * margin, "margin", height, "margin"),
        *_total(comparison, scale),
    ]
    for number, case in enumerate(comparison.cases):
        style = "worse" if case.difference > 0 else "better" if case.difference < 0 else "level"
        elements.extend(_row(case.case, 100 * case.difference, scale, _TOP + _ROW * (number + 1.5), style))
    rows = [(case.case, f"{100 * case.difference:+.2f}", f"{case.p_holm:.2g}") for case in comparison.cases]
    return Chart(
        title="Change of the error rate",
        note="Edits per 100 characters, after minus before: right of 0 is worse. The bar is the overall interval.",
        width=_WIDTH,
        height=height,
        elements=tuple(elements),
        columns=("case", "change", "p, corrected"),
        rows=(("all", f"{100 * comparison.difference:+.2f}", ""), *rows),
    )


class _Scale:
    """Places a change on the x axis."""

    def __init__(self, comparison: Comparison, margin: float) -> None:
        values = [0.0, 100 * margin, 100 * (comparison.difference or 0.0)]
        values += [100 * case.difference for case in comparison.cases]
        if comparison.interval is not None:
            values += [100 * comparison.interval.low, 100 * comparison.interval.high]
        # equal images have all values at 0; the axis still needs a width
        room = max(0.5, 0.06 * (max(values) - min(values)))
        self.low, self.high = min(values) - room, max(values) + room

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _line(scale: _Scale, value: float, style: str, height: float, name: str) -> Iterator[Element]:
    x = scale.at(value)
    yield Element(kind="line", style=style, x=x, y=_TOP - 6, x2=x, y2=height - 20)
    # the two names extend in opposite directions, so that they do not overlap at a narrow margin
    anchor = "end" if value == 0 else "start"
    words = f"{name} ({value:g})" if value else name
    yield Element(kind="text", style="tick", x=x, y=height - 6, text=words, anchor=anchor)


def _total(comparison: Comparison, scale: _Scale) -> Iterator[Element]:
    y = _TOP + _ROW * 0.5
    if comparison.interval is not None:
        low, high = scale.at(100 * comparison.interval.low), scale.at(100 * comparison.interval.high)
        yield Element(kind="line", style="range v0", x=low, y=y, x2=high, y2=y)
    yield from _row("all", 100 * (comparison.difference or 0.0), scale, y, "v0")


def _row(name: str, value: float, scale: _Scale, y: float, style: str) -> Iterator[Element]:
    shown = name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
    yield Element(kind="text", style="label", x=_LEFT - 10, y=y + 4, text=shown, anchor="end")
    yield Element(kind="dot", style=style, x=scale.at(value), y=y, text=f"{name}: {value:+.2f}")
    yield Element(kind="text", style="value", x=_WIDTH - 8, y=y + 4, text=f"{value:+.2f}", anchor="end")
