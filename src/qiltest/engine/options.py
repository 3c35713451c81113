"""What a session was asked for, checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from qiltest.generation.settings import Offload
from qiltest.generation.sources import TINY
from qiltest.recipe import Size
from qiltest.runs.store import Reuse
from qiltest.suite.variants import ModelKind


class Update(StrEnum):
    """Which goldens a run may write (`--qil-update`)."""

    MISSING = "missing"
    CHANGED = "changed"
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class ReleaseRequest:
    """A LoRA file, the variant that it is to replace, and the margin of "not worse"."""

    lora: str
    like: str
    #: rise of the character error rate that is taken for not worse, 0 to 1.
    margin: float

    def __post_init__(self) -> None:
        if not 0 <= self.margin < 1:
            raise ValueError(f"a margin of {self.margin} is not a rate")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for on the command line, checked."""

    model: str
    #: device for the generator; None lets it choose.
    device: str | None
    #: True where `-m` asks for tests marked gpu.
    gpu: bool
    threads: int | None
    reader: str | None
    cases: tuple[str, ...]
    variants: tuple[str, ...]
    sizes: tuple[Size, ...]
    seed_count: int | None
    seeds: tuple[int, ...]
    update: Update | None
    reuse: Reuse
    #: merge LoRAs into the base's weights while their variant is generated.
    fuse: bool
    #: compile the transformer's repeated blocks.
    compiled: bool
    offload: Offload
    allow_partial_lora: bool
    #: timed denoise loops an image; None: by what one costs (`qiltest.engine.timing_rounds`).
    rounds: int | None
    #: the LoRA file on trial; None in a session that holds images against goldens.
    release: ReleaseRequest | None
    cases_folder: Path
    golden_folder: Path
    runs_folder: Path
    #: the options as given, to be repeated in the command that accepts an image.
    given: tuple[str, ...]

    @property
    def is_tiny(self) -> bool:
        """True for the embedded model."""
        return self.model == TINY

    @property
    def kind(self) -> ModelKind:
        """Which LoRAs and sizes the model takes."""
        return ModelKind.TINY if self.is_tiny else ModelKind.REAL


def in_ci() -> bool:
    """Say whether the environment says that this is a CI machine, where goldens never change."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}
