"""Builds what a report shows of one image from its result."""

from __future__ import annotations

from pathlib import Path

from qiltest.gate.verdict import Verdict
from qiltest.report.changes import Change
from qiltest.report.edits import edit_sentences
from qiltest.report.geometry import bounds
from qiltest.report.image_view import ImageView, TextView
from qiltest.runs.records import CaseResult, Run
from qiltest.runs.status import status_of
from qiltest.runs.store import RunStore
from qiltest.scoring.records import TextScore
from qiltest.text.escape import one_line
from qiltest.text.normalise import normalise


def cell_of(
    run: Run,
    result: CaseResult,
    anchor: str,
    *,
    previous: Run | None = None,
    speed_up: float | None = None,
    change: Change | None = None,
) -> ImageView:
    """Return one image of a run; `previous` is the run that it is compared with, else its golden."""
    before, before_name = _before(run, result, previous)
    return ImageView(
        anchor=anchor,
        result=result,
        variant=run.variant(result.sample.variant),
        status=status_of(result),
        reasons=_reasons(result),
        change=change,
        texts=_texts(result),
        extent=_extent(result),
        speed_up=speed_up,
        before=before,
        before_name=before_name,
    )


def _before(run: Run, result: CaseResult, previous: Run | None) -> tuple[Path | None, str]:
    """Return the image that this one replaces, where it is stored and not the same, and what it is."""
    if previous is not None:
        old = previous.result(result.id)
        if old is not None and old.image is not None and old.image != result.image:
            return old.image.path, f"run {previous.id}"
        return None, ""
    golden, now = result.golden, result.image
    if golden is None or now is None or golden.image == now.sha256:
        return None, ""
    return RunStore(root=run.path.parent).find_image(golden.image), "golden"


def _reasons(result: CaseResult) -> tuple[str, ...]:
    judged = () if result.judgement is None else result.judgement.reasons
    latency: tuple[str, ...] = ()
    if result.latency is not None and result.latency.gates and result.latency.verdict is not Verdict.PASS:
        latency = result.latency.reasons
    accepted = "accepted: this run recorded it as the golden" if result.golden_recorded else ""
    return tuple(filter(None, (result.error, accepted, *judged, *latency)))


def _texts(result: CaseResult) -> tuple[TextView, ...]:
    if result.score is None:
        return ()
    lines = () if result.reading is None else result.reading.lines
    before = _golden_texts(result)
    out = []
    for number, score in enumerate(result.score.texts):
        boxes = [lines[index].box for index in score.lines if 0 <= index < len(lines)]
        old = before.get(number)
        out.append(
            TextView(
                number=number,
                score=score,
                sentences=_sentences(score),
                golden_read=None if old is None or normalise(old) == normalise(score.read) else old,
                box=bounds(boxes),
            )
        )
    return tuple(out)


def _sentences(score: TextScore) -> tuple[str, ...]:
    if not score.read:
        shown = f"“{one_line(score.expected, 60)}” was not read"
        return (shown,) if score.distance else (f"{shown}, which the case allows",)
    return edit_sentences(score)


def _golden_texts(result: CaseResult) -> dict[int, str]:
    """Return what the golden read, by number of the expected text, where the texts are still the same."""
    if result.golden is None or result.score is None:
        return {}
    pairs = enumerate(zip(result.golden.texts, result.score.texts, strict=False))
    return {number: old.read for number, (old, new) in pairs if old.expected == new.expected}


def _extent(result: CaseResult) -> tuple[int, int]:
    if result.reading is not None:
        return result.reading.width, result.reading.height
    size = result.effective or result.sample.size
    return size.width, size.height
