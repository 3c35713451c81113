"""Rates and distributions for `health.py`: what is found in good images, and of planted faults."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from quality_faults import FAULTS, Pixels
from scipy.stats import binomtest

from qiltest.quality import Fault, Health, examine, symptoms
from qiltest.reading.records import Line

#: What the reader found in each good image.
Lines = dict[str, tuple[Line, ...]]
MEASURES = (
    "noise_fine",
    "noise_coarse",
    "grid_latent",
    "grid_patch",
    "blur",
    "clipped",
    "saturation",
    "spread",
    "halo",
    "specks",
)


def rate(found: int, count: int) -> dict[str, object]:
    """Share with its exact 95 % interval (Clopper and Pearson 1934)."""
    interval = binomtest(found, count).proportion_ci(0.95)
    return {"found": found, "of": count, "low": round(float(interval.low), 4), "high": round(float(interval.high), 4)}


def faults_of(health: Health) -> set[Fault]:
    """Return the faults that an image shows, gating or not."""
    return {symptom.fault for symptom in symptoms(health)}


def good(images: dict[str, Pixels], lines: Lines) -> dict[str, object]:
    """Distributions over good images, and how many of them each fault is found in."""
    healths = {name: examine(pixels).outside(lines[name]) for name, pixels in images.items()}
    alarms = {str(fault): [name for name, health in healths.items() if fault in faults_of(health)] for fault in Fault}
    gating = {name for name, health in healths.items() if any(symptom.gates for symptom in symptoms(health))}
    return {
        "images": len(healths),
        "alarms": {fault: rate(len(names), len(healths)) | {"in": names} for fault, names in alarms.items()},
        "gating": rate(len(gating), len(healths)),
        "distributions": {
            name: _distribution([getattr(health, name) for health in healths.values()]) for name in MEASURES
        },
    }


def planted(name: str, images: dict[str, Pixels], lines: Lines) -> Iterator[dict[str, object]]:
    """Plant every fault at every strength; how often it is found."""
    for fault in FAULTS:
        for strength in fault.strengths:
            found = [
                faults_of(examine(fault.plant(pixels, strength)).outside(lines[image]))
                for image, pixels in images.items()
            ]
            hits = sum(fault.fault in faults for faults in found)
            yield {
                "set": name, "planted": fault.name, "fault": str(fault.fault), "strength": strength,
                "unit": fault.unit,
            } | rate(hits, len(found))  # fmt: skip
            print(f"  {name}: {fault.name} {strength:g} {fault.unit}: {hits} of {len(found)}", flush=True)


def ratios(values: list[float]) -> dict[str, float]:
    """Return least, median and most."""
    return {k: round(float(np.percentile(values, q)), 3) for k, q in (("least", 0), ("median", 50), ("most", 100))}


def _distribution(values: list[float | None]) -> dict[str, float]:
    known = [value for value in values if value is not None]
    quantiles = {"least": 0, "median": 50, "p90": 90, "most": 100}
    return {name: round(float(np.percentile(known, q)), 4) for name, q in quantiles.items()}
