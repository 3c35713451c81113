"""The published report has a room of its own: a project without a case of it sees nothing of it, in no format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import qiltest
from qiltest.cli.main import main
from qiltest.report import job_summary, workflow_commands, write_html, write_json, write_markdown
from qiltest.report.diagnostics import figures, reported_faults
from qiltest.report.terminal.table import print_run
from qiltest.report.view import view
from qiltest.runs.records import Run
from qiltest.suite.cases import Case

Fake = Callable[..., Any]
Make = Callable[..., Any]
PACKAGE = Path(qiltest.__file__).parent
#: what speaks of the published report, and nothing else in a report does.
PUBLISHED = re.compile(
    r"\b[Tt]ables? [1-6]\b|findings|report's verdicts|performance report|\breport (?:said|says)\b"
    r"|compared with this run|\bReport: "
    r"|distilled|signs right|digits? exact|px high|fine hair"
)


def words(text: str) -> str:
    """A page's words, without its style and script."""
    return re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)


@pytest.fixture
def stranger(fake: Fake, case: Make) -> Run:
    """A project that has never heard of the published report, with signs, a long number and several verdicts."""
    signs = tuple(f"SIGN {name}" for name in ("ALPHA", "BRAVO", "DELTA", "HOTEL", "KILO", "LIMA", "OSCAR", "TANGO"))
    number = "order 0123456789 of 2026"
    run = fake(case("summer-sale", number, "from 9 to 5"), case("street", *signs))
    run.add("summer-sale", "base", number, "from 9 to 5", golden=(number, "from 9 to 5"), seconds=10.0)
    run.add("summer-sale", "8step", number.replace("345", "346"), "from 9 to 5", golden=(number, "from 9 to 5"))
    run.add("street", "base", *signs[:-1], golden=signs, seconds=10.0)
    run.add("street", "8step", *signs)
    run.add("street", "4step", error="the device was lost", image=False)
    built: Run = run.build()
    return built


def test_a_strangers_html_has_nothing_of_it(stranger: Run) -> None:
    path = stranger.path / "report.html"
    write_html(stranger, path)
    page = words(path.read_text(encoding="utf-8"))
    assert "Summer sale" in page
    assert not PUBLISHED.findall(page)


def test_a_strangers_markdown_has_nothing_of_it(stranger: Run) -> None:
    path = stranger.path / "report.md"
    write_markdown(stranger, path)
    page = path.read_text(encoding="utf-8")
    assert "## Cases of this suite" in page
    assert not PUBLISHED.findall(page)


def test_a_strangers_json_has_nothing_of_it(stranger: Run) -> None:
    path = stranger.path / "report.json"
    write_json(stranger, path)
    assert "published" not in json.loads(path.read_bytes())
    assert not PUBLISHED.findall(path.read_text(encoding="ascii"))


def test_a_strangers_job_summary_and_annotations_have_nothing_of_it(stranger: Run) -> None:
    summary = job_summary(stranger)
    assert "## Worst first" in summary
    assert not PUBLISHED.findall(summary)
    assert not PUBLISHED.findall("\n".join(workflow_commands(stranger)))


def test_a_strangers_terminal_table_has_nothing_of_it(stranger: Run) -> None:
    console = Console(file=StringIO(), width=120)
    print_run(console, stranger)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "summer-sale" in shown
    assert not PUBLISHED.findall(shown)


@pytest.mark.parametrize("form", ["html", "md", "json"])
def test_a_strangers_command_report_writes_nothing_of_it(
    stranger: Run, form: str, tmp_path: Path, store: Callable[[Path, Run], str], capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "stored"
    name = store(root, stranger)
    assert main(["report", name, "--runs", str(root), "--format", form]) == 0
    assert not PUBLISHED.findall(words((root / name / f"report.{form}").read_text(encoding="utf-8")))
    assert not PUBLISHED.findall(capsys.readouterr().out)


def test_one_case_with_a_report_table_brings_it_back_with_that_case_alone(fake: Fake, case: Make, told: Make) -> None:
    number = "0123456789"
    mine: Case = case("own-number", number)
    run = fake(mine, told(case("pi-number", number), 1, base=True))
    for name in ("own-number", "pi-number"):
        run.add(name, "base", "0123456788", golden=(number,), seconds=10.0)
        run.add(name, "8step", number, golden=(number,), seconds=10.0)
    built = run.build()
    published = view(built).published
    assert published is not None
    assert published.sentences(built.results[0]) == ()
    assert len(published.sentences(built.results[2])) == 2
    # findings rest on the published report's cases alone
    (speed,) = (finding for finding in published.findings if finding.title == "Speed")
    assert "median of 1 pair" in speed.measured
    path = built.path / "report.md"
    write_markdown(built, path)
    page = path.read_text(encoding="utf-8")
    assert page.index("## Table 1: Basic image generation") < page.index("## Cases of this suite")
    assert page.index("| A sign that reads") < page.index("## Cases of this suite")


def test_images_of_before_quality_was_measured_show_no_figures(stranger: Run) -> None:
    (first, *_) = view(replace(stranger, results=stranger.results[:1])).cells
    assert first.result.health is None
    assert (list(figures(first.result.health)), reported_faults(first.result.health)) == ([], [])


#: files outside published/ that may name what is the published report's, and why.
ALLOWED = {
    # typos that the published report found, planted in its cases
    "calibration/measure.py": {"performance report"},
    # takes the section in
    "report/published.py": {"findings"},
    "report/json_report.py": {"findings"},
    # the embedded model's own LoRAs, and the inspection of LoRA files
    "lora/": {"findings", '"base"'},
    "cli/lora.py": {"findings"},
    "generation/": {"findings"},
    "release/": {"findings"},
    # what GitHub and webhooks are told
    "notify/": {"findings"},
    "cli/notify.py": {"findings"},
}
OF_THE_REPORT = re.compile(
    r"\b[Tt]ables? [1-6]\b|report's findings|\bfindings\b|performance report|\bthe report said\b|fine hair"
    r"|[\"\'](?:base|8step|4step)[\"\']"
)


def source_files() -> list[Path]:
    kinds = {".py", ".j2", ".css", ".js"}
    return [path for path in sorted(PACKAGE.rglob("*")) if path.suffix in kinds and "published" not in path.parts]


def test_nothing_outside_its_room_speaks_of_the_published_report_or_names_its_variants() -> None:
    files = source_files()
    assert len(files) > 100
    strays = []
    for path in files:
        name = path.relative_to(PACKAGE).as_posix()
        allowed = {word for start, known in ALLOWED.items() if name.startswith(start) for word in known}
        found = set(OF_THE_REPORT.findall(path.read_text(encoding="utf-8"))) - allowed
        strays += [f"{name}: {word}" for word in sorted(found)]
    assert strays == []


def test_reports_take_it_in_at_one_place() -> None:
    importing = [
        path.relative_to(PACKAGE).as_posix()
        for path in source_files()
        if re.search(r"from qiltest\.published|import qiltest\.published", path.read_text(encoding="utf-8"))
    ]
    assert importing == ["report/published.py"]


def test_no_page_that_is_not_in_the_repository_is_referred_to() -> None:
    # the schema names what it means too
    pages = [*source_files(), *PACKAGE.rglob("*.json")]
    assert [path.name for path in pages if "(DESIGN" in path.read_text(encoding="utf-8")] == []
