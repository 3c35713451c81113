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
from glyph_examples import Source
from glyph_net import Net
from glyph_render import big5_level_1, gb2312, kana, letters

from glyph_lines import glyph
from qiltest.reading.glyphs.crop import SIDE
from qiltest.reading.glyphs.references import references

TEXT = "一丁七万三上下不国图圆问答通义千理解生成文字龙龍AaBbeg0123あアのン"


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    file = tmp_path_factory.mktemp("bank") / "bank.xz"
    missing = "啊阿埃"  # a font's mark for what it has not
    bits = [np.packbits(glyph(char) > 0.45) for char in TEXT]
    bits += [np.packbits(np.pad(np.zeros((40, 40)), 16, constant_values=0) == 0)] * len(missing)
    fonts = [{"half": "train", "file": "a.ttf", "index": 0, "characters": TEXT + missing}]
    head = json.dumps({"pixels": 72, "kept": "国", "fonts": fonts}).encode()
    file.write_bytes(lzma.compress(head + b"\n" + b"".join(each.tobytes() for each in bits)))
    return load(file, references(), torch.device("cpu"), workers=1)


def batch(bank, count=64):
    generator = torch.Generator().manual_seed(3)
    index = torch.arange(count) % len(bank.char)
    return Batch(bank=bank, index=index, weight=torch.zeros(count), generator=generator)


def test_a_fonts_mark_for_a_missing_character_is_no_character(bank):
    assert sorted(bank.characters) == sorted(TEXT)
    assert [bank.characters[k] for k in bank.char[bank.kept]] == ["国"]


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
        answers, placed = net.both(torch.rand(3, 4, SIDE, SIDE))
    assert answers.shape == (3,)
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
