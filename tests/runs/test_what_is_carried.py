"""What a run's events hold reaches the loaded, the merged and the reused run: nothing is dropped on the way."""

import errno
import os
from dataclasses import replace
from datetime import UTC, datetime

import pytest

import builders
from qiltest.errors import StoreError
from qiltest.gate.verdict import Judgement, Verdict
from qiltest.runs import RunState, RunStore, RunWriter, load_run
from qiltest.runs import store as storing
from qiltest.runs.events import decode, encode
from qiltest.runs.images import check_image, image_path, link_image
from qiltest.runs.merge import merge_runs
from qiltest.runs.store import readings_of

GOLDEN = builders.golden(effective="240x128", recipe={"torch": "2.11"})
HEALTH = replace(builders.HEALTHY, noise_fine=0.5, blur=None, halo=None)


def written(folder, make, *events, **started):
    """A run of one image and these events after it."""
    folder.mkdir()
    with RunWriter(folder) as writer:
        writer.append(make.started(writer.id, images=1, **started))
        sha256 = writer.put(make.png())
        writer.append(make.generated(sha256, notes=("generated twice",)))
        for event in events:
            writer.append(event)
        writer.append(make.ended())
    return folder


def judged_as(make, verdict, distance):
    judgement = Judgement(
        verdict=verdict, reasons=("why",), distance=distance, limit=0, golden_distance=None, noise_floor=None
    )
    return make.judged(judgement=judgement, score=replace(make.score(), distance=distance))


def test_all_that_was_judged_is_in_the_result(tmp_path, make):
    event = make.judged(health=HEALTH, golden=GOLDEN, read_in="another-run", notes=("read twice",))
    (result,) = load_run(written(tmp_path / "run", make, event)).results
    assert (result.health, result.golden, result.read_in) == (HEALTH, GOLDEN, "another-run")
    assert result.notes == ("generated twice", "read twice")


def test_what_failed_keeps_what_was_measured(tmp_path, make):
    event = replace(make.failed(), health=HEALTH, reading=make.reading())
    (result,) = load_run(written(tmp_path / "run", make, event)).results
    assert (result.health, result.reading, result.error) == (HEALTH, make.reading(), "out of memory")
    assert result.notes == ("generated twice", "tried twice")


def test_a_run_that_ended_says_when(tmp_path, make):
    assert load_run(written(tmp_path / "run", make)).finished == make.ended().at


def test_merged_runs_carry_what_each_was_made_with(tmp_path, make):
    other = replace(make.started("x").reader, version="2")
    one = load_run(written(tmp_path / "one", make, rescored_from="r1"))
    two = load_run(
        written(
            tmp_path / "two", make, qiltest_version="0.2.0", device_name="an H100", versions=(("peft", "0.21"),),
            reader=other, rescored_from="r2",
        )
    )  # fmt: skip
    for both in (merge_runs([one, two]), merge_runs([two, one])):
        assert (both.qiltest_version, both.device_name) == ("0.1.0 + 0.2.0", "a CPU + an H100")
        assert (both.versions, both.rescored_from) == ((("peft", "0.21"), ("torch", "2.14.1")), "r1 + r2")
        assert both.reader == min(one.reader, other, key=lambda reader: reader.fingerprint)
        assert both.variants == one.variants
        assert [variant.name for variant in both.variants] == ["4step"]


def test_of_merged_readers_the_fingerprint_decides_whichever_run_is_first(tmp_path, make):
    readers = [replace(make.started("x").reader, version=str(n)) for n in range(4)]
    runs = [load_run(written(tmp_path / str(n), make, reader=reader)) for n, reader in enumerate(readers)]
    least = min(readers, key=lambda reader: reader.fingerprint)
    assert {merge_runs([runs[n], runs[n - 1]]).reader for n in range(4)} <= set(readers)
    assert merge_runs(runs).reader == merge_runs(runs[::-1]).reader == least


@pytest.mark.parametrize(
    ("states", "merged"),
    [
        ((RunState.FINISHED, RunState.INTERRUPTED), RunState.INTERRUPTED),
        ((RunState.FINISHED, RunState.UNFINISHED), RunState.UNFINISHED),
        ((RunState.INTERRUPTED, RunState.UNFINISHED), RunState.UNFINISHED),
    ],
)
def test_a_merged_run_is_as_little_finished_as_the_least_of_them(tmp_path, make, states, merged):
    run = load_run(written(tmp_path / "run", make))
    runs = [replace(run, state=state) for state in states]
    assert merge_runs(runs).state is merge_runs(runs[::-1]).state is merged


