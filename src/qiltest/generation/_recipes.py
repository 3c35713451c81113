"""Build recipes before anything is generated, and check the generator against them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.models.attention_dispatch import _AttentionBackendRegistry
from diffusers.pipelines.qwenimage.pipeline_qwenimage import calculate_shift, retrieve_timesteps

from qiltest.errors import ModelError, RecipeError
from qiltest.files import stamp
from qiltest.generation._compile import compiled_versions
from qiltest.generation._device import device_name
from qiltest.generation._errors import first_line
from qiltest.generation._load import RANDOM_SEED, RANDOM_STD, scheduler_config, versions
from qiltest.generation.ahead import Ahead
from qiltest.generation.identity import whole_sha256
from qiltest.generation.lora_faults import check_hash, check_inspection
from qiltest.generation.schedule import SchedulerConfig, as_tuple, check_sigmas, config_of
from qiltest.generation.settings import Settings
from qiltest.generation.sources import RANDOM_LORA, ModelSource, base_of, base_option, resolve_lora
from qiltest.generation.variant_faults import check_inputs, check_numbers, check_variant
from qiltest.lora import Base, LoraReport
from qiltest.recipe import LoraRecipe, Recipe, Size
from qiltest.suite.cases import Case
from qiltest.suite.variants import LoraSource, SchedulerKind, Variant

#: rank of the LoRAs that stand in for the released ones where weights are random: that of the Lightning files.
RANDOM_RANK = 64
_LONGEST = {True: 1024, False: 512}


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The fields that all recipes of a generator share; it refuses a recipe where one differs."""

    model: str
    model_revision: str
    model_sha256: str
    model_parts: tuple[tuple[str, str], ...]
    max_sequence_length: int
    generator_device: str
    dtype: str
    device: str
    attention_backend: str
    compiled: bool
    offload: str
    versions: tuple[tuple[str, str], ...]


