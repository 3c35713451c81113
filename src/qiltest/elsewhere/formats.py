"""The plan as JSON, as CSV, and as prompts for ComfyUI's API."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from qiltest import strict_json
from qiltest.elsewhere.plan import PlannedImage, PlannedModel
from qiltest.errors import RecipeError

SCHEMA = 1
#: decimals of a sigma in CSV and for ComfyUI, whose node reads no exponents.
_DECIMALS = 9
#: columns of the CSV, in order; the LoRA's are prefixed, sigmas are separated by spaces, what has parts is JSON.
COLUMNS = (
    "file",
    "sample",
    "case",
    "size",
    "variant",
    "seed",
    "prompt",
    "negative_prompt",
    "width",
    "height",
    "steps",
    "true_cfg_scale",
    "lora_source",
    "lora_file",
    "lora_sha256",
    "lora_merged",
    "scheduler",
    "sigmas",
    "max_sequence_length",
    "scheduler_config",
    "scheduler_settings",
    "given_sigmas",
    "inputs",
)
#: as many as tell that a table is a plan.
_FIRST_COLUMNS = 8
#: keys of an image's entry in the prompts for ComfyUI.
_PROMPT = {"file", "sample", "prompt"}
#: the files of the repackaged weights that ComfyUI's own templates name; the transformer's by its model.
_UNETS = {
    "Qwen/Qwen-Image": "qwen_image_bf16.safetensors",
    "Qwen/Qwen-Image-2512": "qwen_image_2512_bf16.safetensors",
}
_CLIP = "qwen_2.5_vl_7b.safetensors"
_VAE = "qwen_image_vae.safetensors"
Graph = dict[str, dict[str, Any]]


def as_json(images: Sequence[PlannedImage], model: PlannedModel) -> str:
    """Return the plan as indented JSON."""
    record = {"schema": SCHEMA, "model": model.name, "images": [_entry(image) for image in images]}
    return json.dumps(record, ensure_ascii=True, indent=1, allow_nan=False) + "\n"


def _entry(image: PlannedImage) -> dict[str, Any]:
    """Return an image's entry; only an edit has inputs."""
    return {name: value for name, value in asdict(image).items() if name != "inputs" or value}


