"""Qwen-Image-Edit: Qwen-Image's transformer and VAE, which are given images beside the prompt.

The text encoder reads each image with the instruction, and its latents stand beside those of the new image. The first
release (`QwenImageEditPipeline`) takes one image, at the size of the new one for both; 2509 and 2511
(`QwenImageEditPlusPipeline`) take several, read at 384 x 384 and encoded at 1024 x 1024 pixels of area. What is special
about 2511 (`zero_cond_t`) is in its transformer's config.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from qiltest.generation.families.qwen_image import QwenImage
from qiltest.lora.bases import Base
from qiltest.recipe import EditPrompt, Prompt, Recipe, Size

if TYPE_CHECKING:
    import torch

_MODULES = "diffusers.pipelines.qwenimage.pipeline_qwenimage_"
#: pixels of area to which a pipeline scales an image: for the new image and the VAE, and as 2509 and 2511 read it.
AREA, READ_AREA = 1024 * 1024, 384 * 384
#: pixels of a side that one token of Qwen2.5-VL stands for.
_READ_SIDE = 28


def edit_size(image: tuple[int, int], area: int = AREA) -> Size:
    """Return the size that a pipeline gives an image of this width and height: of one area, in multiples of 32."""
    ratio = image[0] / image[1]
    width = math.sqrt(area * ratio)
    return Size(round(width / 32) * 32, round(width / ratio / 32) * 32)


class QwenImageEdit(QwenImage):
    """Qwen-Image-Edit (August 2025)."""

    name = "qwen-image-edit"
    pipeline = "QwenImageEditPipeline"
    release = "Qwen/Qwen-Image-Edit"
    classes: ClassVar[dict[str, str]] = {**QwenImage.classes, "processor": "Qwen2VLProcessor"}
    unused = ("lm_head.",)
    longest_prompt = 0
    most_inputs = 1
    #: area at which the text encoder reads an image.
    read_area: ClassVar[int] = AREA

    def assemble(self, **parts: Any) -> Any:  # noqa: ANN401
        """Return a pipeline of the family's class."""
        import diffusers

        return getattr(diffusers, self.pipeline)(**{**dict.fromkeys(self.components), **parts})

    def load_vocabulary(self, folder: Path) -> dict[str, Any]:
        """Load the tokenizer, and the processor that has one of its own and prepares images."""
        from transformers import Qwen2VLProcessor

        processor = Qwen2VLProcessor.from_pretrained(folder / "processor", local_files_only=True)
        return {**super().load_vocabulary(folder), "processor": processor}

    def encode(self, pipeline: Any, prompt: Prompt, *, device: torch.device, longest: int) -> torch.Tensor:  # noqa: ANN401
        """Encode an instruction with its images, whole."""
        assert isinstance(prompt, EditPrompt)
        assert not longest
        images = [_resized(pipeline, image.load(), self._read_size) for image in prompt.inputs]
        embeds: torch.Tensor = pipeline.encode_prompt(
            prompt=[prompt.text], image=self._given(images), device=device, max_sequence_length=1024
        )[0]
        return embeds

    def arguments(self, recipe: Recipe, prompt: torch.Tensor, negative: torch.Tensor | None) -> dict[str, Any]:
        """Return embeddings, true CFG and the images, which the pipeline scales and encodes with the VAE."""
        found = super().arguments(recipe, prompt, negative)
        del found["max_sequence_length"]
        return {**found, "image": self._given([image.load() for image in recipe.inputs])}

    @contextmanager
    def around(self, recipe: Recipe, *, embedded: bool) -> Iterator[None]:
        """Let the pipeline encode an image of the embedded model at its own area, with which that was trained."""
        module = self._module
        if not embedded or not hasattr(module, "VAE_IMAGE_SIZE"):
            yield
            return
        before = module.VAE_IMAGE_SIZE
        module.VAE_IMAGE_SIZE = math.prod(recipe.inputs[0].load().size)
        try:
            yield
        finally:
            module.VAE_IMAGE_SIZE = before

    def read_tokens(self, prompt: Prompt) -> int:
        """Return how many tokens the text encoder makes of a prompt's images."""
        inputs = prompt.inputs if isinstance(prompt, EditPrompt) else ()
        sizes = (edit_size(image.load().size, self.read_area) for image in inputs)
        return sum(round(size.width / _READ_SIDE) * round(size.height / _READ_SIDE) for size in sizes)

    def image_operations(self, base: Base, recipe: Recipe, *, text_tokens: int, negative_tokens: int) -> int:
        """Count as `QwenImage` does, with the latents of the input images in each forward."""
        from qiltest.generation.random.operations import image_operations

        beside = sum(self.tokens(edit_size(image.load().size)) for image in recipe.inputs)
        return image_operations(
            base, recipe, text_tokens=text_tokens, negative_tokens=negative_tokens, beside_tokens=beside
        )

    @property
    def _module(self) -> Any:  # noqa: ANN401  the pipeline's module, whose constants and functions decide sizes
        return importlib.import_module(f"{_MODULES}edit")

    def _read_size(self, image: tuple[int, int]) -> tuple[int, int]:
        """Return width and height at which the text encoder reads an image, by the pipeline's own function."""
        width, height, _ = self._module.calculate_dimensions(AREA, image[0] / image[1])
        return width, height

    def _given(self, images: list[Any]) -> Any:  # noqa: ANN401
        """Return images as the pipeline takes them: here one."""
        return images[0]


class QwenImageEditPlus(QwenImageEdit):
    """Qwen-Image-Edit-2509 and -2511."""

    name = "qwen-image-edit-plus"
    pipeline = "QwenImageEditPlusPipeline"
    release = "Qwen/Qwen-Image-Edit-2511"
    most_inputs = 3
    read_area = READ_AREA

    @property
    def _module(self) -> Any:  # noqa: ANN401
        return importlib.import_module(f"{_MODULES}edit_plus")

    def _read_size(self, image: tuple[int, int]) -> tuple[int, int]:
        width, height = self._module.calculate_dimensions(self._module.CONDITION_IMAGE_SIZE, image[0] / image[1])
        return width, height

    def _given(self, images: list[Any]) -> Any:  # noqa: ANN401
        return images


def _resized(pipeline: Any, image: Any, size_of: Any) -> Any:  # noqa: ANN401
    width, height = size_of(image.size)
    return pipeline.image_processor.resize(image, height, width)
