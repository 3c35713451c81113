"""Fake runs, and runs of many seeds without images, whose findings are held against those of the published report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import builders as make
from fake_runs import VARIANTS, case, fake, told, typical
from qiltest.comparison import statistics
from qiltest.recipe import Size
from qiltest.runs.records import CaseResult, Run
from qiltest.scoring.records import Score
from qiltest.suite.cases import Case
from qiltest.suite.load import load_suite

__all__ = ["case", "fake", "told", "typical"]

NAMES = ("base", "8step", "4step")
#: edits of an image, by case, size, variant and seed.
Edits = Callable[[str, str, str, int], int]


@cache
def shipped() -> tuple[Case, ...]:
    return load_suite(Path(__file__).parents[2] / "cases").cases


@cache
def scored(edits: int) -> Score:
    return replace(make.score(edits), length=100)


@cache
def result(case: str, size: Size, variant: str, seed: int, edits: int) -> CaseResult:
    """Thousands of runs are made of the same few results."""
    return CaseResult(sample=make.sample(seed, case, variant, size), score=scored(edits))


def results(seeds: int, edits: Edits, tables: tuple[int, ...]) -> Iterator[CaseResult]:
    for one in shipped():
        for resolution in one.resolutions if one.report_table in tables else ():
            for name in NAMES:
                for seed in range(seeds):
                    found = edits(one.id, str(resolution.size), name, seed)
                    yield result(one.id, resolution.size, name, seed, found)


@pytest.fixture(scope="module", autouse=True)
def _bounds_are_made_once() -> Iterator[None]:
    """Simulated runs ask for the same exact bounds and p-values again and again, at half a millisecond each."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("worse_p", "share_bounds"):
            once = cache(getattr(statistics, name))
            for module in [found for key, found in sys.modules.items() if key.startswith("qiltest.")]:
                if name in vars(module):
                    patch.setattr(module, name, once)
        yield


@pytest.fixture
def drawn() -> Callable[..., Run]:
    """A run of the report's cases without images: `drawn(seeds, edits, tables=(1,))`; a text has 100 characters."""

    def maker(seeds: int, edits: Edits, *, tables: tuple[int, ...] = (1, 2, 3, 4, 5, 6), **fields: Any) -> Run:
        found = tuple(results(seeds, edits, tables))
        return make.run("drawn", cases=shipped(), variants=VARIANTS, results=found, **fields)

    return maker
