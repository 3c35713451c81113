"""The formulas of LongText-Bench and OneIG-Bench, by hand."""

from __future__ import annotations

import pytest

from qiltest.scoring.benchmarks import BenchmarkCounts, Language, benchmark_scores, count_image

ENGLISH, CHINESE = Language.ENGLISH, Language.CHINESE


def counted(expected: list[str], read: list[str]) -> BenchmarkCounts:
    found = count_image(expected, read)
    assert found is not None
    return found


def test_an_image_read_as_asked_has_full_scores() -> None:
    [scored] = benchmark_scores([counted(["Fresh bread", "Open daily"], ["Fresh bread", "Open daily"])])
    assert (scored.language, scored.images) == (ENGLISH, 1)
    assert scored.longtext.text_accuracy == 1
    assert (scored.oneig.edit_distance, scored.oneig.completion_rate, scored.oneig.word_accuracy) == (0, 1, 1)
    assert scored.oneig.text_score == 1


def test_english_is_counted_in_words_wherever_they_stand() -> None:
    found = counted(["the cat saw the dog"], ["dog the", "cat and a bird"])
    # the, cat, dog of the, cat, saw, the, dog
    assert (found.longtext_matched, found.longtext_expected) == (3, 5)
    assert (found.oneig_matched, found.oneig_expected) == (3, 5)


def test_a_word_counts_as_often_as_it_was_asked_and_extra_words_are_free_to_both_counts() -> None:
    found = counted(["no no"], ["no no no yes"])
    assert (found.longtext_matched, found.oneig_matched) == (2, 2)
    assert found.oneig_distance == len(" no yes")


def test_only_longtext_bench_folds_case() -> None:
    found = counted(["SALE today"], ["Sale today"])
    assert (found.longtext_matched, found.longtext_expected) == (2, 2)
    assert (found.oneig_matched, found.oneig_distance) == (1, 3)


def test_chinese_is_counted_in_characters_without_spaces_and_keeps_the_case_of_letters() -> None:
    found = counted(["通义千问 Qwen", "欢迎"], ["欢 迎", "通义干问", "QwEn"])
    assert found.language is CHINESE
    # 通义 问 Q w n 欢迎 of 通义千问Qwen欢迎
    assert (found.longtext_matched, found.longtext_expected) == (8, 10)
    assert (found.oneig_matched, found.oneig_expected) == (8, 10)


def test_the_edit_distance_is_of_all_text_in_the_order_of_the_reader() -> None:
    assert counted(["ab", "cd"], ["ab", "cd"]).oneig_distance == 0
    assert counted(["ab", "cd"], ["cd", "ab"]).oneig_distance == 4
    assert counted(["通义", "千问"], ["千问", "通义"]).oneig_distance == 4


def test_marks_that_neither_benchmark_counts_are_dropped_without_a_space_in_their_place() -> None:
    found = counted(["Don't stop: 3.14 - π≈", "Café №5 😊"], ["Dont stop 314", "Café 5"])
    assert (found.oneig_distance, found.longtext_matched, found.longtext_expected) == (0, 5, 5)


def test_one_chinese_character_makes_an_image_chinese() -> None:
    assert counted(["Qwen Coffee 店"], ["Qwen Coffee"]).language is CHINESE
    assert counted(["Qwen Coffee"], ["Qwen Coffee 店"]).language is ENGLISH


def test_a_chinese_character_read_in_an_english_image_glues_its_words_as_oneig_bench_does() -> None:
    found = counted(["open all day"], ["open all day", "门"])
    assert (found.longtext_matched, found.longtext_expected) == (3, 3)
    assert (found.oneig_matched, found.oneig_expected) == (0, 3)
    assert found.oneig_distance == 3  # two spaces gone, one character more


@pytest.mark.parametrize("expected", [["안녕하세요"], ["…?!", "😊"], []])
def test_what_neither_benchmark_counts_has_no_score(expected: list[str]) -> None:
    assert count_image(expected, ["text"]) is None
    assert benchmark_scores([]) == ()


def test_an_image_in_which_nothing_was_read_counts_as_nothing_found() -> None:
    [scored] = benchmark_scores([counted(["open all day"], [])])
    assert scored.longtext.text_accuracy == 0
    assert scored.oneig.edit_distance == len("open all day")
    assert scored.oneig.text_score == pytest.approx(1 - 12 / 100)


def test_the_scores_of_a_variant_pool_words_and_average_distances() -> None:
    exact = counted(["one two three four five six"], ["one two three four five six"])
    wrong = counted(["seven eight"], ["seven aight"])
    [scored] = benchmark_scores([exact, wrong])
    assert scored.longtext.text_accuracy == pytest.approx(7 / 8)  # not the mean of 1 and 1/2
    assert scored.oneig.edit_distance == 0.5
    assert scored.oneig.completion_rate == 0.5
    assert scored.oneig.word_accuracy == pytest.approx(7 / 8)
    assert scored.oneig.text_score == pytest.approx(1 - 0.5 * 0.5 * (1 / 8) / 100)


@pytest.mark.parametrize(("letter", "language", "most"), [("a", ENGLISH, 100), ("字", CHINESE, 50)])
def test_the_distance_is_capped_at_a_hundred_in_english_and_fifty_in_chinese(
    letter: str, language: Language, most: int
) -> None:
    [far] = benchmark_scores([counted([letter * 10], ["1" * 1000])])
    assert far.language is language
    assert (far.oneig.edit_distance, far.oneig.text_score) == (1000, 0)
    [near] = benchmark_scores([counted([letter * (most // 2)], [])])
    assert near.oneig.text_score == pytest.approx(0.5)


def test_english_and_chinese_images_are_never_pooled() -> None:
    scores = benchmark_scores([counted(["店"], ["店"]), counted(["shop"], ["shop"]), counted(["bar"], ["car"])])
    assert [(item.language, item.images) for item in scores] == [(ENGLISH, 2), (CHINESE, 1)]
    assert [item.longtext.text_accuracy for item in scores] == [0.5, 1]
