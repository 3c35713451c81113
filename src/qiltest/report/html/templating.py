"""The jinja2 environment of the report: nothing is undefined, nothing leaves it unescaped or invisible."""

from __future__ import annotations

from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from qiltest.text import format as words
from qiltest.text.escape import bounded, one_line, visible

TEMPLATES = "templates"


def _finalize(value: object) -> object:
    """Make what an expression gives visible before it is escaped; markup made by the templates themselves passes."""
    return bounded(visible(value)) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def html_environment() -> Environment:
    """Return the environment of the HTML templates."""
    environment = Environment(
        loader=PackageLoader("qiltest.report.html", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        seconds=words.seconds,
        percent=words.percent,
        times=words.times,
        number=words.number,
        one_line=one_line,
    )
    environment.globals.update(count=words.count)
    return environment


def asset(name: str) -> str:
    """Return a style sheet or script of the package."""
    return resources.files("qiltest.report.html").joinpath(TEMPLATES, name).read_text(encoding="utf-8")
