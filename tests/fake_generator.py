"""A generator of plain images for workers, importable by name in another process: milliseconds, and no torch."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from builders import recipe as built
from qiltest.errors import GenerationError
from qiltest.generation.images import encode_png
from qiltest.generation.records import Denoised, Generation, Generator, LatentStats, Timing
from qiltest.recipe import Recipe, Size
from qiltest.suite.cases import Case
from qiltest.suite.variants import Variant


@dataclass
class FakeGenerator(Generator):
    """Denoises in `wait` seconds, and says `seconds`; a file named after a stage in `faults` has it act, once."""

    wait: float = 0.0
    seconds: float = 0.5
    versions: tuple[tuple[str, str], ...] = (("torch", "2.14.1"),)
    #: seeds whose images are errors of their own.
    broken: frozenset[int] = frozenset()
    faults: Path | None = None
    cpu: bool = True
    prepared: list[str] = field(default_factory=list)
    on_step: Callable[[int, int], None] | None = None

    model, is_tiny, judges_text = "fake", False, True

    @property
    def on_cpu(self) -> bool:
        return self.cpu

    def __post_init__(self) -> None:
        self._act("load")

    def recipe(self, case: Case, size: Size, variant: Variant, seed: int) -> Recipe:
        prompt = variant.prompt(case.prompt, case.language)
        return built(
            model=self.model, variant=variant.name, steps=variant.steps, prompt=prompt, seed=seed, size=size,
            versions=self.versions, sigmas=tuple(1 - i / variant.steps for i in range(variant.steps)),
        )  # fmt: skip

    def prepare(self, prompts):
        self._act("prepare")
        self.prepared += prompts

    def report_steps(self, on_step):
        self.on_step = on_step

    def denoise(self, recipe: Recipe) -> Denoised:
        self._act("denoise")
        for step in range(recipe.steps):
            time.sleep(self.wait / recipe.steps)
            if self.on_step is not None:
                self.on_step(step + 1, recipe.steps)
        if recipe.seed in self.broken:
            raise GenerationError(f"seed {recipe.seed} holds NaN", remedy="use bfloat16")
        steps = (self.seconds / recipe.steps,) * recipe.steps
        timing = Timing(step_seconds=steps, denoise_seconds=self.seconds, decode_seconds=0.0, forwards=recipe.nfe)
        return Denoised(recipe=recipe, latents=object(), timing=timing, latents_sha256=recipe.key())

    def decode(self, denoised: Denoised) -> Generation:
        self._act("decode")
        recipe = denoised.recipe
        rng = np.random.default_rng(int(recipe.key()[:8], 16))
        png = encode_png(rng.integers(0, 255, (recipe.effective.height, recipe.effective.width, 3), np.uint8))
        return Generation(
            recipe=recipe,
            png=png,
            sha256=hashlib.sha256(png).hexdigest(),
            timing=replace(denoised.timing, decode_seconds=0.01),
            latents=LatentStats(mean=0.0, std=1.0, minimum=-3.0, maximum=3.0),
        )

    def _act(self, stage: str) -> None:
        """Die or hang where a file says so; whoever takes the file away does it, so that it happens once."""
        for action in ("kill", "hang"):
            path = None if self.faults is None else self.faults / f"{stage}-{action}"
            if path is not None and path.exists():
                path.unlink(missing_ok=True)
                if action == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(600)


class Places(FakeGenerator):
    """Its name says where it was opened."""

    def __post_init__(self) -> None:
        visible, cores = os.environ.get("CUDA_VISIBLE_DEVICES"), os.sched_getaffinity(0)
        self.model = f"{visible} on {cores}, {os.getpid()}"


class Unpickled(FakeGenerator):
    """Raises an error that cannot travel."""

    def __post_init__(self) -> None:
        class LocalError(Exception):
            pass

        raise LocalError("Unpickled")
