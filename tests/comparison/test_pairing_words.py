"""Why two runs, or two of their images, are not compared: message, place and remedy."""

from dataclasses import replace
from pathlib import Path

import pytest

import builders as make
from qiltest.comparison.pairing import pair_runs, pair_up
from qiltest.errors import StoreError
from qiltest.gate.verdict import Verdict, judge_missing
from qiltest.recipe import Size
from qiltest.runs import CaseResult
from qiltest.runs.filter import only_cases


def run(name, *samples, results=(), case=None):
    return make.run(name, planned=samples, results=results, cases=(case or make.case(),))


def refused(call, *args, **fields):
    with pytest.raises(StoreError) as error:
        call(*args, **fields)
    return error.value.what, error.value.where, error.value.remedy


def test_two_runs_without_a_common_variant_name_what_each_has():
    old = run("a", make.sample(variant="base"), make.sample(variant="8step"))
    new = run("b", make.sample(variant="4step"))
    assert refused(pair_runs, old, new) == (
        "no variant is in both runs: run a: base, 8step; run b: 4step",
        "runs/b",
        "name one of each",
    )
    assert refused(pair_runs, old, run("c"))[0].endswith("run c: no image")


def test_half_a_question_is_refused():
    both = run("a", make.sample())
    assert refused(pair_runs, both, run("b", make.sample()), with_variant="8step") == (
        "--with needs --variant",
        "runs/a",
        "name a variant for each side",
    )
    assert refused(pair_runs, both, both) == (
        "variant 4step would be compared with itself",
        "runs/a",
        "name another run or variant",
    )
    assert refused(pair_runs, both, run("b", make.sample()), variant="8step") == (
        "no variant '8step' in run a: 4step",
        "runs/a",
        "name one of these",
    )


def test_variants_that_one_run_alone_has_are_named():
    old = run("a", make.sample(), make.sample(variant="base"))
    new = run("b", make.sample(), make.sample(variant="8step"))
    found = pair_runs(old, new)
    assert [pairing.before for pairing in found.pairings] == ["4step of run a"]
    assert found.unpaired == ("variant base: only in run a", "variant 8step: only in run b")
    assert pair_runs(old, new, variant="4step").unpaired == ()


def obstacle(before, after, **fields):
    old, new = (
        run(name, make.sample(), results=(replace(CaseResult(sample=make.sample()), **one),), **fields)
        for name, one in (("a", before), ("b", after))
    )
    (found,) = pair_up(old, new, variant="4step", with_variant="4step").obstacles
    return found.id, found.verdict, found.why


def test_an_image_without_a_score_says_on_which_side_and_why():
    good = {"score": make.score()}
    name = "coffee@256x128-s42"
    assert obstacle(good, {"error": "out of memory\nmore"}) == (name, Verdict.ERROR, "after: out of memory")
    assert obstacle(good, {}) == (name, Verdict.MISSING, "after: not read and scored")
    told = judge_missing("it was skipped", None)
    assert obstacle({"judgement": told}, good) == (
        name,
        Verdict.MISSING,
        "before: no verdict: it was skipped",
    )
    assert obstacle({"judgement": replace(told, reasons=("one", "two"))}, good)[2] == "before: one"
    assert obstacle({"error": "x"}, {}) == (name, Verdict.ERROR, "before: x; after: not read and scored")
    no_score = {"score": replace(make.score(), length=0)}
    assert obstacle(no_score, good)[2] == "before: invalid score: distance 0 of 0 characters"
    no_score = {"score": replace(make.score(), distance=-1)}
    assert obstacle(no_score, good)[2] == "before: invalid score: distance -1 of 10 characters"


def test_a_score_of_one_character_is_a_score():
    one = {"score": replace(make.score(), length=1)}
    old = run("a", make.sample(), results=(replace(CaseResult(sample=make.sample()), **one),))
    new = replace(old, id="b", path=Path("runs/b"))
    assert len(pair_up(old, new, variant="4step", with_variant="4step").pairs) == 1


def test_images_that_measure_different_things_say_each():
    score = make.score()
    other = make.score(expected="Tea", reader=make.unlike())
    old = run("a", make.sample(), results=(replace(CaseResult(sample=make.sample()), score=score),))
    changed = make.case(prompt="q", forgiven=("O/0",))
    new = run("b", make.sample(), results=(replace(CaseResult(sample=make.sample()), score=other),), case=changed)
    (found,) = pair_up(old, new, variant="4step", with_variant="4step").obstacles
    assert found.verdict is Verdict.INCOMPARABLE
    assert found.why == (
        "the case's prompt, forgiven changed between the runs; "
        f"read by {score.reader.fingerprint} and by {other.reader.fingerprint}: different readers are not comparable; "
        "different expected texts"
    )


def test_pairs_dropped_and_alone_are_told_by_case_size_and_seed():
    small, large = Size(64, 64), Size(512, 64)
    old = [
        make.sample(2),
        make.sample(10),
        make.sample(1),
        make.sample(3, "tea", size=large),
        make.sample(3, "tea", size=small),
        make.sample(4, "milk"),
    ]
    new = [make.sample(2), make.sample(9), make.sample(11), make.sample(5, "soup")]
    found = pair_up(run("a", *old), run("b", *new), variant="4step", with_variant="4step")
    assert [one.id for one in found.obstacles] == [
        "coffee@256x128-s2",
        "milk@256x128-s4",
        "tea@64x64-s3",
        "tea@512x64-s3",
    ]
    assert [one.why for one in found.obstacles[1:]] == ["after: not planned"] * 3
    assert {one.verdict for one in found.obstacles[1:]} == {Verdict.MISSING}
    assert found.unpaired == (
        "coffee@256x128-s1: only in run a, variant 4step",
        "coffee@256x128-s10: only in run a, variant 4step",
        "coffee@256x128-s9: only in run b, variant 4step",
        "coffee@256x128-s11: only in run b, variant 4step",
        "soup@256x128-s5: only in run b, variant 4step",
    )


def test_a_run_narrowed_to_what_it_has_not_names_what_it_has():
    whole = run("a", make.sample(), make.sample(case="tea"), make.sample(1, case="tea"))
    assert refused(only_cases, whole, ["coffee", "milk"]) == (
        "no image of case 'milk'",
        "runs/a",
        "its cases: coffee, tea",
    )
    assert refused(only_cases, run("b"), ["milk"])[2] == "its cases: none"
    assert only_cases(whole, []) is whole
    assert [p.case for p in only_cases(whole, ["tea"]).planned] == ["tea", "tea"]
    assert only_cases(whole, ["tea@256x128", "coffee"]).planned == whole.planned


def test_an_image_that_never_came_is_missing_with_its_golden():
    found = judge_missing("its test was skipped", make.golden(3))
    assert found.verdict is Verdict.MISSING
    assert found.reasons == (
        "no verdict: its test was skipped",
        "golden (distance 3) was not compared",
    )
    assert (found.distance, found.limit, found.golden_distance, found.noise_floor) == (None, None, 3, None)
    found = judge_missing("x", None)
    assert (found.verdict, found.golden_distance) == (Verdict.MISSING, None)
    assert found.reasons == ("no verdict: x",)
