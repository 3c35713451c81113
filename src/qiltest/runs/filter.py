"""Narrow a run to some cases, for a comparison or a review of these alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qiltest.errors import StoreError
from qiltest.runs.records import Run
from qiltest.suite.selection import Sample


def only_cases(run: Run, names: Sequence[str]) -> Run:
    """Return the run with these cases only, each `ID` or `ID@WxH`; the whole run for no names.

    Raises StoreError for a name that is not in the run.
    """
    if not names:
        return run
    samples = (*run.planned, *(result.sample for result in run.results))
    for name in names:
        if not any(name in _names(sample) for sample in samples):
            known = ", ".join(dict.fromkeys(sample.case for sample in samples)) or "none"
            raise StoreError(f"no image of case {name!r}", where=str(run.path), remedy=f"its cases: {known}")
    return replace(
        run,
        planned=tuple(sample for sample in run.planned if _names(sample) & set(names)),
        results=tuple(result for result in run.results if _names(result.sample) & set(names)),
    )


def _names(sample: Sample) -> set[str]:
    return {sample.case, f"{sample.case}@{sample.size}"}
