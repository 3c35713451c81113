"""The performance report again, as Markdown: its tables filled from a run, "report said" beside "measured"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from qiltest.files import write_atomically
from qiltest.published.findings import ReportMark
from qiltest.report.changes import Change, ChangeKind
from qiltest.report.diff import Mark, Span
from qiltest.report.html.page import href
from qiltest.report.image_view import Cell, TextView
from qiltest.report.view import CaseView, Row, RunView, view
from qiltest.runs.aggregate import by_variant, denoise_median, speed_ups, step_times, variant_rate
from qiltest.runs.records import Run
from qiltest.runs.status import Status
from qiltest.suite.variants import Variant
from qiltest.text.escape import markdown as md
from qiltest.text.format import count, number, percent, seconds, times

#: titles of the performance report's tables.
TABLES = {
    1: "Basic image generation",
    2: "Complex text rendering",
    3: "Fine detail: hair",
    4: "Scenes with many signs",
    5: "Variability",
    6: "Resolution impact",
}
_ICONS = {Status.PASS: "✅", Status.FAIL: "❌", Status.NEW: "🆕"}
_MARKS = {True: "✅", False: "❌"}
#: wrong texts that one cell of a table shows.
_SHOWN = 3
_PICTURE_WIDTH = 320


def write_markdown(run: Run, path: Path, *, previous: Run | None = None) -> None:
    """Write the report of a run as Markdown; pictures are the run's PNG files, linked relative to `path`."""
    text = "\n".join(markdown_lines(view(run, previous), path.parent))
    write_atomically(path, (text + "\n").encode("utf-8"))


def markdown_lines(page: RunView, folder: Path) -> Iterator[str]:
    """Yield the report's lines as they are to lie in `folder`."""
    yield from head_lines(page)
    yield ""
    yield "## The report's findings"
    yield ""
    yield from finding_lines(page)
    yield from _tables(page, folder)
    yield from _latency(page)
    yield from _verdicts(page)


def head_lines(page: RunView, *, most: int | None = None) -> Iterator[str]:
    """Yield the title, the verdict and what changed, at most so many pictures of it."""
    run = page.run
    yield f"# {_icon(page.status)} {page.status.value}: {md(page.headline)}"
    yield ""
    yield f"Run {md(run.id)} of {md(run.started)}, model {md(run.model)} on {md(run.device_name or run.device)}, "
    yield f"read by {md(run.reader.name)} {md(run.reader.version)}. " + _counted(page)
    for sentence in page.said:
        yield ""
        yield f"> {md(sentence)}"
    yield ""
    yield f"## What changed against {md(page.changes.against)}"
    yield ""
    yield from _changed(page, most)


def _counted(page: RunView) -> str:
    return ", ".join(f"{amount} {status.value}" for status, amount in page.counts) + "."


def _changed(page: RunView, most: int | None) -> Iterator[str]:
    if page.changes.refused:
        yield md(page.changes.refused)
        return
    same = page.changes.of(ChangeKind.SAME)
    moved = [change for change in page.changes.items if change.kind is not ChangeKind.SAME]
    cells = {cell.result.id: cell for cell in page.cells}
    if moved:
        yield "| | picture | before | now | what |"
        yield "|---|---|---|---|---|"
    shown = moved[:most]
    for change in shown:
        yield _change_row(change, cells.get(change.point))
    if moved:
        yield ""
    more = f"{count(len(moved) - len(shown), 'more picture')} changed; " if len(shown) < len(moved) else ""
    yield f"{more}{count(len(same), 'picture')} unchanged."


def _change_row(change: Change, cell: Cell | None) -> str:
    before = "–" if change.before is None else str(change.before)
    now = "–" if change.now is None else str(change.now)
    why = "" if cell is None else md(cell.why)
    return f"| {change.kind.value} | {md(change.point)} | {before} | {now} | {why} |"


def finding_lines(page: RunView) -> Iterator[str]:
    """Yield the report's findings beside what the run measured."""
    if page.tiny:
        yield "This run drew with the embedded model, not with Qwen-Image: what the report said of Qwen-Image stands"
        yield "here beside it for its shape, and need not agree."
        yield ""
    yield "| finding | report said | measured | |"
    yield "|---|---|---|---|"
    for finding in page.findings:
        cells = (finding.title, finding.said, finding.measured, finding.agreement.value)
        yield f"| {' | '.join(map(md, cells))} |"


def _tables(page: RunView, folder: Path) -> Iterator[str]:
    numbers = sorted({c.case.report_table for c in page.cases if c.case.report_table is not None})
    for table in numbers:
        cases = [case for case in page.cases if case.case.report_table == table]
        yield from _table(f"Table {table}: {TABLES.get(table, 'other')}", cases, page, folder)
    own = [case for case in page.cases if case.case.report_table is None]
    if own:
        yield from _table("Cases of this suite", own, page, folder)


def _table(title: str, cases: Sequence[CaseView], page: RunView, folder: Path) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    yield ""
    yield "| Prompt | Resolution | " + " | ".join(_column(variant) for variant in page.variants) + " |"
    yield "|---|---|" + "---|" * len(page.variants)
    for case in sorted(cases, key=lambda item: item.case.id):
        for row in case.rows:
            yield from _row(case, row, page, folder)


