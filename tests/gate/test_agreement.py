"""A golden's numbers follow from what was read: what the scorer counts is accepted, and nothing else."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import builders as make
from qiltest.errors import GoldenError
from qiltest.gate import GoldenStore
from qiltest.gate.golden import golden_from
from qiltest.scoring import EmptyReadingError, score_case
from qiltest.suite.cases import ExpectedText, Limits, LineBreaks
from qiltest.suite.selection import Sample

TEXTS = ("Qwen Coffee", "well-known 2 dollars", "夜市开门", "Hello World 😊", "OPEN 24H")
#: what a reader may return for one of the texts, or beside them.
LINES = st.sampled_from(
    [*TEXTS, "Qwen Cofee", "well-", "well\nknown 2 dollars", "known 2 dollars", "OPEN", "0PEN 24H", "zzzz", "夜市",
     "QwenCoffee Qwen Coffee", "Hello World :)", "Coffee Qwen", "l", "a\nb", "HELLO WORLD", "Qwen Coffee\n2 dollars",
     "\u3164", "-"]
)  # fmt: skip


@st.composite
def cases(draw):
    wanted = draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4, unique=True))
    texts = tuple(
        ExpectedText(text=text, optional_marks=("😊",) if "😊" in text else (), required=draw(st.booleans()) or n == 0)
        for n, text in enumerate(wanted)
    )
    return make.case(
        texts=texts,
        limits=Limits(tolerance=0),
        line_breaks=draw(st.sampled_from(LineBreaks)),
        forgiven=draw(st.sampled_from([(), ("O/0",)])),
    )


@st.composite
def recorded(draw):
    """A case and the golden that its image would be."""
    case = draw(cases())
    lines = draw(st.lists(LINES, min_size=1, max_size=5))
    confidences = draw(st.lists(st.sampled_from([0.2, 0.6, 0.99]), min_size=len(lines), max_size=len(lines)))
    stacked = [replace(line, confidence=sure) for line, sure in zip(make.stack(*lines), confidences, strict=True)]
    try:
        score = score_case(case, make.reading(stacked))
    except EmptyReadingError:  # an empty reading is another test's matter
        score = score_case(case, make.reading(make.stack(*TEXTS)))
    sample = Sample(case=case.id, size=make.SIZE, variant="4step", seed=42)
    golden = golden_from(sample, model="tiny", recipe=make.recipe(), score=score, noise_floor=None, image="b" * 64)
    return case, make.kept(golden)


def load(store, golden, case):
    return store.load(golden.model, golden.sample, case)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return GoldenStore(root=tmp_path_factory.mktemp("golden"))


def accepts_nothing(golden):
    return golden.distance >= golden.length


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(recorded())
def test_what_was_scored_agrees_with_what_was_read(store, found):
    case, golden = found
    store.save(golden)
    if accepts_nothing(golden):
        with pytest.raises(GoldenError, match="would pass an image without any of its texts"):
            load(store, golden, case)
    else:
        assert load(store, golden, case) == golden


@given(recorded(), st.data())
def test_no_number_can_be_edited_whatever_else_is_made_to_fit(store, found, data):
    case, golden = found
    record = json.loads(json.dumps(asdict(golden)))
    path = store.save(golden)
    edit = data.draw(st.sampled_from(["text", "alnum", "length", "extra"]))
    more = data.draw(st.integers(1, 10**9))
    if edit == "text":
        index = data.draw(st.integers(0, len(golden.texts) - 1))
        record["texts"][index]["distance"] += more
        record["distance"] += more
    elif edit == "alnum":
        record["distance_alnum"] += more
    elif edit == "length":
        record["length"] += more
    else:
        record["extra"].append({"text": "nothing of the kind", "kind": "doubled", "distance": 16})
        record["distance"] += 16
        record["distance_alnum"] += 16
    path.write_text(json.dumps(record))
    with pytest.raises(GoldenError, match="does not agree with what was read"):
        load(store, golden, case)


QWEN = make.case()


def broken(store, case=QWEN, **fields):
    golden = make.golden(size=str(make.SIZE), texts=(replace(make.golden().texts[0], read="Qwen Coffee"),))
    path = store.save(golden)
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    with pytest.raises(GoldenError) as refused:
        load(store, golden, case)
    assert "--qil-update=changed" in refused.value.remedy
    return refused.value.what.removeprefix("the golden does not agree with what was read: ")


def text(distance, read="Qwen Coffee"):
    return [{"expected": "Qwen Coffee", "read": read, "distance": distance}]


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        (
            {"distance": 5, "texts": text(5)},
            "texts[0].distance is 5, but 'Qwen Coffee' for 'Qwen Coffee' is 0 by the case's rules",
        ),
        (
            {"distance": 0, "texts": text(0, "Qwen")},
            "texts[0].distance is 0, but 'Qwen' for 'Qwen Coffee' is 6 by the case's rules",
        ),
        ({"distance_alnum": 999}, "distance_alnum is 999, but its texts and extras add up to 0"),
        ({"length": 1}, "length is 1, but the case's required texts have 10 characters"),
        ({"length": 10**6}, "length is 1000000, but the case's required texts have 10 characters"),
        (
            {"distance": 7, "distance_alnum": 7, "extra": [{"text": "garbage", "kind": "leaked", "distance": 7}]},
            "extra[0].kind is leaked, but 'garbage' repeats or extends none of the texts",
        ),
    ],
)
def test_the_field_that_does_not_agree_is_named(store, fields, what):
    assert broken(store, **fields) == what


def test_a_golden_that_would_pass_an_image_without_text_is_refused(store):
    fields = {"distance": 9, "distance_alnum": 9, "texts": text(9, "Q"), "noise_floor": None}
    tolerant = replace(QWEN, limits=Limits(tolerance=1))
    assert broken(store, tolerant, **fields) == (
        "the golden would pass an image without any of its texts: distance 9 and tolerance 1 allow all 10 characters"
    )
    limited = replace(QWEN, limits=Limits(tolerance=1, absolute=9))
    assert load(store, make.golden(size=str(make.SIZE)), limited) is not None


def test_a_line_that_holds_several_is_recorded_as_the_one_line_that_was_scored(store):
    case = make.case("coffee", "well-known 2 dollars")
    score = score_case(case, make.reading(make.stack("well\nknown 2 dollars")))
    sample = Sample(case="coffee", size=make.SIZE, variant="4step", seed=42)
    scored = golden_from(sample, model="tiny", recipe=make.recipe(), score=score, noise_floor=None, image="b" * 64)
    golden = make.kept(scored)
    assert golden.distance == 1
    store.save(golden)
    assert load(store, golden, case) == golden


def test_a_golden_of_other_texts_is_not_counted_again_because_it_is_not_compared(store):
    golden = make.golden(3, size=str(make.SIZE))
    store.save(golden)
    assert load(store, golden, make.case("coffee", "Other text")) == golden


def test_a_rule_of_the_case_that_changed_makes_its_golden_an_error(store):
    golden = make.golden(1, size=str(make.SIZE), texts=(replace(make.golden(1).texts[0], read="Qwen C0ffee"),))
    store.save(golden)
    assert load(store, golden, QWEN) == golden
    with pytest.raises(GoldenError, match="is 0 by the case's rules"):
        load(store, golden, replace(QWEN, forgiven=("O/0",)))
