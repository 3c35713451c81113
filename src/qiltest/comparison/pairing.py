"""Pair the images of two runs or variants that have the same case, resolution and seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from qiltest.comparison.edits import EditSide, edit_side
from qiltest.comparison.strokes import PairedStrokes, paired_strokes
from qiltest.errors import StoreError
from qiltest.gate.verdict import Verdict
from qiltest.quality.scene import SceneChange, scene_change
from qiltest.recipe import Size
from qiltest.runs.records import CaseResult, Run
from qiltest.scoring.records import Score
from qiltest.suite.selection import Sample

_Key = tuple[str, Size, int, int]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two images of one case, resolution and seed; `before` and `after` are their strict edits (`Score.distance`)."""

    case: str
    #: the case's own resolution, `WIDTHxHEIGHT`.
    size: str
    seed: int
    before: int
    after: int
    #: expected characters.
    length: int
    #: True where both images are identical, byte for byte.
    same_image: bool = False
    #: how the scene outside the text changed; None where it is still the same, was not measured on both sides by the
    #: same version, or where the case reports quality only.
    lost: SceneChange | None = None
    #: the broken strokes of both; None where no character was judged on both sides by one network.
    strokes: PairedStrokes | None = None
    #: True where both begin with the same noise as far as anybody knows: then their scenes are of one kind.
    same_noise: bool = True
    #: of a repeated edit, from 1.
    round: int = 1
    #: which parts of an edit are right, before and after; None for text-to-image.
    edit: tuple[EditSide, EditSide] | None = None

    def __post_init__(self) -> None:
        if min(self.before, self.after) < 0 or self.length < 1:
            raise ValueError(f"{self.id}: invalid distances {self.before}, {self.after} of {self.length} characters")

    @property
    def id(self) -> str:
        """Name of the pair: `coffee-shop@1280x1280-s42`."""
        return _named(self.case, self.size, self.seed, self.round)

    @property
    def change(self) -> int:
        """Additional edits; negative for fewer."""
        return self.after - self.before


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """A pair that both runs planned and that cannot be compared."""

    id: str
    #: MISSING: an image does not exist; ERROR: something went wrong with one; INCOMPARABLE: the scores differ in kind.
    verdict: Verdict
    why: str


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """All images of two variants: each is in a pair, an obstacle or unpaired."""

    #: names of what is compared: variants, or variants of runs.
    before: str
    after: str
    #: sorted by case, size and seed.
    pairs: tuple[Pair, ...]
    obstacles: tuple[Obstacle, ...] = ()
    #: a sentence for each image that only one side planned.
    unpaired: tuple[str, ...] = ()
    #: the candidate that it is about, where several are compared: its variant's name.
    candidate: str = ""
    #: the only size of its images, where each size is compared by itself.
    size: str = ""

    def __post_init__(self) -> None:
        names = [pair.id for pair in self.pairs]
        if len(set(names)) != len(names):
            raise ValueError(f"duplicate pair of {self.before} and {self.after}")


@dataclass(frozen=True, kw_only=True)
class Pairings:
    """All pairings of two runs."""

    pairings: tuple[Pairing, ...]
    #: a sentence for each variant that only one run has.
    unpaired: tuple[str, ...] = ()


def pair_runs(before: Run, after: Run, *, variant: str | None = None, with_variant: str | None = None) -> Pairings:
    """Pair two runs: `variant` of one with `with_variant` of the other, or each variant that both have with itself.

    One run may be compared with itself if the variants differ. Raises StoreError for a variant that is not there, for
    runs without a common variant, and for a variant of a run compared with itself.
    """
    if variant is not None:
        return Pairings(pairings=(pair_up(before, after, variant=variant, with_variant=with_variant or variant),))
    if with_variant is not None:
        raise _unusable(before, "--with needs --variant", "name a variant for each side")
    common = tuple(name for name in variants_of(before) if name in variants_of(after))
    if not common:
        raise _unusable(after, f"no variant is in both runs: {_known(before)}; {_known(after)}", "name one of each")
    return Pairings(
        pairings=tuple(pair_up(before, after, variant=name, with_variant=name) for name in common),
        unpaired=tuple(
            f"variant {name}: only in run {run.id}"
            for run in (before, after)
            for name in variants_of(run)
            if name not in common
        ),
    )


