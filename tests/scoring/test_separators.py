"""What stands between two texts of one line, and is part of neither."""

import re

import pytest

from builders import column, line, reading, texts
from qiltest.scoring import score, split


def found(shown, *expected, alone=False):
    return score(texts(*expected), reading([line(shown, 0, 0, 20 * len(shown), 40)]), alone=alone)


def distances(shown, *expected, alone=False):
    return [text.distance for text in found(shown, *expected, alone=alone).texts]


@pytest.mark.parametrize("mark", [" | ", "|", " / ", "/", " — ", ": ", " → ", " · ", "•", " I ", " l "])
def test_a_mark_that_sets_two_texts_apart_is_part_of_neither(mark):
    assert distances(f"Conquer the Wild{mark}Book Your Adventure", "Conquer the Wild", "Book Your Adventure") == [0, 0]
    assert distances(f"入口{mark}出口", "入口", "出口") == [0, 0]


def test_so_do_several_in_one_line():
    assert distances("LONDON | PARIS | ROME", "LONDON", "PARIS", "ROME") == [0, 0, 0]


def test_marks_that_end_a_sentence_are_part_of_it():
    assert sum(distances("Hello. World", "Hello", "World")) == 1
    assert sum(distances("Hello, World", "Hello", "World")) == 1
    assert sum(distances("Hello! World", "Hello", "World")) == 1


def test_a_mark_that_a_text_asks_for_is_part_of_it():
    assert distances("Name: Jamez Bondos", "Name:", "Jamez Bondos") == [0, 0]
    assert sum(distances("Name Jamez Bondos", "Name:", "Jamez Bondos")) == 1


def test_errors_beside_a_separator_count():
    assert distances("Conquer the Wild | Book Your Advonture", "Conquer the Wild", "Book Your Adventure") == [0, 1]
    assert distances("Conquer the Wilde | Book Your Adventure", "Conquer the Wild", "Book Your Adventure") == [1, 0]


def test_where_texts_are_to_stand_alone_separators_count():
    shown = "Conquer the Wild | Book Your Adventure"
    assert sum(distances(shown, "Conquer the Wild", "Book Your Adventure", alone=True)) == 1


def test_a_lone_stroke_is_a_bar_where_a_text_asks_for_one():
    assert distances("Conquer the Wild I Book Your Adventure", "Conquer the Wild | Book Your Adventure") == [0]
    assert distances("Conquer the Wild I Book", "Conquer the Wild | Book", "You and I") == [1, 7]
    assert found("Tom I Jerry", "Tom | Jerry").texts[0].read == "Tom | Jerry"


@pytest.mark.parametrize(
    "text",
    [
        *("You and I agree", "Elizabeth I Queen", "Add 5 l of milk", "ls l file", "甲 丨 乙", "Part Ⅰ Begin"),
        *("Tom I Jerry", "Type I error", "5 l"),
    ],
)
def test_a_lone_stroke_that_is_asked_for_stays(text):
    assert distances(text, text) == [0]
    assert distances(text, text, "Red | Blue")[0] == 0


def test_a_stroke_inside_a_text_or_beside_other_text_counts():
    assert distances("Book I Your Adventure", "Book Your Adventure") == [1]
    assert distances("I Book Your Adventure", "Book Your Adventure") == [1]
    assert distances("So I Love You", "Love You") == [3]
    assert distances("Type I error", "Type II error") == [1]
    wine = score(texts("Wine"), reading([line("Wine Type I error", 0, 0, 300, 40)]), gone=["Type I"])
    assert wine.gone[0].distance == 5


@pytest.mark.parametrize(
    ("shown", "asked"),
    [
        ("Cats|Dogs", "Cats Dogs"),
        ("Qwen-Image: Technical Report", "Qwen-Image Technical Report"),
        ("云数据·云计算", "云数据云计算"),
        ("10:30", "1030"),
        ("Tom I Jerry", "Tom Jerry"),
    ],
)
def test_a_mark_inside_a_text_counts_although_its_parts_are_asked_for_too(shown, asked):
    parts = [part for part in re.split(r"[|:·]|(?<= )I(?= )", shown) if part.strip()]
    lines = [line(each, 0, 100 * row, 20 * len(each), 40) for row, each in enumerate([*parts, shown])]
    assert score(texts(*parts, asked), reading(lines)).distance == 1


