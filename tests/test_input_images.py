"""Input images: known by their bytes, decoded when they are asked for, and within bounds."""

from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from qiltest import input_images
from qiltest.errors import ReaderError, RecipeError
from qiltest.image_files import MOST_SCANS, size_faults
from qiltest.input_images import InputImage
from qiltest.reading.images import load_image


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
    with pytest.raises(RecipeError, match="too narrow: 330x10, one side more than 32 times the other"):
        saved(tmp_path / "long.png", Image.new("RGB", (330, 10))).load()
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(RecipeError, match=r"is of another format than PNG, JPEG, WEBP, or no image\s") as caught:
        InputImage.of(tmp_path / "text.png").load()
    assert "BytesIO" not in str(caught.value)
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:200])
    with pytest.raises(RecipeError, match="cannot be decoded"):
        InputImage.of(tmp_path / "cut.png").load()
    monkeypatch.setattr(input_images, "size_faults", partial(size_faults, most=900))
    with pytest.raises(RecipeError, match="too large: 40x24 is 960 pixels") as caught:
        InputImage.of(photo).load()
    assert caught.value.remedy == "give one of at most 900 pixels"


def test_a_missing_file_and_one_of_another_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read: No such file"):
        InputImage.of(tmp_path / "none.png")
    for ending in ("gif", "bmp", "tif"):
        with pytest.raises(RecipeError, match="another format than PNG, JPEG, WEBP"):
            saved(tmp_path / f"a.{ending}", Image.new("RGB", (8, 8))).load()


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_an_animated_image_is_refused_because_nobody_says_which_frame_is_meant(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (0, 90, 200)]
    path = tmp_path / f"a.{kind}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(RecipeError, match="has several frames") as caught:
        InputImage.of(path).load()
    assert "of one frame" in caught.value.remedy
    frames[0].save(path, save_all=True)
    assert InputImage.of(path).load().size == (8, 8)


def test_a_phones_photograph_with_a_second_view_behind_it_is_one_image(tmp_path: Path) -> None:
    views = [Image.effect_noise((32, 32), 40 + view) for view in range(2)]
    views[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=views[1:])
    with Image.open(tmp_path / "a.jpg") as opened:
        assert (opened.format, opened.n_frames) == ("MPO", 2)
    assert InputImage.of(tmp_path / "a.jpg").load().size == (32, 32)


def test_a_jpeg_of_scans_without_end_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.effect_noise((32, 32), 40).save(path, progressive=True)
    data = path.read_bytes()
    path.write_bytes(data[:-2] + data[data.rindex(b"\xff\xda") : -2] * MOST_SCANS + data[-2:])
    with pytest.raises(RecipeError, match=f"scans, at most {MOST_SCANS} are read"):
        InputImage.of(path).load()


def test_an_image_of_which_pillow_refuses_even_the_header_is_one_error(tmp_path):
    path = tmp_path / "huge.png"
    Image.new("1", (20_000, 12_000)).save(path)
    with pytest.raises(RecipeError, match="the input image is too large: it has more than 80,000,000 pixels"):
        InputImage.of(path).load()
    with pytest.raises(ReaderError, match="the image is too large: it has more than 80,000,000 pixels"):
        load_image(path)
