"""Interrupted and killed sessions, and what is taken from the store: default, `--qil-fresh`, `--qil-reuse`."""

import pytest

from qiltest.runs import RunState


def last_two_are_left(suite, *options):
    """Stop a session after two of its four images."""
    suite.record()
    suite.plan(coffee__fast={"fault": "interrupt"})
    result = suite.run_apart(*options)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert len(suite.generated()) == 3
    suite.plan()
    return result


@pytest.mark.slow
def test_ctrl_c_leaves_the_finished_images_usable_and_says_so(suite):
    result = last_two_are_left(suite)
    result.stdout.fnmatch_lines(["qiltest: run interrupted: repeat the command to resume"])
    run = suite.latest()
    assert run.state is RunState.INTERRUPTED
    assert len(run.results) == 2
    assert all(r.image.path.is_file() and r.passes for r in run.results)


@pytest.mark.slow
def test_a_fresh_session_that_was_stopped_is_resumed_without_that_option(suite):
    result = last_two_are_left(suite, "--qil-fresh")
    result.stdout.fnmatch_lines(["qiltest: run interrupted: repeat the command without --qil-fresh to resume"])


@pytest.mark.slow
def test_the_same_command_goes_on_where_it_stopped(suite):
    last_two_are_left(suite)
    first = suite.latest()
    result = suite.run()
    result.assert_outcomes(passed=4)
    assert suite.generated() == ["coffee fast 42", "poster fast 42"]
    result.stdout.fnmatch_lines([f"qiltest: reused 2 images with latency from run {first.id}*"])
    run = suite.latest()
    assert run.state is RunState.FINISHED
    assert [r.reused_from for r in run.results] == [first.id, first.id, "", ""]
    assert [r.timing for r in run.results[:2]] == [r.timing for r in first.results]
    assert [r.image.sha256 for r in run.results[:2]] == [r.image.sha256 for r in first.results]


@pytest.mark.slow
def test_a_run_that_went_on_and_finished_is_not_used_again(suite):
    last_two_are_left(suite)
    suite.run()
    suite.generated()
    suite.run()
    assert len(suite.generated()) == 4


@pytest.mark.slow
def test_a_run_interrupted_twice_goes_on_from_both_parts(suite):
    suite.record()
    suite.plan(poster__base={"fault": "interrupt"})
    suite.run_apart()
    suite.plan(coffee__fast={"fault": "interrupt"})
    suite.run_apart()
    suite.generated()
    suite.plan()
    suite.run().assert_outcomes(passed=4)
    assert suite.generated() == ["coffee fast 42", "poster fast 42"]


def test_stopping_at_the_first_failure_is_an_interruption_too(suite):
    suite.record()
    suite.plan(poster__base={"typos": {"Enter a world": "Enter world"}})
    assert suite.run("-x").ret == pytest.ExitCode.TESTS_FAILED
    assert suite.latest().state is RunState.INTERRUPTED
    suite.generated()
    suite.run()
    assert suite.generated() == ["coffee fast 42", "poster fast 42"]


@pytest.mark.slow
def test_fresh_takes_nothing_from_the_store(suite):
    last_two_are_left(suite)
    suite.run("--qil-fresh").assert_outcomes(passed=4)
    assert len(suite.generated()) == 4


def test_reuse_takes_images_from_finished_runs(suite):
    suite.record()
    suite.run()
    first = suite.latest()
    suite.generated()
    suite.run("--qil-reuse").assert_outcomes(passed=4)
    assert suite.generated() == []
    assert {r.reused_from for r in suite.latest().results} == {first.id}


def test_an_image_that_was_handed_on_names_the_run_that_drew_it(suite):
    suite.record()
    suite.run()
    first = suite.latest()
    suite.run("--qil-reuse")
    suite.run("--qil-reuse")
    assert {r.reused_from for r in suite.latest().results} == {first.id}


def test_another_recipe_is_drawn_anew(suite):
    suite.record()
    suite.run()
    suite.generated()
    suite.plan(weights="another file")
    suite.run("--qil-reuse").assert_outcomes(passed=4)
    assert len(suite.generated()) == 4


def test_no_prompt_is_encoded_where_all_images_are_in_the_store(suite):
    suite.record()
    suite.run()
    (suite.path / "generated.log").unlink()
    suite.run("--qil-reuse")
    assert (suite.path / "generated.log").read_text() == "prepare 0\n"


def test_fresh_and_reuse_together_are_refused(suite):
    result = suite.run("--qil-fresh", "--qil-reuse")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*exclude each other*"])


@pytest.mark.slow
def test_a_killed_session_loses_the_image_in_hand_and_no_other(suite):
    suite.record()
    suite.plan(coffee__fast={"fault": "kill"})
    assert suite.run_apart().ret not in {0, 1, 2}
    run = suite.latest()
    assert run.state is RunState.UNFINISHED
    assert [r.id for r in run.results] == ["coffee@1328x1328-base-s42", "poster@1328x1328-base-s42"]
    assert all(r.passes for r in run.results)
    suite.generated()
    suite.plan()
    suite.run().assert_outcomes(passed=4)
    assert suite.generated() == ["coffee fast 42", "poster fast 42"]


