"""Settings of a generator: device, precision, LoRA merging, offloading, caches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from qiltest.errors import DeviceError


class Offload(StrEnum):
    """Diffusers' ways of generating if the model does not fit into GPU memory."""

    NONE = "none"
    #: one component on the device at a time (`enable_model_cpu_offload`): needs room for the transformer alone.
    MODEL = "model"
    #: one transformer block at a time, the next one on its way meanwhile (`enable_group_offload`): needs a few GB.
    GROUP = "group"
    #: one layer at a time (`enable_sequential_cpu_offload`): needs a few GB, and is slower by far.
    SEQUENTIAL = "sequential"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Options of a generator; None: the model's own default. Raises DeviceError for those that exclude each other."""

    #: "cuda", "cuda:1" or "cpu"; None: cpu for the embedded model, cuda for all others.
    device: str | None = None
    #: "float32" or "bfloat16"; None: bfloat16 on cuda, float32 on cpu.
    dtype: str | None = None
    #: merge LoRAs into the base's weights, or load them beside it; None: as the variant says.
    merge: bool | None = None
    #: compile the transformer's repeated blocks; counts as a separate recipe.
    compiled: bool = False
    offload: Offload = Offload.NONE
    #: store the transformer's weights in float8 (e4m3), half the size, and compute in `dtype`; other images.
    fp8: bool = False
    #: torch threads on the CPU; None: torch's default.
    threads: int | None = None
    #: revision of a Hugging Face id; None: what the cache holds.
    revision: str | None = None
    #: the base model that the model is; None: recognised (`sources.base_of_model`).
    base: str | None = None
    #: ask the hub for what the cache lacks.
    download: bool = False
    #: tokens of a prompt that are used; None: 1024 for the embedded model, 512 for others (the pipeline's default).
    max_sequence_length: int | None = None
    #: folder for prompt embeddings; None: memory only for the embedded model, the user's cache folder for others.
    embeddings: Path | None = None
    #: free the text encoder once prompts are encoded; None: yes, but for the embedded model.
    free_text_encoder: bool | None = None
    #: take LoRAs that leave a module out, or are zero, in some blocks and not in others.
    allow_partial_lora: bool = False
    #: called after each step with (step from 1, steps).
    on_step: Callable[[int, int], None] | None = None

    def __post_init__(self) -> None:
        if self.offload not in set(Offload):
            raise DeviceError(f"unknown offload {self.offload!r}", remedy=f"write one of {', '.join(Offload)}")
        object.__setattr__(self, "offload", Offload(self.offload))
        if self.compiled and self.keeps_weights_apart:
            raise DeviceError(
                f"--qil-compile and {self.keeps_weights_apart} exclude each other", remedy="remove one of them"
            )
        if self.fp8 and self.offload is Offload.SEQUENTIAL:
            raise DeviceError(
                "--qil-fp8 and --qil-offload=sequential exclude each other", remedy="--qil-fp8 with --qil-offload=group"
            )

    @property
    def keeps_weights_apart(self) -> str:
        """The option by which weights are not, in the dtype of computing, where their modules compute; "" if none."""
        if self.fp8:
            return "--qil-fp8"
        return f"--qil-offload={self.offload}" if self.offload in (Offload.GROUP, Offload.SEQUENTIAL) else ""
