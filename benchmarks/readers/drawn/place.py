"""What layouts share: pages, blocks of one text, sizes."""

from __future__ import annotations

from dataclasses import replace

from drawn.effects import Effect
from drawn.job import Job, NoPlaceError, Part, Placed
from drawn.page import Writing

PRINT = ("sans", "serif", "display")
TITLES = ("display", "sans", "serif", "brush")
HAND = ("hand", "brush")
SIDES = (640, 704, 768, 832, 896, 960, 1024)
FLAT = (Effect.PLAIN, Effect.PLAIN, Effect.SOFT, Effect.OUTLINE, Effect.SHADOW)


def start(job: Job, ratio: tuple[float, float] = (0.7, 1.4)) -> tuple[int, int]:
    """Lay a background of 640 to 1024 pixels' side, its aspect within `ratio`."""
    side, aspect = job.rng.choice(SIDES), job.rng.uniform(*ratio)
    width, height = (side, round(side / aspect)) if aspect > 1 else (round(side * aspect), side)
    job.start(width, height)
    return width, height


def write_blocks(job: Job, part: Part, writings: list[Writing]) -> None:
    """Write one text in several blocks."""
    found: list[Placed] = []
    for writing in writings:
        found.append(job.put(part, writing if not found else replace(writing, ink=job.page.ink)))
        job.placed.pop()
    for one in found[0].boxes:
        for two in found[1].boxes:
            if one[0] < two[2] and one[2] > two[0] and one[1] < two[3] and one[3] > two[1]:
                raise NoPlaceError("the blocks of a text overlap")
    rows = tuple(row for each in found for row in each.rows)
    boxes = tuple(box for each in found for box in each.boxes)
    job.placed.append(replace(found[0], rows=rows, boxes=boxes))


def width_of(part: Part, text: str, size: int) -> float:
    """Width of a text in the part's face, in pixels."""
    return float(part.face.at(size).getlength(text))


def largest(part: Part, text: str, width: float, height: float) -> int:
    """Return the largest size of a title. Raises NoPlaceError where it is below 60 pixels."""
    size = int(min(height, width / max(0.1, width_of(part, text, 100)) * 100))
    if size < 60:
        raise NoPlaceError(f"{text!r} would be small")
    return size
