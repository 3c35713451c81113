"""The latency gate: denoise seconds against a golden of the same cohort (docs/reference/gate.md).

A cohort is one model, device, precision, size, variant, attention backend and torch version, and of a server what is
timed and with how many requests in flight. Its golden is the median of the denoise loops of the run that recorded it.
An image fails past a relative AND an absolute floor, because clocks vary by some per cent between runs and a short loop
by some milliseconds. Without a golden the verdict is INCOMPARABLE.

Latency gates with `-m gpu`. On a CPU, which other work shares, it is reported only.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

from pydantic import ConfigDict

from qiltest.errors import GoldenError
from qiltest.gate.golden import GoldenStore
from qiltest.gate.verdict import Verdict
from qiltest.strict_json import STORED, StrictJsonError, decode

SCHEMA = 1
#: of latencies that were not measured by a server, nor beside other GPUs: left out of key and file.
_USUAL: dict[str, str | int] = {"kind": "loop", "concurrency": 1, "beside": 0, "compiled_way": ""}
#: a latency above the golden's by more than this share ...
RELATIVE_FLOOR = 0.08
#: ... and by more than this many seconds fails.
ABSOLUTE_FLOOR = 0.05


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Everything that must be equal for two latencies to be comparable."""

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
    #: where weights wait while they are not needed; "none" is left out of the key, as cohorts before it had it.
    offload: str = "none"
    #: `Timing.kind` and `Timing.concurrency`; "loop" and 1 are left out of key and file.
    kind: str = "loop"
    concurrency: int = 1
    #: how many other GPUs of the same host generated meanwhile (`--qil-workers`); 0 is left out of key and file, so
    #: that goldens from before it keep theirs.
    beside: int = 0
    #: version of the way of compiling (`qiltest-compiled` of the recipe): each has its own speed. "" is left out of
    #: key and file: not compiled, or before there were versions.
    compiled_way: str = ""

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    @property
    def key(self) -> str:
        """Short hash of all fields."""
        known = _without_usual(asdict(self), {"offload": "none", **_USUAL})
        fields = json.dumps(known, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(fields.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class LatencyGolden:
    """The accepted latency of a cohort's denoise loop, in seconds."""

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
    """The verdict on the latency of one denoise loop, with its reasons."""

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
    """Return the verdict on a denoise loop of `seconds`, device synchronised; ERROR unless positive and finite."""
    limit = None if golden is None else limit_seconds(golden.seconds)
    verdict, reasons = Verdict.PASS, tuple[str, ...]()
    if not (math.isfinite(seconds) and seconds > 0):
        verdict, reasons = Verdict.ERROR, (f"invalid latency {seconds} s: the loop was not timed",)
    elif golden is None or limit is None:
        reason = "no latency golden for this cohort (device, dtype, size, variant, attention, torch)"
        verdict, reasons = Verdict.INCOMPARABLE, (reason,)
    elif not (seconds <= limit):
        floors = f"{RELATIVE_FLOOR:.0%} and {ABSOLUTE_FLOOR} s"
        reason = f"{seconds:.3f} s is above the limit {limit:.3f} s (golden {golden.seconds:.3f} s, past both {floors})"
        verdict, reasons = Verdict.FAIL, (reason,)
    return LatencyJudgement(
        verdict=verdict,
        seconds=0.0 if verdict is Verdict.ERROR else seconds,
        golden_seconds=None if golden is None else golden.seconds,
        limit_seconds=limit,
        gates=gates,
        reasons=reasons,
    )


def not_measured(why: str) -> LatencyJudgement:
    """Return the judgement on an image of which no latency was measured: INCOMPARABLE, and it never gates."""
    return LatencyJudgement(
        verdict=Verdict.INCOMPARABLE, seconds=0.0, golden_seconds=None, limit_seconds=None, gates=False, reasons=(why,)
    )


def limit_seconds(golden: float) -> float:
    """Return the latency, in seconds, above which an image fails."""
    return max(golden * (1 + RELATIVE_FLOOR), golden + ABSOLUTE_FLOOR)


@dataclass(frozen=True, kw_only=True)
class LatencyStore:
    """Latency goldens, `golden/<model>/latency/<variant>@<size>-<hash of the cohort>.json`."""

    goldens: GoldenStore

    def path(self, cohort: Cohort) -> Path:
        """Return the path of a cohort's golden, whether the file exists or not."""
        name = f"{cohort.variant}@{cohort.effective}-{cohort.key}.json"
        return self.goldens.folder(cohort.model) / "latency" / name

    def load(self, cohort: Cohort) -> LatencyGolden | None:
        """Return a cohort's golden, None where there is none. Raises GoldenError for an invalid file."""
        path = self.path(cohort)
        data = self.goldens.read(path)
        if data is None:
            return None
        try:
            golden = decode(LatencyGolden, data)
        except StrictJsonError as error:
            raise _broken(path, error.faults[0]) from error
        if golden.schema != SCHEMA or golden.cohort != cohort:
            raise _broken(path, "its schema or cohort does not match its name")
        if not _is_median(golden):
            raise _broken(
                path,
                f"{golden.seconds} s, fastest {golden.fastest} s, slowest {golden.slowest} s, images: {golden.images}",
            )
        return golden

    def save(self, cohort: Cohort, seconds: Sequence[float]) -> Path:
        """Write a cohort's golden from the denoise loops of a run. Raises GoldenError for no or invalid seconds."""
        path = self.path(cohort)
        if not seconds or not all(math.isfinite(value) and value > 0 for value in seconds):
            raise _broken(path, f"latencies must be finite and positive, got {list(seconds)}")
        golden = LatencyGolden(
            schema=SCHEMA,
            cohort=cohort,
            seconds=float(median(seconds)),
            fastest=float(min(seconds)),
            slowest=float(max(seconds)),
            images=len(seconds),
        )
        known = asdict(golden)
        known["cohort"] = _without_usual(known["cohort"], _USUAL)
        text = json.dumps(known, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
        self.goldens.write(path, text.encode(), what="latency golden")
        return path


def _without_usual(cohort: dict[str, Any], usual: dict[str, str | int]) -> dict[str, Any]:
    """Return a cohort's fields without those that have their usual value, which cohorts of before do not have."""
    return {name: value for name, value in cohort.items() if usual.get(name) != value}


def _is_median(golden: LatencyGolden) -> bool:
    """Return whether the seconds may be the median of as many images, from the fastest to the slowest."""
    if not (0 < golden.fastest <= golden.seconds <= golden.slowest) or golden.images < 1:
        return False
    if golden.images == 1:
        return golden.fastest == golden.slowest
    return golden.images != 2 or golden.seconds == median((golden.fastest, golden.slowest))


def _broken(path: Path, what: str) -> GoldenError:
    return GoldenError(
        f"invalid latency golden: {what}",
        where=str(path),
        remedy="restore it with `git checkout`, or remove it and record it again with --qil-update=missing",
    )
