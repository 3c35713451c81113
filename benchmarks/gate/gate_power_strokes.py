"""How often broken strokes, as a third reason beside texts and rates, reject an equal release, and find a worse one.

    python benchmarks/gate/gate_power_strokes.py [--trials 2000]

Simulated pairs of images, no model: texts whose edits and strokes whose counts vary from image to image more than by
chance alone, because an image is in one style, and change places freely between an old and a new release that are
equal. The same comparison is made with and without the strokes: what docs/reference/gate.md claims of false alarms must
hold for all reasons together. Then a release whose strokes are worse, its texts equal. Writes
benchmarks/results/gate_power_strokes.json; seconds of one core per hundred trials.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from gate_power_rates import rate

from qiltest.comparison.compare import compare
from qiltest.comparison.pairing import Pair, Pairing
from qiltest.comparison.records import Comparison, Release
from qiltest.comparison.strokes import PairedStrokes

FILE = Path(__file__).parents[1] / "results" / "gate_power_strokes.json"
SEED = 20_261
#: resamples of the bootstrap, fewer than the gate's, for time.
RESAMPLES = 999
#: characters of an image's texts, and share of them that are read as expected and judged.
LENGTH, JUDGED = 50, 0.9
#: how much rates vary between images: the shape of a gamma distribution of mean 1; small is uneven.
UNEVEN = 0.5
#: share of characters with broken strokes of a worse release, where the old one has `Setting.broken`.
WORSE = (0.01, 0.02, 0.05, 0.1)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is compared."""

    name: str
    cases: int
    seeds: int
    #: edits per character, and share of characters that are taken for broken.
    edits: float
    broken: float


SETTINGS = (
    Setting(name="10 cases, 4 seeds, few errors", cases=10, seeds=4, edits=0.002, broken=0.005),
    Setting(name="10 cases, 8 seeds, many errors", cases=10, seeds=8, edits=0.02, broken=0.02),
    Setting(name="1 case, 16 seeds, many errors", cases=1, seeds=16, edits=0.02, broken=0.02),
)


def main() -> None:
    """Simulate, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2_000)
    trials = parser.parse_args().trials
    result: dict[str, Any] = {"trials": trials, "seed": SEED, "resamples": RESAMPLES, "settings": {}}
    for setting in SETTINGS:
        rng = np.random.default_rng(SEED)
        result["settings"][setting.name] = {
            "equal": equal(setting, trials, rng),
            "worse": {share: worse(setting, share, trials // 10, rng) for share in WORSE},
        }
        print(setting.name, json.dumps(result["settings"][setting.name], indent=1))
    FILE.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def equal(setting: Setting, trials: int, rng: np.random.Generator) -> dict[str, Any]:
    """Compare equal releases: how often each reason rejects one, with and without the strokes."""
    counts: Counter[str] = Counter()
    for _ in range(trials):
        pairs = tuple(drawn(setting, setting.broken, rng))
        both, texts = judged(pairs), judged(tuple(replace(pair, strokes=None) for pair in pairs))
        counts["texts alone"] += texts.verdict is Release.DO_NOT_SHIP
        counts["texts and strokes"] += both.verdict is Release.DO_NOT_SHIP
        counts["by strokes"] += by_strokes(both)
        counts["by strokes alone"] += by_strokes(both) and len(both.reasons) == 1
    return {name: rate(counts[name], trials) for name in ("texts alone", "texts and strokes", *BY)}


BY = ("by strokes", "by strokes alone")


def worse(setting: Setting, share: float, trials: int, rng: np.random.Generator) -> dict[str, Any]:
    """Compare a release whose strokes are worse: how often it is found by them."""
    return rate(sum(by_strokes(judged(tuple(drawn(setting, share, rng)))) for _ in range(trials)), trials)


def drawn(setting: Setting, share: float, rng: np.random.Generator) -> Iterator[Pair]:
    """Yield pairs; `share` of the new side's characters have broken strokes."""
    for case in range(setting.cases):
        for seed in range(setting.seeds):
            style, size = rng.gamma(UNEVEN, 1 / UNEVEN, 2), round(LENGTH * JUDGED)
            edits = rng.binomial(LENGTH, min(1.0, setting.edits * style[0]), 2)
            before, after = (int(rng.binomial(size, min(1.0, one * style[1]))) for one in (setting.broken, share))
            yield Pair(
                case=f"c{case}", size="9x9", seed=seed, before=int(edits[0]), after=int(edits[1]), length=LENGTH,
                strokes=PairedStrokes(characters=size, before=before, after=after),
            )  # fmt: skip


def judged(pairs: tuple[Pair, ...]) -> Comparison:
    """Return the comparison of pairs."""
    return compare([Pairing(before="old", after="new", pairs=pairs)], resamples=RESAMPLES).comparisons[0]


def by_strokes(found: Comparison) -> bool:
    """Return whether strokes are a reason not to ship."""
    return any(reason.startswith("broken strokes") for reason in found.reasons)


if __name__ == "__main__":
    main()
