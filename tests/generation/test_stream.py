"""Weights that are read in pieces by several threads are the bytes of their files, or an error."""

import os
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from qiltest.errors import ModelError
from qiltest.generation import _stream
from qiltest.generation._stream import device_tensors, readable, streams, wanted_of

CPU = torch.device("cpu")


@pytest.fixture
def files(tmp_path):
    """Two files with tensors of several dtypes and shapes, one without values and one of a single number."""
    made = torch.Generator().manual_seed(0)
    tensors = {
        "wide": torch.randn(7, 1000, generator=made),
        "half": torch.randn(33, 5, generator=made).bfloat16(),
        "vector": torch.randn(129, generator=made).half(),
        "number": torch.tensor(0.5),
        "empty": torch.empty(0, 4),
    }
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    save_file(tensors, paths[0])
    save_file({"other": torch.arange(24, dtype=torch.float64).reshape(2, 3, 4)}, paths[1])
    return paths


@pytest.mark.parametrize("piece", [8, 64, 1 << 20])
@pytest.mark.parametrize("readers", [1, 3])
def test_every_tensor_is_that_of_its_file_whatever_the_pieces_and_threads(files, monkeypatch, piece, readers):
    monkeypatch.setattr(_stream, "_PIECE", piece)
    wanted = wanted_of(files)
    seen = list(device_tensors(wanted, CPU, readers=readers))
    assert [name for name, _ in seen] == [one.name for one in wanted]
    plain = {name: tensor for path in files for name, tensor in load_file(path).items()}
    assert plain.keys() == dict(seen).keys()
    for name, tensor in seen:
        assert tensor.dtype == plain[name].dtype
        assert torch.equal(tensor, plain[name])


def test_tensors_come_in_the_order_asked_for_not_that_of_the_file(files):
    wanted = list(reversed(wanted_of(files)))
    assert [name for name, _ in device_tensors(wanted, CPU)] == [one.name for one in wanted]


def test_a_file_that_changed_since_its_header_was_read_is_refused(files):
    wanted = wanted_of(files)
    files[0].write_bytes(files[0].read_bytes() + b" ")
    with pytest.raises(ModelError, match="changed while it was read"):
        next(device_tensors(wanted, CPU))


def test_a_file_that_ends_early_is_refused_and_not_waited_for(files, monkeypatch):
    wanted = wanted_of(files)
    monkeypatch.setattr(os, "preadv", lambda *_: 0)
    with pytest.raises(ModelError, match="changed while it was read"):
        list(device_tensors(wanted, CPU))


def test_whoever_takes_no_more_leaves_no_file_open_and_no_thread(files):
    before = len(list(Path("/proc/self/fd").iterdir()))
    coming = device_tensors(wanted_of(files), CPU)
    next(coming)
    coming.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not [one for one in threading.enumerate() if one.name.startswith("qiltest-weights")]


def test_a_dtype_that_is_not_computed_with_is_left_to_the_other_way(tmp_path):
    path = tmp_path / "small.safetensors"
    save_file({"a": torch.zeros(4, dtype=torch.float8_e4m3fn)}, path)
    assert not readable(wanted_of([path]))


def test_only_a_gpu_is_filled_so():
    assert not streams(CPU)
    assert streams(torch.device("cuda:1")) == hasattr(os, "preadv")
