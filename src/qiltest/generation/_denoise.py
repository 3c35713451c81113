"""Run a pipeline's own denoise loop from embeddings to latents; count its forwards and time it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from qiltest.generation._device import StepClock
from qiltest.generation._prompts import Embedding
from qiltest.generation.families import Family
from qiltest.generation.records import Timing
from qiltest.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class LoopResult:
    """Latents as the pipeline returns them, and the time of the loop."""

    latents: torch.Tensor
    timing: Timing
    #: seconds in which threads of this process waited for a core, all together.
    waited: float


class _Forwards:
    """Count the transformer's forwards, and start the clock at the first."""

    def __init__(self, clock: StepClock) -> None:
        self.count = 0
        self._clock = clock

    def __call__(self, _module: torch.nn.Module, _inputs: Any) -> None:  # noqa: ANN401  torch's hook
        if self.count == 0:
            self._clock.start()
        self.count += 1


@contextmanager
def _counted(transformer: torch.nn.Module, clock: StepClock) -> Iterator[_Forwards]:
    forwards = _Forwards(clock)
    handle = transformer.register_forward_pre_hook(forwards)
    try:
        yield forwards
    finally:
        handle.remove()


def run_loop(
    family: Family,
    pipeline: Any,  # noqa: ANN401  a diffusers pipeline, untyped
    recipe: Recipe,
    prompt: Embedding,
    negative: Embedding | None,
    *,
    device: torch.device,
    on_step: Callable[[int, int], None] | None = None,
) -> LoopResult:
    """Run the pipeline's loop for one image; its noise comes from the recipe's seed and generator device."""
    clock, steps = StepClock(device), recipe.steps

    def after_step(_pipeline: object, index: int, _t: object, _tensors: dict[str, Any]) -> dict[str, Any]:
        clock.step(last=index + 1 == steps)
        if on_step is not None:
            on_step(index + 1, steps)
        return {}

    with _counted(pipeline.transformer, clock) as forwards, torch.no_grad():
        latents = pipeline(
            **family.arguments(recipe, prompt.embeds, None if negative is None else negative.embeds),
            width=recipe.effective.width,
            height=recipe.effective.height,
            num_inference_steps=steps,
            **({"sigmas": list(recipe.given_sigmas)} if recipe.given_sigmas else {}),
            generator=[_noise(recipe, device)],
            callback_on_step_end=after_step,
            output_type="latent",
        ).images
    timing = Timing(step_seconds=clock.steps, denoise_seconds=clock.total, decode_seconds=0.0, forwards=forwards.count)
    return LoopResult(latents=latents, timing=timing, waited=clock.waited)


def _noise(recipe: Recipe, device: torch.device) -> torch.Generator:
    """Return the generator of an image's noise; "cuda" means the GPU that generates."""
    where = device if device.type == recipe.generator_device else torch.device(recipe.generator_device)
    return torch.Generator(where).manual_seed(recipe.seed)
