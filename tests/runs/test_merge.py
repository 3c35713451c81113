"""Merging runs: laws that hold whatever the runs are."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders as make
from qiltest.comparison.records import Release
from qiltest.errors import StoreError
from qiltest.gate import Verdict
from qiltest.runs import CaseResult, Run, RunState
from qiltest.runs.merge import merge_runs
from qiltest.runs.status import Status
from qiltest.suite.selection import Sample

CASES = {name: make.case(name, "Qwen") for name in ("coffee", "tea")}
ORDER = [None, Verdict.PASS, Verdict.NEW, Verdict.INCOMPARABLE, Verdict.MISSING, Verdict.ERROR, Verdict.FAIL]

samples = st.builds(
    Sample,
    case=st.sampled_from(list(CASES)),
    size=st.just(make.SIZE),
    variant=st.sampled_from(["base", "4step"]),
    seed=st.integers(0, 2),
)


results = st.builds(
    CaseResult,
    sample=samples,
    judgement=st.none() | st.sampled_from(list(Verdict)).map(make.judgement),
    error=st.sampled_from(["", "", "out of memory"]),
    notes=st.lists(st.sampled_from(["a note", "another"]), max_size=1).map(tuple),
)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    generated = draw(st.lists(results, max_size=6, unique_by=lambda result: result.sample))
    name = draw(st.sampled_from(["20261123-a", "20261124-b", "20261125-c"]))
    ended = draw(st.booleans())
    return make.run(
        name,
        state=draw(st.sampled_from(list(RunState))),
        started=draw(st.sampled_from(["2026-11-23", "2026-11-24"])),
        finished="2026-11-25" if ended else None,
        exit_status=draw(st.integers(0, 2)) if ended else None,
        command=("pytest", draw(st.sampled_from(["-x", "-q"]))),
        device_name=draw(st.sampled_from(["one CPU", "another CPU"])),
        versions=draw(st.sampled_from([(), (("torch", "2.14"),)])),
        cases=tuple(CASES.values()),
        planned=tuple(dict.fromkeys([result.sample for result in generated] + draw(st.lists(samples, max_size=2)))),
        results=tuple(generated),
        full=draw(st.booleans()),
        problems=draw(st.sampled_from([(), ("a golden is unused",)])),
    )


@given(runs(), runs())
def test_merging_is_commutative(a, b):
    assert merge_runs([a, b]) == merge_runs([b, a])


@given(runs(), runs())
def test_merging_is_idempotent(a, b):
    both = merge_runs([a, b])
    assert merge_runs([a, a]) == merge_runs([a])
    assert merge_runs([both]) == merge_runs([both, both]) == merge_runs([both, a]) == both


@given(runs(), runs(), runs())
def test_merging_is_associative(a, b, c):
    assert merge_runs([merge_runs([a, b]), c]) == merge_runs([a, merge_runs([b, c])]) == merge_runs([a, b, c])


@given(runs(), runs())
def test_nothing_is_lost_and_nothing_gets_better_by_merging(a, b):
    both = merge_runs([a, b])
    assert set(both.planned) >= {*a.planned, *b.planned}
    for one in (*a.results, *b.results):
        kept = both.result(one.id)
        assert kept in (*a.results, *b.results)
        assert ORDER.index(kept.verdict) >= ORDER.index(one.verdict)


def test_merged_runs_reports_and_releases_have_one_order_of_severity():
    best_first = sorted(Status, key=lambda status: -status.rank)
    assert [status.value for status in best_first if status is not Status.WAITING] == [v.value for v in ORDER[1:]]
    assert sorted(Release, key=lambda release: release.status.rank) == [
        Release.DO_NOT_SHIP,
        Release.ERROR,
        Release.MISSING,
        Release.INCOMPARABLE,
        Release.CANNOT_TELL,
        Release.SHIP,
    ]


def test_an_image_that_one_run_never_judged_is_missing_though_another_found_it_new(run):
    sample = make.sample(0, "tea", "base")
    new, missing = (CaseResult(sample=sample, judgement=make.judgement(v)) for v in (Verdict.NEW, Verdict.MISSING))
    runs = [replace(run, planned=(sample,), results=(result,)) for result in (new, missing)]
    assert merge_runs(runs).results == (missing,)


@pytest.fixture
def run() -> Run:
    return make.run("a", started="2026", finished="2026", cases=tuple(CASES.values()))


def test_runs_of_two_models_are_not_one(run):
    with pytest.raises(StoreError, match="runs of different models cannot be merged: Qwen/Qwen-Image, tiny"):
        merge_runs([run, replace(run, model="Qwen/Qwen-Image")])


def test_a_case_that_changed_between_the_runs_is_refused(run):
    other = replace(run, cases=(replace(CASES["tea"], prompt="another"),))
    with pytest.raises(StoreError, match="tea differs between the runs"):
        merge_runs([run, other])


def test_a_case_with_other_seeds_names_them_and_what_helps(run):
    other = replace(run, id="b", cases=(replace(CASES["tea"], seeds=(43, 44)),))
    with pytest.raises(StoreError) as refused:
        merge_runs([run, other])
    assert refused.value.what == "tea has other seeds in its case file: 42 in a; 43, 44 in b"
    assert "--qil-seeds" in refused.value.remedy
    assert "--qil-reuse" in refused.value.remedy
    both = replace(other, cases=(replace(other.cases[0], prompt="another"),))
    with pytest.raises(StoreError, match="tea differs between the runs"):
        merge_runs([run, both])
