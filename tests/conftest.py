"""Shared by all tests of this folder."""

import os
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from qiltest.engine.options import CI_VARIABLES


@pytest.fixture(scope="session", autouse=True)
def _no_ci() -> Iterator[None]:
    """Hide the CI that runs these tests from what they test; a test that is about CI sets its own variable."""
    with pytest.MonkeyPatch.context() as patch:
        for name in CI_VARIABLES:
            patch.delenv(name, raising=False)
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Add what was skipped, and why, to the file that `make test` shows at its end, after several sessions."""
    reports = terminalreporter.stats.get("skipped", ())
    if (path := os.environ.get("QILTEST_SKIPPED")) and reports:
        reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in reports)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("a", encoding="utf-8") as file:
            file.writelines(f"  {number} x {' '.join(reason.split())}\n" for reason, number in reasons.items())


# the suite itself (tests/report_cases) runs where only qiltest is installed, without what develops it
if find_spec("hypothesis") is not None:
    from hypothesis import settings

    # a busy machine is no failure: time is what pytest-timeout watches
    settings.register_profile("qiltest", deadline=None)
    settings.load_profile("qiltest")
