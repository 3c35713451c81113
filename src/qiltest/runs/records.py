"""What a run holds, as it is read back. Nothing here needs torch or a reader."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from qiltest.gate.golden import Golden
from qiltest.gate.latency import Cohort, LatencyJudgement
from qiltest.gate.verdict import Judgement, Verdict
from qiltest.generation.records import LatentStats, Timing
from qiltest.quality.records import Health
from qiltest.reading.records import ReaderInfo, Reading
from qiltest.recipe import Recipe, Size
from qiltest.scoring.records import Score
from qiltest.suite.cases import Case
from qiltest.suite.selection import Sample
from qiltest.suite.variants import Variant


class RunState(StrEnum):
    """How a run ended."""

    #: ran through, whatever the verdicts.
    FINISHED = "finished"
    #: stopped by Ctrl-C, `-x` or an error of the session; what it generated is good.
    INTERRUPTED = "interrupted"
    #: no end was written: the process was killed, or is still at work.
    UNFINISHED = "unfinished"


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """A stored image, whose bytes were checked against its name when the run was loaded."""

    path: Path
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a session set out to do, and with what: in the first event of a run, and in the run as it is read back."""

    command: tuple[str, ...]
    qiltest_version: str
    model: str
    #: device type, "cpu" or "cuda".
    device: str
    #: what the device calls itself.
    device_name: str
    #: (package, version), sorted.
    versions: tuple[tuple[str, str], ...]
    reader: ReaderInfo
    #: the cases and variants as they were then, so that a run can be read without their files.
    cases: tuple[Case, ...]
    variants: tuple[Variant, ...]
    #: all points of the session, in the order of generating.
    planned: tuple[Sample, ...]
    #: True where the session covered every case, resolution, default variant and seed of the suite.
    full: bool
    #: id of the run whose images were read again, "" for a run that generated.
    rescored_from: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What reading, scoring and judging an image gave: in its event, and in its result as it is read back.

    A field is None or empty as far as the run did not get there.
    """

    #: None, with score and judgement, where the model's text is not judged (random weights).
    reading: Reading | None = None
    score: Score | None = None
    judgement: Judgement | None = None
    latency: LatencyJudgement | None = None
    #: the golden that it was judged against; None where there was none.
    golden: Golden | None = None
    #: True where this run wrote or replaced the golden (`--qil-update`).
    golden_recorded: bool = False
    #: the same for the cohort's golden of latency.
    latency_recorded: bool = False
    #: measures of the image beside its text; None where they were not taken (random weights, a run of before).
    health: Health | None = None
    #: id of the run that read the image, where its reading was taken from the store; "" where this run read it.
    read_in: str = ""


def shared(record: object, base: type[Setup | Outcome]) -> dict[str, Any]:
    """Return the fields of a record that come from `base`, to be passed on whole to another record of that base."""
    return {field.name: getattr(record, field.name) for field in fields(base)}


@dataclass(frozen=True, kw_only=True)
class CaseResult(Outcome):
    """What a run knows of one point. Fields after `point` are None or empty as far as the run did not get there."""

    sample: Sample
    recipe: Recipe | None = None
    image: StoredImage | None = None
    #: id of the run that generated the image, where it was taken from the store; "" where this run generated it.
    reused_from: str = ""
    timing: Timing | None = None
    latents: LatentStats | None = None
    cohort: Cohort | None = None
    #: what went wrong, for a person; "" where nothing did. With an error the verdict is ERROR.
    error: str = ""
    #: what happened on the way and must be said, such as a retry after a lost device.
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Name of the point."""
        return self.sample.id

    @property
    def asked(self) -> Size | None:
        """Size asked of the generator, in pixels; for the embedded model the case's stand-in."""
        return None if self.recipe is None else self.recipe.asked

    @property
    def effective(self) -> Size | None:
        """Size generated, in pixels."""
        return None if self.recipe is None else self.recipe.effective

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on the text; ERROR where something went wrong; None where it was not judged."""
        if self.error:
            return Verdict.ERROR
        return None if self.judgement is None else self.judgement.verdict

    @property
    def passes(self) -> bool:
        """True where text and, where it gates, latency passed, or were accepted by `--qil-update` in this run.

        A point that was not judged does not hold; with random weights latency alone is judged.
        """
        latency = self.latency
        if self.error or latency is None:
            return False
        text = self.judgement is None or self.golden_recorded or self.judgement.verdict is Verdict.PASS
        return text and (not latency.gates or latency.verdict is Verdict.PASS or self.latency_recorded)


@dataclass(frozen=True, kw_only=True)
class Run(Setup):
    """One session's results, read back from `runs/<id>/`."""

    id: str
    path: Path
    state: RunState
    #: ISO 8601 with offset.
    started: str
    finished: str | None
    #: exit status of the session; None where it never ended.
    exit_status: int | None
    #: one for each point that was begun, in the order of `planned`.
    results: tuple[CaseResult, ...]
    #: what is wrong with the run or the session, for a person: a quarantined image, a truncated last line,
    #: goldens that nobody used.
    problems: tuple[str, ...] = ()

    def case(self, case_id: str) -> Case:
        """Return the case of that id as it was in this run. Raises KeyError."""
        return {case.id: case for case in self.cases}[case_id]

    def variant(self, name: str) -> Variant:
        """Return the variant of that name as it was in this run. Raises KeyError."""
        return {variant.name: variant for variant in self.variants}[name]

    def result(self, sample_id: str) -> CaseResult | None:
        """Return the result of the point with that id, None where the run did not begin it."""
        return next((result for result in self.results if result.id == sample_id), None)
