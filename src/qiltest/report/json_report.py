"""The report for machines: JSON that keeps to a schema, `report-1.schema.json` beside this module.

The models below are the schema; a test holds the file against them. Texts are as read, so a reader of the
file must treat them as hostile; only lone surrogates, which no JSON reader need accept, are replaced.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from qiltest.files import write_atomically
from qiltest.gate.verdict import Verdict
from qiltest.quality import Fault, Health, symptoms
from qiltest.report.changes import ChangeKind
from qiltest.report.html.page import href
from qiltest.report.image_view import ImageView, TextView
from qiltest.report.published import Finding, Published, ReportMark
from qiltest.report.view import RunView, view
from qiltest.runs.records import Run
from qiltest.runs.status import Status
from qiltest.scoring.records import EditKind, ExtraKind
from qiltest.text.escape import without_surrogates

SCHEMA_NAME = "qiltest-report-1"
SCHEMA_FILE = Path(__file__).with_name("report-1.schema.json")


def _clean(value: Any) -> Any:  # noqa: ANN401 - whatever stands in a record
    """Return a value with lone surrogates in its texts replaced, however deep they are."""
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list | tuple) else value


#: text that somebody else chose.
Text = Annotated[str, BeforeValidator(_clean)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants", from_attributes=True)


class EditModel(_Model):
    """One edit; `position` counts characters of the normalised expected text from 0."""

    kind: EditKind
    position: int = Field(ge=0)
    expected: Text
    read: Text
    look_alike: Text
    counted: bool


class TextModel(_Model):
    """One expected text and what was read for it."""

    expected: Text
    read: Text
    golden_read: Text | None = Field(description="what the golden read here, where that was something else")
    required: bool
    distance: int = Field(ge=0)
    distance_alnum: int = Field(ge=0)
    length: int = Field(ge=0)
    edits: tuple[EditModel, ...]
    layout: tuple[Text, ...]


class ExtraModel(_Model):
    """Text that nobody asked for."""

    text: Text
    kind: ExtraKind
    of: Text
    distance: int = Field(ge=0)


class LatencyModel(_Model):
    """The denoise loop alone, in seconds."""

    denoise_seconds: float
    decode_seconds: float
    step_seconds: tuple[float, ...]
    forwards: int
    speed_up: float | None = Field(description="times faster than the base variant on the same case, size and seed")
    verdict: Verdict | None
    golden_seconds: float | None
    limit_seconds: float | None
    gates: bool


class SymptomModel(_Model):
    """A fault that an image shows."""

    fault: Fault
    gates: bool = Field(description='a case may say `health = "report"`; its images hold all the same')
    message: Text


class HealthModel(_Model):
    """The image itself, beside its text; docs/reference/quality.md has the measures and their limits."""

    version: int = Field(description="of the measures; figures of two versions are not compared")
    spread: float = Field(description="largest standard deviation of a channel, 8-bit units")
    noise_fine: float = Field(description="in periods of 2 to 4 pixels, grey levels")
    noise_coarse: float = Field(description="in periods of 4 to 8 pixels, grey levels")
    grid_latent: float = Field(description="what repeats with 8 pixels, grey levels")
    grid_patch: float = Field(description="what repeats with 16 pixels, grey levels")
    blur: float | None = Field(description="width of the sharpest edges, pixels; null without edges")
    clipped: float = Field(description="share of channel values at 0 or 255")
    saturation: float = Field(description="mean chroma, share of 255")
    halo: float | None = Field(description="overshoot beside edges, share of their rise; null where none was seen")
    detail: float | None = Field(description="fine detail outside text, per cent of the contrast; null: not measured")
    specks: float | None = Field(description="in the flattest parts outside text, grey levels; null: not measured")
    symptoms: tuple[SymptomModel, ...] = Field(description="what is beyond its limit, gating faults first")


class ImageModel(_Model):
    """One image of the grid case x resolution x variant x seed."""

    id: Text
    case: Text
    size: Text
    effective: Text | None
    variant: Text
    seed: int
    status: Status = Field(description="the worse of the text's verdict and, where latency gates, the latency's")
    verdict: Verdict | None = Field(description="the verdict on the text; null where the image was not judged")
    reasons: tuple[Text, ...]
    change: ChangeKind | None
    distance: int | None
    distance_alnum: int | None
    length: int | None
    limit: int | None
    golden_distance: int | None
    noise_floor: float | None
    texts: tuple[TextModel, ...]
    extra: tuple[ExtraModel, ...]
    latency: LatencyModel | None
    health: HealthModel | None = Field(description="null where the image was not measured")
    image: Text | None = Field(description="address of the PNG, relative to the report's folder")
    image_sha256: Text | None
    recipe: Text | None = Field(description="the recipe's key")


class PublishedModel(_Model):
    """The published report held against the run."""

    findings: tuple[Finding, ...]
    verdicts: tuple[ReportMark, ...]


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
    status: Status
    headline: Text
    counts: dict[Status, int]
    compared_with: Text
    not_compared: Text = Field(description="why nothing was compared; empty where something was")
    problems: tuple[Text, ...]
    images: tuple[ImageModel, ...] = Field(description="worst first")
    published: PublishedModel | None = Field(
        default=None, description="only where the run has a case with a `report_table`"
    )


def schema() -> dict[str, Any]:
    """Return the JSON schema of the report."""
    made = ReportModel.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:qiltest:{SCHEMA_NAME}", **made}


def write_json(run: Run, path: Path, *, previous: Run | None = None) -> None:
    """Write the report of a run as JSON. Raises ValueError for a number that is not finite."""
    write_atomically(path, (dump(report_json(run, path.parent, previous=previous)) + "\n").encode("ascii"))


def report_json(run: Run, folder: Path, *, previous: Run | None = None) -> dict[str, Any]:
    """Return the report as JSON values; images are addressed from `folder`."""
    page = view(run, previous)
    left_out = {"published"} if page.published is None else None
    return _report(page, folder).model_dump(mode="json", by_alias=True, exclude=left_out)


def dump(values: dict[str, Any]) -> str:
    """Return JSON in ASCII, so that nothing in it can act on a terminal or break a line."""
    return json.dumps(values, allow_nan=False, ensure_ascii=True, indent=1)


def _report(page: RunView, folder: Path) -> ReportModel:
    run = page.run
    return ReportModel(
        schema="qiltest-report-1",
        run=run.id,
        state=run.state.value,
        started=run.started,
        finished=run.finished,
        exit_status=run.exit_status,
        model=run.model,
        device=run.device,
        device_name=run.device_name,
        reader=run.reader.fingerprint,
        versions=dict(run.versions),
        status=page.status,
        headline=page.headline,
        counts=dict(page.counts),
        compared_with=page.changes.against,
        not_compared=page.changes.refused,
        problems=page.said,
        images=tuple(_image(cell, folder) for cell in page.worst_first),
        published=None if page.published is None else _published(page.published),
    )


def _image(cell: ImageView, folder: Path) -> ImageModel:
    result, score, judgement = cell.result, cell.score, cell.result.judgement
    extras = () if score is None else score.extra
    return ImageModel(
        id=result.id,
        case=result.sample.case,
        size=str(result.sample.size),
        effective=None if result.effective is None else str(result.effective),
        variant=result.sample.variant,
        seed=result.sample.seed,
        status=cell.status,
        verdict=result.verdict,
        reasons=cell.reasons,
        change=None if cell.change is None else cell.change.kind,
        distance=None if score is None else score.distance,
        distance_alnum=None if score is None else score.distance_alnum,
        length=None if score is None else score.length,
        limit=None if judgement is None else judgement.limit,
        golden_distance=None if judgement is None else judgement.golden_distance,
        noise_floor=None if judgement is None else judgement.noise_floor,
        texts=tuple(map(_text, cell.texts)),
        extra=tuple(map(ExtraModel.model_validate, extras)),
        latency=_latency(cell),
        health=_health(cell.result.health),
        image=None if result.image is None else href(result.image.path, folder),
        image_sha256=None if result.image is None else result.image.sha256,
        recipe=None if result.recipe is None else result.recipe.key(),
    )


def _text(text: TextView) -> TextModel:
    score = text.score
    return TextModel(
        expected=score.expected,
        read=score.read,
        golden_read=text.golden_read,
        required=score.required,
        distance=score.distance,
        distance_alnum=score.distance_alnum,
        length=score.length,
        edits=tuple(map(EditModel.model_validate, score.edits)),
        layout=score.layout,
    )


def _latency(cell: ImageView) -> LatencyModel | None:
    timing, latency = cell.result.timing, cell.result.latency
    if timing is None:
        return None
    return LatencyModel(
        denoise_seconds=timing.denoise_seconds,
        decode_seconds=timing.decode_seconds,
        step_seconds=timing.step_seconds,
        forwards=timing.forwards,
        speed_up=cell.speed_up,
        verdict=None if latency is None else latency.verdict,
        golden_seconds=None if latency is None else latency.golden_seconds,
        limit_seconds=None if latency is None else latency.limit_seconds,
        gates=latency is not None and latency.gates,
    )


def _health(health: Health | None) -> HealthModel | None:
    if health is None:
        return None
    found = tuple(SymptomModel(fault=s.fault, gates=s.gates, message=s.message) for s in symptoms(health))
    return HealthModel(**asdict(health), symptoms=found)


def _published(found: Published) -> PublishedModel:
    return PublishedModel.model_validate(
        {
            "findings": [_clean(asdict(finding)) for finding in found.findings],
            "verdicts": [_clean(asdict(mark)) for mark in found.marks],
        }
    )
