"""Judge the text of an image: verdict, limit and reasons (docs/reference/gate.md).

A regression is a distance above the golden's by more than the case's tolerance or above the case's absolute limit, or
an error in a text where the golden has none.
Every comparison is written `if not (value <= limit)`, so that what cannot be compared fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qiltest.calibration.store import floors_of, read_floor
from qiltest.gate import strokes
from qiltest.gate.agreement import accepts_no_text
from qiltest.gate.change import with_change
from qiltest.gate.golden import Golden
from qiltest.gate.per_text import new_errors
from qiltest.gate.scene import with_scene
from qiltest.gate.strokes import with_strokes
from qiltest.gate.verdict import Judgement, Verdict, with_quality
from qiltest.quality import Examined, Health
from qiltest.quality.change import Change
from qiltest.reading.records import ReaderInfo, Reading
from qiltest.recipe import MODEL_NAME, Size
from qiltest.scoring import Score, TextScore, score_case
from qiltest.suite.cases import Case, Limits
from qiltest.suite.selection import Sample

#: `Recipe.compared_parts`.
Parts = tuple[tuple[str, str], ...]
#: digits of a part's hash that a sentence shows.
_DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """An image's score and quality, and the verdict on both against its golden."""

    score: Score
    health: Health
    #: None where there is no golden yet.
    golden: Golden | None
    judgement: Judgement


def judge_image(
    case: Case,
    image: Examined,
    reading: Reading,
    golden: Golden | None,
    *,
    sample: Sample,
    effective: Size,
    parts: Parts,
    tiny: bool,
    score: Score | None = None,
    change: Change | None = None,
) -> Assessment:
    """Score one image and compare it with its golden. Used by the tests and by `qiltest rescore`.

    `sample` says which of the case's images it is, `effective` is the size generated, `parts` are the hashes of the
    model's parts or its name (`Recipe.compared_parts`), `tiny` is True for the embedded model, `score` is the
    reading's score if the caller has it already, and `change` is what an edit changed besides its texts. Raises
    ReaderError for a reading without text and StoreError for damaged calibration.
    """
    score, health = score or score_case(case, reading), image.outside(reading.lines)
    judgement = judge_measured(
        case, score, health, golden, sample=sample, effective=effective, parts=parts, tiny=tiny, change=change
    )
    return Assessment(score=score, health=health, golden=golden, judgement=judgement)


def judge_measured(
    case: Case,
    score: Score,
    health: Health,
    golden: Golden | None,
    *,
    sample: Sample,
    effective: Size,
    parts: Parts,
    tiny: bool,
    change: Change | None = None,
) -> Judgement:
    """Return the verdict on an image of which score and quality are known; see `judge_image`. Raises StoreError."""
    floor = noise_floor_of(case, score.reader, tiny=tiny)
    limits = case.limits_of(sample.size, sample.variant, tiny=tiny)
    text = judge(score, golden, limits, case=case, effective=effective, parts=parts, noise_floor=floor)
    comparable = golden is not None and not any(_differences(score, golden, effective, parts))
    gates = case.limits.health_gates
    both = with_scene(text, health.scene, golden, comparable=comparable, gates=gates)
    if case.edit is not None:
        kept = golden.change if golden is not None and comparable else None
        both = with_change(both, change, kept, gates=case.edit.change_gates)
    # the embedded model's writing is no print, and the rate was measured on real images
    floor_rate = None if tiny else strokes.MEASURED
    own = None if floor_rate is None else stroke_rate_of(case, score)
    whole = with_strokes(both, score, floor=floor_rate, own_rate=own, gates=gates)
    return with_quality(whole, health, gates=gates)


def judge(
    score: Score,
    golden: Golden | None,
    limits: Limits,
    *,
    case: Case,
    effective: Size,
    parts: Parts = (),
    noise_floor: float | None = None,
) -> Judgement:
    """Return the verdict on a score of a case's image; the first that applies.

    FAIL: the distance is above a limit, or a text has errors where a comparable golden has none. NEW: neither a golden
    nor an absolute limit. INCOMPARABLE: the golden has another reader, model, size or expected texts. ERROR: the limit
    is below the noise floor (edits). Otherwise PASS.
    """
    distance = score.distance
    differences = () if golden is None else tuple(_differences(score, golden, effective, parts))
    comparable = golden is not None and not any(kind == "reader" for kind, _ in differences)
    relative = golden.distance + limits.tolerance if golden is not None and comparable else None
    limit = min((value for value in (relative, limits.absolute) if value is not None), default=None)
    new = () if golden is None or differences else tuple(new_errors(case, score, golden))
    each = limits.each_text
    over = _over(score, relative, limits, golden)
    over += tuple(found.sentence(each) for found in new if not (found.count <= each))
    floor = _below_floor(limit, noise_floor)
    if over:
        verdict = Verdict.FAIL
    elif limit is None and golden is None:
        verdict = Verdict.NEW
    elif differences:
        verdict = Verdict.INCOMPARABLE
    elif floor:
        verdict = Verdict.ERROR
    else:
        verdict = Verdict.PASS
    missing: tuple[str, ...] = ()
    if golden is None:
        fails = verdict in {Verdict.FAIL, Verdict.NEW}
        missing = ("no golden for this image yet" if fails else f"no golden: absolute limit {limits.absolute}",)
    return Judgement(
        verdict=verdict,
        reasons=(*over, *missing, *(sentence for _, sentence in differences), *floor),
        distance=distance,
        limit=limit,
        golden_distance=None if golden is None else golden.distance,
        noise_floor=noise_floor,
        new_errors=sum(found.count for found in new),
    )


