"""What a pytest session of the suite does; `qiltest.plugin` holds the hooks that delegate here."""

from qiltest.session.case_run import CaseRun
from qiltest.session.session import SuiteSession

__all__ = ["CaseRun", "SuiteSession"]
