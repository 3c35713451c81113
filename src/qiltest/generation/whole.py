"""Say what is wrong with a model folder before any weight is read: from its configs and its weights' headers.

Needs no torch. Each fault is one sentence; the keys themselves are compared with the model's in `_keys.py`, with torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qiltest.errors import RecipeError
from qiltest.generation.border import indices_of, read_object, shards_of
from qiltest.generation.families import Family
from qiltest.lora.safetensors_file import TensorInfo, open_safetensors

#: the parts that have weights, and the name of each one's weight file.
WEIGHTED = {"transformer": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}
#: safetensors' names of the dtypes that are computed with as they are.
_PLAIN = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_REDUCED = {"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "I8": "int8", "U8": "uint8"}
_REDUCED_COPY = "a reduced copy generates other images than its release; --qil-fp8 reduces the release itself"
#: how the fault of a missing file begins; what follows is its name.
MISSING = "missing: "
_LFS = b"version https://git-lfs"
#: the tokens that the prompt's template is made of.
_TEMPLATE_TOKENS = ("<|im_start|>", "<|im_end|>")
#: most layers and blocks of one kind that a config may ask for, and the keys that say how many; Qwen-Image has 60.
_MOST_LAYERS, _LAYERS = 1_000, frozenset({"num_layers", "num_hidden_layers", "depth", "num_res_blocks"})
#: largest whole number of a config, by component: widths, and in a text encoder also ids of tokens.
_MOST = {"transformer": 1 << 16, "vae": 1 << 16, "text_encoder": 1 << 24, "scheduler": 1 << 24}
#: share of the embedding's rows that may have no token; Qwen2.5-VL has 151,665 tokens and 152,064 rows.
_SPARE_ROWS = 0.05


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The weight files of a component, and the tensors that their headers name."""

    files: tuple[Path, ...]
    tensors: dict[str, TensorInfo]

    @property
    def numbers(self) -> int:
        """How many numbers the tensors have together."""
        return sum(_numbers(info) for info in self.tensors.values())


@dataclass(frozen=True, kw_only=True)
class FolderFault:
    """Why a folder is not loaded."""

    what: str
    #: how the folder itself becomes whole; "" where another one is needed.
    remedy: str = ""


def folder_faults(folder: Path, family: Family) -> Iterator[FolderFault]:
    """Yield what keeps a folder of a family from being loaded whole; `model_index.json` was read before."""
    for fault in _folder_faults(folder, family):
        yield fault if isinstance(fault, FolderFault) else FolderFault(what=fault)


def _folder_faults(folder: Path, family: Family) -> Iterator[str | FolderFault]:
    index = read_object(folder / "model_index.json")
    yield from _sigma_faults(index.get("sample_sigmas"))
    for component, expected in family.classes.items():
        if not (folder / component).is_dir():
            yield f"{MISSING}{component}"
            continue
        yield from _class_faults(component, index.get(component), expected)
        if component in WEIGHTED:
            yield from _weight_faults(folder, component, family.pipeline)
    yield from _scheduler_faults(folder / "scheduler", family.classes["scheduler"])
    yield from _tokenizer_faults(folder, family.vocabulary)


def _sigma_faults(found: object) -> Iterator[str]:
    """Yield why what a pipeline's index names as the sigmas of every image is no list of them."""
    numbers: list[object] = found if isinstance(found, list) else [found]
    good = (isinstance(one, int | float) and one is not True and 0 < one <= 1 for one in numbers[:_MOST_LAYERS])
    if found is not None and not all(good):
        yield "model_index.json: sample_sigmas is no list of numbers from 1 down to above 0"
    if len(numbers) > _MOST_LAYERS:
        yield f"model_index.json: sample_sigmas has {len(numbers):,} numbers, and no image takes as many steps"


def weights_of(folder: Path, component: str) -> Weights:
    """Return a component's weight files and the tensors in their headers. Raises RecipeError for a damaged file."""
    files = _files(folder / component, WEIGHTED[component])
    tensors = {name: info for file in files for name, info in open_safetensors(file).tensors.items()}
    return Weights(files=tuple(files), tensors=tensors)


