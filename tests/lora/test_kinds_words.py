"""The exact words that refuse each kind of file, and that a changed file is named."""

import numpy as np
import pytest

from qiltest.errors import RecipeError
from qiltest.lora import inspect_lora, safetensors_file
from qiltest.lora.factors import module_factors
from qiltest.lora.kinds import Tensors, _shown, refused_kind
from qiltest.lora.report import LoraReport
from qiltest.lora.safetensors_file import BrokenFileError, lora_sha256, open_safetensors
from small_loras import BASE, lora, write


def refusal(tmp_path, arrays):
    report = inspect_lora(write(tmp_path, arrays), base=BASE)
    return "\n".join(str(finding) for finding in report.findings)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"double_blocks.0.img.lora_A.weight": (4, 8)}, "not of Qwen-Image: take the release made for this base"),
        (
            {"transformer_blocks.0.attn.to_q.weight": (8, 8)},
            "a merged model, not a LoRA (transformer_blocks.0.attn.to_q.weight): put it into a folder in diffusers "
            "layout, and name that as the model",
        ),
        (
            {"text_encoder.q.lora_A.weight": (4, 8), "text_encoder.q.lora_B.weight": (8, 4)},
            "(text_encoder.q.lora_A.weight): diffusers applies none of it to Qwen-Image; take a LoRA of the "
            "transformer",
        ),
    ],
)
def test_each_kind_is_refused_in_these_words(tmp_path, arrays, words):
    made = {name: np.ones(shape, np.float32) for name, shape in arrays.items()}
    assert words in refusal(tmp_path, made)


@pytest.mark.parametrize(("length", "kept"), [(120, 120), (121, 120)])
def test_a_long_name_is_cut_after_120_characters(length, kept):
    assert _shown("n" * length) == "n" * kept + ("…" if length > kept else "")


def test_a_lora_of_the_base_is_of_no_refused_kind(tmp_path):
    assert isinstance(inspect_lora(write(tmp_path, lora()), base=BASE), LoraReport)
    file = open_safetensors(write(tmp_path, lora()))
    assert refused_kind(Tensors(file=file, base=BASE, keys=(), unparsed=(), encoder=(), rewritten=False)) is None


def changed(error, path):
    assert error.value.where == str(path)
    assert error.value.remedy == "repeat the command"
    return error.value.what


def test_a_file_of_other_modules_than_its_report_is_named(tmp_path):
    path = write(tmp_path, lora())
    report = inspect_lora(path, base=BASE)
    few = dict(list(lora().items())[3:])
    write(tmp_path, few)
    with pytest.raises(RecipeError) as error:
        list(module_factors(path, BASE, report))
    assert changed(error, path) == "the file changed after its inspection"


def test_a_file_of_equal_modules_and_another_length_is_named_too(tmp_path):
    path = write(tmp_path, lora(rank=4))
    report = inspect_lora(path, base=BASE)
    write(tmp_path, lora(rank=2))
    with pytest.raises(RecipeError) as error:
        list(module_factors(path, BASE, report))
    assert changed(error, path) == "the file changed after its inspection"


def test_a_file_that_changes_while_it_is_open_is_named(tmp_path):
    path = write(tmp_path, lora(rank=4))
    file = open_safetensors(path)
    write(tmp_path, lora(rank=2))
    with pytest.raises(RecipeError) as error:
        file.check_unchanged()
    assert changed(error, path) == "the file changed while it was read"


def test_values_that_are_read_in_pieces_are_those_that_are_read_at_once(tmp_path, monkeypatch):
    path = write(tmp_path, lora(rank=3))
    file = open_safetensors(path)
    info = next(info for info in file.tensors.values() if info.end - info.start > 64)
    whole = np.concatenate(list(file.chunks(info)))
    monkeypatch.setattr(safetensors_file, "CHUNK", 16)
    pieces = list(file.chunks(info, limit=16))
    assert len(pieces) > 2
    assert {piece.size for piece in pieces[:-1]} == {4}
    assert np.array_equal(np.concatenate(pieces), whole)
    assert [piece.size for piece in file.chunks(info, limit=1)] == [1] * whole.size
    read = file.read(info)
    assert read.dtype == np.float32
    assert np.array_equal(read.ravel(), whole)


def test_a_file_of_the_largest_size_is_hashed_and_one_byte_more_is_not(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"x" * 10)
    monkeypatch.setattr(safetensors_file, "SIZE_LIMIT", 10)
    assert len(lora_sha256(path)) == 64
    path.write_bytes(b"x" * 11)
    with pytest.raises(BrokenFileError) as error:
        lora_sha256(path)
    assert error.value.what == "a file of 11 bytes, more than the 10 of the largest LoRA that is read"
    assert error.value.where == str(path)
    assert error.value.remedy == "name a LoRA's file, not a model's"


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RecipeError) as error:
        lora_sha256(tmp_path / "missing.safetensors")
    assert error.value.what.startswith("cannot be read")
    assert error.value.where == str(tmp_path / "missing.safetensors")
    assert error.value.remedy == "name an existing .safetensors file"