def _column(variant: Variant) -> str:
    return f"{md(variant.name)} NFE={variant.nfe}"


def _row(case: CaseView, row: Row, page: RunView, folder: Path) -> Iterator[str]:
    cells = {cell.variant.name: cell for cell in row.cells}
    ordered = [cells.get(variant.name) for variant in page.variants]
    pictures = [_picture(cell, folder) for cell in ordered]
    before = [_said(cell) for cell in ordered]
    yield f"| {md(case.case.prompt)} | {md(row.title)} | {' | '.join(pictures)} |"
    if any(before):
        yield f"| | report said | {' | '.join(before)} |"
    yield f"| | measured | {' | '.join(_measured(cell) for cell in ordered)} |"
    yield f"| | latency | {' | '.join(_timed(cell) for cell in ordered)} |"


def _picture(cell: Cell | None, folder: Path) -> str:
    if cell is None or cell.result.picture is None:
        return "no picture"
    # an address that href made holds no quote and no angle bracket: both are percent-encoded there.
    return f'<img src="{href(cell.result.picture.path, folder)}" width="{_PICTURE_WIDTH}" alt="{cell.anchor}">'


def _said(cell: Cell | None) -> str:
    if cell is None or cell.mark is None:
        return ""
    return said(cell.mark)


def said(mark: ReportMark) -> str:
    """Return what the report said of a picture."""
    if mark.said is None:
        return md(mark.said_why or "no mark")
    return " ".join(filter(None, (_MARKS[mark.said], md(mark.said_why))))


def _measured(cell: Cell | None) -> str:
    if cell is None:
        return "not drawn"
    head = f"{_icon(cell.status)} **{cell.status.value}**"
    score, judgement = cell.score, cell.result.judgement
    if score is None:
        return f"{head}: {md(cell.why)}"
    limit = "" if judgement is None or judgement.limit is None else f", limit {judgement.limit}"
    floor = "" if judgement is None or judgement.noise_floor is None else f", reader {number(judgement.noise_floor)}"
    parts = [f"{head} {count(score.distance, 'edit')}{limit}{floor}"]
    parts += [_text(text) for text in cell.wrong[:_SHOWN]]
    if len(cell.wrong) > _SHOWN:
        parts.append(f"and {count(len(cell.wrong) - _SHOWN, 'more text')}")
    parts += [f"nobody asked for “{md(e.text)}” ({e.kind.value})" for e in score.extra if e.distance][:_SHOWN]
    return "<br>".join(parts)


def _text(text: TextView) -> str:
    if text.missing:
        return f"“{md(text.score.expected)}” was not read"
    return f"“{spans(text.read)}” for “{spans(text.expected)}”: {md('; '.join(text.sentences))}"


def spans(items: Iterable[Span]) -> str:
    """Return a side of a text with its differing characters in bold, missing ones as an underlined gap.

    HTML tags stand for the marks, because Markdown's own do not open between letters of scripts without spaces.
    """
    out = []
    for span in items:
        shown = md(span.text.replace("\n", "⏎"))
        if span.mark is Mark.GAP:
            shown = "<b>▁</b>"
        elif span.mark is Mark.DIFFERS:
            shown = f"<b>{shown}</b>"
        out.append(shown)
    return "".join(out)


def _timed(cell: Cell | None) -> str:
    if cell is None or cell.result.timing is None:
        return "–"
    timing = cell.result.timing
    words = seconds(timing.denoise_seconds)
    if not timing.comparable:
        return f"{words}, not comparable (CPU shared, {percent(timing.disturbed)})"
    return words if cell.speed_up is None else f"{words}, {times(cell.speed_up)} faster"


def _latency(page: RunView) -> Iterator[str]:
    ratios = speed_ups(page.run)
    yield ""
    yield "## Latency and error rate"
    yield ""
    yield "| variant | NFE | denoise, median | step, median | speed-up over base | error rate | pictures |"
    yield "|---|---|---|---|---|---|---|"
    for variant, results in by_variant(page.run):
        own = [ratios[result.id] for result in results if result.id in ratios]
        spread = f"{times(min(own))} to {times(max(own))}" if own else "–"
        denoise, steps, rate = denoise_median(results), step_times(results), variant_rate(results)
        cells = (
            md(variant.name),
            str(variant.nfe),
            "–" if denoise is None else seconds(denoise),
            "–" if steps is None else seconds(steps.median),
            spread,
            "–" if rate is None else percent(rate.value),
            str(len(results)),
        )
        yield f"| {' | '.join(cells)} |"


def _verdicts(page: RunView) -> Iterator[str]:
    if not page.marks:
        return
    yield ""
    yield "## The report's verdicts, one by one"
    yield ""
    yield "| case | resolution | variant | report said | measured | |"
    yield "|---|---|---|---|---|---|"
    for mark in page.marks:
        measured = "–"
        if mark.measured is not None and mark.distance is not None:
            measured = f"{_MARKS[mark.measured]} {count(mark.distance, 'edit')}"
        cells = (md(mark.case), md(mark.size), md(mark.variant), said(mark), measured, mark.agreement.value)
        yield f"| {' | '.join(cells)} |"


def _icon(status: Status) -> str:
    return _ICONS.get(status, "⚠️")
