"""Batches of training data: token ids, where every character stands, and the grid of glyph patches of the picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from charset import Charset, case_prompts, case_sizes, charset
from layout import MARGIN, place
from prompts import LONGEST, NOISY, SUFFIXES, WRONG, Sample, Writer, style_of
from torch.utils.data import IterableDataset

#: (width, height) of the case files' pictures and some others, with weights for the early and the late part of the training
CANVASES = (
    ((256, 128), 3, 1.5), ((512, 128), 4, 2.5), ((256, 192), 3, 1.5), ((512, 192), 2, 1.5), ((384, 128), 3, 1), ((320, 192), 3, 1),
    ((256, 256), 1, 1.2), ((512, 336), 1, 1.2), ((256, 416), 0.6, 1.4), ((256, 448), 0.5, 1.2), ((352, 352), 0.5, 1.2),
    ((768, 272), 0.3, 1.4), ((512, 448), 0.1, 1.4), ((320, 1152), 0, 1.6), ((768, 512), 0, 0.1), ((512, 768), 0, 0.1),
)  # fmt: skip
#: share of canvases of any other size, and their largest area early and late in pixels
ANY_SIZE, AREAS = 0.45, (512 * 256, 512 * 512)
#: share of batches of the case files' own prompts and sizes, early and late
OF_CASES = (0.15, 0.35)
#: prompt lengths in characters, with weights early and late
LENGTHS = ((64, 4, 2), (112, 4, 2.5), (192, 3, 2.5), (320, 1.5, 2), (512, 0.5, 1.5), (720, 0.2, 1.2), (1024, 0, 0.6))
FONTS = (0.75, 0.25)
PALETTES = 3
MAX_OFFSET, MAX_INDEX, MAX_TOKENS = 192, 32, LONGEST
#: image and text tokens in one batch: keeps the time of a step even
BATCH_TOKENS = 50_000


@dataclass
class Glyphs:
    """Numbers of glyphs and of their 16 x 16 px patches. Glyph 0 and patch 0 are blank."""

    chars: Charset

    def __post_init__(self) -> None:
        self.narrow = {c: i for i, c in enumerate(self.chars.narrow)}
        self.wide = {c: i for i, c in enumerate(self.chars.wide)}
        self.count = 1 + len(self.narrow) + len(self.wide)
        self.patches = 1 + 2 * len(self.narrow) + 4 * len(self.wide)

    def patch(self, char: str, *, wide: bool) -> int:
        """Number of the glyph's first patch (top left); the others follow row by row."""
        if wide:
            return 1 + 2 * len(self.narrow) + 4 * self.wide[char]
        return 1 + 2 * self.narrow[char]

    def glyph_of_patch(self) -> np.ndarray:
        narrow = 1 + np.repeat(np.arange(len(self.narrow)), 2)
        wide = 1 + len(self.narrow) + np.repeat(np.arange(len(self.wide)), 4)
        return np.concatenate([[0], narrow, wide])


