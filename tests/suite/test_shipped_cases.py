"""The shipped cases against the report they come from, and their stand-in sizes against the embedded model's grid."""

from __future__ import annotations

import importlib.util
import itertools
import re
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from qiltest.reading import Line, ReaderInfo, Reading
from qiltest.recipe import Size
from qiltest.scoring import score_case
from qiltest.suite.cases import Case, Resolution
from qiltest.suite.load import load_suite
from qiltest.text.normalise import normalise

ROOT = Path(__file__).parents[2]
REPORT = ROOT.parent / "shared" / "report" / "performance-report.md"
# Doubts are kept, so that a slip in one case fails the tests of that case and no others.
SUITE = load_suite(ROOT / "cases", keep_doubtful=True)
VARIANTS = ("base", "8step", "4step")
PLACES = [(case, resolution) for case in SUITE.cases for resolution in case.resolutions]
PLACE_IDS = [f"{case.id}@{resolution.size}" for case, resolution in PLACES]

TOKEN = 16


def tool(name: str) -> ModuleType:
    """Load a module of the embedded model's training: the rule by which its images are laid out."""
    spec = importlib.util.spec_from_file_location(f"tiny_model_{name}", ROOT / "tools" / "tiny_model" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


LAYOUT, CHARSET = tool("layout"), tool("charset").charset()


@dataclass(frozen=True)
class Row:
    """One prompt of one resolution as the report shows it."""

    table: int
    prompt: str
    size: str
    passes: tuple[bool | None, ...]


def report_rows() -> list[Row]:
    """Read the report's tables: a row of images, and under it perhaps a row of marks."""
    if not REPORT.is_file():
        pytest.skip(f"the report is not here: {REPORT.name} is kept beside the repository, not in it")
    rows: list[Row] = []
    table = 0
    for line in REPORT.read_text(encoding="utf-8").splitlines():
        if match := re.search(r"\*\*Table (\d+): ", line):
            table = int(match[1])
        if not line.startswith("|") or "---" in line:
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if "user-attachments" in line:
            size = cells[1].replace(" ", "") if len(cells) == 5 else "1328x1328"
            rows.append(Row(table, cells[0], size, (None, None, None)))
        elif rows and not cells[0]:
            passes = tuple(not ("❌" in cell or "wrong" in cell) for cell in cells[-3:])
            rows[-1] = Row(table, rows[-1].prompt, rows[-1].size, passes)
    return rows


def test_the_prompts_tables_and_sizes_are_the_reports() -> None:
    asked = {(row.table, row.prompt, row.size) for row in report_rows()}
    assert len(asked) == 11
    assert asked == {(case.report_table, case.prompt, str(resolution.size)) for case, resolution in PLACES}


def test_the_marks_are_the_reports() -> None:
    found = {(case.prompt, str(resolution.size)): resolution for case, resolution in PLACES}
    marked = {(row.prompt, row.size): row.passes for row in report_rows()}
    # Table 2 gives its verdict on the whiteboard in the text above it.
    whiteboard = next(case for case in SUITE.cases if case.id == "whiteboard")
    marked[whiteboard.prompt, "1328x1328"] = (None, None, False)
    assert {key: tuple(passes_of(resolution)) for key, resolution in found.items()} == marked
    assert sum(passes is not None for row in marked.values() for passes in row) == 13


def passes_of(resolution: Resolution) -> list[bool | None]:
    verdicts = [resolution.verdict(variant) for variant in VARIANTS]
    return [verdict.passes for verdict in verdicts if verdict is not None]


@pytest.mark.parametrize(("case", "resolution"), PLACES, ids=PLACE_IDS)
def test_every_image_of_the_report_has_a_verdict_with_its_reason(case: Case, resolution: Resolution) -> None:
    assert case.seeds == (42,)
    assert [verdict.variant for verdict in resolution.report] == list(VARIANTS)
    assert all(verdict.finding for verdict in resolution.report)


@pytest.mark.parametrize(
    ("place", "variant", "reason"),
    [
        ("classroom", "base", "fundational"),
        ("coffee-shop@713x1280", "base", "-238446264-"),
        ("whiteboard", "4step", "自动布局"),
        ("whiteboard", "4step", 'extra "2"'),
    ],
)
def test_the_reports_own_findings_are_named(place: str, variant: str, reason: str) -> None:
    case, resolution = SUITE.case(place)
    verdict = (resolution or case.resolutions[0]).verdict(variant)
    assert verdict is not None
    assert verdict.passes is False
    assert reason in verdict.finding


@pytest.mark.parametrize("case", SUITE.cases, ids=[case.id for case in SUITE.cases])
def test_what_is_expected_is_what_the_embedded_model_draws(case: Case) -> None:
    generated = "".join(case.prompt[span.start : span.stop] for span in LAYOUT.spans(case.prompt))
    assert normalise("".join(text.text for text in case.texts if text.required)) == normalise(generated)
    assert case.doubts == ()


def test_the_neon_street_has_its_24_signs_in_the_prompts_order() -> None:
    case, _ = SUITE.case("neon-street")
    assert len(case.texts) == 24
    places = [case.prompt.index(f'"{text.text}"') for text in case.texts]
    assert places == sorted(places)


def test_the_couplets_scrolls_are_vertical_and_nothing_else_is() -> None:
    couplets, _ = SUITE.case("couplets")
    assert [text.vertical for text in couplets.texts] == [True, True, False]
    assert not any(text.vertical for case in SUITE.cases for text in case.texts if case.id != "couplets")


def test_what_no_reader_can_return_is_optional() -> None:
    coffee, _ = SUITE.case("coffee-shop")
    marks = {text.text: text.optional_marks for text in coffee.texts if text.optional_marks}
    assert marks == {"Qwen Coffee 😊 $2 per cup,": ("😊", ",")}
    emoji = {char for case in SUITE.cases for text in case.texts for char in text.text if is_emoji(char)}
    assert emoji == {"😊"}


def test_only_the_logo_may_be_missing() -> None:
    assert [text.text for case in SUITE.cases for text in case.texts if not text.required] == ["Alibaba"]


def is_emoji(char: str) -> bool:
    return unicodedata.category(char) == "So"


#: Rows that the embedded model fills, and rows that are left below them.
ROWS = {
    "anime-street@1328x1328": (7, 1),
    "capybara@1328x1328": (1, 3),
    "classroom@1328x1328": (5, 1),
    "coffee-shop@713x1280": (7, 7),
    "coffee-shop@1280x1280": (6, 5),
    "couplets@1328x1328": (12, 1),
    "movie-poster@1328x1328": (6, 1),
    "neon-street@1328x1328": (24, 1),
    "pi-number@1328x1328": (2, 2),
    # Half a row is left: as much as the seed moves the whole.
    "ppt-slide@1328x1328": (9, 0),
    "whiteboard@1328x1328": (13, 1),
}


@dataclass(frozen=True)
class Glyph:
    """One character of the embedded model: text and column or row it belongs to, place in tokens of 16 px."""

    char: str
    text: int
    line: int
    row: int
    column: int
    width: int


def glyphs(case: Case, tiny: Size) -> list[Glyph]:
    """Return what the embedded model generates where, by the rule that it was trained on."""
    spans = LAYOUT.spans(case.prompt)
    texts = [case.prompt[span.start : span.stop] for span in spans]
    wide = [CHARSET.is_wide(text) for text in texts]
    asked = [(text, full, span.mode) for text, full, span in zip(texts, wide, spans, strict=True)]
    generated: list[Glyph] = []
    for index, cells in enumerate(LAYOUT.place(asked, tiny.width)):
        vertical = spans[index].mode in {LAYOUT.Mode.LEFT, LAYOUT.Mode.RIGHT}
        for char, (row, column) in zip(texts[index], cells, strict=True):
            generated.append(Glyph(char, index, column if vertical else row, row, column, 1 + wide[index]))
    return generated


def perfect_reading(case: Case, tiny: Size) -> Reading:
    """Return what a reader without faults gives for a drawing without faults: all but the emoji, line by line."""
    lines = []
    for _, group in itertools.groupby(glyphs(case, tiny), key=lambda glyph: (glyph.text, glyph.line)):
        line = list(group)
        left, top = line[0].column * TOKEN, line[0].row * TOKEN
        right, bottom = (line[-1].column + line[-1].width) * TOKEN, (line[-1].row + LAYOUT.LINE) * TOKEN
        text = "".join(" " if is_emoji(glyph.char) else glyph.char for glyph in line).strip()
        box = ((left, top), (right, top), (right, bottom), (left, bottom))
        lines.append(Line(text=text, box=box, confidence=1.0))
    info = ReaderInfo(name="perfect", engine="none", version="1", weights_sha256="0" * 64)
    return Reading(reader=info, width=tiny.width, height=tiny.height, lines=tuple(lines), seconds=0.0)


@pytest.mark.parametrize(("case", "resolution"), PLACES, ids=PLACE_IDS)
def test_the_stand_in_holds_all_characters_with_a_row_to_spare(case: Case, resolution: Resolution) -> None:
    tiny = resolution.tiny
    generated = glyphs(case, tiny)
    assert len({(glyph.row, glyph.column) for glyph in generated}) == len(generated)
    assert min(glyph.column for glyph in generated) >= 0
    assert max(glyph.column + glyph.width for glyph in generated) * TOKEN <= tiny.width
    rows = max(glyph.row for glyph in generated) // LAYOUT.LINE + 1
    assert (rows, tiny.height // (LAYOUT.LINE * TOKEN) - rows) == ROWS[f"{case.id}@{resolution.size}"]


def test_every_neon_sign_has_a_row_of_its_own() -> None:
    case, _ = SUITE.case("neon-street")
    rows = {glyph.row for glyph in glyphs(case, case.resolutions[0].tiny)}
    assert len(rows) == len(case.texts)


@pytest.mark.parametrize(("case", "resolution"), PLACES, ids=PLACE_IDS)
def test_a_perfect_reading_of_a_perfect_stand_in_has_no_distance(case: Case, resolution: Resolution) -> None:
    score = score_case(case, perfect_reading(case, resolution.tiny))
    assert (score.distance, score.extra) == (0, ())
