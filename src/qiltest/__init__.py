"""qiltest reads the text in generated images and says whether a text-to-image release got worse.

`__all__` is the public API. Each name is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qiltest.generation.records import Generator
    from qiltest.reading.records import Line, Reader, Reading
    from qiltest.reading.registry import open_reader
    from qiltest.recipe import Recipe
    from qiltest.scoring.scorer import score
    from qiltest.session.case_run import CaseRun
    from qiltest.suite.cases import Case
    from qiltest.suite.load import load_suite
    from qiltest.suite.variants import Variant

__all__ = [
    "Case",
    "CaseRun",
    "Generator",
    "Line",
    "Reader",
    "Reading",
    "Recipe",
    "Variant",
    "__version__",
    "load_suite",
    "open_reader",
    "score",
]

__version__ = "0.1.0"

_PLACES = {
    "Case": "suite.cases",
    "CaseRun": "session.case_run",
    "Generator": "generation.records",
    "Line": "reading.records",
    "Reader": "reading.records",
    "Reading": "reading.records",
    "Recipe": "recipe",
    "Variant": "suite.variants",
    "load_suite": "suite.load",
    "open_reader": "reading.registry",
    "score": "scoring.scorer",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
