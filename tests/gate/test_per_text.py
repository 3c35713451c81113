"""A golden limits each text: an error where it has none is new, whatever the sum of all edits is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders as make
from qiltest.gate import Verdict, judge
from qiltest.gate.golden import GoldenExtra, GoldenText
from qiltest.gate.per_text import NewErrors, new_errors
from qiltest.scoring import score_case
from qiltest.scoring.distance import align
from qiltest.scoring.records import Edit, EditKind, Extra, ExtraKind
from qiltest.suite.cases import ExpectedText, Limits
from qiltest.text.normalise import normalise, units


def text_score(case, asked, read):
    """The score of a text as read; a line feed is a line's end."""
    lines = [normalise(line) for line in read.split("\n")] if read else []
    found = align(units(asked.text, asked.optional_marks), lines, forgiven=case.forgiven)
    absent = not read and not asked.required
    return make.text_score(
        0 if absent else found.distance,
        expected=asked.text,
        read=read,
        edits=() if absent else found.edits,
        required=asked.required,
    )


def score_of(case, *reads, extra=()):
    texts = tuple(text_score(case, asked, read) for asked, read in zip(case.texts, reads, strict=True))
    distance = sum(text.distance for text in texts) + sum(item.distance for item in extra)
    return replace(make.score(), texts=texts, extra=tuple(extra), distance=distance, length=100)


def golden_of(score, **fields):
    return make.golden(
        score.distance,
        texts=tuple(GoldenText(expected=t.expected, read=t.read, distance=t.distance) for t in score.texts),
        extra=tuple(GoldenExtra(text=e.text, kind=str(e.kind), distance=e.distance) for e in score.extra),
        **fields,
    )


def new(case, before, now, *, extra_before=(), extra=()):
    """The new errors of a reading against the golden of another one."""
    golden = golden_of(score_of(case, *before, extra=extra_before))
    return list(new_errors(case, score_of(case, *now, extra=extra), golden))


def sentences(asked, before, now, **fields):
    return [found.sentence(0) for found in new(make.case("coffee", asked, **fields), [before], [now])]


def doubled(text, kind=ExtraKind.DOUBLED, of="Qwen Coffee"):
    return Extra(text=text, kind=kind, line=0, distance=0 if kind is ExtraKind.OTHER else len(normalise(text)), of=of)


@pytest.mark.parametrize(
    ("asked", "before", "now", "said"),
    [
        ("per cup", "per cup", "per cap", "text 1 'per cup': 1 new error: 'u' -> 'a' at character 5"),
        ("per cup", "per cup", "er cup", "text 1 'per cup': 1 new error: 'p' missing at character 1"),
        ("per cup", "per cup", "per cups", "text 1 'per cup': 1 new error: extra 's' at character 7"),
        ("per cup", "per cup", "xper cup", "text 1 'per cup': 1 new error: extra 'x' at character 1"),
        ("per cup", "per cup", "per xyp", "text 1 'per cup': 2 new errors: 'cu' -> 'xy' at character 4"),
        ("per cup", "per cup", "pe up", "text 1 'per cup': 2 new errors: 'rc' missing at character 3"),
        ("per cup", "per cup", "", "text 1 'per cup': 6 new errors: not read"),
        ("per cup", "per cap", "xer cup", "text 1 'per cup': 1 new error: 'p' -> 'x' at character 1"),
        ("per cup", "per cap", "per cxxp", "text 1 'per cup': 1 new error: extra 'x' at character 5"),
        ("通义千问", "通义千间", "通义干问", "text 1 '通义千问': 1 new error: '千' -> '干' at character 3"),
    ],
)
def test_an_error_where_the_golden_has_none_is_named_with_its_text_and_place(asked, before, now, said):
    assert sentences(asked, before, now) == [said]


