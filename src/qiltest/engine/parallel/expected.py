"""How long images took in earlier runs, by the history of runs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from statistics import median

from qiltest.errors import StoreError
from qiltest.runs.history import read
from qiltest.suite.selection import Sample

#: bytes of the history that count, those of about 300 runs of the suite.
_LAST = 16 << 20
#: case with its size, and variant: images of one kind take equally long.
Kind = tuple[str, str]


def kind_of(sample: Sample) -> Kind:
    """Return a sample's kind."""
    return f"{sample.case}@{sample.size}", sample.variant


def known_seconds(history: Path) -> dict[Kind, float]:
    """Return the median seconds of each kind of image in the history; nothing where it cannot be read."""
    found: dict[Kind, list[float]] = {}
    with suppress(StoreError):
        for entry in read(history, last=_LAST)[0]:
            for name, sample in entry.samples.items():
                # CASE@WxH-VARIANT-sSEED, and neither a case nor a size has `-VARIANT-`
                place = name.rpartition("-s")[0].removesuffix(f"-{sample.variant}")
                if sample.seconds is not None and sample.seconds > 0:
                    found.setdefault((place, sample.variant), []).append(sample.seconds)
    return {kind: median(values) for kind, values in found.items()}
