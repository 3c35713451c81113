"""Open a generator, importing torch and diffusers only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qiltest.errors import DeviceError
from qiltest.generation.ahead import Ahead
from qiltest.generation.settings import Settings
from qiltest.generation.sources import ModelSource, base_of, resolve_model
from qiltest.generation.waiting import let_waiting_threads_sleep
from qiltest.spans import span

if TYPE_CHECKING:
    from qiltest.generation._generator import DiffusersGenerator
    from qiltest.suite.variants import ModelKind

#: every option as the model has it.
DEFAULTS = Settings()


def begin_ahead(model: str, settings: Settings = DEFAULTS) -> Ahead:
    """Find a model and, for a GPU, begin to hash its files before torch is imported. Raises as `open_generator`."""
    ahead = Ahead(_resolved(model, settings))
    if not _on_cpu(ahead.source, settings):
        ahead.begin()
    return ahead


def open_generator(
    model: str,
    settings: Settings = DEFAULTS,
    *,
    kind: ModelKind | None = None,
    ahead: Ahead | None = None,
) -> DiffusersGenerator:
    """Return a generator for `model`: an embedded one, `random`, a folder in diffusers layout or a Hugging Face id.

    `kind` says that a folder stands in for the embedded model, `ahead` is what `begin_ahead` returned for the same
    model. Nothing is loaded until a prompt is encoded or an image generated. Raises DeviceError where there is no
    device or no weights, ModelError where the weights are not whole.
    """
    ahead = ahead or Ahead(_resolved(model, settings, kind))
    source = ahead.source
    if _on_cpu(source, settings):
        let_waiting_threads_sleep()
    try:
        with span("import libraries", "torch, transformers, diffusers"):
            from qiltest.generation._generator import DiffusersGenerator
            from qiltest.generation._keys import check_keys
    except ImportError as error:
        raise DeviceError(
            f"generating needs torch and diffusers: {error}",
            remedy="pip install --upgrade torch diffusers transformers peft",
        ) from error
    generator = DiffusersGenerator(source, settings, ahead)
    if not source.is_tiny or source.revision != "embedded":
        with span("compare keys of weights"):
            check_keys(source)
    if source.is_random and generator.on_cpu:
        numbers = sum(rows * columns for rows, columns in base_of(source).modules.values())
        raise DeviceError(
            f"the random model is {source.family.release} at full size ({2 * numbers / 1e9:.0f} GB), for a GPU",
            where=f"--qil-model={source.name}",
            remedy="run on a GPU machine, or choose --qil-model=tiny",
        )
    return generator


def _resolved(model: str, settings: Settings, kind: ModelKind | None = None) -> ModelSource:
    with span("check the model's folder"):
        return resolve_model(
            model, kind=kind, revision=settings.revision, download=settings.download, base=settings.base
        )


def _on_cpu(source: ModelSource, settings: Settings) -> bool:
    return (settings.device or ("cpu" if source.is_tiny else "cuda")).startswith("cpu")
