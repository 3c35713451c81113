"""`qiltest verify`: a stored run is complete, unchanged, and every verdict is PASS once more."""

import hashlib
import json
import os
import shutil
from dataclasses import replace

import pytest

import builders
from qiltest.cli.main import main
from qiltest.engine.rescore import rescore
from qiltest.engine.verify import verify_run
from qiltest.gate.golden import GoldenStore
from qiltest.runs import RunStore, RunWriter
from qiltest.runs.events import Ended, Failed, Generated, Judged, Reported, Started
from qiltest.runs.load import read_events
from qiltest.suite.load import load_cases

TYPO = {"typos": {"Qwen Coffee": "Qwen Cofee"}}


@pytest.fixture
def run(suite, monkeypatch):
    """The folder of a run that passes."""
    monkeypatch.chdir(suite.path)
    suite.record()
    assert suite.run().ret == 0
    return suite.latest().path


def verify(*args):
    return main(["verify", *args])


def refused(capsys, fault, *args):
    """Assert that the latest run is refused with this fault, on one line that has a remedy."""
    assert main(["verify", "latest", *args]) == 1
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if fault in line]
    assert lines, out
    assert all(" -> " in line for line in lines)
    assert out.splitlines()[-1].endswith("does not pass")
    return out


def rewritten(run, change):
    """Write the run anew, with its chain and digests, as `change` makes each event: what a forger can do."""
    events, _ = read_events(run)
    (run / "events.jsonl").unlink()
    with RunWriter(run) as writer:
        for event in events:
            for one in change(event):
                writer.append(one)


def test_a_run_that_passes_is_verified_by_id_and_by_folder(run, capsys):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert verify("latest") == verify(str(run)) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[1] == f"run {run}: 4 images, the whole suite; passes: complete, unchanged, every verdict PASS again"
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before, "it only reads"


def test_json_has_the_faults_and_nothing_else(run, capsys):
    assert verify("latest", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "run": run.name,
        "passes": True,
        "images": 4,
        "full": True,
        "faults": [],
        "more_faults": 0,
    }
    next((run / "images").iterdir()).unlink()
    assert verify("latest", "--json") == 1
    (fault,) = json.loads(capsys.readouterr().out)["faults"]
    assert fault["what"] == "the image cannot be read: No such file or directory"
    assert fault["remedy"] == "restore the file, or run the suite again with --qil-fresh"
    assert verify("latest") == 1
    assert "run the suite again with pytest --qil-fresh" in capsys.readouterr().out, "verify has no such option"


def test_a_part_of_the_suite_is_called_so(suite, run, capsys):
    suite.run("--qil-case=coffee")
    assert verify("latest") == 0
    assert "2 images, a selection of the suite; passes" in capsys.readouterr().out


def test_what_is_no_run_or_no_suite_is_wrong_usage(suite, run, capsys):
    assert verify("nobody") == 2
    assert "no run 'nobody'" in capsys.readouterr().err
    assert verify("latest", "--cases", "nowhere") == 2
    assert "nowhere" in capsys.readouterr().err
    assert verify("x" * 5000) == 2
    assert "no run 'xxx" in capsys.readouterr().err


def test_an_edited_line_is_named_by_its_number(run, capsys):
    path = run / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines[:-1], start=1):
        edited = line.replace(b'"at":"2', b'"at":"3')
        assert edited != line
        path.write_bytes(b"".join([*lines[: number - 1], edited, *lines[number:]]))
        refused(capsys, f"events.jsonl:{number}: the line was changed after it was written")


def test_a_line_that_is_missing_moved_or_doubled_is_named_by_its_number(run, capsys):
    path = run / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], *lines[4:]]))
    refused(capsys, "events.jsonl:4: line 5 of the run stands where line 4 belongs")
    path.write_bytes(b"".join([*lines[:3], lines[4], lines[3], *lines[5:]]))
    refused(capsys, "events.jsonl:5: line 4 of the run stands where line 6 belongs")
    path.write_bytes(b"".join([*lines[:3], lines[2], *lines[3:]]))
    refused(capsys, "events.jsonl:4: line 3 of the run stands where line 4 belongs")