def noise_floor_of(case: Case, reader: ReaderInfo, *, tiny: bool) -> float | None:
    """Return the edits that a reader makes on correct images of this case, None where that was not measured.

    The case file's value comes first, then the calibration of the same reader (weights and settings) in `floors/`. The
    calibration is at the case's own sizes, so it does not apply to the embedded model. Raises StoreError where the
    calibration is damaged.
    """
    stated = dict(case.limits.noise_floor).get(reader.name)
    if stated is not None or tiny:
        return stated
    found = read_floor(case.id, reader.name, floors_of(case))
    return found.floor if found is not None and found.fingerprint == reader.fingerprint else None


def stroke_rate_of(case: Case, score: Score) -> float | None:
    """Return how often the glyph network takes characters of faultless images of this case for broken ones.

    None where that was not measured, or by another reader or network. Raises StoreError where the calibration is
    damaged.
    """
    found = read_floor(case.id, score.reader.name, floors_of(case))
    if found is None or found.fingerprint != score.reader.fingerprint or found.glyphs != score.glyphs:
        return None
    return found.strokes.found / found.strokes.of if found.strokes.of else None


def above_absolute(score: Score, limits: Limits) -> bool:
    """Return whether a score is above the case's absolute limit, which no golden can change."""
    return limits.absolute is not None and not (score.distance <= limits.absolute)


def not_golden(score: Score, limits: Limits) -> str:
    """Return why a score may not become a golden unless a person reviews its image, or ""."""
    return never_golden(score, limits) or unread(score)


def never_golden(score: Score, limits: Limits) -> str:
    """Return why a score may not become a golden whoever has seen its image, or "".

    One that has as many edits as an image without any text, as where texts are shown twice, could never fail.
    """
    if above_absolute(score, limits):
        return f"distance {score.distance} is above the case's absolute limit {limits.absolute}"
    if accepts_no_text(score.distance, score.length, limits):
        return (
            f"distance {score.distance} and tolerance {limits.tolerance} allow all {score.length} characters, so its "
            f"golden would pass an image without any of its texts"
        )
    return ""


def unread(score: Score) -> str:
    """Return why only `qiltest review` makes a score a golden, and no update or `--accept-all`, or "".

    A text counts as read where at least half of its characters are right: texts of the same alphabet that have nothing
    to do with each other differ by more.
    """
    wanted = [text for text in score.texts if not text.kept]
    if any(_is_read(text) for text in wanted or score.texts):
        return ""
    which = "wanted" if len(wanted) < len(score.texts) else "expected"
    return f"no {which} text was read with half of its characters right, so only `qiltest review` accepts it, by itself"


def unseen(score: Score, golden: Golden | None) -> str:
    """Return why only a person who has seen the image may make it a golden, or "".

    `golden` is the one before, which may have the same text misread already.
    """
    before = set() if golden is None else {(text.expected, text.read) for text in golden.texts}
    texts = [text for text in score.texts if text.required and not _is_read(text)]
    new = [text.expected for text in texts if (text.expected, text.read) not in before]
    if not new:
        return ""
    named = f"{new[0]!r} and {len(new) - 1} more were" if len(new) > 1 else f"{new[0]!r} was"
    return f"{named} read with less than half of its characters right"


def _is_read(text: TextScore) -> bool:
    return bool(text.read) and 2 * text.distance <= text.length


def _over(score: Score, relative: int | None, limits: Limits, golden: Golden | None) -> tuple[str, ...]:
    distance, reasons = score.distance, []
    if above_absolute(score, limits):
        reasons.append(f"distance {distance} is above the case's absolute limit {limits.absolute}")
    if relative is not None and golden is not None and not (distance <= relative):
        reasons.append(
            f"distance {distance} is above the limit {relative} "
            f"(golden {golden.distance} + tolerance {limits.tolerance})"
        )
    return tuple(reasons)


def _below_floor(limit: int | None, noise_floor: float | None) -> tuple[str, ...]:
    if limit is None or noise_floor is None or noise_floor <= limit:
        return ()
    return (
        f"limit {limit} is below the OCR noise floor of this case, {noise_floor:g}: correct text would fail; raise the "
        f"case's limits",
    )


def _differences(score: Score, golden: Golden, effective: Size, parts: Parts) -> Iterator[tuple[str, str]]:
    """Yield why a golden cannot be compared with a score, as (kind, sentence)."""
    if golden.reader != score.reader.fingerprint:
        yield (
            "reader",
            f"the golden was read by {golden.reader}, this image by {score.reader.fingerprint}: different readers are "
            f"not comparable",
        )
    others = golden.other_parts(parts)
    if MODEL_NAME in others:
        named, this = others.pop(MODEL_NAME)
        yield "model", f"the golden is of an image of {named}, this one is of {this}: another model"
    if others:
        shown = ", ".join(f"{part} {was[:_DIGITS]} -> {now[:_DIGITS]}" for part, (was, now) in others.items())
        same = [part for part, _ in parts if part not in others]
        rest = f"; {', '.join(same)} the same" if same else ""
        yield "model", f"the golden is of another model: other bytes in {shown}{rest}"
    if golden.effective != str(effective):
        yield "size", f"the golden's image is {golden.effective}, this one is {effective}"
    before = (*(text.expected for text in golden.texts), *(f"gone: {gone.expected}" for gone in golden.gone))
    now = (*(text.expected for text in score.texts), *(f"gone: {gone.expected}" for gone in score.gone))
    if before != now:
        added = [text for text in now if text not in before]
        gone = [text for text in before if text not in now]
        edits = [f"added {text!r}" for text in added] + [f"removed {text!r}" for text in gone]
        changed = "; ".join(edits) or "order"
        yield "texts", f"the case's expected texts changed since the golden was recorded ({changed})"
