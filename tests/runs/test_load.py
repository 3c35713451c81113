"""Reading a run back."""

import json

import pytest

from qiltest.errors import StoreError
from qiltest.gate import Verdict
from qiltest.runs import RunState, RunStore, load_run


@pytest.fixture
def run(tmp_path, make):
    writer = RunStore(root=tmp_path).create()
    make.write(writer, range(2))
    return writer.folder


def edit(run, change):
    path = run / "events.jsonl"
    path.write_bytes(change(path.read_bytes()))


def test_a_run_comes_back_with_everything_in_it(run, make):
    loaded = load_run(run)
    assert loaded.id == run.name
    assert loaded.state is RunState.FINISHED
    assert loaded.exit_status == 1
    assert loaded.command == ("pytest", "-m", "gpu")
    assert loaded.problems == ("a golden is unused",)
    assert [result.id for result in loaded.results] == [make.sample(n).id for n in range(2)]
    result = loaded.result("coffee@1328x1328-4step-s43")
    assert result.recipe == make.recipe(1)
    assert result.timing.denoise_seconds == 0.4
    assert result.score == make.score()
    assert result.reading == make.reading()
    assert result.verdict is Verdict.FAIL
    assert not result.passes
    assert result.image.path.read_bytes() == make.png(1)
    assert str(result.asked) == "250x128"
    assert str(result.effective) == "240x128"


def test_cases_and_variants_are_found_by_name(run):
    loaded = load_run(run)
    assert loaded.case("coffee").texts[0].text == "Qwen Coffee"
    assert loaded.variant("4step").steps == 4
    assert loaded.result("tea@1x1-4step-s1") is None
    with pytest.raises(KeyError):
        loaded.case("tea")
    with pytest.raises(KeyError):
        loaded.variant("9step")


def test_an_error_wins_over_a_verdict_and_the_image_stays(tmp_path, make):
    with RunStore(root=tmp_path).create() as writer:
        writer.append(make.started(writer.id))
        writer.append(make.generated(writer.put(make.png())))
        writer.append(make.failed())
    result = load_run(writer.folder).results[0]
    assert result.verdict is Verdict.ERROR
    assert result.error == "out of memory"
    assert result.notes == ("tried twice",)
    assert result.image is not None
    assert not result.passes


def test_a_point_drawn_again_has_only_its_last_result(tmp_path, make):
    with RunStore(root=tmp_path).create() as writer:
        writer.append(make.started(writer.id))
        writer.append(make.failed())
        writer.append(make.generated(writer.put(make.png())))
    result = load_run(writer.folder).results[0]
    assert result.error == ""
    assert result.verdict is None
    assert not result.passes


def test_a_last_line_that_was_cut_short_is_left_out_and_said(run):
    edit(run, lambda data: b"\n".join(data.splitlines()[:-1])[:-10])
    loaded = load_run(run)
    assert loaded.state is RunState.UNFINISHED
    assert len(loaded.results) == 2
    assert "the last line is incomplete" in loaded.problems[0]


@pytest.mark.parametrize("kept", range(0, 40, 7))
def test_wherever_the_last_line_is_cut_nothing_before_it_is_lost(run, kept):
    edit(run, lambda data: b"\n".join(data.splitlines()[:-2]) + b"\n" + data.splitlines()[-2][:kept])
    loaded = load_run(run)
    assert len(loaded.results) == 2
    assert bool(loaded.problems) == bool(kept)


def test_a_line_in_the_middle_that_was_cut_short_is_an_error_that_names_it(run):
    lines = (run / "events.jsonl").read_bytes().splitlines()
    lines[2] = lines[2][:50]
    edit(run, lambda _: b"\n".join(lines) + b"\n")
    with pytest.raises(StoreError, match=r"events\.jsonl:3: not an event of a run"):
        load_run(run)


@pytest.mark.parametrize("junk", [b"\x00" * 20 + b"\n", b"\n", b"hello\n"])
def test_junk_at_the_end_with_a_newline_is_an_error(run, junk):
    edit(run, lambda data: data + junk)
    with pytest.raises(StoreError, match=r"events\.jsonl:8"):
        load_run(run)


def test_a_run_of_another_schema_is_refused_with_the_version_that_reads_it(run):
    lines = (run / "events.jsonl").read_bytes().splitlines()
    lines[0] = json.dumps({**json.loads(lines[0]), "schema": 9, "qiltest_version": "9.9"}).encode()
    lines[1] = b'{"event":"a kind that this schema does not have"}'
    edit(run, lambda _: b"\n".join(lines) + b"\n")
    with pytest.raises(StoreError, match=r"schema 9; this qiltest reads schema 3[^$]*9\.9"):
        load_run(run)


@pytest.mark.parametrize("data", [b"", b'{"event'])
def test_a_run_that_never_began_is_an_error(run, data):
    edit(run, lambda _: data)
    with pytest.raises(StoreError, match="the run never began"):
        load_run(run)


def test_a_folder_that_is_no_run_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="not a run"):
        load_run(tmp_path / "nothing")


def test_a_damaged_image_is_moved_away_and_its_result_names_it(run, make):
    victim = load_run(run).results[0].image
    victim.path.write_bytes(b"another image")
    loaded = load_run(run)
    held = run / "quarantine" / victim.path.name
    assert held.read_bytes() == b"another image"
    assert not victim.path.exists()
    result = loaded.results[0]
    assert result.image is None
    assert result.verdict is Verdict.ERROR
    assert victim.sha256 in result.error
    assert str(held) in result.error
    assert loaded.problems[0].startswith(make.sample(0).id)
    assert loaded.results[1].error == ""


def test_an_image_stays_an_error_at_every_later_loading(run):
    load_run(run).results[0].image.path.write_bytes(b"")
    assert load_run(run).results[0].error == load_run(run).results[0].error != ""


def test_an_image_that_is_gone_is_an_error(run):
    load_run(run).results[0].image.path.unlink()
    assert "is missing" in load_run(run).results[0].error


def test_a_hash_that_would_be_a_path_is_refused(tmp_path, make):
    with RunStore(root=tmp_path).create() as writer:
        writer.append(make.started(writer.id))
        writer.append(make.generated("../../etc/passwd"))
    with pytest.raises(StoreError, match="/passwd' is no SHA-256"):
        load_run(writer.folder)


def test_a_line_nested_too_deep_is_no_event_and_no_crash(run):
    (run / "events.jsonl").write_bytes(b"[" * 200_000 + b"\n")
    with pytest.raises(StoreError, match="not an event of a run"):
        load_run(run)
