"""Training of the glyph check: what is broken is changed so that it can be seen, what is whole is shown whole."""

import json
import lzma
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "tools" / "glyph_verifier"))

import glyph_bank
from glyph_damage import KINDS, LEAST, Batch, broken
from glyph_data import load
from glyph_examples import CELLS, VISIBLE, Source
from glyph_net import Net
from glyph_render import big5_level_1, gb2312, kana, letters
from glyph_train import Learner, rank

from glyph_lines import glyph
from qiltest.reading.glyphs.crop import SIDE
from qiltest.reading.glyphs.references import references

TEXT = "一丁七万三上下不国图圆问答通义千理解生成文字龙龍AaBbegOo0123あアのン"


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    file = tmp_path_factory.mktemp("bank") / "bank.xz"
    bits = [np.packbits(glyph(char) > 0.45) for char in TEXT]
    fonts = [{"half": "train", "file": "a.ttf", "index": 0, "characters": TEXT}]
    head = json.dumps({"pixels": 72, "kept": "国", "fonts": fonts}).encode()
    file.write_bytes(lzma.compress(head + b"\n" + b"".join(each.tobytes() for each in bits)))
    return load(file, references(), torch.device("cpu"), workers=1)


def batch(bank, count=64):
    generator = torch.Generator().manual_seed(3)
    index = torch.arange(count) % len(bank.char)
    return Batch(bank=bank, index=index, weight=torch.zeros(count), generator=generator)


def test_a_bank_knows_its_characters(bank):
    assert sorted(bank.characters) == sorted(TEXT)
    assert [bank.characters[k] for k in bank.char[bank.kept]] == ["国"]


def test_what_shows_another_character_is_left_out_of_the_bank():
    rng = np.random.default_rng(0)
    mark, capital, round_, kana_ = (np.uint8(255) * (rng.random((72, 72)) < 0.3) for _ in range(4))
    thin = np.where(rng.random((72, 72)) < 0.3, np.uint8(100), np.uint8(0))  # thinner than a pixel
    drawn = {char: np.uint8(255) * (rng.random((72, 72)) < 0.3) for char in "一b"}
    drawn |= dict.fromkeys("啊阿", mark) | dict.fromkeys("Aa", capital) | dict.fromkeys("Oo0", round_)
    drawn |= dict.fromkeys("へヘ", kana_) | {"丁": thin}
    found = glyph_bank.clean(drawn)
    assert sorted(found) == sorted("一bAOo0へヘ")
    assert {value for each in found.values() for value in np.unique(each)} == {0, 1}


def test_another_character_is_not_one_of_the_same_shape(bank):
    b = batch(bank, 400)
    mine, other = ([bank.characters[k] for k in bank.char[index]] for index in (b.index, b.other()))
    pairs = [(one, two) for one, two in zip(mine, other, strict=True) if one in "Oo0"]
    assert len(pairs) > 20
    assert not [two for _, two in pairs if two in "Oo0"]


@pytest.mark.parametrize("number", range(len(KINDS)), ids=list(KINDS))
def test_every_kind_breaks_most_characters_so_that_it_can_be_seen(bank, number):
    b = batch(bank)
    ink, share, seen = broken(b, torch.full((b.size,), number))
    assert torch.isfinite(ink).all()
    assert 0 <= float(ink.min()) <= float(ink.max()) <= 1
    assert float(seen.float().mean()) > 0.3
    assert (share[seen] >= LEAST).all()


def test_whole_characters_keep_their_ink(bank):
    b = batch(bank)
    ink, share, _ = broken(b, torch.full((b.size,), -1))
    assert torch.equal(ink, b.ink)
    assert (share == 0).all()


def test_examples_are_crops_beside_the_drawings_of_their_character(bank):
    source = Source(bank, [bank.chosen("train", (k,), kept=False) for k in range(4)], seed=5)
    examples = source.draw(96)
    assert examples.x.shape == (96, 4, SIDE, SIDE)
    assert torch.isfinite(examples.x).all()
    assert 20 < int(examples.broken.sum()) < 76
    assert ((examples.kind >= 0) == (examples.broken > 0)).all()
    assert torch.equal(examples.x[:, 1:], bank.drawings[bank.char[examples.index]])
    assert not bank.kept[examples.index].any()