def test_a_reading_that_was_edited_is_no_reading_of_its_image_even_in_a_new_chain(suite, run, capsys):
    suite.plan(coffee__base=TYPO)
    suite.run("--qil-fresh")
    run = suite.latest().path
    events, _ = read_events(run)
    digests = iter([event.digest for event in events if isinstance(event, Judged)])

    def correct(event):
        if not isinstance(event, Judged):
            return [event]
        lines = tuple(replace(line, text=line.text.replace("Cofee", "Coffee")) for line in event.reading.lines)
        return [replace(event, reading=replace(event.reading, lines=lines))]

    path = run / "events.jsonl"
    rewritten(run, correct)
    # the writer has computed new digests: the forger forgets them
    chain, out = "", []
    for line in path.read_bytes().splitlines():
        event = json.loads(line)
        event["before"] = chain
        if event["event"] == "judged":
            event["digest"] = next(digests)
        out.append(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode())
        chain = hashlib.sha256(out[-1]).hexdigest()
    path.write_bytes(b"\n".join(out) + b"\n")
    refused(capsys, "the reading of coffee@1328x1328-base-s42 is not the one that was stored for its image")


def test_a_verdict_that_is_not_that_of_its_reading_is_found_whoever_wrote_it(suite, run, capsys):
    suite.plan(coffee__base=TYPO)
    suite.run("--qil-fresh")
    good = builders.judgement(reasons=())

    def forged(event):
        if isinstance(event, Judged):
            return [replace(event, judgement=replace(good, verdict="PASS"))]
        return [replace(event, exit_status=0, problems=()) if isinstance(event, Ended) else event]

    rewritten(suite.latest().path, forged)
    refused(capsys, "coffee@1328x1328-base-s42: stored as PASS, now FAIL: distance 1 is above the limit 0")


def test_a_score_that_is_not_that_of_its_reading_is_found(run, capsys):
    def forged(event):
        if isinstance(event, Judged):
            return [replace(event, score=replace(event.score, distance=3))]
        return [event]

    rewritten(run, forged)
    refused(capsys, "the stored score is not that of its reading: distance 3, now 0")


def test_an_image_of_other_bytes_missing_or_no_file_is_found(run, capsys):
    changed, gone, fifo, folder = sorted((run / "images").iterdir())
    changed.write_bytes(changed.read_bytes()[:-1])
    for path in (gone, fifo, folder):
        path.unlink()
    os.mkfifo(fifo)
    folder.mkdir()
    out = refused(capsys, f"{changed.name}: the image's bytes have another SHA-256")
    assert f"{gone.name}: the image cannot be read: No such file or directory" in out
    assert f"{fifo.name}: the image cannot be read: Not a regular file" in out
    assert f"{folder.name}: the image cannot be read: Is a directory" in out


def test_an_image_that_fails_is_a_fault_and_so_is_the_sessions_exit_code(suite, run, capsys):
    suite.plan(coffee__base=TYPO)
    assert suite.run("--qil-fresh").ret == 1
    out = refused(capsys, "coffee@1328x1328-base-s42: FAIL: distance 1 is above the limit 0 (golden 0 + tolerance 0)")
    assert "its session ended with exit code 1" in out


def test_an_image_that_ended_in_an_error_is_a_fault(suite, run, capsys):
    suite.plan(coffee__base={"fault": "crash"})
    suite.run("--qil-fresh")
    refused(capsys, "coffee@1328x1328-base-s42: ERROR: RuntimeError: illegal memory access")


def test_a_skipped_image_is_a_fault(suite, run, capsys):
    test = suite.path / "test_suite.py"
    test.write_text(
        test.read_text().replace(
            "    qil_case_run.check()", "    if 'base' not in str(qil_case_run.sample):\n        qil_case_run.check()"
        )
    )
    suite.run("--qil-fresh")
    refused(capsys, "coffee@1328x1328-base-s42: MISSING: no verdict: its test did not call")


