"""What lies in folders of runs and goldens may be from elsewhere: pytest never executes it."""

import pytest

#: leaves a trace where it is executed.
HOSTILE = 'from pathlib import Path\nPath(r"{trace}").touch()\ndef test_it():\n    pass\n'


@pytest.mark.parametrize("folder", ["runs/artifact", "golden/tiny"])
@pytest.mark.parametrize("name", ["test_hostile.py", "conftest.py"])
def test_a_test_file_in_a_stored_run_or_among_goldens_is_never_executed(suite, folder, name):
    suite.record()
    trace = suite.path / "trace"
    place = suite.path / folder
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(HOSTILE.format(trace=trace))
    suite.run().assert_outcomes(passed=4)
    assert not trace.exists()
    suite.pytester.runpytest(place.parent)
    assert not trace.exists()


def test_such_a_file_elsewhere_is_executed(suite):
    suite.record()
    trace = suite.path / "trace"
    (suite.path / "test_own.py").write_text(HOSTILE.format(trace=trace))
    suite.run().assert_outcomes(passed=5)
    assert trace.exists()
