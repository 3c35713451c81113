"""How a verdict on text comes about."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders as make
from qiltest.gate import Verdict, judge
from qiltest.gate.golden import GoldenText
from qiltest.gate.judge import above_absolute, not_golden, unseen
from qiltest.recipe import Size
from qiltest.suite.cases import Limits

counts = st.integers(min_value=0, max_value=50)
optional_counts = st.none() | counts
#: from the best to the worst that may be said of an image that was scored.
ORDER = [Verdict.PASS, Verdict.ERROR, Verdict.INCOMPARABLE, Verdict.NEW, Verdict.FAIL]


def verdict(distance, golden, *, tolerance=0, absolute=None, floor=None):
    limits = Limits(tolerance=tolerance, absolute=absolute)
    return judge(make.score(distance), golden, limits, case=make.case(), effective=make.SIZE, noise_floor=floor)


@pytest.mark.parametrize(
    ("distance", "golden", "tolerance", "absolute", "expected", "limit"),
    [
        (0, 0, 0, None, Verdict.PASS, 0),
        (1, 0, 0, None, Verdict.FAIL, 0),
        (1, 1, 0, None, Verdict.PASS, 1),
        (0, 1, 0, None, Verdict.PASS, 1),
        (2, 1, 1, None, Verdict.PASS, 2),
        (3, 1, 1, None, Verdict.FAIL, 2),
        (3, 3, 0, 2, Verdict.FAIL, 2),
        (2, 3, 0, 2, Verdict.PASS, 2),
        (2, 1, 0, 5, Verdict.FAIL, 1),
    ],
)
def test_a_distance_is_held_against_both_limits(distance, golden, tolerance, absolute, expected, limit):
    judgement = verdict(distance, make.golden(golden), tolerance=tolerance, absolute=absolute)
    assert judgement.verdict is expected
    assert judgement.limit == limit
    assert judgement.distance == distance
    assert judgement.golden_distance == golden
    assert bool(judgement.reasons) == (expected is not Verdict.PASS)


def test_both_limits_are_named_where_both_are_broken():
    judgement = verdict(9, make.golden(1), absolute=4)
    assert judgement.reasons == (
        "distance 9 is above the case's absolute limit 4",
        "distance 9 is above the limit 1 (golden 1 + tolerance 0)",
    )


def test_no_golden_is_new_and_has_no_limit():
    judgement = verdict(7, None)
    assert judgement.verdict is Verdict.NEW
    assert judgement.limit is None
    assert judgement.golden_distance is None


def test_no_golden_passes_at_or_below_the_absolute_limit_and_says_so():
    for distance in (0, 2):
        judgement = verdict(distance, None, absolute=2)
        assert (judgement.verdict, judgement.limit, judgement.golden_distance) == (Verdict.PASS, 2, None)
        assert judgement.reasons == ("no golden: absolute limit 2",)


def test_an_absolute_limit_below_the_readers_own_error_is_an_error_without_a_golden_too():
    judgement = verdict(0, None, absolute=1, floor=1.5)
    assert judgement.verdict is Verdict.ERROR
    assert judgement.reasons[0] == "no golden: absolute limit 1"
    assert "limit 1 is below the OCR noise floor of this case, 1.5" in judgement.reasons[1]


def test_no_golden_does_not_excuse_a_distance_above_the_absolute_limit():
    assert verdict(7, None, absolute=6).verdict is Verdict.FAIL


def test_a_golden_of_another_reader_gives_no_limit():
    judgement = verdict(7, make.golden(0, reader="another"))
    assert judgement.verdict is Verdict.INCOMPARABLE
    assert judgement.limit is None


def test_a_golden_of_another_size_is_incomparable():
    judgement = judge(make.score(), make.golden(), Limits(tolerance=0), case=make.case(), effective=Size(512, 512))
    assert judgement.verdict is Verdict.INCOMPARABLE
    assert "256x128" in judgement.reasons[0]
    assert "512x512" in judgement.reasons[0]


def test_changed_expected_texts_are_incomparable_even_where_the_distance_holds():
    score = make.score(expected="Qwen Tea")
    judgement = judge(score, make.golden(), Limits(tolerance=0), case=make.case(), effective=make.SIZE)
    assert judgement.verdict is Verdict.INCOMPARABLE
    assert "'Qwen Tea'" in judgement.reasons[0]
    assert "'Qwen Coffee'" in judgement.reasons[0]


def test_expected_texts_in_another_order_are_incomparable():
    texts = make.golden().texts
    golden = make.golden(texts=(*texts, replace(texts[0], expected="b")))
    score = make.score()
    score = replace(score, texts=(replace(score.texts[0], expected="b"), score.texts[0]))
    judgement = judge(score, golden, Limits(tolerance=0), case=make.case(), effective=make.SIZE)
    assert judgement.verdict is Verdict.INCOMPARABLE
    assert "order" in judgement.reasons[0]


def test_a_limit_below_the_readers_own_error_is_an_error():
    judgement = verdict(0, make.golden(0), floor=1.5)
    assert judgement.verdict is Verdict.ERROR
    assert judgement.noise_floor == 1.5
    assert "1.5" in judgement.reasons[0]
    assert verdict(0, make.golden(0), tolerance=2, floor=1.5).verdict is Verdict.PASS


@given(counts, optional_counts, counts, optional_counts, counts)
def test_a_worse_distance_never_turns_a_verdict_for_the_better(distance, golden, tolerance, absolute, worse):
    held = None if golden is None else make.golden(golden)
    before = verdict(distance, held, tolerance=tolerance, absolute=absolute).verdict
    after = verdict(distance + worse, held, tolerance=tolerance, absolute=absolute).verdict
    assert ORDER.index(after) >= ORDER.index(before)


@given(counts, optional_counts, counts, optional_counts)
def test_pass_means_within_every_limit_that_is_stated(distance, golden, tolerance, absolute):
    held = None if golden is None else make.golden(golden)
    judgement = verdict(distance, held, tolerance=tolerance, absolute=absolute)
    limits = [*([] if golden is None else [golden + tolerance]), *([] if absolute is None else [absolute])]
    assert (judgement.verdict is Verdict.PASS) == (bool(limits) and distance <= min(limits))
    assert (judgement.verdict is Verdict.PASS and golden is not None) == (judgement.reasons == ())
    if judgement.verdict is Verdict.PASS:
        assert judgement.distance <= judgement.limit


@given(counts, optional_counts)
def test_what_is_above_the_absolute_limit_fails_whatever_the_golden_says(distance, absolute):
    limits = Limits(tolerance=50, absolute=absolute)
    for golden in (None, make.golden(50), make.golden(0, reader="another"), make.golden(0, effective="16x16")):
        failed = (
            judge(make.score(distance), golden, limits, case=make.case(), effective=make.SIZE).verdict is Verdict.FAIL
        )
        assert failed == above_absolute(make.score(distance), limits) == (absolute is not None and distance > absolute)


def two_texts(first, second, *, required=True, extra=0):
    """A score of two texts of ten characters with so many edits, and of so many edits in unexpected text."""
    texts = (
        make.text_score(first, expected="Qwen Coffee"),
        make.text_score(second, expected="Open today", read="zzzz", required=required),
    )
    length = 20 if required else 10
    return replace(make.score(), texts=texts, distance=first + second + extra, length=length)


def test_a_score_that_an_image_without_text_would_equal_is_no_golden():
    doubled = two_texts(0, 0, extra=20)
    assert not_golden(doubled, Limits(tolerance=0)) == (
        "distance 20 and tolerance 0 allow all 20 characters, so its golden would pass an image without any of its "
        "texts"
    )
    assert not_golden(two_texts(0, 0, extra=19), Limits(tolerance=1)) != ""
    assert not_golden(two_texts(0, 0, extra=19), Limits(tolerance=0)) == ""
    # an absolute limit below the length bounds what any golden allows
    assert not_golden(two_texts(0, 0, extra=18), Limits(tolerance=5, absolute=19)) == ""


def test_a_required_text_that_was_not_read_must_be_seen_by_a_person():
    assert unseen(two_texts(0, 5), None) == ""
    assert unseen(two_texts(0, 6), None) == "'Open today' was read with less than half of its characters right"
    assert unseen(two_texts(6, 6), None).startswith("'Qwen Coffee' and 1 more were read with less than half")
    assert unseen(two_texts(0, 6, required=False), None) == ""
    before = make.golden(texts=(GoldenText(expected="Open today", read="zzzz", distance=6),))
    assert unseen(two_texts(0, 6), before) == ""
    assert unseen(two_texts(0, 6), replace(before, texts=(replace(before.texts[0], read="yyyy"),))) != ""


PARTS = (("text_encoder", "c" * 64), ("transformer", "a" * 64), ("vae", "b" * 64))


def of_model(**changed):
    """A golden of the model of these parts, with others."""
    return make.golden(1, recipe={f"model.{name}": digest for name, digest in PARTS} | changed)


def judged(golden, *, distance=1, parts=PARTS):
    return judge(make.score(distance), golden, Limits(tolerance=0), case=make.case(), effective=make.SIZE, parts=parts)


def test_the_same_bytes_are_the_same_model():
    assert judged(of_model()).verdict is Verdict.PASS


def test_a_part_of_other_bytes_is_another_model_and_is_named():
    judgement = judged(of_model(**{"model.vae": "d" * 64}))
    assert judgement.verdict is Verdict.INCOMPARABLE
    was, is_ = "d" * 12, "b" * 12
    assert judgement.reasons == (
        f"the golden is of another model: other bytes in vae {was} -> {is_}; text_encoder, transformer the same",
    )


def test_a_worse_text_of_another_model_fails_and_says_so():
    judgement = judged(of_model(**{"model.vae": "d" * 64}), distance=2)
    assert judgement.verdict is Verdict.FAIL
    assert "the golden is of another model" in judgement.reasons[1]


@pytest.mark.parametrize(
    ("golden", "parts"), [(make.golden(1), PARTS), (of_model(), ()), (of_model(), (("tokenizer", "e" * 64),))]
)
def test_a_part_that_nobody_hashed_is_not_compared(golden, parts):
    """Of a server the files are not known; goldens from before have no hashes."""
    assert judged(golden, parts=parts).verdict is Verdict.PASS


def test_the_golden_of_another_model_is_another_golden():
    assert of_model().same_text(of_model())
    assert of_model().same_text(make.golden(1))
    assert not of_model().same_text(of_model(**{"model.transformer": "d" * 64}))
