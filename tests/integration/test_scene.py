"""An image whose scene is gone or replaced fails whatever its text says: sessions, reports, rescore, verify, review."""

import io
import json
import shlex
from dataclasses import asdict, replace

import pytest

from qiltest.cli.main import main
from qiltest.engine.rescore import rescore
from qiltest.gate import GoldenStore, Verdict
from qiltest.gate.small_copy import SmallCopies
from qiltest.quality.scene import Scene
from qiltest.runs import RunStore, RunWriter
from qiltest.runs.events import Judged
from qiltest.runs.load import EVENTS, read_events
from qiltest.runs.readings import reading_digest

SAMPLE = "coffee@1328x1328-fast-s42"
NAME = "tiny/coffee@1328x1328/fast-s42"
GONE = "the scene is gone: nothing but text on a plain page (structure 0.00 of the golden's)"
REPLACED = "the scene is replaced: colours and textures outside the text are "


@pytest.fixture
def street(suite, monkeypatch):
    """A suite whose golden of one image has a scene; the images of the next run have none."""
    suite.plan(coffee__fast={"scene": 1})
    suite.record()
    suite.plan()
    monkeypatch.chdir(suite.path)
    return suite


def golden(suite):
    return json.loads((suite.path / "golden" / f"{NAME}.json").read_text())


def copy(suite):
    return (suite.path / "golden" / f"{NAME}.webp").read_bytes()


def test_a_page_in_the_scenes_place_fails_although_its_text_is_right(street):
    result = street.run()
    result.assert_outcomes(passed=3, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"FAIL *{GONE.replace('(', '[(]')}", "accept * --qil-update=changed --qil-accept=*"])
    failed = street.latest().result(SAMPLE)
    assert (failed.verdict, failed.score.distance, failed.judgement.reasons) == (Verdict.FAIL, 0, (GONE,))
    assert failed.health.scene.structure[0] < 0.1 < failed.golden.scene.structure[0]


def test_another_scene_fails_and_another_of_its_kind_passes(suite):
    suite.plan(coffee__fast={"scene": 2}, poster__fast={"scene": 2})
    suite.record()
    suite.plan(coffee__fast={"scene": 3}, poster__fast={"scene": 1})
    result = suite.run()
    result.assert_outcomes(passed=3, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"FAIL *{REPLACED}*from the golden's (limit 5.5), and they lie otherwise*"])
    assert suite.latest().result("poster@1328x1328-fast-s42").verdict is Verdict.FAIL
    assert suite.latest().result(SAMPLE).verdict is Verdict.PASS


def test_a_case_that_reports_quality_says_it_and_passes(street):
    path = street.path / "cases" / "coffee.toml"
    path.write_text(path.read_text() + '\n[limits]\nquality = "report"\n')
    assert street.run().ret == 0
    found = street.latest().result(SAMPLE)
    assert (found.verdict, found.judgement.reasons) == (Verdict.PASS, (f"not counted: {GONE}",))


def test_a_page_without_a_golden_is_named_and_new(suite):
    result = suite.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["NEW * no golden for this image yet", "*note: the image shows nothing but text on a plain page"]
    )
    suite.plan(coffee__fast={"scene": 1})
    suite.run()
    assert suite.latest().result(SAMPLE).judgement.reasons == ("no golden for this image yet",)


def test_it_is_in_every_report(street):
    street.run("--junitxml=junit.xml")
    assert GONE in (street.path / "junit.xml").read_text()
    assert main(["report", "latest", "--output", "out.html"]) == 0
    page = (street.path / "out.html").read_text()
    assert GONE.replace("'", "&#39;") in page
    assert "<dt>structure outside text</dt>" in page
    assert "<dt>text covers</dt>" in page
    assert main(["report", "latest", "--format", "json", "--output", "out.json"]) == 0
    images = {image["id"]: image for image in json.loads((street.path / "out.json").read_text())["images"]}
    assert images[SAMPLE]["reasons"] == [GONE]
    assert images[SAMPLE]["health"]["scene"]["text"] > 0


# goldens


def test_an_update_does_not_accept_a_lost_scene_that_nobody_has_seen(street):
    before = golden(street), copy(street)
    for update in ("changed", "all"):
        result = street.run(f"--qil-update={update}")
        result.assert_outcomes(passed=3, failed=1)
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        result.stdout.fnmatch_lines([f"note *golden not recorded: {GONE.replace('(', '[(]')}"])
        assert golden(street) == before[0]
    assert copy(street) == before[1]


