"""Input images: known by their bytes, decoded when they are asked for, and within bounds."""

from pathlib import Path

import pytest
from PIL import Image

from qiltest import input_images
from qiltest.errors import RecipeError
from qiltest.input_images import InputImage


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.effect_noise((40, 24), 60).convert("RGB").save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def saved(path: Path, image: Image.Image, **options: object) -> InputImage:
    image.save(path, **options)
    return InputImage.of(path)


def test_an_image_is_its_file_decoded_into_rgb(photo: Path) -> None:
    found = InputImage.of(photo).load()
    assert (found.mode, found.size) == ("RGB", (40, 24))
    assert found.tobytes() == Image.open(photo).tobytes()


def test_the_same_bytes_elsewhere_are_the_same_image(photo: Path, tmp_path: Path) -> None:
    other = tmp_path / "copy.png"
    other.write_bytes(photo.read_bytes())
    assert InputImage.of(other).sha256 == InputImage.of(photo).sha256


def test_a_file_that_changed_is_refused(photo: Path) -> None:
    known = InputImage.of(photo)
    Image.new("RGB", (40, 24)).save(photo)
    with pytest.raises(RecipeError, match="SHA-256 is not"):
        known.load()


def test_an_image_that_lies_on_its_side_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert saved(tmp_path / "a.jpg", Image.new("RGB", (40, 24)), exif=exif).load().size == (24, 40)


def test_what_is_transparent_is_refused_and_an_alpha_channel_that_hides_nothing_is_taken(tmp_path: Path) -> None:
    assert saved(tmp_path / "a.png", Image.new("RGBA", (8, 8), (9, 8, 7, 255))).load().getpixel((0, 0)) == (9, 8, 7)
    with pytest.raises(RecipeError, match="transparent in places"):
        saved(tmp_path / "b.png", Image.new("RGBA", (8, 8), (9, 8, 7, 254))).load()


def test_what_is_no_image_too_long_or_too_large_is_refused(
    tmp_path: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RecipeError, match="at most"):
        saved(tmp_path / "long.png", Image.new("RGB", (170, 10))).load()
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(RecipeError, match="cannot be decoded"):
        InputImage.of(tmp_path / "text.png").load()
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:200])
    with pytest.raises(RecipeError, match="cannot be decoded"):
        InputImage.of(tmp_path / "cut.png").load()
    monkeypatch.setattr(input_images, "MOST_PIXELS", 900)
    with pytest.raises(RecipeError, match="40x24 pixels, at most 900"):
        InputImage.of(photo).load()


def test_a_missing_file_and_one_of_another_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read: No such file"):
        InputImage.of(tmp_path / "none.png")
    with pytest.raises(RecipeError, match="cannot be decoded"):
        saved(tmp_path / "a.gif", Image.new("RGB", (8, 8))).load()


def test_an_image_of_which_pillow_refuses_even_the_header_is_one_error(tmp_path):
    path = tmp_path / "huge.png"
    Image.new("1", (20_000, 12_000)).save(path)
    with pytest.raises(RecipeError, match="the input image has more than 67,108,864 pixels"):
        InputImage.of(path).load()
