"""`--qil-merge`: whether LoRAs are added to the base's weights. What that does to them is tested with the generator
(tests/generation/test_merging.py)."""

import pytest


def test_it_is_left_to_the_variants_by_default(suite, opened):
    suite.run("--qil-update=missing")
    assert opened[0]["merge"] is None


@pytest.mark.parametrize(("value", "wanted"), [("yes", True), ("no", False)])
def test_it_reaches_the_generator(suite, opened, value, wanted):
    assert suite.run("--qil-update=missing", f"--qil-merge={value}").ret == 0
    assert opened[0]["merge"] is wanted


def test_the_command_that_accepts_an_image_repeats_it(suite, opened):
    result = suite.run("--qil-merge=yes")
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(["accept *--qil-merge=yes*--qil-update=missing --qil-accept=*"])
