"""Image files made to hurt: other formats, damage of every kind, bombs, and what is no regular file.

Whatever a decoder does with them, it is one ReaderError, in bounded time and memory.
"""

import io
import os
import random
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from PIL import Image, ImageDraw

from qiltest.errors import ReaderError
from qiltest.image_files import MOST_RATIO, MOST_SCANS
from qiltest.reading import images
from qiltest.reading.images import FORMATS, load_image

MUTATIONS = 100


def picture(mode="RGB"):
    image = Image.new("RGB", (256, 128), "white")
    ImageDraw.Draw(image).text((10, 10), "Hello 123", fill="black")
    return image.convert(mode)


def encoded(form, mode="RGB", **options):
    out = io.BytesIO()
    picture(mode).save(out, form, **options)
    return out.getvalue()


def rotated():
    exif = Image.Exif()
    exif[274], exif[270] = 6, "x" * 30
    return exif


#: one for each way of a decoder, by format and way.
INTACT = {
    "PNG": encoded("PNG"),
    "PNG palette": encoded("PNG", "P", transparency=0),
    "PNG exif": encoded("PNG", exif=rotated()),
    "PNG animated": encoded("PNG", save_all=True, append_images=[Image.new("RGB", (256, 128), "red")]),
    "JPEG": encoded("JPEG"),
    "JPEG progressive": encoded("JPEG", progressive=True),
    "JPEG CMYK": encoded("JPEG", "CMYK"),
    "JPEG exif": encoded("JPEG", exif=rotated()),
    "WEBP": encoded("WEBP"),
    "WEBP lossless": encoded("WEBP", "RGBA", lossless=True),
    "GIF": encoded("GIF", "P"),
    "GIF animated": encoded("GIF", "P", save_all=True, append_images=[picture("P").rotate(9)]),
    "TIFF": encoded("TIFF"),
    "TIFF LZW": encoded("TIFF", compression="tiff_lzw"),
    "TIFF deflate": encoded("TIFF", compression="tiff_adobe_deflate"),
    "TIFF JPEG": encoded("TIFF", compression="jpeg"),
    "TIFF float": encoded("TIFF", "F"),
    "TIFF fax": encoded("TIFF", "1", compression="group4"),
    "BMP": encoded("BMP"),
    "BMP palette": encoded("BMP", "P"),
    "AVIF": encoded("AVIF"),
    "AVIF alpha": encoded("AVIF", "RGBA"),
}


