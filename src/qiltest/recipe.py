"""The recipe of an image: everything that decides it.

Images are reused, and compared by pixels, only where their recipes are equal. `Recipe.key` changes if and only if a
field changes that decides the image: a model known by its bytes is the same under any name and in any place.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict

from qiltest.errors import RecipeError
from qiltest.input_images import InputImage
from qiltest.strict_json import STORED, StrictJsonError, decode

_SIZE = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})")
#: QwenImagePipeline floors width and height to this multiple: VAE stride 8 times patch size 2. Other pipelines floor to
#: multiples of it.
SIZE_MULTIPLE = 16

#: value of `Recipe.offload` that is left out of the canonical JSON, so that recipes from before it keep their key.
_NO_OFFLOAD = "none"

#: how the facts that a manifest or a file tells of an image made elsewhere begin.
TOLD_FACT = "told."
#: how the facts of a model's parts begin, as in `model.transformer`.
MODEL_PART = "model."
#: the part that an image made elsewhere has in place of hashes: the name of the model that it is said to be of.
MODEL_NAME = "name"
_SOURCE_FACT = "elsewhere.source"
_HUB_PARTS = 2

Scalar = str | float | int | bool | None


@dataclass(frozen=True, order=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read `WIDTHxHEIGHT`. Raises ValueError that names the value and the form."""
        match = _SIZE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a size: write WIDTHxHEIGHT in pixels, for example 1328x1328")
        return cls(int(match[1]), int(match[2]))

    def effective(self, multiple: int = SIZE_MULTIPLE) -> Size:
        """Return the size that the pipeline generates: both sides floored to a multiple."""
        return Size(self.width // multiple * multiple, self.height // multiple * multiple)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, kw_only=True)
class LoraRecipe:
    """Which LoRA was applied, and how."""

    source: str
    sha256: str
    rank: int
    #: alpha / rank: the factor on the delta. Lightning files carry it as a tensor per module.
    scale: float
    #: added to the weights before generating, or kept beside them (`load_lora_weights`).
    merged: bool
    #: factor on the delta, of a strength sweep; left out of the canonical JSON where it is 1, as in older recipes.
    strength: float = 1.0

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", _finite("lora.scale", self.scale))
        object.__setattr__(self, "strength", _finite("lora.strength", self.strength))

    @property
    def delta(self) -> str:
        """Name of what is added to the weights: the file's SHA-256, with the strength where that is not 1."""
        return self.sha256 if self.strength == 1 else f"{self.sha256} x {self.strength!r}"

    def known(self) -> dict[str, Scalar]:
        """Return the fields without a strength of 1."""
        found: dict[str, Scalar] = asdict(self)
        if self.strength == 1:
            del found["strength"]
        return found


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """An image that was made elsewhere: which file it is, what was told of it, and what nobody could check."""

    #: what made it, as `--qil-images-from` names it.
    source: str
    #: its path in the folder of images.
    file: str
    #: of the file's own bytes.
    file_sha256: str
    #: (name, value) as a manifest and the file's metadata say, sorted by name: read, and not believed.
    told: tuple[tuple[str, Scalar], ...] = ()
    #: what the recipe says of it is what was asked for, and nothing shows that it was done.
    not_checked: tuple[str, ...]

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    def __post_init__(self) -> None:
        for name, value in self.told:
            if isinstance(value, float):
                _finite(f"elsewhere.told.{name}", value)
        object.__setattr__(self, "told", _by_name("elsewhere.told", self.told))


@dataclass(frozen=True, kw_only=True)
class ServedRecipe:
    """How a server was asked for an image, and what it says of itself: none of it is checked but by its effect."""

    #: the dialect (`--qil-server-api`), and the version that the server tells; "" where it tells none.
    api: str
    version: str
    #: (field, value) of the server's card of its model, sorted.
    card: tuple[tuple[str, Scalar], ...]
    #: the body as sent, and what was set on the server before, as canonical JSON.
    request: str
    #: (key, value) of `--qil-server-says`, sorted: what the user says of the server.
    said: tuple[tuple[str, str], ...]
    #: what decides the image and was not checked.
    not_checked: tuple[str, ...]

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    def __post_init__(self) -> None:
        object.__setattr__(self, "card", _by_name("served.card", self.card))
        object.__setattr__(self, "said", _by_name("served.said", self.said))


@dataclass(frozen=True, kw_only=True)
class EditPrompt:
    """A prompt that is read together with images: the same words with other images are another prompt."""

    text: str
    inputs: tuple[InputImage, ...]

    @property
    def key(self) -> str:
        """Return what tells prompts apart: the words and the images' bytes, and not where these lie."""
        return "\n".join((*(image.sha256 for image in self.inputs), self.text))


#: what an encoder reads: words, or words and images.
Prompt = str | EditPrompt


class Guided:
    """Steps with or without classifier-free guidance: of a variant and of a recipe."""

    steps: int
    true_cfg_scale: float
    negative_prompt: str | None

    @property
    def nfe(self) -> int:
        """Number of function evaluations: transformer forwards for one image, two per step with guidance."""
        return self.steps * (2 if self.true_cfg_scale > 1 and self.negative_prompt is not None else 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Recipe(Guided):
    """Everything that decides an image. Sizes in pixels; `sigmas` without the final 0.

    Equal if and only if the identity is, so that 0, 0.0 and False in a scheduler's config are three values.
    `scheduler`, `versions` and `model_parts` are kept sorted by name. Raises RecipeError for a number that is not
    finite.
    """

    model: str
    model_revision: str
    #: SHA-256 over the bytes of all files of the model that decide an image.
    model_sha256: str
    #: (component, SHA-256 over its files), sorted; () where the files are not known, as of a server. Where they are,
    #: `model`, `model_revision` and the LoRA's `source` are told and not compared.
    model_parts: tuple[tuple[str, str], ...] = ()
    variant: str
    lora: LoraRecipe | None
    scheduler: tuple[tuple[str, Scalar], ...]
    #: what the loop uses, after the scheduler's shift.
    sigmas: tuple[float, ...]
    #: what the pipeline is given as its `sigmas`, before the shift; () for its own, and then left out of the canonical
    #: JSON.
    given_sigmas: tuple[float, ...] = ()
    steps: int
    true_cfg_scale: float
    negative_prompt: str | None
    prompt: str
    #: images that the model is given beside the prompt, in order; () for a model of text alone, and then left out of
    #: the canonical JSON.
    inputs: tuple[InputImage, ...] = ()
    max_sequence_length: int
    seed: int
    #: device type of the torch.Generator that generates the initial noise: "cpu" and "cuda" generate other noise.
    generator_device: str
    asked: Size
    effective: Size
    dtype: str
    device: str
    attention_backend: str
    compiled: bool
    #: where weights wait while they are not needed (`--qil-offload`): changes the latency, and no image.
    offload: str = _NO_OFFLOAD
    #: (package, version), sorted: torch, diffusers, transformers, peft and qiltest's generation code.
    versions: tuple[tuple[str, str], ...]
    #: of an image that was made elsewhere; then all fields but the size say what was asked for.
    elsewhere: Elsewhere | None = None
    #: of an image that a server made, else None. Scheduler and sigmas are then (), hashes and the dtype "" unless told,
    #: and `max_sequence_length` is 0 where the dialect cannot ask for it.
    served: ServedRecipe | None = None

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    def __post_init__(self) -> None:
        for name, value in self.scheduler:
            if isinstance(value, float):
                _finite(f"scheduler.{name}", value)
        normal = {
            "scheduler": _by_name("scheduler", self.scheduler),
            "versions": _by_name("versions", self.versions),
            "model_parts": _by_name("model_parts", self.model_parts),
            "sigmas": _finite_all("sigmas", self.sigmas),
            "given_sigmas": _finite_all("given_sigmas", self.given_sigmas),
            "true_cfg_scale": _finite("true_cfg_scale", self.true_cfg_scale),
        }
        for field, normalised in normal.items():
            object.__setattr__(self, field, normalised)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Recipe):
            return NotImplemented
        return self.identity() == other.identity()

    def __hash__(self) -> int:
        return hash(self.identity())

    def canonical(self) -> str:
        """Return the recipe as canonical JSON (sorted keys, no white space, no NaN)."""
        return _canonical(self._known())

    def identity(self) -> str:
        """Return what decides the image as canonical JSON: without names and places of files whose hashes are there."""
        known = self._known()
        if self.model_parts:
            del known["model"], known["model_revision"]
            if known["lora"] is not None:
                del known["lora"]["source"]
        if self.inputs:
            known["inputs"] = [image.sha256 for image in self.inputs]
        if self.elsewhere is not None:  # the file's bytes are the image, whatever its name and what was told of it
            del known["elsewhere"]["file"], known["elsewhere"]["told"]
        return _canonical(known)

    def key(self) -> str:
        """Return the SHA-256 of the identity, in hexadecimal."""
        return hashlib.sha256(self.identity().encode()).hexdigest()

    def _known(self) -> dict[str, Any]:
        """Return the fields without those that say nothing, so that recipes from before these keep their key."""
        # asdict would copy every number of every tuple, which takes longer than all else
        known = {name: getattr(self, name) for name in _FIELDS}
        known["asked"], known["effective"] = vars(self.asked), vars(self.effective)
        known["lora"] = None if self.lora is None else self.lora.known()
        if self.served is None:
            del known["served"]
        else:
            known["served"] = asdict(self.served)
        if self.inputs:
            known["inputs"] = [asdict(image) for image in self.inputs]
        else:
            del known["inputs"]
        if not self.given_sigmas:
            del known["given_sigmas"]
        if self.offload == _NO_OFFLOAD:
            del known["offload"]
        if not self.model_parts:
            del known["model_parts"]
        if self.elsewhere is None:
            del known["elsewhere"]
        else:
            known["elsewhere"] = asdict(self.elsewhere)
        return known

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """What is to be encoded: the prompt and, with guidance, the negative one; with its images, if it has any."""
        texts = (
            [self.prompt]
            if self.nfe == self.steps or self.negative_prompt is None
            else [self.prompt, self.negative_prompt]
        )
        return tuple(EditPrompt(text=text, inputs=self.inputs) if self.inputs else text for text in texts)

    @property
    def not_checked(self) -> tuple[str, ...]:
        """What decides the image and was not checked: nothing, where this process generated it."""
        told = self.served or self.elsewhere
        return () if told is None else told.not_checked

    @property
    def compared_parts(self) -> tuple[tuple[str, str], ...]:
        """The parts of the model by which goldens are told apart: `model_parts`, or its name where nobody hashed it."""
        return known_parts(self.facts())

    def facts(self) -> dict[str, Scalar]:
        """Return the recipe as one flat mapping: packages by name (`torch`), other settings as `scheduler.shift`."""
        return dict(_facts(self))

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read a stored recipe. Raises RecipeError that names every wrong field."""
        try:
            return decode(cls, text, whole="recipe")
        except StrictJsonError as error:
            raise RecipeError(
                f"not a recipe: {error}",
                where="stored recipe",
                remedy="another version wrote it, or it was edited by hand: generate the image again",
            ) from error


_FIELDS = tuple(field.name for field in fields(Recipe))
#: characters of a value that a difference shows.
_SHOWN = 40


def recipe_changes(before: Mapping[str, Scalar], now: Mapping[str, Scalar]) -> Iterator[str]:
    """Yield each difference between the facts of two recipes, for example `torch 2.11 -> 2.14`."""
    for name in dict.fromkeys((*before, *now)):
        was, is_ = (_shown(facts[name]) if name in facts else "(none)" for facts in (before, now))
        if (name in before) != (name in now) or before[name] != now[name]:
            yield f"{name} {was} -> {is_}" if was != is_ else f"{name} differs (both begin with {was})"


def named_parts(model: str) -> tuple[str, ...]:
    """Return the parts of a model's name that mean the same on every machine.

    A Hugging Face id has two. A folder of weights counts by the last part of its path, after `local`.
    """
    parts = model.split("/")
    is_path = Path(model).is_absolute() or len(parts) > _HUB_PARTS or parts[0] in {".", "..", "~"}
    return ("local", Path(model).name) if is_path else tuple(parts)


def known_parts(facts: Mapping[str, Scalar]) -> tuple[tuple[str, str], ...]:
    """Return the parts of a model that a recipe's facts name; see `Recipe.compared_parts`."""
    parts = tuple(
        (name.removeprefix(MODEL_PART), str(is_)) for name, is_ in facts.items() if name.startswith(MODEL_PART)
    )
    return (
        parts if _SOURCE_FACT not in facts else (*parts, (MODEL_NAME, "/".join(named_parts(str(facts.get("model"))))))
    )


def other_parts(before: Mapping[str, Scalar], now: tuple[tuple[str, str], ...]) -> dict[str, tuple[str, str]]:
    """Return the parts of the model that are others than in a recipe's facts, each as it was and as it is.

    `now` is `Recipe.compared_parts`. A part that one of both does not name, as a recipe of a server and one of an
    earlier version, is not compared.
    """
    was = dict(known_parts(before))
    return {name: (was[name], is_) for name, is_ in now if name in was and was[name] != is_}


def _facts(recipe: Recipe) -> Iterator[tuple[str, Scalar]]:
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if field.name == "versions":
            yield from value
        elif field.name == "model_parts":
            yield from ((f"{MODEL_PART}{name}", digest) for name, digest in value)
        elif field.name == "scheduler":
            yield from ((f"scheduler.{name}", setting) for name, setting in value)
        elif isinstance(value, Elsewhere):
            yield from ((_SOURCE_FACT, value.source), ("elsewhere.file_sha256", value.file_sha256))
            yield from ((f"{TOLD_FACT}{name}", told) for name, told in value.told)
        elif field.name == "elsewhere":
            continue
        elif isinstance(value, LoraRecipe):
            yield from ((f"lora.{name}", setting) for name, setting in value.known().items())
        elif isinstance(value, ServedRecipe):
            yield from _served_facts(value)
        elif field.name == "served":
            continue
        elif field.name == "given_sigmas" and not value:
            continue  # as in the canonical JSON
        elif field.name in ("sigmas", "given_sigmas"):
            yield field.name, " ".join(map(str, value))
        elif field.name == "inputs":
            yield from ((f"inputs.{number}", image.sha256) for number, image in enumerate(value, 1))
        elif field.name == "offload" and value == _NO_OFFLOAD:
            continue  # as in the canonical JSON
        else:
            yield field.name, str(value) if isinstance(value, Size) else value


def _served_facts(served: ServedRecipe) -> Iterator[tuple[str, Scalar]]:
    """Yield what is known of a server; the body sent repeats prompt, seed and size, which have facts of their own."""
    yield "served.api", served.api
    yield "served.version", served.version
    yield from ((f"served.card.{name}", value) for name, value in served.card)
    yield from ((f"served.said.{name}", value) for name, value in served.said)
    yield "served.not_checked", ", ".join(served.not_checked)


def _canonical(known: dict[str, Any]) -> str:
    return json.dumps(known, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _shown(value: Scalar) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _finite_all(name: str, values: tuple[float, ...]) -> tuple[float, ...]:
    found = tuple(map(float, values))
    if not all(map(math.isfinite, found)):
        return tuple(_finite(f"{name}[{i}]", value) for i, value in enumerate(values))
    return found


def _finite(name: str, value: float) -> float:
    """Return `value` as a float, so that 4 and 4.0 are one recipe. Raises RecipeError if it is not finite."""
    if not math.isfinite(value):
        raise RecipeError(f"{name} is {value}, not a finite number", where="recipe", remedy="fix the code that sets it")
    return float(value)


def _by_name(field: str, pairs: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Any], ...]:
    names = [name for name, _ in pairs]
    if names == sorted(set(names)):
        return tuple(pairs)
    twins = sorted(name for name, number in Counter(names).items() if number > 1)
    if twins:
        raise RecipeError(f"duplicate names in {field}: {', '.join(twins)}", where="recipe", remedy="give each once")
    return tuple((name, value) for name, value in sorted(pairs, key=lambda pair: pair[0]))
