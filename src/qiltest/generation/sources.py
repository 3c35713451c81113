"""Find the files of the models, LoRAs and bases that the user named, and hash them. Needs no torch."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from qiltest.errors import DeviceError, ModelError, RecipeError
from qiltest.files import expanded
from qiltest.generation.border import MOST_BYTES, SUFFIXES, border_faults, forget_parsed, read_object
from qiltest.generation.families import FAMILIES, Family, family_named, family_of
from qiltest.generation.identity import name_of_folder
from qiltest.generation.model_base import base_of_folder
from qiltest.generation.whole import MISSING, folder_faults
from qiltest.lora.bases import Base, KnownLora
from qiltest.lora.catalogue import catalogue, recognise
from qiltest.strict_json import StrictJsonError, parse_file
from qiltest.suite.variants import EMBEDDED_NAMES, ModelBase, ModelKind, Variant

#: names of the embedded models, for text to image and for editing, and of Qwen-Image at full size with random weights,
#: as `--qil-model` takes them.
TINY, TINY_EDIT = EMBEDDED_NAMES
RANDOM = "random"
#: the embedded models, in diffusers layout.
EMBEDDED_MODELS = {TINY: Path(__file__).parent / "tiny", TINY_EDIT: Path(__file__).parent / "tiny_edit"}
#: the one for text to image.
EMBEDDED = EMBEDDED_MODELS[TINY]
_ANOTHER_FOLDER = "name the release's own folder, whole and in bfloat16, for example {}"
_ONLY_PLAIN = (
    "nothing of the folder was opened; get it from its source again, with .safetensors, .json and .txt files of its own"
)
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_EMBEDDED_LORA = "embedded::"
RANDOM_LORA = "random::"
#: faults of a folder that its refusal tells; a hostile one may have thousands.
_MOST_FAULTS = 8


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A model as named, and where it is. `folder` is None for random weights."""

    #: as the user typed it: for messages.
    name: str
    kind: ModelKind
    folder: Path | None
    #: commit of a hub snapshot, "embedded", "local" or "random".
    revision: str
    #: the base model that it is (`base_of_model`); None: unknown.
    base: ModelBase | None = None

    @cached_property
    def model(self) -> str:
        """The name under which its goldens, latencies and runs are kept, however its folder was typed."""
        if self.folder is None or is_embedded(self.name) or _folder(self.name) is None:
            return self.name
        return name_of_folder(self.folder)

    @cached_property
    def family(self) -> Family:
        """The family that generates with it; of a folder that is none, the first. A folder was checked before."""
        if self.folder is None:
            return _random_family(self.name) or FAMILIES[0]
        return family_of(read_object(self.folder / "model_index.json").get("_class_name")) or FAMILIES[0]

    @cached_property
    def sample_sigmas(self) -> tuple[float, ...]:
        """The sigmas that `model_index.json` names for every image, before the shift; () for none."""
        index = {} if self.folder is None else read_object(self.folder / "model_index.json")
        found = index.get("sample_sigmas")
        numbers = found if isinstance(found, list) else []
        return tuple(float(one) for one in numbers if isinstance(one, int | float))

    @property
    def is_random(self) -> bool:
        """True where the weights are random, at full size."""
        return self.folder is None

    @property
    def is_tiny(self) -> bool:
        """True for an embedded model, or a folder that stands in for one."""
        return self.kind is ModelKind.TINY


def resolve_model(
    name: str,
    *,
    kind: ModelKind | None = None,
    revision: str | None = None,
    download: bool = False,
    base: str | None = None,
) -> ModelSource:
    """Find a model: `tiny`, `tiny-edit`, `random`, a folder in diffusers layout or a Hugging Face id.

    `kind` says that a folder is to be treated as the embedded model (its sizes, its LoRAs), `base` which base model it
    is. Raises DeviceError where there are no weights, saying how to get them.
    """
    source = _resolved(name, kind=kind, revision=revision, download=download)
    if source.is_tiny and not is_embedded(name):  # a stand-in, of which nothing is known
        return source
    return replace(source, base=base_of_model(name, insisted=base, folder=source.folder))


