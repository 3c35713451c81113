"""An undertrained LoRA: distilled from zero for a few steps on a CPU, as an early checkpoint of a real training is.

The objective is that of `tools/tiny_model/distil.py`: the teacher is the base, guided at CFG 4 as `QwenImagePipeline` guides
it, in small Euler steps over one interval of the shift-3 schedule; the student, base and LoRA without guidance, learns
the interval's mean velocity from where its own way down has led it. What differs is that nobody goes on: 24 steps of
one image each, against the thousands of images that the good LoRAs have seen. Prompts are the case files' own.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from diffusers import QwenImagePipeline, QwenImageTransformer2DModel
from lora_files import Tensor, Tensors
from peft import LoraConfig

STEPS, RATE, GUIDANCE, SUB = 24, 1e-3, 4.0, 4
#: where the images are drawn: small, so that a step takes a second.
WIDTH, HEIGHT = 256, 128


def levels(steps: int) -> list[float]:
    """Sigmas of the shift-3 scheduler, with the final 0."""
    return [3 * t / (1 + 2 * t) for t in (1 - i / steps for i in range(steps))] + [0.0]


def distilled(model: Path, good: Tensors, prompts: list[str], *, nfe: int, seed: int, steps: int = STEPS) -> Tensors:
    """Train a LoRA of the good one's modules, rank and alpha from zero for a few steps, and return its tensors."""
    torch.manual_seed(seed)
    pipeline = QwenImagePipeline.from_pretrained(model, dtype=torch.float32, local_files_only=True)
    modules = sorted({name.rpartition(".lora_down.")[0] for name in good if ".lora_down." in name})
    rank = good[f"{modules[0]}.lora_down.weight"].values.shape[0]
    alpha = float(good[f"{modules[0]}.alpha"].values)
    pipeline.transformer.requires_grad_(False)
    pipeline.transformer.add_adapter(LoraConfig(r=rank, lora_alpha=alpha, target_modules=modules))
    _Training(pipeline, prompts, nfe, steps).run()
    return _tensors(pipeline.transformer, modules, alpha, good)


class _Training:
    def __init__(self, pipeline: QwenImagePipeline, prompts: list[str], nfe: int, steps: int) -> None:
        self.transformer, self.levels, self.steps = pipeline.transformer, levels(nfe), steps
        with torch.no_grad():
            self.embeds = [pipeline.encode_prompt(prompt, max_sequence_length=1024)[0] for prompt in prompts]
            self.nothing = pipeline.encode_prompt(" ", max_sequence_length=1024)[0]
        self.shape = (1, HEIGHT // 16, WIDTH // 16)

    def run(self) -> None:
        parameters = [p for p in self.transformer.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(parameters, RATE, betas=(0.9, 0.98), weight_decay=0.0)
        for step in range(self.steps):
            embeds = self.embeds[step % len(self.embeds)]
            interval = int(torch.randint(0, len(self.levels) - 1, ()))
            with torch.no_grad():
                x = self._way_down(interval, embeds)
                target = self._target(x, interval, embeds)
            loss = torch.nn.functional.mse_loss(self._velocity(x, self.levels[interval], embeds), target)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()

    def _velocity(self, x: torch.Tensor, level: float, embeds: torch.Tensor) -> torch.Tensor:
        return self.transformer(
            hidden_states=x,
            timestep=torch.tensor([level]),
            encoder_hidden_states=embeds,
            encoder_hidden_states_mask=None,
            img_shapes=[[self.shape]],
            return_dict=False,
        )[0]

    def _way_down(self, interval: int, embeds: torch.Tensor) -> torch.Tensor:
        """The student's own image at the beginning of an interval."""
        x = torch.randn(1, self.shape[1] * self.shape[2], self.transformer.config.in_channels)
        for high, low in pairwise(self.levels[: interval + 1]):
            x = x + (low - high) * self._velocity(x, high, embeds)
        return x

    def _target(self, x: torch.Tensor, interval: int, embeds: torch.Tensor) -> torch.Tensor:
        """The teacher's mean velocity over an interval."""
        begin, end = self.levels[interval], self.levels[interval + 1]
        self.transformer.disable_adapters()
        y = x
        for high, low in pairwise(np.linspace(begin, end, SUB + 1)):
            told = self._velocity(y, float(high), embeds)
            untold = self._velocity(y, float(high), self.nothing)
            both = untold + GUIDANCE * (told - untold)
            y = y + float(low - high) * both * (told.norm(dim=-1, keepdim=True) / both.norm(dim=-1, keepdim=True))
        self.transformer.enable_adapters()
        return (y - x) / (end - begin)


def _tensors(transformer: QwenImageTransformer2DModel, modules: list[str], alpha: float, good: Tensors) -> Tensors:
    made: Tensors = {}
    for name in modules:
        module = transformer.get_submodule(name)
        for ending, factor in ((".lora_down.weight", module.lora_A), (".lora_up.weight", module.lora_B)):
            values = factor["default"].weight.detach().numpy().astype(np.float32)
            made[name + ending] = Tensor(values=values, dtype=good[name + ending].dtype)
        made[f"{name}.alpha"] = Tensor(values=np.array(alpha, np.float32), dtype="F32")
    return made
