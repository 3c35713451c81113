"""The table at the end of a session: a row per case, a column per variant."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qiltest.gate.verdict import Verdict
from qiltest.runs.aggregate import shared_cpu, speed_ups
from qiltest.runs.records import CaseResult, Run
from qiltest.runs.status import Status, status_of
from qiltest.suite.selection import Sample
from qiltest.text.console import SafeConsole
from qiltest.text.escape import without_commands
from qiltest.text.format import percent, seconds, times

_STYLES = {Status.PASS: "green", Status.FAIL: "bold red", Status.ERROR: "bold red"}
_OTHER_STYLE = "yellow"


def printed(show: Callable[[Console], None], *, width: int, colour: bool) -> Iterator[str]:
    """Yield the lines that `show` prints on a console of this width; markup in texts is text."""
    console = SafeConsole(width=width, force_terminal=colour, no_color=not colour)
    with console.capture() as captured:
        show(console)
    yield from without_commands(captured.get().rstrip("\n")).split("\n")


def terminal_table(run: Run) -> Table:
    """Return one row per case, resolution and seed, and one column per variant.

    A cell has the verdict, edits / expected characters, and the time of the denoise loop with its ratio to the base
    variant's. An image that was not begun is a dash.
    """
    names = list(dict.fromkeys(sample.variant for sample in run.planned))
    seeds = {sample.seed for sample in run.planned}
    title = f"{run.model} on {run.device_name}: edits / characters, denoise time (× base speed)"
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in ("case", *names):
        table.add_column(name, overflow="fold")
    ratios, shared = speed_ups(run), shared_cpu(run)
    results = {result.sample: result for result in run.results}
    for case, size, seed in dict.fromkeys((sample.case, sample.size, sample.seed) for sample in run.planned):
        cells = [results.get(Sample(case=case, size=size, variant=name, seed=seed)) for name in names]
        label = f"{case}@{size}" + (f" s{seed}" if len(seeds) > 1 else "")
        table.add_row(label, *(_cell(result, ratios, shared) for result in cells))
    return table


def _cell(result: CaseResult | None, ratios: dict[str, float], shared: dict[str, float]) -> Text:
    if result is None:
        return Text("-")
    status = status_of(result)
    text = Text(f"{status} {status.icon}", style=_STYLES.get(status, _OTHER_STYLE))
    if result.golden_recorded or (result.latency_recorded and status is not Status.PASS):
        text.append(" recorded")
    elif result.judgement is not None and status is Status.PASS:
        # a pass has a reason only where there is no golden
        text.append("".join(f" ({reason})" for reason in result.judgement.reasons), style="default")
    if result.score is not None:
        text.append(f" {result.score.distance}/{result.score.length}", style="default")
    if result.timing is not None:
        text.append(f" {seconds(result.timing.denoise_seconds)}", style="default")
    if result.id in ratios:
        text.append(f" ({times(ratios[result.id])})", style="default")
    if result.id in shared:
        text.append(f" not comparable (CPU shared, {percent(shared[result.id])})", style="dim")
    if result.latency is not None and result.latency.gates and result.latency.verdict is not Verdict.PASS:
        text.append(" latency", style="default")
    return text
