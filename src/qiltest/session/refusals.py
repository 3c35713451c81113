"""Why a session tests nothing, or less than it was meant to: kept for its run, its JUnit XML and the job's page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from xml.etree.ElementTree import Element

import pytest
from _pytest.junitxml import xml_key

from qiltest.text.escape import one_line, visible

#: most characters of an error's message in JUnit XML; its text is whole.
_MOST = 1_000
_PREFIX = "qiltest: "
#: of a session that Ctrl-C ended before a run was opened.
STOPPED_EARLY = "qiltest: interrupted before the first image, nothing is stored: repeat the command to begin again"


class Refusals:
    """The reasons for which a session ends early, all of which pytest prints itself.

    As a plugin of the session it hears of `pytest.exit`, whoever calls it.
    """

    def __init__(self) -> None:
        #: whether pytest reports an error of its own, which is in the JUnit XML, by reason.
        self._reported: dict[str, bool] = {}
        #: whether somebody pressed Ctrl-C.
        self.interrupted = False

    def add(self, why: object, *, reported: bool = False) -> None:
        """Add a reason; `reported` says that a test's or a file's own error tells it."""
        self._reported.setdefault(str(why).removeprefix(_PREFIX), reported)

    @contextmanager
    def of_usage(self) -> Iterator[None]:
        """Add the reason of a usage error."""
        try:
            yield
        except pytest.UsageError as error:
            self.add(error)
            raise

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Add the reason of an exit; pytest calls this for Ctrl-C and for stops of its own too."""
        error = excinfo.value
        if isinstance(error, pytest.exit.Exception):
            if error.returncode != pytest.ExitCode.OK:
                self.add(error.msg)
        elif not isinstance(error, pytest.Session.Interrupted):
            self.interrupted = True

    @property
    def told(self) -> list[str]:
        """The reasons."""
        return list(self._reported)

    def silent_in_junit(self, problems: Iterable[str]) -> Iterator[str]:
        """Yield the reasons, and of a session's problems those, that no test's error tells."""
        yield from (why for why, reported in self._reported.items() if not reported)
        yield from (problem for problem in problems if problem not in self._reported)


def job_lines(why: str) -> Iterator[str]:
    """Write the job's page of a session that has no run, and yield the lines of its log, where it runs in a job."""
    from qiltest.report.ci import refusal_lines  # slow to import

    yield from refusal_lines(why)


def add_junit_errors(config: pytest.Config, texts: Iterable[str]) -> None:
    """Add an error to the JUnit XML for each text; without `--junitxml` nothing."""
    xml = config.stash.get(xml_key, None)
    if xml is None:
        return
    for number, text in enumerate(texts, start=1):
        reporter = xml.node_reporter(f"qiltest session {number}")
        reporter.attrs.update(classname="qiltest", name="session")
        error = Element("error", message=one_line(text.partition("\n")[0], _MOST))
        error.text = visible(text)
        reporter.append(error)
