"""The one test of `qiltest check`: pytest runs it once a picture."""

from qiltest.session.case_run import CaseRun


def test_release(qil_case_run: CaseRun) -> None:
    """Draw, read and score a picture of the candidate or of what it replaces."""
    qil_case_run.check()