def as_csv(images: Sequence[PlannedImage]) -> str:
    """Return the plan as CSV with a header; what does not apply is empty."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_row, images))
    return buffer.getvalue()


def as_comfyui(images: Sequence[PlannedImage], model: PlannedModel) -> str:
    """Return a JSON list with one `prompt` per image in the form that ComfyUI's `POST /prompt` takes.

    Raises RecipeError for a model whose weights no graph here loads, and for what a graph cannot carry.
    """
    unet = _UNETS.get(model.base.id or "")
    if unet is None:
        raise RecipeError(
            f"graphs for ComfyUI load the weights of {' or '.join(_UNETS)}, and nothing says that {model.name} is one",
            where=model.name,
            remedy="give another --format; where the model is one of them, say so with --base-model",
        )
    for image in images:
        if image.inputs:
            raise RecipeError(
                "graphs for ComfyUI load no input images", where=image.sample, remedy="give another --format"
            )
    prompts = [{"file": image.file, "sample": image.sample, "prompt": graph(image, unet)} for image in images]
    return json.dumps(prompts, ensure_ascii=True, indent=1, allow_nan=False) + "\n"


def is_plan(text: str) -> bool:
    """Return whether a text is a plan, in one of the three forms."""
    if text.startswith(",".join(COLUMNS[:_FIRST_COLUMNS])):
        return True
    try:
        record = strict_json.parse(text)
    except strict_json.StrictJsonError:
        return False
    if isinstance(record, dict):
        return set(record) == {"schema", "model", "images"}
    return (
        isinstance(record, list)
        and bool(record)
        and all(isinstance(one, dict) and set(one) == _PROMPT for one in record)
    )


def graph(image: PlannedImage, unet: str) -> Graph:
    """Return the graph of nodes that generates an image in ComfyUI: each node's class and inputs, by its number.

    `unet` is the transformer's file. Sigmas are given one by one, where they are known, because none of ComfyUI's
    schedulers has exactly these. Raises RecipeError where the variant has a schedule of its own and they are not known.
    """
    if image.sigmas is None and (image.scheduler_settings or image.given_sigmas):
        raise RecipeError(
            "its schedule changes the model's own, which is not on this machine: a graph could not carry it",
            where=f"variant {image.variant}",
            remedy="name the model's folder with --model, or give another --format",
        )
    nodes: Graph = {
        "unet": _node("UNETLoader", unet_name=unet, weight_dtype="default"),
        "clip": _node("CLIPLoader", clip_name=_CLIP, type="qwen_image", device="default"),
        "vae": _node("VAELoader", vae_name=_VAE),
        "positive": _node("CLIPTextEncode", clip=["clip", 0], text=image.prompt),
        # at CFG 1 ComfyUI makes no use of it, but its node wants one
        "negative": _node("CLIPTextEncode", clip=["clip", 0], text=image.negative_prompt or ""),
        "latent": _node("EmptySD3LatentImage", width=image.width, height=image.height, batch_size=1),
        "noise": _node("RandomNoise", noise_seed=image.seed),
        "sampler": _node("KSamplerSelect", sampler_name="euler"),
    }
    model = "unet"
    if image.lora is not None:
        model = "lora"
        nodes[model] = _node("LoraLoaderModelOnly", model=["unet", 0], lora_name=image.lora.file, strength_model=1.0)
    if image.sigmas is None:
        nodes["sigmas"] = _node("BasicScheduler", model=[model, 0], scheduler="simple", steps=image.steps, denoise=1.0)
    else:
        nodes["sigmas"] = _node("ManualSigmas", sigmas=", ".join(_decimals((*image.sigmas, 0.0))))
    ends = {"positive": ["positive", 0], "negative": ["negative", 0]}
    nodes["guider"] = _node("CFGGuider", model=[model, 0], **ends, cfg=image.true_cfg_scale)
    parts = {name: [name, 0] for name in ("noise", "guider", "sampler", "sigmas")}
    nodes["sampled"] = _node("SamplerCustomAdvanced", **parts, latent_image=["latent", 0])
    nodes["decoded"] = _node("VAEDecode", samples=["sampled", 0], vae=["vae", 0])
    nodes["saved"] = _node("SaveImage", images=["decoded", 0], filename_prefix=image.sample)
    return nodes


def _node(kind: str, **inputs: Any) -> dict[str, Any]:  # noqa: ANN401 -- what the node takes
    return {"class_type": kind, "inputs": inputs}


def _row(image: PlannedImage) -> dict[str, object]:
    lora = image.lora
    known: dict[str, object] = {name: getattr(image, name, "") for name in COLUMNS}
    known["negative_prompt"] = "" if image.negative_prompt is None else image.negative_prompt
    known["sigmas"] = "" if image.sigmas is None else " ".join(_decimals(image.sigmas))
    known["given_sigmas"] = " ".join(_decimals(image.given_sigmas))
    parts = {name: getattr(image, name) for name in ("scheduler_config", "scheduler_settings", "inputs")}
    known |= {name: json.dumps(value, allow_nan=False) if value else "" for name, value in parts.items()}
    known["lora_source"], known["lora_file"] = ("", "") if lora is None else (lora.source, lora.file)
    known["lora_sha256"] = "" if lora is None or lora.sha256 is None else lora.sha256
    known["lora_merged"] = "" if lora is None else str(lora.merged).lower()
    return known


def _decimals(sigmas: Sequence[float]) -> list[str]:
    return [f"{sigma:.{_DECIMALS}f}" for sigma in sigmas]
