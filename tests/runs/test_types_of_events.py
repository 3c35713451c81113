"""Which JSON types an event's fields take: exactly those of the record, whatever they look like."""

import json

import pytest

from qiltest.errors import StoreError
from qiltest.runs import events
from qiltest.runs.events import decode, encode


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No validator was made before."""
    monkeypatch.setattr(events, "_VALIDATORS", {})


def refused(make, event, place, value):
    record = json.loads(encode(event))
    inner = record
    for name in place[:-1]:
        inner = inner[name]
    assert place[-1] in (inner if isinstance(inner, dict) else range(len(inner)))
    inner[place[-1]] = value
    line = json.dumps(record).replace('"INFINITE"', "1e400").encode()
    with pytest.raises(StoreError) as error:
        decode(line, where="here")
    return error.value.what


def test_every_kind_of_event_is_read_back_as_it_was(make):
    for event in (make.started("r"), make.generated("a" * 64), make.judged(), make.failed(), make.ended()):
        assert type(decode(encode(event), where="here")) is type(event)


@pytest.mark.parametrize(
    ("place", "value", "fault"),
    [
        (("timing", "decode_seconds"), "0.1", "timing.decode_seconds: Input should be a valid number"),
        (("timing", "decode_seconds"), True, "timing.decode_seconds: Input should be a valid number"),
        (("timing", "forwards"), "4", "timing.forwards: Input should be a valid integer"),
        (("timing", "forwards"), 4.0, "timing.forwards: Input should be a valid integer"),
        (("timing", "forwards"), True, "timing.forwards: Input should be a valid integer"),
        (("recipe", "compiled"), 1, "recipe.compiled: Input should be a valid boolean"),
        (("recipe", "compiled"), "false", "recipe.compiled: Input should be a valid boolean"),
        (("recipe", "model"), 7, "recipe.model: Input should be a valid string"),
        (("notes",), {"a": 1}, "notes: Input should be a valid tuple"),
        (("notes",), "abc", "notes: Input should be a valid tuple"),
    ],
)
def test_no_value_is_taken_for_one_of_another_type(make, place, value, fault):
    what = refused(make, make.generated("a" * 64), place, value)
    assert what == f"invalid generated event: {fault}"


def test_a_number_too_large_for_a_float_is_refused(make):
    what = refused(make, make.judged(), ("reading", "seconds"), "INFINITE")
    assert "1e400 is not a finite number" in what
    record = json.loads(encode(make.judged()))
    record["latency"]["seconds"] = "INFINITE"
    line = json.dumps(record).replace('"INFINITE"', "1e400").encode()
    with pytest.raises(StoreError) as error:
        events.decode_brief(line, where="here")
    assert error.value.what == "invalid judged event: latency.seconds: Input should be a finite number"


def test_a_name_that_is_no_state_is_refused(make):
    assert refused(make, make.ended(), ("state",), "splendid").startswith("invalid ended event: state: ")
