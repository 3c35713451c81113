"""Break characters: each kind takes a batch of drawings and returns their ink as it is after the damage.

Everything is done on the device, in pixels of the bank's drawings (72 for 1.2 em squares). What a damage changed is
measured; where nobody would see it (`SEEN`, `LEAST`) the example is left out of training and test. What is left of a
change after everything was drawn is measured in glyph_examples.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import torch
import torch.nn.functional as F
from glyph_data import STEP, Bank

#: A damage counts from here on: the ink that it changed by the ink there was, and the largest change after averaging
#: over a square of 7 % of the em square. Below it is a matter of taste: the tip of a stroke.
LEAST, SEEN = 0.03, 0.42


@dataclass
class Batch:
    """Drawings that are to be broken: n of P x P pixels."""

    bank: Bank
    index: torch.Tensor
    weight: torch.Tensor  # (n,) what is added to the signed distance: bolder or lighter
    generator: torch.Generator

    # what needs the drawings is drawn when it is asked for: most parts of a batch are only asked for random numbers
    @cached_property
    def distance(self) -> torch.Tensor:
        """Signed distances, in this batch's weights."""
        return self.distance_of(self.index)

    @cached_property
    def ink(self) -> torch.Tensor:
        """How much of each pixel is ink."""
        return ink_of(self.distance)

    @cached_property
    def width(self) -> torch.Tensor:
        """The mean width of strokes, pixels."""
        return (self.bank.width[self.index] + 2 * self.weight).clamp(min=1.5)

    @cached_property
    def x(self) -> torch.Tensor:
        """The pixels' places across, (1, 1, P)."""
        return torch.arange(self.bank.distance.shape[-1], device=self.index.device, dtype=torch.float32)[None, None, :]

    @cached_property
    def y(self) -> torch.Tensor:
        """The pixels' places down, (1, P, 1)."""
        return self.x.transpose(1, 2)

    def distance_of(self, index: torch.Tensor) -> torch.Tensor:
        """Return the signed distances of drawings in this batch's weights."""
        return self.bank.distance[index].float() / STEP + self.weight[:, None, None]

    def part(self, where: torch.Tensor) -> Batch:
        """Return some of the drawings."""
        return Batch(bank=self.bank, index=self.index[where], weight=self.weight[where], generator=self.generator)

    @property
    def size(self) -> int:
        """How many drawings there are."""
        return len(self.index)

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        """Return random numbers, one per drawing, or of a shape per drawing."""
        numbers = torch.rand(self.size, *shape, device=self.index.device, generator=self.generator)
        return low + (high - low) * numbers

    def other(self) -> torch.Tensor:
        """Return another drawing of the same font and script for each, not one of the same shape (`Bank.shape`)."""
        first, count = self.bank.group[self.index].T
        found = self.index
        for _ in range(3):
            step = 1 + (self.uniform(0, 1) * (count - 1).clamp(min=1)).long()
            same = self.bank.shape[found] == self.bank.shape[self.index]
            found = torch.where(same, first + (self.index - first + step) % count, found)
        return found

    def point(self, ink: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a random point in each drawing's ink, (n, 1, 1) each."""
        mask = (self.ink if ink is None else ink) > 0.5
        flat = (self.uniform(0.01, 1, *mask.shape[1:]) * mask).flatten(1).argmax(1)
        side = mask.shape[-1]
        return (flat // side).float()[:, None, None], (flat % side).float()[:, None, None]

    def noise(self, cells: int) -> torch.Tensor:
        """Return smooth noise of unit variance on the grid, from `cells` values across."""
        grid = torch.randn(self.size, 1, cells, cells, device=self.index.device, generator=self.generator)
        return 1.4 * spread(grid, self.bank.distance.shape[-1]).squeeze(1)

    def capsule(self, y: torch.Tensor, x: torch.Tensor, angle: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        """Return the distance to segments from (y, x) both ways along `angle`, of half `length`, all (n, 1, 1)."""
        along_x, along_y = torch.cos(angle), torch.sin(angle)
        t = ((self.x - x) * along_x + (self.y - y) * along_y).clamp(-1e3, 1e3)
        t = torch.minimum(torch.maximum(t, -length), length)
        return torch.hypot(self.x - x - t * along_x, self.y - y - t * along_y)


def spread(grid: torch.Tensor, side: int) -> torch.Tensor:
    """Return grids (n, 1, cells, cells) on (n, 1, side, side), bicubic. As products of matrices: PyTorch's own kernel
    goes through the batch one by one.
    """
    across = _spreading(grid.shape[-1], side, grid.device)
    return across @ (grid @ across.T)


@cache
def _spreading(cells: int, side: int, device: torch.device) -> torch.Tensor:
    one = torch.eye(cells)[None, None]
    return F.interpolate(one, size=(side, cells), mode="bicubic", align_corners=True)[0, 0].to(device)


def ink_of(distance: torch.Tensor) -> torch.Tensor:
    """Return how much of each pixel is ink, from the signed distance of its middle."""
    return (distance + 0.5).clamp(0, 1)


def col(numbers: torch.Tensor) -> torch.Tensor:
    """Return one number per drawing as (n, 1, 1)."""
    return numbers[:, None, None]


def moved(ink: torch.Tensor, dy: torch.Tensor, dx: torch.Tensor) -> torch.Tensor:
    """Return images moved by numbers or fields of pixels, (n, 1, 1) or (n, P, P)."""
    n, side = ink.shape[0], ink.shape[-1]
    line = torch.arange(side, device=ink.device, dtype=torch.float32)
    x = (line[None, None, :] - dx).expand(n, side, side)
    y = (line[None, :, None] - dy).expand(n, side, side)
    grid = torch.stack([x, y], dim=-1) * (2 / (side - 1)) - 1
    return F.grid_sample(ink[:, None], grid, align_corners=True).squeeze(1)


def _smooth(edge: torch.Tensor) -> torch.Tensor:
    return (edge + 0.5).clamp(0, 1)


def _half(b: Batch, other: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
    """Keep one half (0 left, 1 right, 2 upper, 3 lower) and take the rest of another drawing."""
    at = b.uniform(0.42, 0.58) * b.ink.shape[-1]
    line = torch.where(col(side < 2), b.x, b.y) - col(at)
    keep = _smooth(torch.where(col(side % 2 == 0), -line, line))
    return b.ink * keep + ink_of(b.distance_of(other)) * (1 - keep)


def quarter(b: Batch) -> torch.Tensor:
    """A quarter is missing."""
    y, x = b.point()
    middle = b.ink.shape[-1] / 2 + col(b.uniform(-4, 4))
    lost = ((y > middle) == (b.y > middle)) & ((x > middle) == (b.x > middle))
    return b.ink * ~lost


def box(b: Batch) -> torch.Tensor:
    """A rectangle or an ellipse around some ink is missing, 8 to 50 % of the character wide and high."""
    y, x = b.point()
    high, wide = (col(0.5 * 60 * 0.08 * (0.5 / 0.08) ** b.uniform(0, 1)) for _ in range(2))
    straight = torch.maximum((b.y - y).abs() / high, (b.x - x).abs() / wide)
    round_ = torch.hypot((b.y - y) / high, (b.x - x) / wide)
    shape = torch.where(col(b.uniform(0, 1) < 0.5), straight, round_)
    return b.ink * _smooth((shape - 1) * torch.minimum(high, wide))


def _one_part(b: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a mask of one connected part, with a margin, and one of all others."""
    parts = b.bank.parts[b.index]
    number = 1 + (b.uniform(0, 1) * b.bank.count[b.index, 0]).long().clamp(max=59)
    mine = F.max_pool2d((parts == col(number)).float()[:, None], 5, 1, 2).squeeze(1)
    others = F.max_pool2d(((parts > 0) & (parts != col(number))).float()[:, None], 3, 1, 1).squeeze(1)
    return mine * (1 - others), others


def part_lost(b: Batch) -> torch.Tensor:
    """A connected part is missing: a dot, a radical. A character of one part loses a stroke."""
    mine, _ = _one_part(b)
    return torch.where(col(b.bank.count[b.index, 0] > 1), b.ink * (1 - mine), stroke_lost(b))


def part_moved(b: Batch) -> torch.Tensor:
    """A part stands elsewhere."""
    mine, _ = _region(b)
    angle, far = b.uniform(0, 6.2832), b.uniform(5, 15)
    away = moved(b.ink * mine, col(far * torch.sin(angle)), col(far * torch.cos(angle)))
    return torch.maximum(b.ink * (1 - mine), away)


def part_doubled(b: Batch) -> torch.Tensor:
    """A part stands there twice."""
    mine, _ = _region(b)
    angle, far = b.uniform(0, 6.2832), b.uniform(6, 18)
    return torch.maximum(b.ink, moved(b.ink * mine, col(far * torch.sin(angle)), col(far * torch.cos(angle))))


def _region(b: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a connected part, or a disc where there is only one."""
    mine, others = _one_part(b)
    y, x = b.point()
    disc = _smooth(col(b.uniform(6, 16)) - torch.hypot(b.y - y, b.x - x))
    several = col((b.bank.count[b.index, 0] > 1) & (b.uniform(0, 1) < 0.6))
    return torch.where(several, mine, disc), others


def hole_filled(b: Batch) -> torch.Tensor:
    """A counter is filled; without one a region is smeared."""
    holes = b.bank.count[b.index, 1]
    number = 1 + (b.uniform(0, 1) * holes).long()
    mine = F.max_pool2d((b.bank.parts[b.index] == -col(number)).float()[:, None], 3, 1, 1).squeeze(1)
    return torch.where(col(holes > 0), torch.maximum(b.ink, mine), fused(b))


def stroke_added(b: Batch) -> torch.Tensor:
    """One to three false strokes, straight or bent."""
    ink = b.ink
    for k in range(3):
        y, x = b.point()
        y, x = y + col(b.uniform(-10, 10)), x + col(b.uniform(-10, 10))
        angle, length = col(b.uniform(0, 6.2832)), col(b.uniform(5, 26))
        first = b.capsule(y, x, angle, length)
        bend = angle + col(b.uniform(0.3, 2.0))
        further = col(b.uniform(4, 14))
        tip_y = y + length * torch.sin(angle) + further * torch.sin(bend)
        tip_x = x + length * torch.cos(angle) + further * torch.cos(bend)
        second = b.capsule(tip_y, tip_x, bend, further)
        far = torch.where(col(b.uniform(0, 1) < 0.3), torch.minimum(first, second), first)
        drawn = ink_of(col(b.width * b.uniform(0.35, 0.65)) - far)
        ink = torch.where(col(b.uniform(0, 1) < (1.0, 0.4, 0.2)[k]), torch.maximum(ink, drawn), ink)
    return ink


def half_of_another(b: Batch) -> torch.Tensor:
    """Half of another character."""
    return _half(b, b.other(), (b.uniform(0, 4)).long().clamp(max=3))


def other_component(b: Batch) -> torch.Tensor:
    """The component that a character with the same radical has."""
    side = b.uniform(0, 4).long().clamp(max=3)
    which = (b.uniform(0, 1) * b.bank.alike.shape[2]).long()
    return _half(b, b.bank.alike[b.index, side, which], side)


def warped(b: Batch) -> torch.Tensor:
    """Bent all over, more than a hand would."""
    strength = col(b.uniform(1.5, 3.5))
    return moved(b.ink, b.noise(10) * strength, b.noise(10) * strength)


def bent(b: Batch) -> torch.Tensor:
    """A stroke is bent away within a region."""
    y, x = b.point()
    window = torch.exp(-(((b.y - y) ** 2 + (b.x - x) ** 2) / (2 * col(b.uniform(5, 11)) ** 2)))
    angle, far = b.uniform(0, 6.2832), b.uniform(5, 11)
    return moved(b.ink, window * col(far * torch.sin(angle)), window * col(far * torch.cos(angle)))


def part_shifted(b: Batch) -> torch.Tensor:
    """One half is shifted along the line that parts the halves."""
    across = b.uniform(0, 1) < 0.5
    far = col(b.uniform(6, 14) * torch.where(b.uniform(0, 1) < 0.5, -1.0, 1.0))
    at = col(b.uniform(0.38, 0.62)) * b.ink.shape[-1]
    inside = torch.where(col(across), b.x > at, b.y > at).float()
    return moved(b.ink, far * inside * col(across.float()), far * inside * col((~across).float()))


def cut_through(b: Batch) -> torch.Tensor:
    """A straight band through the character is missing; at its least twice as wide as a stencil's bridge."""
    y, x = b.point()
    angle = torch.where(b.uniform(0, 1) < 0.6, (b.uniform(0, 2).long() * 1.5708), b.uniform(0, 3.1416))
    far = ((b.x - x) * -torch.sin(col(angle)) + (b.y - y) * torch.cos(col(angle))).abs()
    return b.ink * _smooth(far - col(b.uniform(2.6, 6.0)))


def blended(b: Batch) -> torch.Tensor:
    """The signed distances of two characters are mixed: half-formed."""
    share = col(b.uniform(0.22, 0.6))
    return ink_of((1 - share) * b.distance + share * b.distance_of(b.other()))


def melted(b: Batch) -> torch.Tensor:
    """Strokes swell, thin out and vanish: smooth noise on the signed distance."""
    strength = col(b.width * b.uniform(0.2, 0.8))
    return ink_of(b.distance + strength * b.noise(14))


def fused(b: Batch) -> torch.Tensor:
    """Neighbouring strokes run together within a region."""
    y, x = b.point()
    window = _smooth(col(b.uniform(6, 18)) - torch.hypot(b.y - y, b.x - x))
    return torch.maximum(b.ink, window * ink_of(b.distance + col(1.5 + b.width * b.uniform(0.35, 0.8))))


def interrupted(b: Batch) -> torch.Tensor:
    """Two to six gaps in strokes."""
    ink, count = b.ink, b.uniform(2, 7)
    for k in range(6):
        y, x = b.point()
        keep = _smooth(torch.hypot(b.y - y, b.x - x) - col(1.0 + b.width * b.uniform(0.55, 0.95)))
        ink = torch.where(col(count > k + 1), ink * keep, ink)
    return ink


def _stroke(b: Batch) -> torch.Tensor:
    """Return a mask along the stroke at a random place in the ink."""
    core = b.distance > 0.6 * 0.5 * col(b.width)
    y, x = b.point(core.float())
    gy, gx = torch.gradient(b.distance, dim=(1, 2))
    near = torch.exp(-(((b.y - y) ** 2 + (b.x - x) ** 2) / (2 * 3.0**2)))
    yy, xx, xy = ((near * each).sum(dim=(1, 2)) for each in (gy * gy, gx * gx, gy * gx))
    across = 0.5 * torch.atan2(2 * xy, xx - yy)
    length = col(b.uniform(4, 22))
    return ink_of(col(0.5 * b.width + 1.2) - b.capsule(y, x, col(across + 1.5708), length))


def stroke_lost(b: Batch) -> torch.Tensor:
    """A stroke, or a piece of one, is missing."""
    return b.ink * (1 - _stroke(b))


def stroke_moved(b: Batch) -> torch.Tensor:
    """A stroke, or a piece of one, stands elsewhere."""
    mask = _stroke(b)
    angle, far = b.uniform(0, 6.2832), b.uniform(5, 12)
    away = moved(b.ink * mask, col(far * torch.sin(angle)), col(far * torch.cos(angle)))
    return torch.maximum(b.ink * (1 - mask), away)


def faded(b: Batch) -> torch.Tensor:
    """Ink is missing in smooth patches."""
    return b.ink * _smooth(3 * (b.noise(8) + col(b.uniform(-0.2, 1.3))))


def another(b: Batch) -> torch.Tensor:
    """A whole character, but another one."""
    return ink_of(b.distance_of(b.other()))


KINDS: dict[str, Callable[[Batch], torch.Tensor]] = {
    "quarter erased": quarter,
    "box erased": box,
    "part lost": part_lost,
    "part moved": part_moved,
    "part doubled": part_doubled,
    "hole filled": hole_filled,
    "false stroke": stroke_added,
    "half of another": half_of_another,
    "other component": other_component,
    "warped": warped,
    "bent": bent,
    "part shifted": part_shifted,
    "cut through": cut_through,
    "two blended": blended,
    "melted": melted,
    "strokes fused": fused,
    "strokes interrupted": interrupted,
    "stroke lost": stroke_lost,
    "stroke moved": stroke_moved,
    "faded": faded,
    "another character": another,
}


def broken(b: Batch, kind: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Break each drawing in its kind (an index into `KINDS`, -1 for whole).

    Returns the ink, what changed by the ink there was, and whether it can be seen in the drawing.
    """
    ink = b.ink.clone()
    for number, damage in enumerate(KINDS.values()):
        where = (kind == number).nonzero().squeeze(1)
        if len(where):
            ink[where] = damage(b.part(where))
    difference = (ink - b.ink).abs()
    share = difference.sum(dim=(1, 2)) / b.ink.sum(dim=(1, 2)).clamp(min=1)
    largest = F.avg_pool2d(difference[:, None], 5, 1).amax(dim=(1, 2, 3))
    return ink, share, (share >= LEAST) & (largest >= SEEN)
