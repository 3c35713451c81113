"""The report as JSON, for machines; its schema is `report-1.schema.json` beside this module.

The models below are the schema; a test compares the file with them. Texts are as read, so treat them as hostile; only
lone surrogates, which JSON readers may refuse, are replaced.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from qiltest.gate.verdict import Verdict
from qiltest.quality import Fault, symptoms
from qiltest.report.benchmarks import image_counts
from qiltest.report.changes import ChangeKind
from qiltest.report.html.page import href
from qiltest.report.image_view import ImageView
from qiltest.report.published import Finding, ReportMark
from qiltest.report.since import Since
from qiltest.report.view import RunView, view
from qiltest.runs.records import Run
from qiltest.runs.status import Status
from qiltest.runs.streaks import Standing
from qiltest.scoring.benchmarks import Language, benchmark_scores
from qiltest.scoring.records import EditKind, ExtraKind
from qiltest.text.escape import without_surrogates

#: images of one report; a page shows fewer.
MOST_IN_JSON = 5_000
SCHEMA_NAME = "qiltest-report-1"
SCHEMA_FILE = Path(__file__).with_name("report-1.schema.json")


def _clean(value: Any) -> Any:  # noqa: ANN401 - any value of a record
    """Replace lone surrogates in all texts of a value."""
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list | tuple) else value


#: a text from a prompt, an image or a file.
Text = Annotated[str, BeforeValidator(_clean)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants", from_attributes=True)


_M = TypeVar("_M", bound=_Model)


class EditModel(_Model):
    """One edit; `position` counts characters of the normalised expected text from 0."""

    kind: EditKind
    position: int = Field(ge=0)
    expected: Text
    read: Text
    look_alike: Text
    counted: bool


class BrokenCharacterModel(_Model):
    """A character that was read as expected, and whose strokes are broken; it is no edit."""

    char: Text
    position: int = Field(ge=0, description="in the normalised expected text without optional marks, from 0")
    line: int = Field(ge=0, description="of the reading")
    index: int = Field(ge=0, description="of the character in the line as read")
    log_odds: float
    place: tuple[float, float] = Field(description="approximate, in pixels")


class TextModel(_Model):
    """One expected text and what was read for it."""

    expected: Text
    read: Text
    golden_read: Text | None = Field(description="what the golden read here; null where it is the same")
    since: Since | None = Field(description="how its errors stand to the golden's; null where that is not known")
    required: bool
    kept: bool = Field(description="a text of an edit's input that must stay")
    distance: int = Field(ge=0)
    distance_alnum: int = Field(ge=0)
    length: int = Field(ge=0)
    edits: tuple[EditModel, ...]
    layout: tuple[Text, ...]
    beside: tuple[Text, ...] = Field(description="other text in its line, before and after it; not counted")
    strokes: Text = Field(
        description="a mark per character: . whole, ? in doubt, x broken, - not judged; empty: none was judged"
    )
    broken: tuple[BrokenCharacterModel, ...]


class GoneModel(_Model):
    """One text that an edit had to remove."""

    expected: Text
    read: Text = Field(description="what is still read of it; empty where it is gone")
    distance: int = Field(ge=0, description="characters of it that are still read")
    length: int = Field(ge=0)


class BoxModel(_Model):
    """A part of an image, in shares of its sides from the top left corner."""

    left: float
    top: float
    right: float
    bottom: float


class ChangeModel(_Model):
    """What an edit changed outside the texts that it was to change; docs/reference/edits.md explains the measure."""

    version: int = Field(description="of the measure; values of two versions are not compared")
    share: float = Field(description="of the compared blocks that changed")
    patch: float = Field(description="the largest patch of changed blocks, as a share of the image")
    compared: float = Field(description="share of the image that was compared")
    right: float
    down: float
    scale: float
    colour: float = Field(description="shift of all colours, CIE Lab units; taken back before blocks are compared")
    layout: float | None = Field(
        description="correlation of the colours of 8 x 8 cells, -1 to 1; null where it is not defined: of one colour"
    )
    may_change: tuple[BoxModel, ...]
    blocks: tuple[Text, ...] = Field(description="rows of blocks: . unchanged, # changed, a space: may change")


class ExtraModel(_Model):
    """Text in the image that the prompt did not ask for."""

    text: Text
    kind: ExtraKind
    of: Text
    distance: int = Field(ge=0)


class LatencyModel(_Model):
    """The denoise loop alone, in seconds; of a server's image what `kind` says."""

    denoise_seconds: float
    loops: int = Field(description="timed loops of the image, of which this is the median one; 0: not told")
    kind: Text = Field(description="what was timed: loop; of a server diffuse, request (its whole work) or wall")
    concurrency: int = Field(description="requests in flight at once, of a server")
    decode_seconds: float
    step_seconds: tuple[float, ...]
    forwards: int = Field(description="0 where a server made the image: it does not tell")
    speed_up: float | None = Field(
        description="the base variant's denoise time over this one's, for the same case, size and seed"
    )
    verdict: Verdict | None
    golden_seconds: float | None
    limit_seconds: float | None
    gates: bool


