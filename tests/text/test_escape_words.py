"""Escapes at their limits, character by character."""

import pytest

from qiltest.text.escape import command_data, markdown, printable_json, visible


@pytest.mark.parametrize("code", [0xFDD0, 0xFDD1, 0xFDEE, 0xFDEF, 0xFFFE, 0xFFFF, 0x1FFFE, 0x10FFFF])
def test_every_noncharacter_is_replaced(code):
    assert visible(chr(code)) == "\ufffd"


@pytest.mark.parametrize("code", [0xFDCF, 0xFDF0, 0xFFFD])
def test_their_neighbours_stay(code):
    assert visible(chr(code)) == chr(code)


@pytest.mark.parametrize(("char", "shown"), [("\u2028", "«U+2028»"), ("\u2029", "«U+2029»"), ("\u200b", "«U+200B»")])
def test_separators_and_format_characters_are_named(char, shown):
    assert visible(f"a{char}") == f"a{shown}"


def test_variation_selectors_stay():
    assert visible("☕\ufe0f") == "☕\ufe0f"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<b>", "&lt;b&gt;"),
        ("a & b", "a &amp; b"),
        ("a\nb", "a<br>b"),
        ("a<", "a&lt;"),
        ("a>", "a&gt;"),
        ("1. a", "1\\. a"),
        ("1) a", "1\\) a"),
        ("1.5", "1.5"),
        ("- a", "\\- a"),
        ("  + a", "  \\+ a"),
        ("=", "\\="),
        ("https://a.b", "https\\://a.b"),
        ("www.a.b", "www\\.a.b"),
        ("@team", "@<!-- -->team"),
        ("a #12", "a #<!-- -->12"),
        (":smile:", ":<!-- -->smile:"),
        ("a|b", "a\\|b"),
        ("`x` *y* _z_", "\\`x\\` \\*y\\* \\_z\\_"),
    ],
)
def test_markdown_renders_as_the_text(text, escaped):
    assert markdown(text) == escaped


def test_markdown_is_bounded():
    assert markdown("abcdef", 3) == "abc \\[…3 more characters\\]"
    assert markdown("a" * 4000) == "a" * 4000
    assert markdown("a" * 4001) == "a" * 4000 + " \\[…1 more characters\\]"


def test_a_commands_data_has_no_line_end_and_no_escape_of_its_own():
    assert command_data("50%\n\r") == "50%25%0A␍"
    assert command_data("a\r\nb") == "a%0Ab"


def test_printed_json_of_plain_text_is_itself():
    assert printable_json('{"a": "é ☕"}') == '{"a": "é ☕"}'
    assert printable_json('"\u202e"') == '"\\u202e"'
    assert printable_json('"##[error]"') == '"#\\u0023[error]"'
