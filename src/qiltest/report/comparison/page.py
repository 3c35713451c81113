"""Writes comparison.html: verdict, statistics and the pairs of images that decided, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from qiltest.comparison.records import Comparisons
from qiltest.errors import StoreError
from qiltest.files import write_atomically
from qiltest.report.comparison.chart import change_chart
from qiltest.report.comparison.view import PageView, comparison_view
from qiltest.report.comparison.wording import About, correction
from qiltest.report.html.page import embed, policy
from qiltest.report.templating import asset, html_environment
from qiltest.runs.records import Run
from qiltest.runs.references import refer


def write_page(
    found: Comparisons,
    before: Run,
    after: Run,
    path: Path,
    *,
    variant: str | None = None,
    with_variant: str | None = None,
    problems: Sequence[str] = (),
    about: About | None = None,
) -> None:
    """Write the page for `found`, the result of `compare_runs(before, after, variant=, with_variant=)`.

    With `about`, `found` is the result of `compare_trials`. `problems` are sentences shown with the verdict, such as
    that a run was killed. Raises StoreError where the page cannot be written (then `path` is what it was), and
    ValueError where `found` is of other runs or variants.
    """
    page = comparison_view(
        found, before, after, variant=variant, with_variant=with_variant, problems=problems, about=about
    )
    try:
        write_atomically(path, render_page(page, path.parent).encode("utf-8"))
    except OSError as error:
        raise StoreError(
            f"the page could not be written: {error.strerror or error}",
            where=str(path),
            remedy="free some space, or choose another place for the page",
        ) from error
    refer(path, (before, after))


def render_page(page: PageView, folder: Path) -> str:
    """Return the page for a file in `folder`, from where the full images are linked."""
    style, script = asset("report.css") + asset("comparison.css"), asset("report.js")
    return (
        html_environment()
        .get_template("comparison.html.j2")
        .render(
            page=page,
            correction=correction(page.found),
            charts={view.anchor: change_chart(view.comparison, page.found.margin) for view in page.comparisons},
            embedded=embed(page.cells, folder),
            style=Markup(style),  # noqa: S704 - the package's own
            script=Markup(script),  # noqa: S704 - the package's own
            policy=policy(style, script),
        )
    )
