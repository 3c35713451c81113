"""The `Generator` protocol and the records it returns. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from qiltest.recipe import Prompt, Recipe, Size
from qiltest.suite.cases import Case
from qiltest.suite.variants import Variant

#: what `Timing.denoise_seconds` times: the denoise loop alone, in this process.
LOOP = "loop"
#: a latency that other work lengthened by more than this share is not comparable.
MOST_DISTURBED = 0.1


@dataclass(frozen=True, kw_only=True)
class LatentStats:
    """Statistics of the final latents, unitless. All finite, or the generation was refused."""

    mean: float
    std: float
    minimum: float
    maximum: float


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds, device synchronised."""

    #: per step of the denoise loop.
    step_seconds: tuple[float, ...]
    #: the denoise loop alone: no text encoding, no decoding.
    denoise_seconds: float
    #: 0 as long as nothing was decoded.
    decode_seconds: float
    #: transformer forwards made; compared with `recipe.nfe`. 0 where a server made the image, which does not tell.
    forwards: int
    #: how far other work on the CPU lengthened the loop: the time in which its threads waited for a core, as a share of
    #: the loop and at most 1, or the spread of repeated loops, whichever is larger. 0 on a GPU and where it is unknown.
    disturbed: float = 0.0
    #: what `denoise_seconds` times. Of a server "diffuse" (its own denoise loop, as it says), "request" (its whole work
    #: on the request, as it says) or "wall" (from sending the request to the last byte of the answer).
    kind: str = LOOP
    #: requests in flight at once, of a server.
    concurrency: int = 1

    @property
    def comparable(self) -> bool:
        """False where other work shared the CPU, so that the seconds mean little."""
        return self.disturbed <= MOST_DISTURBED


@dataclass(frozen=True, kw_only=True)
class Denoised:
    """Latents after the denoise loop, not yet decoded; only its generator understands `latents`."""

    recipe: Recipe
    latents: Any
    timing: Timing
    #: SHA-256 of the latents' bytes: equal for equal latents. "" where unknown.
    latents_sha256: str = ""
    #: seconds in which threads of this process waited for a core during the loop, all together; 0 where unknown.
    waited_seconds: float = 0.0
    #: what else to report of the image, such as a request that was repeated.
    notes: tuple[str, ...] = ()

    @property
    def denoise_seconds(self) -> float:
        """Seconds of the whole denoise loop."""
        return self.timing.denoise_seconds


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """An image as pixels, not yet written as PNG, so that writing can leave the main path (`images.finish`)."""

    recipe: Recipe
    #: uint8, height x width x 3.
    pixels: Any
    timing: Timing
    #: None where a server made the image.
    latents: LatentStats | None
    #: False for random weights, whose images may be blank.
    judges_text: bool


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One image with its recipe, step times and latent statistics."""

    recipe: Recipe
    #: the image as PNG bytes (RGB, 8 bits).
    png: bytes
    #: SHA-256 of `png`, hexadecimal.
    sha256: str
    timing: Timing
    #: None where a server made the image.
    latents: LatentStats | None


class Generator(Protocol):
    """Generates images. Loads once; switches variants without reloading.

    Derive your own class from this one: `model`, `recipe`, `denoise` and `decode` are required, the rest has defaults.
    """

    @property
    def model(self) -> str:
        """Name of the model, as in `--qil-model`."""
        ...

    @property
    def is_tiny(self) -> bool:
        """True for the embedded model, whose sizes are the cases' stand-ins."""
        return False

    @property
    def judges_text(self) -> bool:
        """False where the weights are random, so that no text can be expected."""
        return True

    @property
    def on_cpu(self) -> bool:
        """True where the CPU generates, and reading at the same time would slow it down."""
        return True

    def recipe(self, case: Case, size: Size, variant: Variant, seed: int) -> Recipe:
        """Return the recipe of an image without generating it. Raises RecipeError.

        `Recipe.device` names the hardware, such as "NVIDIA H200": latencies are compared on equal devices only.
        """
        ...

    def prepare(self, prompts: Iterable[Prompt]) -> None:
        """Encode prompts once; embeddings are kept and shared by all variants.

        One with images is a `recipe.EditPrompt`: only a model that edits is given any.
        """

    def warm_up(self, recipe: Recipe) -> None:
        """Pay the cost of a first loop of this size and variant: compiling, choosing kernels, memory."""

    def denoise(self, recipe: Recipe) -> Denoised:
        """Run the denoise loop. Raises RecipeError, GenerationError, OutOfMemoryError."""
        ...

    def decode_pixels(self, denoised: Denoised) -> Decoded | Generation:
        """Decode latents to pixels where the rest needs no device (`images.finish`), else to a whole image."""
        return self.decode(denoised)

    def decode(self, denoised: Denoised) -> Generation:
        """Decode latents to an image. Raises GenerationError for a NaN or blank image."""
        ...

    def matrix_rate(self) -> float | None:
        """Return operations per second in the model's dtype, measured now; None where that cannot be measured."""
        return None

    def close(self) -> None:
        """Give the device's memory back."""
