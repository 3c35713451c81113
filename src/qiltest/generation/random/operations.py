"""Count the operations of a transformer forward from its config, without torch.

A product of an (n x k) with a (k x m) matrix counts 2 n k m. Counted are the linear layers and the two products of
attention (a test compares the sum with torch's own counter), not norms, activations, the rotary embedding and the
scheduler, which are of the order of tokens x width.
"""

from __future__ import annotations

import math

from qiltest.lora.bases import BLOCK, Base
from qiltest.recipe import SIZE_MULTIPLE, Recipe, Size

#: modules of a block that see the prompt's tokens; `*_mod` and the timestep's see one row, all others the image's.
_OF_TEXT = ("attn.add_", "attn.to_add_out", "txt_mlp.")
_OF_TIME = ("img_mod.", "txt_mod.")
#: tokens per character of Qwen's tokenizer, roughly.
_WIDE, _NARROW = 0.7, 0.25
#: the template's end: `<|im_end|>`, a line break, `<|im_start|>`, `assistant`, a line break.
_TEMPLATE_END = 5
_CJK = 0x2E80


def image_tokens(size: Size) -> int:
    """Return the length of the packed latent sequence: width / 16 times height / 16."""
    return (size.width // SIZE_MULTIPLE) * (size.height // SIZE_MULTIPLE)


def image_operations(
    base: Base, recipe: Recipe, *, text_tokens: int, negative_tokens: int, beside_tokens: int = 0
) -> int:
    """Return the operations of all forwards of an image; with true CFG every step has one with each prompt.

    `beside_tokens` are those of input images, which stand beside the image's own.
    """
    rank = 0 if recipe.lora is None or recipe.lora.merged else recipe.lora.rank
    lengths = [text_tokens] + ([negative_tokens] if recipe.nfe > recipe.steps else [])
    forwards = (
        forward_operations(base, recipe.effective, text_tokens=n, lora_rank=rank, beside_tokens=beside_tokens)
        for n in lengths
    )
    return recipe.steps * sum(forwards)


def random_prompt_tokens(prompt: str, longest: int) -> int:
    """Return the length that the random model gives a prompt, about that of Qwen's tokenizer; `longest` 0: uncut."""
    wide = sum(ord(character) >= _CJK for character in prompt)
    tokens = _TEMPLATE_END + math.ceil(_WIDE * wide + _NARROW * (len(prompt) - wide))
    return min(longest, tokens) if longest else tokens


def forward_operations(base: Base, size: Size, *, text_tokens: int, lora_rank: int = 0, beside_tokens: int = 0) -> int:
    """Return the operations of one forward for one image.

    With C = heads x head dimension, N image tokens (those of input images among them) and T prompt tokens: for each
    linear layer 2 x tokens x in x out, and for each block 4 (N + T)^2 C in attention. A LoRA of rank r that is not
    merged adds 2 x tokens x r x (in + out) to each of its layers: attention's and the feed-forwards'.
    """
    image = image_tokens(size) + beside_tokens
    total = 0
    for name, (rows, columns) in base.modules.items():
        tokens = _tokens(name, image, text_tokens)
        total += 2 * tokens * rows * columns
        if lora_rank and _takes_lora(name):
            total += 2 * tokens * lora_rank * (rows + columns)
    width = base.num_attention_heads * base.attention_head_dim
    return total + base.num_layers * 4 * (image + text_tokens) ** 2 * width


def _tokens(name: str, image: int, text: int) -> int:
    match = BLOCK.fullmatch(name)
    if match is None:
        one_row = name.startswith(("time_text_embed.", "norm_out."))
        return 1 if one_row else text if name == "txt_in" else image
    part = match[2]
    if part.startswith(_OF_TIME):
        return 1
    return text if part.startswith(_OF_TEXT) else image


def _takes_lora(name: str) -> bool:
    match = BLOCK.fullmatch(name)
    return match is not None and not match[2].startswith(_OF_TIME)
