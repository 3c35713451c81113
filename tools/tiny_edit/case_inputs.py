"""Draw the input images of the embedded model's edit cases from the fonts, as its training images are drawn.

python tools/tiny_edit/case_inputs.py cases/edit/inputs --atlas checkpoints/atlas.npz
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import edit_paths  # noqa: F401  (makes the next imports work)
import numpy as np
import torch
from charset import charset
from data import Glyphs
from edit_data import EditBatches, Words
from edit_tasks import Line
from image import Painter
from layout import LINE
from PIL import Image

from qiltest.arguments import existing_file


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """An image of lines below each other: style (`prompts.STYLES`), palette, font, and each text with its column of tokens."""

    width: int
    height: int
    style: int
    palette: int
    font: int
    lines: tuple[tuple[str, int], ...]


INPUTS = {
    "menu": Drawn(width=256, height=192, style=3, palette=1, font=0, lines=(("Coffee 4.50", 1), ("Tea 3.20", 0), ("Cake 5.10", 2))),
    "notice": Drawn(width=256, height=192, style=1, palette=0, font=0, lines=(("图书馆", 1), ("开放时间", 0))),
}  # fmt: skip


def draw(drawn: Drawn, painter: Painter, batches: EditBatches) -> Image.Image:
    grid = np.zeros((drawn.height // 16, drawn.width // 16), np.int64)
    for number, (text, col) in enumerate(drawn.lines):
        wide = batches.glyphs.chars.is_wide(text)
        # a row of tokens between the lines: added text finds two free rows below the last
        batches.draw(grid, Line(text=text, wide=wide, row=(LINE + 1) * number + 1, col=col))
    looks = {"style": drawn.style, "palette": drawn.palette, "font": drawn.font}
    image = painter({"grid": torch.from_numpy(grid)[None]} | {k: torch.tensor([v]) for k, v in looks.items()})
    return Image.fromarray(((image[0].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--atlas", type=existing_file, required=True, help="what tools/tiny_model/glyphs.py wrote")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    painter = Painter(args.atlas, Glyphs(charset()), "cpu")
    batches = EditBatches(seed=0, words=Words([], [], [], {}))
    for name, drawn in INPUTS.items():
        draw(drawn, painter, batches).save(args.folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
