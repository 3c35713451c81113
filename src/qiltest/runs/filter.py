"""A part of a run: the cases that two runs are to be compared on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qiltest.errors import StoreError
from qiltest.runs.records import Run
from qiltest.suite.selection import Point


def only_cases(run: Run, names: Sequence[str]) -> Run:
    """Return the run as if it had planned these cases alone: `ID`, or `ID@WxH` for one resolution; all for none.

    Raises StoreError for a name that the run knows nothing of, so that a misspelt one does not narrow to nothing.
    """
    if not names:
        return run
    points = (*run.planned, *(result.point for result in run.results))
    for name in names:
        if not any(_is(point, name) for point in points):
            known = ", ".join(dict.fromkeys(point.case for point in points)) or "none"
            raise StoreError(f"no picture of case {name!r}", where=str(run.path), remedy=f"its cases: {known}")
    return replace(
        run,
        planned=tuple(point for point in run.planned if _any(point, names)),
        results=tuple(result for result in run.results if _any(result.point, names)),
    )


def _any(point: Point, names: Sequence[str]) -> bool:
    return any(_is(point, name) for name in names)


def _is(point: Point, name: str) -> bool:
    return name in {point.case, f"{point.case}@{point.size}"}
