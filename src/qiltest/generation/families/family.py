"""The protocol of a family: all that differs between the models of one diffusers pipeline class and those of another.

A family is one file of this folder. What needs torch or diffusers is imported inside the methods that generate.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from qiltest.lora.bases import Base
from qiltest.recipe import Prompt, Recipe, Scalar, Size

if TYPE_CHECKING:
    import torch


class Family(Protocol):
    """One family. Derive your own class from this one; what has a default here is as Qwen-Image has it."""

    #: as in `variants.toml` and messages.
    name: ClassVar[str]
    #: the pipeline's class, as `_class_name` of a model's `model_index.json`.
    pipeline: ClassVar[str]
    #: a release of it, by its id on the hub: for remedies, and the one whose sizes random weights have.
    release: ClassVar[str]
    #: the class of each part that has files, by its folder; a tokenizer's `Fast` twin is meant too.
    classes: ClassVar[Mapping[str, str]]
    #: the part that has the tokenizer's vocabulary.
    vocabulary: ClassVar[str] = "tokenizer"
    #: the release's own scheduler config, for random weights.
    scheduler: ClassVar[Mapping[str, Scalar]]
    #: pixels; the pipeline floors width and height to multiples of it.
    size_multiple: ClassVar[int] = 16
    #: pixels of a side that one token of the latent sequence covers, from which the scheduler's shift is computed.
    token_side: ClassVar[int] = 16
    #: prefixes of the text encoder's weights that encode no prompt: they may be absent, each as a whole.
    unused: ClassVar[tuple[str, ...]] = ("lm_head.", "model.visual.")
    #: the most tokens of a prompt that can be asked for, cut silently by the pipeline; 0: it cuts none.
    longest_prompt: ClassVar[int] = 0
    #: images that are given beside the prompt: 0 for a model of text alone, which then takes none.
    most_inputs: ClassVar[int] = 0

    @property
    def components(self) -> tuple[str, ...]:
        """The parts that have files, each a folder of its name."""
        return tuple(self.classes)

    def tokens(self, size: Size) -> int:
        """Return the length of the latent sequence of an image."""
        return (size.width // self.token_side) * (size.height // self.token_side)

    @abstractmethod
    def base(self) -> Base:
        """Return the modules of the release's transformer, by which LoRA files are checked."""

    @abstractmethod
    def base_of_folder(self, folder: Path, *, name: str) -> Base:
        """Return the modules of a folder's transformer, by its config. Raises RecipeError."""

    @abstractmethod
    def assemble(self, **parts: Any) -> Any:  # noqa: ANN401  a diffusers pipeline, untyped
        """Return the pipeline of some parts; each that is not given is None."""

    @abstractmethod
    def load_vocabulary(self, folder: Path) -> Mapping[str, Any]:
        """Load what prompts are turned into tokens by: (name of the part, object). `folder` is the model's."""

    @abstractmethod
    def template(self) -> str:
        """Return the installed pipeline's prompt template with all else by which it decides an embedding."""

    def prompt_tokens(self, pipeline: Any, prompt: str) -> tuple[list[int], int]:  # noqa: ANN401
        """Return the ids of a prompt's tokens in its template, and how many of them the pipeline drops at the start.

        Asked only of a family that cuts prompts.
        """
        return [], 0

    @abstractmethod
    def encode(self, pipeline: Any, prompt: Prompt, *, device: torch.device, longest: int) -> torch.Tensor:  # noqa: ANN401
        """Return a prompt's embedding, shape (1, tokens, channels), by the pipeline's own function."""

    @abstractmethod
    def arguments(self, recipe: Recipe, prompt: torch.Tensor, negative: torch.Tensor | None) -> dict[str, Any]:
        """Return the pipeline's arguments that are its own: embeddings, guidance, input images."""

    def around(self, recipe: Recipe, *, embedded: bool) -> AbstractContextManager[None]:
        """Return what surrounds a call of the pipeline; `embedded` is True for the embedded model."""
        del recipe, embedded
        return nullcontext()

    def read_tokens(self, prompt: Prompt) -> int:
        """Return how many tokens the text encoder makes of a prompt's images."""
        del prompt
        return 0

    @abstractmethod
    def decode(self, pipeline: Any, latents: torch.Tensor, size: Size) -> torch.Tensor:  # noqa: ANN401
        """Decode the loop's latents as the pipeline does: shape (1, channels, height, width), from -1 to 1."""

    def text_width(self, base: Base) -> int:
        """Return the channels of a prompt's embedding."""
        return base.joint_attention_dim

    def image_operations(self, base: Base, recipe: Recipe, *, text_tokens: int, negative_tokens: int) -> int:
        """Return the operations of all forwards of an image (`random.operations` says what counts)."""
        from qiltest.generation.random.operations import image_operations

        return image_operations(base, recipe, text_tokens=text_tokens, negative_tokens=negative_tokens)

    def lora_rank(self, recipe: Recipe) -> int:
        """Return the rank of a LoRA that is computed beside the weights; 0 for none."""
        return 0 if recipe.lora is None or recipe.lora.merged else recipe.lora.rank

    def random_configs(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the configs of the random model's transformer and VAE; empty ones are the release's sizes."""
        return {"transformer": {}, "vae": {}}
