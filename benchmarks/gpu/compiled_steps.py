"""The steps of `compiled.py`: what is done to a transformer, one thing on top of another, and how it is taken off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from compiled_graphs import Replayed
from diffusers.models.activations import GELU
from diffusers.models.transformers.transformer_qwenimage import QwenDoubleStreamAttnProcessor2_0
from torch.nn import functional

from qiltest.generation._compile import CompileWays, RealRotaryAttention, compile_transformer, mark_lengths
from qiltest.generation._compile import use_real_rotary as real_rotary

#: more tokens than any image has.
_ALL = 1 << 20
Install = Callable[[Any], None]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A way of running the transformer."""

    name: str
    what: str
    install: Install
    #: places of the scale's sizes that are measured.
    sizes: tuple[int, ...] = (0, 1)
    #: seconds that it takes on an H200, an estimate; with less left it is not begun.
    estimate: float = 30.0
    #: takes a graph, so it says nothing on a CPU.
    gpu: bool = False


def eager(_transformer: Any) -> None:  # noqa: ANN401
    """Leave it as diffusers has it."""


def ways(**chosen: Any) -> Install:  # noqa: ANN401
    """Compile with these of `CompileWays`."""
    return partial(compile_transformer, ways=CompileWays(**chosen))


class FusedProjections(RealRotaryAttention):
    """One product for queries, keys and values of a stream: its weights are a copy, for the measurement alone."""

    def __init__(self, attn: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.of_image = _together(attn.to_q, attn.to_k, attn.to_v)
        self.of_prompt = _together(attn.add_q_proj, attn.add_k_proj, attn.add_v_proj)

    def projected(
        self,
        attn: Any,  # noqa: ANN401
        image: torch.Tensor,
        prompt: torch.Tensor,
    ) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
        """Return (prompt's, image's) queries, keys and values."""
        channels = attn.inner_dim // attn.heads
        both = (functional.linear(prompt, *self.of_prompt), functional.linear(image, *self.of_image))
        parts = [made.view(*made.shape[:-1], 3, -1, channels).unbind(-3) for made in both]
        return tuple(zip(*parts, strict=True))


def _together(*layers: torch.nn.Linear) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.cat([layer.weight.data for layer in layers]), torch.cat([layer.bias.data for layer in layers])


def with_fused_projections(transformer: Any, *, gelu: bool = False) -> None:  # noqa: ANN401
    """Real rotary arithmetic and marks, and one product in the place of three."""
    real_rotary(transformer)
    for block in transformer.transformer_blocks:
        block.attn.processor = FusedProjections(block.attn)
    compile_transformer(transformer, CompileWays(gelu_in_product=gelu))


def with_graphs(transformer: Any) -> None:  # noqa: ANN401
    """Compile as the product does, and replay the whole forward from a CUDA graph."""
    compile_transformer(transformer)
    transformer.forward = Replayed(transformer, up_to=_ALL)


def tuned(transformer: Any) -> None:  # noqa: ANN401
    """Let the compiler try its own matrix products against the library's."""
    real_rotary(transformer)
    mark_lengths(transformer)
    transformer.compile_repeated_blocks(mode="max-autotune-no-cudagraphs")


def take_off(transformer: Any) -> None:  # noqa: ANN401
    """Make the transformer as it was loaded."""
    torch._dynamo.reset()
    transformer.__dict__.pop("forward", None)
    for part in (transformer.pos_embed, transformer.img_in, transformer.txt_in):
        part._forward_hooks.clear()
    for block in transformer.transformer_blocks:
        block._compiled_call_impl = None
        block.attn.processor = QwenDoubleStreamAttnProcessor2_0()
        for part in (block.img_mlp.net[0], block.txt_mlp.net[0]):
            part.__class__ = GELU


#: the way in which each thing is added to the one before, then what was tried and is not part of the product.
STEPS: tuple[Step, ...] = (
    Step(name="eager", what="as diffusers runs it", install=eager, sizes=(0, 1, 2), estimate=20),
    Step(name="blocks", what="compile_repeated_blocks", install=ways(real_rotary=False, marked=False), estimate=40),
    Step(name="rotary", what="+ rotary arithmetic in real numbers", install=ways(marked=False)),
    Step(name="marked", what="+ code for each size, for all prompts", install=ways(), sizes=(0, 1, 2), estimate=40),
    Step(
        name="graph",
        what="+ CUDA graph of the whole forward",
        install=with_graphs,
        sizes=(0, 1, 2),
        gpu=True,
    ),
    Step(name="gelu", what="marked + GELU within the product", install=ways(gelu_in_product=True)),
    Step(name="qkv", what="marked + one product for Q, K and V", install=with_fused_projections),
    Step(name="both", what="marked + GELU, QKV", install=partial(with_fused_projections, gelu=True), sizes=(0, 1)),
    Step(name="tuned", what="marked + max-autotune", install=tuned, sizes=(0,), estimate=60),
)


@contextmanager
def library(name: str) -> Iterator[None]:
    """Take cuBLASLt or cuBLAS for products without a bias."""
    before = torch.backends.cuda.preferred_blas_library()
    torch.backends.cuda.preferred_blas_library(name)
    try:
        yield
    finally:
        torch.backends.cuda.preferred_blas_library(before)
