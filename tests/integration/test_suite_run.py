"""A session from its first picture to the verdict."""

from qiltest.gate import Verdict
from qiltest.runs import RunState


def test_recorded_goldens_let_the_next_session_pass(suite):
    suite.record()
    result = suite.run()
    result.assert_outcomes(passed=4)
    run = suite.latest()
    assert run.state is RunState.FINISHED
    assert run.full
    assert {r.verdict for r in run.results} == {Verdict.PASS}