@pytest.mark.parametrize(
    ("asked", "before", "now"),
    [
        ("per cup", "per cap", "per cap"),  # the same
        ("per cup", "per cap", "per cup"),  # better
        ("per cup", "per cap", "per cop"),  # the same place as another character
        ("per cup", "per cap", "per cp"),  # or not at all
        ("per cup", "per cp", "per cap"),
        ("per cup", "per cap", "per cuxp"),  # or right, with a stroke of it taken for one more, behind it
        ("per cup", "per cap", "per cxup"),  # or before it
        ("per cup", "per cuxp", "per cap"),
        ("per cup", "per cuxp", "per cuo"),
        ("per cup", "", "per"),  # a text that was not read may be read in part
        ("per cup", "", "zzz"),
        ("Hello", "Helo", "He1lo"),  # which `l` is missing cannot be told
        ("Hello", "Helo", "Hel1o"),
        ("Hello", "Helllo", "He1lo"),
        ("Hello", "Helllo", "Hel1o"),
        ("Hello", "He1lo", "Helo"),
        ("Hello", "Hel1o", "Helo"),
        ("Hello", "Hel1o", "Helllo"),
        ("Hello", "Helllo", "Hxllo"),  # the `l` too many may stand beside the `e`
        ("aaab", "aab", "xaab"),
        ("baaa", "baa", "baax"),
    ],
)
def test_an_error_where_the_golden_has_one_is_not_new(asked, before, now):
    assert sentences(asked, before, now) == []


@pytest.mark.parametrize(
    ("asked", "before", "now", "said"),
    [
        # neighbouring characters are two places, and so are the gaps around them
        ("per cup", "per xup", "per cxp", "'u' -> 'x' at character 5"),
        ("per cup", "per cxp", "per xup", "'c' -> 'x' at character 4"),
        ("per cup", "per xcup", "per cxup", "extra 'x' at character 5"),
        ("per cup", "per xcup", "per cxp", "'u' -> 'x' at character 5"),
        ("per cup", "per cuxp", "per xup", "'c' -> 'x' at character 4"),
        # beside a run of equal characters is not within it
        ("Hello", "Helo", "Hxllo", "'e' -> 'x' at character 2"),
        ("Hello", "Helo", "Hellx", "'o' -> 'x' at character 5"),
    ],
)
def test_a_neighbour_is_another_place(asked, before, now, said):
    assert sentences(asked, before, now) == [f"text 1 {asked!r}: 1 new error: {said}"]


@pytest.mark.parametrize(
    ("asked", "before", "kind", "position", "found"),
    [
        ("Hello", "He1lo", EditKind.DELETE, 3, 0),  # a run is its place from the first to the last of it
        ("aaab", "xaab", EditKind.DELETE, 2, 0),  # also at the text's beginning
        ("baab", "xaab", EditKind.DELETE, 2, 1),  # and no further
        ("aaab", "xaab", EditKind.INSERT, 3, 0),
        ("baab", "xaab", EditKind.INSERT, 3, 0),  # an `a` more may stand beside the `b`
        ("bcaab", "xcaab", EditKind.INSERT, 4, 1),
    ],
)
def test_of_equal_characters_any_may_be_the_one(asked, before, kind, position, found):
    case = make.case("coffee", asked)
    expected, read = ("", "a") if kind is EditKind.INSERT else (asked[position], "")
    edit = Edit(kind=kind, position=position, expected=expected, read=read)
    score = replace(make.score(), texts=(make.text_score(1, expected=asked, edits=(edit,)),))
    assert sum(new.count for new in new_errors(case, score, golden_of(score_of(case, before)))) == found


def test_each_error_of_the_golden_stands_for_one():
    # two where one was; the one that is the golden's own is not the new one
    assert sentences("per cup", "per cap", "per caap") == ["text 1 'per cup': 1 new error: extra 'a' at character 5"]
    assert sentences("per cup", "per cxup", "per cxxup") == ["text 1 'per cup': 1 new error: extra 'x' at character 5"]
    assert sentences("per cup", "per cxxup", "per cxxup") == []
    assert sentences("per cup", "per cxyup", "per czzzup") == [
        "text 1 'per cup': 1 new error: extra 'z' at character 5"
    ]
    assert sentences("abcdef", "xbcdef", "xbcdex") == ["text 1 'abcdef': 1 new error: 'f' -> 'x' at character 6"]
    assert sentences("abcdef", "xbcdex", "xbcxex") == ["text 1 'abcdef': 1 new error: 'd' -> 'x' at character 4"]


