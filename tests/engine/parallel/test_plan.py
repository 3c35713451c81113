"""A plan of which worker generates what: nothing lost, nothing twice, no switch that does not pay, an early end."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from qiltest.engine.parallel.plan import Batch, Free, Job, best_plan

numbers = itertools.count()


def batch(variant, seconds, count=1, not_on=()):
    jobs = tuple(
        Job(number=next(numbers), variant=variant, kind=(variant, seconds), seconds=seconds) for _ in range(count)
    )
    return Batch(jobs=jobs, seconds=seconds, not_on=frozenset(not_on))


def fresh(count):
    return {number: Free(at=0.0, variant=None) for number in range(1, count + 1)}


def end_of(plan, free, *, switch):
    ends = []
    for slot, jobs in plan.items():
        variants = [free[slot].variant, *(job.variant for job in jobs)]
        switches = sum(a not in (None, b) for a, b in itertools.pairwise(variants))
        ends.append(free[slot].at + switches * switch + sum(job.seconds for job in jobs))
    return max(ends)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.1, 50), st.integers(1, 9)), min_size=1, max_size=8),
    st.integers(1, 9),
    st.floats(0, 10),
)
def test_every_job_is_planned_once_and_the_end_is_near_what_is_possible(kinds, workers, switch):
    batches = [batch(variant, seconds, count) for variant, seconds, count in kinds]
    free = fresh(workers)
    plan = best_plan(batches, free, switch=switch)
    assert sorted(job.number for jobs in plan.values() for job in jobs) == sorted(
        job.number for one in batches for job in one.jobs
    )
    work = sum(one.seconds * len(one.jobs) for one in batches)
    longest, variants = max(one.seconds for one in batches), len({one.variant for one in batches})
    # list scheduling with a switch for each variant on each worker
    assert end_of(plan, free, switch=switch) <= 1.001 * (work / workers + longest + switch * variants)


def test_a_variant_that_one_worker_can_do_is_loaded_by_one():
    plan = best_plan([batch("long", 10, 10), batch("short", 1, 20)], fresh(4), switch=6)
    assert sum(any(job.variant == "short" for job in jobs) for jobs in plan.values()) == 1


def test_the_longest_come_first_of_the_variant_that_is_loaded():
    free = {1: Free(at=0, variant="short")}
    (jobs,) = best_plan([batch("long", 10), batch("short", 1), batch("short", 2)], free, switch=6).values()
    assert [(job.variant, job.seconds) for job in jobs] == [("short", 2), ("short", 1), ("long", 10)]


def test_a_worker_that_ends_sooner_without_help_is_not_helped():
    free = {1: Free(at=1, variant="a"), 2: Free(at=0, variant="b")}
    assert best_plan([batch("a", 2)], free, switch=6)[2] == []
    assert best_plan([batch("a", 9)], {**free, 1: Free(at=8, variant="a")}, switch=6)[1] == []


def test_what_died_on_a_worker_goes_to_another():
    plan = best_plan([batch("a", 5, not_on=[1])], fresh(2), switch=6)
    assert [len(plan[1]), len(plan[2])] == [0, 1]


def test_without_jobs_or_workers_nothing_is_planned():
    assert best_plan([], fresh(2), switch=1) == {}
    assert best_plan([batch("a", 1)], {}, switch=1) == {}