def test_of_two_failures_the_farther_off_stands_and_one_with_a_score_before_one_without(tmp_path, make):
    near, far = (
        load_run(written(tmp_path / f"at-{distance}", make, judged_as(make, Verdict.FAIL, distance)))
        for distance in (0, 9)
    )
    without = replace(near, results=(replace(near.results[0], score=None),))
    for first, second in ((near, far), (far, near)):
        assert merge_runs([first, second]).results[0].score.distance == 9
    for first, second in ((near, without), (without, near)):
        assert merge_runs([first, second]).results[0].score is not None


def test_a_stored_reading_is_found_by_image_and_reader(tmp_path, make):
    run = written(tmp_path / "run", make, make.judged())
    (image,) = {result.image.sha256 for result in load_run(run).results}
    found = readings_of(run)
    assert set(found) == {(image, make.reading().reader.fingerprint)}
    assert [(one.reading, one.run) for one in found.values()] == [(make.reading(), "run")]


def test_a_reading_that_was_taken_over_names_the_run_that_read(tmp_path, make):
    found = readings_of(written(tmp_path / "run", make, make.judged(read_in="the-first")))
    assert [one.run for one in found.values()] == ["the-first"]


def test_what_was_not_read_or_not_generated_here_offers_no_reading(tmp_path, make):
    unread = make.judged(reading=None, score=None, judgement=None)
    assert readings_of(written(tmp_path / "unread", make, unread)) == {}
    assert readings_of(written(tmp_path / "elsewhere", make, make.judged(number=1))) == {}
    assert readings_of(written(tmp_path / "failed", make, make.failed())) == {}
    assert readings_of(written(tmp_path / "older", make, schema=2)) == {}


def test_a_runs_name_is_utc_and_has_four_random_digits(tmp_path):
    with RunStore(root=tmp_path / "not" / "yet" / "there").create() as writer:
        stamp, _, random = writer.id.rpartition("-")
    told = datetime.strptime(stamp, "%Y%m%d-%H%M%S-%f").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - told).total_seconds()) < 60
    assert len(random) == 4


def test_a_name_that_is_taken_is_no_obstacle(tmp_path, monkeypatch):
    generated = iter(["aaaa", "bbbb"])
    monkeypatch.setattr(storing.secrets, "token_hex", lambda _: next(generated))
    moment = datetime(2026, 11, 23, tzinfo=UTC)
    monkeypatch.setattr(storing, "datetime", type("Clock", (), {"now": staticmethod(lambda _: moment)}))
    (tmp_path / "20261123-000000-000000-aaaa").mkdir()
    with RunStore(root=tmp_path).create() as writer:
        assert writer.id == "20261123-000000-000000-bbbb"


def test_a_store_that_cannot_be_made_says_what_the_system_says(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as error:
        RunStore(root=tmp_path / "file").create()
    assert error.value.what == f"no run can be written: {os.strerror(errno.EEXIST)}"


def test_an_image_is_linked_into_a_run_whose_folder_is_not_there_yet(tmp_path, make):
    run = written(tmp_path / "run", make)
    (image,) = {result.image for result in load_run(run).results}
    link_image(image.path, tmp_path / "new" / "run", image.sha256)
    there = image_path(tmp_path / "new" / "run", image.sha256)
    assert there.samefile(image.path)


def test_a_second_damaged_image_joins_the_first_in_quarantine(tmp_path):
    for sha256 in ("a" * 64, "b" * 64):
        image_path(tmp_path, sha256).parent.mkdir(exist_ok=True)
        image_path(tmp_path, sha256).write_bytes(b"not this")
        check_image(tmp_path, sha256)
    assert len(list((tmp_path / "quarantine").iterdir())) == 2


def test_half_a_line_is_a_full_disk(tmp_path, make, monkeypatch):
    (tmp_path / "run").mkdir()
    with RunWriter(tmp_path / "run") as writer:
        write = os.write
        monkeypatch.setattr(os, "write", lambda file, data: write(file, data[: len(data) // 2]))
        with pytest.raises(StoreError) as error:
            writer.append(make.started(writer.id))
        monkeypatch.undo()
    assert error.value.__cause__.errno == errno.ENOSPC


def test_a_lone_surrogate_is_written_as_the_replacement_character(make):
    line = encode(make.failed(error="a\ud800b"))
    assert decode(line, where="here").error == "a\ufffdb"


def test_an_event_with_a_wrong_field_names_the_way_to_it(make):
    line = encode(make.generated("a" * 64)).replace(b'"forwards":4', b'"forwards":"four"')
    with pytest.raises(StoreError, match=r"^here: invalid generated event: timing\.forwards: ") as error:
        decode(line, where="here")
    assert "\n" not in error.value.what
