"""`qiltest rescore`: images of a stored run, read again."""

import json
from dataclasses import replace

import pytest

import builders
from qiltest.cli.main import main
from qiltest.engine import rescore as module
from qiltest.engine.rescore import rescore
from qiltest.errors import CaseError, ReaderError
from qiltest.gate import Golden, GoldenStore, Verdict
from qiltest.gate.golden import GoldenText
from qiltest.reading import Reading
from qiltest.runs import RunStore, load_run
from qiltest.suite.cases import ReportVerdict


class StandinReader:
    """Reads what it was told, whatever the image."""

    def __init__(self, info, text="Qwen Coffee", bad=b""):
        self.info, self.text, self.bad = info, text, bad

    def read(self, image):
        if self.bad and self.bad in image.read_bytes():
            raise ReaderError("the image cannot be decoded", remedy="look at it")
        box = ((0.0, 0.0), (99.0, 0.0), (99.0, 9.0), (0.0, 9.0))
        line = replace(self.line, text=self.text, box=box, characters=())
        return Reading(reader=self.info, width=240, height=128, lines=(line,), seconds=0.1)


@pytest.fixture
def store(tmp_path):
    return RunStore(root=tmp_path / "runs")


@pytest.fixture
def goldens(tmp_path):
    return GoldenStore(root=tmp_path / "golden")


@pytest.fixture
def run(store, make):
    writer = store.create()
    make.write(writer, range(2))
    return load_run(writer.folder)


@pytest.fixture
def reader(make):
    StandinReader.line = make.reading().lines[0]
    return StandinReader(make.reading().reader)


def again(run, store, goldens, reader, **options):
    return rescore(run, store=store, goldens=goldens, opener=lambda _: reader, **options)


def golden(make, number, reader):
    text = GoldenText(expected="Qwen Coffee", read="Qwen Coffee", distance=0)
    return Golden(
        schema=3, case="coffee", size="1328x1328", variant="4step", seed=42 + number, model="tiny",
        effective="240x128", reader=reader.info.fingerprint, distance=0, distance_alnum=0, length=10, noise_floor=None,
        texts=(text,), extra=(), recipe_key="a" * 64, recipe={}, image="b" * 64,
        scene=builders.scene(None), small_copy="c" * 64,
    )  # fmt: skip


def test_a_reader_that_cannot_return_the_characters_gives_errors_and_no_distances(run, store, goldens, reader):
    reader.alphabet = frozenset("abc")
    result = again(run, store, goldens, reader)
    assert [c.distance for c in result.changes] == [(1, None), (1, None)]
    assert "cannot return Q w e n C o f of 'Qwen Coffee': not in its alphabet" in result.changes[0].error


@pytest.mark.parametrize(("model", "verdicts"), [("Qwen/Qwen-Image", {Verdict.FAIL}), ("tiny", {Verdict.NEW})])
def test_images_of_the_real_model_are_held_to_the_reports_marks(run, store, goldens, reader, model, verdicts):
    reader.text = "Qwen Cofee"
    (case,) = run.cases
    (here,) = case.resolutions
    marks = (ReportVerdict(variant="4step", passes=True),)
    marked = replace(
        case, resolutions=(replace(here, report=marks),), limits=replace(case.limits, absolute=None, from_report=True)
    )
    result = again(replace(run, model=model), store, goldens, reader, cases=(marked,))
    assert {each.verdict for each in result.after.results} == verdicts


def test_the_images_are_scored_again_into_a_run_of_their_own(run, store, goldens, reader):
    before = (run.path / "events.jsonl").read_bytes()
    result = again(run, store, goldens, reader)
    assert (run.path / "events.jsonl").read_bytes() == before
    assert result.after.id != run.id
    assert result.after.rescored_from == run.id
    assert [c.distance for c in result.changes] == [(1, 0), (1, 0)]
    assert result.changes[0].texts == (("Qwen Cofee", "Qwen Coffee"),)
    assert [r.image.path.read_bytes() for r in result.after.results] == [r.image.path.read_bytes() for r in run.results]
    assert [r.reused_from for r in result.after.results] == [run.id, run.id]


def test_nothing_moved_where_the_reading_is_the_same(run, store, goldens, reader):
    reader.text = "Qwen Cofee"
    result = again(run, store, goldens, reader)
    assert [change.distance for change in result.changes] == [(1, 1), (1, 1)]
    assert [change.texts for change in result.changes] == [(), ()]


def test_it_holds_where_every_image_passes_its_golden(run, store, goldens, reader, make):
    assert not again(run, store, goldens, reader).passes
    for number in range(2):
        goldens.save(golden(make, number, reader))
    result = again(run, store, goldens, reader)
    assert result.passes
    assert {r.verdict for r in result.after.results} == {Verdict.PASS}
    reader.text = "Qwen Toffee"
    result = again(run, store, goldens, reader)
    assert not result.passes
    assert {r.verdict for r in result.after.results} == {Verdict.FAIL}


