"""Glue to pytest: what the hooks of `qiltest.plugin` delegate to. Nothing is imported before it is asked for."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qiltest.session.case_run import CaseRun
    from qiltest.session.session import SuiteSession

__all__ = ["CaseRun", "SuiteSession"]


def __getattr__(name: str) -> object:
    if name == "CaseRun":
        from qiltest.session.case_run import CaseRun

        return CaseRun
    if name == "SuiteSession":
        from qiltest.session.session import SuiteSession

        return SuiteSession
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
