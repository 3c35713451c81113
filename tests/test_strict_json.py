"""JSON from outside is read strictly or not at all."""

import json
from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict

from qiltest.strict_json import MOST_DIGITS, MOST_NESTED, STORED, StrictJsonError, decode, parse, parse_file


@dataclass(frozen=True, kw_only=True)
class Inner:
    seconds: float

    __pydantic_config__: ClassVar[ConfigDict] = STORED


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    parts: tuple[Inner, ...]

    __pydantic_config__: ClassVar[ConfigDict] = STORED


def test_a_record_is_read_from_text_and_from_bytes():
    text = '{"name": "é", "parts": [{"seconds": 1.5}, {"seconds": 2}]}'
    record = Outer(name="é", parts=(Inner(seconds=1.5), Inner(seconds=2.0)))
    assert decode(Outer, text) == record
    assert decode(Outer, text.encode()) == record


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ('{"name": 3, "parts": [{"seconds": "1"}]}', ("name: ", "parts.0.seconds: ")),
        ('{"name": "a", "parts": [{"seconds": true}]}', ("parts.0.seconds: ",)),
        ('{"name": "a", "parts": [], "surprise": 1}', ("surprise: ",)),
        ('{"parts": [{}]}', ("name: Field required", "parts.0.seconds: Field required")),
        ('{"name": "a", "parts": [{"seconds": 1e999}]}', ("parts.0.seconds: Input should be a finite number",)),
        ('{"name": "a", "parts": [{"seconds": NaN}]}', ("parts.0.seconds: Input should be a finite number",)),
        ('{"name": "a", "name": "b", "parts": []}', ("whole: duplicate key 'name'",)),
        ('{"name": "a", "parts": [{"seconds": 1, "seconds": 2}]}', ("whole: duplicate key 'seconds'",)),
        ("[]", ("whole: Input should be ",)),
        ("{", ("whole: Invalid JSON: ",)),
        ("", ("whole: Invalid JSON: ",)),
        (b'{"name": "\xff", "parts": []}', ("whole: Invalid JSON: ",)),
        ("[" * 100_000, ("whole: Invalid JSON: ",)),
    ],
)
def test_every_fault_is_named_with_its_place(text, faults):
    with pytest.raises(StrictJsonError) as refused:
        decode(Outer, text, whole="whole")
    assert len(refused.value.faults) == len(faults)
    assert all(found.startswith(wanted) for found, wanted in zip(refused.value.faults, faults, strict=True))
    assert str(refused.value) == "; ".join(refused.value.faults)


def test_plain_values_are_parsed_as_they_are():
    value = {"a": [1, 2.5, None, True, "x"], "b": {}}
    assert parse(json.dumps(value)) == value
    with pytest.raises(StrictJsonError, match=r"^duplicate key 'a'$"):
        parse('{"a": {"a": 1, "a": 2}}')
    with pytest.raises(StrictJsonError, match=r"^-Infinity is not a finite number$"):
        parse("-Infinity")


def nested(levels, kind="[]"):
    return f'{{"x": {kind[0] * (levels - 1)}{kind[1] * (levels - 1)}}}'


def test_the_most_levels_are_read_and_one_more_is_refused():
    assert parse(nested(MOST_NESTED)) is not None
    for text in (nested(MOST_NESTED + 1), f"[1, {nested(MOST_NESTED)}]", "[{" * 50):
        with pytest.raises(StrictJsonError, match=f"more than {MOST_NESTED} levels"):
            parse(text)
        with pytest.raises(StrictJsonError, match=f"^whole: Invalid JSON: more than {MOST_NESTED} levels"):
            decode(Outer, text, whole="whole")


@pytest.mark.parametrize("text", ["[" * 100, '\\"' + "[" * 100, "\\\\", "1" * 200, "é]" * 90])
def test_what_stands_in_a_string_is_neither_a_level_nor_a_number(text):
    assert parse(json.dumps(text)) == text
    assert parse(json.dumps({text: [text, 1]})) == {text: [text, 1]}


@pytest.mark.parametrize("number", ["{}", "-{}", "0.{}", "1e{}", "[1, {}]"])
def test_a_number_of_too_many_digits_is_refused(number):
    with pytest.raises(StrictJsonError, match=f"more than {MOST_DIGITS} digits"):
        parse(number.format("1" * (MOST_DIGITS + 1)))
    parse(number.format("0" * (MOST_DIGITS - 1) + "1") if "e" in number else number.format("1" * MOST_DIGITS))


def test_a_number_that_becomes_infinite_is_not_finite():
    with pytest.raises(StrictJsonError, match=r"^1e999 is not a finite number$"):
        parse('{"a": 1e999}')
    assert parse("1e308") == 1e308


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        "{" + ",".join(f'"k{i}": 1' for i in range(200_000)) + ', "k199999": 1}',
        '"' + '\\"' * 1_000_000,
        '"' + "\\" * 1_000_001,
        '"' * 1_000_000,
        "[" * 1_000_000,
        "[]" * 1_000_000,
        "1" * 1_000_000,
    ],
    ids=["twins", "escaped quotes", "backslashes", "quotes", "brackets", "pairs", "digits"],
)
def test_a_text_that_is_made_to_hurt_is_refused_in_time(text):
    with pytest.raises(StrictJsonError):
        parse(text)


def test_a_duplicate_key_of_a_megabyte_is_not_repeated_in_the_message():
    name = "k" * 1_000_000
    with pytest.raises(StrictJsonError, match=r"^duplicate key 'kkk") as refused:
        parse(f'{{"{name}": 1, "{name}": 2}}')
    assert len(str(refused.value)) < 200


def test_a_file_is_read_up_to_the_most_bytes_and_no_fifo_is_waited_for(tmp_path):
    path = tmp_path / "file.json"
    path.write_text('{"a": 1}')
    assert parse_file(path) == parse_file(path, most=8) == {"a": 1}
    with pytest.raises(OSError, match="at most 7 bytes"):
        parse_file(path, most=7)


#: values of any shape, shallow enough to be read.
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**99), 10**99)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_what_json_writes_is_read_back_as_it_was(value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse(text) == value


@given(st.integers(1, 2 * MOST_NESTED), st.text(alphabet='[]{}"\\', max_size=20))
def test_the_levels_are_counted_whatever_the_strings_hold(levels, text):
    written = "[" * levels + json.dumps(text) + "]" * levels
    if levels <= MOST_NESTED:
        assert parse(written) is not None
    else:
        with pytest.raises(StrictJsonError, match="levels inside one another"):
            parse(written)
