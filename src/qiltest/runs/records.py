"""The records of a run, as it is read back. Nothing here needs torch or a reader."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from qiltest.elsewhere.records import ELSEWHERE
from qiltest.gate.golden import Golden
from qiltest.gate.latency import Cohort, LatencyJudgement
from qiltest.gate.verdict import Judgement, Verdict
from qiltest.generation.records import LatentStats, Timing
from qiltest.generation.sources import is_embedded
from qiltest.quality.change import Change
from qiltest.quality.records import Health
from qiltest.reading.records import ReaderInfo, Reading
from qiltest.recipe import Recipe, Size
from qiltest.scoring.records import Score
from qiltest.spans import Span
from qiltest.suite.cases import Case
from qiltest.suite.selection import Sample
from qiltest.suite.variants import ModelKind, Variant


class RunState(StrEnum):
    """How a run ended."""

    #: ended by itself, whatever the verdicts.
    FINISHED = "finished"
    #: stopped by Ctrl-C, `-x` or an error of the session; its images are good.
    INTERRUPTED = "interrupted"
    #: no end was written: the process was killed or is still running.
    UNFINISHED = "unfinished"


class Purpose(StrEnum):
    """Why a run generated its images: only runs of the suite are a series, and `latest` is one of them."""

    #: to be compared with goldens.
    SUITE = "suite"
    #: to decide whether a candidate LoRA may replace a variant, or a folder of images another one.
    CHECK = "check"
    #: to see whether the same images come out again.
    STABILITY = "stability"


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """A stored image; its bytes were checked when the run was loaded."""

    path: Path
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Shards:
    """Parts of a session that several runners share (`--qil-shard`)."""

    #: which parts, from 1: one of a session, several of merged runs.
    numbers: tuple[int, ...]
    #: how many there are.
    of: int
    #: all samples of the session, so that a part that is missing is missed.
    whole: tuple[Sample, ...]
    #: True where `whole` is every case, resolution, default variant and seed of the suite.
    full: bool

    @property
    def missing(self) -> tuple[int, ...]:
        """The parts that are not here."""
        return tuple(sorted(set(range(1, self.of + 1)) - set(self.numbers)))


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a session will generate, and with what: part of the first event of a run and of the run."""

    command: tuple[str, ...]
    qiltest_version: str
    model: str
    #: device type, "cpu" or "cuda".
    device: str
    #: name of the device.
    device_name: str
    #: (package, version), sorted.
    versions: tuple[tuple[str, str], ...]
    reader: ReaderInfo
    #: copies of the cases and variants, so that a run can be read without their files.
    cases: tuple[Case, ...]
    variants: tuple[Variant, ...]
    #: all samples, in the order of generation.
    planned: tuple[Sample, ...]
    #: True for every case, resolution, default variant and seed of the suite.
    full: bool
    #: None for a session that is not shared by several runners, and for runs merged from all its parts.
    shards: Shards | None = None
    #: id of the run whose images were read again, "" for a run that generated.
    rescored_from: str = ""
    #: what could not be checked or is unusual of the whole session; nothing is wrong.
    notes: tuple[str, ...] = ()
    purpose: Purpose = Purpose.SUITE
    #: of the repository that holds the cases: the commit's hash, with `-dirty` behind it; "" where there is none.
    commit: str = ""
    #: version of the GPU's driver; "" without a GPU, or where it is not known.
    driver: str = ""
    #: whose sizes and limits its images have; None in runs of before images could be made elsewhere.
    kind: ModelKind | None = None

    @property
    def is_tiny(self) -> bool:
        """True where the images are an embedded model's, whatever made them."""
        return is_embedded(self.model) if self.kind is None else self.kind is ModelKind.TINY

    @property
    def made_elsewhere(self) -> bool:
        """True where the images are those of a folder, so that nothing was generated or timed."""
        return self.model.startswith(f"{ELSEWHERE}/")


