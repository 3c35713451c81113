"""What the run store says where it refuses, and what it keeps of each event: place, message and remedy."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from qiltest.errors import StoreError
from qiltest.gate.verdict import Judgement, Verdict
from qiltest.runs import RunState, RunStore, RunWriter, Stored, load_run
from qiltest.runs import images as storing
from qiltest.runs.events import Ended, Generated, Started, decode, encode, now
from qiltest.runs.images import ImageState, StoreWriteError, check_image, image_path, put_image
from qiltest.runs.load import EVENTS, read_events
from qiltest.runs.merge import merge_runs
from qiltest.runs.store import is_active, usable

DAMAGED = "the file was changed or damaged after it was written: restore it, or move the run's folder away"


@pytest.fixture
def run(tmp_path, make):
    folder = tmp_path / "run"
    folder.mkdir()
    make.write(RunWriter(folder), range(2))
    return folder


def refused(call, *args, **fields):
    with pytest.raises(StoreError) as error:
        call(*args, **fields)
    return error.value


def test_the_time_of_events_is_utc_to_the_millisecond():
    told = datetime.fromisoformat(now())
    assert told.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - told) < timedelta(seconds=60)
    assert len(now()) == len("2026-11-23T02:00:00.000+00:00")


def test_a_number_that_is_not_finite_is_refused_before_it_is_written(make):
    event = make.generated("a" * 64)
    error = refused(encode, replace(event, timing=replace(event.timing, decode_seconds=float("nan"))))
    assert error.what.startswith("a number of a generated event is not finite (")
    assert error.remedy == "the image's timing or score is invalid; nothing was written"


def test_a_line_is_one_line_whatever_is_in_it(make):
    line = encode(make.failed(error="a\nb\u2028c\u2029d 咖啡"))
    assert line.count(b"\n") == 1
    assert line.endswith(b"}\n")
    assert line.startswith(b'{"event":"failed","line":1,"before":"","at":"')
    assert b"\\u2028c\\u2029d" in line
    assert "咖啡".encode() in line
    assert decode(line, where="here").error == "a\nb\u2028c\u2029d 咖啡"


def test_a_line_that_is_no_event_names_its_place(make):
    for junk in (b"[]", b'{"event":"danced"}', b'{"at":1}'):
        error = refused(decode, junk, where="file:7")
        assert (error.what, error.where, error.remedy) == ("not an event of a run", "file:7", DAMAGED)
    for junk, why in ((b"{", "Invalid JSON: "), (b'{"event":"ended","at":"a","at":"b"}', "duplicate key 'at'")):
        error = refused(decode, junk, where="file:7")
        assert error.what.startswith(f"not an event of a run: {why}")
    line = encode(make.ended()).replace(b'"exit_status":1', b'"exit_status":"1"')
    error = refused(decode, line, where="file:8")
    assert error.what == "invalid ended event: exit_status: Input should be a valid integer"
    assert (error.where, error.remedy) == ("file:8", DAMAGED)


def test_a_damaged_line_is_named_by_its_number(run):
    path = run / EVENTS
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], b"junk", *lines[2:]]))
    assert refused(read_events, run).where == f"{path}:2"


def test_only_the_kinds_that_are_asked_for_are_read(run):
    events, problems = read_events(run, only=(Started, Ended))
    assert [type(event) for event in events] == [Started, Ended]
    assert problems == ()
    assert [type(event) for event in read_events(run, only=(Generated,))[0]] == [Generated, Generated]
    (run / EVENTS).write_bytes((run / EVENTS).read_bytes() + b"half")
    assert len(read_events(run)[0]) == 7
    assert read_events(run)[1] == (
        f"{run / EVENTS}: the last line is incomplete and was left out: the process died while writing it",
    )


def test_what_is_no_run_says_so_with_its_place(tmp_path, run, make):
    error = refused(load_run, tmp_path / "nowhere")
    assert error.what == "not a run: No such file or directory"
    assert error.where == str(tmp_path / "nowhere")
    assert error.remedy == "name a folder that has an events.jsonl"
    (run / EVENTS).write_bytes(b"")
    error = refused(load_run, run)
    assert (error.what, error.where) == ("the run never began", str(run))
    assert error.remedy == "remove the folder; there is nothing in it"
    (run / EVENTS).write_bytes(encode(make.ended()))
    assert refused(load_run, run).what == "the run never began"
    (run / EVENTS).write_bytes(encode(make.started("x", schema=99)))
    error = refused(load_run, run)
    assert error.what == "the run has schema 99; this qiltest reads schema 3"
    assert (error.where, error.remedy) == (str(run), "read it with the qiltest that wrote it (0.1.0)")


def test_a_failure_keeps_what_was_read_and_adds_its_notes(tmp_path, make):
    folder = tmp_path / "run"
    folder.mkdir()
    with RunWriter(folder) as writer:
        writer.append(make.started(writer.id))
        writer.append(make.generated(writer.put(make.png()), notes=("generated twice",)))
        writer.append(replace(make.failed(), reading=make.reading()))
        writer.append(make.failed(1))
        writer.append(make.judged(2, golden_recorded=True, latency_recorded=True))
    first, second, third = load_run(folder).results
    assert (first.error, first.reading, first.notes) == (
        "out of memory",
        make.reading(),
        ("generated twice", "tried twice"),
    )
    assert first.image is not None
    assert (second.sample, second.error, second.reading, second.notes) == (
        make.sample(1),
        "out of memory",
        None,
        ("tried twice",),
    )
    assert (third.sample, third.score, third.golden_recorded, third.latency_recorded) == (
        make.sample(2),
        make.score(),
        True,
        True,
    )


def test_results_stand_in_the_planned_order_and_strangers_last(tmp_path, make):
    folder = tmp_path / "run"
    folder.mkdir()
    with RunWriter(folder) as writer:
        writer.append(make.started(writer.id, 2))
        for number in (7, 1, 0):
            writer.append(make.judged(number))
    assert [result.sample for result in load_run(folder).results] == [make.sample(0), make.sample(1), make.sample(7)]


def test_an_image_that_is_gone_or_changed_is_told_by_its_path(run, make):
    lost, changed = (result.image.path for result in load_run(run).results)
    lost.unlink()
    changed.write_bytes(b"other")
    found = load_run(run)
    gone = f"the stored image {lost} is missing"
    other = (
        f"the bytes of the stored image {changed.name} do not match its name; it was moved to "
        f"{run / 'quarantine' / changed.name}"
    )
    assert [result.error for result in found.results] == [gone, other]
    assert [result.image for result in found.results] == [None, None]
    assert found.problems == (f"{make.sample(0).id}: {gone}", f"{make.sample(1).id}: {other}", "a golden is unused")


def test_a_name_that_is_no_hash_is_refused(tmp_path):
    error = refused(image_path, tmp_path, "../x")
    assert error.what == "invalid SHA-256 '../x'"
    assert (error.where, error.remedy) == (str(tmp_path), "the run's events.jsonl is damaged")
    assert image_path(tmp_path, "a" * 64) == tmp_path / "images" / f"{'a' * 64}.png"


def test_an_image_that_cannot_be_stored_ends_the_session_with_a_remedy(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storing, "write_atomically", full)
    with pytest.raises(StoreWriteError) as error:
        put_image(tmp_path, b"png")
    assert error.value.what == "the image cannot be stored: No space left on device"
    assert error.value.where == str(tmp_path / "images")
    assert error.value.remedy == storing.CANNOT_WRITE


def test_an_event_that_cannot_be_written_leaves_the_file_as_it_was(run, make, monkeypatch):
    writer = RunWriter(run)
    before = (run / EVENTS).read_bytes()
    monkeypatch.setattr("qiltest.runs.writer.os.write", lambda file, line: len(line) - 3)
    with pytest.raises(StoreWriteError) as error:
        writer.append(make.ended())
    length = len(encode(make.ended(), line=8, before="0" * 64))
    assert error.value.what == (
        f"the event cannot be written: No space left on device: only {length - 3} of {length} bytes were written"
    )
    assert error.value.where == str(run / EVENTS)
    assert (
        error.value.remedy
        == storing.CANNOT_WRITE
        == ("free disk space, or choose another folder with --qil-runs; then repeat the command to resume")
    )
    assert (run / EVENTS).read_bytes() == before
    writer.close()
    writer.close()


def test_a_run_is_active_while_it_is_written(run):
    assert not is_active(run)
    with RunWriter(run) as writer:
        assert writer.id == "run"
        assert is_active(run)
    assert not is_active(run)


def test_a_run_that_is_not_found_names_the_last_three(tmp_path, make):
    store = RunStore(root=tmp_path / "runs")
    error = refused(store.find, "x")
    assert (error.what, error.where) == ("no runs here", str(tmp_path / "runs"))
    assert error.remedy == "run pytest first, or give the folder of runs as --runs"
    names = []
    for _ in range(4):
        with store.create() as writer:
            writer.append(make.started(writer.id))
            names.append(writer.id)
    assert refused(store.find, "x").remedy == f"write `latest` or an id; the last ids: {', '.join(names[1:])}"
    assert refused(store.find, "2").what == "4 runs begin with '2'"


def test_runs_that_cannot_be_made_name_their_folder(tmp_path):
    (tmp_path / "file").write_text("")
    error = refused(RunStore(root=tmp_path / "file").create)
    assert error.what.startswith("no run can be written: ")
    assert (error.where, error.remedy) == (str(tmp_path / "file"), "choose another folder with --qil-runs")


def test_a_changed_image_is_never_used_again_in_silence(run):
    events, _ = read_events(run, only=(Generated,))
    stored = Stored(run=run, generated=events[0])
    assert usable(stored)
    stored.path.write_bytes(b"other")
    error = refused(usable, stored)
    assert error.where == str(run)
    assert error.remedy == "find out what changed the file; repeat the command to generate it again"
    assert not usable(stored)
    assert check_image(run, events[0].sha256) is ImageState.QUARANTINED


def merged(run, *changes):
    return merge_runs([replace(run, **change) for change in changes])


def test_merged_runs_hold_what_each_of_them_says(run):
    one = load_run(run)
    ended = {"started": "2", "finished": "3", "exit_status": 0}
    later = {"started": "1", "finished": "4", "exit_status": 1}
    found = merged(
        one,
        {"id": "b", "device": "cuda", "full": False, "problems": ("y",), **ended},
        {"id": "a", "device": "cpu", "full": True, "problems": ("x",), **later},
    )
    assert (found.id, found.device, found.full) == ("a+b", "cpu + cuda", True)
    assert (found.started, found.finished, found.exit_status, found.problems) == ("1", "4", 1, ("x", "y"))
    open_end = merged(one, {"finished": None, "exit_status": None, "state": RunState.UNFINISHED}, {"id": "z"})
    assert (open_end.finished, open_end.exit_status, open_end.state) == (None, None, RunState.UNFINISHED)


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        (Verdict.FAIL, Verdict.ERROR),
        (Verdict.ERROR, Verdict.MISSING),
        (Verdict.MISSING, Verdict.INCOMPARABLE),
        (Verdict.INCOMPARABLE, Verdict.NEW),
        (Verdict.NEW, Verdict.PASS),
    ],
)
def test_what_speaks_most_against_an_image_stands(run, worse, better):
    one = load_run(run)
    first = one.results[0]

    def with_verdict(verdict):
        judgement = Judgement(verdict=verdict, reasons=("r",), distance=1, limit=0, golden_distance=0, noise_floor=None)
        return {"results": (replace(first, judgement=judgement, latency=None),)}

    for changes in ((with_verdict(worse), with_verdict(better)), (with_verdict(better), with_verdict(worse))):
        (result,) = merged(one, *changes).results
        assert result.verdict is worse


def test_runs_of_two_models_say_which(run):
    one = load_run(run)
    error = refused(merged, one, {"model": "tiny"}, {"model": "random"})
    assert error.what == "runs of different models cannot be merged: random, tiny"
    assert error.where == f"{run}, {run}"
    assert error.remedy == "merge runs of one model"
    case = replace(one.cases[0], prompt="other")
    error = refused(merged, one, {}, {"cases": (case,)})
    assert error.what == "coffee differs between the runs"
    assert error.where == "merging runs"
    assert error.remedy == "compare runs of one suite; `qiltest rescore --cases` scores old images by new cases"