class RecipeBuilder:
    """Builds recipes for one model on one device."""

    def __init__(
        self,
        source: ModelSource,
        settings: Settings,
        device: torch.device,
        dtype: torch.dtype,
        ahead: Ahead | None = None,
    ) -> None:
        """`ahead` may have begun hashing and inspecting; None: nobody has."""
        self._source, self._settings = source, settings
        self._ahead = ahead or Ahead(source)
        self.base = base_of(source)
        self._own_scheduler = scheduler_config(source)
        self._sample_sigmas = source.sample_sigmas
        self._inspected: dict[Path, tuple[tuple[int, ...], LoraReport]] = {}
        parts = self._ahead.parts()
        self.environment = Environment(
            model=source.model,
            model_revision=source.revision,
            model_sha256=whole_sha256(parts) if parts else _random_sha256(self.base),
            model_parts=tuple(sorted(parts)),
            max_sequence_length=_longest_prompt(source, settings),
            # the embedded model's goldens are valid on every machine, so its noise is the same on all
            generator_device="cpu" if source.is_tiny else device.type,
            dtype=_dtype_name(dtype, settings),
            device=device_name(device),
            attention_backend=str(_AttentionBackendRegistry.get_active_backend()[0].value),
            compiled=settings.compiled,
            offload=str(settings.offload),
            versions=tuple(sorted([*versions(), *(compiled_versions() if settings.compiled else ())])),
        )

    def build(self, case: Case, size: Size, variant: Variant, seed: int) -> Recipe:
        """Return an image's recipe. Raises RecipeError where the variant cannot be generated."""
        check_variant(variant, self._source.base)
        check_numbers(size, seed)
        check_inputs(case.id, len(case.inputs), self._source.family)
        effective = size.effective(self._source.family.size_multiple)
        given = self._given_sigmas(variant)
        with self._own_settings(variant):
            scheduler = self.scheduler(variant)
            config = as_tuple(scheduler.config, type(scheduler).__name__)
            sigmas = sigmas_of(scheduler, variant.steps, self._source.family.tokens(effective), given)
        guided = variant.true_cfg_scale > 1
        return Recipe(
            **vars(self.environment),
            variant=variant.name,
            lora=self._lora(variant),
            scheduler=config,
            sigmas=sigmas,
            given_sigmas=given,
            steps=variant.steps,
            true_cfg_scale=variant.true_cfg_scale,
            negative_prompt=variant.negative_prompt if guided else None,
            prompt=variant.prompt(case.prompt, case.language),
            inputs=case.inputs,
            seed=seed,
            asked=size,
            effective=effective,
        )

    def check(self, recipe: Recipe) -> None:
        """Raise RecipeError unless this generator is the one that the recipe was built by."""
        pairs = ((name, getattr(recipe, name), own) for name, own in vars(self.environment).items())
        other = [f"{name} {seen!r} (here {own!r})" for name, seen, own in pairs if seen != own]
        if other:
            raise RecipeError(
                f"the recipe was built for another generator: {', '.join(other)}",
                where=recipe.variant,
                remedy="build the recipe with this generator",
            )

    def scheduler(self, variant: Variant) -> FlowMatchEulerDiscreteScheduler:
        """Return a new scheduler with a variant's settings. Raises RecipeError where it drops a setting."""
        config = config_of(variant, self._own_scheduler)
        made = FlowMatchEulerDiscreteScheduler.from_config(config)
        check_scheduler(made, as_tuple({**made.config, **config}, FlowMatchEulerDiscreteScheduler.__name__))
        return made

    def _given_sigmas(self, variant: Variant) -> tuple[float, ...]:
        """Return the sigmas that the pipeline is given: the variant's, else those that the model's release names."""
        own = () if variant.scheduler is SchedulerKind.LIGHTNING else self._sample_sigmas
        if variant.sigmas or not own:
            return variant.sigmas
        if len(own) != variant.steps:
            raise RecipeError(
                f"it takes {variant.steps} steps, and the model's model_index.json has sample_sigmas for {len(own)}",
                where=f"variant {variant.name}",
                remedy=f"steps = {len(own)}, or sigmas of its own",
            )
        return own

    @contextmanager
    def _own_settings(self, variant: Variant) -> Iterator[None]:
        """Raise what diffusers raises for settings of the model's own scheduler that it cannot compute with.

        That is a RecipeError where the variant changes them, and a ModelError, which ends the session, elsewhere.
        """
        try:
            yield
        except (
            TypeError,
            ValueError,
            LookupError,
            ArithmeticError,
            RuntimeError,
            AttributeError,
            AssertionError,
        ) as error:
            if variant.scheduler is SchedulerKind.LIGHTNING:
                raise
            if variant.scheduler is SchedulerKind.SETTINGS:
                raise RecipeError(
                    f"its scheduler cannot be used: {first_line(error)}",
                    where=f"variant {variant.name}",
                    remedy="correct the settings in its scheduler; the others are those of the model's own",
                ) from error
            raise ModelError(
                f"its scheduler cannot be used: {first_line(error)}",
                where=self._source.name,
                remedy="compare scheduler/scheduler_config.json with the release's",
            ) from error

    def inspected(self, source: str) -> tuple[Path, LoraReport]:
        """Return a LoRA's file and its inspection, cached until the file changes. Raises RecipeError."""
        path = resolve_lora(source, model=self._source, download=self._settings.download)
        now = stamp(path.stat())
        known = self._inspected.get(path)
        if known is None or known[0] != now:
            known = (now, self._ahead.inspection(path, now, self.base))
            self._inspected[path] = known
        partial = self._settings.allow_partial_lora
        check_inspection(known[1], base=base_option(self._source), allow_partial=partial)
        return path, known[1]

    def _lora(self, variant: Variant) -> LoraRecipe | None:
        lora = variant.lora(self._source.kind)
        if lora is None:
            if variant.loras:
                raise RecipeError(
                    f"it has no LoRA for the {self._source.kind.value} model",
                    where=f"variant {variant.name}",
                    remedy=f"choose another variant, or give [{variant.name}.loras] {self._source.kind.value} = ...",
                )
            return None
        apart = self._settings.keeps_weights_apart
        if apart and not self._merges(variant):
            raise RecipeError(
                f"a LoRA beside the weights cannot be combined with {apart}, which keeps them elsewhere or in float8",
                where=f"variant {variant.name}",
                remedy="merged = true in variants.toml, or --qil-merge=yes, which merges the LoRA into the weights",
            )
        if self._source.is_random and "::" in lora.source:
            return _random_lora(lora.source, merged=self._merges(variant))
        return self._file_lora(lora, variant)

    def _file_lora(self, lora: LoraSource, variant: Variant) -> LoraRecipe:
        _, report = self.inspected(lora.source)
        base = None if self._source.base is None else self._source.base.id
        check_hash(report.sha256, lora, variant, base)
        return LoraRecipe(
            source=lora.source,
            sha256=report.sha256,
            rank=report.ranks[-1],
            scale=report.scales[-1],
            merged=self._merges(variant),
            strength=lora.strength,
        )

    def _merges(self, variant: Variant) -> bool:
        asked = self._settings.merge
        return variant.merged if asked is None else asked