@dataclass(frozen=True, kw_only=True)
class MadeOn:
    """The worker that generated an image (`--qil-workers`, `--qil-cluster`)."""

    #: from 1.
    worker: int
    host: str
    #: UUID of its GPU, "" for none.
    gpu: str = ""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """How an image was made: part of its event and of its result, where a field is None until it is generated."""

    recipe: Recipe | None = None
    timing: Timing | None = None
    latents: LatentStats | None = None
    cohort: Cohort | None = None
    #: id of the run that generated the image, "" for this run.
    reused_from: str = ""
    #: seconds that the manifest of an image made elsewhere tells; of what, nobody knows.
    told_seconds: float | None = None
    #: None where the session's own process generated it.
    made_on: MadeOn | None = None
    #: SHA-256 of an edit's input images as the run stores them (PNG, RGB), in order.
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of reading, scoring and judging an image: part of its event and of its result.

    A field is None or empty if the run did not get that far.
    """

    #: None, with score and judgement, where the model's text is not judged (random weights).
    reading: Reading | None = None
    score: Score | None = None
    judgement: Judgement | None = None
    latency: LatencyJudgement | None = None
    #: the golden it was compared with; None where there was none.
    golden: Golden | None = None
    #: True if this run wrote the golden (`--qil-update`).
    golden_recorded: bool = False
    #: True if this run wrote the cohort's latency golden.
    latency_recorded: bool = False
    #: image quality; None where it was not measured (random weights, older runs).
    health: Health | None = None
    #: id of the run that read the image, "" for this run.
    read_in: str = ""
    #: what an edit changed outside the texts that it was to change; None for text-to-image.
    change: Change | None = None


def shared(record: object, base: type[Setup | Origin | Outcome]) -> dict[str, Any]:
    """Return the fields of a record that come from `base`, to pass them to another record of that base."""
    return {field.name: getattr(record, field.name) for field in fields(base)}


@dataclass(frozen=True, kw_only=True)
class CaseResult(Outcome, Origin):
    """The result of one sample. A field is None or empty if the run did not get that far."""

    sample: Sample
    image: StoredImage | None = None
    #: the input images of an edit, in order.
    before: tuple[StoredImage, ...] = ()
    #: what went wrong, "" where nothing did. With an error the verdict is ERROR.
    error: str = ""
    #: what else to report, such as a retry after a lost device.
    notes: tuple[str, ...] = ()
    #: True where the run holds more than was kept in memory: recipe, timing, reading, golden and the texts of the score
    #: were left out (`qiltest.runs.room`); the verdict and its numbers are there.
    brief: bool = False

    @property
    def id(self) -> str:
        """Name of the sample."""
        return self.sample.id

    @property
    def asked(self) -> Size | None:
        """Size requested, in pixels; for the embedded model the case's small size."""
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
    def not_checked(self) -> tuple[str, ...]:
        """What decides the image and was not checked (`Recipe.not_checked`): of an image that a server made."""
        return () if self.recipe is None else self.recipe.not_checked

    @property
    def passes(self) -> bool:
        """True if text and, where it gates, latency passed or were accepted by `--qil-update` in this run.

        A sample that was not judged does not pass; with random weights only latency is judged.
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
    #: one for each sample that was begun, in the order of `planned`.
    results: tuple[CaseResult, ...]
    #: what is wrong with the run or the session, such as a quarantined image or an unused golden.
    problems: tuple[str, ...] = ()
    #: where the session's time went; empty for runs before there were any, killed ones and merged ones.
    spans: tuple[Span, ...] = ()

    @property
    def not_checked(self) -> tuple[str, ...]:
        """What decides one of its images and was not checked (`CaseResult.not_checked`)."""
        return tuple(dict.fromkeys(name for result in self.results for name in result.not_checked))

    @property
    def refused(self) -> bool:
        """True where the session ended before it began any image: its problems say why."""
        return not self.results and self.exit_status not in {0, None}

    def case(self, case_id: str) -> Case:
        """Return the run's copy of a case. Raises KeyError."""
        return self._cases_by_id[case_id]

    def variant(self, name: str) -> Variant:
        """Return the run's copy of a variant. Raises KeyError."""
        return self._variants_by_name[name]

    def result(self, sample_id: str) -> CaseResult | None:
        """Return the result of a sample, None where the run did not begin it."""
        return self._results_by_id.get(sample_id)

    @cached_property
    def _cases_by_id(self) -> dict[str, Case]:
        return {case.id: case for case in self.cases}

    @cached_property
    def _variants_by_name(self) -> dict[str, Variant]:
        return {variant.name: variant for variant in self.variants}

    @cached_property
    def _results_by_id(self) -> dict[str, CaseResult]:
        return {result.id: result for result in reversed(self.results)}
