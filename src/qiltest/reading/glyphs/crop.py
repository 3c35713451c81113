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
from qiltest.reading.strokes import fills_square

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
#: A part of a letter is at least so high, in the line's height: less is a dot or a mark.
TALL = 0.22
#: Ink beside a gap with less ink than this belongs to the neighbour and is left out; without a gap it is kept.
CLEAR = 0.02
#: A character's own surroundings say which colour is its ink where they are so clear; else most of its line does.
CLEARLY = 0.5


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


def crops(
    image: Pixels, box: Quad, text: str, places: Sequence[float], *, bgr: bool = False
) -> tuple[Crop | None, ...]:
    """Cut out each character of a line; None for white space and where no ink stands out.

    `image`: RGB, or `bgr`, (height, width, 3), 8 bit. `box`: the line's quadrilateral, clockwise from top left,
    pixels. `places`: the centre of each character of `text` along the line, 0 (its start) to 1, as the reader found it.
    """
    nothing = (None,) * len(text)
    if len(places) != len(text) or not text or len(text) > MOST_CHARACTERS:
        return nothing
    line = upright(image, box, several=len(text) > 1)
    if line is None:
        return nothing
    if bgr:  # of the line alone: the image may be large, and have many lines
        line = replace(line, pixels=np.ascontiguousarray(line.pixels[:, :, ::-1]))
    centres = MARGIN + np.asarray(places, dtype=np.float64) * line.length
    inks = _inks(line, text, centres)
    before, after = _neighbours(centres, line.length)
    high, middle = _size(
        [each for each, char in zip(inks, text, strict=True) if each is not None and fills_square(char)]
    )
    found: list[Crop | None] = []
    near = _Place(along=0.0, across=middle, wide=_width(text, centres, high), high=high)
    for k, (char, each) in enumerate(zip(text, inks, strict=True)):
        if each is None:
            found.append(None)
            continue
        placed = (
            _square(each, float(before[k]), float(after[k]), near)
            if fills_square(char)
            else _letter(each, float(before[k]), float(after[k]))
        )
        found.append(None if placed is None else _cut(line, placed[1], float(centres[k]), placed[0]))
    return tuple(found)


def _inks(line: Along, text: str, centres: NDArray[np.float64]) -> list[Ink | None]:
    """Return the ink around each character, along the line in columns; its polarity is that of most of the line."""
    windows = [None if char.isspace() else _inked(line, float(c)) for char, c in zip(text, centres, strict=True)]
    votes = sum((each.bright * each.axis for each in windows if each is not None), np.zeros(3))
    return [None if each is None else each.ink(bright=_polarity(each, votes)) for each in windows]


def _polarity(each: Inked, votes: NDArray[np.float64]) -> bool:
    """Return whether ink is bright: by a character's own surroundings where they are clear, else by the line's.

    `votes`: from the ground's colour to the ink's, summed over the line.
    """
    return each.bright > 0 if abs(each.bright) > CLEARLY else float(votes @ each.axis) > 0


def _inked(line: Along, centre: float) -> Inked | None:
    inside = slice(MARGIN, MARGIN + LINE)
    near = np.array([*range(MARGIN - 8, MARGIN), *range(MARGIN + LINE, MARGIN + LINE + 8)])
    return inked(line.window(centre, REACH * LINE), inside, near)


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
    steps = [float(step) for step, one, two in pairs if fills_square(one) and fills_square(two)]
    return float(np.clip(np.median(steps), NARROW * high, high)) if steps else high


def _square(ink: Ink, before: float, after: float, near: _Place) -> tuple[_Place, Ink] | None:
    """Place a Chinese character between gaps, in the middle of its ink unless much of it may be missing."""
    profile = _profile(ink)
    start, end = _gaps(profile, before, after)
    columns = np.flatnonzero(profile[start : end + 1] > GAP / 2)
    if not len(columns):
        return None
    left, right = start + int(columns[0]), start + int(columns[-1]) + 1
    along = ink.shape[1] / 2
    if right - left >= WIDE * near.wide:
        moved = MOVED * near.wide
        along = float(np.clip((left + right) / 2, along - moved, along + moved))
    return replace(near, along=along), _alone(ink, profile, start, end)


def _letter(ink: Ink, before: float, after: float) -> tuple[_Place, Ink] | None:
    """Place a letter or digit around its ink, and leave out all other ink; None where it is joined to a neighbour.

    Places of letters are less exact, and their widths differ too much to look for gaps half way. So a letter is the
    connected ink nearest to its place, with what stands above or below it (the dot of an i).
    """
    first = MARGIN - LINE // 8
    strokes = np.asarray(ink[first : MARGIN + LINE + LINE // 8] > STROKE, dtype=np.uint8)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
    middle = ink.shape[1] / 2
    own = _letter_parts(boxes[1:count].tolist(), middle, min(before, after) / 2)
    if not own:
        return None
    left, top, right, bottom = _around([boxes[1 + k].tolist() for k in own])
    if left <= middle - 0.9 * before or right >= middle + 0.9 * after:
        return None
    mine = cv2.dilate(np.isin(labels, [1 + k for k in own]).astype(np.uint8), np.ones((5, 5), dtype=np.uint8))
    alone = np.zeros_like(ink)
    alone[first : first + len(strokes)] = np.where(mine > 0, ink[first : first + len(strokes)], 0.0)
    size = max(right - left, bottom - top, LINE / 8)
    place = _Place(along=(left + right) / 2, across=first + (top + bottom) / 2, wide=size, high=size)
    return place, alone


def _letter_parts(boxes: Sequence[Sequence[int]], middle: float, reach: float) -> list[int]:
    """Return which parts (left, top, width, height, area) are one letter: the nearest to a place, what is in line."""
    edge = LINE // 8  # the parts' rows begin so far above the line's box
    inside = [
        k for k, (_, top, _, high, _) in enumerate(boxes) if min(top + high, edge + LINE) - max(top, edge) >= 0.6 * high
    ]
    tall = [k for k in inside if boxes[k][3] >= TALL * LINE]
    if not tall:
        return []

    def far(k: int) -> tuple[float, int]:
        left, _, wide, _, area = boxes[k]
        return max(left - middle, middle - left - wide, 0.0), -area

    nearest = min(tall, key=far)
    if far(nearest)[0] > reach:
        return []
    left, _, wide, _, _ = boxes[nearest]
    return [
        k
        for k in inside
        if k == nearest
        or min(left + wide, boxes[k][0] + boxes[k][2]) - max(left, boxes[k][0]) >= 0.5 * min(wide, boxes[k][2])
    ]


def _around(boxes: Sequence[Sequence[int]]) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of several parts."""
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, bottom = max(box[0] + box[2] for box in boxes), max(box[1] + box[3] for box in boxes)
    return float(left), float(top), float(right), float(bottom)


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
