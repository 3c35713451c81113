"""Scores to and from JSON: what is written, and where a damaged record is wrong."""

import copy
import json
from dataclasses import replace

import pytest

from qiltest.errors import StoreError
from qiltest.scoring import Edit, EditKind, Extra, ExtraKind, Score, TextScore, score_from_json, score_to_json
from readings import INFO

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
)
SCORE = Score(
    reader=INFO,
    texts=(replace(TEXT, distance=0, edits=(), lines=(0,), layout=()), TEXT),
    extra=(
        Extra(text="Hello", kind=ExtraKind.DOUBLED, line=5, distance=5, of="HelloWorld"),
        Extra(text="nothing", kind=ExtraKind.OTHER, line=6, distance=0),
    ),
    distance=7,
    distance_alnum=8,
    length=20,
)


def data():
    return json.loads(json.dumps(score_to_json(SCORE), allow_nan=False))


def test_a_score_is_written_field_by_field():
    written = data()
    assert {key: written[key] for key in ("distance", "distance_alnum", "length")} == {
        "distance": 7,
        "distance_alnum": 8,
        "length": 20,
    }
    assert set(written) == {"reader", "texts", "extra", "distance", "distance_alnum", "length"}
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
    }
    assert written["extra"] == [
        {"text": "Hello", "kind": "doubled", "line": 5, "distance": 5, "of": "HelloWorld"},
        {"text": "nothing", "kind": "other", "line": 6, "distance": 0, "of": ""},
    ]


def test_a_score_with_everything_in_it_comes_back_equal():
    assert score_from_json(data()) == SCORE


def places():
    """Yield (path, the place that the error should name) for all values outside of the reader."""
    yield ("texts",), "score.texts"
    yield ("extra",), "score.extra"
    for key in ("distance", "distance_alnum", "length"):
        yield (key,), f"score.{key}"
    text = "score.texts[1]"
    yield ("texts", 1), text
    for key in TEXT.__dataclass_fields__:
        yield ("texts", 1, key), f"{text}.{key}"
    for key in ("edits", "lines", "layout"):
        yield ("texts", 1, key, 0), f"{text}.{key}"
    for key in EDITS[0].__dataclass_fields__:
        yield ("texts", 1, "edits", 1, key), f"{text}.edits.{key}"
    yield ("extra", 1), "score.extra[1]"
    for key in SCORE.extra[0].__dataclass_fields__:
        yield ("extra", 1, key), f"score.extra[1].{key}"


@pytest.mark.parametrize(("path", "where"), list(places()), ids=str)
def test_a_damaged_record_names_the_very_place(path, where):
    damaged = copy.deepcopy(data())
    inner = damaged
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = None
    with pytest.raises(StoreError) as refused:
        score_from_json(damaged)
    assert refused.value.where == where
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("path", "where"), [p for p in places() if isinstance(p[0][-1], str) and len(p[0]) > 1], ids=str
)
def test_a_lost_field_is_named_with_its_record(path, where):
    damaged = copy.deepcopy(data())
    inner = damaged
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    with pytest.raises(StoreError) as refused:
        score_from_json(damaged)
    assert path[-1] in refused.value.what
    assert refused.value.where == where.rpartition(".")[0]


def test_what_is_no_record_at_all_is_no_score():
    with pytest.raises(StoreError) as refused:
        score_from_json([])
    assert refused.value.where == "score"


@pytest.mark.parametrize(
    ("path", "what", "where"),
    [
        (("texts", 1, "edits", 0), "unknown kind of edit 'swap'", "score.texts[1].edits"),
        (("extra", 0), "unknown kind of extra text 'swap'", "score.extra[0]"),
    ],
)
def test_an_unknown_kind_is_refused_by_name(path, what, where):
    damaged = data()
    inner = damaged
    for key in path:
        inner = inner[key]
    inner["kind"] = "swap"
    with pytest.raises(StoreError) as refused:
        score_from_json(damaged)
    assert (refused.value.what, refused.value.where) == (what, where)
    assert refused.value.remedy == "score the picture again"


def test_a_distance_that_is_not_the_sum_says_both_numbers():
    with pytest.raises(StoreError) as refused:
        score_from_json({**data(), "distance": 8})
    assert refused.value.what == "distance 8 is not the sum of its parts, 7"
    assert refused.value.where == "score"
    assert refused.value.remedy == "the record is damaged: score the picture again (qiltest rescore)"
