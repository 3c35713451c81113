"""Other text beside a text in its line: what is cut off and told, and what stays and counts."""

import time

import pytest

from builders import line, reading, stack, texts
from qiltest.scoring import score
from qiltest.scoring.beside import Own, own_part
from qiltest.text.normalise import normalise


def own(text, *lines, more=()):
    return own_part(normalise(text), lines, [normalise(text), *map(normalise, more)])


FREE = [
    # a key, a speaker, quotation marks that belong to them
    ("Jamez Bondos", '"name": "Jamez Bondos"', ('"name": "', '"')),
    ("Jamez Bondos", '"name":"Jamez Bondos",', ('"name":"', '",')),
    ("Jamez Bondos", '"name": "Jamez Bondos", "age": 30', ('"name": "', '", "age": 30')),
    ("我们一起战斗！", "众人：“我们一起战斗！", ("众人：“",)),
    ("我们一起战斗！", "众人：“我们一起战斗！”", ("众人：“", "”")),
    ("我们一起战斗！", "“我们一起战斗！", ("“",)),
    ("我们一起战斗！", "：“我们一起战斗！", ("：“",)),
    ("我们一起战斗！", "“我们一起战斗！”他说", ("“", "”他说")),
    ("I am tired.", "TOM: I am tired.", ("TOM:",)),
    ("Hello", 'Tom said "Hello"', ('Tom said "', '"')),
    ("Hello", "Tom said 'Hello'", ("Tom said '", "'")),
    ("Hello", "(Tom) Hello", ("(Tom)",)),
    ("Hello", "Greeting (Hello)", ("Greeting (", ")")),
    ("Hello", "Greeting [Hello].", ("Greeting [", "].")),
    # strong marks
    ("Jamez Bondos", "Jamez Bondos | Agent", ("| Agent",)),
    ("Jamez Bondos", "Jamez Bondos; agent", ("; agent",)),
    ("Jamez Bondos", "Jamez Bondos—agent", ("—agent",)),
    ("Jamez Bondos", "Agent → Jamez Bondos", ("Agent →",)),
    ("Stop!", "Stop! Go", ("Go",)),  # the text's own mark ends it
    ("停！", "停！他说", ("他说",)),
    ("Hello World", "Hi there. Hello World", ("Hi there.",)),
    ("敬请期待", "敬请期待！谢谢", ("！谢谢",)),
    # white space, a comma, a change of script between texts of weight
    ("Edit", "File Edit View", ("File", "View")),
    ("Hello World", "Hello World, dear friend", (", dear friend",)),
    ("Dear friend,", "Dear friend, good evening", ("good evening",)),
    ("銀河娛樂城", "STAR KTV 銀河娛樂城", ("STAR KTV",)),
    ("銀河娛樂城", "STAR銀河娛樂城", ("STAR",)),
    ("通义", "通义 Star", ("Star",)),
    ("C++ code", "C++ code runs fast", ("runs fast",)),
    ("C++ is C++", "Remember C++ is C++ today", ("Remember", "today")),
    ("Jamez Bondos", "Jamez Bondos - Agent", ("- Agent",)),
    ("Jamez Bondos", "Agents / Jamez Bondos", ("Agents /",)),
    ("Coffee", "Juice • Coffee • Water", ("Juice •", "• Water")),
    ("Menu", "Today ★ Menu", ("Today ★",)),
    # numbers
    ("3.14159", "pi: 3.14159", ("pi:",)),
    ("Room 204", "Hotel: Room 204", ("Hotel:",)),
    ("Hello World", "Tom7b: Hello World", ("Tom7b:",)),
    # items of a list
    ("Language Translation", "• Language Translation", ("•",)),
    ("Language Translation", "·Language Translation", ("·",)),
    ("Language Translation", "*Language Translation", ("*",)),
    ("Language Translation", "* Language Translation", ("*",)),
    ("Language Translation", "2. Language Translation", ("2.",)),
    ("Language Translation", "(12) Language Translation", ("(12)",)),
    ("自动布局", "2、自动布局", ("2、",)),
    ("自动布局", "→ 自动布局", ("→",)),
    ("15°C", "• 15°C", ("•",)),
]
COUNTED = [
    # the text goes on
    ("自动布局", "自动布局2", 1),
    ("自动布局", "自动布局 2", 1),
    ("通义千问", "π≈通义千问", 2),
    ("通义千问", "π≈ 通义千问", 2),
    ("Hello", "Hello-Kitty", 6),
    ("Hello", "Hello·Kitty", 6),
    ("flux", "flux.cpp", 4),
    ("flux", "flux,cpp", 4),
    ("Hell", "Hell's kitchen", 9),
    ("Hello World", "Hello Worlds", 1),
    ("Hello World", "Hello World s and more", 8),
    ("Hello World", "Hello World abc", 3),
    ("Tom", "Hello Tom", 5),  # too little of a text to be found anywhere
    ("通义", "通义 Sun", 3),
    ("通义", "通义AI", 2),
    ("Hello World", "OursHello World", 4),
    # a number goes on
    ("3.14159", "3.14159 26535", 5),
    ("3.14159", "3.14159: 26535", 6),
    ("3.14159", "3.14159 and more", 7),
    ("3.14159", "digits1: 3.14159", 8),
    ("OPEN", "OPEN 24H", 3),
    ("Hello World", "Hello World: 7 times", 7),
    # it is there twice, or another text is
    ("Sale ends today.", "Sale ends today. y.", 2),
    ("main py", "main py: py", 3),
    ("Hello World", "He: Hello World", 3),
    ("Hello World", "Hello World Hello", 5),
    ("Hello World", "Hello World: Helo Wrld", 9),
    ("自动布局", "自动布局：布局", 3),
    ("Hello World", "Hello World WORLD", 5),
    # marks alone
    ("anima.cpp", '"anima.cpp"', 2),
    ("我们一起战斗！", "“我们一起战斗！”", 2),
    ("我们一起战斗！", "我们一起战斗！”", 1),
    ("我们一起战斗！", "：“我们一起战斗！”", 3),
    ("我们一起战斗！", "：我们一起战斗！", 1),
    ("And we are", "'And we are”", 2),
    ("And we are", "“And we are'", 2),
    ("And we are", "'And we are", 1),
    ("And we are", "(And we are", 1),
    ("And we are", "““And we are", 2),
    ("“And we are", "““And we are", 1),
    ("And we are", "And we are.", 1),
    # no item of a list
    ("Language Translation", "2 Language Translation", 1),
    ("Language Translation", "2.1 Language Translation", 3),
    ("Language Translation", "123. Language Translation", 4),
    ("Language Translation", "**Language Translation", 2),
    ("Language Translation", "#Language Translation", 1),
    ("15°C", "*15°C", 1),
    ("15°C", "- 15°C", 1),
    ("15°C", "2. 15°C", 2),
]


