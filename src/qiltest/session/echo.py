"""What pytest itself repeats of a suite's test: its skip reason, its error, made harmless before pytest prints it.

What a test writes to its own output, and the names of test files, are left to pytest.
"""

from __future__ import annotations

import re

import pytest
from _pytest._code.code import ExceptionChainRepr, ExceptionRepr, ReprFileLocation

from qiltest.text.escape import printable, printable_line

#: pytest colours the lines of a failed assertion before it prints them.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def told(line: str) -> str:
    """Return a line of the session's summary; paths and reasons in one of `qiltest: ` come from outside.

    Others are tables, which a console has made visible, and workflow commands of our own.
    """
    return printable_line(line) if line.startswith("qiltest: ") else line


def quieten(report: pytest.TestReport) -> None:
    """Make the texts of a report visible, so that none acts on the terminal or the job's log."""
    if isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        report.longrepr = (path, line, printable_line(str(reason)))
    elif isinstance(report.longrepr, str):
        report.longrepr = printable(report.longrepr)
    elif isinstance(report.longrepr, ExceptionRepr):
        _quieten_error(report.longrepr)
    if hasattr(report, "wasxfail"):
        report.wasxfail = printable_line(str(report.wasxfail))


def shorten(report: pytest.TestReport, error: BaseException | None, reason: str) -> None:
    """Give a failure without a traceback a one-line reason, "" for its first line.

    pytest's short summary repeats the whole message in CI, and JUnit's message its beginning.
    """
    found = report.longrepr
    plain = isinstance(error, pytest.fail.Exception) and not error.pytrace
    if plain and isinstance(found, ExceptionRepr) and found.reprcrash is not None:
        path, line, _ = report.location
        crash = found.reprcrash
        crash.path, crash.lineno = path, (line or 0) + 1
        crash.message = reason or printable_line(str(error).partition("\n")[0])


def _quieten_error(found: ExceptionRepr) -> None:
    chain = found.chain if isinstance(found, ExceptionChainRepr) else [(found.reprtraceback, found.reprcrash, None)]
    for traceback, crash, _ in chain:
        for entry in traceback.reprentries:
            entry.lines = [_harmless(line) for line in entry.lines]
            _quieten_place(getattr(entry, "reprfileloc", None))
        _quieten_place(crash)


def _quieten_place(place: ReprFileLocation | None) -> None:
    if place is not None:
        place.message = _harmless(place.message)


def _harmless(text: str) -> str:
    return printable(_COLOUR.sub("", text))
