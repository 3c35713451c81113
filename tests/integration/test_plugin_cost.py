"""What a project that has nothing to do with qiltest pays where it is installed: a few lines, and no library."""

import json
import sys

import pytest

#: other projects in processes of their own.
pytestmark = pytest.mark.slow

#: runs pytest on the folder and writes down which modules were loaded when it had ended.
WATCH = """
import json, sys
import pytest
code = pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]])
json.dump([int(code), sorted(sys.modules)], open("loaded.json", "w"))
"""


@pytest.fixture
def project(pytester):
    """A project with one test of its own."""
    pytester.makepyfile(test_own="def test_own(): pass")
    pytester.makepyfile(watch=WATCH)
    return pytester


def loaded(project, *args) -> set[str]:
    """The modules that a session of the project has loaded at its end."""
    project.run(sys.executable, "watch.py", *args)
    code, names = json.loads((project.path / "loaded.json").read_text())
    assert code == 0
    return set(names)


@pytest.mark.parametrize("args", [(), ("-m", "not gpu"), ("-k", "own")])
def test_a_project_without_the_suite_loads_these_modules_alone(project, args):
    with_plugin = loaded(project, *args)
    without = loaded(project, *args, "-p", "no:qiltest")
    assert {name for name in with_plugin if name.partition(".")[0] == "qiltest"} == {
        "qiltest",
        "qiltest.arguments",
        "qiltest.plugin",
        *({"qiltest.session", "qiltest.session.guards"} if "-m" in args else ()),
    }
    foreign = {name.partition(".")[0] for name in with_plugin - without} - {"qiltest"}
    assert foreign <= sys.stdlib_module_names


def test_a_project_that_names_an_option_of_the_suite_has_it_checked(project):
    result = project.runpytest_subprocess("--qil-fresh", "--qil-reuse")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--qil-fresh and --qil-reuse exclude each other*"])


def test_what_the_help_says_of_defaults_and_choices_is_so():
    """They are literals in the plugin, which cannot import what they are literals of."""
    from qiltest.comparison.records import MARGIN
    from qiltest.engine.options import Update
    from qiltest.generation.settings import Offload
    from qiltest.generation.sources import TINY
    from qiltest.plugin import _CHOICES, _VALUES
    from qiltest.reading import DEFAULT_READER
    from qiltest.serving.settings import READ_SECONDS, Api
    from qiltest.session.options import REAL

    choices = {flag: choices for flag, choices, _ in _CHOICES}
    assert choices.pop("--qil-merge") == ("yes", "no")
    assert choices == {
        "--qil-offload": tuple(Offload),
        "--qil-server-api": tuple(Api),
        "--qil-update": tuple(Update),
    }
    helps = {flag: text for flag, _, _, text in _VALUES}
    assert helps["--qil-margin"].endswith(f"Default: {MARGIN}")
    assert helps["--qil-reader"].endswith(f"Default: {DEFAULT_READER}")
    assert helps["--qil-server-timeout"].endswith(f"Default: {READ_SECONDS:g}")
    assert helps["--qil-model"].endswith(f"Default: {TINY}; with -m gpu {REAL}")
