"""`--qil-shard`: several runners share a session, and their runs together are one."""

import pytest

from qiltest.cli.main import main
from qiltest.runs import RunStore
from qiltest.runs.merge import load_runs


def shard(suite, number, *args, of=2):
    """Run a part; the id of its run, and the result."""
    result = suite.run(f"--qil-shard={number}/{of}", "--qil-runs=runs", *args)
    return suite.latest().id, result


def report(suite, runs, *args):
    return main(["report", "+".join(runs), "--runs", str(suite.path / "runs"), "--exit-code", *args])


def test_the_parts_together_are_the_session(suite, capsys):
    suite.record()
    suite.run()
    whole = suite.latest()
    suite.generated()
    (first, one), (second, other) = shard(suite, 1), shard(suite, 2)
    assert (one.ret, other.ret) == (0, 0)
    assert len(suite.generated()) == 4
    merged = load_runs(RunStore(root=suite.path / "runs"), f"{first}+{second}")
    assert [result.id for result in merged.results] == sorted(result.id for result in whole.results)
    assert {result.id: result.image.sha256 for result in merged.results} == {
        result.id: result.image.sha256 for result in whole.results
    }
    assert merged.full
    assert merged.shards is None
    assert not suite.latest().full
    capsys.readouterr()
    assert report(suite, [second, first]) == 0
    out = capsys.readouterr().out
    assert "PASS: All 4 images pass" in out
    assert "merged.html" in out
    assert main(["compare", whole.id, f"{first}+{second}", "--runs", str(suite.path / "runs")]) in (0, 1)
    assert "MISSING" not in capsys.readouterr().out


def test_a_part_that_is_missing_is_missed(suite, capsys):
    suite.record()
    first, result = shard(suite, 1)
    assert result.ret == 0
    assert report(suite, [first]) == 1
    assert "not here: 2/2 of the session (--qil-shard)" in capsys.readouterr().out
    third = [shard(suite, number, of=3)[0] for number in (1, 2)]
    capsys.readouterr()
    assert report(suite, third) == 1
    out = capsys.readouterr().out
    assert "not here: 3/3 of the session (--qil-shard)" in out
    assert "not judged yet" in out
    assert report(suite, [first, third[0]]) == 2
    assert "parts of 2 sessions" in capsys.readouterr().err


def test_an_image_that_fails_in_a_part_fails_the_whole(suite, capsys):
    suite.record()
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "Qwen Cofee"}})
    runs, results = zip(*(shard(suite, number) for number in (1, 2)), strict=True)
    assert sorted(result.ret for result in results) == [0, 1]
    capsys.readouterr()
    assert report(suite, runs) == 1
    assert capsys.readouterr().out.startswith("FAIL: 1 of 4 images")


def test_an_unused_golden_fails_every_part_of_the_whole_suite_and_their_sum(suite, capsys):
    suite.record()
    old = suite.path / "golden" / "tiny" / "gone@1328x1328" / "base-s42.json"
    old.parent.mkdir()
    old.write_text("{}")
    runs, results = zip(*(shard(suite, number) for number in (1, 2)), strict=True)
    assert [result.ret for result in results] == [1, 1]
    results[0].stdout.fnmatch_lines(["qiltest: unused golden */gone@1328x1328/base-s42.json*"])
    capsys.readouterr()
    assert report(suite, runs) == 1
    assert "but the session failed" in capsys.readouterr().out


def test_all_that_is_expected_of_a_part_are_its_own_images(suite):
    suite.record()
    _, result = shard(suite, 2, "--qil-expect=all")
    assert result.ret == 0
    result.assert_outcomes(passed=2, deselected=2)


def test_a_part_without_an_image_is_refused(suite):
    result = suite.run("--qil-shard=5/5")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--qil-shard=5/5 has no image: 4 images in all" in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/2/3", "-1/2"])
def test_what_is_no_part_is_refused(suite, text):
    result = suite.run(f"--qil-shard={text}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{text} is no part*"])
