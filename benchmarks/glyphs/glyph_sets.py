"""What the benchmarks of the glyph check share: judged characters, rates with intervals, measures beside it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qiltest.reading import Line
from qiltest.reading.glyphs.crop import Crop, crops
from qiltest.reading.glyphs.network import Verifier
from qiltest.reading.images import Pixels
from qiltest.reading.quad import Quad

#: measures, each the higher the more broken
MEASURES = ("network", "confidence", "correlation")
Measures = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One character of an image."""

    image: str
    line: int
    index: int
    character: str
    box: Quad
    height: float
    #: by `MEASURES`.
    measures: Measures


def judged(verifier: Verifier, image: Pixels, name: str, lines: Sequence[Line]) -> list[Judged]:
    """Judge every character of a reading that the network has drawings of, however small."""
    found: list[tuple[int, int, Line, Crop]] = []
    for number, line in enumerate(lines):
        for index, crop in enumerate(crops(image, line.box, line.text, line.places)):
            if crop is not None and verifier.references.has(line.text[index]):
                found.append((number, index, line, crop))
    if not found:
        return []
    odds = verifier.log_odds(np.stack([each[3].ink for each in found]), [line.text[k] for _, k, line, _ in found])
    return [
        Judged(
            image=name,
            line=number,
            index=index,
            character=line.text[index],
            box=crop.box,
            height=crop.height,
            measures={
                "network": float(value),
                "confidence": -(line.characters[index] if line.characters else 1.0),
                "correlation": -correlation(crop.ink, verifier.references.drawings(line.text[index])),
            },
        )
        for (number, index, line, crop), value in zip(found, odds, strict=True)
    ]


def correlation(ink: NDArray[np.float32], drawings: NDArray[np.float32], reach: int = 4) -> float:
    """Return the largest correlation of a crop with its drawings, moved by up to `reach` pixels."""
    side = ink.shape[0]
    inner = ink[reach : side - reach, reach : side - reach]
    inner = (inner - inner.mean()) / (inner.std() + 1e-6)
    best = -1.0
    for drawn in drawings:
        for dy in range(0, 2 * reach + 1, 2):
            for dx in range(0, 2 * reach + 1, 2):
                part = drawn[dy : dy + inner.shape[0], dx : dx + inner.shape[1]]
                best = max(best, float(((part - part.mean()) * inner).mean() / (part.std() + 1e-6)))
    return best


def interval(hits: Mapping[str, tuple[int, int]], *, draws: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """Return a rate and its 95 % interval, images drawn anew with all their characters (bootstrap by clusters).

    `hits`: per image (characters that count, characters).
    """
    rows = [row for row in hits.values() if row[1]]
    whole = sum(n for _, n in rows)
    if not whole:
        return (0.0, 0.0, 1.0)
    rng = random.Random(seed)
    rates = []
    for _ in range(draws):
        some = rng.choices(rows, k=len(rows))
        count = sum(n for _, n in some)
        rates.append(sum(k for k, _ in some) / count)
    rates.sort()
    return sum(k for k, _ in rows) / whole, rates[int(0.025 * draws)], rates[int(0.975 * draws) - 1]


def rates(rows: Sequence[Judged], flagged: Callable[[Judged], bool]) -> dict[str, float | int | tuple[float, float]]:
    """Return how many of some characters are flagged, with the interval clustered by image."""
    hits: dict[str, tuple[int, int]] = {}
    for row in rows:
        k, n = hits.get(row.image, (0, 0))
        hits[row.image] = (k + flagged(row), n + 1)
    rate, low, high = interval(hits)
    return {
        "flagged": sum(k for k, _ in hits.values()),
        "of": len(rows),
        "images": len(hits),
        "rate": round(rate, 4),
        "interval": (round(low, 4), round(high, 4)),
    }


def threshold_at(whole: Sequence[Judged], measure: str, share: float) -> float:
    """Return the threshold of a measure that flags at most this share of whole characters."""
    return float(np.quantile([row.measures[measure] for row in whole], 1 - share)) if whole else 0.0
