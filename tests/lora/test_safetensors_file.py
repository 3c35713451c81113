"""A safetensors file is whole, or the message says what is wrong with it; memory is that of the header."""

import json
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from qiltest.errors import RecipeError
from qiltest.lora.safetensors_file import HEADER_LIMIT, open_safetensors
from small_loras import encode, to_bytes, with_header, write

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(0.5, np.float32)}


def refusal(path) -> str:
    with pytest.raises(RecipeError) as caught:
        open_safetensors(path)
    assert str(path) in str(caught.value)
    return caught.value.what


def raw(tmp_path, data: bytes):
    path = tmp_path / "file.safetensors"
    path.write_bytes(data)
    return path


def test_what_the_library_writes_is_read_back(tmp_path):
    save_file(ARRAYS, tmp_path / "file.safetensors", {"made": "by the library"})
    file = open_safetensors(tmp_path / "file.safetensors")
    assert file.metadata == {"made": "by the library"}
    for name, array in ARRAYS.items():
        assert np.array_equal(file.read(file.tensors[name]), array)
        assert file.read(file.tensors[name]).shape == array.shape


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
def test_every_float_dtype_becomes_float32(tmp_path, dtype):
    values = np.array([0.0, -1.5, 2.0, 0.15625, np.inf, np.nan], np.float32)
    file = open_safetensors(write(tmp_path, {"a": values}, dtype=dtype))
    assert np.array_equal(file.read(file.tensors["a"]), values, equal_nan=True)


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_bfloat16_is_torchs_bfloat16(tmp_path, values):
    import torch

    tensor = torch.tensor(values).bfloat16()
    data = tensor.view(torch.uint16).numpy().tobytes()
    header = {"a": {"dtype": "BF16", "shape": [len(values)], "data_offsets": [0, len(data)]}}
    file = open_safetensors(raw(tmp_path, with_header(header, data)))
    assert np.array_equal(file.read(file.tensors["a"]), tensor.float().numpy())


def test_a_tensor_is_read_in_chunks_that_join_to_the_whole(tmp_path):
    values = np.arange(1000, dtype=np.float32)
    file = open_safetensors(write(tmp_path, {"a": values}))
    chunks = list(file.chunks(file.tensors["a"], limit=128))
    assert len(chunks) > 30
    assert np.array_equal(np.concatenate(chunks), values)


@pytest.mark.parametrize("length", range(len(encode(ARRAYS))))
def test_a_file_truncated_anywhere_is_refused(tmp_path, length):
    assert refusal(raw(tmp_path, encode(ARRAYS)[:length]))


def test_bytes_after_the_last_tensor_are_refused(tmp_path):
    assert "3 bytes after the last tensor belong to no tensor" in refusal(raw(tmp_path, encode(ARRAYS) + b"abc"))


def entry(**change):
    return {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | change}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"not json at all", "the header is not JSON"),
        (b"[1, 2]", "not a JSON object"),
        (b'{"a": 1, "a": 2}', "duplicate key 'a'"),
        (b"[" * 5000, "the header is not JSON"),
        (b'\xff\xfe{"a": 1}', "the header is not JSON"),
        ({"a": 1}, "is not {dtype, shape, data_offsets}"),
        (entry(extra=1), "is not {dtype, shape, data_offsets}"),
        (entry(dtype="F128"), "unknown dtype 'F128'"),
        (entry(dtype=["F32"]), "unknown dtype"),
        (entry(shape=[-1]), "not lists of whole numbers"),
        (entry(shape=[True]), "not lists of whole numbers"),
        (entry(shape=[1.0]), "not lists of whole numbers"),
        (entry(shape=[1 << 63]), "not lists of whole numbers"),
        (entry(data_offsets=[0]), "not lists of whole numbers"),
        (entry(data_offsets=[4, 0]), "cannot have -4 bytes"),
        (entry(shape=[2]), "cannot have 4 bytes"),
        (entry(shape=[1 << 40], data_offsets=[0, 1 << 42]), "truncated: tensor 'a' ends at byte"),
        (entry() | {"b": entry()["a"]}, "starts at byte"),
        (entry(data_offsets=[4, 8]), "truncated: tensor 'a'"),
        (entry() | {"__metadata__": {"a": 1}}, "`__metadata__` is not an object of strings"),
        (entry() | {"__metadata__": []}, "`__metadata__` is not an object of strings"),
    ],
    ids=str,
)
def test_a_damaged_header_is_refused_by_what_is_wrong(tmp_path, header, message):
    assert message in refusal(raw(tmp_path, with_header(header, b"\0\0\0\0")))


def test_a_huge_header_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "file.safetensors"
    with path.open("wb") as file:  # a sparse file: 8 GiB that take no room
        file.write((4 << 30).to_bytes(8, "little") + b"{")
        file.truncate(8 << 30)
    tracemalloc.start()
    message = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert f"more than the {HEADER_LIMIT:,} that are read" in message
    assert peak < 1 << 20


def test_a_huge_tensor_costs_no_memory_until_it_is_read(tmp_path):
    header = json.dumps({"a": {"dtype": "F32", "shape": [1 << 31], "data_offsets": [0, 1 << 33]}}).encode()
    path = tmp_path / "file.safetensors"
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + (1 << 33))
    tracemalloc.start()
    file = open_safetensors(path)
    first = next(file.chunks(file.tensors["a"]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not first.any()
    assert peak < 32 << 20


def test_a_pickle_is_named_and_not_opened(tmp_path):
    for data in (b"\x80\x02}q\x00." + b"x" * 20, b"\x80\x04\x95" + b"\0" * 20):
        assert "this is a pickle" in refusal(raw(tmp_path, data))
    with zipfile.ZipFile(tmp_path / "file.safetensors", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    assert "this is a pickle" in refusal(tmp_path / "file.safetensors")


@pytest.mark.parametrize("length", [0x280, 0x380, 0x480, 0x580])
def test_a_header_whose_length_looks_like_a_pickle_is_none(tmp_path, length):
    body = to_bytes(ARRAYS["a"], "F32")
    header = json.dumps({"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, len(body)]}}).encode()
    file = open_safetensors(raw(tmp_path, with_header(header.ljust(length), body)))
    assert list(file.tensors) == ["a"]


def test_a_file_that_is_not_there_is_said(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.safetensors")
    assert "Is a directory" in refusal(tmp_path)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_changed_byte_never_gives_anything_but_a_file_or_a_refusal(tmp_path, data):
    whole = bytearray(encode(ARRAYS, metadata={"k": "v"}))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = raw(tmp_path, bytes(whole))
    try:
        file = open_safetensors(path)
    except RecipeError:
        return
    for info in file.tensors.values():
        if info.is_float:
            assert file.read(info).size == np.prod(info.shape, dtype=int)
