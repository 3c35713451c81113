"""The lines of `events.jsonl`: one JSON object per event, `event` naming its kind.

Events are only appended and each is complete, so that a killed run is a run with fewer lines. Reading is strict: a
missing field or one of the wrong type is an error that names the line.
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
from qiltest.runs.records import CaseResult, Origin, Outcome, RunState, Setup, StoredImage, shared
from qiltest.scoring.records import Score
from qiltest.suite.selection import Sample

#: version of the lines; a run of another version is refused.
SCHEMA = 2


@dataclass(frozen=True, kw_only=True)
class _Opening:
    schema: int
    run: str
    at: str


@dataclass(frozen=True, kw_only=True)
class Started(Setup, _Opening):
    """First line of a run: what it will generate, with what."""


@dataclass(frozen=True, kw_only=True)
class _OfSample:
    at: str
    sample: Sample


@dataclass(frozen=True, kw_only=True)
class Generated(Origin, _OfSample):
    """An image is in the store. Written after the image's bytes are durable."""

    recipe: Recipe = field()
    timing: Timing = field()
    latents: LatentStats = field()
    cohort: Cohort = field()
    #: `Recipe.key`, so that an image can be looked for without rebuilding recipes.
    key: str
    sha256: str
    notes: tuple[str, ...] = ()

    def result(self, path: Path) -> CaseResult:
        """Return the sample's result so far, with its image at `path`."""
        image = StoredImage(path=path, sha256=self.sha256)
        return CaseResult(**shared(self, Origin), sample=self.sample, image=image, notes=self.notes)


@dataclass(frozen=True, kw_only=True)
class Judged(Outcome, _OfSample):
    """An image was read, scored and judged."""

    # a line without these is damaged
    reading: Reading | None = field()
    score: Score | None = field()
    judgement: Judgement | None = field()
    latency: LatencyJudgement | None = field()
    golden: Golden | None = field()
    golden_recorded: bool = field()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Failed(_OfSample):
    """Something went wrong with a sample; the run continues with the next."""

    error: str
    reading: Reading | None = None
    notes: tuple[str, ...] = ()
    health: Health | None = None


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Last line of a run, unless it was killed."""

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
    """Return the event as one line with its newline. Raises StoreError for a number that is not finite."""
    fields = {"event": type(event).__name__.lower(), **asdict(event)}
    try:
        line = json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise StoreError(
            f"a number of a {fields['event']} event is not finite ({error})",
            remedy="the image's timing or score is invalid; nothing was written",
        ) from error
    # some tools take U+2028 and U+2029, which json does not escape, for line ends; a lone surrogate, which a custom
    # reader may return, cannot be written as UTF-8
    line = _SURROGATE.sub("\ufffd", line)
    return line.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").encode() + b"\n"


def prefix_of(kind: type[Event]) -> bytes:
    """Return the first bytes of a kind's lines, so that other lines need not be parsed."""
    return f'{{"event":"{kind.__name__.lower()}",'.encode()


def decode(line: bytes, *, where: str) -> Event:
    """Return the event in a line; `where` names it in errors. Raises StoreError."""
    try:
        name = json.loads(line)["event"]
        kind = _KINDS[name]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError("not an event of a run", where=where, remedy=_REMEDY) from error
    try:
        return strict_json.decode(kind, line, whole="line")
    except strict_json.StrictJsonError as error:
        raise StoreError(f"invalid {name} event: {error.faults[0]}", where=where, remedy=_REMEDY) from error


_REMEDY = "the file was changed or damaged after it was written: restore it, or move the run's folder away"
