"""The table at the end of a session: a row per case, resolution and seed, a column per variant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qiltest.gate.verdict import Verdict
from qiltest.generation.records import LOOP
from qiltest.runs.aggregate import shared_cpu, speed_ups
from qiltest.runs.records import CaseResult, Run
from qiltest.runs.status import Status, status_of
from qiltest.suite.selection import Sample
from qiltest.text.console import SafeConsole
from qiltest.text.escape import one_line, without_commands
from qiltest.text.format import percent, seconds, times
from qiltest.text.tables import fits, fitting, plain_table

_STYLES = {Status.PASS: "green", Status.FAIL: "bold red", Status.ERROR: "bold red"}
_OTHER_STYLE = "yellow"
#: behind a time that other work on the CPU disturbed.
_SHARED = "*"


def printed(show: Callable[[Console], None], *, width: int, colour: bool) -> Iterator[str]:
    """Yield the lines that `show` prints on a console of this width; markup in texts is text."""
    console = SafeConsole(width=width, force_terminal=colour, no_color=not colour)
    with console.capture() as captured:
        show(console)
    yield from without_commands(captured.get().rstrip("\n")).split("\n")


def print_run(console: Console, run: Run) -> None:
    """Print one row per case, resolution and seed, and one column per variant, and below what its marks mean.

    A cell has the verdict, edits / expected characters, and the time of the denoise loop with its ratio to the base
    variant's; of a server's image how many things were not checked (`not_checked_line`), and what was timed. An image
    that was not begun is a dash. Where the console is too narrow, the time has a line of its own, and then there are
    several tables; no word is folded.
    """
    made = _Cells(run)
    names = list(dict.fromkeys(sample.variant for sample in run.planned))
    rows = list(dict.fromkeys((sample.case, sample.size, sample.seed) for sample in run.planned))
    several = len({seed for _, _, seed in rows}) > 1
    cells = {
        (row, name): made.cell(Sample(case=row[0], size=row[1], variant=name, seed=row[2]))
        for row in rows
        for name in names
    }

    def table(shown: Sequence[str], separator: str) -> Table:
        made = _table(("case", "size", *(("seed",) if several else ())), shown)
        for row in rows:
            facts = (one_line(row[0]), str(row[1]), *((str(row[2]),) if several else ()))
            made.add_row(*facts, *(Text(separator).join(cells[row, name]) for name in shown))
        return made

    title = f"{run.model}: edits / characters"
    if not run.made_elsewhere:
        title = f"{run.model} on {run.device_name}: edits / characters, denoise time (× base speed)"
    console.print(Text(one_line(title), style="italic"))
    separator = " " if fits(console, table(names, " ")) else "\n"
    for number, one in enumerate(fitting(console, names, lambda shown: table(shown, separator))):
        if number:
            console.print()
        console.print(one)
    for line in made.legend():
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def not_checked_line(run: Run) -> Iterator[str]:
    """Yield what was not checked of the run's images, nothing where all was."""
    if run.not_checked:
        yield f"not checked of these images: {', '.join(run.not_checked)}"


def _table(facts: Sequence[str], variants: Sequence[str]) -> Table:
    table = plain_table()
    for name in facts:
        table.add_column(name, no_wrap=name != "case", overflow="fold")
    for name in variants:
        table.add_column(Text(one_line(name)), overflow="fold")
    return table


@dataclass
class _Cells:
    """The cells of a run, and the notes that its marks stand for."""

    run: Run
    notes: list[str] = field(default_factory=list)
    #: the shares of time that other work took from disturbed loops.
    disturbed: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ratios, self._shared = speed_ups(self.run), shared_cpu(self.run)
        self._results = {result.sample: result for result in self.run.results}

    def cell(self, sample: Sample) -> tuple[Text, ...]:
        """Return a cell's parts: verdict and edits, and the time, if there is one."""
        result = self._results.get(sample)
        if result is None:
            return (Text("-"),)
        time = self._time(result)
        return (self._verdict(result), Text(time)) if time else (self._verdict(result),)

    def legend(self) -> Iterator[str]:
        """Yield what the marks mean."""
        if self.disturbed:
            low, high = percent(min(self.disturbed)), percent(max(self.disturbed))
            share = high if low == high else f"{low} to {high}"
            yield f"{_SHARED} not comparable (CPU shared, {share}): other work ran beside it"
        yield from (f"({number}) {one_line(note)}" for number, note in enumerate(self.notes, start=1))

    def _verdict(self, result: CaseResult) -> Text:
        status = status_of(result)
        text = Text(f"{status} {status.icon}", style=_STYLES.get(status, _OTHER_STYLE))
        if result.golden_recorded or (result.latency_recorded and status is not Status.PASS):
            text.append(" recorded")
        if result.score is not None:
            text.append(f" {result.score.distance}/{result.score.length}", style="default")
        if not result.golden_recorded and result.judgement is not None and status is Status.PASS:
            # a pass has a reason only where there is no golden
            text.append("".join(f" ({self._note(reason)})" for reason in result.judgement.reasons), style="default")
        if result.not_checked:
            text.append(f" {len(result.not_checked)} not checked", style="dim")
        return text

    def _note(self, reason: str) -> int:
        if reason not in self.notes:
            self.notes.append(reason)
        return self.notes.index(reason) + 1

    def _time(self, result: CaseResult) -> str:
        if result.timing is None:
            return "" if result.told_seconds is None else f"told {seconds(result.told_seconds)}".replace("\u00a0", "")
        shown = seconds(result.timing.denoise_seconds).replace("\u00a0", "")
        if result.timing.kind != LOOP:
            shown += f" {result.timing.kind}"
        if result.id in self._shared:
            self.disturbed.append(self._shared[result.id])
            shown += _SHARED
        if result.id in self._ratios:
            shown += f" ({times(self._ratios[result.id])})"
        latency = result.latency
        return shown + (" latency" if latency and latency.gates and latency.verdict is not Verdict.PASS else "")
