"""Which worker does which job next, as jobs end, die, and take other times than expected."""

from qiltest.engine.parallel.plan import Job
from qiltest.engine.parallel.scheduler import Scheduler, estimated_seconds


def jobs(*described, first=0):
    """Jobs from (variant, seconds)."""
    return [
        Job(number=number, variant=variant, kind=(variant, seconds), seconds=seconds, load=6)
        for number, (variant, seconds) in enumerate(described, start=first)
    ]


def scheduler(found, *, window=100, workers=1):
    made = Scheduler(window=window)
    made.add(found)
    for slot in range(1, workers + 1):
        made.join(slot)
    return made


def run(made, slot=1):
    """Numbers of the jobs that one worker is given until there is none."""
    found, now = [], 0.0
    while (job := made.next(slot, now=now)) is not None:
        found.append(job.number)
        now += job.seconds
        made.done(slot, seconds=job.seconds)
        made.taken(job.number)
    return found


def test_one_worker_does_variant_by_variant_in_the_order_of_tests_the_longest_first():
    assert run(scheduler(jobs(("a", 1), ("b", 5), ("a", 3), ("b", 4), ("a", 2)))) == [2, 4, 0, 1, 3]


def test_equal_jobs_come_in_the_order_of_tests():
    assert run(scheduler(jobs(*[("a", 1)] * 5))) == [0, 1, 2, 3, 4]


def test_nothing_beyond_the_window_is_begun():
    made = scheduler(jobs(("a", 1), ("a", 1), ("a", 9)), window=2)
    assert [made.next(1, now=0).number, made.done(1, seconds=1), made.next(1, now=1).number] == [0, None, 1]
    made.done(1, seconds=1)
    assert made.next(1, now=2) is None
    made.taken(0)
    assert made.next(1, now=2).number == 2


def test_what_a_test_waits_for_is_begun_beyond_the_window_too():
    made = scheduler(jobs(*[("a", 1)] * 4), window=1)
    made.next(1, now=0)
    made.done(1, seconds=1)
    assert made.next(1, now=1) is None
    made.wanted(3)
    assert made.next(1, now=1).number == 3


def test_what_a_test_waits_for_comes_before_longer_images_of_its_variant():
    made = scheduler(jobs(("a", 1), ("a", 9), ("a", 5), ("b", 2)))
    made.wanted(0)
    assert run(made) == [0, 1, 2, 3]
    # but no variant is loaded for it before the loaded one is through
    made = scheduler(jobs(("a", 9), ("b", 2), ("a", 5)))
    made.wanted(1)
    assert run(made) == [0, 2, 1]


def test_two_workers_split_one_variant_and_a_third_takes_the_other():
    made = scheduler(jobs(*[("base", 30)] * 4, *[("fast", 1)] * 9), workers=3)
    assert [made.next(slot, now=0).variant for slot in (1, 2, 3)] == ["base", "base", "fast"]


def test_an_estimate_is_scaled_by_what_this_device_measures():
    made = scheduler(jobs(("a", 10), ("b", 1)))
    made.next(1, now=0)
    made.done(1, seconds=20)
    assert [made.expected(job) for job in jobs(("a", 10), ("b", 1))] == [20, 2]
    assert [made.measured(job) for job in jobs(("a", 10), ("b", 1))] == [20, None]


def test_a_worker_that_left_gives_nothing_back_by_itself_and_its_lost_job_goes_elsewhere():
    made = scheduler(jobs(("a", 1)), workers=2)
    job = made.next(1, now=0)
    assert made.is_busy(1)
    assert made.lost(job, 1)
    made.leave(1)
    made.join(1)
    assert not made.is_busy(1)
    assert made.next(1, now=1) is None
    assert made.next(2, now=1) is job


def test_the_only_worker_does_what_died_on_it_again_and_a_second_death_is_the_last():
    made = scheduler(jobs(("a", 1)))
    job = made.next(1, now=0)
    assert made.lost(job, 1)
    made.leave(1)
    made.join(1)
    assert made.next(1, now=1) is job
    assert not made.lost(job, 1)
    made.leave(1)
    made.join(1)
    assert made.next(1, now=2) is None


def test_what_died_on_the_first_worker_waits_for_one_that_is_still_to_come():
    made = scheduler(jobs(("a", 1), ("a", 1)))
    made.expect((1, 2))
    first = made.next(1, now=0)
    assert made.lost(first, 1)
    made.leave(1)
    made.join(1)
    second = made.next(1, now=1)
    assert second is not None
    assert second is not first
    made.done(1, seconds=1)
    assert made.next(1, now=2) is None
    made.join(2)
    assert made.next(1, now=3) is None
    assert made.next(2, now=3) is first


def test_where_no_other_comes_it_is_done_where_it_died():
    made = scheduler(jobs(("a", 1)))
    made.expect((1, 2))
    job = made.next(1, now=0)
    assert made.lost(job, 1)
    made.leave(1)
    made.join(1)
    assert made.next(1, now=1) is None
    made.give_up(2)
    assert made.next(1, now=2) is job


def test_an_image_that_failed_is_not_begun_again():
    made = scheduler(jobs(("a", 1)))
    made.next(1, now=0)
    made.failed(1)
    assert made.next(1, now=1) is None


def test_a_worker_that_is_late_does_not_keep_an_idle_one_waiting():
    made = scheduler(jobs(("a", 10), ("a", 10), ("a", 9), ("a", 9), ("a", 9)), workers=2)
    for slot in (1, 2):
        made.next(slot, now=0)
    made.done(2, seconds=10)
    # the first one hangs: nothing waits for it
    for now in (10, 60, 120):
        assert made.next(2, now=now) is not None
        made.done(2, seconds=9)


def test_a_measured_switch_replaces_the_estimate():
    made = scheduler(jobs(("a", 1), ("b", 1)))
    made.next(1, now=0)
    assert not made.is_loading(1)
    made.done(1, seconds=1)
    made.next(1, now=1)
    assert made.is_loading(1)
    made.done(1, seconds=1, load=40)
    made.add(jobs(("a", 100), ("b", 1), first=5))
    made.join(2)
    # another worker is new and loads at no cost; this one keeps its variant
    assert made.next(1, now=50).variant == "b"
    assert made.next(2, now=50).variant == "a"


def test_a_real_image_takes_about_as_long_as_was_measured():
    # docs/measurements/gpu.md, H200: 0.308 s per forward at 1328x1328
    assert 30 < estimated_seconds(nfe=100, width=1328, height=1328) < 32.5
    assert 1.2 < estimated_seconds(nfe=4, width=1328, height=1328) < 2
