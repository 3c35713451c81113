"""The latency gate: denoise seconds against a golden of the same cohort (docs/gate.md).

Seconds are comparable only between images of one cohort: one model on one device at one precision, size, variant,
attention backend and torch. A cohort has one golden, the median of the denoise loops of the run that recorded it. A
image fails only past a relative AND an absolute floor, because clocks move by some per cent from run to run and a
short loop by some milliseconds. No golden of the cohort is INCOMPARABLE, never PASS.

Latency gates where it was asked for, with `-m gpu`. On the embedded model and a CPU, which other work shares, it is
reported and does not gate.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import ClassVar

from pydantic import ConfigDict

from qiltest.errors import GoldenError
from qiltest.files import write_atomically
from qiltest.gate.golden import GoldenStore, read_if_there
from qiltest.gate.verdict import Verdict
from qiltest.strict_json import STORED, StrictJsonError, decode

SCHEMA = 1
#: a latency above the golden's by more than this share ...
RELATIVE_FLOOR = 0.08
#: ... and by more than this many seconds fails.
ABSOLUTE_FLOOR = 0.05


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """What must be equal for two latencies to be comparable."""

    model: str
    device_name: str
    dtype: str
    #: size generated, `WIDTHxHEIGHT`.
    effective: str
    variant: str
    nfe: int
    attention_backend: str
    compiled: bool
    #: major.minor
    torch: str

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    @property
    def key(self) -> str:
        """Short hash that is equal if and only if all fields are."""
        fields = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(fields.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class LatencyGolden:
    """Accepted seconds of a cohort's denoise loop."""

    schema: int
    cohort: Cohort
    #: median over the images of the run that recorded it.
    seconds: float
    fastest: float
    slowest: float
    images: int

    __pydantic_config__: ClassVar[ConfigDict] = STORED


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


def judge_latency(seconds: float, golden: LatencyGolden | None, *, gates: bool) -> LatencyJudgement:
    """Return the verdict on a denoise loop of `seconds`, device synchronised.

    ERROR where `seconds` is not a positive finite number: a timer that was off must not pass for speed.
    """
    if not (math.isfinite(seconds) and seconds > 0):
        return _judgement(Verdict.ERROR, 0.0, golden, gates, f"{seconds} is not a latency: the loop was not timed")
    if golden is None:
        reason = "there is no latency golden of this cohort (device, dtype, size, variant, attention, torch)"
        return _judgement(Verdict.INCOMPARABLE, seconds, golden, gates, reason)
    limit = limit_seconds(golden.seconds)
    if not (seconds <= limit):
        reason = (
            f"{seconds:.3f} s is above the limit {limit:.3f} s (golden {golden.seconds:.3f} s, past both "
            f"{RELATIVE_FLOOR:.0%} and {ABSOLUTE_FLOOR} s)"
        )
        return _judgement(Verdict.FAIL, seconds, golden, gates, reason)
    return _judgement(Verdict.PASS, seconds, golden, gates)


def limit_seconds(golden: float) -> float:
    """Return the seconds above which a latency is past the relative and the absolute floor."""
    return max(golden * (1 + RELATIVE_FLOOR), golden + ABSOLUTE_FLOOR)


def _judgement(
    verdict: Verdict, seconds: float, golden: LatencyGolden | None, gates: bool, *reasons: str
) -> LatencyJudgement:
    return LatencyJudgement(
        verdict=verdict,
        seconds=seconds,
        golden_seconds=None if golden is None else golden.seconds,
        limit_seconds=None if golden is None else limit_seconds(golden.seconds),
        gates=gates,
        reasons=reasons,
    )


@dataclass(frozen=True, kw_only=True)
class LatencyStore:
    """Latency goldens, `golden/<model>/latency/<variant>@<size>-<hash of the cohort>.json`."""

    goldens: GoldenStore

    def path(self, cohort: Cohort) -> Path:
        """Return where a cohort's golden lies, whether it is there or not."""
        name = f"{cohort.variant}@{cohort.effective}-{cohort.key}.json"
        return self.goldens.folder(cohort.model) / "latency" / name

    def load(self, cohort: Cohort) -> LatencyGolden | None:
        """Return a cohort's golden, None where there is none. Raises GoldenError for a file that is not one."""
        path = self.path(cohort)
        data = read_if_there(path)
        if data is None:
            return None
        try:
            golden = decode(LatencyGolden, data)
        except StrictJsonError as error:
            raise _broken(path, error.faults[0]) from error
        if golden.schema != SCHEMA or golden.cohort != cohort:
            raise _broken(path, "it is of another schema or cohort than its name says")
        if not (0 < golden.fastest <= golden.seconds <= golden.slowest) or golden.images < 1:
            raise _broken(path, f"{golden.seconds} s is no baseline")
        return golden

    def save(self, cohort: Cohort, seconds: Sequence[float]) -> Path:
        """Record a cohort's golden from the denoise loops of a run. Raises GoldenError for no or unusable numbers."""
        path = self.path(cohort)
        if not seconds or not all(math.isfinite(value) and value > 0 for value in seconds):
            raise _broken(path, f"{list(seconds)} are no latencies")
        golden = LatencyGolden(
            schema=SCHEMA,
            cohort=cohort,
            seconds=float(median(seconds)),
            fastest=float(min(seconds)),
            slowest=float(max(seconds)),
            images=len(seconds),
        )
        text = json.dumps(asdict(golden), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
        try:
            write_atomically(path, text.encode())
        except OSError as error:
            raise _broken(path, f"it could not be written ({error.strerror or error})") from error
        return path


def _broken(path: Path, what: str) -> GoldenError:
    return GoldenError(
        f"not a latency golden: {what}",
        where=str(path),
        remedy="restore it (`git checkout` it), or remove it and record it again with --qil-update=missing",
    )
