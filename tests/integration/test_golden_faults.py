"""A golden that is not what it should be never passes for one."""

import json
import os

import pytest

NAME = "golden/tiny/coffee@1328x1328/fast-s42.json"
ENTRY = '"distance": 0,\n  "distance_alnum"'


@pytest.fixture
def golden(suite):
    suite.record()
    return suite.path / NAME


def changed(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def assert_one_fails(suite, *lines):
    result = suite.run()
    result.assert_outcomes(passed=3, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(list(lines))


def test_a_missing_golden_is_new(suite, golden):
    golden.unlink()
    assert_one_fails(suite, "NEW * no golden for this image yet")


def test_a_truncated_golden_is_an_error_that_names_the_file(suite, golden):
    golden.write_bytes(golden.read_bytes()[:100])
    assert_one_fails(suite, f"ERROR *{NAME}*invalid golden*", "*record it again with --qil-update=changed")


def test_an_empty_golden_is_an_error(suite, golden):
    golden.write_bytes(b"")
    assert_one_fails(suite, f"ERROR *{NAME}*invalid golden*")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1", "null", '"0"', "1.5"])
def test_a_distance_that_is_no_count_is_an_error(suite, golden, number):
    text = golden.read_text()
    assert text.count(ENTRY) == 1
    golden.write_text(text.replace(ENTRY, ENTRY.replace("0", number)))
    assert_one_fails(suite, f"ERROR *{NAME}*invalid golden*")


def test_a_distance_that_its_texts_do_not_add_up_to_is_an_error(suite, golden):
    changed(golden, distance=9)
    assert_one_fails(suite, f"ERROR *{NAME}*invalid golden: distance 9, but its texts and extras add up to 0*")


GARBAGE = {"typos": {"Qwen Coffee": "XXXXXXXXXX", "2 dollars": "ZZZZZZZ"}}


def edited(golden, edit):
    record = json.loads(golden.read_text())
    edit(record)
    golden.write_text(json.dumps(record))


@pytest.mark.parametrize("distance", [1, 5, 10**9])
def test_a_distance_that_was_not_read_accepts_no_garbage(suite, golden, distance):
    def edit(record):
        record["distance"] = record["texts"][0]["distance"] = distance

    edited(golden, edit)
    suite.plan(coffee__fast=GARBAGE)
    said = (
        f"does not agree with what was read: texts*0*.distance is {distance}, but 'Qwen Coffee' for 'Qwen Coffee' is 0"
    )
    assert_one_fails(suite, f"ERROR *{NAME}*{said}*")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"length": 10**6}, "length is 1000000, but the case's required texts have 18 characters"),
        ({"distance_alnum": 999}, "distance_alnum is 999, but its texts and extras add up to 0"),
        ({"noise_floor": 99.0}, "noise_floor 99 is above the length 18"),
        ({"extra": [{"text": "x", "kind": "odd", "distance": 0}]}, "kind 'odd' is not a kind of unexpected text"),
        ({"distance": 17, "extra": [{"text": "x", "kind": "doubled", "distance": 17}]}, "'x' (doubled) counts 1"),
    ],
)
def test_a_number_that_was_edited_is_named(suite, golden, fields, said):
    changed(golden, **fields)
    assert_one_fails(suite, f"ERROR *{NAME}*{said}*")


def test_a_duplicate_key_is_an_error(suite, golden):
    golden.write_text(golden.read_text().replace(ENTRY, f'"distance": 0, {ENTRY}'))
    assert_one_fails(suite, f"ERROR *{NAME}*duplicate key 'distance'*")


def test_a_golden_that_is_a_link_to_elsewhere_is_an_error(suite, golden):
    elsewhere = golden.rename(suite.path / "elsewhere.json")
    golden.symlink_to(elsewhere)
    assert_one_fails(suite, f"ERROR *{NAME}*leads out of the folder of goldens, to *elsewhere.json*")


@pytest.mark.timeout(60)
def test_a_golden_that_is_a_fifo_is_an_error_and_nothing_waits(suite, golden):
    golden.unlink()
    os.mkfifo(golden)
    assert_one_fails(suite, f"ERROR *{NAME}*the golden cannot be read: Not a regular file*")


def test_a_golden_of_gigabytes_is_an_error(suite, golden):
    os.truncate(golden, 64 << 30)
    assert_one_fails(suite, f"ERROR *{NAME}*the golden cannot be read: File too large*")


