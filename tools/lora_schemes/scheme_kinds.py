"""What is offered as a LoRA of Qwen-Image and is none: other kinds of adapters, checkpoints, LoRAs of other models."""

from __future__ import annotations

from collections.abc import Callable

import torch
from schemes import (
    A_B,
    ACCEPTED,
    DOWN_UP,
    RANK,
    Scheme,
    Tensors,
    adding,
    beside,
    foreign,
    instead,
    renamed,
    written,
)

DIFFUSERS = written(A_B, "transformer.", alpha=False)
KOHYA = written(DOWN_UP, "lora_unet_", flat=True)
COMFY = written(A_B, "diffusion_model.")
FP8 = torch.float8_e4m3fn


def _kronecker(name: str, rows: int, columns: int) -> Tensors:
    return {
        f"{name}.lokr_w1": torch.ones(4, 4),
        f"{name}.lokr_w2": torch.ones(rows // 4, columns // 4) * 0.01,
        f"{name}.alpha": torch.tensor(4.0),
    }


def _hadamard(name: str, rows: int, columns: int) -> Tensors:
    shapes = {"hada_w1_a": (rows, 2), "hada_w1_b": (2, columns), "hada_w2_a": (rows, 2), "hada_w2_b": (2, columns)}
    return {f"{name}.{part}": torch.ones(shape) for part, shape in shapes.items()} | {
        f"{name}.alpha": torch.tensor(2.0)
    }


def _whole(name: str, rows: int, columns: int) -> Tensors:
    return {f"{name}.weight": torch.ones(rows, columns), f"{name}.bias": torch.ones(rows)}


def _prefixed(prefix: str, tensors: Callable[[str, int, int], Tensors]) -> Callable[[str, int, int], Tensors]:
    return lambda name, rows, columns: {f"{prefix}{key}": value for key, value in tensors(name, rows, columns).items()}


KINDS: tuple[Scheme, ...] = (
    Scheme(
        name="LoKr, transformer.", who="LyCORIS", make=instead(_prefixed("transformer.", _kronecker)), answer="LoKr"
    ),
    Scheme(
        name="LoKr, diffusion_model.",
        who="ai-toolkit, stable-diffusion.cpp#1131",
        make=instead(_prefixed("diffusion_model.", _kronecker)),
        answer="LoKr",
    ),
    Scheme(
        name="LoKr, lycoris_",
        who="LyCORIS",
        make=renamed(instead(_kronecker), {"transformer_blocks": "lycoris_transformer_blocks"}),
        answer="LoKr",
    ),
    Scheme(name="LoHa", who="LyCORIS", make=instead(_prefixed("diffusion_model.", _hadamard)), answer="LoHa"),
    Scheme(
        name="LoCon with a middle factor",
        who="LyCORIS",
        make=beside(written(), lambda name, pair: {f"{name}.lora_mid.weight": torch.ones(RANK, RANK)}),
        answer="lora_mid",
    ),
    Scheme(
        name="OFT",
        who="peft, LyCORIS",
        make=instead(lambda name, rows, columns: {f"diffusion_model.{name}.oft_blocks": torch.ones(2, 4, 4)}),
        answer="OFT",
    ),
    Scheme(
        name="IA3",
        who="LyCORIS",
        make=instead(
            lambda name, rows, columns: {
                f"transformer.{name}.weight": torch.ones(rows),
                f"transformer.{name}.on_input": torch.tensor(0),
            }
        ),
        answer="IA3",
    ),
    Scheme(
        name="DoRA, lora_magnitude_vector",
        who="peft, diffusers",
        make=beside(
            DIFFUSERS, lambda name, pair: {f"transformer.{name}.lora_magnitude_vector": torch.ones(len(pair[1]))}
        ),
        answer="DoRA",
        decision="weight + scale * up @ down, the way that images are generated here, has no magnitudes",
    ),
    Scheme(
        name="DoRA, dora_scale",
        who="LyCORIS, kohya",
        make=beside(written(), lambda name, pair: {f"{name}.dora_scale": torch.ones(len(pair[1]), 1)}),
        answer="DoRA",
        decision="diffusers drops the magnitudes with a warning, and generates other images than the file's trainer",
    ),
    Scheme(
        name="lora_B.bias",
        who="peft's lora_bias",
        make=beside(DIFFUSERS, lambda name, pair: {f"transformer.{name}.lora_B.bias": torch.ones(len(pair[1]))}),
        answer="lora_B.bias",
        decision="weight + scale * up @ down, the way that images are generated here, has no biases",
    ),
    Scheme(
        name="diff_b beside a LoRA",
        who="extractions",
        make=beside(
            written(DOWN_UP, "diffusion_model."),
            lambda name, pair: {f"diffusion_model.{name}.diff_b": torch.ones(len(pair[1]))},
        ),
        answer="`.diff`",
    ),
    Scheme(
        name="diff of norms beside a LoRA",
        who="extractions",
        make=adding(written(), txt_norm__diff=(12,)),
        answer="`.diff`",
    ),
    Scheme(
        name="diff alone",
        who="extractions",
        make=instead(lambda name, rows, columns: {f"diffusion_model.{name}.diff": torch.ones(rows, columns)}),
        answer="`.diff`",
    ),
    Scheme(name="whole weights, bare", who="merged checkpoints", make=instead(_whole), answer="checkpoint"),
    Scheme(
        name="whole weights, model.diffusion_model.",
        who="merged checkpoints",
        make=instead(_prefixed("model.diffusion_model.", _whole)),
        answer="checkpoint",
    ),
    Scheme(
        name="whole weights in fp8 with scales",
        who="Lightning#74",
        make=instead(
            lambda name, rows, columns: {
                f"{name}.weight": torch.ones(rows, columns).to(FP8),
                f"{name}.scale_weight": torch.ones(1),
            }
        ),
        answer="checkpoint",
    ),
    Scheme(
        name="quantised weights with low-rank branches",
        who="nunchaku",
        make=instead(
            lambda name, rows, columns: {
                f"{name}.qweight": torch.ones(rows, columns // 2).to(torch.int8),
                f"{name}.wscales": torch.ones(rows),
                f"{name}.proj_down": torch.ones(columns, 2),
                f"{name}.proj_up": torch.ones(rows, 2),
            }
        ),
        answer="checkpoint",
    ),
)
ENCODER = "text_encoder.model.layers.0.self_attn.q_proj"
FAMILIES: tuple[Scheme, ...] = (
    Scheme(
        name="text encoder beside transformer.",
        who="some trainers",
        make=lambda factors: DIFFUSERS(factors) | foreign(ENCODER)(factors),
        answer=ACCEPTED,
        note="text encoder",
    ),
    Scheme(
        name="text encoder beside diffusion_model.",
        who="some trainers",
        make=lambda factors: COMFY(factors) | foreign(ENCODER)(factors),
        answer=ACCEPTED,
        note="text encoder",
    ),
    Scheme(
        name="text encoder beside lora_unet_",
        who="kohya",
        make=lambda factors: (
            KOHYA(factors)
            | foreign("lora_te_text_model_encoder_layers_0_mlp_fc1", endings=DOWN_UP, alpha=True)(factors)
        ),
        answer=ACCEPTED,
        note="text encoder",
    ),
    Scheme(name="text encoder alone", who="some trainers", make=foreign(ENCODER), answer="of the text encoder alone"),
    Scheme(
        name="text encoder alone, kohya",
        who="kohya",
        make=foreign("lora_te_text_model_encoder_layers_0_mlp_fc1", endings=DOWN_UP, alpha=True),
        answer="of the text encoder alone",
    ),
    Scheme(
        name="FLUX.1, diffusers",
        who="other model",
        make=foreign("transformer.single_transformer_blocks.0.attn.to_q", "transformer.transformer_blocks.0.attn.to_q"),
        answer="FLUX",
    ),
    Scheme(
        name="FLUX.1, kohya",
        who="other model",
        make=foreign("lora_unet_double_blocks_0_img_attn_qkv", endings=DOWN_UP, alpha=True),
        answer="FLUX",
    ),
    Scheme(
        name="FLUX.1, ComfyUI",
        who="other model",
        make=foreign("diffusion_model.double_blocks.0.img_attn.qkv", "diffusion_model.single_blocks.0.linear1"),
        answer="FLUX",
    ),
    Scheme(
        name="SDXL, kohya",
        who="other model",
        make=foreign(
            "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q",
            "lora_te1_text_model_encoder_layers_0_mlp_fc1",
            endings=DOWN_UP,
            alpha=True,
        ),
        answer="Stable Diffusion",
    ),
    Scheme(
        name="SDXL, diffusers",
        who="other model",
        make=foreign("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"),
        answer="Stable Diffusion",
    ),
    Scheme(
        name="Stable Diffusion 3, diffusers",
        who="other model",
        make=foreign(
            "transformer.transformer_blocks.0.ff_context.net.2", "transformer.transformer_blocks.0.norm1.linear"
        ),
        answer="Stable Diffusion 3",
    ),
    Scheme(
        name="Wan, ComfyUI",
        who="other model",
        make=foreign("diffusion_model.blocks.0.self_attn.q", "diffusion_model.blocks.0.cross_attn.k"),
        answer="Wan",
    ),
    Scheme(
        name="Wan, musubi-tuner",
        who="other model",
        make=foreign("lora_unet_blocks_0_cross_attn_k", endings=DOWN_UP, alpha=True),
        answer="Wan",
    ),
    Scheme(name="Wan, diffusers", who="other model", make=foreign("transformer.blocks.0.attn1.to_q"), answer="Wan"),
    Scheme(
        name="HunyuanVideo, musubi-tuner",
        who="other model",
        make=foreign(
            "lora_unet_double_blocks_0_img_attn_qkv",
            "lora_unet_txt_in_individual_token_refiner_blocks_0_mlp_fc1",
            endings=DOWN_UP,
            alpha=True,
        ),
        answer="HunyuanVideo",
    ),
    Scheme(
        name="LTX-Video, diffusers",
        who="other model",
        make=foreign("transformer.transformer_blocks.0.attn2.to_q"),
        answer="LTX",
    ),
    Scheme(
        name="Z-Image, diffusers",
        who="other model",
        make=foreign("transformer.layers.0.attention.to_q", "transformer.layers.0.feed_forward.w1"),
        answer="Z-Image",
    ),
    Scheme(
        name="Qwen-Image-2.1",
        who="other model",
        make=foreign(
            "transformer.transformer_blocks.0.img_mlp.gate_layer", "transformer.transformer_blocks.0.attn.to_q"
        ),
        answer="Qwen-Image-2.1",
    ),
    Scheme(
        name="a language model's",
        who="peft",
        make=foreign("base_model.model.model.layers.0.self_attn.q_proj"),
        answer="language model",
    ),
    Scheme(name="of no known model", who="-", make=foreign("transformer.stages.0.mixer.proj"), answer="no match"),
    Scheme(name="no tensors", who="damaged", make=lambda _: {}, answer="no LoRA tensors"),
)
