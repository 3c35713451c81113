import time

import pytest

from qiltest.errors import CaseError
from qiltest.scoring import EmptyReadingError, score
from qiltest.suite.cases import LineBreaks
from readings import column, line, reading, stack, texts

PI = "π≈3.1415926-53589793-23846264-33832795-02384197"


def test_wrapped_lines_are_joined():
    found = score(texts("Hello World!"), reading(stack("Hello", "World!")))
    assert (found.distance, found.texts[0].lines) == (0, (0, 1))
    assert found.texts[0].read == "Hello\nWorld!"


def test_results_are_in_the_order_asked():
    found = score(texts("WORLD", "HELLO"), reading(stack("HELLO", "WORLD")))
    assert [text.read for text in found.texts] == ["WORLD", "HELLO"]


def test_the_readers_order_of_lines_does_not_matter():
    lines = stack("π≈3.1415926-", "53589793-23846264-", "33832795-02384197")
    assert score(texts(PI), reading(lines[::-1])).distance == 0


def test_words_drawn_in_the_wrong_order_count():
    assert score(texts("Hello World"), reading(stack("World", "Hello"))).distance > 0


def test_a_short_text_that_goes_on_is_found_with_what_was_added():
    found = score(texts("OPEN"), reading([line("OPEN 24H", 100, 100, 200, 40)]))
    assert (found.distance, found.texts[0].read, found.extra) == (3, "OPEN 24H", ())


def test_small_writing_belongs_to_a_text_whose_headline_is_four_times_as_large():
    lines = [line("Sale", 100, 100, 100, 30), line("50% OFF", 100, 140, 600, 115), line("today", 100, 265, 100, 30)]
    assert score(texts("Sale 50% OFF today"), reading(lines)).distance == 0


def test_lines_with_a_tilt_are_read_in_order():
    a = line("IT WAS THE", 100, 100, 200, 40)
    b = line("BEST OF", 320, 90, 200, 40)
    c = line("TIMES", 100, 160, 200, 40)
    assert score(texts("IT WAS THE BEST OF TIMES"), reading([c, b, a])).distance == 0


def test_a_street_of_signs_has_no_global_order():
    signs = ["龍鳳冰室", "HAPPY HAIR", "美都餐室", "STAR KTV", "太平館"]
    lines = [line(sign, 900 - 170 * i, 120 + (i * 397) % 700, 160, 50) for i, sign in enumerate(signs)]
    assert score(texts(*signs[::-1]), reading(lines)).distance == 0


def test_couplets_are_two_columns_and_a_banner():
    lines = [
        column("义本生知人机同道善思新", 200, 300),
        column("通云赋智乾坤启数高志远", 900, 300),
        line("智启通义", 450, 150, 300, 80),
    ]
    wanted = texts("义本生知人机同道善思新", "通云赋智乾坤启数高志远", "智启通义")
    assert score(wanted, reading(lines)).distance == 0


def test_one_text_in_two_columns_is_read_from_the_right():
    lines = [column("乾坤启数高志远", 300, 100), column("通云赋智", 400, 100)]
    assert score(texts("通云赋智乾坤启数高志远"), reading(lines)).distance == 0


def test_single_characters_in_a_column_are_joined():
    lines = [line(char, 100, 100 + 70 * i, 60, 60) for i, char in enumerate("通义千问")]
    assert score(texts("通义千问"), reading(lines)).distance == 0


def test_one_line_may_hold_two_signs():
    found = score(texts("銀河娛樂城", "STAR KTV"), reading([line("STAR KTV 銀河娛樂城", 100, 100, 600, 50)]))
    assert found.distance == 0
    assert found.texts[0].lines == found.texts[1].lines == (0,)


def test_one_line_may_hold_three_signs_with_a_typo_in_one():
    found = score(
        texts("EASY BAR", "美都餐室", "HAPPY HAIR"), reading([line("HAPPY HAIREASY BAN美都餐室", 0, 0, 900, 50)])
    )
    assert [text.distance for text in found.texts] == [1, 0, 0]


