import pytest

from builders import column, line, reading, texts
from qiltest.errors import ReaderError
from qiltest.scoring import ExtraKind, score


def extras(wanted, *lines):
    return [(item.kind, item.distance) for item in score(wanted, reading(lines)).extra]


SIGN = line("通义千问", 100, 100, 300, 80)


def test_a_text_drawn_twice_counts_its_length():
    again = line("通义千问", 1500, 1500, 300, 80)
    assert extras(texts("通义千问"), SIGN, again) == [(ExtraKind.DOUBLED, 4)]


@pytest.mark.parametrize(
    "again",
    [
        line("通义千问", 1500, 1500, 400, 95),
        line("通义千问", 1500, 1500, 200, 60),
        line("通义千问", 1500, 1500, 250, 80),  # boxes of tilted writing are high
        column("通义千问", 1500, 900),
    ],
)
def test_a_text_that_the_scene_shows_again_in_another_size_is_told_alone(again):
    assert extras(texts("通义千问"), SIGN, again) == [(ExtraKind.OTHER, 0)]


@pytest.mark.parametrize(
    "again",
    [
        line("通义千问", 100, 190, 200, 60),  # beside the text
        line("通义千问", 1500, 1500, 310, 86),  # of its size but for what boxes differ by
        line("通义千问", 100, 700, 330, 80),
        line("通义千问", 100, 260, 150, 20),  # below the title, in small print
    ],
)
def test_beside_the_text_or_in_its_size_it_is_a_fault(again):
    assert extras(texts("通义千问"), SIGN, again) == [(ExtraKind.DOUBLED, 4)]


def test_what_is_told_of_the_scene_names_its_text():
    found = score(texts("通义千问"), reading([SIGN, line("通义千问", 1500, 1500, 400, 95)])).extra
    assert [(item.text, item.of) for item in found] == [("通义千问", "通义千问")]


def test_where_texts_are_to_stand_alone_nothing_is_of_the_scene():
    again = line("通义千问", 1500, 1500, 400, 95)
    assert score(texts("通义千问"), reading([SIGN, again]), alone=True).distance == 4


def test_a_part_of_a_line_with_another_text_is_no_copy_of_the_scene():
    shown = [line("Alibaba兰幽", 100, 100, 400, 60), line("兰幽", 1500, 1500, 60, 30)]
    assert score(texts("Alibaba", "兰幽"), reading(shown)).distance == 2
    assert score(texts("阿里云"), reading([line("阿里云千问千问", 100, 100, 400, 60)])).distance == 4


def test_a_text_of_two_lines_may_be_shown_again_in_two():
    title = [line("REAL FACE UPLOADS", 100, 100, 1400, 110), line("WITHOUT LIMITS", 100, 250, 1150, 110)]
    again = [line("REAL FACE UPLOADS", 1900, 600, 550, 50), line("WITHOUT LIMITS", 1900, 660, 430, 50)]
    wanted = texts("REAL FACE UPLOADS WITHOUT LIMITS")
    assert extras(wanted, *title, *again) == [(ExtraKind.OTHER, 0)] * 2
    thrice = [line("REAL FACE UPLOADS", 1900, 1200, 550, 50), line("WITHOUT LIMITS", 1900, 1260, 430, 50)]
    assert sum(cost for _, cost in extras(wanted, *title, *again, *thrice)) == 2 * (15 + 13)


def test_copies_of_copies_are_faults():
    under = [line("通义千问", 1500, 1500 + 45 * i, 150, 40) for i in range(2)]
    apart = [line("通义千问", 1500, 500 + 400 * i, 150, 40) for i in range(3)]
    assert extras(texts("通义千问"), SIGN, *under) == [(ExtraKind.DOUBLED, 4)] * 2
    assert extras(texts("通义千问"), SIGN, *apart) == [(ExtraKind.DOUBLED, 4)] * 3


def test_a_prompt_that_leaks_is_a_fault_in_any_size():
    title, prompt = (
        line("GRAND HARBOR", 80, 60, 826, 92),
        line("A poster with the title GRAND HARBOR", 80, 900, 400, 40),
    )
    assert extras(texts("GRAND HARBOR"), title, prompt) == [(ExtraKind.LEAKED, 30)]
    twice = line("GRAND HARBOR GRAND HARBOR", 80, 900, 400, 40)
    assert extras(texts("GRAND HARBOR"), title, twice) == [(ExtraKind.LEAKED, 22)]


def test_the_order_of_texts_and_a_short_one_excuse_nothing():
    long, short = "QWEN COFFEE 2 PER CUP", "2"
    lines = line(short, 1500, 300, 100, 160), line(long, 100, 100, 1000, 60), line(long, 100, 1200, 1000, 60)
    assert (
        score(texts(short, long), reading(lines)).distance == score(texts(long, short), reading(lines)).distance == 17
    )


