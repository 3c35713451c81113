"""Choose between the lines of two detections where they differ about large writing.

Boxes that overlap are about the same writing. Where the two detections agree on it, the first stays. Where they differ,
that one is believed whose lines hold more evidence of text: characters read surely, in few lines. So no writing
is read twice, and none that the first detection read is lost for less. The expected text plays no part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2

from qiltest.reading.rapidocr.crops import Quad, extent
from qiltest.reading.rapidocr.views import NOISE
from qiltest.reading.records import Line

#: The second detection counts for boxes whose shorter side is at least this share of the image's longer one.
LARGE = 0.06
#: Two boxes are about the same writing from this share of the smaller one's area in common.
TOUCH = 0.5
#: Two boxes that share this much of the larger one's area are the same box.
SAME = 0.7
#: What a line costs, in evidence: half a character that was read surely. A word in one line explains more than letters.
LINE = 0.2
#: The second detection is believed from so much more evidence: nearly one character that was read surely.
MARGIN = 0.3


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Boxes of two detections, by index, that are about the same writing and not the same."""

    first: tuple[int, ...]
    second: tuple[int, ...]


def differences(first: Sequence[Quad], second: Sequence[Quad], *, side: float) -> tuple[Difference, ...]:
    """Return where two detections differ about large writing; `side`: the image's longer side in pixels.

    `first` is empty where the second detection alone found something.
    """
    large = [index for index, quad in enumerate(second) if min(extent(quad)) >= LARGE * side]
    found = _groups(first, second, large)
    return tuple(each for each in found if not _agrees(each, first, second))


def evidence(lines: Sequence[Line]) -> float:
    """Sum up what speaks for text: each character by how much surer than noise it is, less the cost of its line."""
    characters = (
        confidence - NOISE
        for line in lines
        for text, confidence in zip(line.text, line.characters, strict=True)
        if not text.isspace()
    )
    return sum(characters) - LINE * len(lines)


def better(second: Sequence[Line], first: Sequence[Line]) -> bool:
    """Return whether the lines of the second detection stand in place of those of the first."""
    return evidence(second) > evidence(first) + MARGIN


def _groups(first: Sequence[Quad], second: Sequence[Quad], large: Sequence[int]) -> list[Difference]:
    """Group boxes that touch, from one detection to the other and on; each group has a large box of the second."""
    touching = {j: {i for i, quad in enumerate(first) if _shared(quad, second[j], min) >= TOUCH} for j in large}
    groups: list[Difference] = []
    left = list(large)
    while left:
        seconds, firsts = [left.pop(0)], set[int]()
        for j in seconds:  # grows while it is read
            firsts |= touching[j]
            more = [k for k in left if touching[k] & firsts]
            seconds += more
            left = [k for k in left if k not in more]
        groups.append(Difference(first=tuple(sorted(firsts)), second=tuple(sorted(seconds))))
    return groups


def _agrees(group: Difference, first: Sequence[Quad], second: Sequence[Quad]) -> bool:
    if len(group.first) != 1 or len(group.second) != 1:
        return False
    return _shared(first[group.first[0]], second[group.second[0]], max) >= SAME


def _shared(one: Quad, other: Quad, of: Callable[[float, float], float]) -> float:
    """Return the area that two boxes have in common, as a share of the smaller (`min`) or larger (`max`) one's."""
    if (one.max(axis=0) <= other.min(axis=0)).any() or (other.max(axis=0) <= one.min(axis=0)).any():
        return 0.0
    area, _ = cv2.intersectConvexConvex(one, other)
    return float(area) / max(1.0, of(cv2.contourArea(one), cv2.contourArea(other)))