def test_a_sign_that_leaks_into_another_counts_in_the_sign():
    found = score(texts("通义千问", PI), reading([line("π≈通义千问", 100, 100, 400, 80), line(PI, 100, 900, 900, 30)]))
    assert [text.distance for text in found.texts] == [2, 0]


def test_the_same_text_asked_twice_needs_two_lines():
    lines = [line("福", 100, 100, 80, 80), line("福", 1500, 100, 80, 80)]
    assert score(texts("福", "福"), reading(lines)).distance == 0
    assert score(texts("福", "福"), reading(lines[:1])).distance == 1


def test_far_away_noise_does_not_complete_a_text():
    lines = [*stack("02384197"[:-1]), line("7", 1800, 1800, 30, 40)]
    assert score(texts("02384197"), reading(lines)).distance == 1


def test_tiny_noise_nearby_does_not_complete_a_text():
    lines = [line("0238419", 100, 100, 300, 60), line("7", 410, 150, 8, 10)]
    assert score(texts("02384197"), reading(lines)).distance == 1


def test_a_missing_text_costs_its_length():
    found = score(texts("HAPPY HAIR", "通义千问"), reading([line("HAPPY HAIR", 0, 0, 300, 40)]))
    assert (found.texts[1].read, found.texts[1].distance, found.texts[1].lines) == ("", 4, ())


def test_a_phrase_drawn_twice_inside_its_block_counts():
    lines = stack("支持中英渲染、", "自动布局；", "自动布局；", "精准图像编辑。")
    found = score(texts("支持中英渲染、自动布局；精准图像编辑。"), reading(lines))
    assert found.distance == 5


def test_a_reader_that_returns_nothing_is_an_error():
    with pytest.raises(EmptyReadingError, match="returned no text"):
        score(texts("福"), reading([]))
    with pytest.raises(EmptyReadingError):
        score(texts("福"), reading([line("  ", 0, 0, 10, 10)]))


def test_no_expected_text_is_an_error():
    with pytest.raises(CaseError, match="no expected text"):
        score([], reading(stack("a")))
    with pytest.raises(CaseError, match="nothing to compare"):
        score(texts("😊", marks=("😊",)), reading(stack("a")))


def test_an_unknown_look_alike_class_is_an_error_that_lists_them():
    with pytest.raises(CaseError, match="I/l/1"):
        score(texts("a"), reading(stack("a")), forgiven=("l/I",))


def test_a_text_that_need_not_be_there_costs_nothing_when_missing():
    from qiltest.suite.cases import ExpectedText

    wanted = [ExpectedText(text="Alibaba", required=False), ExpectedText(text="通义千问")]
    missing = score(wanted, reading([line("通义千问", 0, 0, 200, 50)]))
    wrong = score(wanted, reading([line("通义千问", 0, 0, 200, 50), line("Alibab", 900, 900, 200, 50)]))
    assert (missing.distance, missing.length, wrong.distance) == (0, 4, 1)


def test_the_case_policy_decides_about_hyphens():
    lines = reading(stack("53589793", "23846264"))
    assert score(texts("53589793-23846264"), lines).distance == 0
    assert score(texts("53589793-23846264"), lines, line_breaks=LineBreaks.STRICT).distance == 1


def test_two_hundred_lines_against_sixty_texts_take_little_time():
    signs = [f"SIGN{i:02d}號招牌{chr(0x4E00 + 37 * i)}{chr(0x5E00 + 53 * i)}" for i in range(60)]
    noise = [f"{chr(0x6000 + 11 * i)}{chr(0x7000 + 7 * i)}SIG{i}" for i in range(140)]
    lines = [line(text, (i * 313) % 1900, (i * 571) % 1900, 150, 30) for i, text in enumerate(signs + noise)]
    started = time.process_time()
    found = score(texts(*signs), reading(lines))
    assert found.distance == sum(extra.distance for extra in found.extra) == 0
    assert time.process_time() - started < 10


def test_many_equal_texts_with_one_missing_end_soon():
    lines = [line("福", (i * 313) % 1900, (i * 571) % 1900, 80, 80) for i in range(11)]
    started = time.process_time()
    assert score(texts(*["福"] * 12), reading(lines)).distance == 1
    assert time.process_time() - started < 10
