"""Choose the device and dtype, name the device, and time work on it."""

from __future__ import annotations

import platform
import time
from itertools import pairwise
from pathlib import Path

import torch

from qiltest.errors import DeviceError
from qiltest.generation.settings import Settings
from qiltest.generation.waiting import waited_seconds
from qiltest.suite.variants import ModelKind

_SIDE, _PRODUCTS = 8192, 10
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(settings: Settings, kind: ModelKind) -> torch.device:
    """Return the device to generate on. Raises DeviceError where there is none."""
    named = settings.device or ("cpu" if kind is ModelKind.TINY else "cuda")
    try:
        device = torch.device(named)
    except RuntimeError as error:
        raise DeviceError(f"unknown device {named!r}", remedy="write cpu, cuda or cuda:0") from error
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"device {named!r} is not supported", remedy="write cpu, cuda or cuda:0")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        # without these options both pytest and `qiltest check` take the embedded model and the CPU
        leave = "the device and -m gpu" if kind is ModelKind.TINY else "the model, the device and -m gpu"
        raise DeviceError(
            f"no usable device: {named} was asked for, torch {torch.__version__} sees {torch.cuda.device_count()} GPUs",
            remedy="run on a GPU machine with a CUDA build of torch, or "
            f"leave out {leave} to generate with the tiny model on the CPU",
        )
    return device


def choose_dtype(settings: Settings, device: torch.device, kind: ModelKind) -> torch.dtype:
    """Return the dtype unless named: float32 on the CPU and for the embedded model, else bfloat16."""
    if settings.dtype is None:
        return torch.bfloat16 if device.type == "cuda" and kind is ModelKind.REAL else torch.float32
    if settings.dtype not in _DTYPES:
        raise DeviceError(f"dtype {settings.dtype!r} is not supported", remedy=f"write one of {', '.join(_DTYPES)}")
    return _DTYPES[settings.dtype]


def device_name(device: torch.device) -> str:
    """Return the name of the GPU, or of the processor with torch's thread count (both decide speed and rounding)."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{_processor()}, {torch.get_num_threads()} threads"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measured_matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the operations per second of `_PRODUCTS` products of square matrices, after three that are not timed.

    A product of two n x n matrices counts 2 n^3 (n = `_SIDE`).
    """
    side = _SIDE if device.type == "cuda" else _SIDE // 32
    one, other = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    for _ in range(3):
        one @ other
    synchronise(device)
    begin = time.perf_counter()
    for _ in range(_PRODUCTS):
        one @ other
    synchronise(device)
    return _PRODUCTS * 2 * side**3 / (time.perf_counter() - begin)


class StepClock:
    """Times a loop and its steps in seconds: on a GPU by device events, so that no step waits for the last."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._events: list[torch.cuda.Event] = []
        self._marks: list[float] = []
        self._begin = 0.0
        #: seconds from start to the end of the last step, device idle at both.
        self.total = 0.0
        #: seconds in which threads of this process waited for a core meanwhile.
        self.waited = 0.0

    def start(self) -> None:
        """Begin, with the device idle."""
        synchronise(self._device)
        self.waited = -waited_seconds()
        self._begin = time.perf_counter()
        self._marks = [self._begin]
        self._events = []
        self._record()

    def step(self, *, last: bool) -> None:
        """Mark the end of a step; after the last one wait for the device."""
        self._record()
        if self._device.type != "cuda":
            self._marks.append(time.perf_counter())
        if last:
            synchronise(self._device)
            self.total = time.perf_counter() - self._begin
            self.waited = max(0.0, waited_seconds() + self.waited)

    def _record(self) -> None:
        if self._device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            event.record(torch.cuda.current_stream(self._device))
            self._events.append(event)

    @property
    def steps(self) -> tuple[float, ...]:
        """Seconds per step."""
        if self._device.type == "cuda":
            return tuple(first.elapsed_time(second) / 1000 for first, second in pairwise(self._events))
        return tuple(second - first for first, second in pairwise(self._marks))
