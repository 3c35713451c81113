"""Shared by all tests of this folder."""

from importlib.util import find_spec

# the suite itself (tests/report_cases) runs where only qiltest is installed, without what develops it
if find_spec("hypothesis") is not None:
    from hypothesis import settings

    # a busy machine is no failure: time is what pytest-timeout watches
    settings.register_profile("qiltest", deadline=None)
    settings.load_profile("qiltest")
