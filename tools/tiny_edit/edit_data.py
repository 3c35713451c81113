"""Batches of edits: token ids, what stands where, and the grids of glyph patches before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import edit_paths  # noqa: F401  (makes the next imports work)
import numpy as np
import torch
from charset import charset
from data import FONTS, MAX_OFFSET, Glyphs
from edit_tasks import RESIZE, TAILS, TEMPLATES, Edit, Line, Tasks
from layout import LINE
from torch.utils.data import IterableDataset

#: width, height, tokens of text (the image's words, instruction, template's end), and how often.
#: Multiples of 32 px, none longer than 3.4 times its other side: one token of the vision tower
SHAPES = (
    (256, 128, 72, 1.5), (256, 192, 48, 1), (320, 192, 80, 1), (384, 192, 96, 1.5), (384, 256, 88, 1), (448, 192, 104, 1), (512, 192, 56, 1), (512, 192, 120, 1),
    (512, 256, 96, 1), (256, 128, 96, 1), (256, 192, 88, 1.5), (256, 192, 64, 1), (320, 192, 112, 0.7), (384, 160, 72, 1), (384, 192, 48, 1), (512, 160, 80, 1),
    (512, 192, 72, 1), (512, 256, 136, 0.4), (256, 256, 80, 1), (320, 320, 88, 0.6), (512, 256, 64, 0.6),
)  # fmt: skip
#: so many of them, from the first, are what LoRAs learn from: each more is recorded twice more
DISTILLED = 9
#: image tokens of input and output and text tokens in one batch, before `flow.DRAWS` noise levels are drawn
BATCH_TOKENS = 20_000
#: characters of fill that a prompt may get: more than `SLACK` only where nothing shorter comes in some tries
SLACK, TRIES = 6, 8


@dataclass(frozen=True)
class Bucket:
    width: int
    height: int
    tokens: int
    size: int
    share: float


def buckets(budget: int, shapes: int = len(SHAPES)) -> list[Bucket]:
    some = SHAPES[:shapes]
    total = sum(share for *_, share in some)
    return [Bucket(w, h, t, max(2, budget // (2 * (w * h // 256) + t)), share / total) for w, h, t, share in some]


def characters() -> str:
    """Every character that an instruction may have."""
    chars = charset()
    said = "".join(t for group in (*TEMPLATES.values(), *RESIZE, TAILS) for ts in group for t in ts)
    return "".join({*chars.wide, *chars.narrow, *said, *"“”‘’"} - set("\n"))


class Words:
    """Token ids of instructions within the pipeline's template."""

    def __init__(self, prefix: list[int], picture: list[int], suffix: list[int], ids: dict[str, list[int]]) -> None:
        self.prefix, self.picture, self.suffix, self.ids = prefix, picture, suffix, ids

    def tokens(self, prompt: str) -> list[list[int]]:
        return [self.ids[c] for c in prompt]

    def whole(self, prompt: str) -> list[int]:
        said = [i for ids in self.tokens(prompt) for i in ids]
        return [*self.prefix, *self.picture, *said, *self.suffix]


