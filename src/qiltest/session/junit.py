"""Properties of each image in JUnit XML, as pytest user properties."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qiltest.generation.records import LOOP
from qiltest.runs.records import CaseResult
from qiltest.runs.status import Status, status_of
from qiltest.session.case_run import CaseRun
from qiltest.text.escape import one_line

#: most characters of a value; enough for paths and hashes.
_MOST = 1_000


def verdict_of(item: pytest.Item, report: pytest.TestReport) -> Status | None:
    """Return the verdict on a test's image; None for a test without the fixture's value."""
    case_run = _case_run(item)
    return None if case_run is None else _status(case_run.result, failed=report.failed)


def reason_of(item: pytest.Item) -> str:
    """Return in one line why a test's image does not pass; "" without a verdict."""
    case_run = _case_run(item)
    if case_run is None or (case_run.result.verdict is None and not case_run.result.error):
        return ""
    from qiltest.report.terminal.failure import failure_reason  # a slow import that only failures need

    return failure_reason(case_run.result, case_run.task.case)


def add_properties(item: pytest.Item, report: pytest.TestReport) -> None:
    """Add the image's properties to a test's report and the later ones, because JUnit XML uses the last."""
    case_run = _case_run(item)
    if case_run is None:
        return
    found = list(properties(case_run.result, failed=report.failed))
    item.user_properties.extend(found)
    report.user_properties.extend(found)


def properties(result: CaseResult, *, failed: bool) -> Iterator[tuple[str, str]]:
    """Yield names and values, escaped for XML; `failed` is True if the test failed, perhaps without a verdict."""
    for name, value in _facts(result, failed=failed):
        yield f"qiltest.{name}", one_line(value, _MOST)


def _facts(result: CaseResult, *, failed: bool) -> Iterator[tuple[str, str]]:
    yield "verdict", _status(result, failed=failed).value
    yield "case", result.sample.case
    yield "size", str(result.sample.size)
    yield "variant", result.sample.variant
    yield "seed", str(result.sample.seed)
    if result.score is not None:
        yield "distance", str(result.score.distance)
        yield "characters", str(result.score.length)
        yield "reader", result.score.reader.fingerprint
    judgement = result.judgement
    if judgement is not None:
        yield "limit", _known(judgement.limit)
        yield "new_errors", str(judgement.new_errors)
        yield "noise_floor", _known(judgement.noise_floor)
        yield "golden_distance", _known(judgement.golden_distance)
    if result.recipe is not None:
        yield "recipe", result.recipe.key()
    if result.not_checked:
        yield "not_checked", ", ".join(result.not_checked)
    if result.timing is not None:
        yield "denoise_seconds", f"{result.timing.denoise_seconds:.6g}"
        if result.timing.kind != LOOP:
            yield "timed", result.timing.kind
    if result.latency is not None:
        yield "latency_verdict", result.latency.verdict.value
        yield "golden_denoise_seconds", _known(result.latency.golden_seconds)
    if result.image is not None:
        yield "image", _from_here(result.image.path)


def _case_run(item: pytest.Item) -> CaseRun | None:
    found = getattr(item, "funcargs", {}).get("qil_case_run")
    return found if isinstance(found, CaseRun) else None


def _status(result: CaseResult, *, failed: bool) -> Status:
    # a test or fixture that crashed leaves no verdict
    return Status.ERROR if failed and result.verdict is None else status_of(result)


def _known(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _from_here(path: Path) -> str:
    """Return a path relative to the current folder if it is inside, as CI expects."""
    here, whole = Path.cwd(), path.absolute()
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else str(whole)