def is_embedded(name: str) -> bool:
    """Return whether a model's name is that of an embedded one."""
    return name in EMBEDDED_MODELS


def kind_of(name: str) -> ModelKind:
    """Return which LoRAs and sizes a model of this name uses."""
    return ModelKind.TINY if is_embedded(name) else ModelKind.REAL


def embedded_source(name: str) -> ModelSource:
    """Return an embedded model, whether or not its files are whole."""
    return ModelSource(name=name, kind=ModelKind.TINY, folder=EMBEDDED_MODELS[name], revision="embedded")


def embedded_of(variant: Variant) -> ModelSource:
    """Return the embedded model that a variant's `embedded::NAME` is a LoRA of: its `base_model`, else `tiny`."""
    named = variant.base_model
    return embedded_source(named if named is not None and is_embedded(named) else TINY)


def is_random(name: str) -> bool:
    """Return whether a model's name is that of random weights: `random`, or `random/` and a family's name."""
    return name == RANDOM or name.startswith(f"{RANDOM}/")


def _random_family(name: str) -> Family | None:
    return FAMILIES[0] if name == RANDOM else family_named(name.removeprefix(f"{RANDOM}/"))


def base_of_model(name: str, *, insisted: str | None = None, folder: Path | None = None) -> ModelBase:
    """Return which base model a model is, whether or not its weights are here. `insisted` is `--qil-base`.

    Nothing is read but a model's card, its configs and, where these tell nothing, one file of its weights.
    """
    found = _base_of_model(name, insisted=insisted, folder=folder)
    return replace(found, family=_family_name(name, found, folder))


def _family_name(name: str, base: ModelBase, folder: Path | None) -> str | None:
    """Return the name of a model's family: by its folder, else by its base's entry in the catalogue."""
    if is_random(name):
        named = _random_family(name)
        return named.name if named else None
    folder = EMBEDDED_MODELS.get(name) or folder or _folder(name) or _cached(name)
    known = None if base.id is None else catalogue().base(base.id)
    pipeline = known.pipeline if known else None
    if folder is not None:
        pipeline = read_object(folder / "model_index.json").get("_class_name", pipeline)
    family = family_of(pipeline)
    return family.name if family else None


def _base_of_model(name: str, *, insisted: str | None, folder: Path | None) -> ModelBase:
    if insisted is not None:
        known = catalogue().base(insisted)
        return ModelBase(model=name, id=known.id if known else insisted, evidence="--qil-base")
    if name == TINY:
        return ModelBase(model=name)
    if is_embedded(name):
        return ModelBase(model=name, id=name, evidence="its name")
    family = _random_family(name) if is_random(name) else None
    named = family.release if family else name
    here = _folder(name)
    known = None if here else catalogue().base(named)
    if known is not None:
        return ModelBase(model=name, id=known.id, evidence="its id" if named == name else "its shape")
    folder = folder or here or _cached(name)
    return ModelBase(model=name) if folder is None else base_of_folder(folder, model=name)


def _folder(name: str) -> Path | None:
    """Return the folder that a model's name is, with `~` as the user's home; None where there is none."""
    with suppress(OSError):  # a name that is too long for a path
        return expanded(name) if expanded(name).is_dir() else None
    return None


def _is_file(name: str) -> bool:
    with suppress(OSError):
        return expanded(name).is_file()
    return False


def is_hub_id(text: str) -> bool:
    """Return whether a text has the form of a Hugging Face id, owner/name."""
    return _HUB_ID.fullmatch(text) is not None


