"""What is said of files and JSON that are refused, and the bounds up to which they are read."""

import errno
import io
import json
import os
from dataclasses import dataclass

import pytest
from rich.table import Table

from qiltest.files import open_regular
from qiltest.strict_json import MOST_NESTED, StrictJsonError, decode, parse
from qiltest.text.console import SafeConsole
from qiltest.text.escape import one_line, printable_line


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record that does not ask for strict types itself."""

    number: int
    names: tuple[str, ...] = ()


def refused(text):
    with pytest.raises(StrictJsonError) as error:
        parse(text)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "number", "why"),
    [
        ("a\0b", errno.EINVAL, "Not a file's name"),
        ("folder", errno.EISDIR, "Is a directory"),
        ("fifo", errno.EINVAL, "Not a regular file"),
    ],
)
def test_what_is_no_regular_file_is_an_error_of_the_system_with_its_path(tmp_path, name, number, why):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    path = tmp_path / name
    with pytest.raises(OSError, match=why) as error:
        open_regular(path)
    assert (error.value.errno, error.value.strerror, error.value.filename) == (number, why, str(path))
    assert isinstance(error.value, IsADirectoryError) == (name == "folder")


def test_json_is_utf_8_and_no_other_encoding():
    for encoding in ("utf-16", "utf-32", "utf-8-sig"):
        assert refused('{"a":1}'.encode(encoding)).startswith("Invalid JSON: ")
    assert parse('{"a":"é"}'.encode()) == {"a": "é"}


def test_a_lone_surrogate_in_a_text_is_no_obstacle():
    assert parse('"\ud800"') == "\ud800"


def test_a_backslash_at_the_end_of_a_text_does_not_turn_what_follows_inside_out():
    record = {"a": "\\", "b": "[" * 100, "c": "9" * 200, "d": '\\"'}
    assert parse(json.dumps(record)) == record


def test_as_many_levels_as_are_read_are_not_too_many():
    assert refused("[" * MOST_NESTED).startswith("Invalid JSON: Expecting value")
    assert refused("[" * (MOST_NESTED + 1)) == "Invalid JSON: more than 64 levels inside one another"


def test_no_number_becomes_infinite_however_its_exponent_is_written():
    assert refused("[1e999, 1E999, 1e+999, 1E+999]") == "1e999 is not a finite number"


def test_of_several_keys_the_one_that_stands_there_twice_is_named():
    assert refused('{"a":1,"b":2,"b":3}') == "duplicate key 'b'"


@pytest.mark.parametrize("kind", [int, Record])
def test_a_number_in_quotes_is_no_number_of_any_record(kind):
    text = {int: '"1"', Record: '{"number":"1"}'}[kind]
    with pytest.raises(StrictJsonError, match="Input should be a valid integer"):
        decode(kind, text)


def test_a_fault_of_all_of_a_text_names_the_file():
    with pytest.raises(StrictJsonError, match=r"^file: Input should be a valid integer$"):
        decode(int, '"1"')
    with pytest.raises(StrictJsonError, match=r"^file: duplicate key 'number'$"):
        decode(Record, '{"number":1,"number":2}')
    with pytest.raises(StrictJsonError, match=r"^recipe: Input should be a valid integer$"):
        decode(int, '"1"', whole="recipe")


def test_a_cell_of_a_table_is_as_wide_as_the_table_lets_it_be():
    out = io.StringIO()
    console = SafeConsole(file=out, width=60)
    table = Table(width=20)
    table.add_column("name")
    table.add_row("word " * 12)
    console.print(table)
    assert {len(line) for line in out.getvalue().splitlines()} == {20}


@pytest.mark.parametrize("shorten", [one_line, printable_line])
def test_a_line_is_cut_at_the_length_that_was_asked_for(shorten):
    assert shorten("abcdef", 5) == "abcde […1 more characters]"
    assert shorten("abcdefg", 5) == "abcde […2 more characters]"
    assert shorten("abcde", 5) == "abcde"


def test_what_is_cut_is_told_in_characters_of_the_text():
    assert one_line("\u202e" * 5, 3) == "«U+ […5 more characters]"  # none of them is shown whole
    assert one_line("ab\u202e", 3) == "ab« […1 more characters]"
    assert one_line("a\r\nbc", 5) == "a ⏎ b […1 more characters]"
    assert one_line("a\r\nb", 5) == "a ⏎ b"


def test_a_line_feed_is_shown_as_a_return_mark():
    assert one_line("a\nb") == "a ⏎ b"
