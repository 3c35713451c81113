"""Numbers over many images: speed-ups, error rates by variant and by text length, step latency."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from qiltest.generation.records import Timing
from qiltest.runs.records import CaseResult, Run
from qiltest.scoring.records import Score, TextScore
from qiltest.suite.variants import Variant

#: classes of text length, in characters, ends included; the last class is open.
LENGTH_CLASSES = ((1, 4), (5, 9), (10, 19), (20, 39), (40, None))


def base_variant(run: Run, like: str | None = None) -> str | None:
    """Return the variant that speed-ups refer to: the one without a LoRA and with the most forwards.

    For a variant `like` it is one of the same base model, where both name one, and of its own group before others.
    """
    own = next((variant for variant in run.variants if variant.name == like), None)
    wanted, group = (None, "") if own is None else (own.base_model, own.group)
    return _Plain(run.variants).base(wanted, group)


class _Plain:
    """The variants without a LoRA and with the most forwards: of each base model and group, of each, and of all."""

    def __init__(self, variants: Sequence[Variant]) -> None:
        self._most: dict[tuple[str | None, str | None], Variant] = {}
        for variant in variants:
            for model in () if variant.loras else (variant.base_model or "", None):
                for group in (variant.group, None):
                    self._most.setdefault((model, group), variant)
                    self._most[model, group] = max(self._most[model, group], variant, key=lambda one: one.nfe)
        self._places = {id(variant): place for place, variant in enumerate(variants)}

    def base(self, model: str | None, group: str) -> str | None:
        """Return the name of the base of variants of a base model (None: any), rather one of their group."""
        models = (None,) if model is None else (model, "")  # one that names no model may be of any
        for one in (group, None):
            found = [self._most[each, one] for each in models if (each, one) in self._most]
            if found:
                return min(found, key=lambda variant: (-variant.nfe, self._places[id(variant)])).name
        return None


def _bases(run: Run) -> dict[str, str | None]:
    """Return `base_variant` of each variant."""
    plain = _Plain(run.variants)
    return {variant.name: plain.base(variant.base_model, variant.group) for variant in run.variants}


def has_base(run: Run) -> bool:
    """Return whether the base variant has a timed image, so that a speed relative to it has a meaning."""
    bases = set(_bases(run).values())
    return any(result.sample.variant in bases and result.timing is not None for result in run.results)


def speed_ups(run: Run) -> dict[str, float]:
    """Return the speed-up over the base variant by sample id.

    Pairs have equal case, size and seed, device and size generated, and of a server the same kind of seconds. The base
    itself and images of a shared CPU (`shared_cpu`) have no entry.
    """
    shared = shared_cpu(run)
    return {
        result.id: other.denoise_seconds / own.denoise_seconds
        for result, own, other in _pairs(run)
        if own.denoise_seconds > 0 and result.id not in shared
    }


def shared_cpu(run: Run) -> dict[str, float]:
    """Return `Timing.disturbed` by sample id, of its denoise loop or its base's, where that is not comparable."""
    found = {result.id: result.timing for result in run.results if result.timing is not None}
    for result, own, other in _pairs(run):
        found[result.id] = max(own, other, key=lambda timing: timing.disturbed)
    return {sample: timing.disturbed for sample, timing in found.items() if not timing.comparable}


def _pairs(run: Run) -> Iterator[tuple[CaseResult, Timing, Timing]]:
    """Yield each result that the base variant has too, with both timings."""
    bases = _bases(run)
    timed = {result.sample: result for result in run.results if result.timing is not None}
    for result in run.results:
        base = bases.get(result.sample.variant)
        other = None if base is None else timed.get(replace(result.sample, variant=base))
        if result.sample.variant == base or other is None or result.timing is None or other.timing is None:
            continue
        own = result.timing
        timed_alike = (own.kind, own.concurrency) == (other.timing.kind, other.timing.concurrency)
        if timed_alike and result.effective == other.effective and _device(result) == _device(other):
            yield result, own, other.timing


def median_speed_up(results: Iterable[CaseResult], ratios: Mapping[str, float]) -> float | None:
    """Return the median of the results' `speed_ups`; None where no pair was timed."""
    own = [ratios[result.id] for result in results if result.id in ratios]
    return median(own) if own else None


def _device(result: CaseResult) -> tuple[str, str]:
    recipe, cohort = result.recipe, result.cohort
    return ("" if recipe is None else recipe.device, "" if cohort is None else cohort.device_name)


@dataclass(frozen=True, kw_only=True)
class ErrorRate:
    """Edits per expected character over some images."""

    distance: int
    length: int
    #: images, or texts where the rate is over texts.
    count: int

    @property
    def value(self) -> float:
        """The pooled rate; `length` must be positive."""
        return self.distance / self.length


def variant_rate(results: Iterable[CaseResult]) -> ErrorRate | None:
    """Return the pooled error rate of the scored images; None where there is none."""
    return _pooled([result.score for result in results if result.score is not None])


def length_rates(results: Iterable[CaseResult]) -> tuple[ErrorRate | None, ...]:
    """Return the pooled error rate of single texts for each class of `LENGTH_CLASSES`."""
    texts = [text for result in results if result.score is not None for text in result.score.texts if text.required]
    return tuple(
        _pooled([text for text in texts if low <= text.length and (high is None or text.length <= high)])
        for low, high in LENGTH_CLASSES
    )


def _pooled(scores: Sequence[Score | TextScore]) -> ErrorRate | None:
    length = sum(score.length for score in scores)
    if not length:
        return None
    return ErrorRate(distance=sum(score.distance for score in scores), length=length, count=len(scores))


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Seconds per step over all images of a variant."""

    least: float
    median: float
    most: float
    count: int


def step_times(results: Iterable[CaseResult]) -> Steps | None:
    """Return the range and median of step times; None where nothing was timed."""
    times = [t for result in results if result.timing is not None for t in result.timing.step_seconds]
    if not times:
        return None
    return Steps(least=min(times), median=median(times), most=max(times), count=len(times))


def denoise_median(results: Iterable[CaseResult]) -> float | None:
    """Return the median denoise loop, in seconds; None where nothing was timed."""
    times = [result.timing.denoise_seconds for result in results if result.timing is not None]
    return median(times) if times else None


def by_variant(run: Run) -> tuple[tuple[Variant, tuple[CaseResult, ...]], ...]:
    """Return the variants that have results, with most forwards first, and their results."""
    found: dict[str, list[CaseResult]] = {}
    for result in run.results:
        found.setdefault(result.sample.variant, []).append(result)
    variants = sorted(run.variants, key=lambda variant: -variant.nfe)
    return tuple((variant, tuple(found[variant.name])) for variant in variants if variant.name in found)
