"""`--qil-fuse`: LoRAs merged into the base while their variant is generated. What it does to the weights is tested
with the generator (tests/generation/test_lora_switching.py)."""


def test_loras_are_left_unfused_by_default(suite, opened):
    suite.run("--qil-update=missing")
    assert opened[0]["fuse"] is False


def test_it_reaches_the_generator(suite, opened):
    assert suite.run("--qil-update=missing", "--qil-fuse").ret == 0
    assert opened[0]["fuse"] is True


def test_the_command_that_accepts_an_image_repeats_it(suite, opened):
    result = suite.run("--qil-fuse")
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(["accept *--qil-fuse*--qil-update=missing"])
