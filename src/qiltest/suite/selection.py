"""Which images a run generates, out of a suite's cases, resolutions, variants and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from qiltest.errors import CaseError
from qiltest.recipe import Size
from qiltest.suite.cases import Case, Resolution
from qiltest.suite.load import Suite, unknown
from qiltest.suite.variants import ModelKind, Variant

#: stands for every variant that the model can generate.
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image of the grid case x resolution x variant x seed."""

    case: str
    #: the case's own resolution, also where the embedded model generates a smaller stand-in.
    size: Size
    variant: str
    seed: int

    @property
    def id(self) -> str:
        """Name of the point, as in the test's id: `coffee-shop@1280x1280-4step-s42`."""
        return f"{self.case}@{self.size}-{self.variant}-s{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Task:
    """One image to generate, read and judge."""

    case: Case
    resolution: Resolution
    variant: Variant
    seed: int
    kind: ModelKind

    @property
    def id(self) -> str:
        """`case:WxH:variant:seed` with the report's size; unique, and usable in pytest's `-k`."""
        return f"{self.case.id}:{self.resolution.size}:{self.variant.name}:{self.seed}"

    @property
    def sample(self) -> Sample:
        """The task's place in the grid."""
        return Sample(case=self.case.id, size=self.resolution.size, variant=self.variant.name, seed=self.seed)

    @property
    def size(self) -> Size:
        """The size to ask of the model: the report's, or the embedded model's stand-in."""
        return self.resolution.for_model(tiny=self.kind is ModelKind.TINY)

    @property
    def prompt(self) -> str:
        """The prompt as the pipeline gets it, with the variant's suffix."""
        return self.variant.prompt(self.case.prompt, self.case.language)


def select(
    suite: Suite,
    *,
    kind: ModelKind,
    cases: Sequence[str] = (),
    variants: Sequence[str] = (),
    sizes: Sequence[str] = (),
    seeds: Sequence[int] = (),
) -> tuple[Task, ...]:
    """Return the images to generate: by case, resolution, variant, seed, in that order.

    Nothing given means all cases, their own sizes and seeds, and the default variants; `cases` may be
    `ID` or `ID@WxH`; `sizes` are the report's, also for the embedded model; `seeds` replace the cases' own. A name
    given twice counts once. Raises CaseError for a name that does not exist, a variant without a LoRA for this kind of
    model, a negative seed, and where nothing is left.
    """
    places = _places(suite, cases, sizes)
    generated = _variants(suite, variants, kind)
    if negative := [seed for seed in seeds if seed < 0]:
        raise CaseError(f"seed {negative[0]} is negative", remedy="give seeds of 0 or more")
    return tuple(
        Task(case=case, resolution=resolution, variant=variant, seed=seed, kind=kind)
        for case, resolution in places
        for variant in generated
        for seed in dict.fromkeys(seeds or case.seeds)
    )


def select_tasks(
    suite: Suite,
    *,
    kind: ModelKind,
    cases: Sequence[str] = (),
    variants: Sequence[str] = (),
    sizes: Sequence[str] = (),
    seeds: Sequence[int] = (),
    seed_count: int | None = None,
) -> dict[Sample, Task]:
    """Return what is selected, cases outermost; arguments as for `select`, and `all` names every variant.

    `seed_count` asks for so many seeds per case, beginning with its own. Raises CaseError as `select` does: a run that
    generates nothing must not look like one in which all is well.
    """
    if tuple(variants) == (ALL,):
        variants = tuple(variant.name for variant in suite.variants if variant.generates(kind))
    tasks = select(suite, kind=kind, cases=cases, variants=variants, sizes=sizes, seeds=seeds)
    if seed_count is not None:
        own = dict.fromkeys(replace(task, seed=0) for task in tasks)
        tasks = tuple(replace(task, seed=seed) for task in own for seed in _first_seeds(task.case, seed_count))
    return {task.sample: task for task in tasks}


def default_samples(suite: Suite, kind: ModelKind) -> frozenset[Sample]:
    """Return the points of a full run: every case, resolution, default variant and seed."""
    return frozenset(task.sample for task in select(suite, kind=kind))


def _first_seeds(case: Case, count: int) -> tuple[int, ...]:
    """Return `count` seeds: the case's own, then those that follow the highest."""
    own = case.seeds[:count]
    following = max(case.seeds) + 1
    return (*own, *range(following, following + count - len(own)))


def _places(suite: Suite, names: Sequence[str], sizes: Sequence[str]) -> list[tuple[Case, Resolution]]:
    asked = [suite.case(name) for name in names] or [(case, None) for case in suite.cases]
    places = dict.fromkeys(
        (case, resolution) for case, only in asked for resolution in ((only,) if only else case.resolutions)
    )
    found = dict.fromkeys(str(resolution.size) for _, resolution in places)
    for size in sizes:
        if size not in found:
            raise unknown("resolution of the selected cases", size, found)
    kept = [(case, resolution) for case, resolution in places if not sizes or str(resolution.size) in sizes]
    if not kept:
        raise CaseError("no case is selected", remedy="load a suite with cases")
    return kept


def _variants(suite: Suite, names: Sequence[str], kind: ModelKind) -> list[Variant]:
    generated = list(dict.fromkeys(suite.variant(name) for name in names))
    if not names:
        generated = [variant for variant in suite.variants if variant.default]
    if not generated:
        raise CaseError("no variant is generated by default", remedy="name variants, or set default = true on one")
    for variant in generated:
        if not variant.generates(kind):
            model = "the embedded model" if kind is ModelKind.TINY else "a real model"
            able = ", ".join(other.name for other in suite.variants if other.generates(kind))
            raise CaseError(
                f"variant {variant.name} has no LoRA for {model}",
                where="variants.toml",
                remedy=f"choose among {able or 'none'}, or add loras.{kind.value} to it",
            )
    return generated
