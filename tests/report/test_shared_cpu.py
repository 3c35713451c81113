"""A latency of a CPU that other work shared is compared with no other."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qiltest.generation.records import MOST_DISTURBED
from qiltest.published.findings import findings
from qiltest.report import write_html, write_markdown
from qiltest.report.terminal.table import print_run, printed
from qiltest.runs.aggregate import shared_cpu, speed_ups
from qiltest.runs.records import Run

SAID = "not comparable (CPU shared, 43\u00a0%)"


@pytest.fixture
def plain(fake: Callable[..., Any], case: Callable[..., Any]) -> Run:
    run = fake(case("wall", "text"))
    for variant, seconds in (("base", 10.0), ("4step", 0.5)):
        run.add("wall", variant, "text", seconds=seconds)
    built: Run = run.build()
    return built


def lengthened(run: Run, variant: str, share: float) -> Run:
    results = tuple(
        replace(result, timing=replace(result.timing, disturbed=share)) if result.sample.variant == variant else result
        for result in run.results
    )
    return replace(run, results=results)


def cells(run: Run) -> list[str]:
    return list(printed(lambda console: print_run(console, run), width=80, colour=False))


@pytest.mark.parametrize("variant", ["base", "4step"])
def test_either_side_of_a_pair_makes_its_speed_incomparable(plain: Run, variant: str) -> None:
    (fast,) = speed_ups(plain)
    noisy = lengthened(plain, variant, 0.43)
    assert speed_ups(noisy) == {}
    assert shared_cpu(noisy)[fast] == 0.43
    assert any(SAID in cell for cell in cells(noisy))
    assert not any("not comparable" in cell for cell in cells(plain))


def test_the_reports_say_it_where_a_factor_would_stand(plain: Run, tmp_path: Path) -> None:
    for run, said in ((plain, False), (lengthened(plain, "4step", 0.43), True)):
        for write, name in ((write_html, "report.html"), (write_markdown, "report.md")):
            write(run, tmp_path / name)
            assert (SAID in (tmp_path / name).read_text(encoding="utf-8")) is said


def test_a_little_of_other_work_is_let_pass_and_what_is_no_number_is_not(plain: Run) -> None:
    assert speed_ups(lengthened(plain, "4step", MOST_DISTURBED)) == speed_ups(plain)
    assert speed_ups(lengthened(plain, "4step", float("nan"))) == {}


def test_the_finding_on_speed_names_the_shared_cpu_and_not_a_missing_pair(plain: Run) -> None:
    def measured(run: Run) -> str:
        return next(finding.measured for finding in findings(run) if finding.title == "Speed").replace("\u00a0", " ")

    assert measured(plain).startswith("4step 20× base speed")
    assert measured(lengthened(plain, "4step", 0.43)) == "not comparable: other work shared the CPU (up to 43 %)"
    alone = replace(plain, results=plain.results[:1])
    assert measured(alone) == "no image was timed with both the base and another variant"
