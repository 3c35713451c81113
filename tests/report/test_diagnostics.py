"""What the report says beside the text: image quality, and what only the published report's cases have."""

from dataclasses import replace

import pytest

import builders as make
from qiltest.published.fine_detail import Finer, hair_pairs, hair_words
from qiltest.published.section import Published
from qiltest.report.diagnostics import figures, reported_faults
from qiltest.runs import CaseResult
from qiltest.scoring import score

GOOD = make.HEALTHY


def sample(variant="base", seed=42):
    return make.sample(seed, "capybara", variant)


def generated(wanted, read):
    reading = make.reading([make.line(text, 0, 100 * i, 400, 20) for i, text in enumerate(read)], 1328, 1328)
    return CaseResult(sample=sample(), reading=reading, score=score(make.texts(*wanted), reading), health=GOOD)


def plain(words):
    return words.replace("\u00a0", " ")


def sentences(result, case="capybara"):
    return tuple(map(plain, Published(findings=(), marks=(), tables={case: 3}).sentences(result)))


def test_figures_have_units_and_faults_that_do_not_gate_are_reported():
    health = replace(GOOD, blur=2.0)
    found = dict(figures(health))
    assert "px" in found["sharpest edges"]
    assert "of the contrast" in found["fine detail outside text"]
    assert "specks" not in found
    (fault,) = reported_faults(health)
    assert "blurred" in fault


def test_specks_are_shown_where_they_were_measured_and_told_beyond_their_limit():
    health = replace(GOOD, specks=4.0)
    assert plain(dict(figures(health))["specks"]) == "4 grey levels"
    (fault,) = reported_faults(health)
    assert "noise left in the latents" in fault


def test_a_long_number_with_an_error_is_told_by_its_digits_and_its_line_by_its_height():
    number = "3.14159265-358979-32384626"
    (digits, line) = sentences(generated([number], [number.replace("358979", "358679")]))
    assert "22 of 23 digits exact, 12 before the first error (character 15)" in digits
    assert "1 edit in writing 20 px high" in line


def test_signs_are_told_where_there_are_many():
    signs = [f"SIGN {name}" for name in ("ALPHA", "BRAVO", "DELTA", "HOTEL", "KILOX", "LIMAX", "OSCAR", "TANGO")]
    (words,) = sentences(generated(signs, signs[:-1]))
    assert words == "7 of 8 signs right, 1 missing."


def test_a_case_that_is_not_of_the_published_report_is_not_told_by_digits():
    assert sentences(generated(["3.14159265"], ["3.14159266"]), case="pi-number") == ()


def pair(detail, **change):
    other = replace(GOOD, detail=detail, **change)
    results = [CaseResult(sample=sample(), health=GOOD), CaseResult(sample=sample("8step"), health=other)]
    return plain(hair_words(results, "base")), [one.found.finer for one in hair_pairs(results, "base")]


@pytest.mark.parametrize(
    ("detail", "words", "finer"),
    [(1.0, "base is finer than 8step", Finer.FIRST), (4.0, "base is less fine than 8step", Finer.SECOND)],
)
def test_hair_of_the_base_is_held_against_that_of_a_lora(detail, words, finer):
    said, found = pair(detail)
    assert words in said
    assert found == [finer]


def test_hair_beside_more_noise_decides_nothing_and_says_why():
    said, found = pair(4.0, noise_fine=2.0)
    assert "not comparable: the image with more detail also has more noise" in said
    assert found == [Finer.CANNOT_TELL]


def test_images_of_other_seeds_are_no_pair():
    results = [CaseResult(sample=sample(), health=GOOD), CaseResult(sample=sample("8step", seed=43), health=GOOD)]
    assert hair_pairs(results, "base") == ()
