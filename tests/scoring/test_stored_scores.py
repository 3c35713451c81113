"""Scores and readings to and from JSON: what is written, and where a damaged record is wrong."""

import copy
import json
from dataclasses import asdict, replace

import pytest

from builders import FAKE, line, reading, stack
from qiltest.scoring import Edit, EditKind, Extra, ExtraKind, Score, TextScore
from qiltest.scoring.records import BrokenCharacter, GoneScore
from qiltest.strict_json import StrictJsonError, decode

EDITS = (
    Edit(kind=EditKind.SUBSTITUTE, position=3, expected="l", read="1", look_alike="I/l/1", counted=False),
    Edit(kind=EditKind.INSERT, position=5, expected="", read="x"),
    Edit(kind=EditKind.DELETE, position=7, expected="d", read=""),
)
TEXT = TextScore(
    expected="Hello World",
    read="Hel1ox\nWor",
    distance=2,
    distance_alnum=3,
    length=10,
    edits=EDITS,
    lines=(4, 2),
    required=False,
    layout=("hyphen '-' missing at a line break",),
    beside=("Tom:", "again"),
    strokes="..x-------",
    broken=(BrokenCharacter(char="l", position=2, line=4, index=2, log_odds=1.25, place=(9.5, 20.0)),),
)
SCORE = Score(
    reader=FAKE,
    texts=(replace(TEXT, distance=0, edits=(), lines=(0,), layout=(), beside=(), strokes="", broken=()), TEXT),
    extra=(
        Extra(text="Hello", kind=ExtraKind.DOUBLED, line=5, distance=5, of="HelloWorld"),
        Extra(text="nothing", kind=ExtraKind.OTHER, line=6, distance=0),
    ),
    distance=7,
    distance_alnum=8,
    length=20,
    gone=(GoneScore(expected="SALE", read="SALF", distance=3, length=4, lines=(1,)),),
    strokes="------------..x-------",
    glyphs="glyphs-1-abc",
)


JUDGED = replace(line("Hi", 900, 900, 200, 40), strokes=(None, -1.5), places=(0.25, 0.75))
READING = reading([*stack("Hello", "Wor1d"), JUDGED], glyphs="glyphs-1-abc")


def data(record=SCORE):
    return json.loads(json.dumps(asdict(record), allow_nan=False))


def refusal(kind, record):
    with pytest.raises(StrictJsonError) as refused:
        decode(kind, json.dumps(record))
    return refused.value.faults


def test_a_score_is_written_field_by_field():
    written = data()
    assert {key: written[key] for key in ("distance", "distance_alnum", "length")} == {
        "distance": 7,
        "distance_alnum": 8,
        "length": 20,
    }
    known = {"reader", "texts", "extra", "distance", "distance_alnum", "length", "gone", "strokes", "glyphs"}
    assert set(written) == known
    assert written["texts"][1] == {
        "expected": "Hello World",
        "read": "Hel1ox\nWor",
        "distance": 2,
        "distance_alnum": 3,
        "length": 10,
        "edits": [
            {
                "kind": "substitute",
                "position": 3,
                "expected": "l",
                "read": "1",
                "look_alike": "I/l/1",
                "counted": False,
            },
            {"kind": "insert", "position": 5, "expected": "", "read": "x", "look_alike": "", "counted": True},
            {"kind": "delete", "position": 7, "expected": "d", "read": "", "look_alike": "", "counted": True},
        ],
        "lines": [4, 2],
        "required": False,
        "layout": ["hyphen '-' missing at a line break"],
        "beside": ["Tom:", "again"],
        "kept": False,
        "strokes": "..x-------",
        "broken": [{"char": "l", "position": 2, "line": 4, "index": 2, "log_odds": 1.25, "place": [9.5, 20.0]}],
    }
    assert written["gone"] == [{"expected": "SALE", "read": "SALF", "distance": 3, "length": 4, "lines": [1]}]
    assert written["extra"] == [
        {"text": "Hello", "kind": "doubled", "line": 5, "distance": 5, "of": "HelloWorld"},
        {"text": "nothing", "kind": "other", "line": 6, "distance": 0, "of": ""},
    ]


@pytest.mark.parametrize("record", [SCORE, READING], ids=["score", "reading"])
def test_a_record_with_everything_in_it_comes_back_equal(record):
    assert decode(type(record), json.dumps(data(record))) == record


def paths(value, at=()):
    """Yield the path of every value inside nested data."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*at, key)
        yield from paths(inner, (*at, key))


def inside(record, path):
    for key in path:
        record = record[key]
    return record


def path_of(value):
    return ".".join(map(str, value)) if isinstance(value, tuple) else type(value).__name__


PLACES = [(record, path) for record in (SCORE, READING) for path in paths(data(record))]


@pytest.mark.parametrize("bad", [None, {"x": 1}])
@pytest.mark.parametrize(("record", "path"), PLACES, ids=path_of)
def test_a_value_of_another_type_is_refused_at_its_very_place(record, path, bad):
    damaged = copy.deepcopy(data(record))
    inside(damaged, path[:-1])[path[-1]] = bad
    if bad is None and path[-2:-1] == ("strokes",):  # of a character that was not judged
        assert decode(type(record), json.dumps(damaged)) is not None
        return
    fault, *_ = refusal(type(record), damaged)
    assert fault.startswith(".".join(map(str, path)))


@pytest.mark.parametrize(
    ("record", "path"),
    [(record, path) for record, path in PLACES if isinstance(path[-1], str)],
    ids=path_of,
)
def test_a_lost_field_is_named_with_its_record(record, path):
    damaged = copy.deepcopy(data(record))
    del inside(damaged, path[:-1])[path[-1]]
    optional = path[-1] in {
        "required",
        "layout",
        "beside",
        "look_alike",
        "counted",
        "of",
        "settings",
        "device",
        "characters",
        "code",
        "kept",
        "gone",
        "places",
        "strokes",
        "broken",
        "glyphs",
    }
    if optional:
        assert decode(type(record), json.dumps(damaged)) is not None
    else:
        assert refusal(type(record), damaged) == (f"{'.'.join(map(str, path))}: Field required",)


@pytest.mark.parametrize("value", [[], "x", None, 3])
def test_what_is_no_record_at_all_is_no_score(value):
    (fault,) = refusal(Score, value)
    assert fault.startswith("file: Input should be ")


@pytest.mark.parametrize("path", [("texts", 1, "edits", 0), ("extra", 0)])
def test_an_unknown_kind_is_refused_with_those_that_exist(path):
    damaged = data()
    inside(damaged, path)["kind"] = "swap"
    (fault,) = refusal(Score, damaged)
    assert fault.startswith(f"{'.'.join(map(str, path))}.kind: Input should be ")
