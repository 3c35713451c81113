"""Compile the transformer's repeated blocks so that the compiler can fuse what it leaves apart otherwise.

`compile_repeated_blocks` as diffusers has it leaves the rotary arithmetic alone, because the compiler cannot fuse
complex numbers, and compiles anew when the second prompt has another length, within a timed loop. Here the rotary
arithmetic is real, an image's size is a constant of the code and a prompt's length is not. What each of these gives is
measured by benchmarks/gpu/compiled.py.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.activations import GELU
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.transformers.transformer_qwenimage import (
    QwenDoubleStreamAttnProcessor2_0,
    QwenEmbedRope,
    QwenImageTransformer2DModel,
)
from torch._inductor.runtime.cache_dir_utils import default_cache_dir
from torch.nn import functional

from qiltest.hashing import cache_folder

#: The version of this way of compiling: part of the recipe of a compiled image. Raise it whenever a change here may
#: change one.
COMPILED_VERSION = 2
_CODE_FOLDER = "TORCHINDUCTOR_CACHE_DIR"
#: kinds of code that may stand side by side: one for each size, with and without LoRA layers.
_KINDS_OF_CODE = 64


@dataclass(frozen=True, kw_only=True)
class CompileWays:
    """What is done beside compiling the blocks."""

    #: rotary arithmetic in real numbers; the same values up to the last bit of float32.
    real_rotary: bool = True
    #: code for each size of the image and for all lengths of the prompt; else the compiler decides.
    marked: bool = True
    #: GELU within the matrix product before it, which saves writing and reading the widest activations.
    gelu_in_product: bool = False


DEFAULT = CompileWays()


def compiled_versions() -> tuple[tuple[str, str], ...]:
    """Return what a compiled image's recipe says beside the versions of an uncompiled one."""
    return (("qiltest-compiled", str(COMPILED_VERSION)),)


def compile_transformer(transformer: Any, ways: CompileWays = DEFAULT) -> None:  # noqa: ANN401  diffusers, untyped
    """Compile the blocks at their next call. The code is kept in the user's cache folder for the next process.

    A transformer of another class than Qwen-Image's is compiled as diffusers does it.
    """
    keep_code()
    torch._dynamo.config.cache_size_limit = _KINDS_OF_CODE
    if isinstance(transformer, QwenImageTransformer2DModel):
        _prepare(transformer, ways)
    transformer.compile_repeated_blocks()


def _prepare(transformer: Any, ways: CompileWays) -> None:  # noqa: ANN401
    if ways.real_rotary and takes_real_rotary(transformer):
        use_real_rotary(transformer)
    if ways.gelu_in_product:
        gelu_in_product(transformer)
    if ways.marked:
        mark_lengths(transformer)


def keep_code() -> None:
    """Let the compiler keep its code in the user's cache folder, unless the user named another one.

    Its default is a folder in /tmp, which many runners empty between nights; torch writes it into the environment when
    it is imported.
    """
    if os.environ.get(_CODE_FOLDER) in (None, os.path.abspath(default_cache_dir())):  # noqa: PTH100  as torch does
        os.environ[_CODE_FOLDER] = str(cache_folder() / "compiled")


def takes_real_rotary(transformer: Any) -> bool:  # noqa: ANN401
    """Return whether all blocks compute attention as Qwen-Image's do: others may want other embeddings."""
    processors = transformer.attn_processors.values()
    own = all(type(processor) is QwenDoubleStreamAttnProcessor2_0 for processor in processors)
    return own and isinstance(transformer.pos_embed, QwenEmbedRope)


def use_real_rotary(transformer: Any) -> None:  # noqa: ANN401
    """Let the blocks take rotary embeddings in real numbers (`turns_of`), and compute so."""
    for block in transformer.transformer_blocks:
        before = block.attn.processor
        block.attn.processor = RealRotaryAttention(before._attention_backend, before._parallel_config)
    transformer.pos_embed.register_forward_hook(_as_turns)