def test_latency_is_carried_over_and_has_no_say(run, store, goldens, reader):
    result = again(run, store, goldens, reader).after.results[0]
    assert result.timing == run.results[0].timing
    assert result.latency.seconds == run.results[0].latency.seconds
    assert not result.latency.gates


def test_other_case_files_may_ask_for_other_texts(run, store, goldens, reader):
    case = run.cases[0]
    other = replace(case, texts=(replace(case.texts[0], text="Qwen Tea"),))
    result = again(run, store, goldens, reader, cases=[other])
    assert result.after.results[0].score.texts[0].expected == "Qwen Tea"
    assert result.after.cases == (other,)


def test_case_files_that_lack_a_case_of_the_run_are_refused(run, store, goldens, reader):
    with pytest.raises(CaseError, match="no case file for coffee, which the run has images of"):
        again(run, store, goldens, reader, cases=[replace(run.cases[0], id="tea")])
    with pytest.raises(CaseError, match="coffee"):
        again(run, store, goldens, reader, cases=[])


def test_a_damaged_image_does_not_hold_and_is_named(run, store, goldens, reader, make):
    for number in range(2):
        goldens.save(golden(make, number, reader))
    run.results[0].image.path.write_bytes(b"damaged")
    result = again(load_run(run.path), store, goldens, reader)
    assert not result.passes
    assert "quarantine" in result.before.problems[0]
    assert [change.verdict[1] for change in result.changes] == ["MISSING", "PASS"]


def test_an_image_that_cannot_be_read_is_an_error_and_the_others_go_on(run, store, goldens, reader):
    reader.bad = run.results[1].image.path.read_bytes()
    result = again(run, store, goldens, reader)
    assert not result.passes
    assert [change.verdict[1] for change in result.changes] == ["NEW", "ERROR"]
    assert "cannot be decoded" in result.changes[1].error


@pytest.fixture
def command(run, store, goldens, reader, make, monkeypatch):
    """`qiltest rescore` on the run, with the stand-in reader and goldens that fit it."""
    for number in range(2):
        goldens.save(golden(make, number, reader))
    monkeypatch.setattr(module, "open_reader", lambda _: reader)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *args: main(["rescore", *args, "--runs", str(store.root), "--golden", str(goldens.root)])


def test_the_command_says_what_changed_and_where_the_new_run_is(command, store, capsys):
    assert command("latest") == 0
    out = capsys.readouterr().out
    assert "coffee@1328x1328-4step-s43" in out
    assert "1 -> 0" in out
    assert "'Qwen Cofee' -> 'Qwen Coffee'" in out
    assert str(store.folders()[-1]) in out


def test_the_command_returns_1_where_images_of_the_run_are_missing(command, store, make, capsys):
    """Three of six: what is there passes, and nobody has seen the rest."""
    with store.create() as writer:
        writer.append(make.started(writer.id, images=6))
        for number in range(2):
            writer.append(make.generated(writer.put(make.png(number)), number))
            writer.append(make.judged(number))
        writer.append(make.generated(writer.put(make.png(2)), 2))
    assert command(writer.id) == 1
    out = capsys.readouterr().out
    assert f"run {writer.id} has no image of 3 of 6 planned images" in out
    after = store.load("latest")
    assert (after.exit_status, len(after.results)) == (1, 6)
    assert [str(result.verdict) for result in after.results] == ["PASS", "PASS", "NEW", *["MISSING"] * 3]
    assert after.results[5].judgement.reasons[0] == f"no verdict: run {writer.id} has no image of it"


def test_a_rescored_run_ends_with_what_it_says(command, store, reader):
    command("latest")
    assert store.load("latest").exit_status == 0
    reader.text = "Qwen Toffee"
    command("latest")
    assert store.load("latest").exit_status == 1


def test_the_command_returns_1_where_an_image_does_not_hold(command, reader):
    reader.text = "Qwen Toffee"
    assert command("latest") == 1


def test_the_command_gives_json(command, run, capsys):
    assert command(run.id, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["rescored_from"] == run.id
    assert record["passes"] is True
    assert record["images"][0]["distance"] == {"before": 1, "after": 0}
    assert record["images"][0]["verdict"] == {"before": "FAIL", "after": "PASS"}


def test_text_from_images_is_no_markup_and_no_control_sequence(command, reader, capsys):
    reader.text = "Qwen [b]Cof\x1bfee"
    assert command("latest") == 1
    out = capsys.readouterr().out
    assert "Qwen [b]Cof" in out
    assert "\x1b" not in out


def test_a_run_that_does_not_exist_is_used_wrongly(command, capsys):
    assert command("nothing") == 2
    assert "no run 'nothing'" in capsys.readouterr().err
