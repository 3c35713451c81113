"""Load pipelines: text encoder and transformer one after the other, to save memory, or with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from accelerate import init_empty_weights
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.hooks import apply_group_offloading
from transformers.utils import logging as transformers_logging

from qiltest.errors import GenerationError, ModelError, RecipeError
from qiltest.generation._errors import LIBRARIES_RAISE, first_line, translated
from qiltest.generation._fill import HostMemory, Tensors, file_tensors, fill, mapped, onto
from qiltest.generation._keys import empty_part
from qiltest.generation._memory import ENCODING, check_memory, free_bytes, sizes_of
from qiltest.generation._weights import BaseWeights, FolderWeights, RandomWeights
from qiltest.generation.families import FAMILIES, Family
from qiltest.generation.settings import Offload, Settings
from qiltest.generation.sources import ModelSource
from qiltest.generation.version import GENERATION_VERSION
from qiltest.generation.whole import shown, weights_of
from qiltest.recipe import Scalar

#: seed of the random model's weights; part of its hash.
RANDOM_SEED = 0
#: standard deviation of the random model's matrices.
RANDOM_STD = 0.02
#: everything on the device, in the dtype of computing.
PLAIN = Settings()
_DAMAGED = "one of its files is damaged or of another release; download the model again"


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


def load_text_stage(source: ModelSource, dtype: torch.dtype, device: torch.device, settings: Settings) -> Any:  # noqa: ANN401
    """Return a pipeline with text encoder and tokenizer alone, read straight onto the device if it has room.

    Raises ModelError where the whole model does not fit, this or the image stage, or cannot be loaded.
    """
    check_memory(source, dtype, device, settings)
    assert source.folder is not None
    with loading(source, "loading the text encoder"):
        room = device.type == "cpu" or sizes_of(source, dtype).text_encoder + ENCODING <= free_bytes(device)
        whole = settings.offload in (Offload.NONE, Offload.MODEL) or room
        encoder = _text_encoder(source.family, source.folder, dtype, device if whole else torch.device("cpu"))
        encoder.requires_grad_(False)
        # not `from_pretrained`, which would look for code in the folder
        pipeline = source.family.assemble(text_encoder=encoder, **_vocabulary(source.family, source.folder))
        if not whole and settings.offload is Offload.GROUP:
            apply_group_offloading(encoder, device, offload_type="leaf_level", use_stream=True, low_cpu_mem_usage=True)
        elif not whole:
            pipeline.enable_sequential_cpu_offload(device=device)
    return pipeline


def load_image_stage(source: ModelSource, dtype: torch.dtype, device: torch.device, settings: Settings) -> Any:  # noqa: ANN401
    """Return a pipeline with transformer, VAE and scheduler, placed as the settings say.

    Raises ModelError where it does not fit or cannot be loaded.
    """
    check_memory(source, dtype, device, settings)
    with loading(source, "loading the model"):
        if source.folder is None:
            configs = source.family.random_configs()
            pipeline = random_pipeline(
                dict(configs["transformer"]), dict(configs["vae"]), dtype, device, settings, source.family
            )
        else:
            pipeline = _file_pipeline(source.family, source.folder, dtype, device, settings)
        pipeline.set_progress_bar_config(disable=True)
        for part in (pipeline.transformer, pipeline.vae):
            part.eval().requires_grad_(False)
        _offload(pipeline, device, settings)
    return pipeline


@contextmanager
def loading(source: ModelSource, what: str) -> Iterator[None]:
    """Raise whatever the libraries raise while they load as one ModelError, which ends the session."""
    try:
        with translated(what), quiet_loading():
            yield
    except ModelError as error:
        raise ModelError(error.what, where=error.where or source.name, remedy=error.remedy or _DAMAGED) from error
    except (GenerationError, RecipeError) as error:
        raise ModelError(error.what, where=error.where or source.name, remedy=error.remedy) from error
    except LIBRARIES_RAISE as error:
        raise ModelError(
            f"the model cannot be loaded: {first_line(error, 300)}", where=source.name, remedy=_DAMAGED
        ) from error


def _text_encoder(family: Family, model: Path, dtype: torch.dtype, device: torch.device) -> Any:  # noqa: ANN401
    """Read the text encoder; transformers fills what it does not find with random values, which is refused."""
    folder = model / "text_encoder"
    encoder, info = getattr(transformers, family.classes["text_encoder"]).from_pretrained(
        folder,
        dtype=dtype,
        device_map=None if device.type == "cpu" else {"": device},
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
    )
    missing = [name for name in info["missing_keys"] if not name.startswith(family.unused)]
    for names, did in (
        (missing, "left random"),
        (info["unexpected_keys"], "did not take"),
        (info["mismatched_keys"], "found in another shape"),
    ):
        if names:
            told = shown(sorted(map(str, names)))
            raise ModelError(f"transformers {did} {len(names)} weights of the text encoder: {told}", where=str(folder))
    return encoder.eval()


def _vocabulary(family: Family, folder: Path) -> dict[str, Any]:
    """Read the tokenizer. Its parser raises plain Exceptions for files that it does not take."""
    try:
        found = dict(family.load_vocabulary(folder))
        found[family.vocabulary](text="a")  # which settings it cannot work with shows only then
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise ModelError(
            f"the {family.vocabulary} cannot be read: {first_line(error)}", where=str(folder / family.vocabulary)
        ) from error
    return found


def _file_pipeline(family: Family, folder: Path, dtype: torch.dtype, device: torch.device, settings: Settings) -> Any:  # noqa: ANN401
    transformer = _in_storage(empty_part(family, "transformer", folder), dtype, settings)
    _fill_transformer(transformer, file_tensors(weights_of(folder, "transformer")), dtype, device, settings)
    vae = torch.nn.Module.to(empty_part(family, "vae", folder), dtype)
    resident = device.type == "cpu" or settings.offload in (Offload.NONE, Offload.GROUP)
    fill(vae, file_tensors(weights_of(folder, "vae")), dtype=dtype, put=onto(device) if resident else mapped)
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folder, subfolder="scheduler", local_files_only=True)
    return family.assemble(scheduler=scheduler, vae=vae, transformer=transformer)


def _in_storage(transformer: Any, dtype: torch.dtype, settings: Settings) -> Any:  # noqa: ANN401
    """Give a transformer on the meta device the dtypes in which its weights will be stored."""
    torch.nn.Module.to(transformer, dtype)
    if settings.fp8:
        transformer.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=dtype)
    return transformer


def _fill_transformer(
    transformer: Any,  # noqa: ANN401
    tensors: Tensors,
    dtype: torch.dtype,
    device: torch.device,
    settings: Settings,
) -> None:
    if settings.offload is Offload.NONE:
        fill(transformer, tensors, dtype=dtype, put=onto(device))
    elif settings.offload is Offload.GROUP and device.type == "cuda":
        memory = HostMemory(transformer)
        fill(transformer, tensors, dtype=dtype, put=memory.put)
        memory.pin(transformer, device)
    else:
        fill(transformer, tensors, dtype=dtype, put=onto(device) if device.type == "cpu" else mapped)


def _offload(pipeline: Any, device: torch.device, settings: Settings) -> None:  # noqa: ANN401
    if settings.offload is Offload.MODEL:
        pipeline.enable_model_cpu_offload(device=device)
    elif settings.offload is Offload.SEQUENTIAL and device.type == "cuda":
        pipeline.enable_sequential_cpu_offload(device=device)  # accelerate cannot offload from the CPU to the CPU
    elif settings.offload is Offload.GROUP:
        gpu = device.type == "cuda"
        # no record_stream: with it, memory of blocks that wait to compute would pile up on a slow card
        pipeline.transformer.enable_group_offload(
            device, offload_type="block_level", num_blocks_per_group=1, use_stream=gpu, low_cpu_mem_usage=gpu
        )


def scheduler_config(source: ModelSource) -> dict[str, Scalar]:
    """Return the model's own scheduler config."""
    if source.is_random:
        return dict(source.family.scheduler)
    config = FlowMatchEulerDiscreteScheduler.load_config(source.folder, subfolder="scheduler", local_files_only=True)
    return {key: value for key, value in dict(config).items() if not key.startswith("_")}