def test_as_many_errors_are_paired_as_can_be():
    """The third `l` may stand beside the `e` or beside the `o`; only the `o` is near the end."""
    assert sentences("Hello", "Hxlly", "Hellloz") == []
    assert sentences("Hello", "Hxllo", "Hellloz") == ["text 1 'Hello': 1 new error: extra 'z' at character 6"]


def test_more_groups_than_four_are_counted():
    said = sentences("abcdefghijkl", "abcdefghijkl", "1b2d3f4h56k7")
    assert said == [
        "text 1 'abcdefghijkl': 7 new errors: 'a' -> '1' at character 1; 'c' -> '2' at character 3; "
        "'e' -> '3' at character 5; 'g' -> '4' at character 7; and 3 more"
    ]
    assert "more" not in sentences("abcdefghijkl", "abcdefghijkl", "1b2d3f4hijkl")[0]


def test_a_long_text_is_cut_and_what_would_act_on_a_terminal_is_made_visible():
    asked = "a" * 39 + "\u202eb" + "c" * 10
    (said,) = sentences(asked, asked, asked[:-1] + "x")
    assert said == f"text 1 '{'a' * 39}« […12 more characters]': 1 new error: 'c' -> 'x' at character 50"
    (said,) = sentences("a" * 40, "a" * 40, "b" * 40)
    assert said == f"text 1 '{'a' * 40}': 40 new errors: '{'a' * 40}' -> '{'b' * 40}' at character 1"
    (said,) = sentences("a" * 41, "a" * 41, "b" * 41)
    cut = f"{'b' * 40} […1 more characters]"
    assert said.endswith(f"'{'a' * 40} […1 more characters]' -> '{cut}' at character 1")


def test_an_edit_that_the_case_forgives_is_no_error_and_excuses_none():
    case = make.case("coffee", "PO Box 10", forgiven=("O/0",))
    assert new(case, ["PO Box 10"], ["P0 Box 10"]) == []
    assert new(case, ["PO Box 10"], ["P0 Box 1x"])[0].what == "'0' -> 'x' at character 7"
    assert new(case, ["P0 Box 10"], ["Px Box 10"])[0].what == "'O' -> 'x' at character 2"


def test_what_may_be_missing_is_judged_where_it_is_shown():
    texts = (ExpectedText(text="Qwen"), ExpectedText(text="Logo", required=False))
    case = make.case(texts=texts)
    assert new(case, ["Qwen", ""], ["Qwen", ""]) == []
    assert new(case, ["Qwen", "Logo"], ["Qwen", ""]) == []
    assert new(case, ["Qwen", ""], ["Qwen", "Loga"]) == [
        NewErrors(where="text 2 'Logo'", count=1, what="'o' -> 'a' at character 4")
    ]


def test_an_error_that_moves_to_another_text_is_new_there():
    case = make.case("coffee", "Qwen Coffee", "per cup")
    assert new(case, ["Qwen Cofee", "per cup"], ["Qwen Coffee", "per cap"]) == [
        NewErrors(where="text 2 'per cup'", count=1, what="'u' -> 'a' at character 5")
    ]
    both = new(case, ["Qwen Coffee", "per cup"], ["Qwen Cofee", "per cap"])
    assert [found.where for found in both] == ["text 1 'Qwen Coffee'", "text 2 'per cup'"]


QWEN = make.case("coffee", "Qwen Coffee")


def extras(before, now):
    found = new(QWEN, ["Qwen Coffee"], ["Qwen Coffee"], extra_before=before, extra=now)
    return [each.sentence(0) for each in found]


