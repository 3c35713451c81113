"""Builds the view of one image from its result."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from qiltest.gate.golden import GoldenText
from qiltest.gate.verdict import Verdict
from qiltest.report.changes import Change
from qiltest.report.commands import commands_for
from qiltest.report.earlier import FindImage, earlier
from qiltest.report.edits import edit_sentences
from qiltest.report.extent import shortened
from qiltest.report.geometry import bounds
from qiltest.report.image_view import ImageView, TextView
from qiltest.report.since import text_since
from qiltest.runs.records import CaseResult, Run
from qiltest.runs.status import status_of
from qiltest.runs.store import RunStore
from qiltest.scoring.records import TextScore
from qiltest.suite.cases import Case
from qiltest.text.escape import one_line
from qiltest.text.format import count
from qiltest.text.normalise import normalise


def cell_of(
    run: Run,
    result: CaseResult,
    anchor: str,
    *,
    previous: Run | None = None,
    speed_up: float | None = None,
    change: Change | None = None,
    find_image: FindImage | None = None,
    golden_folders: Sequence[Path] = (),
) -> ImageView:
    """Return the view of one image of a run; it is compared with `previous`, else with its golden.

    `find_image` gives the file of an image by its SHA-256; small copies of goldens' images lie in `golden_folders`.
    """
    result = shortened(result)
    size = result.effective or result.sample.size
    reading = result.reading
    return ImageView(
        anchor=anchor,
        result=result,
        variant=run.variant(result.sample.variant),
        status=status_of(result),
        reasons=_reasons(result),
        change=change,
        texts=_texts(result, run.case(result.sample.case)),
        extent=(size.width, size.height) if reading is None else (reading.width, reading.height),
        speed_up=speed_up,
        before=earlier(result, previous, find_image or RunStore(root=run.path.parent).find_image, golden_folders),
        commands=commands_for(run, result),
    )


def _reasons(result: CaseResult) -> tuple[str, ...]:
    judged = () if result.judgement is None else result.judgement.reasons
    latency = result.latency
    slow = latency.reasons if latency and latency.gates and latency.verdict is not Verdict.PASS else ()
    accepted = "accepted: this run recorded it as the golden" if result.golden_recorded else ""
    return tuple(filter(None, (result.error, accepted, *judged, *slow)))


def _texts(result: CaseResult, case: Case) -> tuple[TextView, ...]:
    if result.score is None:
        return ()
    lines = () if result.reading is None else result.reading.lines
    before = () if result.golden is None else result.golden.texts
    return tuple(
        TextView(
            number=number,
            score=score,
            sentences=_sentences(score),
            golden_read=_golden_read(score, old),
            new_beside=_new_beside(score, old),
            box=bounds(lines[index].box for index in score.lines if 0 <= index < len(lines)),
            since=text_since(score, result.golden, result.score.reader.fingerprint, number, case),
        )
        for number, (score, old) in enumerate(zip_longest(result.score.texts, before[: len(result.score.texts)]))
    )


def _sentences(score: TextScore) -> tuple[str, ...]:
    if not score.read:
        shown = f"“{one_line(score.expected, 60)}” was not read"
        return (shown if score.distance else f"{shown}, which the case allows",)
    if score.distance and not score.edits:
        return (f"{count(score.distance, 'edit')} in a text that is too long to be shown",)
    return edit_sentences(score)


def _golden_read(score: TextScore, old: GoldenText | None) -> str | None:
    """Return what the golden read for the same expected text, where that differs."""
    if old is None or old.expected != score.expected or old.read == score.read:
        return None
    return None if normalise(old.read) == normalise(score.read) else old.read


def _new_beside(score: TextScore, old: GoldenText | None) -> tuple[str, ...]:
    """Return what stands beside a text and did not where the golden of the same text was read."""
    if old is None or old.expected != score.expected:
        return ()
    return tuple(text for text in score.beside if text not in old.beside)
