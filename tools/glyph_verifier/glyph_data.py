"""The bank of drawings on the training device: signed distances, parts, reference drawings, look-alikes."""

from __future__ import annotations

import json
import lzma
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from glyph_render import SAME

from qiltest.reading.glyphs.references import References

SCRIPTS = ("han", "kana", "latin", "digit")
#: signed distances are kept in this part of a pixel.
STEP = 8.0


def script_of(char: str) -> int:
    """Return the index into `SCRIPTS`."""
    if "\u3040" <= char <= "\u30ff":
        return 1
    return (3 if char.isdigit() else 2) if char.isascii() else 0


@dataclass
class Bank:
    """All drawings, sorted by half, font and script. Tensors on one device; N drawings of P x P pixels."""

    distance: torch.Tensor  # (N, P, P) int8, in 1 / STEP pixels, positive inside strokes
    parts: torch.Tensor  # (N, P, P) int8: k > 0 the k-th connected part, k < 0 the k-th hole, 0 the ground
    count: torch.Tensor  # (N, 2) number of parts and of holes
    width: torch.Tensor  # (N,) mean width of strokes, pixels
    char: torch.Tensor  # (N,) index into `drawings`
    shape: torch.Tensor  # (N,) the same number for those of `SAME`
    script: torch.Tensor  # (N,)
    group: torch.Tensor  # (N, 2) first drawing and number of those of the same font and script
    alike: torch.Tensor  # (N, 4, K) drawings whose left, right, upper, lower half is most like this one's
    drawings: torch.Tensor  # (C, styles, S, S) reference drawings
    half: list[str]  # per drawing
    font: torch.Tensor  # (N,)
    fonts: list[str]
    characters: list[str]
    kept: torch.Tensor  # (N,) bool: a character that is never trained on

    def chosen(self, half: str, scripts: tuple[int, ...], *, kept: bool | None = None) -> torch.Tensor:
        """Return the indices of the drawings of one half and some scripts."""
        mask = torch.tensor([each == half for each in self.half], device=self.char.device)
        mask &= torch.isin(self.script, torch.tensor(scripts, device=self.char.device))
        if kept is not None:
            mask &= self.kept == kept
        return mask.nonzero().squeeze(1)


