"""Merge several runs into one, such as seeds generated on another day or shards of several machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from qiltest.errors import StoreError
from qiltest.runs.records import CaseResult, Run, RunState, Shards
from qiltest.runs.room import Room
from qiltest.runs.status import Status
from qiltest.runs.store import JOINT, RunStore
from qiltest.suite.cases import Case
from qiltest.suite.selection import Sample
from qiltest.text.escape import one_line

T = TypeVar("T")
_STATES = (RunState.FINISHED, RunState.INTERRUPTED, RunState.UNFINISHED)
#: characters of a list of seeds in a message.
_SEEDS_SHOWN = 60


def merge_runs(runs: Sequence[Run]) -> Run:
    """Return one run with all samples that any of them planned or generated.

    Of a sample in several runs the worst result is kept, so that a merge hides nothing. The order of the runs does not
    matter, and a run merged twice counts once. Raises StoreError for runs of different models, or where a case or
    variant differs between them.
    """
    models = sorted({run.model for run in runs})
    if len(models) > 1:
        raise StoreError(
            f"runs of different models cannot be merged: {', '.join(models)}",
            where=", ".join(str(run.path) for run in runs),
            remedy="merge runs of one model",
        )
    results = _worst(runs)
    shards = _shards(runs)
    planned = sorted({*results, *(sample for run in runs for sample in _whole(run))}, key=_place)
    ids = {part for run in runs for part in run.id.split(JOINT)}
    first = min(runs, key=lambda run: (str(run.path), repr(run.command)))
    return replace(
        first,
        **_setup(runs),
        full=any(run.full for run in runs) or any(one.full and not one.missing for one in shards),
        shards=next((one for one in shards if one.missing), None),
        id=JOINT.join(sorted(ids)),
        state=max((run.state for run in runs), key=_STATES.index),
        started=min(run.started for run in runs),
        finished=_latest(run.finished for run in runs),
        exit_status=_latest(run.exit_status for run in runs),
        planned=tuple(planned),
        results=tuple(results[sample] for sample in planned if sample in results),
        problems=tuple(sorted({problem for run in runs for problem in run.problems})),
    )


def load_runs(store: RunStore, names: str, *, wanted: Callable[[Sample], bool] | None = None) -> Run:
    """Load a run, or several joined by `+` as one. Raises StoreError.

    With `wanted` each is read as far as there is room (`qiltest.runs.room`), the results that are wanted first.
    """
    parts = [names] if Path(names).is_dir() else names.split(JOINT)
    found = [store.load(name, room=None if wanted is None else Room(wanted=wanted)) for name in parts]
    return merge_runs(found) if len(found) > 1 else found[0]


def _whole(run: Run) -> tuple[Sample, ...]:
    """Return what a run planned, and what the session of which it is a part planned."""
    return (*run.planned, *(run.shards.whole if run.shards else ()))


def _shards(runs: Sequence[Run]) -> tuple[Shards, ...]:
    """Return the parts of a shared session that are here; nothing where there is none. Raises StoreError for two."""
    found = [run.shards for run in runs if run.shards is not None]
    if not found:
        return ()
    sessions = {(one.of, frozenset(one.whole)) for one in found}
    if len(sessions) > 1:
        raise StoreError(
            f"parts of {len(sessions)} sessions: their --qil-shard or their images differ",
            where=", ".join(str(run.path) for run in runs),
            remedy="merge the parts of one session, all with the same options",
        )
    numbers = tuple(sorted({number for one in found for number in one.numbers}))
    whole = tuple(sorted(found[0].whole, key=_place))
    return (Shards(numbers=numbers, of=found[0].of, whole=whole, full=any(one.full for one in found)),)


def _worst(runs: Sequence[Run]) -> dict[Sample, CaseResult]:
    """Return the worst result of each sample."""
    found: dict[Sample, CaseResult] = {}
    for result in (result for run in runs for result in run.results):
        known = found.get(result.sample)
        found[result.sample] = result if known is None else max(known, result, key=_weight)
    return found


def _setup(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the fields of `Setup` that may differ between the runs; model and command are those of one of them."""
    return {
        "qiltest_version": _joined(run.qiltest_version for run in runs),
        "device": _joined(run.device for run in runs),
        "device_name": _joined(run.device_name for run in runs),
        "versions": tuple(sorted({pair for run in runs for pair in run.versions})),
        "reader": min((run.reader for run in runs), key=lambda reader: reader.fingerprint),
        "cases": _same_cases(runs),
        "variants": _same({variant.name: variant for variant in run.variants} for run in runs),
        "rescored_from": _joined(run.rescored_from for run in runs),
        "notes": tuple(sorted({note for run in runs for note in run.notes})),
    }


def _weight(result: CaseResult) -> tuple[int, int, str]:
    """Return a sort key for results of one sample, worst last; a result without a verdict comes before all others."""
    distance = -1 if result.score is None else result.score.distance
    severity = -1 if result.verdict is None else len(Status) - Status(result.verdict.value).rank
    return severity, distance, repr(result)


def _place(sample: Sample) -> tuple[str, int, int, str, int, int]:
    return sample.case, sample.size.width, sample.size.height, sample.variant, sample.seed, sample.round


def _latest(values: Iterable[T | None]) -> T | None:
    """Return the greatest; None where one of the runs never ended."""
    found = list(values)
    known = [value for value in found if value is not None]
    return max(known) if len(known) == len(found) else None  # type: ignore[type-var]


def _joined(values: Iterable[str]) -> str:
    parts = {part for value in values for part in value.split(f" {JOINT} ") if part}
    return f" {JOINT} ".join(sorted(parts))


def _same_cases(runs: Sequence[Run]) -> tuple[Case, ...]:
    """Return the cases of all runs. Raises StoreError where one differs, and says so where only its seeds do."""
    first: dict[str, tuple[Run, Case]] = {}
    for run in runs:
        for case in run.cases:
            one, known = first.setdefault(case.id, (run, case))
            if known.seeds != case.seeds and replace(known, seeds=case.seeds) == case:
                raise StoreError(
                    f"{case.id} has other seeds in its case file: {_listed(known)} in {one.id}; "
                    f"{_listed(case)} in {run.id}",
                    where="merging runs",
                    remedy="leave `seeds` of the case as it is and name other seeds with --qil-seeds; run the suite "
                    "again so, with --qil-reuse to generate no image twice",
                )
    return _same({case.id: case for case in run.cases} for run in runs)


def _listed(case: Case) -> str:
    return one_line(", ".join(map(str, case.seeds)), _SEEDS_SHOWN)


def _same(tables: Iterable[dict[str, T]]) -> tuple[T, ...]:
    merged: dict[str, T] = {}
    for table in tables:
        for name, value in table.items():
            if merged.setdefault(name, value) != value:
                raise StoreError(
                    f"{name} differs between the runs",
                    where="merging runs",
                    remedy="compare runs of one suite; `qiltest rescore --cases` scores old images by new cases",
                )
    return tuple(merged[name] for name in sorted(merged))