@pytest.mark.slow
def test_a_run_that_was_killed_or_stopped_is_a_fault(suite, run, capsys):
    suite.plan(coffee__fast={"fault": "kill"})
    suite.run_apart("--qil-fresh")
    out = refused(capsys, "the run never ended: its process was killed, or is still running")
    assert "coffee@1328x1328-fast-s42: planned, but not judged" in out
    suite.plan(coffee__fast={"fault": "interrupt"})
    suite.run_apart("--qil-fresh")
    refused(capsys, "the run is interrupted")


def test_a_run_whose_reports_were_never_written_is_a_fault(run, capsys):
    path = run / "events.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    refused(capsys, "its reports were never written")


def test_a_run_that_wrote_its_own_goldens_vouches_for_nothing(suite, run, capsys):
    shutil.rmtree(suite.path / "golden")
    suite.run("--qil-update=missing")
    refused(capsys, "the run itself wrote its golden, so nothing vouches for it")


def test_a_golden_or_a_case_that_changed_since_is_told(suite, run, capsys):
    golden = next((suite.path / "golden").rglob("base-s42.json"))
    golden.unlink()
    refused(capsys, "stored as PASS, now NEW: no golden for this image yet")
    suite.case("coffee", first="Qwen Coffee", second="3 dollars")
    refused(capsys, "its case has another prompt now than when it was generated")
    (suite.path / "cases" / "coffee.toml").unlink()
    refused(capsys, "coffee@1328x1328-base-s42: this checkout has no such case")


def test_a_golden_whose_numbers_were_edited_is_not_believed(suite, run, capsys):
    golden = next((suite.path / "golden").rglob("base-s42.json"))
    golden.write_text(json.dumps(json.loads(golden.read_text()) | {"length": 999}))
    out = refused(capsys, "the golden does not agree with what was read: length is 999, but the case's required texts")
    assert str(golden.relative_to(suite.path)) in out


def test_other_goldens_and_cases_may_be_named(suite, run, capsys):
    (suite.path / "golden").rename(suite.path / "accepted")
    (suite.path / "cases").rename(suite.path / "asked")
    assert verify("latest", "--golden", "accepted", "--cases", "asked") == 0


def test_an_image_that_was_never_judged_is_a_fault(run, capsys):
    rewritten(run, lambda event: [] if isinstance(event, Judged) and event.sample.case == "coffee" else [event])
    refused(capsys, "coffee@1328x1328-base-s42: planned, but not judged")


def test_a_verdict_without_an_image_or_a_reading_is_a_fault(run, capsys):
    rewritten(run, lambda event: [] if isinstance(event, Generated) and event.sample.case == "coffee" else [event])
    refused(capsys, "judged, but no image of it was stored")


def test_a_text_that_was_not_read_is_a_fault(run, capsys):
    def unread(event):
        return [replace(event, reading=None, score=None, judgement=None) if isinstance(event, Judged) else event]

    rewritten(run, unread)
    refused(capsys, "its text was not read, scored and judged")


@pytest.mark.parametrize(
    ("times", "long", "fault"),
    [(1_001, 1, "too long to be scored: 1001 lines"), (1, 10_001, "too long to be scored: 1 line, 10001 characters")],
)
def test_a_reading_that_would_take_long_is_not_scored_but_said(run, capsys, times, long, fault):
    def longer(event):
        if not isinstance(event, Judged):
            return [event]
        line = replace(event.reading.lines[0], text="x" * long)
        return [replace(event, reading=replace(event.reading, lines=(line,) * times))]

    rewritten(run, longer)
    refused(capsys, fault)


def test_image_quality_of_another_version_of_the_measures_is_not_compared(run, capsys):
    def older(event):
        return [replace(event, health=replace(event.health, version=1)) if isinstance(event, Judged) else event]

    rewritten(run, older)
    refused(capsys, "its quality was measured by version 1 of the measures")


