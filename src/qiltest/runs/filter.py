"""Narrow a run to some cases, for a comparison or a review of these alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    known = {name for sample in samples for name in _names(sample)}
    for name in names:
        if name not in known:
            cases = ", ".join(dict.fromkeys(sample.case for sample in samples)) or "none"
            raise StoreError(f"no image of case {name!r}", where=str(run.path), remedy=f"its cases: {cases}")
    wanted = is_of(names)
    return replace(
        run,
        planned=tuple(filter(wanted, run.planned)),
        results=tuple(result for result in run.results if wanted(result.sample)),
    )


def is_of(names: Sequence[str]) -> Callable[[Sample], bool]:
    """Return whether a sample is of one of these cases, each `ID` or `ID@WxH`; of any for no names."""
    wanted = set(names)
    return lambda sample: not wanted or not _names(sample).isdisjoint(wanted)


def _names(sample: Sample) -> set[str]:
    return {sample.case, f"{sample.case}@{sample.size}"}
