"""JSON from outside is read strictly or not at all."""

import json
from dataclasses import dataclass
from typing import ClassVar

import pytest
from pydantic import ConfigDict

from qiltest.strict_json import STORED, StrictJsonError, decode, parse


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