class SymptomModel(_Model):
    """A fault that an image shows."""

    fault: Fault
    gates: bool = Field(description='true for a fault that fails an image, unless its case says `quality = "report"`')
    message: Text


class SceneModel(_Model):
    """What the image is like outside its text; docs/reference/quality.md explains the measures."""

    version: int = Field(description="of the measures; scenes of two versions are not compared")
    text: float = Field(description="share of the image that text covers")
    structure: tuple[float | None, ...] = Field(description="grey levels, fine to coarse; null: too little is left")
    cells: tuple[Text, ...] = Field(
        description="8 rows of 8 cells: CIE Lab and texture, a byte each in hexadecimal; hyphens where text covers it"
    )


class HealthModel(_Model):
    """Measures of image quality; docs/reference/quality.md explains them and their limits."""

    version: int = Field(description="of the measures; values of two versions are not compared")
    spread: float = Field(description="largest standard deviation of a channel, 8-bit units")
    noise_fine: float = Field(description="in periods of 2 to 4 pixels, grey levels")
    noise_coarse: float = Field(description="in periods of 4 to 8 pixels, grey levels")
    grid_latent: float = Field(description="pattern with a period of 8 pixels, grey levels")
    grid_patch: float = Field(description="pattern with a period of 16 pixels, grey levels")
    blur: float | None = Field(description="width of the sharpest edges, pixels; null without edges")
    clipped: float = Field(description="share of channel values at 0 or 255")
    saturation: float = Field(description="mean chroma, share of 255")
    halo: float | None = Field(description="overshoot beside edges, share of their rise; null without such edges")
    detail: float | None = Field(description="fine detail outside text, per cent of the contrast; null: not measured")
    specks: float | None = Field(description="in the flattest parts outside text, grey levels; null: not measured")
    scene: SceneModel | None = Field(description="outside the text; null: not measured")
    symptoms: tuple[SymptomModel, ...] = Field(description="measures beyond their limit, gating faults first")


class LongTextModel(_Model):
    """LongText-Bench's score; docs/reference/benchmarks.md says what is comparable."""

    text_accuracy: float = Field(description="share of the expected words or Chinese characters that were read")


class OneIGModel(_Model):
    """OneIG-Bench's text score and its parts."""

    edit_distance: float = Field(description="mean over the images, in characters, of all text read")
    completion_rate: float = Field(description="share of images without an edit")
    word_accuracy: float = Field(description="share of the expected words or Chinese characters that were read")
    text_score: float = Field(description="the three as one number, 0 to 1")


class BenchmarksModel(_Model):
    """Scores by the formulas of published benchmarks; they never gate."""

    language: Language = Field(description="zh where a Chinese character is expected: characters count, not words")
    longtext: LongTextModel
    oneig: OneIGModel


class VariantBenchmarksModel(BenchmarksModel):
    """Scores of all images of a variant in one language."""

    variant: Text
    images: int
    not_read: int = Field(description="images of the variant without a reading, which are in no score")


class StrokesModel(_Model):
    """Characters read as expected of which the glyph network judged the strokes."""

    broken: int = Field(ge=0)
    judged: int = Field(ge=0)


class ImageStrokesModel(StrokesModel):
    """Broken strokes of an image."""

    glyphs: Text = Field(description="fingerprint of the network; log-odds of two are never compared")


class VariantStrokesModel(StrokesModel):
    """Broken strokes of all images of a variant."""

    variant: Text
    images: int = Field(description="with a character that was judged")
    touched: int = Field(description="of these, with a broken one")


