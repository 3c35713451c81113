"""`--qil-allow-partial-lora`: a LoRA that leaves a module out, or is zero, in some blocks and not in others."""


def test_such_a_file_is_refused_by_default(suite, opened):
    suite.run("--qil-update=missing")
    assert opened[0]["allow_partial_lora"] is False


def test_it_reaches_the_generator(suite, opened):
    assert suite.run("--qil-update=missing", "--qil-allow-partial-lora").ret == 0
    assert opened[0]["allow_partial_lora"] is True


def test_the_command_that_accepts_an_image_repeats_it(suite, opened):
    suite.run("--qil-allow-partial-lora").stdout.fnmatch_lines(["accept *--qil-allow-partial-lora*"])