def _cached(name: str) -> Path | None:
    """Return the folder of a Hugging Face id in the cache, None where it is not there."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "model_index.json") if _HUB_ID.fullmatch(name) else None
    return Path(found).parent if isinstance(found, str) else None


def _resolved(name: str, *, kind: ModelKind | None, revision: str | None, download: bool) -> ModelSource:
    if is_random(name):
        if _random_family(name) is None:
            known = _one_of([RANDOM, *(f"{RANDOM}/{family.name}" for family in FAMILIES)])
            raise DeviceError(f"{name!r} names no family of random weights", remedy=f"write {known}")
        return ModelSource(name=name, kind=ModelKind.REAL, folder=None, revision=RANDOM)
    if is_embedded(name):
        source = embedded_source(name)
        folder = _checked(
            EMBEDDED_MODELS[name], remedy="this installation lacks the embedded model; install qiltest again"
        )
        return replace(source, folder=folder)
    here = _folder(name)
    if here is not None:
        folder = _checked(here, remedy="name a folder with model_index.json and the components it lists")
        found = _commit_of(folder)
        if revision is not None and revision != found:
            raise DeviceError(f"revision {revision} was requested, the folder has {found}", where=name)
        return ModelSource(name=name, kind=kind or ModelKind.REAL, folder=folder, revision=found)
    if _is_file(name):
        raise ModelError(
            "this is one file, and neither a single .safetensors file nor a GGUF is supported as a model",
            where=name,
            remedy="name a folder in diffusers layout, which has all parts of the model, or Qwen/Qwen-Image",
        )
    if _HUB_ID.fullmatch(name) is None:
        raise DeviceError(
            f"unknown model {name!r}: neither a folder nor a Hugging Face id",
            remedy="write tiny, tiny-edit, random, a folder in diffusers layout, or an id such as Qwen/Qwen-Image",
        )
    folder = _snapshot(name, revision, download=download)
    return ModelSource(name=name, kind=kind or ModelKind.REAL, folder=folder, revision=_commit_of(folder))


def resolve_lora(source: str, *, model: ModelSource, download: bool = False) -> Path:
    """Find a LoRA file: `embedded::NAME` (next to an embedded model), a path, or `repo::file` on the hub.

    Raises RecipeError where the file is missing or is not a `.safetensors`: diffusers reads any other as a pickle.
    """
    path = _lora_path(source, model, download=download)
    if not path.is_file():
        raise RecipeError("no such LoRA file", where=source, remedy="name a file, repo::file or embedded::NAME")
    if path.suffix != ".safetensors":
        raise RecipeError(
            f"{path.name!r} is not a .safetensors file", where=source, remedy="convert it: pickles are never opened"
        )
    return path


def known_bases() -> tuple[Base, ...]:
    """Return the bases that a file is compared with when none is named: the releases' and the embedded models'."""
    installed = [name for name, folder in EMBEDDED_MODELS.items() if (folder / "transformer" / "config.json").exists()]
    return (*_released_bases(), *map(open_base, installed))


def open_base(text: str) -> Base:
    """Return the base that `--base` names: `qwen-image`, an embedded model or a folder. Raises RecipeError."""
    named = next((base for base in _released_bases() if base.name == text), None)
    if named is not None:
        return named
    if is_embedded(text):
        return base_of(embedded_source(text))
    return base_of(ModelSource(name=Path(text).name, kind=ModelKind.REAL, folder=Path(text), revision=""))


def base_option(model: ModelSource) -> str:
    """Return what `qiltest lora --base` takes for a model: see `open_base`."""
    if is_embedded(model.name):
        return model.name
    return model.family.base().name if model.folder is None else str(model.folder)


def _released_bases() -> tuple[Base, ...]:
    """Return the modules of each family's release; families of the same modules share one."""
    return tuple(dict.fromkeys(family.base() for family in FAMILIES))


def base_of(model: ModelSource) -> Base:
    """Return the modules that a LoRA of this model must fit; random weights have those of the family's release.

    An embedded model's base knows the LoRAs of all embedded models, which have the same modules.
    """
    family = model.family
    if model.folder is None:
        return family.base()
    base = family.base_of_folder(model.folder, name=model.name)
    return replace(base, loras=_embedded_loras()) if is_embedded(model.name) else base


def _embedded_loras() -> tuple[KnownLora, ...]:
    """Return the LoRAs of the embedded models."""
    return tuple(
        KnownLora(model=model, name=path.stem, source=f"{_EMBEDDED_LORA}{path.stem}", path=path)
        for model, folder in EMBEDDED_MODELS.items()
        for path in sorted((folder / "loras").glob("*.safetensors"))
    )


