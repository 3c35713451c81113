"""The jinja2 environments of the reports: nothing is undefined, and nothing leaves unescaped or invisible."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from qiltest.report import published
from qiltest.text import format as words
from qiltest.text.escape import bounded, one_line, visible

TEMPLATES = "templates"


def environment(package: str, *, finalize: Callable[[object], object]) -> Environment:
    """Return an environment with the templates of a package; `finalize` makes what an expression gives harmless."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package, TEMPLATES), published.templates()]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(
        seconds=words.seconds,
        percent=words.percent,
        times=words.times,
        number=words.number,
        one_line=one_line,
    )
    made.globals.update(count=words.count)
    return made


@cache
def html_environment() -> Environment:
    """Return the environment of the HTML templates."""
    return environment("qiltest.report.html", finalize=_shown)


def _shown(value: object) -> object:
    """Make what an expression gives visible before it is escaped; markup made by the templates themselves passes."""
    return bounded(visible(value)) if isinstance(value, str) and not isinstance(value, Markup) else value


def asset(name: str) -> str:
    """Return a style sheet or script of the package."""
    return resources.files("qiltest.report.html").joinpath(TEMPLATES, name).read_text(encoding="utf-8")
