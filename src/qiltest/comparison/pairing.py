"""Images of two runs, or of two variants, side by side: the same case, resolution and seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qiltest.errors import StoreError
from qiltest.gate.verdict import Verdict
from qiltest.recipe import Size
from qiltest.runs.records import CaseResult, Run
from qiltest.scoring.records import Score
from qiltest.suite.selection import Sample

_Key = tuple[str, Size, int]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two images of one case, resolution and seed. Distances are strict edits, see `Score.distance`."""

    case: str
    #: the case's own resolution, `WIDTHxHEIGHT`.
    size: str
    seed: int
    before: int
    after: int
    #: characters that both were to show.
    length: int
    #: True where both are the same image, byte for byte.
    same_image: bool = False

    def __post_init__(self) -> None:
        if min(self.before, self.after) < 0 or self.length < 1:
            raise ValueError(f"{self.id}: distances {self.before} and {self.after} of {self.length} characters")

    @property
    def id(self) -> str:
        """Name of the pair: `coffee-shop@1280x1280-s42`."""
        return f"{self.case}@{self.size}-s{self.seed}"

    @property
    def change(self) -> int:
        """Edits more than before; negative for fewer."""
        return self.after - self.before


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """A pair that both runs planned and that cannot be compared."""

    id: str
    #: MISSING where an image never came, ERROR where something went wrong with one, INCOMPARABLE where the two scores
    #: measure different things.
    verdict: Verdict
    why: str


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """All images of two variants. Nothing is left out: what is no pair is an obstacle or unpaired."""

    #: what is compared, in words: variants, or variants of runs.
    before: str
    after: str
    #: sorted by case, size and seed.
    pairs: tuple[Pair, ...]
    obstacles: tuple[Obstacle, ...] = ()
    #: images that only one side planned, each in words.
    unpaired: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [pair.id for pair in self.pairs]
        if len(set(names)) != len(names):
            raise ValueError(f"an image of {self.before} or {self.after} is paired twice")


@dataclass(frozen=True, kw_only=True)
class Pairings:
    """All pairings of two runs."""

    pairings: tuple[Pairing, ...]
    #: variants that only one run has, each in words.
    unpaired: tuple[str, ...] = ()


def pair_runs(before: Run, after: Run, *, variant: str | None = None, with_variant: str | None = None) -> Pairings:
    """Pair two runs: `variant` of one with `with_variant` of the other, or each variant that both have with itself.

    The runs may be one and the same where the variants differ. Raises StoreError where there is no such variant, no
    common one, or where a variant of a run would be compared with itself.
    """
    if variant is None:
        if with_variant is not None:
            raise _unusable(before, f"with what is {with_variant!r} to be compared?", "name a variant for each side")
        common = tuple(name for name in variants_of(before) if name in variants_of(after))
        if not common:
            raise _unusable(after, f"no variant is in both runs: {_known(before)}; {_known(after)}", "name one of each")
        pairs = tuple((name, name) for name in common)
    else:
        common, pairs = (), ((variant, with_variant or variant),)
    for left, right in pairs:
        if before.id == after.id and left == right:
            raise _unusable(before, f"variant {left} would be compared with itself", "name another run or variant")
    for run, names in ((before, [left for left, _ in pairs]), (after, [right for _, right in pairs])):
        absent = [name for name in names if name not in variants_of(run)]
        if absent:
            raise _unusable(run, f"no variant {absent[0]!r} in {_known(run)}", "name one of these")
    return Pairings(
        pairings=tuple(pair_up(before, after, variant=left, with_variant=right) for left, right in pairs),
        unpaired=tuple(
            f"variant {name}: only in run {run.id}"
            for run in (before, after)
            for name in variants_of(run)
            if variant is None and name not in common
        ),
    )


def _unusable(run: Run, what: str, remedy: str) -> StoreError:
    return StoreError(what, where=str(run.path), remedy=remedy)


def _known(run: Run) -> str:
    return f"run {run.id}: {', '.join(variants_of(run)) or 'no image'}"


def pair_up(before: Run, after: Run, *, variant: str, with_variant: str) -> Pairing:
    """Pair the images of `variant` in the run `before` with those of `with_variant` in the run `after`.

    An image that both planned and one did not generate, read or score is an obstacle: a run that stopped at the hard
    cases must not look better for it. So is a case and resolution that the run `after` left out altogether (MISSING),
    where the two have anything in common. Any other image that one run alone planned, such as a further seed, is
    unpaired.
    """
    left, right = _planned(before, variant), _planned(after, with_variant)
    results = _results(before, variant), _results(after, with_variant)
    pairs: list[Pair] = []
    obstacles: list[Obstacle] = []
    for key in sorted(left & right, key=_order):
        found = _pair(key, results[0].get(key), results[1].get(key), _case_changes(key[0], before, after))
        if isinstance(found, Pair):
            pairs.append(found)
        else:
            obstacles.append(found)
    dropped = _dropped(left, right)
    obstacles += [Obstacle(id=_name(key), verdict=Verdict.MISSING, why="after: not planned") for key in dropped]
    return Pairing(
        before=_label(before, variant, other=after),
        after=_label(after, with_variant, other=before),
        pairs=tuple(pairs),
        obstacles=tuple(obstacles),
        unpaired=(*_alone(left - right - set(dropped), before, variant), *_alone(right - left, after, with_variant)),
    )