def test_the_command_that_the_failure_prints_accepts_it(street):
    before = copy(street)
    line = next(line for line in street.run().outlines if line.startswith("accept"))
    program, *args = shlex.split(line.removeprefix("accept"))
    assert program == "pytest"
    assert street.run(*args).ret == 0
    assert golden(street)["scene"]["structure"][0] < 0.1
    assert copy(street) != before
    assert street.run().ret == 0


def test_a_changed_golden_is_only_one_whose_text_or_scene_changed(street):
    street.plan(coffee__fast={"scene": 1})
    stamp = (street.path / "golden" / f"{NAME}.json").stat().st_mtime_ns
    assert street.run("--qil-update=changed").ret == 0
    assert (street.path / "golden" / f"{NAME}.json").stat().st_mtime_ns == stamp


def test_a_golden_keeps_scene_and_small_copy_of_its_image(street):
    found = street.run("--qil-update=all")
    found.assert_outcomes(passed=3, failed=1)
    store = GoldenStore(root=street.path / "golden")
    copies = SmallCopies(goldens=store)
    for result in street.latest().results:
        kept = store.load("tiny", result.sample)
        assert isinstance(kept.scene, Scene)
        assert copies.open(kept).shape == (128, 256, 3)
        assert copies.path(kept).stat().st_size <= 40_000
        if result.id != SAMPLE:
            assert kept.scene == result.health.scene


def test_a_small_copy_that_is_missing_or_another_is_named_and_nothing_fails(street):
    street.plan(coffee__fast={"scene": 1})
    path = street.path / "golden" / f"{NAME}.webp"
    for break_it, what in (
        (path.unlink, "the small copy of the golden's image is missing"),
        (
            lambda: path.write_bytes(b"x"),
            "the small copy of the golden's image is not the one that was recorded with it",
        ),
    ):
        break_it()
        assert street.run().ret == 0
        assert street.latest().result(SAMPLE).notes == (
            f"{what} -> restore it with `git checkout`, or record the golden again with --qil-update=all",
        )
    assert street.run("--qil-update=all").ret == 0
    assert street.run().ret == 0
    assert street.latest().result(SAMPLE).notes == ()


def test_a_small_copy_without_its_golden_fails_a_full_run(street):
    street.plan(coffee__fast={"scene": 1})
    path = street.path / "golden" / "tiny/tea@1328x1328/fast-s42.webp"
    path.parent.mkdir()
    path.write_bytes(copy(street))
    result = street.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [f"*unused small copy *{path.name}: no golden lies beside it", "*remove the file, or restore the golden"]
    )


def test_a_golden_whose_scene_is_of_another_version_does_not_pass(street):
    street.plan(coffee__fast={"scene": 1})
    record = golden(street)
    record["scene"]["version"] = 99
    (street.path / "golden" / f"{NAME}.json").write_text(json.dumps(record))
    result = street.run()
    result.assert_outcomes(passed=3, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "INCOMPARABLE *scene was measured by version 99, this image's by version 1: record the golden again",
        ]
    )
    assert street.run("--qil-update=changed").ret == 0
    assert street.run().ret == 0


# releases


