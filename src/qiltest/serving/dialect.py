"""What the dialects of servers have in common: one address, one image per request, every parameter sent."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from qiltest.errors import RecipeError
from qiltest.recipe import Scalar, Size
from qiltest.serving.settings import Api, Says

if TYPE_CHECKING:
    from qiltest.serving.client import Answer, Client

#: where all dialects make images.
IMAGES = "/v1/images/generations"
#: strength of a LoRA: the file's own alpha / rank is the server's affair.
STRENGTH = 1.0


@dataclass(frozen=True, kw_only=True)
class ServedLora:
    """A LoRA that the server is asked to use."""

    #: of the variant, and for the server.
    name: str
    #: where the file lies on the server.
    path: str


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What is asked of a server for one image."""

    model: str
    prompt: str
    #: None without guidance.
    negative_prompt: str | None
    size: Size
    steps: int
    true_cfg_scale: float
    seed: int
    generator_device: str
    max_sequence_length: int
    lora: ServedLora | None


@dataclass(frozen=True, kw_only=True)
class Took:
    """How long an image took: what the seconds are of (`Timing.kind`), and the part that decoded."""

    kind: str
    seconds: float
    decode_seconds: float = 0.0
    note: str = ""


class Dialect:
    """How a kind of server is asked. The defaults are what all have in common."""

    api: ClassVar[Api]
    #: a LoRA is set for the whole server, not per request.
    sets_lora: ClassVar[bool] = False
    #: whether it can use a LoRA that is named by a request, or set.
    takes_lora: ClassVar[bool] = True
    #: how it may generate with Lightning's scheduler, for a refusal.
    lightning: ClassVar[str] = ""
    #: fields that are sent only where the server's page lists them.
    optional: ClassVar[frozenset[str]] = frozenset()

    def body(self, ask: Ask, says: Says) -> dict[str, Any]:
        """Return the request for one image, with every parameter that the dialect has."""
        raise NotImplementedError

    def version(self, client: Client) -> str:
        """Return the version that the server tells, "" where it tells none."""
        return ""

    def sends_length(self) -> bool:
        """Return whether the longest prompt is a parameter."""
        return False

    def took(self, answer: Answer) -> Took:
        """Return how long the image took, as exactly as the answer says."""
        return Took(kind="wall", seconds=answer.seconds)

    def switch(self, client: Client, lora: ServedLora | None) -> None:
        """Set the LoRA of all requests that follow, where it is set for the whole server."""

    def not_checked(self, says: Says, lora: ServedLora | None) -> Iterator[str]:
        """Yield what decides an image and cannot be checked from outside."""
        yield from ("weights", "scheduler", "sigmas")
        if lora is not None or says["lora"]:
            yield "LoRA file, keys, alpha and strength"
        yield from ("forwards", "text encoder", "dtype", "attention", "caches")
        yield from sorted(says.fixed)


def one_png(ask: Ask) -> dict[str, Any]:
    """Return the fields that ask for one image, as PNG in the answer itself: all dialects have them."""
    return {
        "model": ask.model,
        "prompt": ask.prompt,
        "n": 1,
        "size": str(ask.size),
        "response_format": "b64_json",
        "output_format": "png",
    }


def one_diffusion(ask: Ask) -> dict[str, Any]:
    """Return `one_png` with the parameters of servers made for diffusion; without guidance no negative prompt."""
    body = {
        **one_png(ask),
        "num_inference_steps": ask.steps,
        "true_cfg_scale": ask.true_cfg_scale,
        # of distilled guidance, which Qwen-Image has none of
        "guidance_scale": ask.true_cfg_scale,
        "seed": ask.seed,
        "generator_device": ask.generator_device,
    }
    return body if ask.negative_prompt is None else {**body, "negative_prompt": ask.negative_prompt}


def told_version(client: Client, path: str) -> str:
    """Return the version that a server tells at a path, "" for nothing."""
    found = client.get(path)
    version = found.get("version") if isinstance(found, dict) else None
    return version if isinstance(version, str) else ""


def plain(value: Any) -> dict[str, Scalar]:  # noqa: ANN401 -- JSON
    """Return the fields of a JSON object that are plain values, without those that change with time."""
    if not isinstance(value, dict):
        return {}
    kept = {name: item for name, item in value.items() if isinstance(item, str | int | float | bool | None)}
    return {name: item for name, item in kept.items() if name not in {"created", "object"}}


def told_seconds(value: Any, answer: Answer, kind: str) -> Took | None:  # noqa: ANN401 -- JSON
    """Return seconds that a server tells, None where it tells none; of impossible ones what was waited, with a note."""
    if value is None:
        return None
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 < value <= answer.seconds
    ):
        return Took(kind=kind, seconds=float(value))
    note = f"the server says that it took {value!s:.20} s of the {answer.seconds:.3f} s waited: not believed"
    return Took(kind="wall", seconds=answer.seconds, note=note)


def canonical(value: Any) -> str:  # noqa: ANN401 -- JSON
    """Return a value as canonical JSON."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def refuse_lora(api: Api, name: str) -> RecipeError:
    """Return the error of a dialect that has no LoRAs."""
    return RecipeError(
        f"the dialect {api} has no LoRAs",
        where=f"variant {name}",
        remedy=f"start the server with it, and say --qil-server-says lora={name}",
    )
