import builtins
import shutil
import struct
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from qiltest.errors import ReaderError
from qiltest.hashing import file_sha256
from qiltest.reading import alphabet_of, open_reader, reader_names
from qiltest.reading.rapidocr import reader as rapid
from qiltest.reading.rapidocr.reader import PINNED, RECOGNISER
from qiltest.reading.unicharset import characters_of
from qiltest.reading.weights import combined_sha256, require_files, require_hashes


@pytest.fixture(scope="module")
def reader():
    return open_reader("rapidocr")


def drawn(tmp_path, text, size=60):
    image = Image.new("RGB", (900, 240), "white")
    ImageDraw.Draw(image).text((40, 80), text, fill="black", font=ImageFont.load_default(size))
    file = tmp_path / "drawn.png"
    image.save(file)
    return file


def test_an_unknown_reader_is_an_error_that_lists_those_there_are():
    with pytest.raises(ReaderError, match=", ".join(reader_names())):
        open_reader("paddle")


def test_an_unknown_option_is_an_error():
    with pytest.raises(ReaderError, match="unknown option"):
        open_reader("rapidocr", colour="red")


@pytest.mark.parametrize("name", ["rapidocr:colour=red", "rapidocr:looks", "rapidocr:looks=many", "easyocr:pins=x"])
def test_a_malformed_option_behind_the_name_is_an_error(name):
    with pytest.raises(ReaderError, match="->"):
        open_reader(name)


def test_options_may_stand_behind_the_name():
    assert ("looks", "1") in open_reader("rapidocr:looks=1,threads=1").info.settings


def test_the_number_of_threads_is_no_part_of_the_identity():
    assert open_reader("rapidocr:threads=1").info == open_reader("rapidocr").info


def test_the_default_reader_reads_what_is_drawn(reader, tmp_path):
    reading = reader.read(drawn(tmp_path, "Hello World 3.1415"))
    assert "".join(line.text for line in reading.lines).replace(" ", "") == "HelloWorld3.1415"
    assert (reading.width, reading.height) == (900, 240)
    for line in reading.lines:
        assert 0.5 < line.confidence <= 1
        assert len(line.characters) == len(line.text)
        assert all(0 <= x <= 900 and 0 <= y <= 240 for x, y in line.box)


@pytest.mark.parametrize("degrees", [90, 270])
def test_text_that_runs_up_or_down_is_read(reader, tmp_path, degrees):
    file = drawn(tmp_path, "Sweet Dreams")
    Image.open(file).rotate(degrees, expand=True).save(file)
    assert [line.text for line in reader.read(file).lines] == ["Sweet Dreams"]


@pytest.mark.parametrize(("text", "known"), [("Hello 3.14 π≈ 义義龍", True), ("안녕", False), ("Привет", False)])
def test_the_default_reader_states_its_alphabet(reader, text, known):
    assert [char in alphabet_of(reader) for char in text if char != " "] == [known] * len(text.replace(" ", ""))


def test_a_reader_that_states_no_alphabet_is_taken_to_know_every_character():
    assert alphabet_of(object()) is None


def traineddata(lists):
    """A language file of Tesseract's with these parts, in the form that its own files have."""
    count = 24
    parts = {number: "\n".join([str(len(lines)), *lines, ""]).encode() for number, lines in lists.items()}
    at, offsets = 4 + 8 * count, []
    for number in range(count):
        offsets.append(at if number in parts else -1)
        at += len(parts.get(number, b""))
    return struct.pack(f"<i{count}q", count, *offsets) + b"".join(parts[number] for number in sorted(parts))


ENTRIES = [
    "NULL 0 Common 0",
    "Joined 7 0,255,0,255,0,0,0,0,0,0 Latin 1 0 1 Joined\t# Joined [4a 6f 69 6e 65 64 ]a",
    "|Broken|0|1 f 0,255,0,255,0,0,0,0,0,0 Common 2 10 2 |Broken|0|1\t# Broken",
    "掺 1 0,255,0,255,0,0,0,0,0,0 Han 4021 0 4021 掺\t# 掺 [63ba ]x",
    "ffi 3 0,255,0,255,0,0,0,0,0,0 Latin 24 0 109 ffi\t# ffi [66 66 69 ]a",
]


@pytest.mark.parametrize("lists", [{21: ENTRIES}, {1: ENTRIES}, {1: ["q 3 0"], 21: ENTRIES, 23: ["5.3.0"]}])
def test_tesseracts_alphabet_is_in_its_language_files(tmp_path, lists):
    (tmp_path / "xyz.traineddata").write_bytes(traineddata(lists))
    assert characters_of(tmp_path / "xyz.traineddata") == set("掺fi ")


@pytest.mark.parametrize("data", [b"", b"no such file", traineddata({17: ["1"]}), traineddata({21: ENTRIES})[:300]])
def test_a_language_file_of_another_form_is_an_error(tmp_path, data):
    (tmp_path / "xyz.traineddata").write_bytes(data)
    with pytest.raises(ReaderError, match=r"xyz\.traineddata has no list of characters"):
        characters_of(tmp_path / "xyz.traineddata")


def test_reading_twice_gives_the_same_lines(reader, tmp_path):
    image = drawn(tmp_path, "SUNSHINE MOTEL")
    assert reader.read(image).lines == reader.read(image.read_bytes()).lines


def test_an_image_without_text_has_no_lines(reader, tmp_path):
    assert reader.read(drawn(tmp_path, "")).lines == ()


