"""What a run says of each of its cases, as the text of an issue."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from qiltest.report.image_view import ImageView
from qiltest.report.since_when import words
from qiltest.report.view import RunView, view
from qiltest.runs.records import CaseResult, Run
from qiltest.runs.status import Status, status_of
from qiltest.text.escape import markdown as md
from qiltest.text.escape import one_line, printable_line
from qiltest.text.format import count

#: characters of a body: GitHub takes 65,536.
MOST_CHARACTERS = 60_000
#: images of one case that an issue shows, and characters of a command.
_MOST_IMAGES, _COMMAND = 12, 1_000
#: images of a run that are looked at, the worst.
_MOST = 1_000
#: what stands for the session itself, which no case is named as.
SESSION = "(session)"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One case of a run, or the session itself."""

    case: str
    #: a line that an issue holds and that nothing else can write: which model and case it is about.
    marker: str
    #: a line that tells that this run has been told already.
    told: str
    title: str
    #: None where the run did not judge all of it.
    passes: bool | None
    body: str


def findings(run: Run) -> tuple[Finding, ...]:
    """Return the session and each case of a run, in the run's order."""
    page = view(run, most=_MOST)
    cells: dict[str, list[ImageView]] = {}
    for cell in page.worst_first:
        cells.setdefault(cell.result.sample.case, []).append(cell)
    begun = {result.sample for result in run.results}
    waiting = {sample.case for sample in run.planned if sample not in begun}
    results: dict[str, list[CaseResult]] = {case.id: [] for case in run.cases}
    for result in run.results:
        results.setdefault(result.sample.case, []).append(result)
    of_cases = (
        _finding(run, case, _passes(own, complete=case not in waiting), _of_case(page, cells.get(case, ())))
        for case, own in results.items()
    )
    return (_session(run, page), *(finding for finding in of_cases))


def fails(result: CaseResult) -> bool:
    """Return whether an image was judged, does not pass, and was not accepted by the run itself."""
    accepted = result.golden_recorded or result.latency_recorded
    return status_of(result) not in {Status.PASS, Status.WAITING} and not accepted


def job_link() -> str:
    """Return the address of the GitHub Actions job that this is; "" elsewhere."""
    found = [os.environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
    server, repository, number = found
    known = all(found) and server.startswith("https://")
    return f"{server}/{quote(repository)}/actions/runs/{quote(number, safe='')}" if known else ""


def _passes(results: Iterable[CaseResult], *, complete: bool) -> bool | None:
    own = list(results)
    if any(map(fails, own)):
        return False
    judged = [status_of(result) for result in own]
    return True if complete and judged and all(status is not Status.WAITING for status in judged) else None


def _session(run: Run, page: RunView) -> Finding:
    """Return what is wrong with the session apart from its images: it was refused, or failed for another reason."""
    ended = run.exit_status is not None
    wrong = run.refused or (run.exit_status not in {0, None} and not any(map(fails, run.results)))
    lines = [f"{md(page.status.value)}: {md(page.headline)}", ""]
    lines += [f"> {md(problem)}" for note in run.problems for problem in note.splitlines()[:20]]
    return _finding(run, SESSION, (not wrong) if ended else None, lines)


def _finding(run: Run, case: str, passes: bool | None, lines: Iterable[str]) -> Finding:
    name = "the night itself" if case == SESSION else case
    link = job_link()
    head = [f"Run {md(run.id)} of {md(run.started[:16])}, model {md(run.model)} on {md(run.device_name or run.device)}"]
    head += [f"commit {md(run.commit)}"] if run.commit else []
    head += [f"[job and its artifact]({link})"] if link else []
    marker = f"<!-- qiltest: {quote(run.model, safe='')} {quote(case, safe='')} -->"
    told = f"<!-- qiltest run: {quote(run.id, safe='')} -->"
    return Finding(
        case=case,
        marker=marker,
        told=told,
        title=one_line(f"qiltest: {name} does not pass ({run.model})", 200),
        passes=passes,
        body=_bounded([marker, told, ", ".join(head) + ".", "", *lines]),
    )


def _of_case(page: RunView, cells: Iterable[ImageView]) -> Iterator[str]:
    bad = [cell for cell in cells if fails(cell.result)]
    since = {streak.sample: streak for streak in page.since_when}
    for cell in bad[:_MOST_IMAGES]:
        yield f"**{cell.status.value}** {md(cell.result.id)}: {md(cell.why)}"
        if cell.result.id in since:
            streak = since[cell.result.id]
            yield f"<br>{streak.standing}: {md(words(streak))}"
        for command in (cell.commands.reproduce, cell.commands.accept):
            if command:
                yield ""
                # indented, so that nothing in it is markup
                yield f"    {printable_line(command, _COMMAND)}"
        yield ""
    if len(bad) > _MOST_IMAGES:
        yield f"and {count(len(bad) - _MOST_IMAGES, 'more image')}; see the report."


def _bounded(lines: Iterable[str]) -> str:
    out: list[str] = []
    size = 0
    for line in lines:
        size += len(line) + 1
        if size > MOST_CHARACTERS:
            out.append("\nThe rest did not fit; see the report.")
            break
        out.append(line)
    return "\n".join(out) + "\n"
