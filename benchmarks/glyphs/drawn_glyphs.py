"""The packaged network on drawn Chinese characters of fonts and kinds that it was never trained on.

    python benchmarks/glyphs/drawn_glyphs.py --bank bank.xz [--whole 4000] [--kind 160] [--font 150] [--other FOLDER]

`tools/glyph_verifier/glyph_bank.py` draws the bank. Whole and broken characters come from the test of the training
(kept fonts and kept characters; tools/glyph_verifier/), without the embedded model's VAE. The packaged network judges
them at its packaged threshold: by kind, by what the damage changed, by size; and whole ones of each kept font and of
the decorative ones. Then by how rough the writing is (`ROUGH`): also at thresholds of each way's own, which one half of
its whole characters gives at 0.1 %, with the false alarms of the other half.

`--other`: a folder with another glyphs.onnx and references.xz, judged beside it on the same drawings.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
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

from qiltest.arguments import existing_file, existing_folder  # noqa: E402
from qiltest.files import write_atomically  # noqa: E402
from qiltest.reading.glyphs.crop import EM, SIDE  # noqa: E402
from qiltest.reading.glyphs.network import Verifier  # noqa: E402
from qiltest.reading.glyphs.references import references  # noqa: E402

BATCH = 256
#: the share of whole characters that may be flagged where a way of writing has a threshold of its own.
BUDGET = 0.001
#: how rough writing is: plain black on white and well placed; placed and photographed as all, written as print is; all
#: ways of training, among them chalk, stencil, hollow, neon, worn paint.
ROUGH: dict[str, dict[str, bool]] = {"plain": {"calm": True}, "mild": {"mild": True}, "all": {}}
#: of what is judged: strength of the damage, em square in pixels, whether the crop shows the damage; then log-odds, a
#: row per network.
SHARE, PIXELS, SEEN, ODDS = range(4)
Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class Drawn:
    """What draws the characters, and the networks that judge them: the packaged one first."""

    bank: Bank
    verifiers: Sequence[Verifier]

    def judged(self, source: Source, n: int, *, kind: int | None = None, rough: str = "all") -> Numbers:
        """Return rows as `ODDS` has them, of n whole characters, or of n of a kind of damage those that show it."""
        found = []
        for first in range(0, n, BATCH):
            share = 0.0 if kind is None else 1.0
            examples = source.draw(min(BATCH, n - first), share=share, kind=kind, **ROUGH[rough])
            chars = [self.bank.characters[k] for k in self.bank.char[examples.index].tolist()]
            crops = examples.x[:, 0].numpy()
            rows = [each.numpy() for each in (examples.share, examples.em, examples.seen)]
            rows += [each.log_odds(crops, chars) for each in self.verifiers]
            found.append(np.stack(rows)[:, examples.drawn.numpy()])
        return np.concatenate(found, axis=1).astype(np.float32)


def main() -> int:
    """Judge the characters and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--bank", type=existing_file, required=True, help="what tools/glyph_verifier/glyph_bank.py wrote"
    )
    parser.add_argument("--whole", type=int, default=4000)
    parser.add_argument("--kind", type=int, default=160)
    parser.add_argument("--font", type=int, default=150)
    parser.add_argument("--other", type=existing_folder, help="a folder with another network and its drawings")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "glyphs_drawn.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    verifiers = [Verifier(threads=1)]
    if args.other is not None:
        other = {"weights": args.other / "glyphs.onnx", "drawings": args.other / "references.xz"}
        verifiers.append(Verifier(threads=1, **other))
    bank = load(args.bank, references(), torch.device("cpu"), halves=("kept", "decorative"), workers=2)
    drawn = Drawn(bank, verifiers)
    sets = {rough: characters(drawn, args.whole, args.kind, rough) for rough in ROUGH}
    fonts = by_font(drawn, args.font)
    results = []
    for row, verifier in enumerate(verifiers, start=ODDS):
        least = verifier.calibrations["han"].least_height
        result = {"network": verifier.fingerprint, **tables(*sets["all"], least, row)}
        result["by how rough"] = {rough: roughness(*each, least, row) for rough, each in sets.items()}
        result["whole by font"] = {
            half: {font: flagged(rows, least, row) for font, rows in found.items()} for half, found in fonts.items()
        }
        results.append(result)
    result = results[0] if len(results) == 1 else {**results[0], "other": results[1]}
    write_atomically(args.out, (json.dumps(result, ensure_ascii=False, indent=1) + "\n").encode())
    print(json.dumps(result, ensure_ascii=False, indent=1))
    return 0


