"""The published report's claims about text: what each means as a hypothesis, and what a run has counted for it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import mean

from qiltest.comparison.records import MARGIN
from qiltest.published.evidence import EachShown, Paired, paired
from qiltest.published.marks import right
from qiltest.published.pairs import (
    ALL_CASES,
    BASE,
    BASIC,
    BASIC_CASES,
    DENSE,
    EIGHT,
    FOUR,
    RESOLUTION,
    SIGNS,
    VARIANTS,
    Judged,
    Twins,
    by_scene,
    counts,
    lacking,
    nothing,
    of_table,
    part_words,
    rates,
    scene_name,
    score_of,
    scored,
    sign,
    twins,
    without,
)
from qiltest.published.scenes import AllAbove, AllEqual, AnyBetter, BothDiffer, Counts, Scenes
from qiltest.published.signs import SignState, sign_recall, sign_words
from qiltest.recipe import Size
from qiltest.runs.records import CaseResult, Run
from qiltest.text.format import count, number, percent


def basic(run: Run) -> Judged:
    """Judge Table 1, "equally well": an equivalence in the share of right images, in each scene on its own.

    That nothing was found to differ does not show that nothing does; so equality is what has to be shown, within a
    margin. Scenes are not pooled: the report names each, and one that differs must not be hidden by four that do not.
    """
    results = of_table(run, BASIC)
    found = rates(results)
    if len(found) < 2:
        return nothing("fewer than two variants were scored")
    wrong = [f"{r.id} ({count(score_of(r).distance, 'edit')})" for r in results if not right(r)]
    parts = [
        f"{name} {sum(bool(right(r)) for r in results if r.sample.variant == name)} of {count(n, 'image')} right, "
        f"{percent(rate)} of characters wrong"
        for name, (rate, n) in found.items()
    ]
    items = tuple(
        counts(f"{scene} {a} and {b}", (int(t.wrong[0]) - int(t.wrong[1]) for t in pairs))
        for a, b in combinations(VARIANTS, 2)
        for scene, pairs in by_scene(twins(results, a, b)).items()
    )
    missing = lacking(results, BASIC_CASES)
    return "; ".join(parts) + (f"; wrong: {_some(wrong)}" if wrong else ""), AllEqual(items=items, missing=missing)


def dense(run: Run) -> Judged:
    """Judge Table 2, "base > 8step >= 4step": two one-sided paired tests over the seeds.

    A sign test, because edits are few and far from normal, and one ruined image must not decide. ">=" is shown where
    8step has at most `MARGIN` more edits per character than 4step: a test for fewer could not show equality.
    """
    results = of_table(run, DENSE)
    found = rates(results)
    if not found:
        return nothing("no image with dense text was scored")
    parts = (
        _edits_part("base has fewer edits than 8step", twins(results, BASE, EIGHT), 0.0),
        _edits_part("8step has at most 1 edit per 100 characters more than 4step", twins(results, EIGHT, FOUR), MARGIN),
    )
    measured = [
        f"{name} {percent(rate)} of characters wrong ({count(n, 'image')})" for name, (rate, n) in found.items()
    ]
    known = tuple(part for part in parts if part.by_seed)
    return "; ".join((*measured, *map(part_words, known))), EachShown(parts=known, missing=lacking(results, 1))


def _edits_part(name: str, pairs: Sequence[Twins], margin: float) -> Paired:
    changes = []
    for pair in pairs:
        first, second = pair.edits
        gain = second - first + margin * score_of(pair.first).length
        # within the margin counts for the claim; without one a tie counts for neither
        changes.append((pair.sample.case, pair.sample.seed, 0 if not (gain or margin) else 1 if gain >= 0 else -1))
    return paired(name, changes)


def many_signs(run: Run) -> Judged:
    """Judge Table 4, "all models face challenges", by exact binomial bounds of each variant's share of faulty images.

    A fault is one beyond the reader's noise floor. The share must be above `scenes.SHARE`: a reader whose floor is 0
    may still miss a character in one image of ten, and that is no challenge of the model.
    """
    results = of_table(run, SIGNS)
    if not results:
        return nothing("no scene with many signs was scored")
    items = []
    parts = []
    for name in dict.fromkeys(r.sample.variant for r in results):
        own = [r for r in results if r.sample.variant == name]
        faulty = sum(not right(r) for r in own)
        parts.append(
            f"{name} {_sign_words(own)}" + (f", {faulty} of {len(own)} images with a fault" if own[1:] else "")
        )
        for scene in dict.fromkeys((r.sample.case, r.sample.size) for r in own):
            same = [r for r in own if (r.sample.case, r.sample.size) == scene]
            items.append(counts(f"{scene_name(*scene)} {name}", (int(not right(r)) for r in same)))
    return "; ".join(parts), AllAbove(items=tuple(items), missing=without(results))


def _sign_words(own: Sequence[CaseResult]) -> str:
    found = [sign_recall(score_of(result)) for result in own]
    if len(found) == 1:
        return sign_words(found[0])
    exact = sum(one.count(SignState.EXACT) for one in found)
    return f"{exact} of {sum(len(one.signs) for one in found)} signs right in {len(found)} images"


def variability(run: Run) -> Judged:
    """Judge Table 5, "can outperform the base in some scenarios": it says that there is one such scene.

    So one confirmed scene is enough, after a correction for the number of scenes and LoRAs that were looked at: among
    twenty, one is the better by luck alone.
    """
    results = scored(run)
    items = tuple(
        counts(f"{scene}, {name}", (sign(t.edits[0] - t.edits[1]) for t in pairs))
        for name in (EIGHT, FOUR)
        for scene, pairs in by_scene(twins(results, BASE, name)).items()
    )
    if not items:
        return nothing("no pair was scored")
    missing = lacking(results, ALL_CASES)
    evidence = AnyBetter(items=items, missing=missing)
    words = f"fewer edits than the base in {sum(i.more for i in items)} of {count(sum(i.of for i in items), 'pair')}"
    best, p = evidence.best()
    if best.more > best.fewer:
        words += f"; most clearly {best.name}: fewer in {best.more} of {count(best.of, 'seed')}, more in {best.fewer}"
        words += f" (p = {p:.2g} after correction for {count(len(items), 'test')})"
    return words, evidence


def resolution(run: Run) -> Judged:
    """Judge Table 6: edits differ between the sizes of a case, for the base and for a LoRA.

    Paired by seed, with a two-sided sign test for each variant: the report saw one size the better for one variant and
    the other for another.
    """
    results = of_table(run, RESOLUTION)
    sides: dict[str, list[Counts]] = {name: [] for name in VARIANTS}
    parts = []
    for case in dict.fromkeys(r.sample.case for r in results):
        for name in VARIANTS:
            own = {
                (r.sample.size, r.sample.seed): r for r in results if (r.sample.case, r.sample.variant) == (case, name)
            }
            sizes = tuple(dict.fromkeys(size for size, _ in own))
            found = [_between(own, name, case, a, b) for a, b in combinations(sizes, 2)]
            sides[name] += [item for item in found if item.of]
            if len(sizes) > 1:
                parts.append(f"{name}: {_mean_edits(own, sizes)}")
    if not parts:
        return nothing("no case was scored at two resolutions")
    missing = {name: () if sides[name] else (f"image by {name} at two resolutions",) for name in VARIANTS}
    evidence = BothDiffer(
        base=Scenes(items=tuple(sides[BASE]), missing=missing[BASE]),
        others=Scenes(items=(*sides[EIGHT], *sides[FOUR]), missing=(*missing[EIGHT], *missing[FOUR])),
    )
    return "edits by size: " + "; ".join(parts), evidence


def _between(own: dict[tuple[Size, int], CaseResult], name: str, case: str, a: Size, b: Size) -> Counts:
    both = [seed for size, seed in own if size == a and (b, seed) in own]
    changes = (sign(score_of(own[a, seed]).distance - score_of(own[b, seed]).distance) for seed in both)
    return counts(f"{name} {case} {a} and {b}", changes)


def _mean_edits(own: dict[tuple[Size, int], CaseResult], sizes: Sequence[Size]) -> str:
    means = ((size, [score_of(r).distance for (s, _), r in own.items() if s == size]) for size in sizes)
    return ", ".join(
        f"{number(mean(edits))} at {size}" + (f" (mean of {len(edits)} seeds)" if edits[1:] else "")
        for size, edits in means
    )


def bad_cases(run: Run) -> Judged:
    """Judge section 5, "NFE100 maintains the lowest overall bad case ratio": the base against each LoRA.

    McNemar's exact test on images with a fault beyond the reader's noise floor. The claim speaks over all scenes, so
    pairs are not counted one by one: the signs of all pairs of a seed are flipped together, and in a second test, from
    `MANY_CASES` cases on, those of all pairs of a case; the larger p counts. One seed is thus one observation, and one
    scene too.
    """
    results = scored(run)
    parts = tuple(
        paired(
            f"base has fewer images with a fault than {name}",
            ((t.sample.case, t.sample.seed, int(t.wrong[1]) - int(t.wrong[0])) for t in twins(results, BASE, name)),
        )
        for name in (EIGHT, FOUR)
    )
    known = tuple(part for part in parts if part.by_seed)
    if not known:
        return nothing("no pair was scored")
    bad = []
    for name in VARIANTS:
        own = [r for r in results if r.sample.variant == name]
        if own:
            bad.append(f"{name} {sum(not right(r) for r in own)} of {len(own)}")
    missing = lacking(results, ALL_CASES)
    words = "; ".join((f"images with a fault: {', '.join(bad)}", *map(part_words, known)))
    return words, EachShown(parts=known, missing=missing, needs_all=True)


def _some(names: list[str], limit: int = 4) -> str:
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
