"""Lines of `events.jsonl`."""

import json
import math
from dataclasses import replace

import pytest

from qiltest.errors import StoreError
from qiltest.runs.events import decode, encode

KINDS = ("started", "generated", "judged", "failed", "ended", "reported")


def of_kind(make, kind):
    arguments = {"started": ("run-1",), "generated": ("a" * 64,)}.get(kind, ())
    return getattr(make, kind)(*arguments)


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_comes_back_as_it_was(make, kind):
    event = of_kind(make, kind)
    assert decode(encode(event), where="here") == event


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_is_one_line_for_every_tool(make, kind):
    line = encode(of_kind(make, kind)).decode()
    assert line.splitlines() == [line.removesuffix("\n")]


def test_a_recipe_keeps_its_key_on_the_way(make):
    event = make.generated("a" * 64)
    assert decode(encode(event), where="here").recipe.key() == event.key


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_not_written(make, number):
    event = make.generated("a" * 64)
    with pytest.raises(StoreError, match="not finite"):
        encode(replace(event, timing=replace(event.timing, denoise_seconds=number)))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"{}",
        b'{"event": "lost"}',
        b'{"event": 3}',
        b'{"event": []}',
        b"\xff",
        b"nan",
    ],
)
def test_what_is_no_event_is_refused_with_its_place(line):
    with pytest.raises(StoreError, match=r"events\.jsonl:7: not an event of a run"):
        decode(line, where="events.jsonl:7")


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_that_is_missing_or_of_another_type_is_named(make, kind):
    record = json.loads(encode(of_kind(make, kind)))
    field = next(name for name in record if name not in {"event", "line", "before"})
    for broken in ({k: v for k, v in record.items() if k != field}, {**record, field: [{}]}):
        with pytest.raises(StoreError, match=f"here: invalid {kind} event: {field}"):
            decode(json.dumps(broken).encode(), where="here")


def test_numbers_are_not_taken_for_text_nor_text_for_numbers(make):
    record = json.loads(encode(make.ended()))
    with pytest.raises(StoreError, match="exit_status"):
        decode(json.dumps({**record, "exit_status": "1"}).encode(), where="here")


def test_a_session_of_15_000_images_begins_and_later_rounds_of_an_edit_are_told(make):
    started = make.started("run-1", 15_000)
    assert decode(encode(started), where="here") == started
    again = tuple(replace(sample, round=2) for sample in make.started("run-1", 2).planned)
    later = replace(started, planned=again)
    assert decode(encode(later), where="here").planned == again
