"""The jinja2 environments of the reports: an undefined name is an error, and every value is escaped."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from qiltest.report import published, since_when
from qiltest.report.diagnostics import figures, reported_faults
from qiltest.report.rest import rest_line
from qiltest.text import format as words
from qiltest.text.escape import one_line, visible_bounded

TEMPLATES = "templates"


def environment(package: str, *, harmless: Callable[[str], str]) -> Environment:
    """Return an environment with the templates of a package; `harmless` is applied to every text but markup."""

    def finalize(value: object) -> object:
        return harmless(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    made = Environment(
        loader=ChoiceLoader([PackageLoader(package, TEMPLATES), published.templates()]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    functions = (words.seconds, words.percent, words.times, words.number, one_line, figures, reported_faults, rest_line)
    made.filters.update({function.__name__: function for function in functions})
    made.globals.update(count=words.count, streak_words=since_when.words, streaks_summary=since_when.summary_of)
    return made


@cache
def html_environment() -> Environment:
    """Return the environment of the HTML templates; jinja2 escapes what this makes visible."""
    return environment("qiltest.report.html", harmless=visible_bounded)


def asset(name: str) -> str:
    """Return a style sheet or script of the package."""
    return resources.files("qiltest.report.html").joinpath(TEMPLATES, name).read_text(encoding="utf-8")
