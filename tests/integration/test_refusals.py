"""A session that is refused is as loud as one that fails: a run, a job summary, an annotation and a JUnit error."""

from __future__ import annotations

import xml.etree.ElementTree as ET  # reads only what pytest wrote here
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from qiltest.cli.main import main
from qiltest.session.generating import Generating
from qiltest.session.refusals import STOPPED_EARLY

Suite = Any
NO_WEIGHTS = """
import pytest, qiltest.generation
from qiltest.errors import DeviceError

@pytest.fixture(autouse=True, scope="session")
def no_weights():
    def open_generator(*args, **kwargs):
        raise DeviceError("no weights of Qwen/Qwen-Image here", remedy="download them first")
    qiltest.generation.open_generator = open_generator
"""


@dataclass(frozen=True)
class Told:
    """What a session told, place by place."""

    exit_code: int
    text: str
    annotations: list[str]
    summary: str
    #: message and text of each error or failure in the JUnit XML.
    junit: list[tuple[str, str]]

    def everywhere(self, words: str) -> bool:
        """True where the terminal, the annotations, the job summary and the JUnit XML all say it."""
        junit = any(words in message or words in text for message, text in self.junit)
        annotated = any(words in line for line in self.annotations)
        return words in self.text and annotated and words in self.summary.replace("\\", "") and junit


@pytest.fixture
def night(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Told]:
    """Runs a session as a job on GitHub does."""

    def run(*args: str, apart: bool = False) -> Told:
        for name, value in {"CI": "true", "GITHUB_ACTIONS": "true"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(suite.path / "summary.md"))
        result = (suite.run_apart if apart else suite.run)(*args, "--junitxml=junit.xml")
        cases = ET.parse(suite.path / "junit.xml").getroot().iter("testcase")
        found = [child for case in cases for child in case if child.tag in {"error", "failure"}]
        summary = suite.path / "summary.md"
        return Told(
            exit_code=int(result.ret),
            text=result.stdout.str() + result.stderr.str(),
            annotations=[line for line in result.outlines if line.startswith("::error")],
            summary=summary.read_text(encoding="utf-8") if summary.exists() else "",
            junit=[(child.get("message") or "", child.text or "") for child in found],
        )

    return run


def test_no_weights_are_told_everywhere_and_no_earlier_run_passes_for_tonights(
    suite: Suite, night: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.record()
    assert suite.run().ret == 0
    earlier = suite.latest().id
    suite.pytester.makeconftest(NO_WEIGHTS)
    told = night("-m", "gpu", apart=True)
    assert told.exit_code == pytest.ExitCode.USAGE_ERROR
    assert told.everywhere("no weights of Qwen/Qwen-Image here")
    assert len(told.annotations) == len(told.junit) == 1
    assert "download them first" in told.junit[0][1]
    assert suite.latest().id != earlier
    assert suite.refusal() == "no weights of Qwen/Qwen-Image here\n  -> download them first"
    assert [sample.case for sample in suite.latest().planned] == ["coffee", "poster"] * 2
    monkeypatch.chdir(suite.path)
    assert main(["report", "latest", "--format=md"]) == 0
    assert "What changed" not in told.summary
    assert "Nothing was generated: no weights" in (suite.latest().path / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("-m", "gpu", "-k", "nothing"), "-m gpu selects no report case: 4 were collected, all deselected"),
        (("--qil-lora=no.safetensors", "--qil-like=fast"), "no such LoRA file"),
        (("--benchmark-disable",), "report cases measure latency, but --benchmark-disable disables that"),
        (("--qil-case=tea",), "tea"),
        (("--qil-cases=nowhere",), "no such folder"),
        (("--qil-reader=nobody",), "unknown reader 'nobody'"),
    ],
)
def test_whatever_ends_a_session_early_is_told_everywhere(
    suite: Suite, night: Callable[..., Told], args: tuple[str, ...], words: str
) -> None:
    told = night(*args)
    assert told.exit_code != 0
    assert told.everywhere(words)
    assert words in suite.refusal()
    assert len(told.annotations) == 1
    assert suite.generated() == []


@pytest.mark.parametrize(("code", "args"), [(1, ()), (3, ()), (1, ("--no-summary",))])
def test_an_exit_of_a_conftest_is_told_everywhere(
    suite: Suite, night: Callable[..., Told], code: int, args: tuple[str, ...]
) -> None:
    path = suite.path / "conftest.py"
    path.write_text(path.read_text() + f"\ndef pytest_runtest_setup(item):\n    pytest.exit('no GPU today', {code})\n")
    told = night(*args)
    assert told.exit_code == code
    assert told.everywhere("no GPU today")
    assert suite.refusal() == "no GPU today"