def _class_faults(component: str, named: object, expected: str) -> Iterator[str]:
    """Compare a component's class in model_index.json with the pipeline's."""
    found = str(named[1]) if isinstance(named, list) and len(named) == 2 else str(named)
    if found.removesuffix("Fast") != expected:
        yield f"{component}: model_index.json names {found}, qiltest needs {expected}"


def _weight_faults(folder: Path, component: str, pipeline: str) -> Iterator[str | FolderFault]:
    path = folder / component
    config = read_object(path / "config.json")
    if not config:
        yield f"{component}: config.json is missing or no JSON object"
        return
    yield from _number_faults(component, config)
    quantised = config.get("quantization_config")
    if quantised is not None:
        method = quantised.get("quant_method", "unknown") if isinstance(quantised, dict) else "unknown"
        yield f"{component}: its weights are quantised ({method}): {_REDUCED_COPY}"
        return
    if component == "transformer" and config.get("guidance_embeds"):
        yield f"{component}: guidance_embeds is true, a guidance-distilled model that {pipeline} cannot call"
    missing = list(_file_faults(path, WEIGHTED[component]))
    yield from missing
    if not missing:
        yield from _header_faults(folder, component)


def _number_faults(component: str, config: object, key: str = "") -> Iterator[str]:
    """Yield numbers of a config, at any depth, for which no memory and no time would be enough."""
    if isinstance(config, dict | list):
        for name, value in config.items() if isinstance(config, dict) else enumerate(config):
            yield from _number_faults(component, value, key if isinstance(name, int) else name)
    elif isinstance(config, int | float):
        most = _MOST_LAYERS if key in _LAYERS else _MOST[component]
        if not (abs(config) <= most) and not (isinstance(config, float) and component == "text_encoder"):
            yield f"{component}: {key} is {config}, and no model has more than {most:,}"


def _file_faults(component: Path, stem: str) -> Iterator[str | FolderFault]:
    """Yield what is missing of a component's weight files, or why those that are there are not loaded."""
    name = component.name
    indexed = {shard for index in indices_of(component) for shard in shards_of(index)}
    missing = sorted(shard for shard in indexed if not (component / shard).is_file())
    yield from (f"{MISSING}{name}/{shard}" for shard in missing)
    index = component / f"{stem}.safetensors.index.json"
    if not missing and not index.is_file() and not (component / f"{stem}.safetensors").is_file():
        yield _other_files(component, stem)


def _other_files(component: Path, stem: str) -> str | FolderFault:
    """Say what a component has in place of the weight file that is looked for."""
    name, wanted = component.name, f"{stem}.safetensors"
    found = sorted(path.name for path in component.glob("*.safetensors"))
    if not found:
        return f"{MISSING}{name}/*.safetensors"
    if any("-of-" in file and file.startswith(f"{stem}-") for file in found):
        return f"{name}: its shards are there, but not {wanted}.index.json, which says what is in which"
    variants = sorted({file.split(".")[1].split("-")[0] for file in found if file.startswith(f"{stem}.")})
    if variants:
        return FolderFault(
            what=f"{name}: it has only the files of the variant {' and '.join(variants)}",
            remedy=f"rename the files of {name} to {wanted}",
        )
    return f"{name}: its weights are called {', '.join(found[:3])}; the file that is loaded is {wanted}"


def _files(component: Path, stem: str) -> list[Path]:
    names = shards_of(component / f"{stem}.safetensors.index.json") or [f"{stem}.safetensors"]
    return [component / name for name in names]


