"""Measure a reader's error on a case with drawn images, and how many planted typos it detects."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle, islice

import numpy as np

from qiltest.calibration.drawing import Look, Style, draw
from qiltest.calibration.records import Floor, Rate
from qiltest.calibration.typos import Typo, plant
from qiltest.reading import Reader
from qiltest.scoring import EmptyReadingError, Score, score_case
from qiltest.suite.cases import Case, ExpectedText

#: Name under which the typos that a case names are counted.
KNOWN = "known"


def calibrate(
    case: Case, reader: Reader, *, images: int = 12, seed: int = 0, tick: Callable[[str], None] = lambda _: None
) -> Floor:
    """Draw, read and score `images` images of a case, and each once more with every kind of typo.

    `tick` is called with a word before each reading. Raises FontsMissingError, ReaderError.
    """
    looks = _looks(images, seed)
    found: list[int] = []
    exact, texts = 0, 0
    broken, judged, glyphs = 0, 0, ""
    hits: dict[str, list[tuple[int, bool]]] = {}
    missed: list[str] = []
    for look in looks:
        tick(f"{case.id} {look.style}")
        untouched = _score(case, reader, case.texts, look)
        found.append(_distance(untouched, case))
        texts += len(case.texts)
        exact += sum(text.distance == 0 for text in untouched.texts) if untouched else 0
        if untouched is not None:
            broken, judged, glyphs = broken + untouched.broken, judged + untouched.judged, untouched.glyphs
        for kind, wrong in planted(case, random.Random(f"{case.id} {look.seed}")):
            tick(f"{case.id} {look.style} {kind}")
            seen = _score(case, reader, wrong, look)
            risen = _distance(seen, case) > found[-1]
            hits.setdefault(kind, []).append((found[-1], risen))
            if not risen:
                missed.append(f"{look.style} {kind}, untouched {found[-1]}: {_misread(case, wrong, seen)}")
    floor = float(np.median(found))
    clean = [risen for each in hits.values() for twin, risen in each if twin <= floor]
    return Floor(
        case=case.id,
        reader=reader.info.name,
        fingerprint=reader.info.fingerprint,
        images=len(looks),
        floor=floor,
        mean=round(float(np.mean(found)), 4),
        deviation=round(float(np.std(found)), 4),
        percentile_95=round(float(np.percentile(found, 95)), 4),
        largest=max(found),
        exact_texts=Rate(found=exact, of=texts),
        typos={kind: Rate(found=sum(r for _, r in each), of=len(each)) for kind, each in sorted(hits.items())},
        clean_typos=Rate(found=sum(clean), of=len(clean)),
        missed=tuple(missed),
        strokes=Rate(found=broken, of=judged),
        glyphs=glyphs,
    )


def strokes_of(
    case: Case, reader: Reader, *, images: int = 12, seed: int = 0, tick: Callable[[str], None] = lambda _: None
) -> tuple[Rate, str]:
    """Return how many characters of faultless images are taken for broken, and by which glyph network.

    The images are those of `calibrate`. The network's fingerprint is "" where none judged. Raises FontsMissingError,
    ReaderError.
    """
    broken, judged, glyphs = 0, 0, ""
    for look in _looks(images, seed):
        tick(f"{case.id} {look.style}")
        score = _score(case, reader, case.texts, look)
        if score is not None:
            broken, judged, glyphs = broken + score.broken, judged + score.judged, score.glyphs
    return Rate(found=broken, of=judged), glyphs


def _looks(images: int, seed: int) -> list[Look]:
    return [Look(style=style, seed=seed + i) for i, style in enumerate(islice(cycle(Style), images))]


def planted(case: Case, rng: random.Random) -> list[tuple[str, tuple[ExpectedText, ...]]]:
    """Return the case's texts with one typo each: every kind that has a place, then those that the case names."""
    found: list[tuple[str, tuple[ExpectedText, ...]]] = []
    for kind in Typo:
        order = list(range(len(case.texts)))
        rng.shuffle(order)
        for i in order:
            wrong = plant(case.texts[i].text, kind, rng)
            if wrong is not None:
                found.append((str(kind), _changed(case.texts, i, wrong)))
                break
    for typo in case.known_typos:
        i = next(i for i, text in enumerate(case.texts) if typo.asked in text.text)
        found.append((KNOWN, _changed(case.texts, i, case.texts[i].text.replace(typo.asked, typo.shown))))
    return found


def _changed(texts: Sequence[ExpectedText], place: int, wrong: str) -> tuple[ExpectedText, ...]:
    return tuple(replace(text, text=wrong) if i == place else text for i, text in enumerate(texts))


def _score(case: Case, reader: Reader, texts: Sequence[ExpectedText], look: Look) -> Score | None:
    try:
        return score_case(case, reader.read(draw(texts, look)))
    except EmptyReadingError:
        return None


def _misread(case: Case, wrong: Sequence[ExpectedText], found: Score | None) -> str:
    """Describe which text had the typo and what was read for it."""
    place = next(i for i, (text, other) in enumerate(zip(case.texts, wrong, strict=True)) if text != other)
    read = found.texts[place].read if found else ""
    return f"{wrong[place].text!r} read as {read!r}"


def _distance(found: Score | None, case: Case) -> int:
    """Return the distance of an image; without a reading every text is missing."""
    return sum(len(text.text) for text in case.texts) if found is None else found.distance
