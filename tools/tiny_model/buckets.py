"""The shapes of training batches: a fixed few, so that each is compiled and recorded as a CUDA graph once.

With a new shape in every batch a step took twice as long (kernels chosen and memory cut again each time). Prompts and batches
are multiples of 8, so that few compilations serve them all.
"""

from __future__ import annotations

from dataclasses import dataclass

from charset import case_prompts, case_sizes
from prompts import LONGEST, SUFFIXES

#: width, height, prompt tokens, and how often early and late in the training, for random prompts
RANDOM = (
    (256, 128, 72, 4, 1.5), (256, 128, 120, 3, 2), (256, 192, 104, 3, 1.5), (256, 192, 312, 2, 2.5), (512, 128, 72, 4, 2),
    (512, 128, 320, 2, 2), (512, 192, 136, 2, 1.5), (384, 128, 96, 3, 1.5), (288, 160, 88, 3, 1), (448, 160, 176, 2, 1),
    (640, 128, 112, 2, 1.5), (768, 128, 208, 2, 1.5), (256, 256, 152, 2, 1.5), (320, 320, 280, 1, 1.5), (256, 448, 504, 0.4, 1.5),
    (512, 256, 264, 0.5, 1.5), (768, 224, 720, 0.1, 1.5), (512, 448, 248, 0.2, 1.5), (416, 640, 480, 0, 1), (320, 768, 560, 0.1, 1),
    (768, 512, 296, 0, 1), (512, 768, 640, 0, 1), (384, 256, 1024, 0, 1),
)  # fmt: skip
#: share of batches of the case files' own prompts and sizes, early and late
OF_CASES = (0.15, 0.3)
#: those of `RANDOM` that the LoRAs learn from, besides the case files': each more is recorded twice more
DISTILLED = (1, 3, 4, 5, 9, 11, 12, 15)


@dataclass(frozen=True)
class Bucket:
    """Batches of one shape: `size` images of `width` x `height` px with `tokens` prompt tokens, suffix included."""

    width: int
    height: int
    tokens: int
    size: int
    early: float
    late: float
    #: number of the case whose prompt it shows, or None
    case: int | None = None


def _size(width: int, height: int, tokens: int, budget: int) -> int:
    return max(8, budget // (width * height // 256 + tokens) // 8 * 8)


def _of_cases(budget: int, suffix: int) -> list[Bucket]:
    prompts, sizes = case_prompts(), case_sizes()
    found = []
    for number, (name, prompt) in enumerate(prompts.items()):
        # some room after the prompt, filled with a few more words
        tokens = min(LONGEST, (len(prompt) + len(SUFFIXES[0]) + suffix + 15) // 8 * 8)
        for width, height in sizes[name]:
            # a large image has few companions in its batch: it comes the more often
            often = (width * height // 256 + tokens) ** 0.5
            found.append(Bucket(width, height, tokens, _size(width, height, tokens, budget), often, often, number))
    return found


def buckets(budget: int, suffix: int) -> tuple[list[Bucket], list[tuple[float, float]]]:
    """All buckets for batches of about `budget` image and text tokens, and their shares early and late (each adds up to 1)."""
    own = _of_cases(budget, suffix)
    others = [Bucket(w, h, t, _size(w, h, t, budget), a, b) for w, h, t, a, b in RANDOM]
    assert all(b.tokens % 8 == 0 and b.size % 8 == 0 for b in own + others)
    shares = []
    for group, part in ((own, OF_CASES), (others, tuple(1 - p for p in OF_CASES))):
        early, late = sum(b.early for b in group), sum(b.late for b in group)
        shares += [(part[0] * b.early / early, part[1] * b.late / late) for b in group]
    return own + others, shares


def distilled(budget: int, suffix: int) -> frozenset[int]:
    """Numbers of the buckets that the LoRAs learn from."""
    own = len(_of_cases(budget, suffix))
    return frozenset(range(own)) | {own + i for i in DISTILLED}