def _as_turns(_module: object, _args: object, made: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    return tuple(turns_of(one) for one in made)


def turns_of(embeddings: torch.Tensor) -> torch.Tensor:
    """Turn complex embeddings (tokens, pairs) into `rotate`'s: (2, tokens, channels), cosines and signed sines."""
    cosine, sine = embeddings.real, embeddings.imag
    signed = torch.stack((-sine, sine), dim=-1).flatten(-2)
    return torch.stack((cosine.repeat_interleave(2, dim=-1), signed))


def rotate(states: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Multiply each pair of neighbouring channels as a complex number, in float32 and in real numbers.

    `states` are (batch, tokens, heads, channels). The pairs change places by `flip`, which is an index to the compiler;
    put together from two halves they would be written to memory.
    """
    cosine, signed = turns.unsqueeze(2).unbind(0)
    exact = states.float()
    other = exact.view(*exact.shape[:-1], -1, 2).flip(-1).flatten(-2)
    turned: torch.Tensor = exact * cosine + other * signed
    return turned.type_as(states)


class RealRotaryAttention:
    """Joint attention of prompt and image as `QwenDoubleStreamAttnProcessor2_0` computes it, with `rotate`."""

    def __init__(self, backend: Any = None, parallel_config: Any = None) -> None:  # noqa: ANN401  diffusers, untyped
        self._attention_backend, self._parallel_config = backend, parallel_config

    def __call__(
        self,
        attn: Any,  # noqa: ANN401  diffusers, untyped
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        encoder_hidden_states_mask: torch.Tensor | None = None,
        attention_mask: None = None,
        image_rotary_emb: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what attention adds to the image's tokens and to the prompt's."""
        assert attention_mask is None
        assert image_rotary_emb is not None
        turns = (image_rotary_emb[1], image_rotary_emb[0])  # the prompt's first, as everywhere below
        query, key, value = self.projected(attn, hidden_states, encoder_hidden_states)
        seen = dispatch_attention_fn(
            _joined(query, (attn.norm_added_q, attn.norm_q), turns),
            _joined(key, (attn.norm_added_k, attn.norm_k), turns),
            torch.cat(value, dim=1),
            attn_mask=_joint_mask(encoder_hidden_states_mask, hidden_states),
            backend=self._attention_backend,
            parallel_config=self._parallel_config,
        )
        seen = seen.flatten(2).to(hidden_states.dtype)
        length = encoder_hidden_states.shape[1]
        to_image, dropout = attn.to_out
        return dropout(to_image(seen[:, length:].contiguous())), attn.to_add_out(seen[:, :length].contiguous())

    def projected(
        self,
        attn: Any,  # noqa: ANN401
        image: torch.Tensor,
        prompt: torch.Tensor,
    ) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
        """Return (prompt's, image's) queries, keys and values, each (batch, tokens, heads, channels)."""
        channels = attn.inner_dim // attn.heads
        layers = ((attn.add_q_proj, attn.to_q), (attn.add_k_proj, attn.to_k), (attn.add_v_proj, attn.to_v))
        return tuple(
            (of_prompt(prompt).unflatten(-1, (-1, channels)), of_image(image).unflatten(-1, (-1, channels)))
            for of_prompt, of_image in layers
        )


def _joined(
    states: tuple[torch.Tensor, torch.Tensor], norms: tuple[Any, Any], turns: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """Normalise and rotate the prompt's states and the image's, and put them behind one another."""
    turned = (rotate(norm(own), turn) for own, norm, turn in zip(states, norms, turns, strict=True))
    return torch.cat(tuple(turned), dim=1)


def _joint_mask(mask: torch.Tensor | None, image: torch.Tensor) -> torch.Tensor | None:
    """Return the mask of prompt and image, (batch, 1, 1, tokens), in which all of the image is seen."""
    if mask is None:
        return None
    return torch.cat([mask, mask.new_ones(image.shape[:2])], dim=1)[:, None, None]


def gelu_in_product(transformer: Any) -> None:  # noqa: ANN401
    """Let the blocks' feed-forwards compute GELU before the product is written; weights keep their names."""
    for block in transformer.transformer_blocks:
        for part in (block.img_mlp.net[0], block.txt_mlp.net[0]):
            if type(part) is GELU and part.approximate == "tanh":
                part.__class__ = GeluInProduct


class GeluInProduct(GELU):  # type: ignore[misc]
    """A linear layer and GELU, in one operation where no LoRA stands beside the layer."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Return GELU of the layer's output."""
        if type(self.proj) is not torch.nn.Linear:
            made: torch.Tensor = super().forward(hidden_states)
        else:
            made = _linear_gelu(hidden_states, self.proj.weight, self.proj.bias)
        return made


@torch.library.custom_op("qiltest::linear_gelu", mutates_args=())
def _linear_gelu(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Return GELU, approximated by tanh, of a linear layer; an operation of its own, for the compiler splits it."""
    if not states.is_cuda:  # torch's own takes the exact GELU there
        return functional.gelu(functional.linear(states, weight, bias), approximate="tanh")
    flat = states.reshape(-1, states.shape[-1])
    made: torch.Tensor = torch._addmm_activation(bias, flat, weight.t(), use_gelu=True)
    return made.reshape(*states.shape[:-1], weight.shape[0])


@_linear_gelu.register_fake
def _(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return states.new_empty((*states.shape[:-1], weight.shape[0]))


def mark_lengths(transformer: Any) -> None:  # noqa: ANN401
    """Tell the compiler what varies: the image's size makes code of its own, a prompt's length does not.

    The marks hang on what the first block takes; all blocks share its code.
    """
    transformer.img_in.register_forward_hook(_mark_image)
    transformer.txt_in.register_forward_hook(_mark_prompt)
    transformer.pos_embed.register_forward_hook(_mark_rotary)


def _mark_image(_module: object, _args: object, tokens: torch.Tensor) -> torch.Tensor:
    own = tokens.clone()  # a layer's output is a view, what a block hands to the next one is not: two kinds of code
    torch._dynamo.mark_static(own, 1)
    return own


def _mark_prompt(_module: object, _args: object, tokens: torch.Tensor) -> torch.Tensor:
    own = tokens.clone()
    torch._dynamo.maybe_mark_dynamic(own, 1)
    return own


def _mark_rotary(_module: object, _args: object, made: Sequence[torch.Tensor]) -> None:
    of_image, of_prompt = made
    torch._dynamo.mark_static(of_image, of_image.ndim - 2)
    torch._dynamo.maybe_mark_dynamic(of_prompt, of_prompt.ndim - 2)
