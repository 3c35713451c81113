"""Encode prompts once, with the pipeline's own `encode_prompt`, and cache the embeddings in memory and on disk.

On disk they are safetensors files named by the hash of all that decides them, so that a run with known prompts never
loads the text encoder. A damaged file is set aside with a warning, never used.
"""

from __future__ import annotations

import hashlib
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from qiltest.errors import GenerationError, RecipeError
from qiltest.files import write_atomically
from qiltest.generation._decode import tensor_sha256
from qiltest.generation._errors import translated
from qiltest.generation.families import Family
from qiltest.recipe import EditPrompt, Prompt

_log = logging.getLogger(__name__)
_QUOTATION = frozenset('"“”‘’')


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """One prompt's embedding, on the generating device: shape (1, tokens, channels)."""

    embeds: torch.Tensor

    @property
    def tokens(self) -> int:
        """Length of the sequence, template's end included."""
        return int(self.embeds.shape[1])


class PromptMemory(ABC):
    """Makes each prompt's embedding once."""

    def __init__(self) -> None:
        self._known: dict[Prompt, Embedding] = {}
        #: prompts that the model does not take, each with the error that `get` raises.
        self._refused: dict[Prompt, RecipeError] = {}

    def encode(self, prompts: Iterable[Prompt]) -> None:
        """Make the embeddings of `prompts` that are not known yet; one that is refused stops no other."""
        for prompt in prompts:
            if prompt in self._known or prompt in self._refused:
                continue
            try:
                self._known[prompt] = self._make(prompt)
            except RecipeError as error:
                self._refused[prompt] = error

    def get(self, prompt: Prompt) -> Embedding:
        """Return a prompt's embedding, making it if need be. Raises RecipeError for a prompt that was refused."""
        self.encode([prompt])
        if prompt in self._refused:
            raise self._refused[prompt]
        return self._known[prompt]

    def free(self) -> None:  # noqa: B027  nothing to free by default
        """Free the text encoder; embeddings stay."""

    @abstractmethod
    def _make(self, prompt: Prompt) -> Embedding: ...


class EmbeddingCache(PromptMemory):
    """Encodes prompts and remembers them. `load` gives a family's pipeline that has a text encoder and a tokenizer.

    `may_lose_prose`: a prompt that is too long may lose an end that quotes no text. For the embedded model alone, whose
    tokens are characters, so that prompts which fit the real model do not fit the pipeline's 1,024.
    """

    def __init__(
        self,
        load: Callable[[], Any],
        *,
        family: Family,
        identity: dict[str, str],
        max_sequence_length: int,
        device: torch.device,
        folder: Path | None,
        may_lose_prose: bool = False,
    ) -> None:
        super().__init__()
        self._may_lose_prose = may_lose_prose
        self._load, self._family, self._device, self._folder = load, family, device, folder
        self._max_length = max_sequence_length
        self._identity = {**identity, "max_sequence_length": str(max_sequence_length)}
        self._pipeline: Any = None
        #: prompts that the text encoder encoded.
        self.encoded = 0

    def free(self) -> None:
        """Free the text encoder; embeddings stay."""
        if self._pipeline is None:
            return
        self._pipeline = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _make(self, prompt: Prompt) -> Embedding:
        return self._from_disk(prompt) or self._encode(prompt)

    def _encode(self, prompt: Prompt) -> Embedding:
        with translated("encoding a prompt"):
            if self._pipeline is None:
                self._pipeline = self._load()
            if self._family.longest_prompt:
                self._refuse_cut(text_of(prompt))
            with torch.no_grad():
                embeds = self._family.encode(self._pipeline, prompt, device=self._device, longest=self._max_length)
        if not bool(torch.isfinite(embeds).all()):
            raise GenerationError("the text encoder gives NaN or infinite values", where=text_of(prompt)[:60])
        self.encoded += 1
        embedding = Embedding(embeds=embeds.contiguous())
        self._to_disk(prompt, embedding)
        return embedding

    def _refuse_cut(self, prompt: str) -> None:
        """Refuse a prompt that is too long: the pipeline cuts it silently, and the end may be a text to generate."""
        ids, dropped = self._family.prompt_tokens(self._pipeline, prompt)
        tokens = len(ids) - dropped
        if tokens > self._max_length:
            lost = self._pipeline.tokenizer.decode(ids[dropped + self._max_length :])
            if self._may_lose_prose and not _QUOTATION.intersection(lost):
                _log.info("the end of the prompt %s… is cut; it quotes no text: %s", prompt[:30], lost)
                return
            raise RecipeError(
                f"the prompt has {tokens} tokens, the model reads only {self._max_length} of them",
                where=prompt[:60],
                remedy="shorten the prompt, or open the generator with a larger max_sequence_length "
                f"(at most {self._family.longest_prompt})",
            )

    def _path(self, prompt: Prompt) -> Path | None:
        if self._folder is None:
            return None
        images = {"inputs": [image.sha256 for image in prompt.inputs]} if isinstance(prompt, EditPrompt) else {}
        identity = json.dumps({**self._identity, "prompt": text_of(prompt), **images}, sort_keys=True)
        return self._folder / f"{hashlib.sha256(identity.encode()).hexdigest()}.safetensors"

    def _to_disk(self, prompt: Prompt, embedding: Embedding) -> None:
        path = self._path(prompt)
        if path is None:
            return
        embeds = embedding.embeds.cpu()
        try:
            write_atomically(path, save({"embeds": embeds}, {"sha256": tensor_sha256(embeds)}))
        except OSError as error:
            _log.warning("the prompt embedding cannot be stored: %s", error)

    def _from_disk(self, prompt: Prompt) -> Embedding | None:
        path = self._path(prompt)
        if path is None or not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                embeds, wanted = file.get_tensor("embeds"), (file.metadata() or {}).get("sha256")
        except (SafetensorError, OSError) as error:
            _set_aside(path, str(error))
            return None
        if tensor_sha256(embeds) != wanted or not bool(torch.isfinite(embeds).all()):
            _set_aside(path, "its SHA-256 does not match")
            return None
        return Embedding(embeds=embeds.to(self._device))


def text_of(prompt: Prompt) -> str:
    """Return a prompt's words."""
    return prompt.text if isinstance(prompt, EditPrompt) else prompt


def _set_aside(path: Path, why: str) -> None:
    _log.warning("prompt embedding %s is damaged (%s); it is set aside and encoded again", path.name, why)
    path.replace(path.with_suffix(".damaged"))
