"""Library versions, the cohort of a latency, and the state of the GPU."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from qiltest.gate.latency import Cohort
from qiltest.generation.records import LOOP, Timing
from qiltest.recipe import Recipe

T = TypeVar("T")
#: packages whose versions a run records.
_PACKAGES = ("diffusers", "onnxruntime", "peft", "pillow", "qiltest", "rapidfuzz", "rapidocr", "torch", "transformers")
#: seconds that git may take, digits of a commit, and what a commit looks like.
_PATIENCE, _DIGITS = 5, 12
_COMMIT = re.compile(r"[0-9a-f]{7,40}(-dirty)?")


def cohort_of(recipe: Recipe, *, model: str, device: str, timing: Timing | None = None, beside: int = 0) -> Cohort:
    """Return the latency cohort of an image.

    `timing` says what was timed, the denoise loop where it is None; `beside` is how many other GPUs of the host
    generate meanwhile.
    """
    packages = dict(recipe.versions)
    torch = packages.get("torch", "none")
    return Cohort(
        model=model,
        device_name=device,
        dtype=recipe.dtype,
        effective=str(recipe.effective),
        variant=recipe.variant,
        nfe=recipe.nfe,
        attention_backend=recipe.attention_backend,
        compiled=recipe.compiled,
        torch=".".join(torch.split(".")[:2]),
        offload=recipe.offload,
        kind=LOOP if timing is None else timing.kind,
        concurrency=1 if timing is None else timing.concurrency,
        beside=beside,
        compiled_way=packages.get("qiltest-compiled", ""),
    )


@dataclass(frozen=True, kw_only=True)
class DeviceState:
    """State of a GPU while it generates: a latency depends on its clock."""

    #: driver version.
    driver: str
    sm_mhz: int
    memory_mhz: int
    celsius: int
    watts: float


def device_state(device: str | None) -> tuple[DeviceState, ...]:
    """Return the state of a GPU named as for `--qil-device`; None is the first one. Nothing for any other device."""
    number = _number(device)
    return () if number is None else gpu_state(number)


def _number(device: str | None) -> int | None:
    """Return the number of a GPU that torch names; None for any other device."""
    kind, _, number = (device or "cuda").partition(":")
    return int(number or 0) if kind == "cuda" and (number or "0").isdecimal() else None


def gpu_state(number: int = 0) -> tuple[DeviceState, ...]:
    """Return the state of the GPU that torch calls `cuda:number`; nothing without a working nvidia-ml-py."""
    return _of_gpu(number, _state)


def gpu_uuid(device: str | None) -> str:
    """Return the UUID of a GPU named as for `--qil-device`; "" where it is not known."""
    number = _number(device)
    found = () if number is None else _of_gpu(number, lambda nvml, handle: str(nvml.nvmlDeviceGetUUID(handle)))
    return next(iter(found), "")


def visible_gpus() -> tuple[str, ...] | None:
    """Return the GPUs that this process may use, as entries of CUDA_VISIBLE_DEVICES; None where nobody can tell."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(one.strip() for one in named.split(",") if one.strip())
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        return tuple(map(str, range(pynvml.nvmlDeviceGetCount())))
    except pynvml.NVMLError:
        return None


def _state(nvml: Any, handle: Any) -> DeviceState:  # noqa: ANN401  nvidia-ml-py is untyped
    return DeviceState(
        driver=str(nvml.nvmlSystemGetDriverVersion()),
        sm_mhz=int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
        memory_mhz=int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM)),
        celsius=int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
        watts=nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
    )


def _of_gpu(number: int, read: Callable[[Any, Any], T]) -> tuple[T, ...]:
    """Return what is read of the GPU that torch calls `cuda:number`; nothing without a working nvidia-ml-py.

    NVML ignores CUDA_VISIBLE_DEVICES, so it is applied here. NVML counts in PCI order: with GPUs of different models,
    set CUDA_DEVICE_ORDER=PCI_BUS_ID so that torch does too.
    """
    try:
        import pynvml
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
        seen = [one.strip() for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
        own = seen[number] if number < len(seen) else ""
        handle = (
            pynvml.nvmlDeviceGetHandleByUUID(own)
            if own.startswith(("GPU-", "MIG-"))
            else pynvml.nvmlDeviceGetHandleByIndex(int(own) if own.isdecimal() else number)
        )
        return (read(pynvml, handle),)
    except pynvml.NVMLError:
        return ()


def commit_of(folder: Path) -> str:
    """Return the commit of the repository that holds a folder, with `-dirty` where files of it were changed.

    On GitHub, and where git does not answer, the job's own commit; "" where neither is known.
    """
    command = ("git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    try:
        answer = subprocess.run(command, capture_output=True, check=True, timeout=_PATIENCE, text=True)
    except (OSError, subprocess.SubprocessError, UnicodeError):
        said = os.environ.get("GITHUB_SHA", "")[:_DIGITS]
    else:
        said = answer.stdout.strip()
    return said if _COMMIT.fullmatch(said) else ""


def versions() -> tuple[tuple[str, str], ...]:
    """Return (package, version) of Python and of installed packages that influence results, sorted."""
    found = [("python", platform.python_version())]
    for name in _PACKAGES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return tuple(sorted(found))
