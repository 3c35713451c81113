"""The schemes, with the answer that the inspection gives to each."""

from __future__ import annotations

from functools import partial

import torch
from scheme_kinds import FAMILIES, KINDS
from schemes import (
    A_B,
    A_B_DEFAULT,
    ACCEPTED,
    DOWN_UP,
    DOWN_UP_DEFAULT,
    OLD,
    RANK,
    Scheme,
    beside,
    written,
)

ALL_LAYERS = ("img_mod.1", "txt_mod.1", "img_in", "txt_in", "proj_out", "norm_out", "time_text_embed")
DIFFUSERS = written(A_B, "transformer.", alpha=False)
KOHYA = partial(written, DOWN_UP, "lora_unet_", flat=True)
COMFY = partial(written, A_B, "diffusion_model.")
FP8 = torch.float8_e4m3fn

LIGHTNING: tuple[Scheme, ...] = (
    Scheme(name="down/up + alpha, bf16", who="Qwen-Image-Lightning", make=written(), answer=ACCEPTED),
    Scheme(
        name="down/up + alpha, fp32",
        who="Qwen-Image-Lightning",
        make=written(dtype=torch.float32),
        answer=ACCEPTED,
        dtype=torch.float32,
    ),
    Scheme(
        name="down/up + alpha, fp16",
        who="casts",
        make=written(dtype=torch.float16),
        answer=ACCEPTED,
        dtype=torch.float16,
    ),
    Scheme(
        name="down/up + alpha as int64",
        who="musubi-tuner's convert_lora",
        make=written(dtype=torch.int64),
        answer=ACCEPTED,
    ),
    Scheme(name="down/up + alpha of shape [1]", who="casts", make=written(shape=(1,)), answer=ACCEPTED),
    Scheme(name="down/up + alpha, all layers", who="converted", make=written(), answer=ACCEPTED, also=ALL_LAYERS),
    Scheme(
        name="down/up without alpha", who="converted", make=written(alpha=False), answer="neither a prefix nor alphas"
    ),
    Scheme(
        name="down/up with adapter name", who="converted", make=written(DOWN_UP_DEFAULT, alpha=False), answer=ACCEPTED
    ),
)
BARE: tuple[Scheme, ...] = (
    Scheme(
        name="A/B.default",
        who="DiffSynth-Studio#961, Qwen-Image#138, LightX2V, SwarmUI",
        make=written(A_B_DEFAULT, alpha=False),
        answer=ACCEPTED,
        also=("img_mod.1", "txt_mod.1"),
    ),
    Scheme(name="A/B.default + alpha", who="converted", make=written(A_B_DEFAULT), answer=ACCEPTED),
    Scheme(name="A/B + alpha", who="converted", make=written(A_B), answer=ACCEPTED),
    Scheme(
        name="A/B without alpha",
        who="DiffSynth-Studio",
        make=written(A_B, alpha=False),
        answer="neither a prefix nor alphas",
    ),
    Scheme(
        name="lora.down/lora.up",
        who="LightX2V (DIFFUSERS_V3)",
        make=written(OLD, alpha=False),
        answer="lora.down/lora.up",
    ),
    Scheme(
        name="another adapter name",
        who="peft",
        make=written((".lora_A.style.weight", ".lora_B.style.weight"), alpha=False),
        answer="adapter name `style`",
    ),
)
TRANSFORMER: tuple[Scheme, ...] = (
    Scheme(name="transformer. A/B", who="diffusers, ai-toolkit", make=DIFFUSERS, answer=ACCEPTED),
    Scheme(
        name="transformer. A/B, attention alone",
        who="diffusers' training script",
        make=DIFFUSERS,
        answer=ACCEPTED,
        only=("attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out"),
    ),
    Scheme(
        name="transformer. A/B, ranks differ",
        who="diffusers",
        make=DIFFUSERS,
        answer=ACCEPTED,
        note="ranks differ",
        ranks={"to_q": 8, "txt_mlp": 2},
    ),
    Scheme(
        name="transformer. A/B.default",
        who="DiffSynth-Studio#886",
        make=written(A_B_DEFAULT, "transformer.", alpha=False),
        answer="adds the prefix a second time",
    ),
    Scheme(
        name="transformer. A/B + alpha",
        who="converted",
        make=written(A_B, "transformer."),
        answer="adds the prefix a second time",
    ),
    Scheme(
        name="transformer. lora.down/lora.up",
        who="older diffusers, FlyMyAI's trainer, SwarmUI",
        make=written(OLD, "transformer.", alpha=False),
        answer=ACCEPTED,
    ),
    Scheme(
        name="transformer. lora.down/lora.up + alpha",
        who="converted",
        make=written(OLD, "transformer."),
        answer="lora.down/lora.up",
    ),
    Scheme(
        name="transformer. down/up",
        who="converted",
        make=written(DOWN_UP, "transformer.", alpha=False),
        answer="name them lora_A/lora_B",
    ),
)
METADATA: tuple[Scheme, ...] = (
    Scheme(
        name="metadata: lora_alpha",
        who="diffusers' save_lora_weights",
        make=DIFFUSERS,
        answer=ACCEPTED,
        config={"r": RANK, "lora_alpha": 8, "target_modules": ["to_q"]},
    ),
    Scheme(
        name="metadata: use_rslora",
        who="diffusers' save_lora_weights",
        make=DIFFUSERS,
        answer=ACCEPTED,
        config={"r": RANK, "lora_alpha": 8, "use_rslora": True, "target_modules": ["to_q"]},
    ),
    Scheme(
        name="metadata: rank_pattern, alpha_pattern",
        who="diffusers' save_lora_weights",
        make=DIFFUSERS,
        answer=ACCEPTED,
        ranks={"attn.to_q": 8, "transformer_blocks.1.img_mlp.net.2": 2},
        config={
            "r": RANK,
            "lora_alpha": 8,
            "rank_pattern": {"attn.to_q": 8, "^transformer_blocks.1.img_mlp.net.2": 2},
            "alpha_pattern": {"transformer_blocks.0.attn.to_k": 2, r"txt_mlp\.net\..*": 6},
            "target_modules": ["to_q"],
        },
    ),
    Scheme(
        name="metadata beside alphas in the file",
        who="converted",
        make=COMFY(),
        answer=ACCEPTED,
        config={"r": RANK, "lora_alpha": 8, "target_modules": ["to_q"]},
    ),
    Scheme(
        name="metadata: another rank than the file",
        who="converted",
        make=DIFFUSERS,
        answer="says rank 16",
        config={"r": 16, "lora_alpha": 16, "target_modules": ["to_q"]},
    ),
    Scheme(
        name="metadata of another component",
        who="converted",
        make=DIFFUSERS,
        answer="names no modules",
        metadata={"lora_adapter_metadata": '{"unet.r": 4, "unet.lora_alpha": 4}'},
    ),
    Scheme(
        name="metadata: a setting that peft does not have",
        who="newer peft",
        make=DIFFUSERS,
        answer="not_in_any_peft",
        config={"r": RANK, "lora_alpha": RANK, "not_in_any_peft": 1, "target_modules": ["to_q"]},
    ),
    Scheme(
        name="metadata: use_dora, without magnitudes",
        who="damaged",
        make=DIFFUSERS,
        answer="DoRA",
        config={"r": RANK, "lora_alpha": RANK, "use_dora": True, "target_modules": ["to_q"]},
    ),
    Scheme(
        name="metadata that is no JSON",
        who="damaged",
        make=DIFFUSERS,
        answer="is not JSON",
        metadata={"lora_adapter_metadata": "{"},
    ),
)
PREFIXES: tuple[Scheme, ...] = (
    Scheme(name="diffusion_model. A/B", who="ai-toolkit, ComfyUI", make=COMFY(alpha=False), answer=ACCEPTED),
    Scheme(name="diffusion_model. A/B + alpha", who="ComfyUI", make=COMFY(), answer=ACCEPTED),
    Scheme(
        name="diffusion_model. down/up + alpha",
        who="ComfyUI",
        make=written(DOWN_UP, "diffusion_model."),
        answer=ACCEPTED,
    ),
    Scheme(
        name="diffusion_model. down/up",
        who="ComfyUI",
        make=written(DOWN_UP, "diffusion_model.", alpha=False),
        answer=ACCEPTED,
    ),
    Scheme(
        name="diffusion_model. A/B.default",
        who="musubi-tuner",
        make=written(A_B_DEFAULT, "diffusion_model.", alpha=False),
        answer=ACCEPTED,
    ),
    Scheme(
        name="model.diffusion_model. A/B",
        who="checkpoints' prefix",
        make=written(A_B, "model.diffusion_model.", alpha=False),
        answer="`model.diffusion_model.`",
    ),
    Scheme(name="lora_unet_ + alpha", who="kohya, musubi-tuner", make=KOHYA(), answer=ACCEPTED),
    Scheme(name="lora_unet_", who="kohya", make=KOHYA(alpha=False), answer=ACCEPTED),
    Scheme(name="lora_unet_ + alpha as int64", who="musubi-tuner", make=KOHYA(dtype=torch.int64), answer=ACCEPTED),
    Scheme(name="lora_unet_ + alpha, all layers", who="kohya", make=KOHYA(), answer=ACCEPTED, also=ALL_LAYERS),
    Scheme(
        name="lycoris_ + alpha",
        who="SimpleTuner with LyCORIS",
        make=written(DOWN_UP, "lycoris_", flat=True),
        answer="`lycoris_`",
    ),
    Scheme(
        name="base_model.model. A/B",
        who="peft's save_pretrained",
        make=written(A_B, "base_model.model.", alpha=False),
        answer="`base_model.model.`",
    ),
    Scheme(
        name="base_model.model. A/B.default",
        who="peft's state_dict",
        make=written(A_B_DEFAULT, "base_model.model.", alpha=False),
        answer="`base_model.model.`",
    ),
    Scheme(
        name="pipe.dit. A/B",
        who="DiffSynth-Studio's training pipeline",
        make=written(A_B_DEFAULT, "pipe.dit.", alpha=False),
        answer="`pipe.dit.`",
    ),
    Scheme(
        name="both namings in one file",
        who="merged by hand",
        make=lambda factors: (
            written(A_B, "diffusion_model.")(dict(list(factors.items())[:2]))
            | written(DOWN_UP, "diffusion_model.")(dict(list(factors.items())[2:]))
        ),
        answer="named in several ways",
    ),
    Scheme(
        name="diffusion_model. and no prefix",
        who="merged by hand",
        make=lambda factors: (
            written(A_B, "diffusion_model.")(dict(list(factors.items())[:12]))
            | written(A_B)(dict(list(factors.items())[12:]))
        ),
        answer=ACCEPTED,
    ),
    Scheme(
        name="lora_unet_ and no prefix",
        who="merged by hand",
        make=lambda factors: (
            KOHYA()(dict(list(factors.items())[:12])) | written(DOWN_UP)(dict(list(factors.items())[12:]))
        ),
        answer=ACCEPTED,
    ),
    Scheme(
        name="lora_unet_, diffusion_model. and no prefix",
        who="merged by hand",
        make=lambda factors: (
            KOHYA(alpha=False)(dict(list(factors.items())[:4]))
            | written(DOWN_UP, "diffusion_model.", alpha=False)(dict(list(factors.items())[4:12]))
            | written(DOWN_UP, alpha=False)(dict(list(factors.items())[12:]))
        ),
        answer=ACCEPTED,
    ),
    Scheme(
        name="lora_unet_ and its names without it",
        who="merged by hand",
        make=lambda factors: (
            KOHYA()(dict(list(factors.items())[:12])) | written(DOWN_UP, flat=True)(dict(list(factors.items())[12:]))
        ),
        answer=ACCEPTED,
    ),
    Scheme(
        name="lora_unet_ and no prefix, all layers",
        who="merged by hand",
        make=lambda factors: (
            KOHYA()(dict(list(factors.items())[8:])) | written(DOWN_UP)(dict(list(factors.items())[:8]))
        ),
        answer="with no match",
        also=ALL_LAYERS,
    ),
    Scheme(
        name="transformer. and no prefix",
        who="merged by hand",
        make=lambda factors: (
            written(A_B, "transformer.", alpha=False)(dict(list(factors.items())[:12]))
            | written(A_B, alpha=False)(dict(list(factors.items())[12:]))
        ),
        answer="several prefixes",
    ),
)
DTYPES: tuple[Scheme, ...] = (
    Scheme(
        name="fp8 e4m3, transformer. A/B",
        who="fp8 casts",
        make=DIFFUSERS,
        answer=ACCEPTED,
        note="8-bit floats",
        dtype=FP8,
    ),
    Scheme(
        name="fp8 e5m2, transformer. A/B",
        who="fp8 casts",
        make=DIFFUSERS,
        answer=ACCEPTED,
        note="8-bit floats",
        dtype=torch.float8_e5m2,
    ),
    Scheme(
        name="fp8 e4m3, down/up + alpha",
        who="fp8 casts",
        make=written(dtype=torch.float32),
        answer="8-bit floats",
        dtype=FP8,
    ),
    Scheme(
        name="fp8 e4m3, A/B.default",
        who="fp8 casts",
        make=written(A_B_DEFAULT, alpha=False),
        answer="8-bit floats",
        dtype=FP8,
    ),
    Scheme(
        name="int8, down/up + alpha",
        who="int8 casts",
        make=written(dtype=torch.float32),
        answer="quantised",
        decision="diffusers takes the codes for values; the scale that makes them values is not applied",
        dtype=torch.int8,
    ),
    Scheme(
        name="int8 with scales",
        who="int8 casts",
        make=beside(DIFFUSERS, lambda name, pair: {f"transformer.{name}.lora_A.weight_scale": torch.ones(1)}),
        answer="quantised",
        dtype=torch.int8,
    ),
)


SCHEMES: tuple[Scheme, ...] = (*LIGHTNING, *BARE, *TRANSFORMER, *METADATA, *PREFIXES, *DTYPES, *KINDS, *FAMILIES)
