"""Refusals: sessions that could pass without testing anything end with an error and a remedy."""

from __future__ import annotations

from collections.abc import Sequence

import _pytest.mark.expression
import pytest
from _pytest.mark.expression import Expression

#: the marks of the suite's tests.
REPORT_CASE, GPU = "report_case", "gpu"
#: what compile raises: SyntaxError, or ParseError in older pytest.
_NOT_AN_EXPRESSION: tuple[type[Exception], ...] = (
    SyntaxError,
    getattr(_pytest.mark.expression, "ParseError", SyntaxError),
)


def asks_for_gpu(expression: str) -> bool:
    """Return whether `-m EXPRESSION` selects the suite's tests only if they are marked gpu.

    True for `gpu` and `gpu and report_case`; False for `not gpu`, `report_case`, `gpu or report_case` and
    `gpu and not report_case`.
    """
    if not expression:
        return False
    try:
        compiled = Expression.compile(expression)
    except _NOT_AN_EXPRESSION:
        return False  # pytest itself reports it
    return _selects(compiled, {REPORT_CASE, GPU}) and not _selects(compiled, {REPORT_CASE})


def _selects(expression: Expression, marks: set[str]) -> bool:
    return expression.evaluate(lambda name, /, **_: name in marks)


def refuse_without_benchmark(config: pytest.Config) -> None:
    """Raise pytest.UsageError where pytest-benchmark is off, which measures latency."""
    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError(_unmeasured("pytest-benchmark is not loaded", "remove `-p no:benchmark`"))
    benchmarks = getattr(config, "_benchmarksession", None)
    for flag in ("--benchmark-skip", "--benchmark-disable"):
        if config.getoption(flag) and not config.getoption("--benchmark-enable"):
            raise pytest.UsageError(_unmeasured(f"{flag} disables that", f"remove {flag}"))
    # pytest-benchmark disables itself under pytest-xdist with a mere warning
    if getattr(benchmarks, "disabled", True) and not hasattr(config, "workerinput"):
        raise pytest.UsageError(_unmeasured("pytest-benchmark has disabled itself", "run without pytest-xdist"))


def refuse_on_worker(config: pytest.Config) -> None:
    """Fail a test that runs on a pytest-xdist worker, because workers distort latency and share no run."""
    if not hasattr(config, "workerinput"):
        return
    if config.option.qil_images is not None:
        pytest.fail("--qil-images judges a folder as one run, in one process\n  -> remove -n", pytrace=False)
    why = "pytest-xdist would generate several images at once"
    pytest.fail(_unmeasured(why, "remove -n"), pytrace=False)


def only_lists(config: pytest.Config) -> bool:
    """Return whether the command line itself asks for a list of tests: one in `addopts` is no wish of the caller's."""
    asked = {"--collect-only", "--co", "--setup-plan", "--setup-only", "--fixtures", "--markers"}
    return bool(asked.intersection(config.invocation_params.args))


def _unmeasured(why: str, remedy: str) -> str:
    return (
        f"report cases measure latency, but {why}\n"
        f'  -> {remedy}, or deselect the report cases with -m "not report_case"'
    )


def refuse_no_release(items: Sequence[pytest.Item]) -> None:
    """Raise pytest.UsageError where `--qil-lora` is given and no test of the suite would compare anything."""
    if not items:
        raise pytest.UsageError(
            "--qil-lora compares nothing: no test of the suite was selected\n"
            "  -> run it where the suite is, or `qiltest check --lora FILE --like VARIANT`, which needs no test"
        )


def refuse_no_selection(items: Sequence[pytest.Item], *, collected: int) -> None:
    """Raise pytest.UsageError where `-m gpu` selects no test of the suite."""
    if items:
        return
    seen = "none was collected" if collected == 0 else f"{collected} were collected, all deselected"
    raise pytest.UsageError(
        f"-m gpu selects no report case: {seen}\n"
        f'  -> check the paths, -k and --qil-case; for other GPU tests write -m "gpu and not report_case"'
    )
