"""The transformer and the text encoder once more, for training: the same weights and arithmetic in few kernels.

So small a model is bound by moving its activations through memory: an eager step of 64,000 tokens spent 110 ms on an H100, at 3 per
cent of its matrix rate. Here the residual streams stay in float32, everything else is bf16, norms and their
modulation, gates and rotations are fused by the compiler (a few small functions: compiling whole blocks took four minutes).
`check_fused_model.py` compares values and gradients with the libraries' own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import QwenImageTransformer2DModel
from diffusers.models.attention import FeedForward
from models import HEAD, HEADS, WIDTH
from transformers import Qwen2_5_VLTextModel

#: scale, shift and gate of both norms of both streams
PARTS = 12
#: cosines and sines of the text's and of the image's places
Turns = tuple[tuple[torch.Tensor, torch.Tensor], ...]


def _norm_modulate(x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    normed = F.layer_norm(x, (WIDTH,), eps=1e-6)
    return (normed * (1 + scale[:, None]) + shift[:, None]).to(dtype)


def _gate_norm_modulate(
    x: torch.Tensor, gate: torch.Tensor, y: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    x = x + gate[:, None] * y.float()
    normed = F.layer_norm(x, (WIDTH,), eps=1e-6)
    return x, (normed * (1 + scale[:, None]) + shift[:, None]).to(y.dtype)


def _rms(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    x = x.float()
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def _norm_rotate(x: torch.Tensor, weight: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Norm over each head and rotation of neighbouring pairs: [tokens, heads, 64] of [tokens, width].

    All tokens of a batch are one dimension: with batch and length apart the compiler took a minute more.
    """
    normed = _rms(x.unflatten(-1, (HEADS, HEAD)), weight, 1e-6)
    a, b = normed.unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2).to(x.dtype)


def _rms_to(x: torch.Tensor, weight: torch.Tensor, eps: float, dtype: torch.dtype) -> torch.Tensor:
    return _rms(x, weight, eps).to(dtype)