@pytest.mark.slow
def test_a_damaged_image_is_put_aside_and_said_before_it_is_drawn_again(suite):
    last_two_are_left(suite)
    victim = suite.latest().results[0].image
    victim.path.write_bytes(victim.path.read_bytes()[:-20])
    result = suite.run()
    result.assert_outcomes(passed=3, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"ERROR *{victim.sha256}*do not match its name*moved to*quarantine*"])
    suite.generated()
    suite.run("--qil-reuse").assert_outcomes(passed=4)
    assert suite.generated() == ["coffee base 42"]


def test_a_run_in_the_store_that_cannot_be_read_is_named_and_fails_the_session_alone(suite):
    suite.record()
    suite.run()
    events = suite.latest().path / "events.jsonl"
    lines = events.read_bytes().splitlines()
    events.write_bytes(b"\n".join([lines[0], lines[1][:-40], *lines[2:]]) + b"\n")
    result = suite.run()
    result.assert_outcomes(passed=4)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"qiltest: {events}:2: *", "*move the run's folder away"])
    assert suite.run("--qil-fresh").ret == 0


def edited(suite, *changes):
    """Edit a line of the latest run's events: the first that has the text."""
    events = suite.latest().path / "events.jsonl"
    lines = events.read_bytes().splitlines(keepends=True)
    number = next(number for number, line in enumerate(lines) if all(before in line for before, _ in changes))
    for before, after in changes:
        lines[number] = lines[number].replace(before, after)
    events.write_bytes(b"".join(lines))
    return f"{events}:{number + 1}"


def test_a_stored_reading_that_was_edited_is_named_and_nothing_of_its_run_is_reused(suite):
    suite.record()
    suite.plan(coffee__base={"typos": {"Qwen Coffee": "Qwen Cofee"}})
    suite.run()
    where = edited(suite, (b'"event":"judged"', b'"event":"judged"'), (b"Qwen Cofee", b"Qwen Coffee"))
    suite.generated()
    result = suite.run("--qil-reuse")
    result.assert_outcomes(passed=3, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(suite.generated()) == 4
    result.stdout.fnmatch_lines(
        [f"qiltest: {where}: the line was changed after it was written*", "*move the run's folder away"]
    )


def test_an_image_that_was_put_in_anothers_place_is_named_and_not_used(suite):
    suite.record()
    suite.plan(coffee__base={"typos": {"Qwen Coffee": "Qwen Cofee"}})
    suite.run()
    wrong, _, right, _ = (result.image.sha256.encode() for result in suite.latest().results)
    where = edited(suite, (b'"sha256":"' + wrong, b'"sha256":"' + right))
    result = suite.run("--qil-reuse")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines([f"qiltest: {where}: the line was changed after it was written*"])


def test_a_key_that_was_moved_to_another_image_is_named_and_not_used(suite):
    suite.record()
    suite.run()
    key = suite.latest().results[0].recipe.key().encode()
    where = edited(suite, (b'"key":"' + key, b'"key":"' + b"0" * 64))
    result = suite.run("--qil-reuse")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"qiltest: {where}: *"])


def reader_that_reads_nothing_more(suite):
    path = suite.path / "conftest.py"
    path.write_text(path.read_text() + "\n\ndef never(self, image):\n    raise ReaderError('read again')\n")
    path.write_text(path.read_text() + "\n\nStandinReader.read = never\n")


def test_a_reused_image_keeps_the_reading_of_the_same_reader_and_the_run_says_whose(suite):
    suite.record()
    suite.run()
    first = suite.latest()
    reader_that_reads_nothing_more(suite)
    result = suite.run("--qil-reuse")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["qiltest: reused 4 OCR results (same reader and weights)"])
    second = suite.latest()
    assert [r.read_in for r in second.results] == [first.id] * 4
    assert [r.reading for r in second.results] == [r.reading for r in first.results]
    suite.run("--qil-reuse").assert_outcomes(passed=4)
    assert [r.read_in for r in suite.latest().results] == [first.id] * 4


def test_a_reading_by_another_version_of_the_code_is_not_taken(suite):
    """The reader is the same by its weights and settings, so that goldens go on."""
    suite.record()
    suite.run()
    reader_that_reads_nothing_more(suite)
    suite.plan(reader_code=1)
    result = suite.run("--qil-reuse")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=4)
    result.stdout.no_fnmatch_line("*INCOMPARABLE*")
    run = suite.latest()
    assert all(r.reused_from for r in run.results)
    assert [r.read_in for r in run.results] == [""] * 4


def test_a_reader_of_other_weights_reads_a_reused_image_again(suite):
    suite.record()
    suite.run()
    suite.plan(reader_weights="others")
    suite.run("--qil-reuse")
    assert suite.generated() == [
        f"{case} {variant} 42" for variant in ("base", "fast") for case in ("coffee", "poster")
    ]
    run = suite.latest()
    assert all(r.reused_from for r in run.results)
    assert [r.read_in for r in run.results] == [""] * 4
    reader_that_reads_nothing_more(suite)
    suite.plan(reader_weights="third")
    suite.run("--qil-reuse").assert_outcomes(failed=4)
