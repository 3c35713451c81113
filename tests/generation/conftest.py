"""One stand-in model for all tests of generation, and cases and variants to draw with it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import QwenImagePipeline

import builders as make
from qiltest.generation import Settings, open_generator
from qiltest.generation._generator import DiffusersGenerator
from qiltest.recipe import Recipe, Size
from qiltest.suite.cases import Case
from qiltest.suite.variants import LoraSource, ModelKind, SchedulerKind, Variant

from .stand_in import build

SIZE = Size(64, 48)
BASE = make.variant(
    "base",
    steps=3,
    true_cfg_scale=4.0,
    negative_prompt=" ",
    scheduler=SchedulerKind.MODEL,
    prompt_suffix=(("en", ", 4K."),),
)
EIGHT = make.variant("8step", steps=2, loras=(("tiny", LoraSource(source="embedded::8step")),))
FOUR = replace(EIGHT, name="4step", loras=(("tiny", LoraSource(source="embedded::4step")),))


def case(prompt: str = "a sign that reads “Hello 云 42”") -> Case:
    return make.case("sign", prompt=prompt, texts=(), resolutions=())


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """One thread: the stand-in is too small for more, and the same sums are added in the same order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("model") / "stand-in")


@pytest.fixture(scope="session")
def generator(folder: Path) -> DiffusersGenerator:
    """Shared by tests that leave it as they found it."""
    return open_generator(str(folder), kind=ModelKind.TINY)


@pytest.fixture
def fresh(folder: Path) -> Callable[..., DiffusersGenerator]:
    """Open a generator of one's own, with options."""
    return lambda kind=ModelKind.TINY, **options: open_generator(str(folder), Settings(**options), kind=kind)


@pytest.fixture(scope="session")
def plain(folder: Path) -> QwenImagePipeline:
    """The pipeline as anybody would load it."""
    pipeline = QwenImagePipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="session")
def recipe(generator: DiffusersGenerator) -> Callable[..., Recipe]:
    """Build a recipe of the shared generator."""

    def recipe_of(variant: Variant = BASE, *, prompt: str | None = None, size: Size = SIZE, seed: int = 42) -> Recipe:
        return generator.recipe(case(prompt) if prompt else case(), size, variant, seed)

    return recipe_of


def asked_of(recipe) -> dict[str, object]:
    """What plain diffusers is asked for an image of a recipe, in the words that all pipelines have in common."""
    return {
        "prompt": recipe.prompt,
        "negative_prompt": recipe.negative_prompt,
        "true_cfg_scale": recipe.true_cfg_scale,
        "num_inference_steps": recipe.steps,
        "width": recipe.asked.width,
        "height": recipe.asked.height,
        "generator": torch.Generator("cpu").manual_seed(recipe.seed),
    }
