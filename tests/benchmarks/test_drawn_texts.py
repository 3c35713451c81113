"""The halves share nothing, and planted errors are errors that a person can see."""

import random

import pytest
from drawn.backgrounds import sources
from drawn.faces import listed_faces
from drawn.texts import CASE, EXTENDED, MARK, TYPOS, case_pools, number, pools, price, visible, wrong

from qiltest.calibration.typos import Typo
from qiltest.text.normalise import normalise


def texts(half):
    return {normalise(text).casefold() for pool in pools(half).values() for text in pool}


def test_the_halves_share_no_face_no_background_and_no_text():
    for of in (lambda half: {face.path for face in listed_faces(half)}, lambda half: {s.file for s in sources(half)}):
        assert of("train")
        assert of("test")
        assert not of("train") & of("test")
    assert not texts("train") & texts("test")


def test_the_ten_cases_are_shared_out_between_the_halves():
    assert len(case_pools("train")) == len(case_pools("test")) == 5
    assert not set(case_pools("train")) & set(case_pools("test"))


def test_numbers_of_one_half_are_none_of_the_other():
    for make in (number, price):
        sums = {
            half: {sum(map(int, filter(str.isdigit, make(half, random.Random(seed))))) % 2 for seed in range(60)}
            for half in ("train", "test")
        }
        assert sums == {"train": {0}, "test": {1}}


def test_there_are_at_least_forty_faces_of_every_style_in_each_half():
    for half in ("train", "test"):
        faces = listed_faces(half)
        assert len(faces) >= 40
        styles = {style for face in faces for style in face.styles}
        assert styles == {"sans", "serif", "mono", "hand", "brush", "display", "cjk"}


@pytest.mark.parametrize("kind", [*TYPOS, CASE, MARK, EXTENDED])
def test_a_planted_error_changes_the_text(faces, kind):
    face = next(face for face in faces if face.name == "DejaVuSans")
    made = [
        wrong(text, face, (kind,), random.Random(k)) for k, text in enumerate(["Coffee for 25", "no exit", "Menu 108"])
    ]
    found = [each for each in made if each is not None]
    assert found
    for (shown, named), text in zip(made, ["Coffee for 25", "no exit", "Menu 108"], strict=True):
        assert named == kind
        assert normalise(shown) != normalise(text)


def test_an_error_that_looks_the_same_in_the_face_is_not_planted(faces):
    face = next(face for face in faces if face.name == "DejaVuSans")
    assert not visible("Ill", "III", face)
    assert visible("Ill", "I1l", face)
    assert visible("Ill", "Il", face)
    assert all(wrong("II", face, (Typo.SIMILAR,), random.Random(seed)) is None for seed in range(5))


def test_a_face_draws_no_text_that_would_look_like_another(faces):
    named = {face.name: face for face in listed_faces("train")}
    bebas, ukai = named["BebasNeue-Bold"], named["ukai"]
    assert bebas.caps
    assert not bebas.draws("small letters")
    assert not ukai.latin
    assert not ukai.draws("bowl")
    dejavu = next(face for face in faces if face.name == "DejaVuSans")
    assert dejavu.draws("small letters")
    assert not dejavu.draws("龍鳳冰室")