@pytest.mark.parametrize(("width", "height"), [(0, 0), (300, 0), (0, 80)])
def test_a_box_without_a_size_excuses_nothing(width, height):
    again = line("通义千问", 1500, 1500, width, height)
    assert extras(texts("通义千问"), SIGN, again) == [(ExtraKind.DOUBLED, 4)]


@pytest.mark.parametrize("left", [float("nan"), float("inf"), -float("inf")])
def test_a_box_that_is_not_finite_is_an_error_of_its_reader(left):
    with pytest.raises(ReaderError, match=r"line 2, '通义千问': the reader fake returned a box that is not finite"):
        score(texts("通义千问"), reading([SIGN, line("通义千问", left, 1500, 300, 80)]))


def test_a_text_drawn_twice_with_a_typo_is_still_twice():
    found = score(
        texts("SUNSHINE MOTEL"),
        reading([line("SUNSHINE MOTEL", 0, 0, 400, 50), line("SUNSHINE MOTFL", 0, 900, 400, 50)]),
    )
    assert (found.texts[0].distance, found.extra[0].kind, found.distance) == (0, ExtraKind.DOUBLED, 13)


def test_a_text_that_extends_another_elsewhere_is_leaked():
    wanted = texts("通义千问", "HAPPY HAIR")
    assert extras(wanted, SIGN, line("HAPPY HAIR", 0, 900, 300, 50), line("π≈3.14通义千问", 1500, 1500, 400, 80)) == [
        (ExtraKind.LEAKED, 10)
    ]


def test_a_sentence_with_the_text_in_it_in_another_size_is_of_the_scene():
    title, sentence = line("上海", 100, 100, 300, 150), "从外滩到未来上海永不止步"
    assert extras(texts("上海"), title, line(sentence, 100, 1500, 400, 30)) == [(ExtraKind.OTHER, 0)]
    assert extras(texts("上海"), title, line(sentence, 100, 1500, 1800, 150)) == [(ExtraKind.LEAKED, 12)]


def test_a_phrase_of_a_text_on_another_place_is_leaked():
    whole = line("支持中英渲染自动布局", 100, 100, 600, 50)
    assert extras(texts("支持中英渲染自动布局"), whole, line("自动布局", 1500, 1500, 300, 50)) == [
        (ExtraKind.LEAKED, 4)
    ]


def test_one_in_another_size_is_of_the_scene():
    whole = line("支持中英渲染自动布局", 100, 100, 600, 50)
    again = line("自动布局", 1500, 1500, 200, 36)
    assert extras(texts("支持中英渲染自动布局"), whole, again) == [(ExtraKind.OTHER, 0)]
    near = line("自动布局", 100, 160, 200, 36)
    assert extras(texts("支持中英渲染自动布局"), whole, near) == [(ExtraKind.DOUBLED, 4)]


def test_a_phrase_of_a_text_that_is_not_right_counts_whatever_its_size():
    found = score(
        texts("支持中英渲染自动布局"),
        reading([line("支持中英渲染自动布居", 100, 100, 600, 50), line("自动布局", 1500, 1500, 200, 36)]),
    )
    assert found.distance >= 1


def test_a_part_that_the_text_itself_lacks_is_not_counted_twice():
    found = score(
        texts("支持中英渲染自动布局"),
        reading([line("自动布局", 1500, 100, 300, 50), line("支持中英渲染", 100, 1500, 400, 50)]),
    )
    assert (found.distance, [item.kind for item in found.extra]) == (4, [ExtraKind.OTHER])


def test_one_word_of_a_longer_text_may_stand_elsewhere():
    whole = line("Image Editing in IP Creation", 100, 100, 600, 50)
    assert extras(texts("Image Editing in IP Creation"), whole, line("Image", 100, 900, 100, 40)) == [
        (ExtraKind.OTHER, 0)
    ]


def test_other_text_is_reported_and_not_counted():
    assert extras(texts("通义千问"), SIGN, line("OPEN DAILY", 900, 900, 300, 50)) == [(ExtraKind.OTHER, 0)]


def test_doubtful_or_tiny_readings_accuse_nobody():
    doubtful = line("通义千问", 1500, 1500, 300, 80, confidence=0.3)
    assert extras(texts("通义千问"), SIGN, doubtful, line("千", 900, 900, 40, 40)) == [(ExtraKind.OTHER, 0)] * 2


def test_the_distance_is_the_sum_of_texts_and_extras():
    found = score(
        texts("通义千问"), reading([line("通义干问", 100, 100, 300, 80), line("通义千问x", 1500, 1500, 300, 80)])
    )
    assert found.distance == sum(text.distance for text in found.texts) + sum(item.distance for item in found.extra)
