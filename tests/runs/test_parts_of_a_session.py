"""Merging the parts of one shared session (`--qil-shard`), and what is said where runs cannot be merged."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

import builders
from qiltest.errors import StoreError
from qiltest.gate.verdict import Verdict
from qiltest.recipe import Size
from qiltest.runs.merge import merge_runs
from qiltest.runs.records import CaseResult, Shards

SAMPLES = (
    builders.sample(42),
    builders.sample(43),
    builders.sample(42, size=Size(1328, 800)),
    builders.sample(42, case="bakery"),
)
IN_ORDER = (SAMPLES[3], SAMPLES[0], SAMPLES[1], SAMPLES[2])


def part(number, of, whole=SAMPLES, **fields):
    shards = Shards(numbers=(number,), of=of, whole=whole, full=True)
    planned = whole[number - 1 :: of]
    return builders.run(f"r{number}", planned=planned, shards=shards, full=False, **fields)


def refused(*runs):
    with pytest.raises(StoreError) as error:
        merge_runs(runs)
    return error.value


def test_all_parts_together_are_the_whole_session():
    merged = merge_runs([part(2, 2), part(1, 2)])
    assert (merged.shards, merged.full) == (None, True)
    assert merged.planned == IN_ORDER


@pytest.mark.parametrize("order", list(itertools.permutations((1, 3))))
def test_a_part_that_is_missing_is_missed_and_its_images_are_planned(order):
    merged = merge_runs([part(number, 3) for number in order])
    assert merged.shards == Shards(numbers=(1, 3), of=3, whole=IN_ORDER, full=True)
    assert merged.shards.missing == (2,)
    assert merged.planned == IN_ORDER
    assert not merged.full


def test_the_order_in_which_a_part_lists_the_session_does_not_matter():
    merged = merge_runs([part(1, 2), part(2, 2, whole=SAMPLES[::-1])])
    assert (merged.shards, merged.planned) == (None, IN_ORDER)


def test_one_part_among_runs_of_their_own_stays_a_part():
    merged = merge_runs([part(1, 2), builders.run("own", planned=SAMPLES[:1], full=False)])
    assert merged.shards == Shards(numbers=(1,), of=2, whole=IN_ORDER, full=True)


@pytest.mark.parametrize("other", [part(2, 3), part(2, 2, whole=SAMPLES[:2])])
def test_parts_of_two_sessions_are_refused(other):
    error = refused(part(1, 2), other)
    assert error.what == "parts of 2 sessions: their --qil-shard or their images differ"
    assert error.where == f"{Path('runs') / 'r1'}, {Path('runs') / 'r2'}"
    assert error.remedy == "merge the parts of one session, all with the same options"


def result(verdict, distance):
    judgement = None if verdict is None else builders.judgement(verdict)
    return CaseResult(sample=SAMPLES[0], score=builders.score(distance), judgement=judgement)


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        (result(Verdict.FAIL, 10), result(Verdict.FAIL, 9)),
        (result(Verdict.PASS, 0), result(None, 5)),
    ],
)
def test_of_one_image_the_worst_verdict_stands_then_the_larger_distance(worse, better):
    runs = [builders.run("a", results=(worse,)), builders.run("b", results=(better,))]
    assert merge_runs(runs).results == merge_runs(runs[::-1]).results == (worse,)


def test_a_case_with_other_seeds_names_both_lists_in_short_and_how_to_name_seeds():
    case = builders.case()
    many = tuple(range(1000, 1100))
    error = refused(
        builders.run("one", cases=(replace(case, seeds=(1, 2)),)),
        builders.run("two", cases=(replace(case, seeds=many),)),
    )
    listed = ", ".join(map(str, many))
    shown = f"{listed[:60]} […{len(listed) - 60} more characters]"
    assert error.what == f"coffee has other seeds in its case file: 1, 2 in one; {shown} in two"
    assert error.where == "merging runs"
    assert error.remedy == (
        "leave `seeds` of the case as it is and name other seeds with --qil-seeds; run the suite again so, with "
        "--qil-reuse to generate no image twice"
    )