def _lora_path(source: str, model: ModelSource, *, download: bool) -> Path:
    if source.startswith(_EMBEDDED_LORA):
        name = source.removeprefix(_EMBEDDED_LORA).removesuffix(".safetensors")
        if model.folder is None or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name):
            raise RecipeError("no such embedded LoRA", where=source, remedy="write embedded::8step or embedded::4step")
        return model.folder / "loras" / f"{name}.safetensors"
    if "::" in source:
        repo, _, file = source.partition("::")
        return _hub_file(repo, file, download=download)
    return expanded(source).absolute()


def _hub_file(repo: str, file: str, *, download: bool) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repo, file, local_files_only=not download))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        known = recognise(sha256="", source=f"{repo}::{file}")
        what = f", by the catalogue {known.title}, a {known.release.purpose}" if known is not None else ""
        how = f"run once: {shlex.join(['hf', 'download', repo, file])}   (or name the file)"
        raise DeviceError(_absent(error, download=download) + what, where=f"{repo}::{file}", remedy=how) from error
    except ValueError as error:  # also a file's name that is absolute or leads out of the repository
        raise RecipeError(
            f"not a repository and a file: {error}",
            where=f"{repo}::{file}",
            remedy="write owner/name::file.safetensors",
        ) from error


def _snapshot(name: str, revision: str | None, *, download: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    command = shlex.join(["hf", "download", name, *(["--revision", revision] if revision else [])])
    try:
        found = snapshot_download(
            name,
            revision=revision,
            local_files_only=not download,
            allow_patterns=[f"*{suffix}" for suffix in SUFFIXES],
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        how = f"run once: {command}   (or name a folder that has it)"
        raise DeviceError(_absent(error, download=download), where=name, remedy=how) from error
    return _checked(Path(found), remedy=f"the download is not complete; run once: {command}")


def _absent(error: Exception, *, download: bool) -> str:
    place = "on the hub or in its cache" if download else "in the Hugging Face cache"
    return f"not found {place} ({type(error).__name__})"


def _commit_of(folder: Path) -> str:
    """Return a snapshot's commit, by which its folder is named; `local` for any other folder."""
    real = folder.absolute()
    return real.name if _COMMIT.fullmatch(real.name) and real.parent.name == "snapshots" else "local"


def _checked(folder: Path, *, remedy: str) -> Path:
    """Return the folder if it has a whole pipeline of a family with safetensors weights. Raises DeviceError."""
    index = _read_json(folder / "model_index.json", remedy)
    family = family_of(index.get("_class_name"))
    if family is None:
        raise DeviceError(
            f"the folder has a {index.get('_class_name')}, qiltest needs a "
            f"{_one_of([family.pipeline for family in FAMILIES])}",
            where=str(folder),
            remedy=f"name a model of one of these, for example {FAMILIES[0].release}",
        )
    unsafe = list(border_faults(folder, family.components))
    if unsafe:
        more = f"; and {len(unsafe) - _MOST_FAULTS} more" if len(unsafe) > _MOST_FAULTS else ""
        raise ModelError("; ".join(unsafe[:_MOST_FAULTS]) + more, where=str(folder), remedy=_ONLY_PLAIN)
    faults = list(folder_faults(folder, family))
    forget_parsed()
    missing = [fault.what.removeprefix(MISSING) for fault in faults if fault.what.startswith(MISSING)]
    others = [fault.what for fault in faults if not fault.what.startswith(MISSING)]
    if faults:
        told = ([f"{MISSING}{', '.join(missing)}"] if missing else []) + others
        own = "; ".join(dict.fromkeys(fault.remedy for fault in faults))
        # another folder mends whatever is wrong with this one, and what mends single faults would contradict it
        whole = _ANOTHER_FOLDER.format(family.release) if not all(fault.remedy for fault in faults) else own
        raise ModelError("; ".join(told), where=str(folder), remedy=remedy if missing else whole)
    return folder


def _one_of(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}" if names[1:] else names[0]


def _read_json(path: Path, remedy: str) -> dict[str, Any]:
    try:
        found = parse_file(path, most=MOST_BYTES)
    except (OSError, StrictJsonError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise DeviceError(f"cannot be read: {why}", where=str(path), remedy=remedy) from error
    if not isinstance(found, dict):
        raise DeviceError("not a JSON object", where=str(path), remedy=remedy)
    return found
