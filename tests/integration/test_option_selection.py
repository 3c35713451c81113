"""`--qil-case`, `--qil-variant`, `--qil-size`, `--qil-seeds`, and the folders."""

import pytest


def ids(suite, *args):
    result = suite.run("--collect-only", "-q", *args)
    assert result.ret == 0, result.stdout.str()
    return [line.partition("[")[2].rstrip("]") for line in result.outlines if "::" in line]


def refused(suite, *args):
    result = suite.run(*args)
    assert result.ret in {pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR}
    assert suite.generated() == []
    return result.stdout.str() + result.stderr.str()


def test_a_case(suite):
    assert ids(suite, "--qil-case=coffee") == ["coffee@1328x1328-base-s42", "coffee@1328x1328-fast-s42"]


def test_a_case_at_one_resolution(suite):
    assert len(ids(suite, "--qil-case=coffee@1328x1328")) == 2


def test_several_cases_with_commas_or_repeated(suite):
    assert ids(suite, "--qil-case=coffee,poster") == ids(suite)
    assert ids(suite, "--qil-case=coffee", "--qil-case=poster") == ids(suite)


def test_a_variant(suite):
    assert ids(suite, "--qil-variant=fast") == ["coffee@1328x1328-fast-s42", "poster@1328x1328-fast-s42"]


def test_a_variant_that_is_not_a_default_one_is_drawn_when_named(suite):
    assert not any("spare" in name for name in ids(suite))
    assert len(ids(suite, "--qil-variant=spare")) == 2
    assert len(ids(suite, "--qil-variant=all")) == 6


def test_a_size(suite):
    assert len(ids(suite, "--qil-size=1328x1328")) == 4


def test_a_number_of_seeds_begins_with_the_cases_own(suite):
    names = ids(suite, "--qil-seeds=3", "--qil-case=coffee", "--qil-variant=fast")
    assert [name.rpartition("-s")[2] for name in names] == ["42", "43", "44"]


def test_a_list_of_seeds(suite):
    names = ids(suite, "--qil-seeds=7,9", "--qil-case=coffee", "--qil-variant=fast")
    assert [name.rpartition("-s")[2] for name in names] == ["7", "9"]
    assert len(ids(suite, "--qil-seeds=7,")) == 4


@pytest.mark.parametrize(
    ("option", "said", "remedy"),
    [
        ("--qil-case=cofee", 'no case is called "cofee"', "coffee, poster"),
        ("--qil-case=coffee@64x64", 'no resolution of case coffee is called "64x64"', "1328x1328"),
        ("--qil-variant=fsat", 'no variant is called "fsat"', "base, fast, spare"),
        ("--qil-size=64x64", "64x64", "1328x1328"),
        ("--qil-size=big", "'big' is not a size", "WIDTHxHEIGHT"),
        ("--qil-seeds=many", "neither a number nor a list", "42,43,44"),
        ("--qil-seeds=42,42", "has seed 42 twice", "each seed once"),
        ("--qil-seeds=0", "asks for 0 seeds per case", "from 1 to 64"),
        ("--qil-seeds=1000", "asks for 1000 seeds per case", "`1000,` for the one seed"),
        ("--qil-threads=none", "--qil-threads: none is not a whole number", "1 or more"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(suite, option, said, remedy):
    text = refused(suite, option)
    assert said in text
    assert remedy in text
    assert "Traceback" not in text


def test_all_mistakes_of_all_case_files_are_told_at_once(suite):
    for name, key in (("coffee", "titel"), ("poster", "promt")):
        path = suite.path / "cases" / f"{name}.toml"
        path.write_text(f'{key} = "x"\n{path.read_text()}')
    text = refused(suite)
    assert "titel" in text
    assert "promt" in text


def test_a_folder_without_cases_is_refused(suite):
    text = refused(suite, "--qil-cases=elsewhere")
    assert "elsewhere" in text
    assert "no such folder" in text


def test_cases_goldens_and_runs_may_lie_elsewhere(suite):
    (suite.path / "cases").rename(suite.path / "mine")
    args = ("--qil-cases=mine", "--qil-golden=kept/golden", "--qil-runs=kept/runs")
    assert suite.run(*args, "--qil-update=missing").ret == 0
    assert suite.run(*args).ret == 0
    assert len(list((suite.path / "kept/golden").rglob("*.json"))) == 4
    assert len(list((suite.path / "kept/runs").glob("*/events.jsonl"))) == 2
    assert not (suite.path / "golden").exists()
    assert not (suite.path / "runs").exists()


def test_a_session_of_a_part_says_that_it_is_not_full(suite):
    suite.run()
    assert suite.latest().full
    suite.run("--qil-case=coffee")
    assert not suite.latest().full
    suite.run("--qil-seeds=2")
    assert suite.latest().full


def test_a_folder_of_runs_that_is_there_already_does_not_move_the_suite(suite):
    suite.record()
    for _ in range(2):
        # as two words, which pytest takes for a path of tests too
        assert suite.run("--qil-runs", "kept").ret == 0
    assert len(list((suite.path / "kept").glob("*/events.jsonl"))) == 2