def load(
    file: Path,
    references: References,
    device: torch.device,
    *,
    halves: tuple[str, ...] = ("train", "kept", "decorative"),
    most_fonts: int | None = None,
    workers: int = 8,
) -> Bank:
    """Read a bank's file and prepare it (a minute on one core)."""
    head, _, bits = lzma.decompress(file.read_bytes()).partition(b"\n")
    fields = json.loads(head)
    pixels = fields["pixels"]
    packed = np.frombuffer(bits, dtype=np.uint8).reshape(-1, pixels * pixels // 8)
    rows, start = [], 0
    for number, font in enumerate(fields["fonts"]):
        chars = font["characters"]
        for k, char in enumerate(chars):
            if references.has(char) and font["half"] in halves:
                rows.append((font["half"], number, script_of(char), char, start + k))
        start += len(chars)
    if most_fonts is not None:
        rows = [row for row in rows if row[1] % max(1, len(fields["fonts"]) // most_fonts) == 0]
    rows.sort(key=lambda row: (row[0], row[1], row[2], row[3]))
    images = np.unpackbits(packed[[row[4] for row in rows]], axis=-1).reshape(-1, pixels, pixels)
    with ThreadPoolExecutor(workers) as pool:  # OpenCV works without the interpreter's lock
        measured = list(pool.map(_measured, images, chunksize=256))
    characters = sorted({row[3] for row in rows})
    index = {char: k for k, char in enumerate(characters)}
    drawings = torch.from_numpy(np.stack([references.drawings(char) for char in characters])).to(device)
    distance = torch.from_numpy(np.stack([each[0] for each in measured])).to(device)
    group = _groups(rows)
    char = torch.tensor([index[row[3]] for row in rows], device=device)
    first = {char: same[0] for same in SAME for char in same}
    shapes = {char: k for k, char in enumerate(sorted({first.get(char, char) for char in characters}))}
    return Bank(
        distance=distance,
        parts=torch.from_numpy(np.stack([each[1] for each in measured])).to(device),
        count=torch.tensor([each[2:] for each in measured], device=device),
        width=_widths(distance),
        char=char,
        shape=torch.tensor([shapes[first.get(row[3], row[3])] for row in rows], device=device),
        script=torch.tensor([row[2] for row in rows], device=device),
        group=torch.from_numpy(group).to(device),
        alike=_alike(drawings, char, group),
        drawings=drawings,
        half=[row[0] for row in rows],
        font=torch.tensor([row[1] for row in rows], device=device),
        fonts=[f"{Path(font['file']).stem} {font['index']}" for font in fields["fonts"]],
        characters=characters,
        kept=torch.tensor([row[3] in fields["kept"] for row in rows], device=device),
    )


def _measured(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Return signed distances, parts and holes of one drawing, 0 and 1."""
    inside = cv2.distanceTransform(image, cv2.DIST_L2, 5) - 0.5
    outside = cv2.distanceTransform(1 - image, cv2.DIST_L2, 5) - 0.5
    distance = np.clip(np.where(image > 0, inside, -outside) * STEP, -127, 127).astype(np.int8)
    parts, labels = cv2.connectedComponents(image, connectivity=8)
    holes, grounds = cv2.connectedComponents(1 - image, connectivity=4)
    outer = {0, *grounds[0], *grounds[-1], *grounds[:, 0], *grounds[:, -1]}
    inner = [k for k in range(1, holes) if k not in outer][:60]
    result = np.minimum(labels, 60).astype(np.int8)
    numbers = np.zeros(holes, dtype=np.int8)
    numbers[inner] = -1 - np.arange(len(inner))
    holed = numbers[grounds]
    result = np.where(holed < 0, holed, result)
    return distance, result, min(parts - 1, 60), len(inner)


def _widths(distance: torch.Tensor) -> torch.Tensor:
    """Return the mean stroke width of each drawing: twice its area by the length of its edge."""
    found = []
    for some in distance.split(8192):
        edge = ((some > 0) & (some <= STEP)).sum(dim=(1, 2)).clamp(min=1)
        found.append((2 * (some > 0).sum(dim=(1, 2)) / edge).clamp(1.5, 16.0))
    return torch.cat(found).float()


def _groups(rows: list[tuple[str, int, int, str, int]]) -> np.ndarray:
    keys = [row[:3] for row in rows]
    result = np.zeros((len(rows), 2), dtype=np.int64)
    first = 0
    for k in range(1, len(rows) + 1):
        if k == len(rows) or keys[k] != keys[first]:
            result[first:k] = first, k - first
            first = k
    return result


def _alike(drawings: torch.Tensor, char: torch.Tensor, group: np.ndarray, most: int = 4) -> torch.Tensor:
    """Return those of the same font whose half looks most like each drawing's: often the same radical."""
    small = F.avg_pool2d(drawings[:, :1], 2).squeeze(1)
    middle = small.shape[-1] // 2
    halves = [small[:, :, :middle], small[:, :, middle:], small[:, :middle], small[:, middle:]]
    unit = [F.normalize(half.flatten(1) - half.flatten(1).mean(1, keepdim=True), dim=1) for half in halves]
    result = torch.zeros((len(char), 4, most), dtype=torch.long, device=char.device)
    for first, count in {tuple(row) for row in group.tolist()}:
        some = slice(first, first + count)
        for side, features in enumerate(unit):
            mine = features[char[some]]
            near = mine @ mine.T
            near.fill_diagonal_(-1)
            found = (
                near.topk(min(most, max(count - 1, 1)), dim=1).indices if count > 1 else near.argmin(1, keepdim=True)
            )
            result[some, side] = first + found[:, torch.arange(most) % found.shape[1]]
    return result
