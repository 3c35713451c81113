"""The packaged network on drawn Chinese characters of fonts and kinds that it was never trained on.

    python benchmarks/glyphs/drawn_glyphs.py --bank bank.xz [--whole 4000] [--kind 160] [--font 150]

`tools/glyph_verifier/glyph_bank.py` draws the bank. Whole and broken characters come from the test of the training
(kept fonts and kept characters; tools/glyph_verifier/), without the embedded model's VAE. The packaged network judges
them at its packaged threshold: by kind, by what the damage changed, by size; and whole ones of each kept font and of
the decorative ones.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "glyph_verifier"))

import torch  # noqa: E402
from glyph_damage import KINDS  # noqa: E402
from glyph_data import Bank, load  # noqa: E402
from glyph_evaluate import STRENGTHS  # noqa: E402
from glyph_examples import Source  # noqa: E402
from glyph_style import SIZES  # noqa: E402

from qiltest.files import write_atomically  # noqa: E402
from qiltest.reading.glyphs.crop import EM, SIDE  # noqa: E402
from qiltest.reading.glyphs.network import Verifier  # noqa: E402
from qiltest.reading.glyphs.references import references  # noqa: E402

BATCH = 256
Numbers = NDArray[np.float32]


def main() -> int:
    """Judge the characters and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--whole", type=int, default=4000)
    parser.add_argument("--kind", type=int, default=160)
    parser.add_argument("--font", type=int, default=150)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "glyphs_drawn.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    verifier = Verifier(threads=1)
    bank = load(args.bank, references(), torch.device("cpu"), halves=("kept", "decorative"), workers=2)
    least = verifier.calibrations["han"].least_height
    source = Source(bank, [bank.chosen("kept", (0,), kept=True)], seed=100)
    whole = judged(verifier, bank, source, args.whole, share=0.0)
    broken = {}
    for number, kind in enumerate(KINDS):
        broken[kind] = judged(verifier, bank, source, args.kind, share=1.0, kind=number)
        print(kind, flagged(broken[kind], least), flush=True)
    faint = {kind: flagged(rows, least) for kind, rows in broken.items()}
    broken = {kind: rows[:, rows[3] > 0] for kind, rows in broken.items()}
    result = {"whole": flagged(whole, least), **tables(whole, broken, least)}
    result["by kind, all that the drawing shows"] = faint
    result["whole by font"] = by_font(verifier, bank, args.font, least)
    write_atomically(args.out, (json.dumps(result, ensure_ascii=False, indent=1) + "\n").encode())
    print(json.dumps(result, ensure_ascii=False, indent=1))
    return 0


def judged(verifier: Verifier, bank: Bank, source: Source, n: int, *, share: float, kind: int | None = None) -> Numbers:
    """Return log-odds, strength of the damage, em square in pixels, and whether the crop shows the damage: (4, m).

    Of n examples those whose drawings show the damage.
    """
    found = []
    for first in range(0, n, BATCH):
        examples = source.draw(min(BATCH, n - first), share=share, kind=kind)
        chars = [bank.characters[k] for k in bank.char[examples.index].tolist()]
        odds = verifier.log_odds(examples.x[:, 0].numpy(), chars)
        rows = np.stack([odds, examples.share.numpy(), examples.em.numpy(), examples.seen.numpy()])
        found.append(rows[:, examples.drawn.numpy()])
    return np.concatenate(found, axis=1).astype(np.float32)


def flagged(rows: Numbers, least: float) -> tuple[int, int]:
    """Return how many of what is large enough are flagged, and how many that is."""
    large = rows[0][rows[2] >= least]
    return int((large > 0).sum()), len(large)


def tables(whole: Numbers, broken: dict[str, Numbers], least: float) -> dict[str, Any]:
    """Return (flagged, of) by kind, by strength of all but another character, and by size (whole, then broken)."""
    every = np.concatenate([rows for kind, rows in broken.items() if kind != "another character"], axis=1)
    strengths = {
        f"{low:.0%} to {high:.0%}": flagged(every[:, (every[1] >= low) & (every[1] < high)], least)
        for low, high in pairwise(STRENGTHS)
    }
    sizes = {}
    for size in SIZES:
        em = size * EM / SIDE
        near = [rows[:, np.abs(rows[2] - em) < 0.1] for rows in (whole, every)]
        sizes[f"{em:.0f} px"] = [*flagged(near[0], 0.0), *flagged(near[1], 0.0)]
    return {
        "all kinds": flagged(every, least),
        "by kind": {kind: flagged(rows, least) for kind, rows in broken.items()},
        "by strength": strengths,
        "by size": sizes,
    }


def by_font(verifier: Verifier, bank: Bank, n: int, least: float) -> dict[str, Any]:
    """Return (flagged, of) of whole characters, by font that was never trained on."""
    found: dict[str, Any] = {}
    for half in ("kept", "decorative"):
        pool = bank.chosen(half, (0,))
        for font in sorted(set(bank.font[pool].tolist())):
            source = Source(bank, [pool[bank.font[pool] == font]], seed=500 + font)
            rows = judged(verifier, bank, source, n, share=0.0)
            found.setdefault(half, {})[bank.fonts[font]] = flagged(rows, least)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