def _dropped(left: set[_Key], right: set[_Key]) -> list[_Key]:
    """Return the images of cases and resolutions that only the left side has; none where nothing is in common."""
    places = {(case, size) for case, size, _ in right}
    gone = [key for key in left if key[:2] not in places] if left & right else []
    return sorted(gone, key=_order)


def variants_of(run: Run) -> tuple[str, ...]:
    """Return the names of the variants that a run planned or generated, in its order."""
    return tuple(dict.fromkeys(sample.variant for sample in _samples(run)))


def _samples(run: Run) -> Iterator[Sample]:
    yield from run.planned
    yield from (result.sample for result in run.results)


def _planned(run: Run, variant: str) -> set[_Key]:
    return {_key(sample) for sample in _samples(run) if sample.variant == variant}


def _results(run: Run, variant: str) -> dict[_Key, CaseResult]:
    return {_key(result.sample): result for result in run.results if result.sample.variant == variant}


def _key(sample: Sample) -> _Key:
    return sample.case, sample.size, sample.seed


def _order(key: _Key) -> tuple[str, int, int, int]:
    case, size, seed = key
    return case, size.width, size.height, seed


def _name(key: _Key) -> str:
    case, size, seed = key
    return f"{case}@{size}-s{seed}"


def _label(run: Run, variant: str, *, other: Run) -> str:
    return variant if run.id == other.id else f"{variant} of run {run.id}"


def _alone(keys: set[_Key], run: Run, variant: str) -> Iterator[str]:
    yield from (f"{_name(key)}: only in run {run.id}, variant {variant}" for key in sorted(keys, key=_order))


def _pair(
    key: _Key, before: CaseResult | None, after: CaseResult | None, case_changes: tuple[str, ...]
) -> Pair | Obstacle:
    found = [(side, told) for side, result in (("before", before), ("after", after)) if (told := _no_score(result))]
    if found:
        kinds = {kind for _, (kind, _) in found}
        why = "; ".join(f"{side}: {told}" for side, (_, told) in found)
        return Obstacle(id=_name(key), verdict=Verdict.ERROR if Verdict.ERROR in kinds else Verdict.MISSING, why=why)
    assert before is not None
    assert before.score is not None
    assert after is not None
    assert after.score is not None
    differences = (*case_changes, *_differences(before, after, before.score, after.score))
    if differences:
        return Obstacle(id=_name(key), verdict=Verdict.INCOMPARABLE, why="; ".join(differences))
    case, size, seed = key
    return Pair(
        case=case,
        size=str(size),
        seed=seed,
        before=before.score.distance,
        after=after.score.distance,
        length=after.score.length,
        same_image=before.image is not None and after.image is not None and before.image.sha256 == after.image.sha256,
    )


def _case_changes(case: str, before: Run, after: Run) -> tuple[str, ...]:
    """Say what of a case was not the same in both runs, as far as it decides images or scores."""
    records = [{known.id: known for known in run.cases}.get(case) for run in (before, after)]
    old, new = records
    if old is None or new is None:
        return ()
    keys = ("prompt", "texts", "line_breaks", "forgiven")
    changed = [key for key in keys if getattr(old, key) != getattr(new, key)]
    return (f"the case's {', '.join(changed)} changed between the runs",) if changed else ()


def _no_score(result: CaseResult | None) -> tuple[Verdict, str] | None:
    """Return why there is no score: MISSING where nothing is known to have gone wrong; None where there is one."""
    if result is None:
        return Verdict.MISSING, "planned and not generated"
    if result.error:
        return Verdict.ERROR, result.error.splitlines()[0]
    score = result.score
    if score is None:
        told = "" if result.judgement is None else "".join(result.judgement.reasons[:1])
        return Verdict.MISSING, told or "not read and scored"
    if score.length < 1 or score.distance < 0:
        return Verdict.ERROR, f"distance {score.distance} of {score.length} characters is no score"
    return None


def _differences(before: CaseResult, after: CaseResult, old: Score, new: Score) -> Iterator[str]:
    """Yield why two scores are not of the same thing: two readers, or two sizes, are never compared."""
    if old.reader.fingerprint != new.reader.fingerprint:
        yield f"read by {old.reader.fingerprint} and by {new.reader.fingerprint}: readers are never compared"
    if before.effective != after.effective:
        yield f"generated at {before.effective} and at {after.effective}"
    texts = [[(text.expected, text.required, text.length) for text in score.texts] for score in (old, new)]
    if texts[0] != texts[1] or old.length != new.length:
        yield "the expected texts are not the same"
