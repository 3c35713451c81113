"""Broken strokes in sessions, goldens, stored runs and releases: the texts are right everywhere."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import apart
from qiltest.cli.main import main
from qiltest.gate import Verdict, strokes
from qiltest.gate.strokes import FloorRate
from qiltest.generation.sources import EMBEDDED
from qiltest.reading import stroke_check
from qiltest.runs import RunWriter
from qiltest.runs.events import Judged
from qiltest.runs.load import EVENTS, read_events
from qiltest.scoring import score_case

TOOLS = Path(__file__).parents[2] / "tools" / "faulty_loras"
sys.path.insert(0, str(TOOLS))
import lora_files  # noqa: E402

import faults  # noqa: E402

CASES, LORAS = Path(__file__).parents[2] / "cases", EMBEDDED / "loras"
SAMPLE = "coffee@1328x1328-fast-s42"
FLOOR = FloorRate(glyphs="net-1", flagged=1, of=1000, rate=0.005, source="a test")
BROKEN = "broken strokes: 4 of 20 characters judged, where at most 0.50% of whole ones are taken for broken"


class Network:
    fingerprint = "net-1"


def in_chinese(suite):
    """Give the cases texts whose strokes count: 20 and 11 characters."""
    suite.case("coffee", first="义本生知人机同道善思新", second="通云赋智乾坤启数高")
    suite.case("poster", first="智启通义", second="远同道善思新知")


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """Where the first test keeps what the others begin with."""
    return tmp_path_factory.mktemp("real") / "suite"


@pytest.fixture
def real(suite, once, monkeypatch):
    """A suite with goldens of the real model, of which the glyph network judges each character."""
    monkeypatch.setattr(strokes, "MEASURED", FLOOR)
    monkeypatch.setattr(stroke_check, "shipped_network", Network)
    monkeypatch.chdir(suite.path)
    if not once.exists():
        in_chinese(suite)
        suite.plan(glyphs="net-1")
        assert suite.run("-m", "gpu", "--qil-update=missing").ret == 0
        shutil.copytree(suite.path, once)
    shutil.copytree(once, suite.path, dirs_exist_ok=True)
    return suite


def test_an_image_with_more_broken_strokes_than_whole_characters_have_fails(real):
    real.plan(glyphs="net-1", coffee__fast={"strokes": 4})
    result = real.run("-m", "gpu", "--qil-fresh")
    result.assert_outcomes(passed=3, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            f"FAIL *{BROKEN} (p = *): text 1 '义本生知人机同道善思新': '义' at character 1 (*",
            'accept *not possible: no golden excuses broken strokes; *set quality = "report"*',
            "qiltest: broken strokes: base 0 of 31 characters*; fast 4 of 31 characters*",
        ]
    )
    failed = real.latest().result(SAMPLE)
    assert (failed.verdict, failed.score.distance, failed.judgement.broken_strokes) == (Verdict.FAIL, 0, 4)


def test_two_broken_characters_of_many_pass(real):
    real.plan(glyphs="net-1", coffee__fast={"strokes": 2})
    assert real.run("-m", "gpu", "--qil-fresh").ret == 0
    assert real.latest().result(SAMPLE).score.broken == 2


def test_no_update_records_an_image_that_fails_by_its_strokes(real):
    real.plan(glyphs="net-1", coffee__fast={"strokes": 4})
    for update in ("changed", "all"):
        result = real.run("-m", "gpu", "--qil-fresh", f"--qil-update={update}")
        result.assert_outcomes(passed=3, failed=1)
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        result.stdout.fnmatch_lines([f"FAIL *{BROKEN}*"])
        assert not real.latest().result(SAMPLE).golden_recorded


def test_the_embedded_model_does_not_fail_by_strokes_and_they_are_told(suite, monkeypatch):
    monkeypatch.setattr(strokes, "MEASURED", FLOOR)
    in_chinese(suite)
    suite.plan(glyphs="net-1")
    suite.record()
    suite.plan(glyphs="net-1", coffee__fast={"strokes": 4})
    result = suite.run("--qil-fresh")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["qiltest: broken strokes: base 0 of 31 characters*; fast 4 of 31 characters*"])


def test_a_stored_reading_that_another_network_judged_is_not_taken(real, monkeypatch):
    assert real.run("-m", "gpu", "--qil-reuse").ret == 0
    assert {result.read_in == "" for result in real.latest().results} == {False}
    monkeypatch.setattr(Network, "fingerprint", "net-2")
    monkeypatch.setattr(strokes, "MEASURED", replace(FLOOR, glyphs="net-2"))
    real.plan(glyphs="net-2")
    assert real.run("-m", "gpu", "--qil-reuse").ret == 0
    run = real.latest()
    assert {(result.read_in, result.reused_from == "", result.score.glyphs) for result in run.results} == {
        ("", False, "net-2")
    }


def test_verify_counts_the_stored_strokes_again(real, capsys):
    assert real.run("-m", "gpu").ret == 0
    assert main(["verify", "latest"]) == 0
    run, case = real.latest().path, real.latest().case("coffee")
    events, _ = read_events(run)
    (run / EVENTS).unlink()
    with RunWriter(run) as writer:
        for event in events:
            writer.append(broken(event, case))
    capsys.readouterr()
    assert main(["verify", "latest"]) == 1
    assert f"{SAMPLE}: stored as PASS, now FAIL: {BROKEN}" in capsys.readouterr().out


def broken(event, case):
    """The event with four broken characters in one image, and the score that goes with them."""
    if not isinstance(event, Judged) or event.sample.id != SAMPLE:
        return event
    first, *others = event.reading.lines
    worse = replace(first, strokes=tuple(3.0 if k < 4 else -3.0 for k in range(len(first.text))))
    reading = replace(event.reading, lines=(worse, *others))
    return replace(event, reading=reading, score=score_case(case, reading))


def test_two_runs_are_compared_by_their_strokes(suite, monkeypatch, capsys):
    monkeypatch.chdir(suite.path)
    in_chinese(suite)
    suite.plan(glyphs="net-1")
    suite.run("--qil-seeds=5", "--qil-fresh")
    before = suite.latest().id
    suite.plan(glyphs="net-1", coffee__fast={"strokes": 3}, poster__fast={"strokes": 1})
    suite.run("--qil-seeds=5", "--qil-fresh")
    capsys.readouterr()
    assert main(["compare", before, "latest", "--variant=fast", "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert found["verdict"] == "DO NOT SHIP"
    assert (found["strokes"]["before"], found["strokes"]["after"], found["strokes"]["more"]) == (0, 20, 10)
    assert found["losses"] == 0
    assert main(["compare", before, "latest", "--variant=base"]) == 1
    assert "CANNOT TELL" in capsys.readouterr().out


@pytest.mark.slow
def test_a_lora_that_breaks_strokes_but_not_spelling_does_not_ship_and_a_good_one_is_not_accused(tmp_path):
    """On the embedded model itself, read by the shipped reader and judged by the shipped network."""
    good = bytearray((LORAS / "4step.safetensors").read_bytes())
    good[-2] ^= 1  # the last bit of the mantissa of a bfloat16; the very same file would not be drawn
    (tmp_path / "good.safetensors").write_bytes(good)
    tensors, metadata = lora_files.read(LORAS / "4step.safetensors")
    lora_files.write(tmp_path / "bad.safetensors", faults.broken_strokes(tensors, share=1.3, seed=7), metadata)
    (tmp_path / "cases").mkdir()
    for name in ("variants.toml", "couplets.toml"):
        shutil.copy(CASES / name, tmp_path / "cases" / name)
    files = [part for name in ("bad", "good") for part in ("--lora", f"{name}.safetensors")]
    words = ["check", *files, "--like", "4step", "--seeds", "8", "--threads", "1", "--json"]
    done = apart.begin("qiltest", words, tmp_path, loads=apart.MODEL)
    done.wait()
    assert done.said("stderr") == ""
    said = json.loads(done.said())
    found = {comparison["candidate"]: comparison for comparison in said["comparisons"]}
    ranked = {row["candidate"]: row["verdict"] for row in said["ranking"]}
    assert ranked["bad.safetensors"] == "DO NOT SHIP"
    bad, as_before = sorted(found.values(), key=lambda one: one["verdict"] != "DO NOT SHIP")
    (reason,) = bad["reasons"]
    assert reason.startswith("broken strokes: ")
    assert abs(bad["difference"]) <= 0.01
    assert bad["strokes"]["after"] > bad["strokes"]["before"]
    assert as_before["strokes"]["more"] == as_before["strokes"]["fewer"] == 0
    assert as_before["verdict"] != "DO NOT SHIP"
