"""Which images of two runs are compared, and what becomes of the others."""

from dataclasses import replace
from pathlib import Path

import pytest

import builders as make
from qiltest.comparison.compare import compare_runs
from qiltest.comparison.pairing import pair_runs, pair_up
from qiltest.comparison.records import Release
from qiltest.errors import StoreError
from qiltest.gate.verdict import Verdict, judge_missing
from qiltest.recipe import Size
from qiltest.runs import CaseResult, Run
from qiltest.runs.filter import only_cases
from qiltest.runs.records import StoredImage
from qiltest.suite.cases import Case
from qiltest.suite.selection import Sample


def result(seed=42, distance=0, *, case="coffee", variant="4step", sha="a", **fields) -> CaseResult:
    sample = make.sample(seed, case, variant)
    image = StoredImage(path=Path("x.png"), sha256=sha * 64)
    return replace(CaseResult(sample=sample, recipe=make.recipe(), image=image, score=make.score(distance)), **fields)


def run(name: str, *results: CaseResult, planned: tuple[Sample, ...] = (), case: Case | None = None) -> Run:
    samples = (*(result.sample for result in results), *planned)
    return make.run(name, results=results, planned=samples, cases=(case or make.case(),))


def paired(before: Run, after: Run):
    return pair_up(before, after, variant="4step", with_variant="4step")


def obstacle(before: Run, after: Run):
    found = paired(before, after)
    assert found.pairs == ()
    (only,) = found.obstacles
    return only


def test_images_of_one_case_size_and_seed_are_a_pair():
    found = paired(run("a", result(2, 1), result(1, 0)), run("b", result(1, 4, sha="b"), result(2, 1)))
    assert [(pair.id, pair.before, pair.after, pair.length) for pair in found.pairs] == [
        ("coffee@256x128-s1", 0, 4, 10),
        ("coffee@256x128-s2", 1, 1, 10),
    ]
    assert [pair.same_image for pair in found.pairs] == [False, True]
    assert (found.before, found.after) == ("4step of run a", "4step of run b")
    assert found.obstacles == found.unpaired == ()


def test_variants_within_a_run_are_paired_and_named_alone():
    both = run("a", result(variant="8step"), result(distance=2, variant="4step"))
    (found,) = pair_runs(both, both, variant="8step", with_variant="4step").pairings
    assert (found.before, found.after) == ("8step", "4step")
    assert [pair.change for pair in found.pairs] == [2]


def test_what_only_one_run_planned_is_named_and_no_obstacle():
    found = paired(run("a", result(1), result(2)), run("b", result(2), result(3, case="tea")))
    assert [pair.seed for pair in found.pairs] == [2]
    assert found.unpaired == (
        "coffee@256x128-s1: only in run a, variant 4step",
        "tea@256x128-s3: only in run b, variant 4step",
    )
    assert found.obstacles == ()


def test_a_planned_image_that_was_not_drawn_is_missing_and_no_gain():
    one = result()
    found = obstacle(run("a", one), run("b", planned=(one.sample,)))
    assert (found.verdict, found.why) == (Verdict.MISSING, "after: planned, but not generated")


def test_an_image_whose_test_never_judged_it_is_missing_and_says_why():
    lost = result(score=None, judgement=judge_missing("its test was skipped", None))
    found = obstacle(run("a", lost), run("b", result()))
    assert (found.verdict, found.why) == (
        Verdict.MISSING,
        "before: no verdict: its test was skipped",
    )


def test_a_case_that_only_the_replaced_release_drew_is_missing():
    generated = [result(seed) for seed in range(40)]
    before = run("a", *generated, result(0, case="tea"), result(1, case="tea"))
    after = run("b", *generated, result(0, case="milk"))
    found = paired(before, after)
    assert [(o.id, o.verdict, o.why) for o in found.obstacles] == [
        ("tea@256x128-s0", Verdict.MISSING, "after: not planned"),
        ("tea@256x128-s1", Verdict.MISSING, "after: not planned"),
    ]
    assert found.unpaired == ("milk@256x128-s0: only in run b, variant 4step",)
    verdict = compare_runs(before, after)
    assert verdict.verdict is Release.MISSING
    assert verdict.comparisons[0].reasons == ("2 of 42 images are missing on one side; each is listed",)
    assert compare_runs(only_cases(before, ["coffee"]), only_cases(after, ["coffee"])).verdict is Release.SHIP