def characters(drawn: Drawn, whole: int, kind: int, rough: str) -> tuple[Numbers, dict[str, Numbers]]:
    """Return whole characters, and those of each kind of damage, of kept fonts and characters."""
    source = Source(drawn.bank, [drawn.bank.chosen("kept", (0,), kept=True)], seed=100)
    good = drawn.judged(source, whole, rough=rough)
    broken = {}
    for number, name in enumerate(KINDS):
        broken[name] = drawn.judged(source, kind, kind=number, rough=rough)
        print(rough, name, flagged(broken[name], 0.0), flush=True)
    return good, broken


def flagged(rows: Numbers, least: float, row: int = ODDS, limit: float = 0.0) -> tuple[int, int]:
    """Return how many of what is large enough are flagged, and how many that is."""
    large = rows[row][rows[PIXELS] >= least]
    return int((large > limit).sum()), len(large)


def seen(broken: dict[str, Numbers]) -> dict[str, Numbers]:
    """Return those whose damage the crop shows."""
    return {kind: rows[:, rows[SEEN] > 0] for kind, rows in broken.items()}


def damaged(broken: dict[str, Numbers]) -> Numbers:
    """Return all of them but whole characters where another one is meant."""
    return np.concatenate([rows for kind, rows in broken.items() if kind != "another character"], axis=1)


def tables(whole: Numbers, drawn: dict[str, Numbers], least: float, row: int) -> dict[str, Any]:
    """Return (flagged, of) by kind, by strength of all but another character, and by size (whole, then broken)."""
    broken = seen(drawn)
    every = damaged(broken)
    strengths = {
        f"{low:.0%} to {high:.0%}": flagged(every[:, (every[SHARE] >= low) & (every[SHARE] < high)], least, row)
        for low, high in pairwise(STRENGTHS)
    }
    sizes = {}
    for size in SIZES:
        em = size * EM / SIDE
        near = [rows[:, np.abs(rows[PIXELS] - em) < 0.1] for rows in (whole, every)]
        sizes[f"{em:.0f} px"] = [*flagged(near[0], 0.0, row), *flagged(near[1], 0.0, row)]
    return {
        "whole": flagged(whole, least, row),
        "all kinds": flagged(every, least, row),
        "by kind": {kind: flagged(rows, least, row) for kind, rows in broken.items()},
        "by kind, all that the drawing shows": {kind: flagged(rows, least, row) for kind, rows in drawn.items()},
        "by strength": strengths,
        "by size": sizes,
    }


def roughness(whole: Numbers, drawn: dict[str, Numbers], least: float, row: int) -> dict[str, Any]:
    """Return (flagged, of) at the packaged threshold, and at one of this way of writing's own."""
    broken = seen(drawn)
    limit = float(np.quantile(whole[:, ::2][row][whole[PIXELS, ::2] >= least], 1 - BUDGET))
    return {
        "at the packaged threshold": {
            "whole": flagged(whole, least, row),
            "broken": flagged(damaged(broken), least, row),
        },
        "at its own threshold": {
            "threshold": round(limit, 2),
            "whole, other half": flagged(whole[:, 1::2], least, row, limit),
            "broken": flagged(damaged(broken), least, row, limit),
            "by kind": {kind: flagged(rows, least, row, limit) for kind, rows in broken.items()},
        },
    }


def by_font(drawn: Drawn, n: int) -> dict[str, dict[str, Numbers]]:
    """Return n whole characters of each font that was never trained on, as they are judged."""
    bank = drawn.bank
    found: dict[str, dict[str, Numbers]] = {}
    for half in ("kept", "decorative"):
        pool = bank.chosen(half, (0,))
        for font in sorted(set(bank.font[pool].tolist())):
            source = Source(bank, [pool[bank.font[pool] == font]], seed=500 + font)
            found.setdefault(half, {})[bank.fonts[font]] = drawn.judged(source, n)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
