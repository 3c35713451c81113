"""Numbers over the recorded runs: error rates, images that do not pass, latency against the median of the last five."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from qiltest.runs.history import HistoryEntry

#: earlier runs that a latency is held against.
LAST = 5
#: a drift needs more runs than a single jump can bend.
FEWEST_FOR_DRIFT = 8
_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A straight line through a series: the median of the slopes of all pairs (Theil and Sen), which few runs bend."""

    #: rise per run, of the value at the start of the line; with its 95 % interval.
    slope: float
    low: float
    high: float
    #: value at run 0.
    start: float

    @property
    def shown(self) -> bool:
        """True where the interval leaves no place for "no drift"."""
        return not self.low <= 0 <= self.high


@dataclass(frozen=True, kw_only=True)
class Latency:
    """The denoise loop of one variant over runs on one device; each value is None where a run did not time it.

    Values are factors: 1 is what the same image takes in the median run. So runs of other cases can be compared.
    """

    variant: str
    device: str
    values: tuple[float | None, ...]
    #: median of the last five earlier values.
    medians: tuple[float | None, ...]
    #: None for too few runs.
    drift: Drift | None

    @property
    def newest(self) -> float | None:
        """The newest run's latency over the median of the five before; None where either is not known."""
        value, last = self.values[-1], self.medians[-1]
        return None if value is None or last is None else value / last


def variants_of(entries: Iterable[HistoryEntry]) -> tuple[str, ...]:
    """Return the variants of some runs, in the order in which they came."""
    return tuple(dict.fromkeys(sample.variant for entry in entries for sample in entry.samples.values()))


def rates(entries: Sequence[HistoryEntry]) -> dict[str, tuple[float | None, ...]]:
    """Return the pooled error rate of each variant, one value per run; runs of other readers count too."""
    each = [entry.rates() for entry in entries]
    return {
        name: tuple(found[name].value if name in found else None for found in each) for name in variants_of(entries)
    }


def failing(entries: Sequence[HistoryEntry]) -> tuple[int, ...]:
    """Return how many images of each run do not pass."""
    return tuple(sum(sample.fails for sample in entry.samples.values()) for entry in entries)


def latencies(entries: Sequence[HistoryEntry]) -> tuple[Latency, ...]:
    """Return the latency of each variant on the newest run's device."""
    if not entries:
        return ()
    device = entries[-1].facts.get("device", "")
    own = [entry if entry.facts.get("device", "") == device else None for entry in entries]
    typical = _typical(entry for entry in own if entry is not None)
    found = []
    for variant in variants_of(entries):
        values = tuple(None if entry is None else _factor(entry, variant, typical) for entry in own)
        if any(value is not None for value in values):
            medians = tuple(_median_before(values, place) for place in range(len(values)))
            drift = _drift(values)
            found.append(Latency(variant=variant, device=str(device), values=values, medians=medians, drift=drift))
    return tuple(found)


def _typical(entries: Iterable[HistoryEntry]) -> dict[str, float]:
    """Return the median seconds of each sample."""
    seconds: dict[str, list[float]] = {}
    for entry in entries:
        for name, sample in entry.samples.items():
            if sample.seconds:
                seconds.setdefault(name, []).append(sample.seconds)
    return {name: median(values) for name, values in seconds.items()}


def _factor(entry: HistoryEntry, variant: str, typical: dict[str, float]) -> float | None:
    own = [
        sample.seconds / typical[name]
        for name, sample in entry.samples.items()
        if sample.variant == variant and sample.seconds
    ]
    return median(own) if own else None


def _median_before(values: Sequence[float | None], place: int) -> float | None:
    before = [value for value in values[:place] if value is not None][-LAST:]
    return median(before) if before else None


def _drift(values: Sequence[float | None]) -> Drift | None:
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if len(known) < FEWEST_FOR_DRIFT:
        return None
    from scipy.stats import theilslopes  # slow to import

    places, seen = zip(*known, strict=True)
    found = theilslopes(seen, places, alpha=_CONFIDENCE)
    return Drift(
        slope=float(found.slope),
        low=float(found.low_slope),
        high=float(found.high_slope),
        start=float(found.intercept),
    )
