"""Generate with diffusers in this process: one pipeline, loaded once, for all variants."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from qiltest.errors import DeviceError, RecipeError
from qiltest.generation._decode import decode_latents, latent_stats, place, tensor_sha256
from qiltest.generation._denoise import LoopResult, run_loop
from qiltest.generation._device import choose_device, choose_dtype, measured_matrix_rate
from qiltest.generation._errors import translated
from qiltest.generation._load import base_weights, load_image_stage, load_text_stage
from qiltest.generation._lora import LoraAdapters
from qiltest.generation._merge import MergedLora, file_factors
from qiltest.generation._prompts import Embedding, EmbeddingCache
from qiltest.generation._recipes import RecipeBuilder, check_scheduler, sigmas_of
from qiltest.generation.images import finish
from qiltest.generation.random.lora import random_factors, random_lora
from qiltest.generation.random.prompts import RandomPrompts
from qiltest.generation.records import Decoded, Denoised, Generation, Generator
from qiltest.generation.settings import Settings
from qiltest.generation.sources import RANDOM_LORA, ModelSource
from qiltest.hashing import cache_folder
from qiltest.lora import LoraReport
from qiltest.recipe import LoraRecipe, Prompt, Recipe, Size
from qiltest.suite.cases import Case
from qiltest.suite.variants import Variant

#: steps that a warm-up takes: the model's own scheduler divides by zero with one.
WARM_STEPS = 2


class DiffusersGenerator(Generator):
    """Generates with the pipeline of the model's family. See `records.Generator` for the meaning of each method."""

    def __init__(self, source: ModelSource, settings: Settings) -> None:
        self._source, self._settings, self._family = source, settings, source.family
        self._device = choose_device(settings, source.kind)
        self._dtype = choose_dtype(settings, self._device, source.kind)
        if settings.threads is not None:
            if settings.threads < 1:
                raise DeviceError(f"threads={settings.threads}", remedy="give 1 or more")
            torch.set_num_threads(settings.threads)
        #: peak bytes allocated on the device, by stage ("encode", "load", "denoise", "decode"); empty on the CPU.
        self.peaks: dict[str, int] = {}

    @property
    def model(self) -> str:
        """Name of the model: of what it is, not of where its folder lies."""
        return self._source.model

    @property
    def is_tiny(self) -> bool:
        """True for the embedded model."""
        return self._source.is_tiny

    @property
    def judges_text(self) -> bool:
        """False where the weights are random."""
        return not self._source.is_random

    @property
    def on_cpu(self) -> bool:
        """True where images are generated on the CPU."""
        return self._device.type == "cpu"

    def recipe(self, case: Case, size: Size, variant: Variant, seed: int) -> Recipe:
        """Return the recipe of an image without generating it or loading weights. Raises RecipeError."""
        return self._recipes.build(case, size, variant, seed)

    def prepare(self, prompts: Iterable[Prompt]) -> None:
        """Encode prompts (and negative prompts) once; then free the text encoder where that is set."""
        with self._stage("encode"):
            self._prompts.encode(prompts)
        if self._frees_text_encoder:
            self.free_text_encoder()

    def free_text_encoder(self) -> None:
        """Give the text encoder's memory back; a prompt that is not known yet loads it again."""
        self._prompts.free()

    def denoise(self, recipe: Recipe) -> Denoised:
        """Run the denoise loop. Raises RecipeError, GenerationError, OutOfMemoryError."""
        self._recipes.check(recipe)
        prompt, negative = self._embeddings(recipe)
        with self._stage("load"):
            pipeline = self._pipeline
            self._switch(recipe)
        with self._stage("denoise"), translated(f"denoising {place(recipe)}"), self._around(recipe):
            result = run_loop(
                self._family, pipeline, recipe, prompt, negative, device=self._device, on_step=self._settings.on_step
            )
        self._check_loop(recipe, result)
        latent_stats(result.latents, recipe)
        return Denoised(
            recipe=recipe,
            latents=result.latents,
            timing=result.timing,
            latents_sha256=tensor_sha256(result.latents),
            waited_seconds=result.waited,
        )

    def warm_up(self, recipe: Recipe) -> None:
        """Run `WARM_STEPS` steps of a recipe and forget them. Raises as `denoise` does."""
        self._recipes.check(recipe)
        prompt, negative = self._embeddings(recipe)
        with self._stage("load"):
            self._switch(recipe)
        steps = min(WARM_STEPS, recipe.steps)
        short = replace(recipe, steps=steps, given_sigmas=recipe.given_sigmas[:steps])
        with self._stage("denoise"), translated(f"warming up {place(recipe)}"), self._around(recipe):
            run_loop(self._family, self._pipeline, short, prompt, negative, device=self._device)

    def decode(self, denoised: Denoised) -> Generation:
        """Decode latents to an image. Raises GenerationError for a NaN or blank image."""
        return finish(self.decode_pixels(denoised))

    def decode_pixels(self, denoised: Denoised) -> Decoded:
        """Decode latents to pixels; `images.finish` does the rest, in any thread."""
        recipe = denoised.recipe
        stats = latent_stats(denoised.latents, recipe)
        with self._stage("decode"), translated(f"decoding {place(recipe)}"):
            pixels, seconds = decode_latents(
                self._family, self._pipeline, denoised.latents, recipe, device=self._device
            )
        return Decoded(
            recipe=recipe,
            pixels=pixels,
            timing=replace(denoised.timing, decode_seconds=seconds),
            latents=stats,
            judges_text=self.judges_text,
        )

    def matrix_rate(self) -> float:
        """Return the device's measured matrix rate in the model's dtype, operations a second."""
        with translated("measuring the matrix rate"):
            return measured_matrix_rate(self._device, self._dtype)

    def close(self) -> None:
        """Give the device's memory back; the next image would load again."""
        for name in ("_pipeline", "_prompts", "_adapters", "_merged"):
            self.__dict__.pop(name, None)
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    @cached_property
    def _recipes(self) -> RecipeBuilder:
        return RecipeBuilder(self._source, self._settings, self._device, self._dtype)

    @cached_property
    def _prompts(self) -> EmbeddingCache | RandomPrompts:
        own = self._recipes.environment
        length, family = own.max_sequence_length, self._family
        if self._source.folder is None:
            width = family.text_width(self._recipes.base)
            return RandomPrompts(width, length, self._dtype, self._device, family.read_tokens)
        packages, parts = dict(own.versions), dict(own.model_parts)
        code = ("torch", "transformers", "diffusers", "qiltest-generation")
        identity: dict[str, str] = {
            "text_encoder": parts["text_encoder"],
            **{name: parts[name] for name in ("tokenizer", "processor") if name in parts},
            "template": family.template(),
            "encoder_code": " ".join(packages[name] for name in code),
            "dtype": own.dtype,
            "device": own.device,
        }
        return EmbeddingCache(
            lambda: load_text_stage(self._source, self._dtype, self._device, self._settings),
            family=family,
            identity=identity,
            max_sequence_length=length,
            may_lose_prose=self._source.is_tiny,
            device=self._device,
            folder=self._embeddings_folder,
        )

    @property
    def _embeddings_folder(self) -> Path | None:
        if self._settings.embeddings is not None or self.is_tiny:
            return self._settings.embeddings
        return cache_folder() / "embeddings"

    @property
    def _frees_text_encoder(self) -> bool:
        free = self._settings.free_text_encoder
        return not self.is_tiny if free is None else free

    @cached_property
    def _pipeline(self) -> Any:  # noqa: ANN401  a diffusers pipeline, untyped
        pipeline = load_image_stage(self._source, self._dtype, self._device, self._settings)
        if self._settings.compiled:
            torch._dynamo.config.cache_size_limit = 64  # each size and each LoRA is compiled once
            pipeline.transformer.compile_repeated_blocks()
        return pipeline

    @cached_property
    def _adapters(self) -> LoraAdapters:
        return LoraAdapters(self._pipeline, self._recipes.base)

    @cached_property
    def _merged(self) -> MergedLora:
        transformer = self._pipeline.transformer
        weights = base_weights(self._source, transformer, self._dtype, self._device)
        return MergedLora(transformer, weights, self._dtype, self._device)

    def _embeddings(self, recipe: Recipe) -> tuple[Embedding, Embedding | None]:
        self.prepare(recipe.prompts)
        prompt, *negative = map(self._prompts.get, recipe.prompts)
        return prompt, negative[0] if negative else None

    def _around(self, recipe: Recipe) -> AbstractContextManager[None]:
        return self._family.around(recipe, embedded=self.is_tiny)

    def _switch(self, recipe: Recipe) -> None:
        """Switch to the recipe's scheduler and LoRA, and check the scheduler."""
        config = {name: value for name, value in recipe.scheduler if name != "class"}
        self._pipeline.scheduler = FlowMatchEulerDiscreteScheduler.from_config(config)
        check_scheduler(self._pipeline.scheduler, recipe.scheduler)
        tokens = self._family.tokens(recipe.effective)
        if sigmas_of(self._pipeline.scheduler, recipe.steps, tokens, recipe.given_sigmas) != recipe.sigmas:
            raise RecipeError("the scheduler's sigmas are not the recipe's", where=place(recipe))
        lora = recipe.lora
        if lora is None or lora.merged:
            self._adapters.switch(None)
            self._merge(lora)
        else:
            self._merged.switch(None)
            self._load_adapter(lora)
            self._adapters.switch(lora.sha256, lora.strength)

    def _merge(self, lora: LoraRecipe | None) -> None:
        """Merge a LoRA into the weights, or restore the base's own."""
        if lora is None:
            self._merged.switch(None)
        elif lora.sha256 != self._merged.active and lora.source.startswith(RANDOM_LORA):
            self._merged.switch(lora.sha256, lambda: random_factors(self._random_tensors(lora)))
        elif lora.delta != self._merged.active:
            path, report = self._inspected(lora)
            factors = partial(file_factors, path, self._recipes.base, report, strength=lora.strength)
            self._merged.switch(lora.delta, factors)

    def _load_adapter(self, lora: LoraRecipe) -> None:
        if lora.sha256 in self._adapters:
            return
        if lora.source.startswith(RANDOM_LORA):
            tensors = self._random_tensors(lora)
            self._adapters.load_tensors(
                lora.sha256, lora.source, lambda name: self._pipeline.load_lora_weights(tensors, adapter_name=name)
            )
        else:
            self._adapters.load(*self._inspected(lora))

    def _random_tensors(self, lora: LoraRecipe) -> dict[str, torch.Tensor]:
        seed = int(lora.sha256[:8], 16)
        return random_lora(self._recipes.base, lora.rank, self._dtype, self._device, seed=seed)

    def _inspected(self, lora: LoraRecipe) -> tuple[Path, LoraReport]:
        """Return a LoRA's file and its inspection. Raises RecipeError where it is no longer the recipe's."""
        path, report = self._recipes.inspected(lora.source)
        if report.sha256 != lora.sha256:
            raise RecipeError(
                f"the file's SHA-256 is {report.sha256}, the recipe's {lora.sha256}",
                where=str(path),
                remedy="the file was changed during the session; run again",
            )
        return path, report

    def _check_loop(self, recipe: Recipe, result: LoopResult) -> None:
        """Compare what the loop did with the recipe: forwards, steps, sigmas."""
        forwards, steps = result.timing.forwards, len(result.timing.step_seconds)
        if forwards != recipe.nfe or steps != recipe.steps:
            raise RecipeError(
                f"{forwards} transformer forwards in {steps} steps, the recipe requires {recipe.nfe} in {recipe.steps}",
                where=place(recipe),
                remedy="true CFG above 1 doubles the forwards; a cache or a callback may skip some",
            )
        sigmas = tuple(float(sigma) for sigma in self._pipeline.scheduler.sigmas[:-1].cpu())
        if sigmas != recipe.sigmas:
            raise RecipeError("the loop used other sigmas than the recipe's", where=place(recipe))

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Keep the largest peak of allocated device memory during a stage."""
        if self._device.type != "cuda":
            yield
            return
        torch.cuda.reset_peak_memory_stats(self._device)
        try:
            yield
        finally:
            peak = torch.cuda.max_memory_allocated(self._device)
            self.peaks[name] = max(self.peaks.get(name, 0), peak)
