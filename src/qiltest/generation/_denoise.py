"""The denoise loop, which is the pipeline's own: called with embeddings, stopped before decoding, counted and timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from qiltest.generation._device import StepClock
from qiltest.generation._prompts import Embedding
from qiltest.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class LoopResult:
    """Packed latents (pictures, tokens, channels), times in seconds, and transformer forwards."""

    latents: torch.Tensor
    step_seconds: tuple[float, ...]
    seconds: float
    #: seconds in which threads of this process waited for a core, all together.
    waited: float
    forwards: int


class _Forwards:
    """Counts the transformer's forwards and starts the clock at the first."""

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
    pipeline: Any,  # noqa: ANN401  QwenImagePipeline, untyped
    recipes: Sequence[Recipe],
    prompts: Sequence[Embedding],
    negative: Embedding | None,
    *,
    device: torch.device,
    on_step: Callable[[int, int], None] | None = None,
) -> LoopResult:
    """Denoise pictures together whose recipes differ in prompt and seed alone.

    Seeds are drawn by one torch.Generator a picture, on the recipe's generator device.
    """
    recipe, clock = recipes[0], StepClock(device)
    steps = recipe.steps

    def after_step(_pipeline: object, index: int, _t: object, _tensors: dict[str, Any]) -> dict[str, Any]:
        clock.step(last=index + 1 == steps)
        if on_step is not None:
            on_step(index + 1, steps)
        return {}

    embeds, mask = _stack(prompts)
    guidance = {} if negative is None else _negative(negative, len(recipes))
    with _counted(pipeline.transformer, clock) as forwards, torch.no_grad():
        latents = pipeline(
            prompt_embeds=embeds,
            prompt_embeds_mask=mask,
            **guidance,
            true_cfg_scale=recipe.true_cfg_scale,
            width=recipe.effective.width,
            height=recipe.effective.height,
            num_inference_steps=steps,
            max_sequence_length=recipe.max_sequence_length,
            generator=[_noise(one, device) for one in recipes],
            callback_on_step_end=after_step,
            output_type="latent",
        ).images
    return LoopResult(
        latents=latents, step_seconds=clock.steps, seconds=clock.total, waited=clock.waited, forwards=forwards.count
    )


def _noise(recipe: Recipe, device: torch.device) -> torch.Generator:
    """Return the generator of a picture's noise; "cuda" means the very GPU that draws."""
    where = device if device.type == recipe.generator_device else torch.device(recipe.generator_device)
    return torch.Generator(where).manual_seed(recipe.seed)


def _stack(prompts: Sequence[Embedding]) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad embeddings with zeros to the longest, as the pipeline does; the mask is 1 for real tokens."""
    longest = max(prompt.tokens for prompt in prompts)
    embeds = torch.stack([_padded(prompt.embeds[0], longest) for prompt in prompts])
    ones = (torch.ones_like(prompt.embeds[0, :, 0], dtype=torch.long) for prompt in prompts)
    mask = torch.stack([_padded(row, longest) for row in ones])
    return embeds, mask


def _padded(rows: torch.Tensor, length: int) -> torch.Tensor:
    return torch.cat([rows, rows.new_zeros(length - rows.shape[0], *rows.shape[1:])])


def _negative(negative: Embedding, pictures: int) -> dict[str, torch.Tensor]:
    embeds, mask = _stack([negative] * pictures)
    return {"negative_prompt_embeds": embeds, "negative_prompt_embeds_mask": mask}
