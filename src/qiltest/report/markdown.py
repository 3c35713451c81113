"""The report as Markdown (`report.md`): what changed, a table of the images, and latency and error rate by variant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from qiltest.report import templating
from qiltest.report.benchmarks import CAVEAT
from qiltest.report.choice import MOST_IMAGES
from qiltest.report.diff import Mark, Span
from qiltest.report.html.page import href
from qiltest.report.speeds import read_speeds, speed_lines
from qiltest.report.strokes import MEANING
from qiltest.report.view import RunView
from qiltest.runs.aggregate import by_variant, denoise_median, speed_ups, step_times, variant_rate
from qiltest.runs.records import Run
from qiltest.runs.status import Status
from qiltest.serving import speed as served_speed
from qiltest.text.escape import markdown as md
from qiltest.text.format import percent, seconds, times

_SIGNS = {Status.PASS: "✅", Status.FAIL: "❌", Status.NEW: "🆕"}


def render_markdown(page: RunView, folder: Path) -> str:
    """Return the report for a file in `folder`, from where the run's images are linked.

    Raises StoreError where the run's speeds cannot be read.
    """
    speeds, served = read_speeds(page.run.path), served_speed.read_speeds(page.run.path)
    lines = (() if speeds is None else speed_lines(speeds), () if served is None else served_speed.speed_lines(served))
    return (
        markdown_environment()
        .get_template("report.md.j2")
        .render(
            page=page,
            most=MOST_IMAGES,
            folder=folder,
            caveat=CAVEAT,
            stroke_meaning=MEANING,
            speeds_by_variant=_by_variant(page.run),
            speeds=tuple(chain.from_iterable(lines)),
            timeline=page.timeline,
        )
    )


def render_head(page: RunView, *, most: int) -> str:
    """Return the title, the verdict and what changed, at most `most` images of it."""
    return markdown_environment().get_template("head.md.j2").render(page=page, most=most)


def render_published(page: RunView) -> str:
    """Return the section of the published report; "" for a run without a case of that report."""
    if page.published is None:
        return ""
    section = getattr(markdown_environment().get_template("published.md.j2").module, "section")  # noqa: B009
    return str(section(page.published, page.tiny))


@cache
def markdown_environment() -> Environment:
    """Return the environment of the Markdown templates: what an expression gives is escaped for Markdown."""
    environment = templating.environment("qiltest.report", harmless=lambda text: Markup(md(text)))  # noqa: S704
    environment.filters.update(
        sign=lambda status: _SIGNS.get(status, "⚠️"),
        dash=lambda value: "–" if value is None else str(value),
        spans=lambda items: Markup(spans(items)),  # noqa: S704 - escaped there
    )
    # href percent-encodes quotes and angle brackets
    environment.globals.update(href=lambda path, folder: Markup(href(path, folder)))  # noqa: S704
    return environment


def spans(items: Iterable[Span]) -> str:
    """Return a side of a text with its differing characters in bold, missing ones as an underlined gap.

    The marks are HTML tags, because Markdown's own do not open between letters of scripts without spaces.
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


def _by_variant(run: Run) -> Iterator[tuple[str, ...]]:
    ratios = speed_ups(run)
    for variant, results in by_variant(run):
        own = [ratios[result.id] for result in results if result.id in ratios]
        denoise, steps, rate = denoise_median(results), step_times(results), variant_rate(results)
        timed = (
            str(variant.nfe),
            "–" if denoise is None else seconds(denoise),
            "–" if steps is None else seconds(steps.median),
            f"{times(min(own))} to {times(max(own))}" if own else "–",
        )
        judged = ("–" if rate is None else percent(rate.value), str(len(results)))
        yield (variant.name, *(() if run.made_elsewhere else timed), *judged)
