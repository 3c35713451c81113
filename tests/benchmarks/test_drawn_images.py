"""Drawn images are the same for a seed, and show what their record says."""

import json
import random

import numpy as np
import pytest
from drawn.colours import contrast, luminance
from drawn.effects import Effect
from drawn.kinds import KINDS
from drawn.make import Asked, asked_for, draw
from drawn.page import LARGE_RATIO, SMALL_RATIO, Page, Writing
from PIL import Image

from qiltest.text.normalise import normalise

#: cheap kinds of every sort: blocks, neighbours, columns, boards, small images.
SOME = ("mixed title", "beside", "columns", "small", "caption", "menu")


@pytest.fixture(scope="module")
def drawn(faces, photographs):
    asked = [Asked(half="train", kind=kind, index=index) for kind in SOME for index in (0, 1)]
    return [draw(each, faces=faces, images=photographs) for each in asked]


def test_the_same_seed_gives_the_same_image(drawn, faces, photographs):
    for before in drawn[:4]:
        again = draw(before.asked, faces=faces, images=photographs)
        assert again.data == before.data
        assert again.record == before.record


def test_another_seed_gives_another_image(drawn, faces, photographs):
    other = draw(Asked(half="train", kind="small", index=0, seed=21), faces=faces, images=photographs)
    assert other.data not in [each.data for each in drawn]


def test_every_second_image_has_one_error_and_the_others_have_none(drawn):
    for each in drawn:
        errors = [text for text in each.record["texts"] if text["error"]]
        assert len(errors) == each.asked.index % 2
        wrong = [text for text in each.record["texts"] if normalise(text["expected"]) != normalise(text["shown"])]
        assert wrong == errors
        assert [text["distance"] > 0 for text in each.record["texts"]] == [
            bool(t["error"]) for t in each.record["texts"]
        ]


def test_the_rows_that_are_drawn_are_the_text_that_is_said_to_be_shown(drawn):
    for each in drawn:
        for text in each.record["texts"]:
            rows = normalise("".join(text["rows"]))
            if each.asked.kind == "beside":
                assert normalise(text["shown"]) in rows
                assert normalise(text["shown"]) != rows
            else:
                assert rows == normalise(text["shown"])


def test_boxes_lie_in_the_image_and_those_of_two_texts_apart(drawn):
    for each in drawn:
        texts = each.record["texts"]
        for k, text in enumerate(texts):
            for left, top, right, bottom in text["boxes"]:
                assert 0 <= left < right <= each.record["width"]
                assert 0 <= top < bottom <= each.record["height"]
                others = [box for other in texts[:k] for box in other["boxes"]]
                assert not any(left < b[2] and right > b[0] and top < b[3] and bottom > b[1] for b in others)


def test_a_record_is_plain_data_with_the_names_of_the_real_images_manifest(drawn):
    for each in drawn:
        record = json.loads(json.dumps(each.record))
        assert record == each.record
        assert len(record["expected_text"]) == len(record["shown_text"]) == len(record["char_edit_distance"])


def test_a_set_holds_every_kind_in_each_half_equally_often():
    asked = list(asked_for(("train", "test"), per_kind=4))
    assert len({each.file for each in asked}) == len(asked) == 2 * 4 * len(KINDS)
    assert [each.kind for each in asked[: len(KINDS)]] == list(KINDS)


@pytest.mark.parametrize(("size", "wanted"), [(20, SMALL_RATIO), (60, LARGE_RATIO)])
def test_ink_stands_out_from_whatever_is_behind_it(faces, size, wanted):
    face = next(face for face in faces if face.name == "DejaVuSans")
    for seed in range(6):
        grey = np.random.default_rng(seed).normal(128, 40, (120, 300)).clip(0, 255).astype(np.uint8)
        noise = Image.fromarray(grey).convert("RGB")
        page = Page(noise, random.Random(seed))
        (box,) = page.write(Writing(rows=("Abc",), face=face, size=size, left=30, top=20, effect=Effect.PLAIN))
        behind = [luminance(page.image.getpixel((x, box[1] - 2))) for x in range(box[0], box[2])]
        steady = sorted(behind)[len(behind) // 10 : -len(behind) // 10]
        assert min(contrast(luminance(page.ink), each) for each in (steady[0], steady[-1])) >= wanted * 0.8
