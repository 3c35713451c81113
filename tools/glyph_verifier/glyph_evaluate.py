"""Measure the network on drawn characters of fonts and kinds that it never saw.

Thresholds are taken from one half of the whole characters, false alarms from the other. Everything is by script: each
has a budget of its own. A broken character counts where it can be seen in the crop (glyph_examples.VISIBLE); what would
be found of all that can be seen in the large drawing, however small and blurred the crop is, is told beside it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from glyph_damage import KINDS
from glyph_data import SCRIPTS, Bank
from glyph_examples import Source
from glyph_net import Net
from glyph_style import SIZES

#: share of whole characters that may be flagged: the budget of the calibration first.
BUDGETS = (0.001, 0.0003)
#: what a damage changed by the ink there was: borders of the table by strength.
STRENGTHS = (0.03, 0.06, 0.12, 0.25, 0.5, 9.0)
WHOLE, OF_KIND, OF_SIZE, BATCH = 200_000, 6_000, 12_000, 8192
#: windows of at least this many pixels are what the tables by kind are about: em squares of 18 pixels and more.
LARGE = 22
Scores = np.ndarray


class Judge:
    """A network's outputs on examples of a source."""

    def __init__(self, net: Net) -> None:
        self._net = net.eval()

    @torch.no_grad()
    def scores(
        self, source: Source, n: int, *, share: float, kind: int | None = None, size: int | None = None
    ) -> dict[str, np.ndarray]:
        """Return outputs, strengths, sizes and more of at most n examples whose damage can be seen in the drawing;
        `seen`: in the crop too.
        """
        found: dict[str, list[torch.Tensor]] = {}
        while n > 0:
            some = min(n, BATCH)
            examples = source.draw(some, share=share, kind=kind, size=size)
            values = {"score": self._net(examples.x).float(), "seen": examples.seen}
            values |= {name: getattr(examples, name) for name in ("share", "em", "kind", "index", "visible")}
            for name, each in values.items():
                found.setdefault(name, []).append(each[examples.drawn])
            n -= some
        return {name: torch.cat(values).cpu().numpy() for name, values in found.items()}


def evaluate(
    net: Net, bank: Bank, vae: object, log: Callable[[str], None], *, share: float = 1.0, file: Path
) -> dict[str, Any]:
    """Return all tables, and the calibration of each script; `file` is written after each part."""
    begin = time.monotonic()
    judge = Judge(net)
    calibration: dict[str, Any] = {}
    result: dict[str, Any] = {"budgets": BUDGETS, "strengths": STRENGTHS, "least window": LARGE}
    result["calibration"] = calibration

    def save() -> None:
        result["seconds"] = round(time.monotonic() - begin, 1)
        file.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")

    for number, script in enumerate(SCRIPTS):
        pool = bank.chosen("kept", (number,), kept=True if number < 2 else None)
        if len(pool) < 50:
            continue
        source = Source(bank, [pool], seed=100 + number, vae=vae)
        tables = by_script(judge, source, int(WHOLE * share * (1.0 if number == 0 else 0.4)), int(OF_KIND * share))
        result[script] = tables
        calibration[script] = tables.pop("calibration")
        save()
        log(f"{script}: {tables['false alarms']} { ({k: v[0] for k, v in tables['kinds'].items()}) }")
        result[script]["by size"] = by_size(judge, source, tables["thresholds"][0], int(OF_SIZE * share))
        save()
        log(f"{script} by size: {result[script]['by size']}")
    others(judge, bank, vae, result, int(OF_SIZE * share))
    save()
    log(f"others: {result['other sets']}")
    return result