def test_a_run_of_nothing_is_a_fault(run, capsys):
    def empty(event):
        if isinstance(event, Started):
            return [replace(event, planned=())]
        return [event] if isinstance(event, Ended | Reported) else []

    rewritten(run, empty)
    refused(capsys, "no image was planned")


def test_what_was_not_planned_and_what_follows_the_end_is_a_fault(run, capsys):
    sample = builders.sample(case="tea")

    def strange(event):
        if isinstance(event, Ended):
            return [
                Failed(at=builders.AT, sample=sample, error="x"),
                event,
                Failed(at=builders.AT, sample=sample, error="x"),
            ]
        return [event]

    rewritten(run, strange)
    out = refused(capsys, f"{sample.id} was not planned")
    assert "a line after the run's end" in out


def test_a_latency_that_gates_is_judged_again(run, capsys):
    def gating(event):
        return [replace(event, latency=replace(event.latency, gates=True)) if isinstance(event, Judged) else event]

    rewritten(run, gating)
    refused(capsys, "latency stored as INCOMPARABLE, now INCOMPARABLE: no latency golden for this cohort")


def test_a_release_check_is_verified_by_its_comparison(run, capsys):
    def tried(event):
        known = (builders.variant("candidate"),)
        return [replace(event, variants=known) if isinstance(event, Started) else event]

    rewritten(run, tried)
    assert verify("latest") == 2
    assert f"`qiltest compare {run.name} --variant VARIANT --with candidate`" in capsys.readouterr().err


class SameReader:
    """Returns what was read before."""

    def __init__(self, run):
        self.info = run.reader
        self.known = {result.image.path.name: result.reading for result in run.results}

    def read(self, image):
        return self.known[image.name]


def test_a_rescored_run_needs_no_report(suite, run):
    store, goldens = RunStore(root=suite.path / "runs"), GoldenStore(root=suite.path / "golden")
    reader = SameReader(suite.latest())
    after = rescore(suite.latest(), store=store, goldens=goldens, opener=lambda _: reader).after
    assert verify(after.id) == 0


def test_many_faults_are_counted_and_time_is_limited(suite, run):
    cases, goldens = load_cases(suite.path / "cases"), GoldenStore(root=suite.path / "golden")
    ticks = iter(range(0, 10_000, 4))
    found = verify_run(run, cases=cases, goldens=goldens, clock=lambda: next(ticks))
    assert found.faults[-1].what == "not verified within 8 s: it holds more than a run of its size does"
    assert not found.passes
    (run / "events.jsonl").write_bytes(b"{}\n" * 300)
    found = verify_run(run, cases=cases, goldens=goldens)
    assert (len(found.faults), found.more) == (100, 2)


def test_a_bundle_on_another_machine_is_verified_rescored_compared_and_reviewed(
    run, suite, tmp_path, monkeypatch, capsys
):
    """`tmp_path` has neither the suite's cases nor its goldens: all comes from the bundle."""
    bundle = tmp_path / "elsewhere" / "night"
    assert main(["report", str(run), "--bundle", str(bundle)]) == 0
    (suite.path / "golden").rename(suite.path / "gone")
    monkeypatch.chdir(bundle)
    capsys.readouterr()
    assert verify("latest") == 0
    assert "passes: complete, unchanged, every verdict PASS again" in capsys.readouterr().out
    stored = RunStore(root=bundle / "runs")
    known = stored.load("latest")
    reader = SameReader(known)
    again = rescore(known, store=stored, goldens=GoldenStore(root=bundle / "golden"), opener=lambda _: reader)
    assert again.passes
    assert main(["compare", run.name, "latest", "--report", "page.html"]) in {0, 1}
    assert main(["review", run.name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["items"] == []
    kept = next((bundle / "runs" / run.name / "images").iterdir())
    kept.unlink()
    assert verify(run.name) == 1