def mutated(data, rng):
    """Change some bytes, most of them in the head, and cut a fifth of the files."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place = rng.randrange(min(len(found), 200 if rng.random() < 0.7 else len(found)))
        found[place] = rng.randrange(256) if rng.random() < 0.5 else found[place] ^ (1 << rng.randrange(8))
    return bytes(found[: rng.randrange(1, len(found))] if rng.random() < 0.2 else found)


@pytest.mark.parametrize("name", INTACT)
def test_a_damaged_image_is_decoded_or_a_reader_error(name, capfd):
    assert load_image(INTACT[name]).shape in {(128, 256, 3), (256, 128, 3)}
    rng, refused = random.Random(name), 0
    for _ in range(MUTATIONS):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # Pillow's warnings of damage are no errors either
                pixels = load_image(mutated(INTACT[name], rng))
        except ReaderError:
            refused += 1
        else:
            assert (pixels.dtype, pixels.ndim, pixels.shape[2]) == (np.uint8, 3, 3)
    assert 0 < refused < MUTATIONS or name.startswith("PNG")


def test_every_format_is_tried():
    assert {name.split()[0] for name in INTACT} == set(FORMATS)


@pytest.mark.parametrize(
    "form", ["DDS", "ICO", "PPM", "TGA", "SGI", "PCX", "JPEG2000", "IM", "MSP", "XBM", "EPS", "PDF"]
)
def test_other_decoders_are_not_opened(form):
    data = encoded(form, "1" if form in {"MSP", "XBM"} else "RGB")
    with pytest.raises(ReaderError, match="not an image, or of a format that is not read"):
        load_image(data)


def test_an_eps_starts_no_program(monkeypatch):
    def started(*_args, **_keywords):
        raise AssertionError("a program was looked for")

    for name in ("shutil.which", "subprocess.check_call", "subprocess.Popen", "os.system"):
        monkeypatch.setattr(name, started)
    with pytest.raises(ReaderError):
        load_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("deep"), KeyError("tag"), RuntimeError("\x1b[31mx")])
def test_a_decoders_own_error_of_any_kind_becomes_the_one_error(monkeypatch, error):
    def broken(*_):
        raise error

    monkeypatch.setattr(images.ImageOps, "exif_transpose", broken)
    with pytest.raises(ReaderError, match="cannot be decoded as an image") as caught:
        load_image(INTACT["PNG"])
    assert "\x1b" not in str(caught.value)


def test_a_progressive_jpeg_of_endless_scans_is_refused_at_once():
    data = INTACT["JPEG progressive"]
    last = data[data.rindex(b"\xff\xda") : -2]
    assert data.count(b"\xff\xda") < 20
    with pytest.raises(ReaderError, match=f"scans, at most {MOST_SCANS} are read"):
        load_image(data[:-2] + last * MOST_SCANS + data[-2:])


@pytest.mark.parametrize("size", [(60_000, 1), (1, 60_000), (MOST_RATIO + 1, 1), (2, 300)])
def test_an_image_that_readers_would_enlarge_to_gigabytes_is_refused(size):
    out = io.BytesIO()
    Image.new("RGB", size).save(out, "PNG")
    with pytest.raises(ReaderError, match="too narrow"):
        load_image(out.getvalue())


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 3), (MOST_RATIO, 1)])
def test_a_tiny_image_is_an_image(size):
    out = io.BytesIO()
    Image.new("L", size, 7).save(out, "PNG")
    assert load_image(out.getvalue()).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("values", [np.nan, np.inf, -5.0, 300.0])
def test_a_float_image_of_any_values_has_pixels_and_no_warning(values):
    out = io.BytesIO()
    Image.fromarray(np.full((20, 20), values, np.float32)).save(out, "TIFF")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_image(out.getvalue()).shape == (20, 20, 3)


def test_the_levels_of_a_deep_image_do_not_depend_on_how_many_rows_are_converted_at_a_time(monkeypatch):
    values = np.random.default_rng(0).integers(0, 65536, (50, 20), dtype=np.uint16)
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG")
    whole = load_image(out.getvalue())
    monkeypatch.setattr(images, "_ROWS", 7)
    assert np.array_equal(load_image(out.getvalue()), whole)
    assert np.array_equal(whole[:, :, 0], (values / 65535 * 255).astype(np.uint8))


def test_a_folder_a_device_and_a_fifo_are_no_images_and_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    started = time.monotonic()
    for path, why in ((tmp_path, "Is a directory"), (tmp_path / "fifo", "regular"), ("/dev/zero", "regular")):
        with pytest.raises(ReaderError, match=why):
            load_image(images.Path(path))
    assert time.monotonic() - started < 5


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "sparse.png").open("wb") as file:
        file.truncate(64 << 30)
    with pytest.raises(ReaderError, match="File too large"):
        load_image(tmp_path / "sparse.png")


def test_a_file_that_may_not_be_read_is_named(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(INTACT["PNG"])
    path.chmod(0)
    script = f"from qiltest.reading.images import load_image; from pathlib import Path; load_image(Path({str(path)!r}))"
    if os.getuid() == 0:  # root reads everything, so a user without rights tries
        for parent in (tmp_path, *tmp_path.parents[:2]):
            parent.chmod(0o755)
        script = f"import os, qiltest.reading.images; os.setgroups([]); os.setuid(65534); {script}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "ReaderError" in done.stderr.splitlines()[-2]
    assert "secret.png: cannot be opened: Permission denied" in done.stderr
