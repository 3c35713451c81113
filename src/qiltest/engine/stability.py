"""Is a case itself stable: the same samples drawn again, and what their texts do meanwhile.

Every draw has the same recipe. What may differ is what no recipe decides: kernels that add in another order, another
number of threads, another GPU of the same kind. A text that moves there moves in the nightly too, and needs a limit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from qiltest.gate.golden import Golden, golden_from
from qiltest.gate.judge import judge
from qiltest.gate.per_text import new_errors
from qiltest.gate.verdict import Verdict
from qiltest.runs.records import CaseResult, Run
from qiltest.scoring import Score
from qiltest.suite.cases import Case, Limits


@dataclass(frozen=True, kw_only=True)
class MovingText:
    """An expected text that was not read alike in every draw."""

    #: from 1.
    number: int
    expected: str
    #: what was read, most often first, with the number of draws.
    reads: tuple[tuple[str, int], ...]
    #: fewest and most edits.
    least: int
    most: int


@dataclass(frozen=True, kw_only=True)
class SampleStability:
    """One sample over all draws."""

    sample: str
    #: of each draw, in order: edits; None where it was not scored.
    distances: tuple[int | None, ...]
    #: why draws were not scored, each once.
    errors: tuple[str, ...]
    #: distinct images by their bytes.
    images: int
    #: True where one image, byte for byte, was read in two ways.
    reader_moves: bool
    texts: tuple[MovingText, ...]
    #: the limits that the case has for this sample.
    tolerance: int
    text_tolerance: int
    absolute: int | None
    #: the least limits with which every draw passes against every other one as its golden.
    needed_tolerance: int
    needed_text_tolerance: int
    #: ordered pairs of draws, and those in which the gate, as it is, fails the one against the other as golden.
    pairs: int
    failing_pairs: int

    @property
    def stable(self) -> bool:
        """True where every draw was scored, and the gate passes each against each other one."""
        return not self.errors and not self.failing_pairs and None not in self.distances


def stability_of(draws: Sequence[Run], *, tiny: bool) -> tuple[SampleStability, ...]:
    """Compare the draws of the same samples, least stable first. `tiny`: of the embedded model."""
    samples = [sample.id for sample in draws[0].planned]
    found = [_of_sample(draws, sample, tiny=tiny) for sample in samples]
    return tuple(sorted(found, key=lambda one: (one.stable, -one.failing_pairs, -one.needed_tolerance, one.sample)))


def _of_sample(draws: Sequence[Run], name: str, *, tiny: bool) -> SampleStability:
    results = [run.result(name) for run in draws]
    scored = [(result, result.score) for result in results if result is not None and result.score is not None]
    sample = next(sample for sample in draws[0].planned if sample.id == name)
    case = draws[0].case(sample.case)
    limits = case.limits_of(sample.size, sample.variant, tiny=tiny)
    goldens = [_golden(draws[0].model, result, score) for result, score in scored]
    ordered = list(permutations(range(len(scored)), 2))
    new = [list(new_errors(case, scored[now][1], goldens[before])) for before, now in ordered]
    distances = tuple(None if result is None or result.score is None else result.score.distance for result in results)
    known = [distance for distance in distances if distance is not None]
    return SampleStability(
        sample=name,
        distances=distances,
        errors=tuple(dict.fromkeys(_errors(results))),
        images=len({result.image.sha256 for result, _ in scored if result.image is not None}),
        reader_moves=_reader_moves(scored),
        texts=tuple(_moving([score for _, score in scored])),
        tolerance=limits.tolerance,
        text_tolerance=limits.each_text,
        absolute=limits.absolute,
        needed_tolerance=max(known) - min(known) if known else 0,
        needed_text_tolerance=max((error.count for errors in new for error in errors), default=0),
        pairs=len(ordered),
        failing_pairs=sum(_fails(case, limits, scored[now], goldens[before]) for before, now in ordered),
    )


def _errors(results: Sequence[CaseResult | None]) -> Iterator[str]:
    for result in results:
        if result is None:
            yield "not generated"
        elif result.score is None:
            yield result.error.partition("\n")[0] or "not scored"


def _golden(model: str, result: CaseResult, score: Score) -> Golden:
    assert result.recipe is not None
    assert result.image is not None
    return golden_from(
        result.sample,
        model=model,
        recipe=result.recipe,
        score=score,
        noise_floor=None,
        image=result.image.sha256,
        change=result.change,
    )


def _fails(case: Case, limits: Limits, drawn: tuple[CaseResult, Score], golden: Golden) -> bool:
    result, score = drawn
    assert result.effective is not None
    return judge(score, golden, limits, case=case, effective=result.effective).verdict is Verdict.FAIL


def _reader_moves(scored: Sequence[tuple[CaseResult, Score]]) -> bool:
    said: Mapping[str, set[tuple[str, ...]]] = {}
    for result, score in scored:
        if result.image is not None:
            said = {**said, result.image.sha256: said.get(result.image.sha256, set()) | {_reads(score)}}
    return any(len(readings) > 1 for readings in said.values())


def _reads(score: Score) -> tuple[str, ...]:
    return tuple(text.read for text in score.texts)


def _moving(scores: Sequence[Score]) -> Iterator[MovingText]:
    for number, texts in enumerate(zip(*(score.texts for score in scores), strict=True), start=1):
        reads = Counter(text.read for text in texts)
        if len(reads) > 1:
            yield MovingText(
                number=number,
                expected=texts[0].expected,
                reads=tuple(reads.most_common()),
                least=min(text.distance for text in texts),
                most=max(text.distance for text in texts),
            )