def test_an_extra_that_the_golden_does_not_have_is_new():
    assert extras([], [doubled("Qwen Coffee")]) == [
        "extra 'Qwen Coffee': 10 new errors: doubled of 'Qwen Coffee', not in the golden"
    ]
    assert extras([doubled("Qwen Coffee")], [doubled("Qwen Coffee")]) == []
    assert extras([doubled("Qwen Coffee")], []) == []
    assert extras([], [doubled("menu", ExtraKind.OTHER)]) == []


def test_an_extra_is_one_for_one():
    assert len(extras([doubled("Qwen Coffee")], [doubled("Qwen Coffee"), doubled("Qwen Coffee")])) == 1
    assert extras([doubled("Qwen Coffee"), doubled("Coffee")], [doubled("Coffee"), doubled("Qwen Coffee")]) == []
    assert extras([doubled("Coffee")], [doubled("Coffees"), doubled("Coffee")]) == [
        "extra 'Coffees': 7 new errors: doubled of 'Qwen Coffee', not in the golden"
    ]


def test_an_extra_that_is_read_a_little_differently_is_the_same_one():
    assert extras([doubled("Qwen Coffee")], [doubled("Qwen Cofee")]) == []
    assert extras([doubled("Qwen Coffee")], [doubled("Qwen Coffees")]) == [
        "extra 'Qwen Coffees': 1 new error: doubled of 'Qwen Coffee', 10 characters of it in the golden"
    ]
    # 2 of 10 characters, and 3 of 10
    assert extras([doubled("abcdefghij")], [doubled("abcdefghxx")]) == []
    assert len(extras([doubled("abcdefghij")], [doubled("abcdefgxxx")])) == 1
    # a kind depends on where a line stands, to a pixel
    assert extras([doubled("Coffee", ExtraKind.LEAKED)], [doubled("Coffee")]) == []


def test_an_extra_is_compared_with_the_one_that_is_most_like_it():
    before = [doubled("Awen Coffee"), doubled("Qwen Coffee")]
    assert extras(before, [doubled("Qwen Coffe"), doubled("Awen Coffxx")]) == []


def test_a_long_extra_is_cut():
    (said,) = extras([], [doubled("x" * 41, of="y" * 41)])
    cut = " […1 more characters]'"
    assert said == f"extra '{'x' * 40}{cut}: 41 new errors: doubled of '{'y' * 40}{cut}, not in the golden"


def test_an_extra_that_was_only_reported_excuses_none():
    assert len(extras([doubled("Coffee", ExtraKind.OTHER)], [doubled("Coffee")])) == 1


def judged(before, now, limits=Limits(tolerance=0), **fields):  # noqa: B008
    case = make.case("coffee", "Qwen Coffee", "per cup")
    golden = golden_of(score_of(case, *before), **fields)
    return judge(score_of(case, *now), golden, limits, case=case, effective=make.SIZE)


MOVED = ["Qwen Cofee", "per cup"], ["Qwen Coffee", "per cap"]


def test_a_verdict_is_fail_where_the_sum_is_as_before_and_an_error_is_new():
    judgement = judged(*MOVED)
    assert judgement.verdict is Verdict.FAIL
    assert (judgement.distance, judgement.limit, judgement.golden_distance, judgement.new_errors) == (1, 1, 1, 1)
    assert judgement.reasons == ("text 2 'per cup': 1 new error: 'u' -> 'a' at character 5",)


def test_the_sum_is_named_first_and_then_each_text():
    assert judged(["Qwen Coffee", "per cup"], ["Qwen Cofee", "per cap"]).reasons == (
        "distance 2 is above the limit 0 (golden 0 + tolerance 0)",
        "text 1 'Qwen Coffee': 1 new error: 'f' missing at character 7",
        "text 2 'per cup': 1 new error: 'u' -> 'a' at character 5",
    )


