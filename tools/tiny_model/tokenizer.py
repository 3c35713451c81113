"""Build the embedded model's Qwen2Tokenizer: one token a character, 34 tokens of template before the prompt.

Byte-level BPE as Qwen2's, with merges that join the bytes of each character of the charset and nothing else, so that
the model sees what it has to spell. The real tokenizer needs 34 tokens for the pipeline's template; spelt out it would
be 157, so that its description sentence is one added token up to the place from which the rest makes 34.
"""

from __future__ import annotations

from pathlib import Path

from charset import charset
from tokenizers import AddedToken
from tokenizers.pre_tokenizers import ByteLevel
from transformers import Qwen2Tokenizer

#: `QwenImagePipeline.prompt_template_encode`, before and after the prompt.
PREFIX = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial "
    "relationships of the objects and background:<|im_end|>\n<|im_start|>user\n"
)
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n"
PREFIX_TOKENS = 34
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def _bytes_as_text() -> list[str]:
    """The 256 characters that byte-level BPE writes bytes as, by byte value (GPT-2's table)."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table, shift = {b: chr(b) for b in visible}, 0
    for byte in range(256):
        if byte not in table:
            table[byte] = chr(256 + shift)
            shift += 1
    return [table[b] for b in range(256)]


def _merges(chars: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Tokens and merges that join the UTF-8 bytes of each character from the left."""
    table = _bytes_as_text()
    tokens, merges = list(table), []
    known = set(tokens)
    for char in chars:
        parts = [table[b] for b in char.encode()]
        joined = parts[0]
        for part in parts[1:]:
            if joined + part not in known:
                merges.append((joined, part))
                tokens.append(joined + part)
                known.add(joined + part)
            joined += part
    # shorter prefixes first, as ranks decide the order of merging
    merges.sort(key=lambda m: len(m[0]) + len(m[1]))
    return tokens, merges


def _sentence_token() -> str:
    """The added token: as much of the sentence as leaves 34 tokens, counting one a character elsewhere."""
    specials = PREFIX.count("<|im_")
    plain = PREFIX.replace("<|im_start|>", "").replace("<|im_end|>", "")
    sentence = plain[plain.index("Describe") : plain.index(":") + 1]
    rest = len(plain) - len(sentence) + specials
    spelt = PREFIX_TOKENS - rest - 1
    return sentence[: len(sentence) - spelt]


def build() -> Qwen2Tokenizer:
    chars = [c for c in dict.fromkeys((*charset().wide, *charset().narrow)) if len(c.encode()) > 1]
    tokens, merges = _merges(chars)
    assert set(ByteLevel.alphabet()) == set(_bytes_as_text())
    tokenizer = Qwen2Tokenizer(
        vocab={t: i for i, t in enumerate([*tokens, SPECIAL[0]])}, merges=merges, padding_side="right"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL[1:])})
    tokenizer.add_tokens([AddedToken(_sentence_token(), normalized=False, special=False)])
    return tokenizer


def check(tokenizer: Qwen2Tokenizer) -> None:
    ids = tokenizer(PREFIX).input_ids
    if len(ids) != PREFIX_TOKENS:
        raise SystemExit(f"the template takes {len(ids)} tokens before the prompt, not {PREFIX_TOKENS}")
    for char in charset().wide:
        got = tokenizer(PREFIX + char + SUFFIX).input_ids
        if len(got) != PREFIX_TOKENS + 1 + len(tokenizer(SUFFIX).input_ids):
            raise SystemExit(f"{char!r} is not one token")


def save(folder: Path) -> Qwen2Tokenizer:
    tokenizer = build()
    check(tokenizer)
    tokenizer.save_pretrained(folder)
    return tokenizer
