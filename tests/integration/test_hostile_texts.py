"""Names and texts that try to act on a terminal or on a CI job's log, through whole sessions of pytest."""

import json
import re

import pytest

import apart
from hostile_texts import HOSTILE, HOSTILE_LINE, acting
from qiltest.plugin import _CHOICES, _LISTS, _VALUES

ANNOTATION = re.compile(r"^::(error|warning) (file=[^:]*,)?title=qiltest[^\n]*\n", re.MULTILINE)


def said(suite, *args: str) -> tuple[int, str]:
    """Run a session in a process of its own, and return its exit code and every character that it printed."""
    session = apart.pytest_apart(args, suite.path)
    code = session.wait()
    return code, session.said("stdout") + session.said("stderr")


def test_a_session_full_of_hostile_texts_acts_on_nothing(suite, monkeypatch):
    suite.record()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    case = suite.path / "cases" / "coffee.toml"
    title = json.dumps(HOSTILE).replace("\\u007f", "\\u007F")
    case.write_text(case.read_text().replace('"The coffee sign"', title).replace("\x7f", "\\u007f"), encoding="utf-8")
    suite.plan(
        coffee__base={"typos": {"Qwen Coffee": HOSTILE}},
        poster__base={"extra": [HOSTILE]},
        device_name=HOSTILE,
        torch=HOSTILE,
    )
    code, out = said(suite, "-v", "-rA", "--junitxml=junit.xml")
    assert code == 1
    annotations = ANNOTATION.findall(out)
    assert annotations
    assert acting(ANNOTATION.sub("", out)) == []
    assert not [character for character in acting(out) if character.startswith("U+")]
    assert "PWNED" in out


def test_skip_reasons_and_errors_of_tests_act_on_nothing(suite):
    conftest = suite.path / "conftest.py"
    conftest.write_text(
        conftest.read_text()
        + f"""
HOSTILE = {HOSTILE!r}

def pytest_collection_modifyitems(items):
    items[0].add_marker(pytest.mark.skip(reason=HOSTILE))
    items[1].add_marker(pytest.mark.xfail(reason=HOSTILE))

class LoudReader(StandinReader):
    faults = iter([ReaderError(HOSTILE, where=HOSTILE, remedy=HOSTILE), RuntimeError(HOSTILE)] * 9)

    def read(self, image):
        raise next(self.faults)

@pytest.fixture(scope="session")
def qil_open_reader():
    return LoudReader
"""
    )
    code, out = said(suite, "-v", "-rA")
    assert code == 1
    assert acting(out) == []
    assert out.count("PWNED") > 5


def test_a_case_file_of_a_hostile_name_acts_on_nothing(suite):
    (suite.path / "cases" / f"{HOSTILE}.toml").write_text(f'"k\\u001b\\n::error::x" = {json.dumps(HOSTILE)}')
    code, out = said(suite)
    assert code != 0
    assert acting(out) == []
    assert "PWNED" in out


FLAGS = [flag for flag, *_ in (*_VALUES, *_LISTS, *_CHOICES)]


@pytest.mark.slow
def test_options_of_hostile_values_act_on_nothing(suite):
    for flag in FLAGS:
        # one line: pytest itself repeats values that it does not take
        result = suite.run(f"{flag}={HOSTILE_LINE}")
        assert acting(result.stdout.str() + result.stderr.str()) == [], flag
    assert len(FLAGS) > 15


@pytest.mark.parametrize("name", ["-p qiltest.plugin", "PYTEST_PLUGINS", "-p qiltest"])
@pytest.mark.slow
def test_the_plugin_may_be_named_although_it_is_installed(suite, monkeypatch, name):
    suite.record()
    if name == "PYTEST_PLUGINS":
        monkeypatch.setenv("PYTEST_PLUGINS", "qiltest.plugin")
    code, out = said(suite, *(name.split() if name.startswith("-p") else ()))
    assert (code, "4 passed" in out, "INTERNALERROR" in out) == (0, True, False)
