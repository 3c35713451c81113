"""What a model needs is compared with what is free before a weight is read, and the option that fits is named."""

import pytest
import torch

from qiltest.errors import ModelError
from qiltest.generation import Settings, _memory, _place
from qiltest.generation._memory import GIB, Memory, Sizes, check_memory, fitting, needed, options_of, sizes_of
from qiltest.generation._place import room_to_decode
from qiltest.generation.settings import Offload
from qiltest.generation.sources import ModelSource, resolve_model
from qiltest.recipe import Size
from qiltest.suite.variants import ModelKind

from .stand_in import transformer

#: Qwen-Image's in bfloat16: 20.4, 0.13 and 8.3 thousand million numbers.
QWEN_IMAGE = Sizes(transformer=40_861_000_000, reduced=20_431_000_000, vae=254_000_000, text_encoder=16_584_000_000)
SOURCE = ModelSource(name="Qwen/Qwen-Image", kind=ModelKind.REAL, folder=None, revision="random")
CUDA = torch.device("cuda")


def gib(device: float, host: float) -> Memory:
    return Memory(device=int(device * GIB), host=int(host * GIB))


@pytest.fixture
def machine(monkeypatch):
    """Let the machine have this much free memory, and the model Qwen-Image's size."""

    def has(device: float, host: float) -> None:
        monkeypatch.setattr(_memory, "free_bytes", lambda _device: int(device * GIB))
        monkeypatch.setattr(_memory, "free_host_bytes", lambda: int(host * GIB))

    monkeypatch.setattr(_memory, "sizes_of", lambda _source, _dtype: QWEN_IMAGE)
    return has


#: free memory of a card and its host -> the first way that fits. An L4 and an A10G have 22 GiB, a 4090 has 23.5.
FIRST = [
    (79.0, 120.0, "no --qil-offload"),
    (44.4, 30.0, "no --qil-offload"),
    (39.0, 60.0, "--qil-offload=group"),
    (31.4, 60.0, "--qil-offload=group"),
    (31.4, 28.0, "--qil-fp8"),
    (23.5, 28.0, "--qil-fp8"),
    (22.0, 28.0, "--qil-fp8"),
    (15.6, 28.0, "--qil-offload=group --qil-fp8"),
    (15.6, 60.0, "--qil-offload=group"),
    (15.6, 12.0, "--qil-offload=sequential"),
]


def test_free_memory_is_what_this_process_may_still_take(monkeypatch):
    """A limit on the process counts, torch's own cache is free, and `cuda` needs no index."""
    seen = {
        "mem_get_info": (30 * GIB, 80 * GIB),
        "memory_allocated": 5 * GIB,
        "memory_reserved": 8 * GIB,
        "get_per_process_memory_fraction": 1.0,
    }

    def answer(name):
        def function(index):
            assert index is None or isinstance(index, int)
            return seen[name]

        return function

    for name in seen:
        monkeypatch.setattr(torch.cuda, name, answer(name))
    assert _memory.free_bytes(CUDA) == _memory.free_bytes(torch.device("cuda:1")) == 33 * GIB
    seen["get_per_process_memory_fraction"] = 0.25
    assert _memory.free_bytes(CUDA) == 15 * GIB


@pytest.mark.parametrize(("device", "host", "way"), FIRST)
def test_the_first_way_that_fits_is_exact_where_one_is(device, host, way):
    assert options_of(next(fitting(QWEN_IMAGE, gib(device, host)))) == way


@pytest.mark.parametrize(("device", "host", "way"), FIRST[2:])
def test_a_card_that_is_too_small_is_refused_with_the_option_that_fits(machine, device, host, way):
    machine(device, host)
    with pytest.raises(ModelError, match=r"the model does not fit: it needs 39\.3 GiB on the device") as caught:
        check_memory(SOURCE, torch.bfloat16, CUDA, Settings())
    assert f"free are {device:.1f} GiB on the device and {host:.1f} GiB of host memory" in caught.value.what
    assert caught.value.remedy.startswith(f"{way} fits (")
    assert ("other images" in caught.value.remedy) == ("fp8" in way)


@pytest.mark.parametrize(("device", "host", "way"), FIRST)
def test_the_way_that_is_named_is_taken(machine, device, host, way):
    machine(device, host)
    named = next(fitting(QWEN_IMAGE, gib(device, host)))
    check_memory(SOURCE, torch.bfloat16, CUDA, named)


def test_a_host_that_is_too_small_is_refused_too(machine):
    machine(79.0, 20.0)
    with pytest.raises(ModelError, match=r"40\.1 GiB of host memory") as caught:
        check_memory(SOURCE, torch.bfloat16, CUDA, Settings(offload=Offload.GROUP))
    assert caught.value.remedy.startswith("no --qil-offload fits")
    machine(79.0, 60.0)
    check_memory(SOURCE, torch.bfloat16, CUDA, Settings(offload=Offload.GROUP))


def test_where_nothing_fits_a_larger_machine_is_asked_for(machine):
    machine(1.0, 1.0)
    with pytest.raises(ModelError) as caught:
        check_memory(SOURCE, torch.bfloat16, CUDA, Settings())
    assert "take a larger one" in caught.value.remedy


def test_on_the_cpu_host_memory_alone_counts(machine):
    machine(0.0, 30.0)
    with pytest.raises(ModelError, match=r"it needs 0\.0 GiB on the device and 40\.3 GiB of host") as caught:
        check_memory(SOURCE, torch.bfloat16, torch.device("cpu"), Settings())
    assert "--qil-model=tiny" in caught.value.remedy