def _header_faults(folder: Path, component: str) -> Iterator[str | FolderFault]:
    """Yield damaged files, tensors that the index names and no file has, and dtypes that are no release's."""
    for file in _files(folder / component, WEIGHTED[component]):
        with file.open("rb") as opened:
            if opened.read(len(_LFS)) == _LFS:
                what = f"{component}/{file.name} is a pointer of git-lfs, not the file"
                yield FolderFault(what=what, remedy="run `git lfs pull` in the folder")
                return
    try:
        weights = weights_of(folder, component)
    except RecipeError as error:
        yield f"{component}/{Path(error.where).name} is damaged: {error.what}"
        return
    index = read_object(folder / component / f"{WEIGHTED[component]}.safetensors.index.json").get("weight_map", {})
    absent = sorted(set(index) - set(weights.tensors))
    if absent:
        yield f"{component}: {len(absent)} tensors of the index are in no file: {shown(absent)}"
    reduced = sorted({info.dtype for info in weights.tensors.values()} - set(_PLAIN))
    if reduced:
        names = ", ".join(_REDUCED.get(dtype, dtype) for dtype in reduced)
        yield f"{component}: its weights are stored as {names}: {_REDUCED_COPY}"


def _scheduler_faults(component: Path, wanted: str) -> Iterator[str]:
    if not component.is_dir():
        return
    config = read_object(component / "scheduler_config.json")
    if not config:
        yield "scheduler: scheduler_config.json is missing or no JSON object"
    elif config.get("_class_name", wanted) != wanted:
        yield f"scheduler: its config is that of a {config['_class_name']}, qiltest generates with {wanted}"
    yield from _number_faults("scheduler", config)
    yield from (
        f"scheduler: {key} is {type(value).__name__}, not a number, a word or true or false"
        for key, value in config.items()
        if isinstance(value, dict | list) and not key.startswith("_")
    )


def _tokenizer_faults(folder: Path, part: str) -> Iterator[str]:
    """Compare the vocabulary of a part with the template's tokens and the text encoder's embedding."""
    component = folder / part
    if not component.is_dir():
        return
    tokens = _vocabulary(component)
    if not tokens:
        yield f"{part}: it has neither tokenizer.json nor vocab.json with merges.txt"
        return
    absent = [token for token in _TEMPLATE_TOKENS if token not in tokens]
    if absent:
        yield f"{part}: its vocabulary lacks {' and '.join(absent)}, of which the prompt's template is made"
    rows = _embedding_rows(folder)
    top = max(tokens.values()) + 1
    if rows and not (1 - _SPARE_ROWS) * rows <= top <= rows:
        yield f"{part}: its {top:,} tokens do not match the {rows:,} rows of the text encoder's embedding"


def _vocabulary(component: Path) -> dict[str, int]:
    """Return the ids of all tokens; none where the files that hold them are not whole."""
    whole = read_object(component / "tokenizer.json")
    model = whole.get("model")
    found = _ids(model.get("vocab") if isinstance(model, dict) else None)
    if not found and (component / "merges.txt").is_file():
        found = _ids(read_object(component / "vocab.json"))
    if not found:
        return {}
    described = read_object(component / "tokenizer_config.json").get("added_tokens_decoder")
    numbered = ((one.get("id"), one) for one in _objects(whole.get("added_tokens")))
    keyed = described.items() if isinstance(described, dict) else ()
    added = {one["content"]: number for number, one in numbered if isinstance(one.get("content"), str)}
    added |= {
        one["content"]: int(number)
        for number, one in keyed
        if isinstance(one, dict) and isinstance(one.get("content"), str) and number.isdecimal()
    }
    return {**found, **_ids(added), **_ids(read_object(component / "added_tokens.json"))}


def _ids(found: object) -> dict[str, int]:
    """Return the tokens of an object that have a number as their id."""
    known = found.items() if isinstance(found, dict) else ()
    return {token: number for token, number in known if type(number) is int and number >= 0}


def _objects(found: object) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _embedding_rows(folder: Path) -> int:
    """Return the rows of the text encoder's embedding by its header; 0 where there is none."""
    try:
        tensors = weights_of(folder, "text_encoder").tensors
    except (RecipeError, OSError):
        return 0
    return next((info.shape[0] for name, info in tensors.items() if name.endswith("embed_tokens.weight")), 0)


def shown(names: list[str], most: int = 4) -> str:
    """Return the first names of a list."""
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")


def _numbers(info: TensorInfo) -> int:
    size = 1
    for side in info.shape:
        size *= side
    return size
