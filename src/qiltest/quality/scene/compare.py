"""Compare an image's scene with that of its golden: gone, replaced, or the same kind of scene.

Two questions are asked. *Is there still something?* Structure that vanished at any scale says no: of a page, a
gradient or a blurred ground at the fine ones, of noise at the coarse ones. *Is it another scene?* It is where two
things hold together: its cells have colours and textures that the golden's have not, or the other way round, and they
lie in another order. One alone is a change of light, or of composition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from qiltest.quality.scene.records import Cell, Scene

#: Least share of the golden's structure that is left at every scale.
GONE = 0.3
#: Grey levels of structure: below, a golden has none at this scale that could be lost.
SOME = 0.5
#: Grey levels of structure: an image that has less at every scale is a plain page.
PAGE = 0.5
#: Farthest that the cells' colours and textures may lie from those of the other image: CIE Lab units.
REPLACED = 5.5
#: Correlation of the cells' colours above which the layout is the same, and fewest cells for it.
SAME_LAYOUT, FEWEST_SHARED = 0.6, 8
#: CIE Lab units (root mean square over the cells) below which an image is of one colour and has no layout.
FLAT = 1.0
#: CIE Lab units for the square root of one grey level of texture.
TEXTURE = 6.0
#: Share of the cells, the nearest ones, whose distances are averaged: a new thing in the image is no new scene.
NEAREST = 0.75
#: Fewest cells outside text for a scene.
FEWEST_CELLS = 8

_Points = NDArray[np.float64]


class ChangeKind(StrEnum):
    """How a scene differs from the golden's beyond what images of one case do."""

    GONE = "gone"
    REPLACED = "replaced"


@dataclass(frozen=True, kw_only=True)
class SceneChange:
    """A scene that is not the golden's."""

    kind: ChangeKind
    #: one sentence: what was measured, and its limit.
    message: str


def scene_change(before: Scene, now: Scene, *, whose: str = "the golden's") -> SceneChange | None:
    """Return how the scene `now` differs from that of the image `before`, None where it does not.

    None too where the image before leaves too little outside its text. Both must be of one version. `whose` names the
    scene before in the message.
    """
    old, new = tuple(before.grid()), tuple(now.grid())
    if _count(old) < FEWEST_CELLS:
        return None
    if _count(new) < FEWEST_CELLS:
        return _gone(f"text covers {now.text:.0%} of the image, {before.text:.0%} of {whose}")
    left = _left(before.structure, now.structure)
    if not left >= GONE:
        share = f"structure {left:.2f} of {whose}"
        if is_page(now):
            return _gone(f"nothing but text on a plain page ({share})")
        return _gone(f"{share} is left outside the text where most was lost (limit {GONE:g})")
    apart, likeness = _apart(old, new), _likeness(old, new)
    if not apart <= REPLACED and not (likeness is not None and likeness > SAME_LAYOUT):
        told = "no correlation: one of one colour, or too few cells in common"
        if likeness is not None:
            told = f"correlation {likeness:.2f}, {SAME_LAYOUT:g} is alike"
        message = (
            f"the scene is replaced: colours and textures outside the text are {apart:.1f} from {whose} (limit "
            f"{REPLACED:g}), and they lie otherwise ({told})"
        )
        return SceneChange(kind=ChangeKind.REPLACED, message=message)
    return None


def is_page(scene: Scene) -> bool:
    """Return whether an image shows nothing but text on a plain page: of one colour, or shaded."""
    known = [value for value in scene.structure if value is not None]
    return bool(known) and max(known) < PAGE


def _gone(why: str) -> SceneChange:
    return SceneChange(kind=ChangeKind.GONE, message=f"the scene is gone: {why}")


def _count(cells: Sequence[Cell | None]) -> int:
    return sum(cell is not None for cell in cells)


def _left(before: Sequence[float | None], now: Sequence[float | None]) -> float:
    """Return the least share of structure that is left at any scale; 1 where there was none."""
    pairs = [(old, new) for old, new in zip(before, now, strict=True) if old is not None and new is not None]
    return min((new / old for old, new in pairs if old >= SOME), default=1.0)


def _apart(before: Sequence[Cell | None], now: Sequence[Cell | None]) -> float:
    """Return how far the cells of each image are from the nearest of the other, wherever those lie.

    The mean of both directions (the Chamfer distance, Barrow et al. 1977), each over the nearest three quarters of the
    cells.
    """
    one, other = _points(before), _points(now)
    distances = np.linalg.norm(one[:, None] - other[None], axis=-1)
    return (_trimmed(distances.min(axis=1)) + _trimmed(distances.min(axis=0))) / 2


def _trimmed(distances: _Points) -> float:
    return float(np.sort(distances)[: max(1, round(NEAREST * len(distances)))].mean())


def _points(cells: Sequence[Cell | None]) -> _Points:
    known = (cell for cell in cells if cell is not None)
    return np.array([[c.lightness, c.a, c.b, TEXTURE * c.texture**0.5] for c in known])


def _likeness(before: Sequence[Cell | None], now: Sequence[Cell | None]) -> float | None:
    """Return the correlation of the colours of the cells that both have; None for few cells, or of one colour all."""
    pairs = [(a, b) for a, b in zip(before, now, strict=True) if a is not None and b is not None]
    if len(pairs) < FEWEST_SHARED:
        return None
    old, new = (_centred(side) for side in zip(*pairs, strict=True))
    spreads = [float(np.sqrt((side**2).sum() / len(pairs))) for side in (old, new)]
    if not min(spreads) >= FLAT:
        return None
    return float((old * new).sum()) / (len(pairs) * spreads[0] * spreads[1])


def _centred(cells: Sequence[Cell]) -> _Points:
    colours = np.array([[c.lightness, c.a, c.b] for c in cells])
    centred: _Points = colours - colours.mean(axis=0)
    return centred
