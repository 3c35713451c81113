"""Library versions, the cohort of a latency, and the state of the GPU at one moment."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib import metadata

from qiltest.gate.latency import Cohort
from qiltest.recipe import Recipe

#: packages whose versions a run records beside those in its recipes.
_PACKAGES = ("diffusers", "onnxruntime", "peft", "pillow", "qiltest", "rapidfuzz", "rapidocr", "torch", "transformers")


def cohort_of(recipe: Recipe, *, model: str, device: str) -> Cohort:
    """Return the cohort of an image: what must be equal for its latency to be comparable."""
    torch = dict(recipe.versions).get("torch", "none")
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
    )


@dataclass(frozen=True, kw_only=True)
class DeviceState:
    """What a GPU says of itself at one moment: a latency means little without its clock."""

    #: the driver's version.
    driver: str
    #: streaming multiprocessors' and memory's clock, MHz.
    sm_mhz: int
    memory_mhz: int
    #: degrees Celsius.
    celsius: int
    #: generate, watts.
    watts: float


def device_state(device: str | None) -> tuple[DeviceState, ...]:
    """Return the state of a GPU named as for `--qil-device` (None: the first one)."""
    return gpu_state(int((device or "").partition(":")[2] or 0))


def gpu_state(number: int = 0) -> tuple[DeviceState, ...]:
    """Return the state of the GPU that torch calls `cuda:number`; nothing where nvidia-ml-py is not there or refuses.

    The driver's library does not heed CUDA_VISIBLE_DEVICES, so that is done here. GPUs are counted in the driver's
    order: where they differ in kind, set CUDA_DEVICE_ORDER=PCI_BUS_ID for torch to count so too.
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
        return (
            DeviceState(
                driver=str(pynvml.nvmlSystemGetDriverVersion()),
                sm_mhz=int(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)),
                memory_mhz=int(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM)),
                celsius=int(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
                watts=pynvml.nvmlDeviceGetPowerUsage(handle) / 1000,
            ),
        )
    except pynvml.NVMLError:
        return ()


def versions() -> tuple[tuple[str, str], ...]:
    """Return (package, version) of what is installed here and bears on a result, sorted, Python first by its name."""
    found = [("python", platform.python_version())]
    for name in _PACKAGES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return tuple(sorted(found))
