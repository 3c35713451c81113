"""The lines of `events.jsonl`: one JSON object per event, `event` naming its kind.

Events are only appended and each is complete, so that a killed run is a run with fewer lines. Reading is strict: a
missing field, one of the wrong type, or a name that could lead elsewhere as a path is an error that names the line. How
the lines hang together: `qiltest.runs.lines`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator, from_json

from qiltest import strict_json
from qiltest.errors import RecipeError, StoreError
from qiltest.gate.golden import Golden
from qiltest.gate.latency import Cohort, LatencyJudgement
from qiltest.gate.verdict import Judgement, judge_missing
from qiltest.generation.records import LatentStats, Timing
from qiltest.quality.records import Health
from qiltest.reading.records import Reading
from qiltest.recipe import Recipe
from qiltest.runs.images import image_path
from qiltest.runs.lines import DAMAGED, FIRST, fits
from qiltest.runs.names import not_hashes, not_plain, wrong_sample, wrong_size
from qiltest.runs.readings import SURROGATE
from qiltest.runs.records import CaseResult, Origin, Outcome, RunState, Setup, StoredImage, shared
from qiltest.scoring.records import Score
from qiltest.spans import Span
from qiltest.suite.selection import Sample


@dataclass(frozen=True, kw_only=True)
class _Opening:
    schema: int
    run: str
    at: str


@dataclass(frozen=True, kw_only=True)
class Started(Setup, _Opening):
    """First line of a run: what it will generate, with what."""

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with its names."""
        yield from not_plain(run=self.run, **({"rescored_from": self.rescored_from} if self.rescored_from else {}))
        for number, case in enumerate(self.cases):
            yield from not_plain(**{f"cases.{number}.id": case.id})
        for number, variant in enumerate(self.variants):
            yield from not_plain(**{f"variants.{number}.name": variant.name})
        for sample in (*self.planned, *(self.shards.whole if self.shards else ())):
            yield from wrong_sample(sample)


@dataclass(frozen=True, kw_only=True)
class OfSample:
    """What an event of one sample begins with."""

    at: str
    sample: Sample

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with its names."""
        yield from wrong_sample(self.sample)


@dataclass(frozen=True, kw_only=True)
class Generated(Origin, OfSample):
    """An image is in the store. Written after the image's bytes are durable."""

    recipe: Recipe = field()
    #: None, as `latents`, of an image that was made elsewhere.
    timing: Timing | None = field()
    latents: LatentStats | None = field()
    cohort: Cohort = field()
    #: `Recipe.key`, so that an image can be looked for without rebuilding recipes.
    key: str
    sha256: str
    notes: tuple[str, ...] = ()

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with its names, or does not fit its recipe: the recipe decides whether it is reused."""
        recipe, sample, cohort = self.recipe, self.sample, self.cohort
        yield from wrong_sample(sample)
        yield from not_hashes(sha256=self.sha256, **{f"inputs.{n}": sha256 for n, sha256 in enumerate(self.inputs)})
        yield from not_plain(**({"reused_from": self.reused_from} if self.reused_from else {}))
        yield from wrong_size("recipe.effective", recipe.effective)
        if self.key != recipe.key():
            yield "key: it is not that of the recipe"
        if (recipe.variant, recipe.seed) != (sample.variant, sample.seed):
            yield f"recipe: it is of variant {recipe.variant[:60]!r} and seed {recipe.seed}, not of the sample"
        if (cohort.variant, cohort.effective) != (recipe.variant, str(recipe.effective)):
            yield "cohort: its variant and size are not those of the recipe"

    def result(self, path: Path) -> CaseResult:
        """Return the sample's result so far, with its image at `path`."""
        image = StoredImage(path=path, sha256=self.sha256)
        before = tuple(StoredImage(path=image_path(path.parent.parent, each), sha256=each) for each in self.inputs)
        return CaseResult(**shared(self, Origin), sample=self.sample, image=image, before=before, notes=self.notes)


@dataclass(frozen=True, kw_only=True)
class Noted(OfSample):
    """A `Generated` in brief: that there is an image."""

    sha256: str

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with its names."""
        yield from wrong_sample(self.sample)
        yield from not_hashes(sha256=self.sha256)

    def result(self, path: Path) -> CaseResult:
        """Return the sample's result so far, with its image at `path`."""
        return CaseResult(sample=self.sample, image=StoredImage(path=path, sha256=self.sha256))


