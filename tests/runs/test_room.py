"""A run that holds more than there is room for: the worst images are kept in full, all others in brief."""

import hashlib
import json
from dataclasses import replace

import pytest

import builders
from qiltest.errors import StoreError
from qiltest.gate.verdict import Verdict
from qiltest.runs import RunStore, RunWriter, load_run
from qiltest.runs import room as measures
from qiltest.runs.lines import DAMAGED, EVENTS
from qiltest.runs.room import BRIEF, Room, in_brief

DISTANCES = (0, 9, 1, 4)
WORST = 1


@pytest.fixture
def run(tmp_path, make):
    """Four images, of which the second is the worst; each was noted of twice."""
    folder = tmp_path / "runs" / "run"
    folder.mkdir(parents=True)
    with RunWriter(folder) as writer:
        writer.append(make.started(writer.id, len(DISTANCES)))
        for number, distance in enumerate(DISTANCES):
            writer.append(make.generated(writer.put(make.png(number)), number, notes=("generated twice",)))
            verdict = Verdict.FAIL if distance else Verdict.PASS
            judged = builders.judgement(verdict, distance=distance, limit=0, golden_distance=0, noise_floor=0.0)
            score = replace(make.score(), distance=distance)
            writer.append(make.judged(number, judgement=judged, score=score, notes=("read twice",)))
        writer.append(make.ended())
    return folder


def lines(run):
    return (run / EVENTS).read_bytes().splitlines()


def weight(run, *numbers):
    """Bytes of the records of these images: an image has two lines after the first one."""
    stored = lines(run)
    return sum(measures._bytes_of(stored[1 + 2 * n]) + measures._bytes_of(stored[2 + 2 * n]) for n in numbers)


def room_for(run, *numbers, **fields):
    """Room for these images in full, and for all in brief."""
    return Room(most=weight(run, *numbers) + BRIEF * len(DISTANCES), **fields)


def forged(run, number, change):
    """Change one line and compute the chain anew."""
    before, out = "", []
    for place, line in enumerate(lines(run)):
        record = json.loads(line)
        if place == number:
            change(record)
        record["before"] = before
        out.append(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode())
        before = hashlib.sha256(out[-1]).hexdigest()
    (run / EVENTS).write_bytes(b"\n".join(out) + b"\n")


def refused(run, room):
    with pytest.raises(StoreError) as error:
        load_run(run, room=room)
    return error.value


def test_a_run_that_fits_is_read_as_one_without_a_limit(run):
    assert load_run(run, room=Room()) == load_run(run)
    assert not any(result.brief for result in load_run(run, room=Room()).results)


@pytest.mark.parametrize("kept", [(), (WORST,), (WORST, 3)])
def test_the_worst_images_are_kept_in_full_and_the_others_in_brief(run, kept):
    whole = load_run(run)
    found = load_run(run, room=room_for(run, *kept))
    assert found.results == tuple(
        result if number in kept else in_brief(result) for number, result in enumerate(whole.results)
    )
    assert replace(found, results=()) == replace(whole, results=())


def test_what_is_wanted_comes_before_what_is_worse(run, make):
    found = load_run(run, room=room_for(run, WORST, wanted=lambda sample: sample == make.sample(0)))
    assert [result.brief for result in found.results] == [False, True, True, True]


def test_a_store_reads_a_run_within_the_room_that_is_given(run):
    store = RunStore(root=run.parent)
    assert [one.brief for one in store.load("run", room=room_for(run)).results] == [True] * 4
    assert [one.brief for one in store.load("run").results] == [False] * 4


@pytest.mark.parametrize("all_in_brief", [False, True])
def test_a_damaged_line_is_named_whether_it_is_read_in_full_or_in_brief(run, all_in_brief):
    forged(run, 2, lambda record: record.update(golden_recorded="yes"))
    error = refused(run, Room(most=0) if all_in_brief else Room())
    assert error.what.startswith("invalid judged event: golden_recorded: ")
    assert (error.where, error.remedy) == (f"{run / EVENTS}:3", DAMAGED)


def test_more_lines_than_a_run_of_its_images_has_are_refused_by_the_line_that_is_too_many(run, monkeypatch):
    monkeypatch.setattr(measures, "_LINES", 1)
    monkeypatch.setattr(measures, "_LINES_PER_IMAGE", 1)
    error = refused(run, Room())
    assert error.what == "more lines than a run of 4 images has"
    assert (error.where, error.remedy) == (f"{run / EVENTS}:6", "trust none of it; run the suite again")


def test_a_run_that_goes_while_it_is_read_says_what_to_do(run):
    def gone(sample):
        (run / EVENTS).unlink(missing_ok=True)
        return True

    error = refused(run, room_for(run, WORST, wanted=gone))
    assert error.what == "the run cannot be read again: No such file or directory"
    assert (error.where, error.remedy) == (str(run / EVENTS), "leave the run alone while it is read")


def test_a_line_that_changes_while_the_run_is_read_is_named(run):
    stored = lines(run)

    def changed(sample):
        junk = [*stored[:3], b"x" * len(stored[3]), *stored[4:]]
        (run / EVENTS).write_bytes(b"\n".join(junk) + b"\n")
        return True

    assert refused(run, room_for(run, WORST, wanted=changed)).where == f"{run / EVENTS}:4"