@pytest.mark.parametrize(("text", "read", "beside"), FREE)
def test_what_stands_beside_a_text_is_cut_off(text, read, beside):
    found = own(text, read)
    assert (found.wrong, found.beside) == (0, beside)
    assert found.lines == (text,)


@pytest.mark.parametrize(("text", "read", "wrong"), COUNTED)
def test_what_may_belong_to_a_text_stays(text, read, wrong):
    assert own(text, read) == Own(lines=(read,), wrong=wrong)


def test_nothing_is_cut_off_a_text_that_is_right_or_was_not_read():
    assert own("Tom: Hello", "Tom: Hello") == Own(lines=("Tom: Hello",), wrong=0)
    assert own("Hello") == Own(lines=(), wrong=5)


def test_the_own_part_may_have_errors_but_not_at_the_cut_and_not_too_many():
    assert own("我们一起战斗！", "众人：“我们一走战斗！") == Own(lines=("我们一走战斗！",), before="众人：“", wrong=1)
    assert own("Hello World", "TOM: Hexlo Wurld") == Own(lines=("Hexlo Wurld",), before="TOM:", wrong=2)
    assert own("Hello World", "TOM: Hexxo Wurld").beside == ()  # 3 of 10
    assert own("Hell Worl", "TOM: Hexl Wrrl") == Own(lines=("Hexl Wrrl",), before="TOM:", wrong=2)  # 2 of 8
    assert own("Hello World", "Good day Jello World").beside == ()  # its first letter, without a strong mark
    assert own("Hello World", "Hello Worlx good day").beside == ()  # its last one
    assert own("Hello World", "TOM: Jello World") == Own(lines=("Jello World",), before="TOM:", wrong=1)
    assert own("Hello World", "Hello Worlx: see us") == Own(lines=("Hello Worlx",), after=": see us", wrong=1)
    assert own("Hello World", "Good day Hello Worlx") == Own(lines=("Hello Worlx",), before="Good day", wrong=1)
    assert own("Hello World", "• Jello World") == Own(lines=("Jello World",), before="•", wrong=1)


def test_one_side_may_stand_beside_while_the_other_counts():
    assert own("自动布局", "Title: 自动布局2") == Own(lines=("自动布局2",), before="Title:", wrong=1)
    assert own("Hello World", "TOM: Hello World”") == Own(lines=("Hello World”",), before="TOM:", wrong=1)
    assert own("Hello World", "xHello World | Agent") == Own(lines=("xHello World",), after="| Agent", wrong=1)


def test_a_text_of_several_lines_has_words_before_its_first_and_after_its_last():
    assert own("Hello World", 'Tom: "Hello', 'World" he said') == Own(
        lines=("Hello", "World"), before='Tom: "', after='" he said', wrong=0
    )
    assert own("one two six", "A: one", "two", "six | B") == Own(
        lines=("one", "two", "six"), before="A:", after="| B", wrong=0
    )
    assert own("Hello World", "Hello", "Tom: World").beside == ()