class EditBatches(IterableDataset[dict[str, torch.Tensor]]):
    """Endless batches, each of one bucket's shape."""

    def __init__(self, *, seed: int, words: Words, budget: int = BATCH_TOKENS, shapes: int = len(SHAPES)) -> None:
        self.seed, self.words = seed, words
        self.glyphs, self.buckets = Glyphs(charset()), buckets(budget, shapes)
        self.shares = np.array([b.share for b in self.buckets])

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        info = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, info.id if info else 0])
        tasks = Tasks(rng, FONTS)
        while True:
            number = int(rng.choice(len(self.buckets), p=self.shares))
            yield self.batch(tasks, number) | {"bucket": torch.tensor(number)}

    def batch(self, tasks: Tasks, number: int) -> dict[str, torch.Tensor]:
        bucket = self.buckets[number]
        out = self.blank(bucket.size, bucket.width, bucket.height, bucket.tokens)
        for i in range(bucket.size):
            edit, fill = self.fitting(tasks, bucket)
            self.fill(edit, edit.prompt + fill, {k: v[i] for k, v in out.items()}, tasks)
            out["style"][i], out["palette"][i], out["font"][i] = edit.style, edit.ground, edit.font
        return {k: torch.from_numpy(v) for k, v in out.items()}

    def fitting(self, tasks: Tasks, bucket: Bucket) -> tuple[Edit, str]:
        """An edit whose prompt has the bucket's length, with what was added to it."""
        room = bucket.tokens - len(self.words.picture) - len(self.words.suffix)
        loosely: tuple[Edit, int] | None = None
        tries, drawn = 0, 0
        while True:
            # a kind stays until it fits, or some kinds would be rare; but short prompts hold few of the longer kinds
            if drawn % 16 == 0:
                kind = tasks.kind()
            drawn += 1
            edit = tasks.edit(bucket.width, bucket.height, kind=kind, length=room)
            if edit is None:
                continue
            tries += 1
            left = room - sum(map(len, self.words.tokens(edit.prompt)))
            if 0 <= left <= SLACK:
                return edit, " " * left
            if left > 0 and (loosely is None or left < loosely[1]):
                loosely = edit, left
            if tries >= TRIES and loosely:
                edit, left = loosely
                return edit, self._filler(tasks, left)

    def _filler(self, tasks: Tasks, left: int) -> str:
        """Spaces, or words that ask for nothing."""
        if tasks.chance(0.5):
            return " " * left
        prose = " " + "".join(
            c for c in tasks.writer.scene(left) if c not in '“”‘’"\n' and len(self.words.ids.get(c, ())) == 1
        )
        return prose[:left] + " " * (left - len(prose[:left]))

    def blank(self, size: int, width: int, height: int, tokens: int) -> dict[str, np.ndarray]:
        rows, cols = height // 16, width // 16
        return {
            "ids": np.zeros((size, len(self.words.prefix) + tokens), np.int64),
            **{name: np.full((size, tokens), -100, np.int64) for name in ("index", "offset", "row", "col")},
            **{name: np.zeros((size, rows, cols), np.int64) for name in ("source", "target")},
            **{name: np.zeros((size, rows), np.int64) for name in ("line", "right")},
            "room": np.ones((size, rows), np.int64),
            **{name: np.zeros(size, np.int64) for name in ("style", "palette", "font")},
        }

    def fill(self, edit: Edit, prompt: str, out: dict[str, np.ndarray], tasks: Tasks) -> None:
        """Write an image's arrays. `target` holds the new text at the first of its places; `right` is the place that it has."""
        out["ids"][:] = self.words.whole(prompt)
        starts = np.cumsum([len(self.words.picture), *map(len, self.words.tokens(prompt))])
        made = None if edit.made is None else edit.after[edit.made]
        for index, (span, line) in enumerate(((edit.old, edit.before[edit.named]), (edit.new, made))):
            if span is None or line is None:
                continue
            here = starts[span[0] : span[1]]
            out["index"][here], out["offset"][here] = index, np.minimum(np.arange(len(here)), MAX_OFFSET - 1)
            out["row"][here], out["col"][here] = line.row, line.col + np.arange(len(here)) * (2 if line.wide else 1)
        for grid, lines in (("source", edit.before), ("target", edit.after)):
            for line in lines:
                self.draw(out[grid], line)
        rows = slice(edit.row, edit.row + LINE)
        out["line"][rows], out["room"][rows], out["right"][rows] = 1, edit.places, tasks.below(edit.places)

    def draw(self, grid: np.ndarray, line: Line) -> None:
        wide = 2 if line.wide else 1
        first = np.array([self.glyphs.patch(c, wide=line.wide) if c != " " else 0 for c in line.text])
        cols = line.col + wide * np.arange(len(line.text))
        for r in range(LINE):
            for c in range(wide):
                grid[line.row + r, cols + c] = np.where(first == 0, 0, first + r * wide + c)