class ImageModel(_Model):
    """One image of the grid case x resolution x variant x seed."""

    id: Text
    case: Text
    size: Text
    effective: Text | None
    variant: Text
    seed: int
    round: int = Field(description="of a repeated edit, from 1")
    status: Status = Field(description="the worse of the verdicts on text and, where it gates, latency")
    verdict: Verdict | None = Field(description="the verdict on the text; null where the image was not judged")
    reasons: tuple[Text, ...]
    not_checked: tuple[Text, ...] = Field(
        description="what decides the image and was not checked; empty where this process generated it"
    )
    change: ChangeKind | None
    distance: int | None
    distance_alnum: int | None
    length: int | None
    limit: int | None
    golden_distance: int | None
    noise_floor: float | None
    texts: tuple[TextModel, ...]
    extra: tuple[ExtraModel, ...]
    gone: tuple[GoneModel, ...] = Field(description="texts that an edit had to remove")
    rest: ChangeModel | None = Field(description="what an edit changed besides; null for text-to-image")
    inputs: tuple[Text, ...] = Field(description="addresses of an edit's input images, as `image`")
    told_seconds: float | None = Field(
        description="seconds that the manifest of an image made elsewhere tells, of what nobody knows; never compared"
    )
    latency: LatencyModel | None
    health: HealthModel | None = Field(description="null where the image was not measured")
    strokes: ImageStrokesModel | None = Field(description="null where no character was judged")
    benchmarks: BenchmarksModel | None = Field(
        description="null where the image was not read, or nothing expected is counted by the benchmarks"
    )
    image: Text | None = Field(description="address of the PNG, relative to the report's folder")
    image_sha256: Text | None
    recipe: Text | None = Field(description="the recipe's key")


class MomentModel(_Model):
    """A recorded run."""

    run: Text
    started: Text


class StreakModel(_Model):
    """Since when an image does not pass."""

    sample: Text
    standing: Standing
    runs: int = Field(ge=0, description="in a row that did not pass; where it is fixed, before this run")
    first_bad: MomentModel | None
    last_good: MomentModel | None
    changed: tuple[Text, ...] = Field(description="between the last good and the first bad run, or since the last bad")
    flips: int = Field(ge=0, description="between passing and failing, with recipe, reader and golden the same")
    seen: int = Field(ge=0, description="recorded runs in which the flips were counted")


class PublishedModel(_Model):
    """The published report compared with the run."""

    findings: tuple[Finding, ...] = Field(description="its claims, each answered by a test over the seeds drawn")
    verdicts: tuple[ReportMark, ...] = Field(description="its marks on single images; images without one are left out")


class BesideModel(_Model):
    """A kind of work that went on at the same time."""

    name: Text
    seconds: float = Field(ge=0)


class StageModel(_Model):
    """All work of one kind in a session; times are seconds since the command began."""

    name: Text
    times: int = Field(ge=1, description="pieces of work")
    start: float = Field(ge=0, description="of the first piece")
    end: float = Field(ge=0, description="of the last piece")
    seconds: float = Field(ge=0, description="in which at least one piece was going on")
    alone: float = Field(ge=0, description="in which nothing else was")
    beside: tuple[BesideModel, ...] = Field(description="the kinds that it ran beside longest")


class TimelineModel(_Model):
    """Where the time of the run's session went."""

    wall: float = Field(ge=0, description="seconds from the command to the end of the last piece of work")
    first_image: float | None = Field(description="seconds from the command to the first decoded image")
    unrecorded: float = Field(ge=0, description="seconds in which no work was recorded")
    stages: tuple[StageModel, ...]
    left_out: int = Field(ge=0, description="kinds of little time that are not listed")


class ReportModel(_Model):
    """The report of one run."""

    schema_name: Literal["qiltest-report-1"] = Field(alias="schema")
    run: Text
    state: Text
    started: Text
    finished: Text | None
    exit_status: int | None
    model: Text
    device: Text
    device_name: Text
    reader: Text = Field(description="fingerprint; distances of two readers are never compared")
    versions: dict[Text, Text]
    commit: Text = Field(description="of the repository with the cases; empty where it is not known")
    driver: Text = Field(description="of the GPU; empty where there is none")
    status: Status
    headline: Text
    counts: dict[Status, int]
    compared_with: Text
    not_compared: Text = Field(description="why nothing was compared; empty where the run was compared")
    problems: tuple[Text, ...]
    notes: tuple[Text, ...] = Field(description="what could not be checked or is unusual; nothing is wrong")
    since_when: tuple[StreakModel, ...] = Field(description="of images that do not pass, or did not in the run before")
    images: tuple[ImageModel, ...] = Field(description="worst first")
    strokes: tuple[VariantStrokesModel, ...] = Field(description="broken ones by variant")
    benchmarks: tuple[VariantBenchmarksModel, ...] = Field(description="beside published benchmarks; never gating")
    published: PublishedModel | None = Field(
        default=None, description="only where the run has a case with a `report_table`"
    )
    timeline: TimelineModel | None = Field(default=None, description="only where the run tells where its time went")


