"""Load pipelines: text encoder and transformer one after the other, to save memory, or with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import diffusers
import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
)
from diffusers.models.transformers.transformer_qwenimage import QwenEmbedRope
from transformers.utils import logging as transformers_logging

from qiltest.errors import DeviceError
from qiltest.generation._errors import translated
from qiltest.generation._weights import BaseWeights, FolderWeights, RandomWeights
from qiltest.generation.schedule import QWEN_IMAGE
from qiltest.generation.settings import Offload
from qiltest.generation.sources import ModelSource
from qiltest.generation.version import GENERATION_VERSION
from qiltest.recipe import Scalar

#: seed of the random model's weights; part of its hash.
RANDOM_SEED = 0
#: standard deviation of the random model's matrices.
RANDOM_STD = 0.02


def versions() -> tuple[tuple[str, str], ...]:
    """Return the versions of the packages that decide an image, and of this folder's own code."""
    packages = ("diffusers", "peft", "torch", "transformers")
    found = [(name, version(name)) for name in packages]
    return tuple(sorted([*found, ("qiltest-generation", str(GENERATION_VERSION))]))


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Hide the libraries' progress bars: qiltest reports the loading itself."""
    shown = transformers_logging.is_progress_bar_enabled()
    diffusers.utils.logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        diffusers.utils.logging.enable_progress_bar()
        if shown:
            transformers_logging.enable_progress_bar()


def load_text_stage(source: ModelSource, dtype: torch.dtype, device: torch.device, offload: Offload) -> Any:  # noqa: ANN401
    """Return a pipeline with text encoder and tokenizer alone, on the device (or offloaded by diffusers' means)."""
    pipeline = _from_pretrained(source, dtype, transformer=None, vae=None, scheduler=None)
    pipeline.text_encoder.requires_grad_(False)
    return _placed(pipeline, device, offload)


def load_image_stage(source: ModelSource, dtype: torch.dtype, device: torch.device, offload: Offload) -> Any:  # noqa: ANN401
    """Return a pipeline with transformer, VAE and scheduler, on the device (or offloaded by diffusers' means)."""
    if source.is_random:
        pipeline = random_pipeline({}, {}, dtype, device)
    else:
        pipeline = _from_pretrained(source, dtype, text_encoder=None, tokenizer=None)
    pipeline.set_progress_bar_config(disable=True)
    for part in (pipeline.transformer, pipeline.vae):
        part.requires_grad_(False)
    return _placed(pipeline, device, offload)


def _placed(pipeline: Any, device: torch.device, offload: Offload) -> Any:  # noqa: ANN401
    if offload is Offload.MODEL:
        pipeline.enable_model_cpu_offload(device=device)
    elif offload is Offload.SEQUENTIAL:
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)
    return pipeline


def _from_pretrained(source: ModelSource, dtype: torch.dtype, **without: None) -> Any:  # noqa: ANN401
    try:
        with translated("loading the model"), quiet_loading():
            return QwenImagePipeline.from_pretrained(
                source.folder, dtype=dtype, use_safetensors=True, local_files_only=True, **without
            )
    except (OSError, ValueError) as error:
        raise DeviceError(
            f"the model cannot be loaded: {str(error).splitlines()[0][:300]}",
            where=str(source.folder),
            remedy="one of its files is damaged or missing; download the model again",
        ) from error


def prompt_template() -> str:
    """Return the installed pipeline's own prompt template, and how many tokens it drops of it."""
    empty = QwenImagePipeline(scheduler=None, vae=None, text_encoder=None, tokenizer=None, transformer=None)
    return f"{empty.prompt_template_encode_start_idx} {empty.prompt_template_encode}"


def scheduler_config(source: ModelSource) -> dict[str, Scalar]:
    """Return the model's own scheduler config."""
    if source.is_random:
        return dict(QWEN_IMAGE)
    config = FlowMatchEulerDiscreteScheduler.load_config(source.folder, subfolder="scheduler", local_files_only=True)
    return {key: value for key, value in dict(config).items() if not key.startswith("_")}


def random_pipeline(
    transformer_config: dict[str, Any], vae_config: dict[str, Any], dtype: torch.dtype, device: torch.device
) -> Any:  # noqa: ANN401
    """Return a pipeline with random weights; empty configs give Qwen-Image at full size (41 GB in bfloat16).

    The transformer is built without memory, then filled on the device: no copy of it is ever on the CPU.
    """
    with translated("filling the random model"):
        transformer = _random_transformer(transformer_config, dtype, device)
        with torch.random.fork_rng():
            torch.manual_seed(RANDOM_SEED)
            vae = AutoencoderKLQwenImage(**vae_config).to(device=device, dtype=dtype).eval()
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(QWEN_IMAGE)
    return QwenImagePipeline(scheduler=scheduler, vae=vae, text_encoder=None, tokenizer=None, transformer=transformer)


def _random_transformer(
    config: dict[str, Any], dtype: torch.dtype, device: torch.device
) -> QwenImageTransformer2DModel:
    with torch.device("meta"):
        transformer = QwenImageTransformer2DModel(**config)
    transformer = transformer.to(dtype).to_empty(device=device).eval()
    # the rotary tables are plain attributes, not buffers: made on meta they have no values
    transformer.pos_embed = QwenEmbedRope(
        theta=10000, axes_dim=list(transformer.config.axes_dims_rope), scale_rope=True
    )
    weights = _random_weights(transformer, dtype, device)
    with torch.no_grad():
        for name, parameter in transformer.named_parameters():
            parameter.copy_(weights.make(name))
    return transformer


def base_weights(source: ModelSource, transformer: Any, dtype: torch.dtype, device: torch.device) -> BaseWeights:  # noqa: ANN401
    """Return where a loaded transformer's own weights can be read again. Raises DeviceError."""
    return _random_weights(transformer, dtype, device) if source.folder is None else FolderWeights(source.folder)


def _random_weights(transformer: Any, dtype: torch.dtype, device: torch.device) -> RandomWeights:  # noqa: ANN401
    shapes = {name: parameter.shape for name, parameter in own_parameters(transformer)}
    return RandomWeights(shapes, seed=RANDOM_SEED, std=RANDOM_STD, dtype=dtype, device=device)


def own_parameters(transformer: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:  # noqa: ANN401
    """Yield the model's own parameters, under their own names also where peft has wrapped a module."""
    for name, parameter in transformer.named_parameters():
        if ".lora_" not in name:
            yield name.replace(".base_layer.", "."), parameter