def test_fewer_errors_pass_only_where_none_is_new():
    assert judged(["Qwxx Coffee", "per cup"], ["Qwex Coffee", "per cup"]).verdict is Verdict.PASS
    assert judged(["Qwxx Coffee", "per cup"], ["Qwen Coffee", "per cap"]).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("tolerance", "text_tolerance", "verdict"),
    [
        (0, None, Verdict.FAIL),
        (0, 0, Verdict.FAIL),
        (0, 1, Verdict.PASS),
        (1, None, Verdict.PASS),
        (1, 0, Verdict.FAIL),
    ],
)
def test_each_text_may_have_as_many_new_errors_as_the_case_allows(tolerance, text_tolerance, verdict):
    judgement = judged(*MOVED, Limits(tolerance=tolerance, text_tolerance=text_tolerance))
    assert (judgement.verdict, judgement.new_errors) == (verdict, 1)


def test_the_allowed_number_is_told_where_there_is_one():
    judgement = judged(["Qwen Coffxx", "per cup"], ["Qwen Coffee", "xxr cup"], Limits(tolerance=1))
    assert judgement.reasons == ("text 2 'per cup': 2 new errors, 1 allowed: 'pe' -> 'xx' at character 1",)


@pytest.mark.parametrize("fields", [{"effective": "512x512"}, {"reader": "another"}])
def test_places_of_a_golden_that_is_not_comparable_say_nothing(fields):
    judgement = judged(*MOVED, **fields)
    assert (judgement.verdict, judgement.new_errors) == (Verdict.INCOMPARABLE, 0)
    assert not any("new error" in reason for reason in judgement.reasons)


def test_other_expected_texts_are_not_compared_place_by_place():
    case = make.case("coffee", "Qwen Coffee", "per cup")
    golden = golden_of(score_of(case, *MOVED[0]))
    other = make.case("coffee", "Qwen Coffee")
    judgement = judge(score_of(other, "Qwxn Coffee"), golden, Limits(tolerance=0), case=other, effective=make.SIZE)
    assert judgement.verdict is Verdict.INCOMPARABLE


def test_without_a_golden_no_error_is_new():
    case = make.case("coffee", "Qwen Coffee")
    judgement = judge(score_of(case, "Qwen Cofee"), None, Limits(tolerance=0), case=case, effective=make.SIZE)
    assert (judgement.verdict, judgement.new_errors) == (Verdict.NEW, 0)


WORDS = st.text(alphabet="abx", min_size=1, max_size=8)


@given(WORDS, WORDS, WORDS)
def test_new_errors_are_at_least_what_was_added_and_at_most_all(asked, before, now):
    case = make.case("coffee", asked)
    was, score = score_of(case, before), score_of(case, now)
    found = sum(each.count for each in new_errors(case, score, golden_of(was)))
    assert max(0, score.distance - was.distance) <= found <= score.distance


@given(WORDS, WORDS)
def test_the_same_reading_has_no_new_error(asked, read):
    assert sentences(asked, read, read) == []


@given(WORDS, WORDS)
def test_against_a_perfect_golden_every_error_is_new(asked, now):
    case = make.case("coffee", asked)
    found = new(case, [asked], [now])
    assert sum(each.count for each in found) == score_of(case, now).distance


def test_what_the_scorer_makes_of_an_image_is_judged_so():
    case = make.case("coffee", "Qwen Coffee", "Open today")

    def seen(*lines):
        return score_case(case, make.reading(make.stack(*lines)))

    golden = golden_of(seen("Qwen Cofee", "Open today"), reader=make.FAKE.fingerprint)
    now = seen("Qwen Coffee", "Open to", "doy")
    judgement = judge(now, golden, Limits(tolerance=0), case=case, effective=make.SIZE)
    assert (judgement.distance, judgement.golden_distance, judgement.verdict) == (1, 1, Verdict.FAIL)
    assert judgement.reasons == ("text 2 'Open today': 1 new error: 'a' -> 'o' at character 8",)