def schema() -> dict[str, Any]:
    """Return the JSON schema of the report."""
    made = ReportModel.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:qiltest:{SCHEMA_NAME}", **made}


def render_json(page: RunView, folder: Path) -> str:
    """Return the report for a file in `folder`, in ASCII so that no text in it can act on a terminal.

    Raises ValueError for a number that is not finite.
    """
    return json.dumps(_values(page, folder), allow_nan=False, ensure_ascii=True, indent=1) + "\n"


def report_json(run: Run, folder: Path, *, previous: Run | None = None) -> dict[str, Any]:
    """Return the report as JSON values; images are linked from `folder`."""
    return _values(view(run, previous, most=MOST_IN_JSON), folder)


def _values(page: RunView, folder: Path) -> dict[str, Any]:
    left_out = {name for name in ("published", "timeline") if getattr(page, name) is None} or None
    return _report(page, folder).model_dump(mode="json", by_alias=True, exclude=left_out)


def _filled(model: type[_M], *records: object, **own: object) -> _M:
    """Fill a model from `own` and from the attributes of the records, the first that has one; None where none has."""
    names = [name for name, field in model.model_fields.items() if (field.alias or name) not in own]
    found = {n: next((getattr(record, n) for record in records if hasattr(record, n)), None) for n in names}
    return model.model_validate(found | own)


def _report(page: RunView, folder: Path) -> ReportModel:
    run, published = page.run, page.published
    return _filled(
        ReportModel,
        page,
        run,
        schema=SCHEMA_NAME,
        run=run.id,
        reader=run.reader.fingerprint,
        versions=dict(run.versions),
        counts=dict(page.counts),
        compared_with=page.changes.against,
        not_compared=page.changes.refused,
        problems=page.notes,
        notes=page.remarks,
        since_when=tuple(_clean(asdict(streak)) for streak in page.since_when),
        images=tuple(_image(run, cell, folder) for cell in page.worst_first),
        strokes=tuple(_filled(VariantStrokesModel, item) for item in page.strokes),
        benchmarks=tuple(_filled(VariantBenchmarksModel, item, item.score) for item in page.benchmarks),
        published=published
        and {
            "findings": [_clean(asdict(finding)) for finding in published.findings],
            "verdicts": [_clean(asdict(mark)) for mark in published.marks],
        },
    )


def _image(run: Run, cell: ImageView, folder: Path) -> ImageModel:
    result, score, image = cell.result, cell.score, cell.result.image
    return _filled(
        ImageModel,
        score,
        result.judgement,
        result.sample,
        result,
        cell,
        size=str(result.sample.size),
        effective=result.effective and str(result.effective),
        verdict=result.verdict,
        change=cell.change and cell.change.kind,
        reasons=cell.reasons,
        texts=tuple(_filled(TextModel, text.score, text, since=text.since or None) for text in cell.texts),
        extra=() if score is None else score.extra,
        gone=() if score is None else score.gone,
        rest=result.change,
        inputs=tuple(href(each.path, folder) for each in result.before),
        latency=_latency(cell),
        health=result.health and {**asdict(result.health), "symptoms": symptoms(result.health)},
        strokes=None if score is None or not score.judged else _filled(ImageStrokesModel, score),
        benchmarks=next(iter(benchmark_scores(filter(None, (image_counts(run, result),)))), None),
        image=image and href(image.path, folder),
        image_sha256=image and image.sha256,
        recipe=result.recipe and result.recipe.key(),
    )


def _latency(cell: ImageView) -> LatencyModel | None:
    timing, latency = cell.result.timing, cell.result.latency
    if timing is None:
        return None
    gates = latency is not None and latency.gates
    return _filled(LatencyModel, timing, latency, speed_up=cell.speed_up, gates=gates)
