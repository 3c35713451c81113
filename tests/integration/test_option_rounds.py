"""`--qil-rounds`: how often an image is denoised under the clock."""

import json

import pytest


def rounds(suite, *args):
    """Rounds of each image in pytest-benchmark's own record, by variant, in the order of drawing."""
    suite.run("--qil-update=all", "--benchmark-json=benchmark.json", *args)
    found = {}
    for one in json.loads((suite.path / "benchmark.json").read_text())["benchmarks"]:
        assert one["stats"]["rounds"] == one["extra_info"]["rounds"]
        found.setdefault(one["extra_info"]["variant"], []).append(one["stats"]["rounds"])
    return found


def test_once_without_the_gpu(suite):
    assert rounds(suite) == {"base": [1, 1], "fast": [1, 1]}


def test_as_often_as_asked(suite):
    assert rounds(suite, "--qil-rounds=4") == {"base": [4, 4], "fast": [4, 4]}
    assert len(suite.generated()) == 16


def test_on_the_gpu_a_cheap_cohort_gets_three_loops_and_an_expensive_one_a_loop_an_image(suite):
    suite.plan(coffee__base={"seconds": 32.0}, poster__base={"seconds": 32.0})
    assert rounds(suite, "-m", "gpu") == {"base": [1, 1], "fast": [3, 1]}


def test_on_the_gpu_what_takes_some_seconds_is_drawn_as_often_as_fits_six(suite):
    suite.plan(coffee__fast={"seconds": 2.6}, poster__fast={"seconds": 2.6})
    assert rounds(suite, "-m", "gpu", "--qil-variant=fast") == {"fast": [2, 1]}


def test_auto_can_be_asked_for_by_name(suite):
    assert rounds(suite, "--qil-rounds=auto") == {"base": [3, 1], "fast": [3, 1]}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("0", "is too small; the least is 1"),
        ("-1", "is too small; the least is 1"),
        ("many", "is not a number of denoise loops"),
        ("101", "is too large; the most is 100"),
    ],
)
def test_another_value_is_refused(suite, value, said):
    result = suite.run(f"--qil-rounds={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--qil-rounds: {value} {said}*", "*auto, or 1 to 100*"])


def test_a_second_night_times_one_loop_an_image_and_more_where_one_is_near_its_limit(suite):
    """The golden is of the first night; the loops that are spared go to no later image."""
    suite.run("-m", "gpu", "--qil-update=missing")

    def again(*args):
        suite.run("-m", "gpu", "--qil-fresh", "--benchmark-json=benchmark.json", *args)
        found = json.loads((suite.path / "benchmark.json").read_text())["benchmarks"]
        return [one["stats"]["rounds"] for one in found if one["extra_info"]["variant"] == "fast"]

    assert again() == [1, 1]
    suite.plan(coffee__fast={"seconds": 0.6}, poster__fast={"seconds": 0.6})
    assert again() == [3, 1]


def test_the_run_says_how_many_loops_an_image_had(suite):
    suite.run("-m", "gpu", "--qil-update=missing", "--qil-variant=fast")
    assert [result.timing.loops for result in suite.latest().results] == [3, 1]
