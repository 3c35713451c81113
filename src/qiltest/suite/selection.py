"""Select the images of a run from a suite's cases, resolutions, variants and seeds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from qiltest.arguments import ALL, MAX_SEED
from qiltest.errors import CaseError
from qiltest.recipe import Size
from qiltest.suite.cases import Case, Resolution, TaskKind
from qiltest.suite.load import Suite, unknown
from qiltest.suite.variants import ModelBase, ModelKind, Variant

#: of a model that nothing is known of.
UNKNOWN = ModelBase(model="")
#: of most models.
TEXT_TO_IMAGE = frozenset({TaskKind.TEXT_TO_IMAGE})


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image of the grid case x resolution x variant x seed."""

    case: str
    #: the case's own resolution, also where the embedded model generates a smaller stand-in.
    size: Size
    variant: str
    seed: int
    #: of a repeated edit, from 1: its input is the round before's output.
    round: int = 1

    @property
    def id(self) -> str:
        """Name of the sample, as in the test's id: `coffee-shop@1280x1280-4step-s42`, with `-r2` for a second round."""
        repeated = f"-r{self.round}" if self.round > 1 else ""
        return f"{self.case}@{self.size}-{self.variant}-s{self.seed}{repeated}"

    @property
    def but_for_variant(self) -> tuple[str, Size, int, int]:
        """What samples have in common that differ in their variant alone: case, size, seed and round."""
        return self.case, self.size, self.seed, self.round


@dataclass(frozen=True, kw_only=True)
class Task:
    """One image to generate, read and judge."""

    case: Case
    resolution: Resolution
    variant: Variant
    seed: int
    kind: ModelKind
    #: `Sample.round`.
    round: int = 1

    @property
    def sample(self) -> Sample:
        """The sample that the task makes."""
        return Sample(
            case=self.case.id,
            size=self.resolution.size,
            variant=self.variant.name,
            seed=self.seed,
            round=self.round,
        )

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
    seed_count: int | None = None,
    base: ModelBase = UNKNOWN,
    able: Collection[TaskKind] = TEXT_TO_IMAGE,
) -> tuple[Task, ...]:
    """Return the images to generate: by case, resolution, variant, seed, round, in that order.

    By default these are all cases of the tasks that the model is `able` to do, with their own sizes and seeds, and the
    default variants of the model's `base`; of an embedded model only those whose input images are part of the suite. A
    case that is named is selected whatever its task.
    `cases` are `ID` or `ID@WxH`; `variants` are names or groups, or `all` alone; `sizes` are the report's, also for the
    embedded model; `seeds` replace the cases' own; `seed_count` is a number of seeds per case, starting with its own.
    Duplicate names count once. Raises CaseError for an unknown name, a variant of another base or without a LoRA for
    this kind of model, a seed that is negative, above 2^63 - 1 or given twice, and where nothing is left: a run that
    generates nothing must not look like a good one.
    """
    if tuple(variants) == (ALL,):
        variants = [variant.name for variant in variants_of(suite, base) if variant.generates(kind)]
    places = _places(suite, cases, sizes, able, kind)
    generated = _variants(suite, variants, kind, base)
    if negative := [seed for seed in seeds if seed < 0]:
        raise CaseError(f"seed {negative[0]} is negative", remedy="give seeds of 0 or more")
    if large := [seed for seed in seeds if seed > MAX_SEED]:
        raise CaseError(f"seed {large[0]} is too large", remedy=f"give seeds from 0 to {MAX_SEED}")
    if len(set(seeds)) < len(seeds):
        raise CaseError(f"a seed is given twice in {', '.join(map(str, seeds))}", remedy="give each seed once")
    return tuple(
        Task(case=case, resolution=resolution, variant=variant, seed=seed, kind=kind, round=number)
        for case, resolution in places
        for variant in generated
        for seed in seeds or _first_seeds(case, seed_count or len(case.seeds))
        for number in range(1, case.rounds + 1)
    )


def left_out(suite: Suite, *, cases: Sequence[str], able: Collection[TaskKind]) -> tuple[Case, ...]:
    """Return the cases that are not selected because the model is not able to do their task."""
    return () if cases else tuple(case for case in suite.every if case.task not in able)


