"""Several candidates of one run, compared with what one of them should replace."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from qiltest.comparison.records import Release
from qiltest.comparison.trials import compare_trials, pairing_of
from qiltest.recipe import Size
from qiltest.report.comparison.wording import About, Tried
from qiltest.report.terminal.ranking import ranking
from qiltest.report.terminal.table import printed
from qiltest.runs import Run

SEEDS = range(42, 54)


@pytest.fixture
def tried(fake: Callable[..., Any], case: Callable[..., Any]) -> Callable[..., Run]:
    """A run of `4step` and two candidates over seeds and sizes; `read(variant, size)` is what was read."""

    def made(read: Callable[[str, str], str], sizes: tuple[Size, ...] = (Size(256, 256),)) -> Run:
        wall = case("wall", "HAPPY HAIR")
        resolutions = tuple(replace(wall.resolutions[0], size=size, tiny=size) for size in sizes)
        run = fake(replace(wall, resolutions=resolutions))
        for size in sizes:
            for variant in ("4step", "candidate-1", "candidate-2"):
                for seed in SEEDS:
                    result = run.add("wall", "4step", read(variant, str(size)), size=size, seed=seed)
                    sample = replace(result.sample, variant=variant)
                    run.results[-1], run.planned[-1] = replace(result, sample=sample), sample
        built: Run = run.build()
        return built

    return made


NAMES = {"candidate-1": "a.safetensors", "candidate-2": "b.safetensors"}


def test_the_best_comes_first_and_its_verdict_counts(tried: Callable[..., Run]) -> None:
    run = tried(lambda variant, _: "HAPPY HAIRR" if variant == "candidate-1" else "HAPPY HAIR")
    found = compare_trials(run, like="4step", names=NAMES, margin=0.05)
    assert found.ranking[0][0] == "candidate-2"
    assert found.ranking[1] == ("candidate-1", Release.DO_NOT_SHIP)
    assert [one.after for one in found.comparisons] == ["b.safetensors", "a.safetensors"]
    assert found.verdict is found.ranking[0][1]
    assert found.verdict is not Release.DO_NOT_SHIP


def test_a_candidates_verdict_is_its_worst_over_the_sizes(tried: Callable[..., Run]) -> None:
    sizes = (Size(256, 256), Size(128, 128))

    def read(variant: str, size: str) -> str:
        return "HAPPY HAIRR" if (variant, size) == ("candidate-2", "256x256") else "HAPPY HAIR"

    found = compare_trials(tried(read, sizes), like="4step", names=NAMES, margin=0.05, by_size=True)
    assert dict(found.ranking)["candidate-2"] is Release.DO_NOT_SHIP
    assert found.ranking[0][0] == "candidate-1"
    assert [(one.after, one.size) for one in found.comparisons] == [
        ("a.safetensors at 128x128", "128x128"),
        ("a.safetensors at 256x256", "256x256"),
        ("b.safetensors at 128x128", "128x128"),
        ("b.safetensors at 256x256", "256x256"),
    ]
    assert {one.pairs for one in found.comparisons} == {len(SEEDS)}


def test_more_candidates_need_more_evidence(tried: Callable[..., Run]) -> None:
    run = tried(lambda variant, _: "HAPPY HAIRR" if variant == "candidate-1" else "HAPPY HAIR")
    one = compare_trials(run, like="4step", names={"candidate-1": "a"}, margin=0.05).comparisons[0]
    both = compare_trials(run, like="4step", names=NAMES, margin=0.05).comparisons[1]
    assert one.exact is not None
    assert both.exact is not None
    assert both.exact.p_holm > one.exact.p_holm
    assert both.interval is not None
    assert one.interval is not None
    assert both.interval.confidence > one.interval.confidence


def test_the_ranking_fits_80_columns_and_says_each_number(tried: Callable[..., Run]) -> None:
    sizes = (Size(1328, 1328), Size(1664, 928))
    run = tried(lambda variant, _: "HAPPY HAIRR" if variant == "candidate-1" else "HAPPY HAIR", sizes)
    names = {"candidate-1": "new-4steps.safetensors x 0.5", "candidate-2": "new-4steps.safetensors"}
    found = compare_trials(run, like="4step", names=names, margin=0.01, by_size=True)
    tried_files = {name: Tried(label=label, sha256="a" * 64, notes=()) for name, label in names.items()}
    about = About(like="4step", model="tiny", tried=tried_files, cases=("wall",), of=1, sizes=(), seeds=(42,), images=1)
    lines = list(printed(lambda console: console.print(ranking(found, about)), width=80, colour=False))
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert re.search(r"# +size +verdict +edits +per 100 +interval +-exact +\+exact", text)
    assert lines[2] == " 2  DO NOT SHIP  new-4steps.safetensors x 0.5"
    assert "0 -> 12" in text
    for size in sizes:
        assert text.count(str(size)) == 2


def test_a_size_is_that_of_the_name_and_not_one_that_begins_like_it(tried: Callable[..., Run]) -> None:
    run = tried(lambda *_: "HAPPY HAIR", (Size(256, 256), Size(256, 25)))
    assert {pair.size for pair in pairing_of(run, "4step", "candidate-1", size="256x25").pairs} == {"256x25"}
