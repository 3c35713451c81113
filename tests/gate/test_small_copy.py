"""The small copy of a golden's image: small enough, the right one, and no verdict's matter."""

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import builders as make
from qiltest.errors import GoldenError, ReaderError
from qiltest.gate import GoldenStore
from qiltest.gate.small_copy import MOST_COPY, SmallCopies, digest_of, make_copy, open_copy
from qiltest.gate.unused import unused_goldens
from qiltest.generation.images import encode_png
from qiltest.suite.load import Suite
from quality_images import scene

REMEDY = "restore it with `git checkout`, or record the golden again with --qil-update=all"


def noise(side):
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)


def opened(data):
    return Image.open(io.BytesIO(data))


@pytest.fixture
def store(tmp_path):
    return GoldenStore(root=tmp_path)


@pytest.fixture
def kept(store):
    """A golden with its small copy."""
    image = encode_png(scene())
    path = SmallCopies(goldens=store).record(make.golden(), image)
    golden = store.load("tiny", make.golden().sample)
    return golden, path.with_suffix(".webp"), make_copy(image)


@pytest.fixture
def copies(store):
    return SmallCopies(goldens=store)


def test_a_small_copy_is_webp_with_a_longer_side_of_512():
    image = opened(make_copy(encode_png(np.repeat(scene(800), 2, axis=1))))
    assert (image.format, image.size) == ("WEBP", (512, 256))


def test_a_small_image_keeps_its_size_and_looks_alike():
    pixels = scene(200)
    copy = np.asarray(opened(make_copy(encode_png(pixels))).convert("RGB"), float)
    assert copy.shape == pixels.shape
    assert np.abs(copy - pixels).mean() < 4


@pytest.mark.parametrize("side", [256, 512, 1024, 2048])
def test_even_of_noise_it_has_at_most_forty_thousand_bytes(side):
    copy = make_copy(encode_png(noise(side)))
    assert len(copy) <= MOST_COPY == 40_000
    assert max(opened(copy).size) >= 96


def test_as_much_as_fits_is_kept():
    sizes = {side: opened(make_copy(encode_png(noise(side)))).size for side in (64, 512)}
    assert sizes[64] == (64, 64)
    assert 96 < sizes[512][0] < 512


def test_what_is_no_image_has_no_copy():
    with pytest.raises(ReaderError):
        make_copy(b"text")


def test_the_golden_keeps_the_hash_of_the_copy_beside_it(copies, kept):
    golden, path, copy = kept
    assert path.read_bytes() == copy
    assert golden.small_copy == digest_of(copy) == hashlib.sha256(copy).hexdigest()
    assert copies.path(golden) == path
    assert copies.open(golden).shape == (512, 512, 3)
    assert copies.fault(golden) == ""


def test_a_copy_that_is_missing_is_named(copies, kept):
    golden, path, _ = kept
    path.unlink()
    with pytest.raises(GoldenError) as error:
        copies.open(golden)
    assert (error.value.what, error.value.where, error.value.remedy) == (
        "the small copy of the golden's image is missing", str(path), REMEDY,
    )  # fmt: skip
    assert copies.fault(golden) == f"the small copy of the golden's image is missing -> {REMEDY}"


def test_a_copy_that_was_changed_is_not_shown(copies, kept):
    golden, path, copy = kept
    for data in (copy[:-1], copy + b"x", b"", make_copy(encode_png(noise(64)))):
        path.write_bytes(data)
        assert copies.fault(golden) == (
            f"the small copy of the golden's image is not the one that was recorded with it -> {REMEDY}"
        )


def test_a_copy_that_is_too_large_is_not_read(copies, kept):
    golden, path, _ = kept
    path.write_bytes(b"x" * (MOST_COPY + 1))
    assert "the golden cannot be read: File too large (at most 40,000 bytes are read)" in copies.fault(golden)