def test_a_whole_twin_differs_from_the_broken_one_by_the_damage_alone(bank):
    source = Source(bank, [bank.chosen("train", (0,))], seed=8)
    examples = source.twins(48)
    one, two = examples.part(torch.arange(48)), examples.part(torch.arange(48, 96))
    assert one.broken.all()
    assert not two.broken.any()
    assert torch.equal(one.index, two.index)
    assert torch.equal(one.em, two.em)
    assert (two.where == 0).all()
    assert (two.visible == 1).all()
    assert (one.where.amax(dim=(1, 2))[one.drawn] > 0).all()
    same = (one.placed - two.placed).abs().amax(dim=(1, 2)) < 1e-6  # most: broken ink may be placed otherwise
    assert same.float().mean() > 0.3
    change = (one.x[:, 0] - two.x[:, 0])[same].abs().amax(dim=(1, 2))
    assert (change[one.visible[same] > 0.5] > 0.3).all()


def test_a_change_that_a_small_size_blurs_away_is_no_example(bank):
    source = Source(bank, [bank.chosen("train", (0,))], seed=9)
    dots = {
        size: source.draw(64, share=1.0, kind=list(KINDS).index("strokes interrupted"), size=size) for size in (18, 92)
    }
    assert dots[18].visible[dots[18].drawn].mean() < dots[92].visible[dots[92].drawn].mean() - 0.1
    faint = dots[18].visible < VISIBLE
    assert not dots[18].seen[faint].any()
    assert (dots[92].seen == (dots[92].drawn & (dots[92].visible >= VISIBLE))).all()


def test_a_step_lowers_the_loss_of_what_it_was_taken_on(bank):
    torch.manual_seed(0)
    examples = Source(bank, [bank.chosen("train", (0,))], seed=10).twins(16)
    learner = Learner(Net(), examples, torch.device("cpu"), print)
    learner.set(1e-3, 0.3)
    first, *_, last = (float(learner.learn(examples)[0]) for _ in range(12))
    assert last < 0.8 * first


def test_broken_characters_are_ranked_above_the_whole_ones_of_their_script(bank):
    examples = Source(bank, [bank.chosen("train", (k,)) for k in range(4)], seed=11).twins(32)
    right = torch.where(examples.broken > 0, 5.0, -5.0)
    assert float(rank(right, examples)) < 0.01
    assert float(rank(-right, examples)) > 5


def test_a_crop_laid_where_the_example_says_is_its_drawing(bank):
    source = Source(bank, [bank.chosen("train", (0,))], seed=6)
    examples = source.draw(40, share=0.0, size=60)
    grid = torch.nn.functional.affine_grid(examples.placed, [40, 1, SIDE, SIDE], align_corners=False)
    laid = torch.nn.functional.grid_sample(examples.x[:, :1], grid, align_corners=False)[:, 0]
    alike = [
        np.corrcoef(one.ravel(), two.ravel())[0, 1]
        for one, two in zip(laid.numpy(), examples.x[:, 1].numpy(), strict=True)
    ]
    assert np.median(alike) > 0.8


def test_the_network_answers_once_per_crop_and_begins_without_moving_it():
    net = Net().eval()
    with torch.no_grad():
        answers, placed, spots = net.all(torch.rand(3, 4, SIDE, SIDE))
    assert answers.shape == (3,)
    assert spots.shape == (3, CELLS, CELLS)
    assert torch.allclose(placed, torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]).expand(3, 2, 3))


def test_the_kept_characters_are_always_the_same_and_never_drawn_for_training():
    kept = glyph_bank.kept_characters()
    assert kept == glyph_bank.kept_characters()
    assert len(kept) == glyph_bank.KEPT + 20
    fonts = glyph_bank.fonts_listed()
    train = next(font for font in fonts if font.half == "train" and "han" in font.scripts)
    test = next(font for font in fonts if font.half == "kept" and "han" in font.scripts)
    assert not kept & set(glyph_bank.wanted(train, kept, random.Random(0)))
    assert len(kept & set(glyph_bank.wanted(test, kept, random.Random(0)))) > glyph_bank.KEPT / 2


def test_a_family_of_fonts_is_in_one_half():
    halves = {}
    for font in glyph_bank.fonts_listed():
        if font.package != "fonts-kouzan-mouhitsu":  # its running hand is a control beside the regular one
            halves.setdefault(font.package, set()).add(font.half)
    assert {package for package, found in halves.items() if len(found) > 1} == set()


def test_the_characters_that_are_judged():
    assert (len(gb2312()), len(gb2312(0xB0, 0xD7)), len(big5_level_1())) == (6763, 3755, 5401)
    assert len(letters()) == 62
    assert len(kana()) == 177
