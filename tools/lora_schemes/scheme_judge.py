"""What the installed diffusers does with a LoRA file: which modules it gives which delta, or the error it raises."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, QwenImagePipeline, QwenImageTransformer2DModel

from qiltest.lora import Base


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The answer of diffusers. `deltas`: module -> (out, in), as its forward shows it; empty where it took nothing."""

    deltas: dict[str, torch.Tensor]
    error: str = ""

    def shown(self, modules: int) -> str:
        """Return the answer in a few words; the file is for so many modules."""
        if self.error:
            return self.error
        loaded = len(self.deltas)
        return f"loads {loaded} of {modules} modules" if loaded else "loads nothing, and warns"


class Judge:
    """A transformer with a base's shapes, in float32, into which files are loaded one after the other."""

    def __init__(self, base: Base) -> None:
        """Make the transformer, with random weights."""
        torch.manual_seed(0)
        half = base.attention_head_dim // 4
        self._config = {
            "num_layers": base.num_layers,
            "attention_head_dim": base.attention_head_dim,
            "num_attention_heads": base.num_attention_heads,
            "joint_attention_dim": base.joint_attention_dim,
            "axes_dims_rope": (base.attention_head_dim - 2 * half, half, half),
        }
        self._weights = QwenImageTransformer2DModel(**self._config).state_dict()

    def load(self, path: Path) -> Loaded:
        """Load a file as a user would, with `load_lora_weights`, and return what it did."""
        transformer = QwenImageTransformer2DModel(**self._config)
        transformer.load_state_dict(self._weights)
        pipeline = QwenImagePipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(),
            vae=None,
            text_encoder=None,
            tokenizer=None,
            transformer=transformer,
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pipeline.load_lora_weights(
                    str(path.parent), weight_name=path.name, use_safetensors=True, local_files_only=True
                )
                return Loaded(deltas=_deltas(transformer))
        except Exception as error:  # noqa: BLE001  whatever diffusers, peft and torch raise is the answer
            return Loaded(deltas={}, error=f"{type(error).__name__}: {str(error).splitlines()[0][:200]}")


def _deltas(transformer: torch.nn.Module) -> dict[str, torch.Tensor]:
    found = {}
    for name, module in transformer.named_modules():
        if not (getattr(module, "lora_A", None) or getattr(module, "lokr_w1", None)):
            continue
        inputs = torch.eye(module.get_base_layer().in_features)
        with torch.no_grad():
            found[name] = (module(inputs) - module.get_base_layer()(inputs)).T
    return found
