"""What must not pass in silence: each refusal is one line that says what is wrong, and one that says what to do."""

from __future__ import annotations

from collections.abc import Sequence

import _pytest.mark.expression
import pytest
from _pytest.mark.expression import Expression

#: marks of a test of the suite while it is decided whether `-m` asks for the GPU.
REPORT_CASE, GPU = "report_case", "gpu"
#: what compile raises: SyntaxError of late, an exception of its own in older pytest.
_NOT_AN_EXPRESSION: tuple[type[Exception], ...] = (
    SyntaxError,
    getattr(_pytest.mark.expression, "ParseError", SyntaxError),
)


def asks_for_gpu(expression: str) -> bool:
    """Say whether `-m EXPRESSION` selects tests of the suite only where they are marked gpu.

    `gpu` and `gpu and report_case` do; `not gpu`, `report_case` and `gpu or report_case` do not, and neither does
    `gpu and not report_case`, which selects no test of the suite at all.
    """
    if not expression:
        return False
    try:
        compiled = Expression.compile(expression)
    except _NOT_AN_EXPRESSION:
        return False  # pytest itself refuses it, and says why
    return _selects(compiled, {REPORT_CASE, GPU}) and not _selects(compiled, {REPORT_CASE})


def _selects(expression: Expression, marks: set[str]) -> bool:
    return expression.evaluate(lambda name, /, **_: name in marks)


def refuse_without_benchmark(config: pytest.Config) -> None:
    """Refuse to run tests of the suite with pytest-benchmark switched off. Raises pytest.UsageError."""
    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError(
            "report cases measure latency, and pytest-benchmark is not loaded\n"
            '  -> leave out `-p no:benchmark`, or leave out the report cases with -m "not report_case"'
        )
    benchmarks = getattr(config, "_benchmarksession", None)
    for flag in ("--benchmark-skip", "--benchmark-disable"):
        if config.getoption(flag) and not config.getoption("--benchmark-enable"):
            raise pytest.UsageError(
                f"report cases measure latency, and {flag} switches that off\n"
                f'  -> leave out {flag}, or leave out the report cases with -m "not report_case"'
            )
    # pytest-benchmark switches itself off under pytest-xdist, with no more than a warning
    if getattr(benchmarks, "disabled", True) and not hasattr(config, "workerinput"):
        raise pytest.UsageError(
            "report cases measure latency, and pytest-benchmark has switched itself off\n"
            '  -> run them without pytest-xdist, or leave them out with -m "not report_case"'
        )


def refuse_on_worker(config: pytest.Config) -> None:
    """Fail a test of the suite that pytest-xdist runs: its latency would be that of several images at once."""
    if hasattr(config, "workerinput"):
        pytest.fail(
            "report cases measure latency, and pytest-xdist would generate several images at once\n"
            '  -> leave out -n, or leave out the report cases with -m "not report_case"',
            pytrace=False,
        )


def refuse_no_selection(items: Sequence[pytest.Item], *, collected: int) -> None:
    """Refuse `-m gpu` where no test of the suite is left. Raises pytest.UsageError."""
    if items:
        return
    seen = "none was collected" if collected == 0 else f"{collected} were collected and all deselected"
    raise pytest.UsageError(
        f"-m gpu asks for the report cases, and none is selected: {seen}\n"
        f'  -> check the paths, -k and --qil-case; for GPU tests that are no report cases: -m "gpu and not report_case"'
    )


def all_skipped(outcomes: dict[str, str]) -> bool:
    """Say whether there were tests of the suite and every one was skipped."""
    return bool(outcomes) and set(outcomes.values()) == {"skipped"}
