from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hostile_texts import HOSTILE, acting
from qiltest.text.escape import (
    bounded,
    command_data,
    command_property,
    markdown,
    one_line,
    printable,
    printable_json,
    printable_line,
    visible,
    without_commands,
    without_surrogates,
)

ANY_TEXT = st.text(alphabet=st.characters(codec=None), max_size=60)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("a\0b", "a␀b"),
        ("a\x1b[31mb", "a␛[31mb"),
        ("a\x7fb", "a␡b"),
        ("a\x85b", "a\ufffdb"),
        ("a\u202eb", "a«U+202E»b"),
        ("a\u2066b", "a«U+2066»b"),
        ("a\u200bb", "a«U+200B»b"),
        ("a\u2028b", "a«U+2028»b"),
        ("a\ufeffb", "a«U+FEFF»b"),
        ("a\U000e0041b", "a«U+E0041»b"),
        ("a\ud800b", "a\ufffdb"),
        ("a\uffffb", "a\ufffdb"),
        ("a\tb\r\nc", "a b\nc"),
        ("a\rb", "a␍b"),
    ],
)
def test_what_acts_or_hides_is_shown(hostile: str, shown: str) -> None:
    assert visible(hostile) == shown


@pytest.mark.parametrize("text", ["通义千问", "π≈3.14", "😊", "❤️", "é", "e\u0301", "龍鳳冰室", "“quoted”"])
def test_ordinary_writing_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@given(ANY_TEXT)
def test_whatever_comes_can_be_encoded_and_has_no_control_character(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert all(char == "\n" or ord(char) >= 32 for char in shown)
    assert visible(shown) == shown


@given(ANY_TEXT)
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


def test_what_is_cut_is_said() -> None:
    assert bounded("x" * 12, 10) == "x" * 10 + " […2 more characters]"
    assert bounded("x" * 10, 10) == "x" * 10


def test_only_surrogates_are_replaced_for_machines() -> None:
    assert without_surrogates("a\ud800b\0c\u202e") == "a\ufffdb\0c\u202e"
    json.dumps(without_surrogates("\udfff"), ensure_ascii=False).encode("utf-8")


def rendered(text: str) -> str:
    """The text of a table's cell as a Markdown renderer shows it, without its HTML comments and line breaks."""
    source = f"| a |\n|---|\n| {markdown(text)} |\n"
    html = MarkdownIt("commonmark").enable("table").render(source)
    assert html.count("<td>") == 1, html
    cell = html.split("<td>")[1].split("</td>")[0]
    return cell.replace("<!-- -->", "").replace("<br>", "\n")


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "a | b",
        "a \\| b",
        "`code` ``",
        "**bold** _it_ ~~gone~~",
        "[link](javascript:alert(1))",
        "![img](x)",
        "<!-- hidden -->",
        "&lt;b&gt; &amp;",
        "$x^2$",
        "- item",
        "1. item",
        "# title",
        "= x",
    ],
)
def test_markdown_shows_hostile_text_as_itself(hostile: str) -> None:
    expected = hostile.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    assert rendered(hostile) == expected


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_no_text_leaves_its_table_cell_or_becomes_markup(text: str) -> None:
    cell = rendered(text)
    assert not [tag for tag in ("<a", "<img", "<em", "<strong", "<code", "<s>", "<script") if tag in cell]


@pytest.mark.parametrize(
    "reference", ["@someone", "mail@example.org", "#123", ":rocket:", "http://example.org", "www.example.org"]
)
def test_what_a_forge_would_link_is_broken_up(reference: str) -> None:
    assert reference not in markdown(reference)


def test_a_workflow_command_cannot_be_ended_or_begun_by_text() -> None:
    assert command_data("a\n::error::b%0Ac") == "a%0A::error::b%250Ac"
    assert command_property("a,b:c\r\nd") == "a%2Cb%3Ac%0Ad"


@given(ANY_TEXT)
def test_a_workflow_command_stays_one_line(text: str) -> None:
    assert len((command_data(text) + command_property(text)).splitlines()) <= 1


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("::error::x", "\\::error::x"),
        ("a\n \t::error::x", "a\n  \\::error::x"),
        ("\u3000::error::x", "\u3000\\::error::x"),
        ("a ##[error]x ##VSO[y]", "a #\\#[error]x #\\#VSO[y]"),
        ("a::b", "a::b"),
        ("## Heading", "## Heading"),
        ("###[x", "##\\#[x"),
    ],
)
def test_a_jobs_log_finds_no_command_in_a_text(hostile: str, shown: str) -> None:
    assert printable(hostile) == shown
    assert without_commands(shown) == shown


@given(st.lists(st.sampled_from([*"a\n\r:#[ \t\x1b\x85\u2028\u202e", "::", "##[", "##vso[", "\ud800"]), max_size=12))
def test_nothing_in_a_printable_text_acts(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert acting(printable(text)) == acting(printable_line(text)) == []
    assert "\n" not in printable_line(text)
    assert printable(printable(text)) == printable(text)


@given(ANY_TEXT)
@example("\x7f")
def test_printed_json_has_the_same_value_and_acts_on_nothing(text: str) -> None:
    for value in (text, text + HOSTILE + text):
        printed = printable_json(json.dumps([value, {value: 1}], ensure_ascii=False, indent=1))
        assert json.loads(printed) == [value, {value: 1}]
        assert acting(printed) == []
