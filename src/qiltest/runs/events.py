"""The lines of `events.jsonl`: one JSON object an event, `event` naming its kind.

Events are append-only and each stands alone, so that a killed run is a run with fewer lines. Reading is strict: a
field of the wrong type or a missing one is an error that names the line.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from qiltest import strict_json
from qiltest.errors import StoreError
from qiltest.gate.golden import Golden
from qiltest.gate.latency import Cohort, LatencyJudgement
from qiltest.gate.verdict import Judgement
from qiltest.generation.records import LatentStats, Timing
from qiltest.quality.records import Health
from qiltest.reading.records import Reading
from qiltest.recipe import Recipe
from qiltest.runs.records import CaseResult, Outcome, RunState, Setup, StoredImage
from qiltest.scoring.records import Score
from qiltest.suite.selection import Sample

#: version of the lines; a run of another version is refused, not guessed at.
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class _Opening:
    schema: int
    run: str
    at: str


@dataclass(frozen=True, kw_only=True)
class Started(Setup, _Opening):
    """First line of a run: what it set out to do, with what."""


@dataclass(frozen=True, kw_only=True)
class _OfSample:
    at: str
    sample: Sample


@dataclass(frozen=True, kw_only=True)
class Generated(_OfSample):
    """An image is in the store. Written after its bytes are durable, so the line never names what is not there."""

    recipe: Recipe
    #: `Recipe.key`, so that an image can be looked for without rebuilding recipes.
    key: str
    sha256: str
    timing: Timing
    latents: LatentStats
    cohort: Cohort
    #: id of the run that generated it, "" for this one.
    reused_from: str = ""
    notes: tuple[str, ...] = ()

    def result(self, path: Path) -> CaseResult:
        """Return what is known of the point now, with its image at `path`."""
        return CaseResult(
            sample=self.sample,
            recipe=self.recipe,
            image=StoredImage(path=path, sha256=self.sha256),
            reused_from=self.reused_from,
            timing=self.timing,
            latents=self.latents,
            cohort=self.cohort,
            notes=self.notes,
        )


@dataclass(frozen=True, kw_only=True)
class Judged(Outcome, _OfSample):
    """An image was read, scored and judged."""

    # a line without these is damaged, not one of an image that was not judged
    reading: Reading | None = field()
    score: Score | None = field()
    judgement: Judgement | None = field()
    latency: LatencyJudgement | None = field()
    golden: Golden | None = field()
    golden_recorded: bool = field()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Failed(_OfSample):
    """Something went wrong at a point; the run goes on with the next."""

    error: str
    reading: Reading | None = None
    notes: tuple[str, ...] = ()
    health: Health | None = None


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Last line of a run that was not killed."""

    at: str
    state: RunState
    exit_status: int
    problems: tuple[str, ...] = ()


Event = Started | Generated | Judged | Failed | Ended
_SURROGATE = re.compile("[\ud800-\udfff]")
_KINDS: dict[str, type[Event]] = {kind.__name__.lower(): kind for kind in (Started, Generated, Judged, Failed, Ended)}


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond: the `at` of events."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def encode(event: Event) -> bytes:
    """Return the event as one line, newline included. Raises StoreError for a number that is not finite."""
    fields = {"event": type(event).__name__.lower(), **asdict(event)}
    try:
        line = json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise StoreError(
            f"a {fields['event']} event holds a number that is not finite ({error})",
            remedy="the image's timing or score is broken; nothing was written",
        ) from error
    # json escapes control characters, but U+2028 and the like pass and some tools take them for line ends; a lone
    # surrogate, which a reader of one's own may return, is no character: no file holds it
    line = _SURROGATE.sub("\ufffd", line)
    return line.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").encode() + b"\n"


def prefix_of(kind: type[Event]) -> bytes:
    """Return what the lines of a kind of event begin with, so that the others need not be parsed."""
    return f'{{"event":"{kind.__name__.lower()}",'.encode()


def decode(line: bytes, *, where: str) -> Event:
    """Return the event in a line. Raises StoreError that says where and what is wrong."""
    try:
        name = json.loads(line)["event"]
        kind = _KINDS[name]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError("not an event of a run", where=where, remedy=_REMEDY) from error
    try:
        return strict_json.decode(kind, line, whole="line")
    except strict_json.StrictJsonError as error:
        raise StoreError(f"{name} event is not valid: {error.faults[0]}", where=where, remedy=_REMEDY) from error


_REMEDY = "the file was changed or damaged after it was written; restore it, or move the run's folder away"
