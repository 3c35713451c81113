"""Which worker generated what, and which one is slower or faster than its cohort."""

import pytest

import builders as make
from qiltest.runs import CaseResult, RunState
from qiltest.runs.made_on import made_on_lines
from qiltest.runs.records import MadeOn, Run

FIRST, SECOND = MadeOn(worker=1, host="node-a", gpu="GPU-8f2a"), MadeOn(worker=2, host="node-b")


def run(*made, reused=""):
    """A run of these (worker, seconds)."""
    results = tuple(
        CaseResult(
            sample=make.sample(seed),
            timing=make.timing(seconds),
            cohort=make.gpu_cohort(),
            made_on=worker,
            reused_from=reused,
        )
        for seed, (worker, seconds) in enumerate(made)
    )
    return Run(
        id="r", path=None, state=RunState.FINISHED, started=make.AT, finished=make.AT, exit_status=0, results=results,
        command=(), qiltest_version="1", model="m", device="cuda", device_name="H100", versions=(), reader=make.READER,
        cases=(), variants=(), planned=(), full=True,
    )  # fmt: skip


def test_each_worker_is_told_with_its_images():
    assert list(made_on_lines(run((FIRST, 1.0), (SECOND, 1.0), (FIRST, 1.0)))) == [
        "worker 1 on node-a, GPU-8f2a: 2 images",
        "worker 2 on node-b: 1 image",
    ]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (1.07, ""),
        (1.09, "; 9 % slower than its cohort (4step at 1328x1328)"),
        (0.8, "; 20 % faster than its cohort (4step at 1328x1328)"),
    ],
)
def test_a_worker_more_than_8_percent_off_its_cohort_is_named(seconds, told):
    first, second = made_on_lines(run((FIRST, 1.0), (FIRST, 1.0), (FIRST, 1.0), (SECOND, seconds)))
    assert first == "worker 1 on node-a, GPU-8f2a: 3 images"
    assert second == f"worker 2 on node-b: 1 image{told}"


def test_a_session_without_workers_and_images_of_earlier_runs_say_nothing():
    assert list(made_on_lines(run((None, 1.0), (None, 2.0)))) == []
    assert list(made_on_lines(run((FIRST, 1.0), reused="earlier"))) == []
