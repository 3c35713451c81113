"""Compare free device and host memory with what a model needs, before any weight is read.

Sizes come from the headers; what computing takes on top was measured at 1328x1328 on an H100
(benchmarks/results/gpu_h100.json): 0.8 GiB for denoising, 7.8 GiB for decoding, 0.1 GiB for encoding a prompt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from qiltest.errors import ModelError
from qiltest.generation.settings import Offload, Settings
from qiltest.generation.sources import ModelSource, base_of
from qiltest.generation.whole import WEIGHTED, weights_of

GIB = 1 << 30
#: bytes for denoising beside the weights, with a little to spare; and for encoding a prompt.
DENOISING, ENCODING = GIB, GIB // 2
#: bytes of host memory that the libraries and the reading of weights take.
_LIBRARIES = 2 * GIB
#: a model below this is never refused: it fits wherever torch itself does.
_SMALL = GIB
#: blocks that group offloading has on the device at a time: the one that computes, the next and the last.
_GROUPS = 3
#: exact ways first, each slower than the one before.
_WAYS = (
    Settings(),
    Settings(offload=Offload.GROUP),
    Settings(fp8=True),
    Settings(fp8=True, offload=Offload.GROUP),
    Settings(offload=Offload.SEQUENTIAL),
)
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Bytes of a model's components in the dtype of computing; `reduced` is the transformer in float8."""

    transformer: int
    reduced: int
    vae: int
    text_encoder: int
    #: of the transformer, of about one size each.
    blocks: int = 60


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes of device and host memory, needed or free."""

    device: int
    host: int

    def __str__(self) -> str:
        return f"{self.device / GIB:.1f} GiB on the device and {self.host / GIB:.1f} GiB of host memory"


def sizes_of(source: ModelSource, dtype: torch.dtype) -> Sizes:
    """Return a model's sizes from its files' headers, or from the config of the random one."""
    base = base_of(source)
    if source.folder is None:
        numbers = {"transformer": sum(rows * columns for rows, columns in base.modules.values())}
    else:
        numbers = {component: weights_of(source.folder, component).numbers for component in WEIGHTED}
    transformer, item = numbers["transformer"], dtype.itemsize
    return Sizes(
        transformer=transformer * item,
        reduced=transformer,
        vae=numbers.get("vae", 0) * item,
        text_encoder=numbers.get("text_encoder", 0) * item,
        blocks=base.num_layers,
    )


def needed(sizes: Sizes, settings: Settings, *, on_cpu: bool = False) -> Memory:
    """Return the most that any stage of a session needs, decoding left out: it makes room for itself."""
    weights = sizes.reduced if settings.fp8 else sizes.transformer
    if on_cpu:
        return Memory(device=0, host=max(sizes.text_encoder, weights + sizes.vae) + _LIBRARIES)
    whole = settings.offload in (Offload.NONE, Offload.MODEL)
    generating = (weights if whole else weights * _GROUPS // sizes.blocks) + sizes.vae + DENOISING
    # the text encoder is on the device as a whole where there is room, else layer by layer
    encoding = sizes.text_encoder + ENCODING if whole else 0
    held = settings.offload in (Offload.MODEL, Offload.GROUP)
    return Memory(device=max(generating, encoding), host=(weights if held else 0) + _LIBRARIES)


def check_memory(source: ModelSource, dtype: torch.dtype, device: torch.device, settings: Settings) -> None:
    """Raise ModelError where the model would not fit, naming the options that would."""
    sizes = sizes_of(source, dtype)
    if sizes.transformer + sizes.text_encoder < _SMALL:
        return
    on_cpu = device.type == "cpu"
    free = Memory(device=0 if on_cpu else free_bytes(device), host=free_host_bytes())
    wanted = needed(sizes, settings, on_cpu=on_cpu)
    if _fits(wanted, free):
        return
    raise ModelError(
        f"the model does not fit: it needs {wanted}, free are {free}",
        where=source.name,
        remedy=_remedy(sizes, free, settings, on_cpu=on_cpu),
    )


def free_bytes(device: torch.device) -> int:
    """Return the bytes of a GPU that this process may still allocate, torch's own cache included."""
    index = device.index  # None is the current GPU; not each of these takes a device without an index
    free, total = torch.cuda.mem_get_info(index)
    allocated = torch.cuda.memory_allocated(index)
    unused = torch.cuda.memory_reserved(index) - allocated
    share = torch.cuda.get_per_process_memory_fraction(index)
    return min(free + unused, int(total * share) - allocated)


def free_host_bytes() -> int:
    """Return the bytes of host memory that are free to use: of the machine, or of the container's limit if less."""
    return min([_available(), *_left_by_cgroups()])


def fitting(sizes: Sizes, free: Memory) -> Iterator[Settings]:
    """Yield the ways that fit, exact and fast ones first."""
    yield from (way for way in _WAYS if _fits(needed(sizes, way), free))


def options_of(way: Settings) -> str:
    """Return a way's options as on the command line."""
    offload = f"--qil-offload={way.offload}" if way.offload is not Offload.NONE else ""
    return " ".join(part for part in (offload, "--qil-fp8" if way.fp8 else "") if part) or "no --qil-offload"


def _remedy(sizes: Sizes, free: Memory, settings: Settings, *, on_cpu: bool) -> str:
    if on_cpu:
        return "close other programs, run on a GPU machine, or choose --qil-model=tiny"
    now = replace(Settings(), offload=settings.offload, fp8=settings.fp8)
    ways = [way for way in fitting(sizes, free) if way != now]
    if not ways:
        return "close other programs on the device and the machine (`nvidia-smi`, `free`), or take a larger one"
    least = ways[0]
    exact = "" if not least.fp8 else ", other images than in bfloat16"
    return f"{options_of(least)} fits ({needed(sizes, least)}{exact}); or close other programs"


def _fits(wanted: Memory, free: Memory) -> bool:
    return wanted.device <= free.device and wanted.host <= free.host


def _available() -> int:
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 1 << 62


def _left_by_cgroups() -> Iterator[int]:
    """Yield what each limit on this process' control groups (v2 or v1) leaves; the page cache counts as free."""
    own = [line.split(":", 2)[2].strip("/") for line in _lines(Path("/proc/self/cgroup")) if line.count(":") >= 2]
    folders = {_CGROUPS, _CGROUPS / "memory"}
    for path in own:
        parts = path.split("/")
        below = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        folders |= {root / name for root in (_CGROUPS, _CGROUPS / "memory") for name in below}
    for folder in folders:
        for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            most, now = _number(folder / limit), _number(folder / used)
            if most is not None and now is not None:
                yield max(0, most - now + _cached(folder))


def _cached(folder: Path) -> int:
    pairs = (line.split() for line in _lines(folder / "memory.stat"))
    return sum(int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] in ("active_file", "inactive_file"))


def _number(path: Path) -> int | None:
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
