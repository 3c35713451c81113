"""Cut single characters out of an image, where the reader says that they stand.

A reader's places along a line are exact to about a sixth of a character, and its box has a margin that varies. So the
places are refined by gaps in the ink, the size by the ink of the whole line. What stays off by up to a tenth of a
character the network is trained for. The expected text plays no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from qiltest.reading.glyphs.ink import Ink, Inked, inked, normalised
from qiltest.reading.glyphs.line import LINE, MARGIN, Along, upright
from qiltest.reading.images import Pixels
from qiltest.reading.quad import Quad

#: Side of a crop in pixels, and of the character's em square in its middle.
SIDE, EM = 48, 40
#: Lines with more characters than this are not cut: a paragraph in one box.
MOST_CHARACTERS = 200
#: The ink of a line of Chinese in em squares, across it.
FULL = 0.93
#: Half the length of a line that is looked at around a character, in the line's height.
REACH = 1.1
#: A pixel with more ink than this is part of a stroke; a row or column with less than this share of strokes is empty.
STROKE, GAP = 0.45, 0.04
#: A Chinese character is moved to the middle of its ink if that is at least so wide; by no more than the second number.
WIDE, MOVED = 0.6, 0.2
#: Chinese characters that stand closer than their height are narrow: to this share of it they are made wide again.
NARROW = 0.6
#: Ink beside a gap with less ink than this belongs to the neighbour and is left out; without a gap it is kept.
CLEAR = 0.02
#: rows of a line above and below its box
_AROUND = np.array([*range(MARGIN // 2), *range(LINE + 2 * MARGIN - MARGIN // 2, LINE + 2 * MARGIN)])


@dataclass(frozen=True, kw_only=True)
class Crop:
    """One character, upright."""

    #: ink, about 0 on the ground and 1 in strokes, shape (`SIDE`, `SIDE`), the em square in the middle.
    ink: Ink
    #: of the em square (Chinese, kana) or of the letter's longer side, in pixels of the image.
    height: float
    #: the square that was cut out, clockwise from top left, pixels of the image.
    box: Quad


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A rectangle in a window that becomes the em square: its middle, and its size along and across the line."""

    along: float
    across: float
    wide: float
    high: float


def is_square(char: str) -> bool:
    """Return whether a character fills an em square of its own: Chinese and kana; not letters and digits."""
    return (
        "\u3040" <= char <= "\u30ff" or "\u3400" <= char <= "\u9fff" or "\uf900" <= char <= "\ufaff" or char in "々〇"
    )


def crops(image: Pixels, box: Quad, text: str, places: Sequence[float]) -> tuple[Crop | None, ...]:
    """Cut out each character of a line; None for white space and where no ink stands out.

    `image`: RGB, (height, width, 3), 8 bit. `box`: the line's quadrilateral, clockwise from top left, pixels. `places`:
    the centre of each character of `text` along the line, 0 (its start) to 1, as the reader found it.
    """
    nothing = (None,) * len(text)
    if len(places) != len(text) or not text or len(text) > MOST_CHARACTERS:
        return nothing
    line = upright(image, box, several=len(text) > 1)
    if line is None:
        return nothing
    centres = MARGIN + np.asarray(places, dtype=np.float64) * line.length
    inks = _inks(line, text, centres)
    before, after = _neighbours(centres, line.length)
    high, middle = _size([each for each, char in zip(inks, text, strict=True) if each is not None and is_square(char)])
    wide = _width(text, centres, high)
    found: list[Crop | None] = []
    for k, (char, each) in enumerate(zip(text, inks, strict=True)):
        place = None
        if each is not None:
            profile = _profile(each)
            start, end = _gaps(profile, float(before[k]), float(after[k]))
            near = _Place(along=each.shape[1] / 2, across=middle, wide=wide, high=high)
            place = _square(profile, start, end, near) if is_square(char) else _letter(each, start, end)
            each = _alone(each, profile, start, end)
        found.append(None if each is None or place is None else _cut(line, each, float(centres[k]), place))
    return tuple(found)


def _inks(line: Along, text: str, centres: NDArray[np.float64]) -> list[Ink | None]:
    """Return the ink around each character, along the line in columns; its polarity is that of most of the line."""
    windows = [None if char.isspace() else _inked(line, float(c)) for char, c in zip(text, centres, strict=True)]
    votes = sum(each.bright for each in windows if each is not None)
    return [None if each is None else each.ink(bright=_polarity(each, votes)) for each in windows]


def _polarity(each: Inked, votes: float) -> bool:
    """Return whether ink is bright: by a character's own surroundings where they are clear, else by the line's."""
    return each.bright > 0 if abs(each.bright) > 0.6 else votes > 0


