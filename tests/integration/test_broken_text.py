"""A text that its own prompt does not ask for fails the tests of its case, and no others."""


def test_breaking_one_expected_text_fails_exactly_its_tests(suite):
    suite.record()
    path = suite.path / "cases" / "coffee.toml"
    whole = path.read_text()
    start = whole.index('text = "') + len('text = "')
    path.write_text(whole[:start] + "Zz" + whole[start:])
    result = suite.run()
    result.assert_outcomes(passed=2, failed=2)
    failed = {line.split()[1] for line in result.outlines if line.startswith("FAILED")}
    assert all("coffee@" in name for name in failed)
    result.stdout.fnmatch_lines(["*texts?0?.text: *Zz* is not in the prompt; allowed: *", "*fix *coffee.toml*"])
    result.stdout.no_fnmatch_line("*During handling of the above exception*")


def test_two_broken_texts_are_both_told(suite):
    suite.record()
    path = suite.path / "cases" / "coffee.toml"
    path.write_text(path.read_text().replace('text = "', 'text = "Zz'))
    result = suite.run()
    result.assert_outcomes(passed=2, failed=2)
    assert "texts[0]" in result.stdout.str()
    assert "texts[1]" in result.stdout.str()