def by_script(judge: Judge, source: Source, whole: int, of_kind: int) -> dict[str, Any]:
    """Return thresholds, false alarms, and what is found of each kind and strength, of windows from `LARGE` on."""
    good = judge.scores(source, whole, share=0.0)
    score = good["score"][good["em"] >= LARGE * 40 / 48 - 0.01]
    half = len(score) // 2
    thresholds = [float(np.quantile(score[:half], 1 - budget)) for budget in BUDGETS]
    alarms = [float((score[half:] > each).mean()) for each in thresholds]
    kinds: dict[str, list[float]] = {}
    faint: dict[str, list[float]] = {}
    strengths: dict[str, dict[str, list[float]]] = {}
    every = []
    for number, kind in enumerate(KINDS):
        bad = judge.scores(source, of_kind, share=1.0, kind=number)
        large = bad["em"] >= LARGE * 40 / 48 - 0.01
        faint[kind] = _found(bad["score"][large], thresholds)
        large &= bad["seen"]
        values, strength = bad["score"][large], bad["share"][large]
        every.append(values)
        kinds[kind] = _found(values, thresholds)
        strengths[kind] = {}
        for low, high in pairwise(STRENGTHS):
            some = values[(strength >= low) & (strength < high)]
            if len(some) >= 30:
                strengths[kind][f"{low}-{high}"] = [
                    round(float((some > thresholds[0]).mean()), 4),
                    len(some),
                ]
    scale = slope(score, np.concatenate(every))
    return {
        "whole": len(score),
        "thresholds": thresholds,
        "false alarms": alarms,
        "kinds": kinds,
        "kinds, all that the drawing shows": faint,
        "by strength": strengths,
        "calibration": {"scale": scale, "offset": -scale * thresholds[0], "least_height": 16.0},
    }


def _found(values: Scores, thresholds: list[float]) -> list[float]:
    """Return the shares above each threshold, and of how many."""
    shares = [round(float((values > each).mean()), 4) if len(values) else 0.0 for each in thresholds]
    return [*shares, len(values)]


def slope(whole: Scores, broken: Scores) -> float:
    """Return the factor that makes outputs log-odds: of a logistic regression on as many whole as broken (Platt 1999)."""
    n = min(len(whole), len(broken))
    rng = np.random.default_rng(0)
    x = torch.tensor(np.concatenate([rng.permutation(whole)[:n], rng.permutation(broken)[:n]]), dtype=torch.float64)
    y = torch.cat([torch.zeros(n), torch.ones(n)]).double()
    line = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([line], max_iter=50)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(line[0] * x + line[1], y)
        loss.backward()
        return loss

    optimiser.step(closure)
    return float(np.clip(line[0].item(), 0.2, 5.0))


def by_size(judge: Judge, source: Source, threshold: float, n: int) -> dict[str, list[float]]:
    """Return false alarms, what is found at one threshold, and the share that crops show, by the em square's pixels."""
    found = {}
    for size in SIZES:
        good = judge.scores(source, n, share=0.0, size=size)["score"]
        broken = judge.scores(source, n, share=1.0, size=size)
        bad = broken["score"][broken["seen"]]
        found[f"{size * 40 / 48:.0f} px"] = [
            round(float((good > threshold).mean()), 5),
            round(float((bad > threshold).mean()), 4),
            round(float(broken["seen"].mean()), 4),
        ]
    return found


def others(judge: Judge, bank: Bank, vae: object, result: dict[str, Any], n: int) -> None:
    """Add how many whole characters are flagged by font, of kept and of decorative fonts, and of trained ones."""
    found: dict[str, Any] = {}
    result["other sets"] = found
    for half in ("kept", "decorative"):
        for number, script in ((0, "han"), (2, "latin")):
            if script not in result:
                continue
            pool = bank.chosen(half, (number,))
            for font in bank.font[pool].unique().tolist():
                some = pool[bank.font[pool] == font]
                rate = _flagged(judge, Source(bank, [some], seed=500 + font, vae=vae), result[script], max(20, n // 3))
                found.setdefault(f"{half} {script}", {})[bank.fonts[font]] = rate
    if "han" in result:
        trained = Source(bank, [bank.chosen("train", (0,), kept=False)], seed=900, vae=vae)
        found["trained fonts and characters, Chinese"] = _flagged(judge, trained, result["han"], n * 3)
        new = Source(bank, [bank.chosen("kept", (0,), kept=False)], seed=901, vae=vae)
        found["kept fonts, trained characters, Chinese"] = _flagged(judge, new, result["han"], n * 3)


def _flagged(judge: Judge, source: Source, tables: dict[str, Any], n: int) -> float:
    scores = judge.scores(source, n, share=0.0)
    large = scores["em"] >= LARGE * 40 / 48 - 0.01
    return round(float((scores["score"][large] > tables["thresholds"][0]).mean()), 5)