@pytest.mark.parametrize("fixture", ["raise OSError('no disk')", "pytest.skip('no GPU today')"])
def test_tests_that_end_before_the_first_image_are_told_everywhere(
    suite: Suite, night: Callable[..., Told], fixture: str
) -> None:
    path = suite.path / "conftest.py"
    path.write_text(path.read_text() + f"\n\n@pytest.fixture(autouse=True)\ndef early():\n    {fixture}\n")
    told = night()
    assert told.exit_code == pytest.ExitCode.TESTS_FAILED
    assert len(told.annotations) == 1
    assert told.junit
    assert suite.refusal()
    assert "Nothing was generated" in told.summary


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("-m", "gpu", "--qil-device=cpu"), "-m gpu and --qil-device=cpu exclude each other"),
        (("--qil-update=missing",), "--qil-update=missing is refused because CI is set"),
        (("--qil-lora=x",), "need each other"),
    ],
)
def test_options_that_exclude_each_other_are_told_everywhere_but_leave_no_run(
    suite: Suite, night: Callable[..., Told], args: tuple[str, ...], words: str
) -> None:
    told = night(*args)
    assert told.exit_code == pytest.ExitCode.USAGE_ERROR
    assert told.everywhere(words)
    assert len(told.annotations) == len(told.junit) == 1
    assert not (suite.path / "runs").exists()


def test_a_refusal_that_cannot_be_stored_is_told_all_the_same(suite: Suite, night: Callable[..., Told]) -> None:
    (suite.path / "runs").write_text("")
    told = night("-m", "gpu", "-k", "nothing")
    assert told.everywhere("-m gpu selects no report case")
    assert "the run of this refusal cannot be written: " in told.text


def test_what_is_wrong_with_a_session_and_no_test_says_is_annotated_and_in_the_junit_xml(
    suite: Suite, night: Callable[..., Told]
) -> None:
    suite.record()
    (suite.path / "golden" / suite.goldens()[0]).with_name("gone-s42.json").write_text("{}")
    told = night()
    assert told.exit_code == pytest.ExitCode.TESTS_FAILED
    assert told.everywhere("gone-s42.json")


def test_an_exit_with_code_0_before_the_first_image_is_a_failure(suite: Suite, night: Callable[..., Told]) -> None:
    path = suite.path / "conftest.py"
    path.write_text(path.read_text() + "\ndef pytest_runtest_setup(item):\n    pytest.exit('no more', 0)\n")
    told = night()
    assert told.exit_code == pytest.ExitCode.TESTS_FAILED
    assert told.everywhere("4 images selected, none begun")


@pytest.mark.slow
def test_nothing_is_left_of_a_session_that_only_lists_and_of_one_that_somebody_stopped(suite: Suite) -> None:
    assert suite.run("--collect-only", "-m", "gpu", "-k", "nothing").ret != 0
    path = suite.path / "conftest.py"
    path.write_text(path.read_text() + "\n\n@pytest.fixture(autouse=True)\ndef stop():\n    raise KeyboardInterrupt\n")
    stopped = suite.run_apart()
    assert stopped.ret == pytest.ExitCode.INTERRUPTED
    stopped.stdout.fnmatch_lines_random(
        ["qiltest: interrupted before the first image, *: repeat the command to begin*"]
    )
    assert not (suite.path / "runs").exists()


def test_ctrl_c_while_workers_start_says_what_to_repeat(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Generating, "start", lambda _: None)
    monkeypatch.setattr(Generating, "open", pressed)
    path = suite.path / "conftest.py"
    path.write_text(path.read_text().replace("def qil_generator(", "def standin_generator("))
    words = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "--qil-workers=2")
    stopped = suite.pytester.runpytest_inprocess(*words, no_reraise_ctrlc=True)
    assert stopped.ret == pytest.ExitCode.INTERRUPTED
    assert stopped.outlines.count(STOPPED_EARLY) == 1
    assert not (suite.path / "runs").exists()


@pytest.mark.parametrize("command", ["review", "rescore", "verify"])
def test_no_command_takes_a_refused_run_for_one_that_passes(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    suite.run("-m", "gpu", "-k", "nothing")
    left = suite.latest().id
    capsys.readouterr()
    monkeypatch.chdir(suite.path)
    assert main([command, "latest"]) != 0
    said = capsys.readouterr()
    assert "-m gpu selects no report case" in said.out + said.err
    assert suite.latest().id == left
