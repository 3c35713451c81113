"""The base model's own transformer weights, read again one at a time: what a merged LoRA is added to, and taken off by.

So no second copy of the model is kept, and the base is bit for bit what its files say after every switch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open

from qiltest.errors import DeviceError
from qiltest.files import stamp


class ReadWeight(Protocol):
    """Reads one weight by its name in the transformer, such as `transformer_blocks.0.attn.to_q.weight`."""

    def __call__(self, name: str) -> torch.Tensor:
        """Return the weight as stored. Raises DeviceError where there is none, or it cannot be read."""
        ...


class FolderWeights:
    """The weights of a folder in diffusers layout, in one safetensors file or several."""

    def __init__(self, folder: Path) -> None:
        """Read the names alone. Raises DeviceError where a file cannot be read."""
        self._folder = folder / "transformer"
        self._files = {path: stamp(path.stat()) for path in sorted(self._folder.glob("*.safetensors"))}
        self._places: dict[str, Path] = {}
        for path in self._files:
            with _open(path) as file:
                self._places |= dict.fromkeys(file.keys(), path)

    @contextmanager
    def reading(self) -> Iterator[ReadWeight]:
        """Keep each file open until the block ends. Raises DeviceError where one changed since the model was loaded."""
        with ExitStack() as stack:
            files: dict[Path, Any] = {}

            def read(name: str) -> torch.Tensor:
                path = self._places.get(name)
                if path is None:
                    raise DeviceError(f"no file of the transformer has the weight {name}", where=str(self._folder))
                if path not in files:
                    _refuse_change(path, self._files[path])
                    files[path] = stack.enter_context(_open(path))
                tensor: torch.Tensor = files[path].get_tensor(name)
                return tensor

            yield read


class RandomWeights:
    """Random weights that can be made again one at a time: each from its own seed."""

    def __init__(
        self, shapes: dict[str, torch.Size], *, seed: int, std: float, dtype: torch.dtype, device: torch.device
    ) -> None:
        """`shapes` are those of the transformer's parameters, by name; matrices are normal with `std`."""
        self._shapes, self._seed, self._std, self._dtype, self._device = shapes, seed, std, dtype, device

    @contextmanager
    def reading(self) -> Iterator[ReadWeight]:
        """Nothing is opened."""
        yield self.make

    def make(self, name: str) -> torch.Tensor:
        """Return a parameter's values: normal for a matrix, 1 for a norm's weight, 0 for any other vector."""
        shape = self._shapes[name]
        made = torch.empty(shape, dtype=self._dtype, device=self._device)
        if len(shape) < 2:
            return made.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
        own = int.from_bytes(hashlib.sha256(f"{self._seed} {name}".encode()).digest()[:7], "big")
        return made.normal_(0.0, self._std, generator=torch.Generator(self._device).manual_seed(own))


BaseWeights = FolderWeights | RandomWeights


def _open(path: Path) -> Any:  # noqa: ANN401  safe_open, untyped
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise DeviceError(
            f"a weight file of the model cannot be read: {error}", where=str(path), remedy="download the model again"
        ) from error


def _refuse_change(path: Path, before: tuple[int, ...]) -> None:
    if stamp(path.stat()) != before:
        raise DeviceError(
            "the model's file was changed during the session",
            where=str(path),
            remedy="run again; leave the model alone until the session ends",
        )
