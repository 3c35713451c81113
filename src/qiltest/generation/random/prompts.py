"""Random prompt embeddings for random weights, to measure time and memory without a text encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch

from qiltest.generation._prompts import Embedding, PromptMemory, text_of
from qiltest.generation.random.operations import random_prompt_tokens
from qiltest.recipe import Prompt


class RandomPrompts(PromptMemory):
    """Gives each prompt normal noise of about its length in tokens, the same for the same prompt."""

    def __init__(
        self,
        channels: int,
        max_sequence_length: int,
        dtype: torch.dtype,
        device: torch.device,
        read_tokens: Callable[[Prompt], int] = lambda _: 0,
    ) -> None:
        """`read_tokens` says how many tokens the images of a prompt are."""
        super().__init__()
        self._read_tokens = read_tokens
        self._channels, self._max, self._dtype, self._device = channels, max_sequence_length, dtype, device

    def _make(self, prompt: Prompt) -> Embedding:
        seed = int.from_bytes(hashlib.sha256(text_of(prompt).encode()).digest()[:4], "big")
        noise = torch.randn(
            1,
            random_prompt_tokens(text_of(prompt), self._max) + self._read_tokens(prompt),
            self._channels,
            generator=torch.Generator().manual_seed(seed),
            dtype=torch.float32,
        )
        return Embedding(embeds=noise.to(device=self._device, dtype=self._dtype))
