"""The base model's own transformer weights, read again one at a time: what a merged LoRA is added to, and taken off by.

So no second copy of the model is kept, and the base is bit for bit what its files say after every switch.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open

from qiltest.errors import DeviceError
from qiltest.files import stamp
from qiltest.generation._stream import device_tensors, readable, streams, wanted_of


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
    def reading(self, ahead: Sequence[str] = (), device: torch.device | None = None) -> Iterator[ReadWeight]:
        """Keep each file open until the block ends. Raises DeviceError where one changed since the model was loaded.

        The weights `ahead` will be asked for in this order: for a GPU the next ones are read while one is in use.
        """
        with ExitStack() as stack:
            files: dict[Path, Any] = {}
            coming, following = self._ahead(ahead, device), deque(ahead)
            if coming is not None:
                stack.callback(coming.close)

            def read(name: str) -> torch.Tensor:
                if coming is not None and following and following[0] == name:
                    following.popleft()
                    return next(coming)[1]
                path = self._places.get(name)
                if path is None:
                    raise DeviceError(f"no file of the transformer has the weight {name}", where=str(self._folder))
                if path not in files:
                    _refuse_change(path, self._files[path])
                    files[path] = stack.enter_context(_open(path))
                tensor: torch.Tensor = files[path].get_tensor(name)
                return tensor

            yield read

    def _ahead(
        self, names: Sequence[str], device: torch.device | None
    ) -> Generator[tuple[str, torch.Tensor], None, None] | None:
        """Return the weights of these names as they come onto a GPU; None where they are not read so."""
        if device is None or not names or not streams(device) or not self._places.keys() >= set(names):
            return None
        used = {self._places[name] for name in names}
        for path in used:
            _refuse_change(path, self._files[path])
        places = {one.name: one for one in wanted_of(sorted(used))}
        wanted = [places[name] for name in names]
        return device_tensors(wanted, device) if readable(wanted) else None


class RandomWeights:
    """Random weights that can be made again one at a time: each from its own seed."""

    def __init__(
        self, shapes: dict[str, torch.Size], *, seed: int, std: float, dtype: torch.dtype, device: torch.device
    ) -> None:
        """`shapes` are those of the transformer's parameters, by name; matrices are normal with `std`."""
        self._shapes, self._seed, self._std, self._dtype, self._device = shapes, seed, std, dtype, device

    @contextmanager
    def reading(self, ahead: Sequence[str] = (), device: torch.device | None = None) -> Iterator[ReadWeight]:
        """Nothing is opened, and nothing read ahead."""
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
