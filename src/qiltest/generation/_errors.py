"""Translate torch's errors: out of memory, a lost device."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from qiltest.errors import DeviceLostError, OutOfMemoryError

#: what diffusers, transformers, accelerate, safetensors and torch raise for a folder that they cannot load, and for a
#: config that they cannot build a model from.
LIBRARIES_RAISE = (
    OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, ImportError, ArithmeticError,
    AssertionError, SafetensorError, StrictDataclassError,
)  # fmt: skip
_CPU_ALLOCATOR = ("can't allocate memory", "not enough memory")
_REMEDY = (
    "close other programs on the device, or choose --qil-offload=group (a block of the transformer at a time); "
    "the text encoder is freed before generating unless it was kept"
)


def first_line(error: BaseException, most: int = 200) -> str:
    """Return the first line of an error's message; its name where it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:most]


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise torch's errors of the block as GenerationErrors; `what` says what was being done."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        message = first_line(error)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise OutOfMemoryError(f"out of memory while {what}: {message}", remedy=_REMEDY) from error
    except RuntimeError as error:
        message = first_line(error)
        if any(sign in str(error) for sign in _CPU_ALLOCATOR):
            raise OutOfMemoryError(f"out of memory while {what}: {message}", remedy=_REMEDY) from error
        if "CUDA error" in str(error) or "CUDNN_STATUS" in str(error):
            raise DeviceLostError(
                f"the device failed while {what}: {message}",
                remedy="check `nvidia-smi` and the kernel log; repeat the command to resume",
            ) from error
        raise