def test_a_tiny_image_is_read_without_failing(reader, tmp_path):
    file = tmp_path / "tiny.png"
    Image.new("RGB", (1, 1)).save(file)
    assert reader.read(file).lines == ()


def test_the_identity_names_engine_version_and_weights(reader):
    assert reader.info.engine.startswith("rapidocr/PP-OCRv6")
    assert len(reader.info.weights_sha256) == 64
    assert open_reader("rapidocr").info == reader.info


def test_weights_of_another_hash_are_refused_where_a_pin_says_so():
    with pytest.raises(ReaderError, match="is pinned"):
        open_reader("rapidocr", pins={"PP-OCRv6_rec_small.onnx": "0" * 64})


def test_the_default_readers_weights_are_held_to_the_known_hashes(monkeypatch):
    monkeypatch.setattr(rapid, "PINNED", {**PINNED, RECOGNISER: "0" * 64})
    with pytest.raises(ReaderError, match=f"{RECOGNISER} has SHA-256 {PINNED[RECOGNISER]}, but {'0' * 64} is pinned"):
        open_reader("rapidocr")
    pins = "+".join(f"{file}@{sha256}" for file, sha256 in PINNED.items())
    assert open_reader(f"rapidocr:pins={pins}").info.name == "rapidocr"


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(ReaderError, match=r"missing: a\.onnx"):
        require_files([tmp_path / "a.onnx"], reader="x", remedy="install them")


def test_weights_that_the_engines_wheel_lacks_are_named_with_the_remedy(tmp_path, monkeypatch):
    (tmp_path / rapid.DETECTOR).write_bytes(b"weights")
    monkeypatch.setattr(rapid, "_models_folder", lambda: tmp_path)
    with pytest.raises(ReaderError, match=r"missing: PP-OCRv6_rec_small\.onnx") as raised:
        open_reader("rapidocr")
    assert "pip install" in str(raised.value)


def test_a_pin_of_the_right_hash_passes(tmp_path):
    file = tmp_path / "a.onnx"
    file.write_bytes(b"weights")
    require_hashes([file], {"a.onnx": file_sha256(file).upper()}, reader="x")


@pytest.mark.parametrize("name", ["rapidocr:pins=foo.onnx@" + "a" * 64, "easyocr:pins=zh_sim.pth@" + "a" * 64])
def test_a_pin_that_vouches_for_nothing_is_refused(name):
    with pytest.raises(ReaderError, match="pinned, but no file of this reader"):
        open_reader(name)


@pytest.mark.parametrize("pin", ["a.onnx@abc", "a.onnx", f"a.onnx@{'g' * 64}"])
def test_a_pin_is_a_whole_hash(pin):
    with pytest.raises(ReaderError, match="FILE@SHA256 with 64 hexadecimal digits"):
        open_reader(f"rapidocr:pins={pin}")


def test_the_combined_hash_changes_with_any_file(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"1")
    b.write_bytes(b"2")
    before = combined_sha256([a, b])
    assert before == combined_sha256([b, a])
    b.write_bytes(b"33")
    assert combined_sha256([a, b]) != before


@pytest.mark.parametrize(("name", "package"), [("rapidocr", "rapidocr"), ("easyocr", "easyocr")])
def test_an_engine_that_is_not_installed_is_an_error_with_the_remedy(name, package, monkeypatch):
    real = builtins.__import__

    def fail(module, *args, **kwargs):
        if module.split(".")[0] == package:
            raise ImportError(f"No module named {module!r}")
        return real(module, *args, **kwargs)

    for loaded in [key for key in sys.modules if key.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(ReaderError, match="pip install"):
        open_reader(name)


def test_tesseract_that_is_not_installed_is_an_error_with_the_remedy():
    with pytest.raises(ReaderError, match="apt-get install"):
        open_reader("tesseract", program="no-such-tesseract")


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="the program tesseract is not installed")
def test_tesseract_reads_what_is_drawn_and_names_languages_it_lacks(tmp_path):
    reader = open_reader("tesseract:languages=eng")
    reading = reader.read(drawn(tmp_path, "Hello World 3.1415"))
    assert " ".join(line.text for line in reading.lines) == "Hello World 3.1415"
    assert reader.info.settings[0] == ("languages", "eng")
    assert set("aZ3é") <= reader.alphabet
    assert "义" not in reader.alphabet
    with pytest.raises(ReaderError, match=r"missing: xyz\.traineddata"):
        open_reader("tesseract:languages=xyz")


@pytest.mark.parametrize("name", ["rapidocr:threads=1,looks=1"])
@pytest.mark.parametrize("data", [b"", b"no image"])
def test_a_reader_refuses_what_is_no_image(name, data):
    with pytest.raises(ReaderError, match="->"):
        open_reader(name).read(data)


def test_lines_read_at_once_are_those_read_one_by_one(reader, tmp_path):
    image = drawn(tmp_path, "Hello World\nCoffee 2025\nSUNSHINE", size=40)
    assert reader.read(image).lines == open_reader("rapidocr:threads=1").read(image).lines
    assert len(reader.read(image).lines) == 3


def test_the_installed_weights_are_those_that_the_limits_were_measured_with():
    import rapidocr

    folder = Path(rapidocr.__file__).parent / "models"
    if rapidocr.__version__ != "3.10.0" if hasattr(rapidocr, "__version__") else False:
        pytest.skip("another version of rapidocr")
    for name, known in PINNED.items():
        assert file_sha256(folder / name) == known