def _unusable(run: Run, what: str, remedy: str) -> StoreError:
    return StoreError(what, where=str(run.path), remedy=remedy)


def _known(run: Run) -> str:
    return f"run {run.id}: {', '.join(variants_of(run)) or 'no image'}"


def pair_up(before: Run, after: Run, *, variant: str, with_variant: str) -> Pairing:
    """Pair the images of `variant` in the run `before` with those of `with_variant` in the run `after`.

    An image that both planned and one did not generate, read or score is an obstacle, so that a run that stopped early
    does not look better. So is a case and resolution that the run `after` left out (MISSING), if the two have anything
    in common. Any other image that only one run planned, such as another seed, is unpaired.
    """
    if before.id == after.id and variant == with_variant:
        raise _unusable(before, f"variant {variant} would be compared with itself", "name another run or variant")
    for run, name in ((before, variant), (after, with_variant)):
        if name not in variants_of(run):
            raise _unusable(run, f"no variant {name!r} in {_known(run)}", "name one of these")
    left, right = _planned(before, variant), _planned(after, with_variant)
    results = _results(before, variant), _results(after, with_variant)
    pairs: list[Pair] = []
    obstacles: list[Obstacle] = []
    for key in sorted(left & right, key=_order):
        sides = results[0].get(key), results[1].get(key)
        found = _pair(key, *sides, _case_changes(key[0], before, after))
        if isinstance(found, Pair) and _gates(key[0], after):
            found = replace(found, lost=_lost(*sides), same_noise=_same_noise(*sides))
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
    """Return the images of cases and resolutions that only the left side has; none without any common image."""
    places = {(case, size) for case, size, *_ in right}
    gone = [key for key in left if key[:2] not in places] if left & right else []
    return sorted(gone, key=_order)


def variants_of(run: Run) -> tuple[str, ...]:
    """Return the variants that a run planned or generated, in its order."""
    return tuple(dict.fromkeys(sample.variant for sample in _samples(run)))


def _samples(run: Run) -> Iterator[Sample]:
    yield from run.planned
    yield from (result.sample for result in run.results)


def _planned(run: Run, variant: str) -> set[_Key]:
    return {_key(sample) for sample in _samples(run) if sample.variant == variant}


def _results(run: Run, variant: str) -> dict[_Key, CaseResult]:
    return {_key(result.sample): result for result in run.results if result.sample.variant == variant}


def _key(sample: Sample) -> _Key:
    return sample.case, sample.size, sample.seed, sample.round


def _order(key: _Key) -> tuple[str, int, int, int, int]:
    case, size, seed, number = key
    return case, size.width, size.height, seed, number


def _name(key: _Key) -> str:
    case, size, seed, number = key
    return _named(case, str(size), seed, number)


def _named(case: str, size: str, seed: int, number: int) -> str:
    return f"{case}@{size}-s{seed}" + (f"-r{number}" if number > 1 else "")


def _label(run: Run, variant: str, *, other: Run) -> str:
    return variant if run.id == other.id else f"{variant} of run {run.id}"


def _alone(keys: set[_Key], run: Run, variant: str) -> Iterator[str]:
    yield from (f"{_name(key)}: only in run {run.id}, variant {variant}" for key in sorted(keys, key=_order))