def sigmas_of(
    scheduler: Any,  # noqa: ANN401  any scheduler
    steps: int,
    tokens: int,
    given: tuple[float, ...] = (),
) -> tuple[float, ...]:
    """Return the sigmas that a pipeline will use for a latent sequence of `tokens`, by its own functions.

    `given` are the sigmas that it is given, (): its own.

    Raises RecipeError where they are not finite (one step with a terminal shift divides by zero) or differ from the
    config's formula.
    """
    config = scheduler.config
    shift = calculate_shift(
        tokens,
        config.get("base_image_seq_len", 256),
        config.get("max_image_seq_len", 4096),
        config.get("base_shift", 0.5),
        config.get("max_shift", 1.15),
    )
    linear = list(given) or np.linspace(1.0, 1 / steps, steps)
    with np.errstate(divide="ignore", invalid="ignore"):
        retrieve_timesteps(scheduler, steps, "cpu", sigmas=linear, mu=shift)
    sigmas = tuple(float(sigma) for sigma in scheduler.sigmas[:-1])
    check_sigmas(sigmas, as_tuple(config, type(scheduler).__name__), steps=steps, image_tokens=tokens, given=given)
    return sigmas


def check_scheduler(live: Any, wanted: SchedulerConfig) -> None:  # noqa: ANN401  any scheduler
    """Raise RecipeError unless a live scheduler's config is the recipe's, naming each difference."""
    seen, asked = dict(as_tuple(live.config, type(live).__name__)), dict(wanted)
    other = [name for name in sorted(seen.keys() | asked.keys()) if seen.get(name) != asked.get(name)]
    if other:
        shown = ", ".join(f"{name} {seen.get(name)!r} instead of {asked.get(name)!r}" for name in other)
        raise RecipeError(f"the scheduler's settings differ from the recipe: {shown}")


def _dtype_name(dtype: torch.dtype, settings: Settings) -> str:
    """Return the dtype of computing, and that of storage where it is another: such a model generates other images."""
    name = str(dtype).removeprefix("torch.")
    return f"{name} (weights in float8_e4m3fn)" if settings.fp8 else name


def _longest_prompt(source: ModelSource, settings: Settings) -> int:
    """Return the tokens of a prompt that are used; 0 where the pipeline cuts none."""
    family = source.family
    return (settings.max_sequence_length or _LONGEST[source.is_tiny]) if family.longest_prompt else 0


def _random_sha256(base: Base) -> str:
    return hashlib.sha256(f"random {base!r} seed {RANDOM_SEED} std {RANDOM_STD}".encode()).hexdigest()


def _random_lora(named: str, *, merged: bool) -> LoraRecipe:
    """Return the stand-in for a released file, a different one for each."""
    source = f"{RANDOM_LORA}{RANDOM_RANK} for {named}"
    digest = hashlib.sha256(source.encode()).hexdigest()
    return LoraRecipe(source=source, sha256=digest, rank=RANDOM_RANK, scale=1.0, merged=merged)
