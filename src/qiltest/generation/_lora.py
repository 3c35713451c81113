"""Load LoRAs as adapters, with diffusers' own loader; check them, and switch between them without reloading.

diffusers only warns where it takes nothing from a file (huggingface/diffusers#12119). So every delta of the file is
compared with that of the live modules, and a difference is a RecipeError.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from qiltest.errors import RecipeError
from qiltest.generation._merge import Factors, file_factors
from qiltest.lora import LoraReport
from qiltest.lora.bases import Base

#: columns of random vectors that a delta is tried on: two linear maps that agree on these agree.
_PROBES = 4
#: relative difference that rounding alpha into a bfloat16 factor and computing in bfloat16 may make.
_TOLERANCE = 0.02
_SHOWN = 8
#: no hash: some modules may be switched and others not.
_BETWEEN = "between"


@dataclass(frozen=True, kw_only=True)
class _Adapter:
    name: str
    modules: tuple[str, ...]


class LoraAdapters:
    """All LoRAs of a pipeline; at most one is active."""

    def __init__(self, pipeline: Any, base: Base) -> None:  # noqa: ANN401  QwenImagePipeline, untyped
        self._pipeline, self._transformer, self._base = pipeline, pipeline.transformer, base
        self._adapters: dict[str, _Adapter] = {}
        self._active: str | None = None
        #: of the active LoRA; 1 where none is.
        self._strength = 1.0

    @property
    def active(self) -> str | None:
        """SHA-256 of the active LoRA's file; None: the base alone."""
        return self._active

    def __contains__(self, sha256: str) -> bool:
        """Return whether a LoRA is loaded."""
        return sha256 in self._adapters

    def switch(self, sha256: str | None, strength: float = 1.0) -> None:
        """Make one loaded LoRA active, or none. The base's weights are bit for bit the same whenever none is.

        `strength` is a factor on its delta.
        """
        if sha256 == self._active and strength == self._strength:
            return
        self._active = _BETWEEN  # an interrupt from here on makes the next switch do everything again
        if sha256 is None:
            self._transformer.disable_lora()
            self._active, self._strength = None, 1.0
            return
        adapter = self._adapters[sha256]
        self._transformer.enable_lora()
        self._transformer.set_adapters([adapter.name], [strength])
        self._active, self._strength = sha256, strength

    def load(self, path: Path, report: LoraReport) -> None:
        """Load a LoRA that was inspected. Raises RecipeError where the live modules differ from the file."""
        if report.sha256 in self._adapters:
            return
        self.load_tensors(report.sha256, path.name, lambda name: self._load_file(path, name))
        adapter = self._adapters[report.sha256]
        try:
            meant = file_factors(path, self._base, report, device=self._transformer.device)
            _check_applied(self._transformer, adapter, meant, where=str(path))
        except BaseException:  # also an interrupted check
            del self._adapters[report.sha256]
            self._transformer.delete_adapters(adapter.name)
            raise

    def load_tensors(self, sha256: str, title: str, load: Any) -> None:  # noqa: ANN401  a function of the adapter's name
        """Load by any of diffusers' functions, and leave the active LoRA active."""
        active, strength, name = self._active, self._strength, f"lora_{sha256[:16]}"
        self.switch(None)
        self._active = _BETWEEN
        if name in getattr(self._transformer, "peft_config", {}):  # an earlier load was interrupted
            self._transformer.delete_adapters(name)
        try:
            with _quiet():
                load(name)
        except (ValueError, KeyError, IndexError, RuntimeError, OSError) as error:
            self.switch(active, strength)
            raise RecipeError(
                f"diffusers cannot load it: {str(error).splitlines()[0][:300]}",
                where=title,
                remedy="inspect the file with `qiltest lora FILE`",
            ) from error
        self._cast(name)
        self._adapters[sha256] = _Adapter(name=name, modules=tuple(_modules_of(self._transformer, name)))
        self.switch(None if active == _BETWEEN else active, 1.0 if active == _BETWEEN else strength)

    def _load_file(self, path: Path, name: str) -> None:
        self._pipeline.load_lora_weights(
            str(path.parent), weight_name=path.name, adapter_name=name, use_safetensors=True, local_files_only=True
        )

    def _cast(self, name: str) -> None:
        """Move factors to the base's dtype and device: peft computes in the factor's dtype."""
        for module in _modules_of(self._transformer, name).values():
            weight = module.get_base_layer().weight
            for factor in (module.lora_A[name], module.lora_B[name]):
                factor.to(device=weight.device, dtype=weight.dtype)
                factor.requires_grad_(False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress peft's warning that several adapters are loaded: it is intended."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*peft_config.*")
        yield


def _modules_of(transformer: torch.nn.Module, adapter: str) -> dict[str, Any]:
    """Return the modules that carry an adapter."""
    return {
        name: module
        for name, module in transformer.named_modules()
        if adapter in (getattr(module, "lora_A", None) or {})
    }


def _check_applied(transformer: torch.nn.Module, adapter: _Adapter, factors: Iterable[Factors], *, where: str) -> None:
    """Compare the live modules with a file's factors, one module at a time. Raises RecipeError."""
    live, seen = set(adapter.modules), set()
    ignored, other = [], []
    for one in factors:
        seen.add(one.module)
        if one.module not in live:
            ignored.append(one.module)
        elif not _same_delta(transformer.get_submodule(one.module), adapter.name, one):
            other.append(one.module)
    faults = [
        f"{len(names)} modules {what}: {', '.join(names[:_SHOWN])}{' ...' if len(names) > _SHOWN else ''}"
        for names, what in (
            (sorted(ignored), "of the file were not applied"),
            (sorted(live - seen), "were changed but are not in the file"),
            (other, "got a delta other than alpha / rank * up @ down"),
        )
        if names
    ]
    if faults:
        raise RecipeError(
            f"the applied LoRA differs from the file: {'; '.join(faults)}",
            where=where,
            remedy="inspect the file with `qiltest lora FILE`; without the ignored keys the image would be blurred",
        )


def _same_delta(module: Any, adapter: str, meant: Factors) -> bool:  # noqa: ANN401
    """Compare two low-rank maps on random vectors, in float32 on the module's device."""
    down, up = meant.down, meant.up
    live_down, live_up = module.lora_A[adapter].weight, module.lora_B[adapter].weight
    if live_down.shape[1] != down.shape[1] or live_up.shape[0] != up.shape[0]:
        return False
    device = live_down.device
    random = torch.Generator().manual_seed(down.shape[1])
    probes = torch.randn(down.shape[1], _PROBES, generator=random).to(device)
    wanted = meant.scale * (up.to(device) @ (down.to(device) @ probes))
    live = module.scaling[adapter] * (live_up.float() @ (live_down.float() @ probes))
    return bool(torch.linalg.norm(live - wanted) <= _TOLERANCE * torch.linalg.norm(wanted))