def _pair(
    key: _Key, before: CaseResult | None, after: CaseResult | None, case_changes: tuple[str, ...]
) -> Pair | Obstacle:
    unscored = [(side, no) for side, result in (("before", before), ("after", after)) if (no := _no_score(result))]
    if unscored:
        kinds = {kind for _, (kind, _) in unscored}
        why = "; ".join(f"{side}: {reason}" for side, (_, reason) in unscored)
        return Obstacle(id=_name(key), verdict=Verdict.ERROR if Verdict.ERROR in kinds else Verdict.MISSING, why=why)
    assert before is not None
    assert before.score is not None
    assert after is not None
    assert after.score is not None
    differences = (*case_changes, *_differences(before, after, before.score, after.score))
    if differences:
        return Obstacle(id=_name(key), verdict=Verdict.INCOMPARABLE, why="; ".join(differences))
    case, size, seed, number = key
    sides = edit_side(before.score, before.change), edit_side(after.score, after.change)
    return Pair(
        case=case,
        size=str(size),
        seed=seed,
        before=before.score.distance,
        after=after.score.distance,
        length=after.score.length,
        same_image=before.image is not None and after.image is not None and before.image.sha256 == after.image.sha256,
        round=number,
        edit=None if sides[0] is None or sides[1] is None else (sides[0], sides[1]),
        strokes=paired_strokes(before.score, after.score),
    )


def _gates(case: str, run: Run) -> bool:
    """Return whether image quality gates in a case, as where the run has no copy of it."""
    return all(known.limits.health_gates for known in run.cases if known.id == case)


def _same_noise(before: CaseResult | None, after: CaseResult | None) -> bool:
    """Return whether two images begin with the same noise: nobody knows it of one that another program made."""
    recipes = [None if side is None else side.recipe for side in (before, after)]
    if any(recipe is not None and recipe.elsewhere is not None for recipe in recipes):
        return False
    one, other = (None if recipe is None or recipe.served is None else recipe.served.api for recipe in recipes)
    return one == other


def _lost(before: CaseResult | None, after: CaseResult | None) -> SceneChange | None:
    old, new = (None if side is None or side.health is None else side.health.scene for side in (before, after))
    if old is None or new is None or old.version != new.version:
        return None
    return scene_change(old, new, whose="the former image's")


def _case_changes(case: str, before: Run, after: Run) -> tuple[str, ...]:
    """Return what differs in a case between the runs and decides images or scores."""
    old, new = ({known.id: known for known in run.cases}.get(case) for run in (before, after))
    if old is None or new is None:
        return ()
    keys = ("prompt", "texts", "line_breaks", "forgiven", "alone", "edit")
    changed = [key for key in keys if getattr(old, key) != getattr(new, key)]
    return (f"the case's {', '.join(changed)} changed between the runs",) if changed else ()


def _no_score(result: CaseResult | None) -> tuple[Verdict, str] | None:
    """Return why there is no score: ERROR if something went wrong, else MISSING; None where there is a score."""
    if result is None:
        return Verdict.MISSING, "planned, but not generated"
    if result.error:
        what, *more = result.error.splitlines()
        return Verdict.ERROR, " ".join([what, *(line.strip() for line in more if line.strip().startswith("-> "))])
    score = result.score
    if score is None:
        reasons = () if result.judgement is None else result.judgement.reasons
        return Verdict.MISSING, next(iter(reasons), "not read and scored")
    if score.length < 1 or score.distance < 0:
        return Verdict.ERROR, f"invalid score: distance {score.distance} of {score.length} characters"
    return None


def _differences(before: CaseResult, after: CaseResult, old: Score, new: Score) -> Iterator[str]:
    """Yield why two scores are not comparable."""
    if old.reader.fingerprint != new.reader.fingerprint:
        yield f"read by {old.reader.fingerprint} and by {new.reader.fingerprint}: different readers are not comparable"
    if before.effective != after.effective:
        yield f"different sizes: {before.effective} and {after.effective}"
    if [image.sha256 for image in before.before] != [image.sha256 for image in after.before]:
        yield "different input images"
    texts = [[(text.expected, text.required, text.length) for text in score.texts] for score in (old, new)]
    gone = [[each.expected for each in score.gone] for score in (old, new)]
    if texts[0] != texts[1] or gone[0] != gone[1] or old.length != new.length:
        yield "different expected texts"