@dataclass(frozen=True, kw_only=True)
class Judged(Outcome, OfSample):
    """An image was read, scored and judged."""

    # a line without these is damaged
    reading: Reading | None = field()
    score: Score | None = field()
    judgement: Judgement | None = field()
    latency: LatencyJudgement | None = field()
    golden: Golden | None = field()
    golden_recorded: bool = field()
    notes: tuple[str, ...] = ()
    #: `qiltest.runs.readings.reading_digest`, "" without a reading; the run's writer sets it.
    digest: str = ""

    @classmethod
    def missing(cls, sample: Sample, why: str, golden: Golden | None) -> Judged:
        """Return the verdict MISSING on a planned image; `golden` is what it would have been compared with."""
        judgement = judge_missing(why, golden)
        return cls(
            at=now(),
            sample=sample,
            reading=None,
            score=None,
            judgement=judgement,
            latency=None,
            golden=golden,
            golden_recorded=False,
        )

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with its names."""
        yield from wrong_sample(self.sample)
        yield from not_plain(**({"read_in": self.read_in} if self.read_in else {}))
        if self.golden is not None:
            yield from not_plain(**{"golden.case": self.golden.case, "golden.variant": self.golden.variant})


@dataclass(frozen=True, kw_only=True)
class Failed(OfSample):
    """Something went wrong with a sample; the run continues with the next."""

    error: str
    reading: Reading | None = None
    notes: tuple[str, ...] = ()
    health: Health | None = None


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The end of a run, unless it was killed; what is left are its reports."""

    at: str
    state: RunState
    exit_status: int
    problems: tuple[str, ...] = ()
    #: where the time went until now; none of a run before there were any.
    spans: tuple[Span, ...] = ()

    def faults(self) -> Iterator[str]:
        """Yield spans that end before they begin; there are no names."""
        yield from _backward(self.spans)


@dataclass(frozen=True, kw_only=True)
class Reported:
    """Last line of a run: its reports are written, and its line of the history. Only now is it finished."""

    at: str
    #: where the time went since its end was written.
    spans: tuple[Span, ...] = ()

    def faults(self) -> Iterator[str]:
        """Yield spans that end before they begin; there are no names."""
        yield from _backward(self.spans)


def _backward(spans: tuple[Span, ...]) -> Iterator[str]:
    for number, span in enumerate(spans):
        if not (0 <= span.start <= span.end):
            yield f"spans.{number}: it ends before it begins"


Event = Started | Generated | Judged | Failed | Ended | Reported
_KINDS: dict[str, type[Event]] = {
    kind.__name__.lower(): kind for kind in (Started, Generated, Judged, Failed, Ended, Reported)
}
#: which no line has that was written here.
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
#: making one takes milliseconds.
_VALIDATORS: dict[type[Any], SchemaValidator] = {}
#: the fields of `Noted`, and what stands for the long fields of other events in brief.
_NOTED = ("at", "sample", "sha256")
_LONG: dict[str, Any] = {"reading": None, "golden": None, "health": None, "change": None, "notes": []}
#: faults of which the first is told, and characters of one.
_TOLD, _SHOWN = 100, 300


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond: the `at` of events."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def encode(event: Event, *, line: int = 1, before: str = FIRST) -> bytes:
    """Return the event as one line with its newline; `line` and `before` are its place in the chain.

    Raises StoreError for a number that is not finite, and for an event that is too large to be read again.
    """
    fields = {"event": type(event).__name__.lower(), "line": line, "before": before, **_brief(asdict(event))}
    try:
        text = json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise StoreError(
            f"a number of a {fields['event']} event is not finite ({error})",
            remedy="the image's timing or score is invalid; nothing was written",
        ) from error
    # some tools take U+2028 and U+2029, which json does not escape, for line ends
    text = SURROGATE.sub("\ufffd", text).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    data = text.encode() + b"\n"
    if too_large := fits(data):
        raise StoreError(
            f"a {fields['event']} event is {too_large}",
            remedy="select fewer images at once, or use a reader that returns less; nothing was written",
        )
    return data