def test_a_release_whose_image_lost_its_scene_does_not_ship(suite, monkeypatch, capsys):
    monkeypatch.chdir(suite.path)
    suite.plan(coffee__fast={"scene": 1})
    suite.run()
    before = suite.latest().id
    suite.plan()
    suite.run()
    capsys.readouterr()
    assert main(["compare", before, "latest"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "DO NOT SHIP" in out
    why = GONE.replace("golden", "former image")
    assert f"1 of 2 images lost their scene: coffee@1328x1328-s42: {why}" in out


# stored runs


def test_rescore_measures_and_judges_it_again(street):
    street.plan(coffee__fast={"scene": 1})
    street.run()
    good = street.latest()
    street.plan()
    street.run()
    bad = street.latest()
    for run, verdict, reasons in ((good, Verdict.PASS, ()), (bad, Verdict.FAIL, (GONE,))):
        after = rescored(run)
        assert (after.verdict, after.judgement.reasons) == (verdict, reasons)
        assert after.health == run.result(SAMPLE).health


def rescored(run):
    """The sample of a run, read again by what it read the first time."""

    class Reader:
        info = run.result(SAMPLE).reading.reader

        def read(self, path):
            return next(each.reading for each in run.results if each.image.path.name == path.name)

    store, goldens = RunStore(root=run.path.parent), GoldenStore(root=run.path.parents[1] / "golden")
    return rescore(run, store=store, goldens=goldens, opener=lambda _: Reader()).after.result(SAMPLE)


def rewritten(run, change):
    """Write a run anew, with its chain and digests, as `change` makes each event."""
    events, _ = read_events(run)
    (run / EVENTS).unlink()
    with RunWriter(run) as writer:
        for event in events:
            writer.append(change(event))


def with_scene(event, scene):
    if not isinstance(event, Judged) or event.sample.id != SAMPLE:
        return event
    return replace(event, health=replace(event.health, scene=scene))


def test_verify_judges_the_stored_scene_again(street, capsys):
    street.plan(coffee__fast={"scene": 1})
    assert street.run().ret == 0
    assert main(["verify", "latest"]) == 0
    run = street.latest().path
    page = street.latest().result("coffee@1328x1328-base-s42").health.scene
    rewritten(run, lambda event: with_scene(event, page))
    assert main(["verify", "latest"]) == 1
    assert f"{SAMPLE}: stored as PASS, now FAIL: {GONE}" in capsys.readouterr().out


def test_verify_refuses_a_scene_that_was_not_measured_or_by_another_version(street, capsys):
    street.plan(coffee__fast={"scene": 1})
    street.run()
    run = street.latest().path
    scene = street.latest().result(SAMPLE).health.scene
    for other, how in ((None, "not measured"), (replace(scene, version=7), "measured by version 7")):
        rewritten(run, lambda event, other=other: with_scene(event, other))
        assert main(["verify", "latest"]) == 1
        said = f"{SAMPLE}: its scene was {how}; version 1 of the measures is compared -> run the suite again"
        assert said in capsys.readouterr().out


def test_the_digest_of_a_reading_binds_the_scene_to_it(street):
    street.run()
    run = street.latest()
    result = run.result(SAMPLE)
    digests = {
        reading_digest(result.reading, replace(result.health, scene=scene), image=result.image.sha256)
        for scene in (result.health.scene, replace(result.health.scene, text=0.5), None)
    }
    assert len(digests) == 3


def test_review_shows_a_lost_scene_and_accepts_it_with_its_small_copy(street, capsys, monkeypatch):
    street.run()
    before = copy(street)
    capsys.readouterr()
    assert main(["review", "--json"]) == 1
    (item,) = json.loads(capsys.readouterr().out)["items"]
    assert (item["sample"], item["change"]) == (SAMPLE, "CHANGED")
    assert GONE in item["differences"]
    assert copy(street) == before
    # nobody has looked at it
    assert main(["review", "--accept-all"]) == 1
    assert f"{SAMPLE}: not accepted with the others: {GONE}" in capsys.readouterr().out
    assert copy(street) == before
    monkeypatch.setattr("sys.stdin", Terminal("a\n"))
    assert main(["review"]) == 0
    shown = capsys.readouterr().out
    assert shown.count(GONE) == 1
    assert "--accept-all leaves this image to you" in shown
    assert copy(street) != before
    assert golden(street)["scene"] == json.loads(json.dumps(asdict(street.latest().result(SAMPLE).health.scene)))
    assert main(["review", "--accept-all"]) == 0
    assert street.run().ret == 0


def test_review_of_a_run_of_before_scenes_measures_them(street, monkeypatch):
    street.run()
    run, scene = street.latest().path, street.latest().result(SAMPLE).health.scene
    rewritten(run, lambda event: with_scene(event, None))
    monkeypatch.setattr("sys.stdin", Terminal("a\n"))
    assert main(["review"]) == 0
    assert golden(street)["scene"] == json.loads(json.dumps(asdict(scene)))


def test_rejecting_what_an_update_recorded_puts_golden_and_small_copy_back(street, capsys, monkeypatch):
    street.plan(coffee__fast={"scene": 1})
    street.run()  # its image is stored: the goldens' runs were removed
    before = golden(street), copy(street)
    street.plan()
    line = next(line for line in street.run().outlines if line.startswith("accept"))
    street.run(*shlex.split(line.removeprefix("accept"))[1:])
    assert golden(street) != before[0]
    monkeypatch.setattr("sys.stdin", Terminal("r\n"))
    assert main(["review"]) == 1
    assert (golden(street), copy(street)) == before


def test_where_the_image_before_is_gone_rejecting_leaves_a_copy_that_is_named(street, monkeypatch):
    before = golden(street)
    line = next(line for line in street.run().outlines if line.startswith("accept"))
    street.run(*shlex.split(line.removeprefix("accept"))[1:])
    monkeypatch.setattr("sys.stdin", Terminal("r\n"))
    main(["review"])
    assert golden(street) == before
    store = GoldenStore(root=street.path / "golden")
    kept = store.load("tiny", street.latest().result(SAMPLE).sample)
    assert "is not the one that was recorded with it" in SmallCopies(goldens=store).fault(kept)


class Terminal(io.StringIO):
    """Standard input at which a person types."""

    def isatty(self):
        return True
