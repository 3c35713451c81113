"""Which pictures a session asks for: case x resolution x variant x seed, of what the options leave."""

from __future__ import annotations

from dataclasses import replace

from qiltest.engine.options import Options
from qiltest.runs.records import Point
from qiltest.suite.cases import Case
from qiltest.suite.load import Suite
from qiltest.suite.selection import Task, select
from qiltest.suite.variants import ModelKind

ALL = "all"


def select_tasks(suite: Suite, options: Options) -> dict[Point, Task]:
    """Return what the options select, cases outermost.

    Raises CaseError for a name that does not exist, a variant that the model cannot draw, and a selection that is
    empty: a session that draws nothing must not look like one in which all is well.
    """
    kind = _kind(options)
    variants = options.variants
    if variants == (ALL,):
        variants = tuple(variant.name for variant in suite.variants if variant.draws(kind))
    tasks = select(
        suite,
        kind=kind,
        cases=options.cases,
        variants=variants,
        sizes=[str(size) for size in options.sizes],
        seeds=options.seeds,
    )
    if options.seed_count is not None:
        own = dict.fromkeys(replace(task, seed=0) for task in tasks)
        tasks = tuple(replace(t, seed=seed) for t in own for seed in _first_seeds(t.case, options.seed_count))
    return {point_of(task): task for task in tasks}


def default_points(suite: Suite, options: Options) -> frozenset[Point]:
    """Return the points of a full run: every case, resolution, default variant and seed."""
    return frozenset(point_of(task) for task in select(suite, kind=_kind(options)))


def point_of(task: Task) -> Point:
    """Return the point of the grid that a task draws."""
    return Point(case=task.case.id, size=task.resolution.size, variant=task.variant.name, seed=task.seed)


def _first_seeds(case: Case, count: int) -> tuple[int, ...]:
    """Return `count` seeds: the case's own, then those that follow the highest."""
    own = case.seeds[:count]
    following = max(case.seeds) + 1
    return (*own, *range(following, following + count - len(own)))


def _kind(options: Options) -> ModelKind:
    return ModelKind.TINY if options.is_tiny else ModelKind.REAL