def _inked(line: Along, centre: float) -> Inked | None:
    return inked(line.window(centre, REACH * LINE), _AROUND, (slice(MARGIN // 2, -(MARGIN // 2)), slice(None)))


def _neighbours(centres: NDArray[np.float64], length: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distance from each character to the one before and after it; at the ends to where one might be."""
    steps = np.maximum(np.diff(centres), 1.0)
    first = max(2 * (centres[0] - MARGIN), 0.5 * LINE)
    last = max(2 * (length + MARGIN - centres[-1]), 0.5 * LINE)
    return np.concatenate([[first], steps]), np.concatenate([steps, [last]])


def _profile(ink: Ink) -> NDArray[np.float64]:
    """Return the share of stroke in each column, within the line's box and a little beyond."""
    return np.asarray((ink[MARGIN - LINE // 8 : MARGIN + LINE + LINE // 8] > STROKE).mean(axis=0), dtype=np.float64)


def _gaps(profile: NDArray[np.float64], before: float, after: float) -> tuple[int, int]:
    """Return where a character begins and ends along its window: at the widest gaps near half way to its neighbours."""
    smooth = np.convolve(profile, np.ones(3) / 3, mode="same")
    middle = len(profile) / 2
    return _gap(smooth, middle - before / 2, before), _gap(smooth, middle + after / 2, after)


def _gap(profile: NDArray[np.float64], near: float, step: float) -> int:
    reach = max(2.0, 0.22 * min(step, 1.2 * LINE))
    first, last = max(0, round(near - reach)), min(len(profile) - 1, round(near + reach))
    if first >= last:
        return int(np.clip(round(near), 0, len(profile) - 1))
    offsets = np.abs(np.arange(first, last + 1) - near) / reach
    return first + int(np.argmin(profile[first : last + 1] + 0.02 * offsets))


def _alone(ink: Ink, profile: NDArray[np.float64], start: int, end: int) -> Ink:
    """Return the ink without that of neighbours, where a gap parts them."""
    alone = ink.copy()
    if profile[start] < CLEAR:
        alone[:, :start] = np.minimum(alone[:, :start], alone[:, start : start + 1])
    if profile[end] < CLEAR:
        alone[:, end + 1 :] = np.minimum(alone[:, end + 1 :], alone[:, end : end + 1])
    return alone


def _size(inks: Sequence[Ink]) -> tuple[float, float]:
    """Return the em square's size and its middle across the line, from the ink of all its Chinese characters."""
    if not inks:
        return LINE / 1.1, MARGIN + LINE / 2
    half = round(0.35 * LINE)
    centre = inks[0].shape[1] // 2
    profile = np.mean([(each[:, centre - half : centre + half] > STROKE).mean(axis=1) for each in inks], axis=0)
    inside = profile[MARGIN - LINE // 8 : MARGIN + LINE + LINE // 8]
    full = np.flatnonzero(inside > max(GAP, 0.15 * float(inside.max(initial=0.0))))
    if len(full) < 0.3 * LINE or inside[0] > 0.25 or inside[-1] > 0.25:
        return LINE / 1.1, MARGIN + LINE / 2
    top, bottom = int(full[0]), int(full[-1]) + 1
    size = float(np.clip((bottom - top) / FULL, 0.75 * LINE, 1.15 * LINE))
    return size, MARGIN - LINE // 8 + (top + bottom) / 2


def _width(text: str, centres: NDArray[np.float64], high: float) -> float:
    """Return the width of the em square: narrower than its height where Chinese characters stand closer than that."""
    pairs = zip(np.diff(centres), text, text[1:], strict=False)
    steps = [float(step) for step, one, two in pairs if is_square(one) and is_square(two)]
    return float(np.clip(np.median(steps), NARROW * high, high)) if steps else high


def _square(profile: NDArray[np.float64], start: int, end: int, near: _Place) -> _Place | None:
    """Place a Chinese character: in the middle of its ink along the line, unless much of it may be missing."""
    columns = np.flatnonzero(profile[start : end + 1] > GAP / 2)
    if not len(columns):
        return None
    left, right = start + int(columns[0]), start + int(columns[-1]) + 1
    if right - left < WIDE * near.wide:
        return near
    moved = MOVED * near.wide
    return replace(near, along=float(np.clip((left + right) / 2, near.along - moved, near.along + moved)))


def _letter(ink: Ink, start: int, end: int) -> _Place | None:
    """Place a letter or digit: around its ink."""
    rows = slice(MARGIN - LINE // 8, MARGIN + LINE + LINE // 8)
    part = ink[rows, start : end + 1] > STROKE
    columns, lines = np.flatnonzero(part.any(axis=0)), np.flatnonzero(part.any(axis=1))
    if not len(columns) or part.sum() < 8:
        return None
    left, right, top, bottom = columns[0], columns[-1] + 1, lines[0], lines[-1] + 1
    size = max(float(right - left), float(bottom - top), LINE / 8)
    along, across = start + float(left + right) / 2, rows.start + float(top + bottom) / 2
    return _Place(along=along, across=across, wide=size, high=size)


def _cut(line: Along, ink: Ink, centre: float, place: _Place) -> Crop:
    wide, high = place.wide * SIDE / EM, place.high * SIDE / EM
    size = max(2, round(wide)), max(2, round(high))
    patch = cv2.getRectSubPix(ink, size, (place.along - 0.5, place.across - 0.5))
    scaled = cv2.resize(patch, (SIDE, SIDE), interpolation=cv2.INTER_AREA if min(size) > SIDE else cv2.INTER_LINEAR)
    along = place.along - ink.shape[1] / 2 + centre
    return Crop(
        ink=normalised(np.asarray(scaled.T if line.column else scaled, dtype=np.float32)),
        height=place.high * line.scale,
        box=line.rectangle((along, place.across), (wide, high)),
    )