def test_an_unknown_key_is_an_error(suite, golden):
    changed(golden, tolerance=9)
    assert_one_fails(suite, f"ERROR *{NAME}*tolerance*")


def test_a_golden_of_another_schema_is_an_error(suite, golden):
    changed(golden, schema=99)
    assert_one_fails(suite, f"ERROR *{NAME}*golden has schema 99; this qiltest reads schema 3*")


def test_a_golden_of_another_image_under_this_name_is_an_error(suite, golden):
    golden.write_bytes(golden.with_name("base-s42.json").read_bytes())
    assert_one_fails(suite, f"ERROR *{NAME}*this golden belongs to another image: variant 'base' instead of 'fast'*")


def test_a_golden_of_another_size_is_not_compared(suite, golden):
    changed(golden, effective="512x512")
    assert_one_fails(suite, "INCOMPARABLE * the golden's image is 512x512, this one is 256x128")


def test_a_golden_of_another_reader_is_not_compared(suite, golden):
    changed(golden, reader="easyocr-1-abc")
    assert_one_fails(suite, "INCOMPARABLE * the golden was read by easyocr-1-abc*different readers are not comparable")


def test_another_version_of_the_reader_makes_all_goldens_incomparable(suite, golden):
    suite.plan(reader_weights="retrained")
    result = suite.run()
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(["INCOMPARABLE * the golden was read by*"])


def test_a_golden_of_another_model_is_not_compared_and_the_part_is_named(suite):
    """The same name, or the same folder, with other weights."""
    parts = {"transformer": "a" * 64, "vae": "b" * 64}
    suite.plan(model_parts=parts)
    suite.run("--qil-update=missing").assert_outcomes(passed=4)
    suite.plan(model_parts=parts | {"vae": "c" * 64})
    result = suite.run()
    result.assert_outcomes(failed=4)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["INCOMPARABLE * the golden is of another model: other bytes in vae bbbbbbbbbbbb -> c*"]
    )
    suite.run("--qil-update=missing").assert_outcomes(failed=4)
    suite.run("--qil-update=changed").assert_outcomes(passed=4)
    suite.run().assert_outcomes(passed=4)


def test_goldens_from_before_parts_had_hashes_are_compared(suite):
    suite.run("--qil-update=missing").assert_outcomes(passed=4)
    suite.plan(model_parts={"transformer": "a" * 64})
    suite.run("--qil-update=changed").assert_outcomes(passed=4)
    assert "model.transformer" not in next((suite.path / "golden").rglob("*-s42.json")).read_text()


def test_a_truncated_golden_is_replaced_on_demand(suite, golden):
    golden.write_bytes(b"{")
    suite.run("--qil-update=missing").assert_outcomes(passed=3, failed=1)
    suite.run("--qil-update=changed").assert_outcomes(passed=4)
    suite.run().assert_outcomes(passed=4)


def test_goldens_that_nobody_can_use_fail_a_full_run_and_are_named(suite, golden):
    stray = golden.parent.parent / "gone@1328x1328" / "fast-s42.json"
    stray.parent.mkdir()
    stray.write_bytes(golden.read_bytes())
    (golden.parent / "slow-s42.json").write_bytes(golden.read_bytes())
    result = suite.run()
    result.assert_outcomes(passed=4)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "qiltest: unused golden */coffee@1328x1328/slow-s42.json: variants.toml has no variant slow",
            "qiltest: unused golden */gone@1328x1328/fast-s42.json: the suite has no case gone@1328x1328",
        ]
    )
    assert any("unused golden" in problem for problem in suite.latest().problems)


def test_goldens_that_nobody_can_use_do_not_fail_a_part_of_a_run(suite, golden):
    (golden.parent / "slow-s42.json").write_bytes(golden.read_bytes())
    assert suite.run("--qil-case=coffee").ret == 0
    assert suite.run("-k", "fast").ret == 0


def test_goldens_of_other_seeds_and_spare_variants_wait_for_their_options(suite, golden):
    assert suite.run("--qil-seeds=2", "--qil-update=missing").ret == 0
    assert suite.run("--qil-variant=spare", "--qil-update=missing").ret == 0
    assert len(suite.goldens()) == 4 + 4 + 2
    assert suite.run().ret == 0