def _brief(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave the round of samples out where it is the first: a name in each of 15,000 would be too many."""
    for sample in (*fields.get("planned", ()), fields.get("sample", {})):
        if sample.get("round") == 1:
            del sample["round"]
    return fields


def prefix_of(kind: type[Event]) -> bytes:
    """Return the first bytes of a kind's lines, so that other lines need not be parsed."""
    return f'{{"event":"{kind.__name__.lower()}",'.encode()


def decode(line: bytes, *, where: str) -> Event:
    """Return the event in a line; `where` names it in errors. Raises StoreError."""
    try:
        parsed = strict_json.parse(line)
    except strict_json.StrictJsonError as error:
        raise StoreError(f"not an event of a run: {error.faults[0][:_SHOWN]}", where=where, remedy=DAMAGED) from error
    if _ESCAPED_SURROGATE.search(line) and SURROGATE.search(json.dumps(parsed, ensure_ascii=False)):
        raise StoreError("not an event of a run: a text is no Unicode", where=where, remedy=DAMAGED)
    name, found = _named(parsed, where=where)
    event: Event = _validated(_KINDS[name], name, found, where=where)
    return event


def decode_brief(line: bytes, *, where: str) -> Event | Noted:
    """Return the event in a line without what takes most of the time: recipe, reading, golden, and the score's texts.

    These are not checked, nor is a key that stands there twice. Raises StoreError for what is wrong with the rest.
    """
    try:
        parsed = from_json(line, allow_inf_nan=False)
    except ValueError as error:
        raise StoreError(f"not an event of a run: {str(error)[:_SHOWN]}", where=where, remedy=DAMAGED) from error
    name, found = _named(parsed, where=where)
    if name == "generated":
        event: Noted = _validated(Noted, name, {key: found.get(key) for key in _NOTED}, where=where)
        return event
    for key in _LONG.keys() & found.keys():
        found[key] = _LONG[key]
    score = found.get("score")
    if isinstance(score, dict) and {"texts", "extra"} <= score.keys():
        score["texts"], score["extra"] = [], []
    whole: Event = _validated(_KINDS[name], name, found, where=where)
    return whole


def _named(found: object, *, where: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the fields of an event. Raises StoreError."""
    name = found.get("event") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(name, str) or name not in _KINDS:
        raise StoreError("not an event of a run", where=where, remedy=DAMAGED)
    return name, found


def _validated(kind: type[Any], name: str, found: dict[str, Any], *, where: str) -> Any:  # noqa: ANN401 -- of `kind`
    try:
        event = _validator(kind).validate_python(found)
        fault = next(event.faults(), "")
    except ValidationError as error:
        fault = _first(error)
    except RecipeError as error:
        fault = error.what
    if fault:
        raise StoreError(f"invalid {name} event: {fault[:_SHOWN]}", where=where, remedy=DAMAGED)
    return event


def _first(error: ValidationError) -> str:
    """Return the first fault; of very many only their number, because listing them takes gigabytes."""
    if error.error_count() > _TOLD:
        return f"{error.error_count()} faults"
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'line'}: {first['msg']}"


def _validator(kind: type[Any]) -> SchemaValidator:
    """Return a strict validator of a parsed line.

    pydantic's own JSON parser takes a kilobyte for each bracket, and lists every fault of a line; this one ends at a
    list's first wrong item.
    """
    if kind not in _VALIDATORS:
        schema: Any = TypeAdapter(kind).core_schema
        _walk(schema, _for_parsed_json)
        _VALIDATORS[kind] = SchemaValidator(schema)
    return _VALIDATORS[kind]


def _for_parsed_json(part: dict[str, Any]) -> None:
    """Let lists, dictionaries and strings of JSON stand for tuples, dataclasses and enums, and nothing else."""
    if part.get("type") in {"tuple", "list", "dict", "dataclass", "enum"}:
        part["strict"] = False
    elif part.get("type") in {"str", "int", "float", "bool"}:
        part["strict"] = True
    if part.get("type") == "float":
        part["allow_inf_nan"] = False  # JSON has no infinity, but 1e400 is read as one
    if part.get("type") in {"tuple", "list"}:
        part["fail_fast"] = True


def _walk(part: Any, visit: Callable[[dict[str, Any]], None]) -> None:  # noqa: ANN401 -- a pydantic-core schema
    if isinstance(part, dict):
        visit(part)
        for inner in part.values():
            _walk(inner, visit)
    elif isinstance(part, list | tuple):
        for inner in part:
            _walk(inner, visit)