def without_inputs(
    suite: Suite, *, cases: Sequence[str], able: Collection[TaskKind], kind: ModelKind
) -> tuple[Case, ...]:
    """Return the cases that are not selected because an embedded model is to need no download."""
    if cases or kind is not ModelKind.TINY:
        return ()
    return tuple(case for case in suite.every if case.task in able and not case.has_its_inputs)


def _first_seeds(case: Case, count: int) -> tuple[int, ...]:
    """Return `count` seeds: the case's own, then those that follow the highest. Raises CaseError where none follows."""
    own = case.seeds[:count]
    following = max(case.seeds) + 1
    if following + count - len(own) > MAX_SEED + 1:
        raise CaseError(
            f"no {count} seeds: none follows the largest of its own, {following - 1}",
            where=f"case {case.id}",
            remedy=f"name seeds from 0 to {MAX_SEED}, or give the case a smaller one",
        )
    return (*own, *range(following, following + count - len(own)))


def _places(
    suite: Suite, names: Sequence[str], sizes: Sequence[str], able: Collection[TaskKind], kind: ModelKind
) -> list[tuple[Case, Resolution]]:
    waiting = without_inputs(suite, cases=names, able=able, kind=kind)
    by_default = [(case, None) for case in suite.every if case.task in able and case not in waiting]
    asked = [suite.case(name) for name in names] or by_default
    if not asked:
        raise CaseError(
            f"no case is selected: the suite has none of the task {' or '.join(sorted(able))}, which the model does",
            remedy="name cases with --qil-case, or write one of that task (docs/guide/own-case.md)",
        )
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


def variants_of(suite: Suite, base: ModelBase) -> list[Variant]:
    """Return the variants of a base; where it is unknown, those of the first base that a default variant names."""
    if base.id is None:
        own = (variant for variant in suite.variants if variant.default and base.of_family(variant))
        first = next((variant.base_model for variant in own if variant.base_model), None)
        base = replace(base, id=first or base.model)
    return [variant for variant in suite.variants if base.takes(variant)]


def refuse_other_base(variant: Variant, base: ModelBase, suite: Suite) -> None:
    """Raise CaseError for a variant of another family or base than the model's."""
    if not base.of_family(variant):
        able = ", ".join(other.name for other in suite.variants if base.of_family(other))
        named = (other.base_model for other in suite.variants if other.family == variant.family)
        models = " or ".join(dict.fromkeys(name for name in named if name))
        model = f"the model {models}" if models else f"a model of {variant.family}"
        raise CaseError(
            f"variant {variant.name} is for the family {variant.family}, the model is of {base.family}",
            where=base.model,
            remedy=f"choose among {able or 'none'}, or {model}",
        )
    if base.takes(variant) is False:
        others = [other.name for other in variants_of(suite, base) if other.base_model]
        instead = f"choose among its own: {', '.join(others)}; or generate" if others else "generate"
        raise CaseError(
            f"variant {variant.name} is for {variant.base_model}, the model is {base.id} ({base.evidence})",
            where=base.model,
            remedy=f"{instead} with the model {variant.base_model}; --qil-base=ID says what "
            "the model is where it is wrongly recognised",
        )


def _variants(suite: Suite, names: Sequence[str], kind: ModelKind, base: ModelBase) -> list[Variant]:
    generated = list(dict.fromkeys(variant for name in names for variant in suite.variants_named(name)))
    if not names:
        generated = [variant for variant in variants_of(suite, base) if variant.default]
    if not generated:
        whose = "" if base.id is None else f" with {base.id} ({base.evidence})"
        raise CaseError(
            f"no variant is generated by default{whose}",
            remedy="name variants, set default = true on one, or copy those of this model into variants.toml "
            "(docs/guide/models.md#which-variant)",
        )
    for variant in generated:
        refuse_other_base(variant, base, suite)
        if not variant.generates(kind):
            model = "the embedded model" if kind is ModelKind.TINY else "a real model"
            able = ", ".join(other.name for other in suite.variants if other.generates(kind))
            raise CaseError(
                f"variant {variant.name} has no LoRA for {model}",
                where="variants.toml",
                remedy=f"choose among {able or 'none'}, or add loras.{kind.value} to it",
            )
    return generated
