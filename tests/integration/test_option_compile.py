"""`--qil-compile`: compiled blocks, a recipe of its own (tests/generation/test_compiled.py generates with them)."""


def test_nothing_is_compiled_by_default(suite, opened):
    suite.run("--qil-update=missing")
    assert opened[0]["compiled"] is False


def test_it_reaches_the_generator(suite, opened):
    assert suite.run("--qil-update=missing", "--qil-compile").ret == 0
    assert opened[0]["compiled"] is True


def test_the_command_that_accepts_an_image_repeats_it(suite, opened):
    suite.run("--qil-compile").stdout.fnmatch_lines(["accept *--qil-compile*"])
