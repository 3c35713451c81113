"""Random prompt embeddings for random weights, to measure time and memory without a text encoder."""

from __future__ import annotations

import hashlib

import torch

from qiltest.generation._prompts import Embedding, PromptMemory, text_of
from qiltest.generation.random.operations import random_prompt_tokens
from qiltest.recipe import Prompt


class RandomPrompts(PromptMemory):
    """Gives each prompt normal noise of about its length in tokens, the same for the same prompt."""

    def __init__(self, channels: int, max_sequence_length: int, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        self._channels, self._max, self._dtype, self._device = channels, max_sequence_length, dtype, device

    def _make(self, prompt: Prompt) -> Embedding:
        seed = int.from_bytes(hashlib.sha256(text_of(prompt).encode()).digest()[:4], "big")
        noise = torch.randn(
            1,
            random_prompt_tokens(text_of(prompt), self._max),
            self._channels,
            generator=torch.Generator().manual_seed(seed),
            dtype=torch.float32,
        )
        return Embedding(embeds=noise.to(device=self._device, dtype=self._dtype))