def random_pipeline(
    transformer_config: dict[str, Any],
    vae_config: dict[str, Any],
    dtype: torch.dtype,
    device: torch.device,
    settings: Settings = PLAIN,
    family: Family = FAMILIES[0],
) -> Any:  # noqa: ANN401
    """Return a pipeline with random weights; empty configs give the release's sizes (Qwen-Image: 41 GB in bfloat16).

    The transformer is built without memory, then filled one weight at a time, with the same values in every way.
    """
    with translated("filling the random model"):
        transformer = _random_transformer(family, transformer_config, dtype, device, settings)
        with torch.random.fork_rng():
            torch.manual_seed(RANDOM_SEED)
            vae = getattr(diffusers, family.classes["vae"])(**vae_config).to(device=device, dtype=dtype).eval()
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(dict(family.scheduler))
    return family.assemble(scheduler=scheduler, vae=vae, transformer=transformer)


def _random_transformer(
    family: Family, config: dict[str, Any], dtype: torch.dtype, device: torch.device, settings: Settings = PLAIN
) -> Any:  # noqa: ANN401
    with init_empty_weights():
        transformer = _in_storage(getattr(diffusers, family.classes["transformer"])(**config), dtype, settings)
    weights = _random_weights(transformer, dtype, device)
    made = ((name, weights.make(name)) for name, _ in list(own_parameters(transformer)))
    _fill_transformer(transformer, made, dtype, device, settings)
    return transformer.eval()


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
