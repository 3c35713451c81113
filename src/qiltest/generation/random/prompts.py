"""Embeddings for random weights: there is no text encoder, and none is needed to measure time and memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch

from qiltest.generation._prompts import Embedding
from qiltest.generation.random.operations import random_prompt_tokens


class RandomPrompts:
    """Gives each prompt normal noise of about its length in tokens, the same for the same prompt."""

    def __init__(self, channels: int, max_sequence_length: int, dtype: torch.dtype, device: torch.device) -> None:
        self._channels, self._max, self._dtype, self._device = channels, max_sequence_length, dtype, device
        self._known: dict[str, Embedding] = {}

    def encode(self, prompts: Iterable[str]) -> None:
        """Make the embeddings of `prompts`."""
        for prompt in prompts:
            if prompt not in self._known:
                self._known[prompt] = self._draw(prompt)

    def get(self, prompt: str) -> Embedding:
        """Return a prompt's embedding."""
        self.encode([prompt])
        return self._known[prompt]

    def free(self) -> None:
        """Nothing to free."""

    def _draw(self, prompt: str) -> Embedding:
        seed = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:4], "big")
        noise = torch.randn(
            1,
            random_prompt_tokens(prompt, self._max),
            self._channels,
            generator=torch.Generator().manual_seed(seed),
            dtype=torch.float32,
        )
        return Embedding(embeds=noise.to(device=self._device, dtype=self._dtype))
