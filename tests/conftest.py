"""Shared by all tests of this folder."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from qiltest.engine.options import CI_VARIABLES


@pytest.fixture(scope="session", autouse=True)
def _no_ci() -> Iterator[None]:
    """Hide the CI that runs these tests from what they test; a test that is about CI sets its own variable."""
    with pytest.MonkeyPatch.context() as patch:
        for name in CI_VARIABLES:
            patch.delenv(name, raising=False)
        yield


# the suite itself (tests/report_cases) runs where only qiltest is installed, without what develops it
if find_spec("hypothesis") is not None:
    from hypothesis import settings

    # a busy machine is no failure: time is what pytest-timeout watches
    settings.register_profile("qiltest", deadline=None)
    settings.load_profile("qiltest")
