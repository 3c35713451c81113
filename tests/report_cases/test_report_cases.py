"""The suite itself: every image of the performance report, generated, read and held against its golden.

Plain `pytest` generates with the embedded model; `pytest -m gpu` runs the same tests on the real one.
"""

from qiltest.session.case_run import CaseRun


def test_report_case(qil_case_run: CaseRun) -> None:
    qil_case_run.generate()
    qil_case_run.read()
    qil_case_run.score()
    qil_case_run.judge()