def test_a_seed_or_a_new_case_that_one_run_lacks_is_named_and_not_missing():
    before = run("a", *(result(seed) for seed in range(41)))
    after = run("b", *(result(seed) for seed in range(40)), result(0, case="tea"))
    assert compare_runs(before, after).verdict is Release.SHIP
    assert len(compare_runs(before, after).comparisons[0].unpaired) == 2


def test_runs_are_narrowed_to_cases_and_resolutions_by_name():
    both = run("a", result(), result(case="tea"))
    assert only_cases(both, []) is both
    narrowed = only_cases(both, ["tea@256x128"])
    assert [sample.case for sample in narrowed.planned] == [r.sample.case for r in narrowed.results] == ["tea"]
    with pytest.raises(StoreError, match="no image of case 'te'"):
        only_cases(both, ["tea", "te"])


def test_an_image_without_a_score_is_an_error():
    scored, failed = result(), result(score=None, error="out of memory\n  -> a remedy")
    assert obstacle(run("a", failed), run("b", scored)).why == "before: out of memory -> a remedy"
    unread = result(score=None)
    found = obstacle(run("a", unread), run("b", failed))
    assert (found.verdict, found.why) == (
        Verdict.ERROR,
        "before: not read and scored; after: out of memory -> a remedy",
    )


def test_a_score_of_no_characters_is_an_error_and_no_division():
    bad = result(score=replace(make.score(), length=0))
    assert "invalid score: distance 0 of 0 characters" in obstacle(run("a", bad), run("b", bad)).why


def test_two_readers_are_never_compared():
    other = result(score=make.score(reader=make.unlike()))
    found = obstacle(run("a", result()), run("b", other))
    assert found.verdict is Verdict.INCOMPARABLE
    assert found.id.startswith("coffee@")
    assert "rapidocr-1-" in found.why
    assert "rapidocr-2-" in found.why


def test_images_of_different_sizes_are_incomparable():
    other = result(recipe=make.recipe(effective=Size(512, 256)))
    assert obstacle(run("a", result()), run("b", other)).why == "different sizes: 256x128 and 512x256"


def test_other_expected_texts_are_incomparable():
    other = result(score=make.score(expected="Qwen Tea"))
    assert obstacle(run("a", result()), run("b", other)).why == "different expected texts"


@pytest.mark.parametrize("change", [{"prompt": "another"}, {"forgiven": ("c/C",)}])
def test_a_case_that_changed_between_the_runs_is_incomparable(change):
    found = obstacle(run("a", result()), run("b", result(), case=make.case(**change)))
    assert found.why == f"the case's {next(iter(change))} changed between the runs"


def test_each_common_variant_is_compared_and_the_others_are_named():
    names = ("base", "8step", "4step")
    before = run("a", *(result(variant=name) for name in names))
    after = run("b", *(result(variant=name) for name in ("new", *names[1:])))
    found = pair_runs(before, after)
    assert [pairing.before for pairing in found.pairings] == ["8step of run a", "4step of run a"]
    assert found.unpaired == ("variant base: only in run a", "variant new: only in run b")
    assert compare_runs(before, after).unpaired == found.unpaired


def test_a_run_is_not_compared_with_itself():
    one = run("a", result())
    with pytest.raises(StoreError, match="compared with itself"):
        pair_runs(one, one)
    with pytest.raises(StoreError, match="compared with itself"):
        pair_runs(one, one, variant="4step")


def test_variants_that_are_not_there_are_named_with_those_that_are():
    one, other = run("a", result()), run("b", result(variant="8step"))
    with pytest.raises(StoreError, match="no variant 'base' in run a: 4step"):
        pair_runs(one, other, variant="base")
    with pytest.raises(StoreError, match="no variant 'base' in run b: 8step"):
        pair_runs(one, other, variant="4step", with_variant="base")
    with pytest.raises(StoreError, match="no variant is in both"):
        pair_runs(one, other)
    with pytest.raises(StoreError, match="--with needs --variant"):
        pair_runs(one, other, with_variant="8step")


def test_runs_are_compared_to_a_verdict():
    before = run("a", *(result(seed) for seed in range(40)))
    good = run("b", *(result(seed, sha="b") for seed in range(40)))
    worse = run("c", *(result(seed, 1, sha="b") for seed in range(40)))
    assert compare_runs(before, good).verdict is Release.SHIP
    assert compare_runs(before, worse).verdict is Release.DO_NOT_SHIP
    assert compare_runs(before, worse, margin=0.5).comparisons[0].exact.broken == 40
    assert compare_runs(worse, before).verdict is Release.SHIP