@pytest.mark.parametrize(
    ("shown", "asked", "forgiven", "distance"),
    [
        ("Hello| World", ("Hello!", "World"), "I/l/1", 0),
        ("Hello: World", ("Hello;", "World"), ":/;", 0),
        ("Scale |/2", ("Scale", "1/2"), "I/l/1", 0),
        ("Scale |/2", ("Scale", "1/2"), "O/0", 1),
        ("LONDON |||||||||||| PARIS", ("LONDON", "PARIS"), "O/0", 24),
        ("Coffee 4.50· | Cake 5.10", ("Coffee 4.50", "Cake 5.10"), "O/0", 1),
        ("北京——上海", ("北京", "上海"), "O/0", 0),
    ],
)
def test_only_what_is_part_of_no_text_is_left_out_and_at_most_one_mark(shown, asked, forgiven, distance):
    found = score(texts(*asked), reading([line(shown, 0, 0, 20 * len(shown), 40)]), forgiven=(forgiven,))
    assert sum(text.distance for text in found.texts) == distance


@pytest.mark.parametrize(
    ("mark", "names"),
    [(" → ", [f"20{year:02}" for year in range(1, 41)]), (" | ", [f"{hour}:00" for hour in range(1, 24)])],
)
def test_many_texts_that_resemble_one_another_are_told_apart_with_bounded_work(monkeypatch, mark, names):
    asked, counted = [], split.distance

    def count(wanted, part):
        asked.append(part)
        return counted(wanted, part)

    monkeypatch.setattr(split, "distance", count)
    for shown in (mark.join(names), " ".join(names)):
        asked.clear()
        assert distances(shown, *names) == [0] * len(names)
        # each text once at each place, in each length that it may have there; it was as often as there are subsets
        assert len(asked) < len(names) * len(shown) * 3


def row(*shown, width=150.0):
    return reading([line(text, 100 + 250 * i, 100, width, 40) for i, text in enumerate(shown)])


@pytest.mark.parametrize("mark", ["/", "／", "|", ":", "：", "→", "·", "//"])
def test_a_mark_between_the_items_of_a_row_is_part_of_none(mark):
    wanted = texts("爆款低价", "限时直降", "满减优惠")
    assert score(wanted, row("爆款低价" + mark, "限时直降" + mark, "满减优惠")).distance == 0
    assert score(wanted, row("爆款低价", mark + "限时直降", mark + "满减优惠")).distance == 0
    assert score(wanted, row("爆款低价" + mark, "限时直降" + mark, "满减优惠"), alone=True).distance == 2 * len(mark)


def test_a_mark_at_the_end_of_a_row_or_before_other_text_counts():
    wanted = texts("爆款低价", "满减优惠")
    assert score(wanted, row("爆款低价", "满减优惠/")).distance == 1
    assert score(wanted, row("爆款低价/", "全场八折", "满减优惠")).distance == 1
    assert score(wanted, row("爆款低价/|", "满减优惠")).distance == 2
    below = reading([line("爆款低价/", 100, 100, 150, 40), line("满减优惠", 100, 400, 150, 40)])
    assert score(wanted, below).distance == 1


def test_a_mark_in_a_row_that_a_text_asks_for_is_part_of_it():
    assert score(texts("价格：", "满减优惠"), row("价格：", "满减优惠")).distance == 0
    assert score(texts("价格：", "满减优惠"), row("价格", "满减优惠")).distance == 1


def test_what_was_left_out_of_a_row_is_told():
    found = score(texts("爆款低价", "满减优惠"), row("爆款低价 / ", "满减优惠")).texts[0]
    assert (found.read, found.beside) == ("爆款低价", ("/",))


def test_only_the_outer_ends_of_a_text_meet_other_items():
    lines = [
        line("GRAND/", 100, 100, 300, 50),
        line("OPENING", 100, 160, 350, 50),
        line("CLOSED NOW", 600, 100, 500, 50),
    ]
    assert score(texts("GRAND OPENING", "CLOSED NOW"), reading(lines)).distance == 1


def test_columns_lines_far_apart_and_other_sizes_are_no_items_of_a_row():
    couplet = [column("春回大地千山秀·", 300, 200), column("日照神州百业兴", 1200, 200)]
    assert score(texts("春回大地千山秀", "日照神州百业兴"), reading(couplet)).distance == 1
    far = [line("MENU:", 10, 100, 100, 30), line("EXIT", 1500, 0, 480, 300)]
    assert score(texts("MENU", "EXIT"), reading(far)).distance == 1


def test_the_order_of_lines_does_not_decide_whose_mark_it_is():
    lines = [
        line("菜单/", 100, 100, 300, 60),
        line("限时直降", 450, 80, 200, 50),
        line("Totally other words", 450, 130, 200, 50),
    ]
    wanted = texts("菜单", "限时直降")
    assert score(wanted, reading(lines)).distance == score(wanted, reading([lines[0], lines[2], lines[1]])).distance