@pytest.mark.parametrize(
    ("beside", "other", "free"),
    [
        ("STAR KTV", "STAR KTV", False),
        ("π≈3.14", "π≈3.14159", False),
        ("SUPERSTAR", "STAR KTV", True),  # a run of four letters may be chance
        ("SUPERSTARK", "STAR KTV", False),  # one of five is none
        ("STORE", "STARE", False),  # four of five letters are alike
        ("STOLE", "STARE", True),
        ("店里", "老店里面", False),
        ("店里", "老店面里", True),
    ],
)
def test_a_piece_of_another_expected_text_counts(beside, other, free):
    assert bool(own("銀河娛樂城", f"{beside}：銀河娛樂城", more=(other,)).beside) is free


def test_the_mark_of_an_item_that_an_expected_text_has_too_counts():
    assert own("自动布局", "2、自动布局", more=("1、渲染；2、图像",)).beside == ()
    assert own("自动布局", "·自动布局", more=("中文·场景",)).beside == ()


def test_a_number_that_another_text_begins_with_marks_an_item():
    assert own("Next launch", "4. Next launch", more=("up to $4.8M",)).beside == ("4.",)
    assert own("Next launch", "4. Next launch", more=("by 14. May",)).beside == ("4.",)


def test_a_line_longer_than_any_image_has_is_not_cut():
    long = "a b " * 300 + "Hello"
    started = time.process_time()
    assert own("Hello", long).beside == ()
    assert own("Hello", "word " * 199 + "Hello").beside != ()
    assert time.process_time() - started < 2


def test_a_score_tells_what_stands_beside_and_does_not_count_it():
    found = score(texts("Jamez Bondos"), reading([line('"name": "Jamez Bondos"', 100, 100, 600, 40)]))
    (text,) = found.texts
    assert (found.distance, found.distance_alnum, found.extra) == (0, 0, ())
    assert (text.read, text.beside, text.distance, text.edits, text.lines) == (
        "Jamez Bondos",
        ('"name": "', '"'),
        0,
        (),
        (0,),
    )


def test_a_typo_beside_other_text_counts_alone():
    found = score(texts("我们一起战斗！"), reading([line("众人：“我们一走战斗！", 100, 100, 600, 40)]))
    assert (found.distance, found.texts[0].read, found.texts[0].beside) == (1, "我们一走战斗！", ("众人：“",))


def test_where_a_case_says_alone_what_stands_beside_counts():
    lines = reading([line("众人：“我们一起战斗！", 100, 100, 600, 40)])
    found = score(texts("我们一起战斗！"), lines, alone=True)
    assert (found.distance, found.texts[0].read, found.texts[0].beside) == (4, "众人：“我们一起战斗！", ())


def test_a_short_text_is_found_in_a_long_line():
    lines = reading([line("You see that we are OPEN from morning to night", 100, 100, 900, 40)])
    found = score(texts("OPEN"), lines)
    assert (found.distance, found.texts[0].beside) == (0, ("You see that we are", "from morning to night"))
    assert score(texts("OPEN"), lines, alone=True).distance == 33


def test_a_sign_of_its_own_with_a_typo_is_preferred_to_the_same_words_in_a_sentence():
    lines = [line("OPFN", 100, 100, 200, 80), line("that we are OPEN from morning", 100, 900, 900, 40)]
    (text,) = score(texts("OPEN"), reading(lines)).texts
    assert (text.distance, text.read, text.beside) == (1, "OPFN", ())


def test_a_sign_of_its_own_is_preferred_to_the_same_words_in_a_sentence():
    lines = [line("that we are OPEN from morning", 100, 100, 900, 40), line("OPEN", 100, 900, 200, 80)]
    found = score(texts("OPEN"), reading(lines))
    assert (found.texts[0].lines, found.texts[0].beside) == ((1,), ())


def test_other_text_around_a_wrapped_text_is_told_too():
    found = score(texts("Hello my dear old World"), reading(stack('Tom: "Hello my', "dear old", 'World" he said')))
    assert (found.distance, found.texts[0].read) == (0, "Hello my\ndear old\nWorld")
    assert found.texts[0].beside == ('Tom: "', '" he said')


def test_a_sign_drawn_twice_in_one_line_is_not_beside_itself():
    assert score(texts("通义千问"), reading([line("通义千问 通义千问", 0, 0, 400, 50)])).distance == 4


def test_the_beginning_of_a_numbered_text_again_is_a_repetition():
    wanted = texts("一、Qwen-Image的技术路线")
    assert score(wanted, reading([line("一、Qw一、Qwen-Image的技术路线", 0, 0, 900, 40)])).distance == 4