def test_sizes_come_from_the_headers(folder):
    sizes = sizes_of(resolve_model(str(folder)), torch.bfloat16)
    wanted = sum(weight.numel() for weight in transformer().parameters())
    assert (sizes.transformer, sizes.reduced) == (2 * wanted, wanted)
    assert 0 < sizes.vae < sizes.transformer


def test_the_random_model_has_the_size_of_qwen_image():
    sizes = sizes_of(SOURCE, torch.bfloat16)
    assert sizes.transformer == pytest.approx(QWEN_IMAGE.transformer, rel=0.001)
    assert needed(sizes, Settings()).device < 40 * GIB


def test_a_small_model_is_never_refused(folder, monkeypatch):
    monkeypatch.setattr(_memory, "free_host_bytes", lambda: 0)
    check_memory(resolve_model(str(folder)), torch.bfloat16, torch.device("cpu"), Settings())


def test_a_containers_limit_counts_and_its_page_cache_is_free(tmp_path, monkeypatch):
    own = tmp_path / "kubepods" / "pod1"
    own.mkdir(parents=True)
    (own / "memory.max").write_text(f"{32 * GIB}\n")
    (own / "memory.current").write_text(f"{20 * GIB}\n")
    (own / "memory.stat").write_text(f"anon {5 * GIB}\nactive_file {6 * GIB}\ninactive_file {4 * GIB}\n")
    (tmp_path / "memory.max").write_text("max\n")
    lines = _memory._lines
    fake = {"/proc/self/cgroup": ["0::/kubepods/pod1"], "/proc/meminfo": [f"MemAvailable: {64 * GIB // 1024} kB"]}
    monkeypatch.setattr(_memory, "_CGROUPS", tmp_path)
    monkeypatch.setattr(_memory, "_lines", lambda path: fake.get(str(path)) or lines(path))
    assert _memory.free_host_bytes() == 22 * GIB
    (own / "memory.max").write_text("max\n")
    assert _memory.free_host_bytes() == 64 * GIB


def test_a_container_of_the_first_version_has_its_limit_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text(f"{8 * GIB}\n")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text(f"{3 * GIB}\n")
    monkeypatch.setattr(_memory, "_CGROUPS", tmp_path)
    monkeypatch.setattr(_memory, "_available", lambda: 64 * GIB)
    assert _memory.free_host_bytes() == 5 * GIB


class Blocks(torch.nn.Module):
    """Notes where each block is sent."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.moves: list[tuple[int, str]] = []
        self.transformer_blocks = torch.nn.ModuleList(torch.nn.Linear(256, 1024) for _ in range(count))
        for number, block in enumerate(self.transformer_blocks):
            block.to = lambda where, number=number, block=block: (self.moves.append((number, str(where))), block)[1]


class Pipeline:
    def __init__(self, transformer: torch.nn.Module) -> None:
        self.transformer = transformer
        self.vae = torch.nn.Linear(1, 1).bfloat16()
        self.vae.dtype = torch.bfloat16


BLOCK = 4 * (256 * 1024 + 1024)
PIXELS = Size(32, 32)
DECODING = 2 * _place._DECODING * 32 * 32


@pytest.mark.parametrize(("free", "moved"), [(DECODING, []), (DECODING - 1, [3]), (DECODING - BLOCK - 1, [3, 2])])
def test_as_many_blocks_as_decoding_needs_wait_on_the_cpu_meanwhile(monkeypatch, free, moved):
    blocks = Blocks(4)
    monkeypatch.setattr(_place, "free_bytes", lambda _device: free)
    with room_to_decode(Pipeline(blocks), PIXELS, CUDA):
        assert blocks.moves == [(number, "cpu") for number in moved]
        blocks.moves.clear()
    assert blocks.moves == [(number, "cuda") for number in moved]


def test_blocks_come_back_if_decoding_fails(monkeypatch):
    blocks = Blocks(4)
    monkeypatch.setattr(_place, "free_bytes", lambda _device: 0)
    with pytest.raises(RuntimeError, match="decoding"), room_to_decode(Pipeline(blocks), PIXELS, CUDA):
        raise RuntimeError("decoding")
    assert sorted(blocks.moves[4:]) == [(number, "cuda") for number in range(4)]


def test_a_model_that_is_offloaded_already_is_left_alone(monkeypatch):
    monkeypatch.setattr(_place, "free_bytes", lambda _device: 0)
    blocks = Blocks(4)
    blocks._hf_hook = object()
    with room_to_decode(Pipeline(blocks), PIXELS, CUDA):
        assert blocks.moves == []


@pytest.mark.parametrize(
    ("device", "host", "together"), [(79.0, 120.0, True), (56.0, 30.0, True), (54.0, 30.0, False), (79.0, 1.0, False)]
)
def test_text_encoder_and_transformer_are_loaded_at_once_only_where_both_fit(machine, device, host, together):
    machine(device, host)
    assert _memory.fit_together(SOURCE, torch.bfloat16, CUDA, Settings()) == together


@pytest.mark.parametrize("offload", [Offload.MODEL, Offload.GROUP, Offload.SEQUENTIAL])
def test_weights_that_wait_elsewhere_and_those_of_a_cpu_are_never_loaded_at_once(machine, offload):
    machine(200.0, 200.0)
    assert not _memory.fit_together(SOURCE, torch.bfloat16, CUDA, Settings(offload=offload))
    assert not _memory.fit_together(SOURCE, torch.bfloat16, torch.device("cpu"), Settings())
