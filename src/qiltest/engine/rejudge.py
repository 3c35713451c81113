"""Judge a stored image again, by its stored reading and image quality, with the cases and goldens of this checkout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from qiltest.gate.golden import GoldenStore
from qiltest.gate.judge import judge_measured
from qiltest.gate.latency import Cohort, LatencyStore, judge_latency
from qiltest.gate.verdict import Judgement, Verdict
from qiltest.generation.sources import is_random
from qiltest.quality import VERSION
from qiltest.quality.change import VERSION as CHANGE_VERSION
from qiltest.quality.scene import VERSION as SCENE_VERSION
from qiltest.reading.records import Reading
from qiltest.recipe import Size
from qiltest.runs.events import Failed, Generated, Judged, Started
from qiltest.runs.lines import DAMAGED
from qiltest.scoring import Score, score_case
from qiltest.suite.cases import Case
from qiltest.text.format import count

REPEAT = "repeat the command that made the run; it generates no image again that is stored"
LOOK = "open the run's report; fix what made it fail, and run the suite again"
_AGAIN = "run the suite again"
_CHECK = "let its test call check(), and run the suite again"
#: lines and characters of a reading that is scored again, which takes seconds beyond.
_MOST_LINES, _MOST_CHARACTERS = 1_000, 10_000

#: what is wrong, and the remedy.
Why = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What an image's verdict needs to know of how it was made."""

    sha256: str
    effective: Size
    #: `Recipe.compared_parts`.
    parts: tuple[tuple[str, str], ...]
    #: None where nothing was timed.
    denoise_seconds: float | None
    cohort: Cohort
    #: SHA-256 of the input images of an edit.
    inputs: tuple[str, ...] = ()

    @classmethod
    def of(cls, event: Generated) -> ImageFacts:
        """Return the facts in an image's event."""
        return cls(
            sha256=event.sha256,
            effective=event.recipe.effective,
            parts=event.recipe.compared_parts,
            denoise_seconds=None if event.timing is None else event.timing.denoise_seconds,
            cohort=event.cohort,
            inputs=event.inputs,
        )


def why_not(
    event: Judged | Failed,
    image: ImageFacts | None,
    *,
    started: Started,
    cases: Mapping[str, Case],
    goldens: GoldenStore,
) -> Iterator[Why]:
    """Yield why a sample does not pass, or is not judged as its event says; `image` is None where none was stored.

    Raises GoldenError, ReaderError and StoreError.
    """
    if isinstance(event, Failed):
        yield f"ERROR: {event.error}", LOOK
    elif event.judgement is not None and event.judgement.verdict is Verdict.MISSING:
        yield f"MISSING: {_reason(event.judgement)}", REPEAT
    elif image is None:
        yield "judged, but no image of it was stored", DAMAGED
    else:
        yield from _latency(event, image, goldens)
        if not is_random(started.model):  # whose text is not judged
            yield from _text(event, image, started, cases.get(event.sample.case), goldens)


def _text(event: Judged, image: ImageFacts, started: Started, case: Case | None, goldens: GoldenStore) -> Iterator[Why]:
    reading, score, stored, health = event.reading, event.score, event.judgement, event.health
    if case is None:
        yield "this checkout has no such case", "name the folder of its cases with --cases, or run the suite again"
    elif any(copy.id == case.id and copy.prompt != case.prompt for copy in started.cases):
        yield "its case has another prompt now than when it was generated", _AGAIN
    elif reading is None or score is None or stored is None or health is None:
        yield "its text was not read, scored and judged", _CHECK
    elif health.version != VERSION:
        yield f"its quality was measured by version {health.version} of the measures, this is {VERSION}", _AGAIN
    elif health.scene is None or health.scene.version != SCENE_VERSION:
        measured = "not measured" if health.scene is None else f"measured by version {health.scene.version}"
        yield f"its scene was {measured}; version {SCENE_VERSION} of the measures is compared", _AGAIN
    elif case.edit is not None and (event.change is None or event.change.version != CHANGE_VERSION):
        measured = "not measured" if event.change is None else f"measured by version {event.change.version}"
        yield f"what else it changed was {measured}; this is version {CHANGE_VERSION}", _AGAIN
    elif too_long := _too_long(reading):
        yield too_long, "look at the image; no image shows that much"
    else:
        found = score_case(case, reading)
        if found != score:
            yield _other_score(score, found), "run the suite again, with this code and these cases"
        golden = goldens.load(started.model, event.sample, case)
        tiny = started.is_tiny
        now = judge_measured(
            case,
            found,
            health,
            golden,
            sample=event.sample,
            effective=image.effective,
            parts=image.parts,
            tiny=tiny,
            change=event.change,
        )
        yield from _differences(stored, now, recorded=event.golden_recorded)


def _latency(event: Judged, image: ImageFacts, goldens: GoldenStore) -> Iterator[Why]:
    latency = event.latency
    if latency is None:
        yield "its latency was not judged", _CHECK
    elif latency.gates and image.denoise_seconds is None:
        yield "its latency gates, but nothing was timed", DAMAGED
    elif latency.gates and image.denoise_seconds is not None:
        now = judge_latency(image.denoise_seconds, LatencyStore(goldens=goldens).load(image.cohort), gates=True)
        if now.verdict is not Verdict.PASS or latency.verdict is not Verdict.PASS:
            reason = "".join((*now.reasons, *latency.reasons)[:1])
            yield f"latency stored as {latency.verdict}, now {now.verdict}: {reason}", LOOK


def _differences(stored: Judgement, now: Judgement, *, recorded: bool) -> Iterator[Why]:
    """Yield why a verdict is not PASS, or is another one now."""
    if recorded:
        yield "the run itself wrote its golden, so nothing vouches for it", f"{_AGAIN}, without --qil-update"
    elif stored.verdict is not now.verdict:
        yield (
            f"stored as {stored.verdict}, now {now.verdict}: {_reason(now) or _reason(stored)}",
            "the run, its cases or its goldens were changed since: run the suite again",
        )
    elif now.verdict is not Verdict.PASS:
        yield f"{now.verdict}: {_reason(now)}", LOOK


def _reason(judgement: Judgement) -> str:
    return "".join(judgement.reasons[:1])


def _too_long(reading: Reading) -> str:
    characters = sum(len(line.text) for line in reading.lines)
    if len(reading.lines) <= _MOST_LINES and characters <= _MOST_CHARACTERS:
        return ""
    return f"its reading is too long to be scored: {count(len(reading.lines), 'line')}, {characters} characters"


def _other_score(stored: Score, now: Score) -> str:
    same = "the distance is the same, a text or an edit is not"
    differ = same if stored.distance == now.distance else f"distance {stored.distance}, now {now.distance}"
    return f"the stored score is not that of its reading: {differ}"
