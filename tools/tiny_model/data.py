"""Batches of training data: token ids, where every character stands, and the grid of glyph patches of the image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from buckets import buckets
from charset import Charset, charset
from layout import LINE, PLACES, Mode, columns, place
from prompts import LONGEST, NOISY, WRONG, Sample, Writer, style_of
from torch.utils.data import IterableDataset

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
    """Endless batches, each of one bucket's shape, so that nothing is padded or masked.

    `late`, a tensor of one element in shared memory, says how far the training is, from 0 to 1. `only` names the buckets to
    be used, all of them by default.
    """

    def __init__(
        self,
        *,
        seed: int,
        late: torch.Tensor,
        prefix: list[int],
        suffix: list[int],
        ids: dict[str, int],
        rank: int = 0,
        only: frozenset[int] | None = None,
    ) -> None:
        self.seed, self.late, self.rank, self.only = seed, late, rank, only
        self.prefix, self.suffix, self.ids = prefix, suffix, ids
        self.glyphs = Glyphs(charset())
        self.buckets, shares = buckets(BATCH_TOKENS, len(suffix))
        self.early_shares, self.late_shares = np.array(shares).T

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        info = torch.utils.data.get_worker_info()
        worker = info.id if info else 0
        # the same shapes at the same time on every GPU, or the one waits for the other
        shapes, rng = np.random.default_rng([self.seed, worker]), np.random.default_rng([self.seed, worker, self.rank])
        writer = Writer(rng)
        usable = np.array([self.only is None or i in self.only for i in range(len(self.buckets))])
        while True:
            late = float(self.late)
            shares = (self.early_shares * (1 - late) + self.late_shares * late) * usable
            yield self.batch(writer, rng, int(shapes.choice(len(self.buckets), p=shares / shares.sum())))

    def batch(self, writer: Writer, rng: np.random.Generator, number: int) -> dict[str, torch.Tensor]:
        """A batch of the bucket `number`; the number is in it."""
        bucket = self.buckets[number]
        width, height, size, total = bucket.width, bucket.height, bucket.size, bucket.tokens
        # a prompt as long as the pipeline takes is cut there, the template's end with it
        length = LONGEST if total == LONGEST else total - len(self.suffix)
        rows, cols = height // 16, width // 16
        out = self.blank(size, total, rows, cols) | {"style": np.zeros(size, np.int64)}
        for i in range(size):
            sample = writer.sample(length, width, height, bucket.case)
            self.fill(sample, rng, {k: v[i] for k, v in out.items()}, width)
            out["style"][i] = style_of(sample.prompt)
        out["font"] = rng.choice(len(FONTS), size, p=FONTS)
        out["palette"] = rng.integers(0, PALETTES, size)
        return {k: torch.from_numpy(v) for k, v in out.items()} | {"bucket": torch.tensor(number)}

    def blank(self, size: int, total: int, rows: int, cols: int) -> dict[str, np.ndarray]:
        """What `fill` writes, for `size` images of `rows` x `cols` tokens whose prompts have `total` tokens."""
        return {
            "ids": np.zeros((size, len(self.prefix) + total), np.int64),
            **{name: np.full((size, total), -100, np.int64) for name in ("index", "offset", "row", "col")},
            "grid": np.zeros((size, rows, cols), np.int64),
            "line": np.zeros((size, rows), np.int64),
            "right": np.zeros((size, rows), np.int64),
            "room": np.full((size, rows), PLACES, np.int64),
        }

    def fill(self, sample: Sample, rng: np.random.Generator, out: dict[str, np.ndarray], width: int) -> None:
        """Write an image's arrays.

        Of each row of tokens `line` says to which line it belongs (0: to none), `room` how many places that has, `right` its shift.
        """
        tokens = [*self.prefix, *(self.ids[c] for c in sample.prompt), *self.suffix][: len(out["ids"])]
        out["ids"][:] = tokens
        chars = self.glyphs.chars
        kinds = [(t, chars.is_wide(t), s.mode) for s, t in sample.texts]
        placed = place(kinds, width)
        late = float(self.late)
        noisy = rng.random() < (1 - late) * NOISY[0] + late * NOISY[1]
        for k, ((span, text), (_, wide, mode), cells) in enumerate(zip(sample.texts, kinds, placed, strict=True)):
            here = np.arange(span.start, span.stop)
            here = here[here < len(out["index"])]
            n = len(here)
            out["index"][here] = min(k, MAX_INDEX - 1)
            out["offset"][here] = np.minimum(np.arange(n), MAX_OFFSET - 1)
            out["row"][here] = [r for r, _ in cells[:n]]
            out["col"][here] = [c for _, c in cells[:n]]
            ends = {r: c + (2 if wide else 1) for r, c in cells}
            if mode in (Mode.LEFT, Mode.RIGHT):
                self._shift(out, list(ends), columns(width), rng)
            else:
                for row, end in ends.items():
                    self._shift(out, [row], end, rng)
            shown = self._shown(text, wide=wide, rng=rng) if noisy else text
            self._draw(out["grid"], shown, cells, out["right"], wide=wide)

    def _shift(self, out: dict[str, np.ndarray], rows: list[int], end: int, rng: np.random.Generator) -> None:
        """Choose the place of one line that fills `rows`, two rows of tokens each, up to the column `end`; it may have one already."""
        room = min(PLACES, out["grid"].shape[1] - end)
        here = np.concatenate([np.arange(row, row + LINE) for row in rows])
        begun = out["line"][rows[0]]
        out["right"][here] = out["right"][rows[0]] if begun else rng.integers(0, room)
        out["line"][here], out["room"][here] = rows[0] + 1, room

    def _shown(self, text: str, *, wide: bool, rng: np.random.Generator) -> str:
        """The text with `WRONG` of its characters replaced."""
        pool = self.glyphs.chars.wide if wide else self.glyphs.chars.narrow
        wrong = rng.random(len(text)) < WRONG
        return "".join(pool[int(rng.integers(len(pool)))] if w else c for c, w in zip(text, wrong, strict=True))

    def _draw(
        self, grid: np.ndarray, text: str, cells: list[tuple[int, int]], right: np.ndarray, *, wide: bool
    ) -> None:
        first = np.array([self.glyphs.patch(c, wide=wide) if c != " " else 0 for c in text])
        rows, cols = np.array(cells).T
        cols = cols + right[rows]
        blank = first == 0
        for r in range(LINE):
            for c in range(2 if wide else 1):
                grid[rows + r, cols + c] = np.where(blank, 0, first + r * (2 if wide else 1) + c)


def encode_map(tokenizer: object) -> tuple[list[int], list[int], dict[str, int]]:
    """Template ids before and after the prompt, and one id for each character."""
    from tokenizer import PREFIX, SUFFIX

    chars = charset()
    ids = {c: tokenizer(c).input_ids[0] for c in {*chars.wide, *chars.narrow, "\n"}}  # type: ignore[operator]
    return tokenizer(PREFIX).input_ids, tokenizer(SUFFIX).input_ids, ids  # type: ignore[operator]