def _rotate_halves(qkv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Queries, keys and values of the text encoder, which turns halves against each other."""

    def rotate(x: torch.Tensor) -> torch.Tensor:
        first, second = x.float().unflatten(-1, (HEADS, 2, HEAD // 2)).unbind(-2)
        c, s = cos[None, :, None], sin[None, :, None]
        return torch.cat([first * c - second * s, second * c + first * s], -1).to(x.dtype)

    q, k, v = qkv.chunk(3, -1)
    return rotate(q), rotate(k), v.unflatten(-1, (HEADS, HEAD))


def _silu_times(both: torch.Tensor) -> torch.Tensor:
    gate, up = both.chunk(2, -1)
    return F.silu(gate) * up


class Lean:
    """Forwards of a transformer and a text encoder in `dtype`; `compiled` fuses what lies between the products."""

    def __init__(
        self,
        transformer: QwenImageTransformer2DModel,
        language: Qwen2_5_VLTextModel,
        dtype: torch.dtype,
        *,
        compiled: bool,
    ) -> None:
        self.transformer, self.language, self.dtype = transformer, language, dtype
        self.turns: dict[tuple[object, ...], Turns] = {}
        fuse = (lambda f: torch.compile(f, dynamic=True)) if compiled else (lambda f: f)
        self.norm_modulate, self.gate_norm_modulate = fuse(_norm_modulate), fuse(_gate_norm_modulate)
        self.norm_rotate, self.rms_to = fuse(_norm_rotate), fuse(_rms_to)
        self.rotate_halves, self.silu_times = fuse(_rotate_halves), fuse(_silu_times)

    def linear(self, x: torch.Tensor, *layers: torch.nn.Linear) -> torch.Tensor:
        """Some layers side by side on one input."""
        weights: list[torch.Tensor] = [m.weight for m in layers]
        biases: list[torch.Tensor] = [m.bias for m in layers]
        weight = weights[0] if len(weights) == 1 else torch.cat(weights)
        bias = None if biases[0] is None else (biases[0] if len(biases) == 1 else torch.cat(biases)).to(self.dtype)
        return F.linear(x.to(self.dtype), weight.to(self.dtype), bias)

    def _rotations(self, shape: tuple[int, int, int], size: int, tokens: int, device: torch.device) -> Turns:
        """Cosines and sines [batch x tokens, 32] of the text's and of the image's places."""
        key = (shape, size, tokens)
        if key not in self.turns:
            image, text = self.transformer.pos_embed([[shape]], max_txt_seq_len=tokens, device=device)
            self.turns[key] = tuple((z.real.repeat(size, 1), z.imag.repeat(size, 1)) for z in (text, image))
        return self.turns[key]

    def _joint(
        self, txt: torch.Tensor, img: torch.Tensor, norms: tuple[torch.nn.Module, ...], turns: Turns
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, keys and values [B, text and image tokens, heads, 64] of both streams' projections."""
        parts = []
        for stream, (norm_q, norm_k), turn in ((txt, norms[:2], turns[0]), (img, norms[2:], turns[1])):
            size, length, _ = stream.shape
            q, k, v = stream.flatten(0, 1).chunk(3, -1)
            q, k = self.norm_rotate(q, norm_q.weight, *turn), self.norm_rotate(k, norm_k.weight, *turn)
            parts.append([z.unflatten(0, (size, length)) for z in (q, k, v.unflatten(-1, (HEADS, HEAD)))])
        q, k, v = (torch.cat(pair, 1) for pair in zip(*parts, strict=True))
        return q, k, v

    def velocity(
        self,
        x: torch.Tensor,
        level: torch.Tensor,
        embeds: torch.Tensor,
        shape: tuple[int, int, int],
        keep: tuple[int, ...] = (),
    ) -> tuple[torch.Tensor, dict[int, tuple[torch.Tensor, torch.Tensor]]]:
        """Velocities [B, tokens, 64] in float32, and (text, image) states after the blocks `keep`."""
        with torch.autocast(x.device.type, enabled=False):
            return self._velocity(x, level, embeds, shape, keep)

    def _velocity(self, x, level, embeds, shape, keep):  # noqa: ANN001, ANN202
        net, blocks, tokens = self.transformer, self.transformer.transformer_blocks, embeds.shape[1]
        turns = self._rotations(shape, len(x), tokens, x.device)
        img = self.linear(x, net.img_in).float()
        txt = self.linear(self.rms_to(embeds, net.txt_norm.weight, net.txt_norm.eps, self.dtype), net.txt_in).float()
        temb = F.silu(net.time_text_embed(level.float(), img))
        layers = [m for b in blocks for m in (b.img_mod[1], b.txt_mod[1])]
        made = F.linear(temb, torch.cat([m.weight for m in layers]), torch.cat([m.bias for m in layers]))
        mods = made.unflatten(-1, (len(blocks) * PARTS, WIDTH)).unbind(1)
        scale, shift = net.norm_out.linear(temb).chunk(2, -1)
        kept = {}
        img_in = self.norm_modulate(img, mods[0], mods[1], self.dtype)
        txt_in = self.norm_modulate(txt, mods[6], mods[7], self.dtype)
        for n, block in enumerate(blocks):
            mod, last, attn = mods[PARTS * n : PARTS * (n + 1)], n + 1 == len(blocks), block.attn
            following = (shift, scale) if last else mods[PARTS * (n + 1) : PARTS * (n + 1) + 2]
            norms = (attn.norm_added_q, attn.norm_added_k, attn.norm_q, attn.norm_k)
            q, k, v = self._joint(
                self.linear(txt_in, attn.add_q_proj, attn.add_k_proj, attn.add_v_proj),
                self.linear(img_in, attn.to_q, attn.to_k, attn.to_v),
                norms,
                turns,
            )
            q, k, v = (z.transpose(1, 2) for z in (q, k, v))
            seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
            attended = self.linear(seen[:, tokens:], attn.to_out[0])
            img, img_in = self.gate_norm_modulate(img, mod[2], attended, mod[3], mod[4])
            img, img_in = self.gate_norm_modulate(img, mod[5], self._mlp(img_in, block.img_mlp), *following)
            # nothing reads the text stream after the last block
            if not last:
                attended = self.linear(seen[:, :tokens], attn.to_add_out)
                txt, txt_in = self.gate_norm_modulate(txt, mod[8], attended, mod[9], mod[10])
                following = mods[PARTS * (n + 1) + 6 : PARTS * (n + 1) + 8]
                txt, txt_in = self.gate_norm_modulate(txt, mod[11], self._mlp(txt_in, block.txt_mlp), *following)
            if n in keep:
                kept[n] = (txt, img)
        return self.linear(img_in, net.proj_out).float(), kept

    def _mlp(self, x: torch.Tensor, mlp: FeedForward) -> torch.Tensor:
        return self.linear(F.gelu(self.linear(x, mlp.net[0].proj), approximate="tanh"), mlp.net[2])

    def encode(self, ids: torch.Tensor, drop: int) -> torch.Tensor:
        """What `QwenImagePipeline` takes from the text encoder for unpadded ids: last states after the template.

        For text alone the three position axes of Qwen2.5-VL's rotary embedding are one and the same.
        """
        with torch.autocast(ids.device.type, enabled=False):
            return self._encode(ids, drop)

    def _encode(self, ids: torch.Tensor, drop: int) -> torch.Tensor:
        half = torch.arange(0, HEAD, 2, device=ids.device).float() / HEAD
        angles = torch.arange(ids.shape[1], device=ids.device).float()[:, None] / 10000.0**half
        cos, sin = angles.cos(), angles.sin()
        eps = self.language.norm.variance_epsilon
        x = F.embedding(ids, self.language.embed_tokens.weight).float()
        for layer in self.language.layers:
            a, m = layer.self_attn, layer.mlp
            h = self.rms_to(x, layer.input_layernorm.weight, eps, self.dtype)
            q, k, v = self.rotate_halves(self.linear(h, a.q_proj, a.k_proj, a.v_proj), cos, sin)
            q, k, v = (z.transpose(1, 2) for z in (q, k, v))
            seen = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
            x = x + self.linear(seen, a.o_proj)
            h = self.rms_to(x, layer.post_attention_layernorm.weight, eps, self.dtype)
            x = x + self.linear(self.silu_times(self.linear(h, m.gate_proj, m.up_proj)), m.down_proj)
        return _rms(x, self.language.norm.weight, eps)[:, drop:]
