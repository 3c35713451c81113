"""Embeddings for random weights: there is no text encoder, and none is needed to measure time and memory."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

import torch

from qiltest.generation._prompts import Embedding

#: tokens a character of Qwen's tokenizer, about: measured on no text of ours, good enough for a sequence length.
_WIDE, _NARROW = 0.7, 0.25
#: the template's end: `<|im_end|>`, a line break, `<|im_start|>`, `assistant`, a line break.
_TEMPLATE_END = 5
_CJK = 0x2E80


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
        wide = sum(ord(character) >= _CJK for character in prompt)
        tokens = _TEMPLATE_END + math.ceil(_WIDE * wide + _NARROW * (len(prompt) - wide))
        noise = torch.randn(
            1,
            min(tokens, self._max),
            self._channels,
            generator=torch.Generator().manual_seed(seed),
            dtype=torch.float32,
        )
        return Embedding(embeds=noise.to(device=self._device, dtype=self._dtype))
