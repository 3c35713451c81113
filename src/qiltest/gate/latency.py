"""Latency: a gate per cohort (DESIGN, gate rule 4)."""

from __future__ import annotations

from dataclasses import dataclass

from qiltest.gate.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """What must be equal for two latencies to be comparable."""

    model: str
    device_name: str
    dtype: str
    #: size drawn, `WIDTHxHEIGHT`.
    effective: str
    variant: str
    nfe: int
    attention_backend: str
    compiled: bool
    #: major.minor
    torch: str


@dataclass(frozen=True, kw_only=True)
class LatencyJudgement:
    """A verdict on the seconds of one denoise loop, with what led to it."""

    verdict: Verdict
    seconds: float
    #: the cohort's golden; None where there is none.
    golden_seconds: float | None
    #: seconds above which it fails; None where there is no golden.
    limit_seconds: float | None
    #: False where latency is reported only (the embedded model, or no `-m gpu`).
    gates: bool
    reasons: tuple[str, ...] = ()
