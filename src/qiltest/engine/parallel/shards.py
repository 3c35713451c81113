"""Split a session over several runners, each of which generates its part into a run of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from qiltest.engine.parallel.expected import kind_of, known_seconds
from qiltest.engine.parallel.plan import Batch, Free, Job, best_plan
from qiltest.engine.parallel.scheduler import estimated_load, estimated_seconds
from qiltest.suite.selection import Sample, Task


def part_of(tasks: Mapping[Sample, Task], number: int, of: int, *, history: Path) -> frozenset[Sample]:
    """Return part `number` (from 1) of `of` parts that take about equally long, variants together where that pays.

    Seconds are those of the history, where it has every kind of image, else estimated by forwards and size. All runners
    that have the same tasks and the same history, or none, split alike.
    """
    samples = list(tasks)
    known = known_seconds(history)
    kinds = {kind_of(sample): _estimate(task) for sample, task in tasks.items()}
    seconds = {kind: known[kind] for kind in kinds} if kinds.keys() <= known.keys() else kinds
    jobs = [
        Job(number=place, variant=sample.variant, kind=kind_of(sample), seconds=seconds[kind_of(sample)])
        for place, sample in enumerate(samples)
    ]
    batches = [
        Batch(jobs=tuple(job for job in jobs if job.kind == kind), seconds=seconds[kind], not_on=frozenset())
        for kind in kinds
    ]
    sizes = [task.size for task in tasks.values()]
    switch = max((estimated_load(width=size.width, height=size.height) for size in sizes), default=0.0)
    scale = sum(seconds.values()) / max(sum(kinds.values()), 1e-9)
    plan = best_plan(batches, dict.fromkeys(range(1, of + 1), Free(at=0.0, variant=None)), switch=switch * scale)
    return frozenset(samples[job.number] for job in plan.get(number, ()))


def _estimate(task: Task) -> float:
    size = task.size.effective()
    return estimated_seconds(nfe=task.variant.nfe, width=size.width, height=size.height)
