"""`--qil-offload`: for a card that does not hold the model."""

import re

import pytest

from qiltest.generation._errors import _REMEDY
from qiltest.generation.settings import Offload


def test_nothing_is_offloaded_by_default(suite, opened):
    suite.run("--qil-update=missing")
    assert opened[0]["offload"] is Offload.NONE


@pytest.mark.parametrize("way", list(Offload))
def test_it_reaches_the_generator(suite, opened, way):
    assert suite.run("--qil-update=missing", f"--qil-offload={way}").ret == 0
    assert opened[0]["offload"] is way


def test_another_word_is_refused_with_those_that_exist(suite):
    result = suite.run("--qil-offload=disk")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*--qil-offload: disk is not a choice", "*-> write one of: none, model, group, sequential"]
    )
    assert suite.generated() == []


def test_the_option_that_an_out_of_memory_error_names_exists(suite, opened):
    named = re.findall(r"--qil-[a-z]+=[a-z]+", _REMEDY)
    assert named
    for option in named:
        assert suite.run("--qil-update=all", option).ret == 0


def test_float8_storage_is_off_by_default_and_reaches_the_generator(suite, opened):
    suite.run("--qil-update=missing")
    assert suite.run("--qil-update=missing", "--qil-fp8", "--qil-offload=group").ret == 0
    assert [(session["fp8"], session["offload"]) for session in opened] == [(False, "none"), (True, "group")]


@pytest.mark.parametrize(
    ("options", "what", "remedy"),
    [
        (["--qil-fp8", "--qil-compile"], "--qil-compile and --qil-fp8", "remove one of them"),
        (["--qil-offload=group", "--qil-compile"], "--qil-compile and --qil-offload=group", "remove one of them"),
        (["--qil-fp8", "--qil-offload=sequential"], "--qil-fp8 and --qil-offload=sequential", "--qil-fp8 with *=group"),
    ],
)
def test_options_that_exclude_each_other_are_wrong_usage_before_any_test(suite, opened, options, what, remedy):
    result = suite.run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{what} exclude each other*", f"*-> {remedy}*"])
    assert opened == []
    assert suite.generated() == []
