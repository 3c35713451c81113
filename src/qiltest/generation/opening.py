"""Open a generator. torch and diffusers are imported here, inside the function, and nowhere before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qiltest.errors import DeviceError
from qiltest.generation.settings import Offload, Settings
from qiltest.generation.sources import resolve_model
from qiltest.generation.waiting import let_waiting_threads_sleep
from qiltest.suite.variants import ModelKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qiltest.generation._generator import DiffusersGenerator


def open_generator(
    model: str,
    *,
    kind: ModelKind | None = None,
    device: str | None = None,
    dtype: str | None = None,
    fuse: bool = False,
    compile: bool = False,  # noqa: A002  the word that users know
    offload: Offload | str = Offload.NONE,
    threads: int | None = None,
    revision: str | None = None,
    download: bool = False,
    max_sequence_length: int | None = None,
    embeddings: Path | None = None,
    free_text_encoder: bool | None = None,
    allow_partial_lora: bool = False,
    on_step: Callable[[int, int], None] | None = None,
) -> DiffusersGenerator:
    """Return a generator for `model`: `tiny`, `random`, a folder in diffusers layout or a Hugging Face id.

    Options are those of `Settings`; `kind` says that a folder stands in for the embedded model. Nothing is loaded
    until a prompt is encoded or a picture drawn. Raises DeviceError where there is no device or no weights.
    """
    settings = Settings(
        device=device,
        dtype=dtype,
        fuse=fuse,
        compiled=compile,
        offload=_offload(offload),
        threads=threads,
        revision=revision,
        download=download,
        max_sequence_length=max_sequence_length,
        embeddings=embeddings,
        free_text_encoder=free_text_encoder,
        allow_partial_lora=allow_partial_lora,
        on_step=on_step,
    )
    source = resolve_model(model, kind=kind, revision=revision, download=download)
    if (device or ("cpu" if source.kind is ModelKind.TINY else "cuda")).startswith("cpu"):
        let_waiting_threads_sleep()
    try:
        from qiltest.generation._generator import DiffusersGenerator
    except ImportError as error:
        raise DeviceError(
            f"drawing needs torch and diffusers: {error}",
            remedy="pip install --upgrade torch diffusers transformers peft",
        ) from error
    generator = DiffusersGenerator(source, settings)
    if source.is_random and generator.on_cpu:
        raise DeviceError(
            "the random model is Qwen-Image at full size (41 GB), for a GPU",
            where="--qil-model=random",
            remedy="run on a GPU machine, or choose --qil-model=tiny",
        )
    return generator


def _offload(named: Offload | str) -> Offload:
    try:
        return Offload(named)
    except ValueError as error:
        choices = ", ".join(way.value for way in Offload)
        raise DeviceError(f"offload {named!r} is not known", remedy=f"write one of {choices}") from error