def test_a_link_that_leads_out_of_the_folder_is_not_followed(copies, kept, tmp_path_factory):
    golden, path, copy = kept
    outside = tmp_path_factory.mktemp("outside") / "image.webp"
    outside.write_bytes(copy)
    path.unlink()
    path.symlink_to(outside)
    assert "a symbolic link leads out of the folder of goldens" in copies.fault(golden)


def test_a_pipe_is_not_waited_for(copies, kept):
    golden, path, _ = kept
    path.unlink()
    os.mkfifo(path)
    assert copies.fault(golden).startswith("the golden cannot be read: Not a regular file")


def bytes_of(image, form):
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"RIFF no image", "not an image, or of a format that is not read"),
        (bytes_of(Image.new("RGB", (513, 512)), "WEBP"), "the image is too large: 513x512 is 262,656 pixels"),
    ],
)
def test_a_copy_that_is_no_small_image_is_not_decoded(tmp_path, data, why):
    with pytest.raises(GoldenError) as error:
        open_copy(data, digest_of(data), tmp_path / "x.webp")
    assert error.value.what == f"the small copy of the golden's image cannot be shown: {why}"
    assert error.value.where == str(tmp_path / "x.webp")
    assert error.value.remedy == REMEDY


def test_the_largest_copy_is_decoded(tmp_path):
    data = bytes_of(Image.new("RGB", (512, 512), "red"), "WEBP")
    assert open_copy(data, digest_of(data), tmp_path / "x.webp").shape == (512, 512, 3)


def test_a_golden_that_is_saved_without_a_copy_names_the_one_it_had(store, kept):
    golden, path, copy = kept
    store.save(golden)
    assert store.load("tiny", golden.sample) == golden
    assert path.read_bytes() == copy


def test_with_the_golden_goes_its_copy(store, kept):
    golden, path, _ = kept
    store.remove(golden)
    assert not path.exists()
    assert not path.with_suffix(".json").exists()
    store.remove(golden)


def test_a_copy_without_a_golden_is_named_as_unused(store, kept):
    golden, path, _ = kept
    case = make.case(size=golden.sample.size)
    suite = Suite(cases=(case,), variants=(make.variant(),))
    assert list(unused_goldens(store, "tiny", suite)) == []
    path.with_suffix(".json").unlink()
    assert list(unused_goldens(store, "tiny", suite)) == [
        f"unused small copy {path}: no golden lies beside it\n  -> remove the file, or restore the golden"
    ]


def test_a_copy_that_cannot_be_written_is_an_error_and_the_golden_stays(copies, kept):
    golden, path, _ = kept
    path.unlink()
    path.mkdir()
    before = path.with_suffix(".json").read_bytes()
    with pytest.raises(GoldenError, match="the small copy of the golden's image cannot be written"):
        copies.record(golden, encode_png(scene(200)))
    assert path.with_suffix(".json").read_bytes() == before


def test_a_golden_without_scene_or_copy_is_no_golden(store, kept):
    golden, path, _ = kept
    file = path.with_suffix(".json")
    text = file.read_text()
    file.write_text(text.replace(f'"small_copy": "{golden.small_copy}"', '"small_copy": ""'))
    with pytest.raises(GoldenError, match="invalid golden: small_copy '' is not a SHA-256"):
        store.load("tiny", golden.sample)
    head, tail = text.split('"scene": {')
    file.write_text(head + '"scene": null' + tail[tail.index("\n  },") + len("\n  }") :])
    with pytest.raises(GoldenError, match="invalid golden: scene: missing"):
        store.load("tiny", golden.sample)
    file.write_text(text.replace('"cells": [\n      "', '"cells": [\n      "g'))
    with pytest.raises(GoldenError, match=r"invalid golden: scene\.cells\.0: String should match pattern"):
        store.load("tiny", golden.sample)


def test_the_suites_own_goldens_stay_small():
    folder = Path(__file__).parents[2] / "golden"
    copies = list(folder.rglob("*.webp"))
    assert len(copies) == len(list(folder.glob("tiny*/*@*/*.json"))) > 30
    assert max(path.stat().st_size for path in copies) <= MOST_COPY
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 3_000_000
