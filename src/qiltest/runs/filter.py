"""A part of a run: the cases that two runs are to be compared on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qiltest.errors import StoreError
from qiltest.runs.records import Run
from qiltest.suite.selection import Sample


def only_cases(run: Run, names: Sequence[str]) -> Run:
    """Return the run as if it had planned these cases alone: `ID`, or `ID@WxH` for one resolution; all for none.

    Raises StoreError for a name that the run knows nothing of, so that a misspelt one does not narrow to nothing.
    """
    if not names:
        return run
    samples = (*run.planned, *(result.sample for result in run.results))
    for name in names:
        if not any(_is(sample, name) for sample in samples):
            known = ", ".join(dict.fromkeys(sample.case for sample in samples)) or "none"
            raise StoreError(f"no image of case {name!r}", where=str(run.path), remedy=f"its cases: {known}")
    return replace(
        run,
        planned=tuple(sample for sample in run.planned if _any(sample, names)),
        results=tuple(result for result in run.results if _any(result.sample, names)),
    )


def _any(sample: Sample, names: Sequence[str]) -> bool:
    return any(_is(sample, name) for name in names)


def _is(sample: Sample, name: str) -> bool:
    return name in {sample.case, f"{sample.case}@{sample.size}"}
