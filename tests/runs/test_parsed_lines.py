"""What a line of events may hold, with validators made anew: types, numbers, faults and how they are told."""

import json

import pytest

import builders
from qiltest.errors import StoreError
from qiltest.runs import events
from qiltest.runs.events import decode, encode
from qiltest.runs.lines import DAMAGED


@pytest.fixture(autouse=True)
def fresh_validators(monkeypatch):
    monkeypatch.setattr(events, "_VALIDATORS", {})


@pytest.fixture
def fields(make):
    """Each kind of event as the dictionary that is written."""
    written = (
        make.started("a", 2),
        make.generated("a" * 64),
        make.judged(),
        make.failed(),
        make.ended(),
        make.reported(),
    )
    return {type(event).__name__: json.loads(encode(event)) for event in written}


def refused(record):
    with pytest.raises(StoreError) as error:
        decode(json.dumps(record).encode(), where="events.jsonl:7")
    assert error.value.where == "events.jsonl:7"
    assert error.value.remedy == DAMAGED
    return error.value.what


def test_every_kind_of_event_is_read_back_as_it_was_written(make):
    for event in (make.started("a", 2), make.generated("a" * 64), make.judged(), make.failed(), make.ended()):
        assert decode(encode(event), where="x") == event


@pytest.mark.parametrize(
    ("kind", "path", "value", "what"),
    [
        ("Generated", ("timing", "denoise_seconds"), "0.4", "invalid generated event: timing.denoise_seconds: Input"),
        ("Generated", ("timing", "forwards"), "4", "invalid generated event: timing.forwards: Input"),
        ("Generated", ("timing", "forwards"), 4.0, "invalid generated event: timing.forwards: Input"),
        ("Generated", ("timing", "step_seconds"), {"0": 1}, "invalid generated event: timing.step_seconds: Input"),
        ("Generated", ("recipe", "compiled"), 0, "invalid generated event: recipe.compiled: Input"),
        ("Generated", ("sha256",), 5, "invalid generated event: sha256: Input"),
        ("Generated", ("sha256",), "A" * 64, "invalid generated event: sha256: 'AAAA"),
        ("Generated", ("key",), "a" * 64, "invalid generated event: key: it is not that of the recipe"),
        ("Judged", ("judgement", "verdict"), "FINE", "invalid judged event: judgement.verdict: Input"),
        ("Judged", ("golden_recorded",), "false", "invalid judged event: golden_recorded: Input"),
        ("Ended", ("state",), "over", "invalid ended event: state: Input"),
        ("Ended", ("exit_status",), True, "invalid ended event: exit_status: Input"),
        ("Failed", ("error",), None, "invalid failed event: error: Input"),
        ("Started", ("planned",), "none", "invalid started event: planned: Input"),
    ],
)
def test_a_field_of_another_type_is_named(fields, kind, path, value, what):
    record = fields[kind]
    part = record
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    assert refused(record).startswith(what)


@pytest.mark.parametrize("number", ["1e400", "-1e400"])
def test_a_number_beyond_floats_is_refused(fields, number):
    text = json.dumps(fields["Generated"]).replace('"denoise_seconds": 0.4', f'"denoise_seconds": {number}')
    assert number in text
    with pytest.raises(StoreError, match=r"finite|number"):
        decode(text.encode(), where="x")


def test_a_whole_number_may_stand_for_seconds(fields):
    record = fields["Generated"]
    record["timing"]["decode_seconds"] = 1
    assert decode(json.dumps(record).encode(), where="x").timing.decode_seconds == 1.0


def test_of_a_list_of_wrong_items_the_first_is_told(fields):
    record = fields["Generated"]
    record["timing"]["step_seconds"] = ["a"] * 5000
    assert refused(record).startswith("invalid generated event: timing.step_seconds.0: Input")


@pytest.mark.parametrize(("surplus", "told"), [(100, "golden.key0: Unexpected keyword argument"), (101, "101 faults")])
def test_of_more_than_a_hundred_faults_only_the_number_is_told(make, surplus, told):
    record = json.loads(encode(make.judged(golden=builders.golden())))
    record["golden"] |= {f"key{number}": number for number in range(surplus)}
    assert refused(record) == f"invalid judged event: {told}"


def test_a_missing_field_is_named(fields):
    record = fields["Ended"]
    del record["state"]
    assert refused(record) == "invalid ended event: state: Field required"


@pytest.mark.parametrize("record", [[], {}, {"event": 5}, {"event": "over"}, 7, {"event": "Ended"}])
def test_another_record_is_no_event(record):
    assert refused(record) == "not an event of a run"


def test_half_a_line_is_told_with_its_place(fields):
    with pytest.raises(StoreError) as error:
        decode(json.dumps(fields["Ended"])[:-4].encode(), where="events.jsonl:9")
    assert error.value.what.startswith("not an event of a run: ")
    assert (error.value.where, error.value.remedy) == ("events.jsonl:9", DAMAGED)


def test_a_text_that_is_no_unicode_is_refused(fields):
    record = fields["Failed"]
    record["error"] = "\ud800"
    assert refused(record) == "not an event of a run: a text is no Unicode"


def test_an_escaped_character_of_another_plane_is_a_text(fields):
    record = fields["Failed"]
    record["error"] = "\U0001f600"
    assert decode(json.dumps(record).encode(), where="x").error == "\U0001f600"


def test_names_within_a_golden_and_sizes_within_a_recipe_are_held_to_the_same_rules(fields, make):
    record = fields["Generated"]
    record["recipe"]["effective"] = {"width": 0, "height": 4}
    assert refused(record) == "invalid generated event: recipe.effective: 0x4 is no size"
    record = json.loads(encode(make.judged(golden=builders.golden())))
    for field in ("case", "variant"):
        changed = {**record, "golden": {**record["golden"], field: "../x"}}
        assert refused(changed) == f"invalid judged event: golden.{field}: '../x' is no plain name"


def test_a_recipe_of_another_variant_or_seed_is_not_the_samples(fields, make):
    record = fields["Generated"]
    record["sample"]["variant"] = "other"
    seed = record["recipe"]["seed"]
    variant = record["recipe"]["variant"]
    assert refused(record) == (
        f"invalid generated event: recipe: it is of variant {variant!r} and seed {seed}, not of the sample"
    )


def test_an_event_too_large_to_be_read_again_is_not_written(make, monkeypatch):
    monkeypatch.setattr(events, "fits", lambda data: "more than 3 bytes")
    with pytest.raises(StoreError) as error:
        encode(make.failed())
    assert error.value.what == "a failed event is more than 3 bytes"
    assert error.value.remedy == ("select fewer images at once, or use a reader that returns less; nothing was written")


def test_a_number_that_is_not_finite_is_not_written(make):
    with pytest.raises(StoreError, match="a number of a generated event is not finite"):
        encode(make.generated("a" * 64, timing=builders.timing(float("nan"))))
