import copy
import json

import pytest

from qiltest.errors import StoreError
from qiltest.reading import reading_from_json, reading_to_json
from qiltest.scoring import score, score_from_json, score_to_json
from readings import line, reading, stack, texts

READING = reading([*stack("Hello", "Wor1d"), line("Hello World", 900, 900, 200, 40)])
SCORE = score(texts("Hello World"), READING)


def through(data):
    return json.loads(json.dumps(data, allow_nan=False))


def test_a_reading_comes_back_equal():
    assert reading_from_json(through(reading_to_json(READING))) == READING


def test_a_score_comes_back_equal():
    assert score_from_json(through(score_to_json(SCORE))) == SCORE


def paths(data, at=()):
    """Every key and index of nested data."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*at, key)
        yield from paths(value, (*at, key))


def changed(data, path, value):
    data = copy.deepcopy(data)
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return data


@pytest.mark.parametrize("bad", [None, float("nan"), {"x": 1}])
@pytest.mark.parametrize("name", ["reading", "score"])
def test_a_value_of_another_type_is_refused_wherever_it_stands(name, bad):
    data, load = (
        (reading_to_json(READING), reading_from_json) if name == "reading" else (score_to_json(SCORE), score_from_json)
    )
    for path in paths(through(data)):
        with pytest.raises(StoreError):
            load(changed(through(data), path, bad))


@pytest.mark.parametrize("name", ["reading", "score"])
def test_a_missing_or_unknown_key_is_refused(name):
    data, load = (
        (reading_to_json(READING), reading_from_json) if name == "reading" else (score_to_json(SCORE), score_from_json)
    )
    for key in data:
        with pytest.raises(StoreError, match=key):
            load({k: v for k, v in data.items() if k != key})
    with pytest.raises(StoreError, match="surprise"):
        load({**data, "surprise": 1})


def test_a_distance_that_is_not_the_sum_is_refused():
    data = through(score_to_json(SCORE))
    with pytest.raises(StoreError, match="sum"):
        score_from_json({**data, "distance": data["distance"] + 1})
