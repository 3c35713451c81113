import io
import struct
import zlib

import pytest
from PIL import Image

from qiltest.errors import ReaderError
from qiltest.image_files import MOST_PIXELS
from qiltest.reading.images import decode, load_image


def png(image):
    data = io.BytesIO()
    image.save(data, format="PNG")
    return data.getvalue()


def header_only(width, height):
    """A PNG of which only the header exists: enough to say how large it is."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ReaderError, match=r"nowhere\.png"):
        load_image(tmp_path / "nowhere.png")


@pytest.mark.parametrize("data", [b"", b"no image", png(Image.new("RGB", (40, 40), "red"))[:60]])
def test_what_cannot_be_decoded_is_refused(data, tmp_path):
    file = tmp_path / "broken.png"
    file.write_bytes(data)
    for image in (data, file):
        with pytest.raises(ReaderError, match="->"):
            load_image(image)


def test_a_file_that_is_no_image_is_said_to_be_none():
    with pytest.raises(ReaderError) as caught:
        load_image(b"no image")
    assert caught.value.what == "not an image, or of a format that is not read"


def test_an_image_of_no_pixels_is_refused():
    with pytest.raises(ReaderError):
        load_image(header_only(0, 40))


def test_a_hundred_million_pixels_are_refused_before_they_are_decoded():
    with pytest.raises(ReaderError, match="100,000,000 pixels"):
        load_image(header_only(10_000, 10_000))
    assert MOST_PIXELS < 100_000_000


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK"])
def test_every_mode_becomes_rgb(mode):
    data = io.BytesIO()
    Image.new(mode, (30, 20)).save(data, format="TIFF" if mode == "CMYK" else "PNG")
    assert load_image(data.getvalue()).shape == (20, 30, 3)


def test_transparency_is_laid_on_white():
    assert load_image(png(Image.new("RGBA", (8, 8), (0, 0, 0, 0)))).min() == 255


def test_the_cameras_rotation_is_undone():
    image = Image.new("RGB", (30, 20))
    exif = image.getexif()
    exif[0x0112] = 6
    data = io.BytesIO()
    image.save(data, format="JPEG", exif=exif)
    assert load_image(data.getvalue()).shape == (30, 20, 3)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_an_image_of_several_frames_is_known_and_its_first_is_decoded(kind):
    first, second = Image.new("RGB", (64, 64), "white"), Image.new("RGB", (64, 64), "black")
    one, two = io.BytesIO(), io.BytesIO()
    first.save(one, kind)
    first.save(two, kind, save_all=True, append_images=[second])
    assert (decode(one.getvalue()).several_frames, decode(two.getvalue()).several_frames) == (False, True)
    assert load_image(two.getvalue()).min() > 250


@pytest.mark.parametrize(
    ("image", "said", "level"),
    [
        (Image.new("RGBA", (64, 64), (0, 0, 0, 128)), True, 127),
        (Image.new("RGBA", (64, 64), (0, 0, 0, 255)), False, 0),
        (Image.new("LA", (64, 64), (0, 0)), True, 255),
        (Image.new("RGB", (64, 64)), False, 0),
    ],
    ids=["half", "opaque", "grey", "none"],
)
def test_what_is_transparent_is_laid_on_white_and_known(image, said, level):
    found = decode(png(image))
    assert found.transparent is said
    assert found.pixels.max() == level