class Batches(IterableDataset[dict[str, torch.Tensor]]):
    """Endless batches; each has one canvas and one prompt length, so that nothing is padded or masked."""

    def __init__(self, *, seed: int, late: float, prefix: list[int], suffix: list[int], ids: dict[str, int]) -> None:
        self.seed, self.late = seed, late
        self.prefix, self.suffix, self.ids = prefix, suffix, ids
        self.glyphs = Glyphs(charset())
        prompts, sizes = case_prompts(), case_sizes()
        self.cases = [(i, prompts[c], size) for i, c in enumerate(prompts) for size in sizes[c]]
        # a large picture has few companions in its batch: it comes the more often
        tokens = np.array([len(p) + w * h // 256 for _, p, (w, h) in self.cases]) ** 0.5
        self.cases_weights = tokens / tokens.sum()

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        info = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, info.id if info else 0])
        writer = Writer(rng)
        while True:
            yield self.batch(writer, rng)

    def _weights(self, table: tuple[tuple[object, float, float], ...]) -> np.ndarray:
        weights = np.array([a * (1 - self.late) + b * self.late for _, a, b in table])
        return weights / weights.sum()

    def batch(self, writer: Writer, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        if rng.random() < OF_CASES[0] * (1 - self.late) + OF_CASES[1] * self.late:
            return self._of_case(writer, rng)
        (width, height), *_ = CANVASES[rng.choice(len(CANVASES), p=self._weights(CANVASES))]
        if rng.random() < ANY_SIZE:
            width, height = self._any_size(rng)
        length, *_ = LENGTHS[rng.choice(len(LENGTHS), p=self._weights(LENGTHS))]
        if length != LONGEST or rng.random() < 0.4:
            length -= int(rng.integers(0, length // 4)) // 8 * 8
        size = max(2, BATCH_TOKENS // (width * height // 256 + length))
        return self.make(writer, rng, width, height, length, size)

    def _of_case(self, writer: Writer, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """One case's prompt, mostly with other texts, at a size at which the suite draws it."""
        which = int(rng.choice(len(self.cases), p=self.cases_weights))
        prompt, (width, height) = self.cases[which][1:]
        length = min(LONGEST, len(prompt) + len(SUFFIXES[0]) + int(rng.integers(0, 4)) * 8)
        size = max(2, BATCH_TOKENS // (width * height // 256 + length))
        return self.make(writer, rng, width, height, length, size, self.cases[which][0])

    def _any_size(self, rng: np.random.Generator) -> tuple[int, int]:
        most = AREAS[0] * (1 - self.late) + AREAS[1] * self.late
        while True:
            width, height = 16 * int(rng.integers(16, 49)), 16 * int(8 * 6 ** rng.random())
            if width * height <= most * rng.random():
                return width, height

    def make(
        self,
        writer: Writer,
        rng: np.random.Generator,
        width: int,
        height: int,
        length: int,
        size: int,
        which: int | None = None,
    ) -> dict[str, torch.Tensor]:
        total = min(length + len(self.suffix), MAX_TOKENS)
        rows, cols = height // 16, width // 16
        out = {
            "ids": np.zeros((size, len(self.prefix) + total), np.int64),
            "index": np.full((size, total), -100, np.int64),
            "offset": np.full((size, total), -100, np.int64),
            "row": np.full((size, total), -100, np.int64),
            "col": np.full((size, total), -100, np.int64),
            "grid": np.zeros((size, rows, cols), np.int64),
            "style": np.zeros(size, np.int64),
        }
        for i in range(size):
            sample = writer.sample(length, width, height, which)
            self.fill(sample, rng, {k: v[i] for k, v in out.items()}, width)
            out["style"][i] = style_of(sample.prompt)
        out["font"] = rng.choice(len(FONTS), size, p=FONTS)
        out["palette"] = rng.integers(0, PALETTES, size)
        return {k: torch.from_numpy(v) for k, v in out.items()}

    def fill(self, sample: Sample, rng: np.random.Generator, out: dict[str, np.ndarray], width: int) -> None:
        tokens = [*self.prefix, *(self.ids[c] for c in sample.prompt), *self.suffix][: len(out["ids"])]
        out["ids"][:] = tokens
        chars = self.glyphs.chars
        kinds = [(t, chars.is_wide(t), s.mode) for s, t in sample.texts]
        placed = place(kinds, width)
        used = max((r for cells in placed for r, _ in cells), default=0) + 2
        down = right = int(rng.integers(0, min(1, MARGIN, len(out["grid"]) - used) + 1))
        noisy = rng.random() < NOISY
        for k, ((span, text), (_, wide, _), cells) in enumerate(zip(sample.texts, kinds, placed, strict=True)):
            here = np.arange(span.start, span.stop)
            here = here[here < len(out["index"])]
            n = len(here)
            out["index"][here] = min(k, MAX_INDEX - 1)
            out["offset"][here] = np.minimum(np.arange(n), MAX_OFFSET - 1)
            out["row"][here] = [r for r, _ in cells[:n]]
            out["col"][here] = [c for _, c in cells[:n]]
            shown = self._shown(text, wide=wide, rng=rng) if noisy else text
            self._draw(out["grid"], shown, cells, wide=wide, down=down, right=right)

    def _shown(self, text: str, *, wide: bool, rng: np.random.Generator) -> str:
        """The text with `WRONG` of its characters replaced."""
        pool = self.glyphs.chars.wide if wide else self.glyphs.chars.narrow
        wrong = rng.random(len(text)) < WRONG
        return "".join(pool[int(rng.integers(len(pool)))] if w else c for c, w in zip(text, wrong, strict=True))

    def _draw(
        self, grid: np.ndarray, text: str, cells: list[tuple[int, int]], *, wide: bool, down: int, right: int
    ) -> None:
        first = np.array([self.glyphs.patch(c, wide=wide) if c != " " else 0 for c in text])
        at = np.array(cells) + [down, right]
        blank = first == 0
        for r in range(2):
            for c in range(2 if wide else 1):
                grid[at[:, 0] + r, at[:, 1] + c] = np.where(blank, 0, first + r * (2 if wide else 1) + c)


def encode_map(tokenizer: object) -> tuple[list[int], list[int], dict[str, int]]:
    """Template ids before and after the prompt, and one id for each character."""
    from tokenizer import PREFIX, SUFFIX

    chars = charset()
    ids = {c: tokenizer(c).input_ids[0] for c in {*chars.wide, *chars.narrow, "\n"}}  # type: ignore[operator]
    return tokenizer(PREFIX).input_ids, tokenizer(SUFFIX).input_ids, ids  # type: ignore[operator]
