"""What a model folder may hold, before anything of it is opened: safetensors, JSON and text, and no way out of it.

diffusers and transformers follow what the folder's own files say: an index that names a pickle, a config that names
code, a link to elsewhere. So every entry of a component is looked at first. Needs no torch.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from qiltest.files import stamp
from qiltest.strict_json import StrictJsonError, parse_file

#: bytes of a JSON or text file of a component that are read; the largest, Qwen's tokenizer.json, has 11 million.
MOST_BYTES = 64 << 20
#: bytes of a JSON file from which on it is not parsed twice.
_LARGE = 1 << 20
#: entries of a component's folder. The largest release has 20 files in one.
_MOST_ENTRIES = 5_000
#: suffixes of the files that decide an image: weights, configs and vocabularies.
SUFFIXES = (".safetensors", ".json", ".txt", ".model", ".jinja")
_TEXTS = (".txt", ".model", ".jinja")
_CODE = (".py", ".pyc", ".so")
_INDEX, _WEIGHTS = ".index.json", ".safetensors"
#: an index of weights, also one of a variant (`model.safetensors.index.fp16.json`).
_INDICES = re.compile(r".+\.index\.(?:[^.]+\.)?json")
#: an adapter beside the weights, which transformers would apply.
_ADAPTER = "adapter_config.json"
#: keys of configs by which the libraries open or run something else, and what each names.
_KEYS = {
    "auto_map": "code",
    "custom_pipelines": "code",
    "fast_tokenizer_files": "other files",
    "transformers_weights": "another weight file",
}
#: settings that name an implementation, which may be a repository whose code is downloaded.
_IMPLEMENTATION = "_implementation"
#: the folder of a Hugging Face cache into which the links of its snapshots lead.
_BLOBS = re.compile(r"models--[^/]+/blobs/[0-9a-f]+")


def border_faults(folder: Path, components: tuple[str, ...]) -> Iterator[str]:
    """Yield what a folder in diffusers layout holds that must not be opened or followed, one sentence each."""
    for component in components:
        if (folder / component).is_dir():
            yield from _component_faults(folder, component)


def read_object(path: Path) -> dict[str, Any]:
    """Return a JSON object of a model folder; an empty one where it is missing or refused, which its own check says."""
    try:
        found = _parsed(path)
    except (OSError, StrictJsonError):
        return {}
    return found if isinstance(found, dict) else {}


def _parsed(path: Path) -> Any:  # noqa: ANN401 -- a JSON value
    """Return the value of a JSON file; a large one is parsed once while it stays as it is, and nobody changes it.

    Raises OSError and StrictJsonError.
    """
    state = stamp(path.stat())
    return _large(path.resolve(), state) if state[0] >= _LARGE else parse_file(path, most=MOST_BYTES)


def forget_parsed() -> None:
    """Let the memory of a large file's value go, once the folder is checked."""
    _large.cache_clear()


@lru_cache(maxsize=1)
def _large(path: Path, _state: tuple[int, ...]) -> Any:  # noqa: ANN401 -- a JSON value
    return parse_file(path, most=MOST_BYTES)


def indices_of(component: Path) -> Iterator[Path]:
    """Yield a component's indices of weights, those of its variants too."""
    yield from (path for path in sorted(component.glob("*.json")) if _INDICES.fullmatch(path.name))


def shards_of(index: Path) -> list[str]:
    """Return the names of the files that an index names, sorted; none where it is no index."""
    places = read_object(index).get("weight_map")
    return sorted({name for name in places.values() if isinstance(name, str)}) if isinstance(places, dict) else []


def entries(component: Path) -> Iterator[Path]:
    """Yield what lies in a component's folder and its folders, sorted; what is hidden is opened by nobody."""
    found: list[Path] = []
    for place, folders, files in os.walk(component):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in (*folders, *files) if not name.startswith(".")]
        if len(found) > _MOST_ENTRIES:
            break
    yield from sorted(found)


def _component_faults(folder: Path, component: str) -> Iterator[str]:
    found = list(entries(folder / component))
    if len(found) > _MOST_ENTRIES:
        yield f"{component}: it has more than {_MOST_ENTRIES:,} entries"
        return
    faults = [fault for path in found for fault in _entry_faults(folder, component, path)]
    yield from faults
    if not faults:  # what is no plain file is not opened to look for more
        for path in found:
            yield from _content_faults(folder / component, path)
        yield from _two_weights(folder / component)


def _entry_faults(folder: Path, component: str, path: Path) -> Iterator[str]:
    """Yield what is wrong with an entry by its name, kind and place, without opening it."""
    name = _name(folder, path)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield f"{name} cannot be read: {error.strerror or error}"
        return
    if stat.S_ISDIR(mode):
        if path.is_symlink():
            yield f"{name} is a link to a folder"
    elif not stat.S_ISREG(mode):
        yield f"{name} is not a regular file"
    elif not _inside(folder, component, path):
        yield f"{name} is a link out of the model's folder"
    elif path.suffix in _CODE:
        yield f"{name} is code, and code of a model's folder is never run"
    elif path.name == _ADAPTER:
        yield f"{name} names an adapter, which would change the weights unseen"
    elif path.suffix in _TEXTS and path.stat().st_size > MOST_BYTES:
        yield f"{name} has more than {MOST_BYTES:,} bytes"


def _inside(folder: Path, component: str, path: Path) -> bool:
    """Return whether a file lies in the model's or the component's folder, or its link leads into a cache's blobs."""
    real = path.resolve()
    homes = (folder.resolve(), (folder / component).resolve())
    return any(real.is_relative_to(home) for home in homes) or bool(_BLOBS.fullmatch("/".join(real.parts[-3:])))


def _content_faults(component: Path, path: Path) -> Iterator[str]:
    """Yield what is wrong with what a JSON file says."""
    if path.suffix != ".json" or not path.is_file():
        return
    name = _name(component.parent, path)
    try:
        found = _parsed(path)
    except OSError as error:
        yield f"{name} cannot be read: {error.strerror or error}"
        return
    except StrictJsonError as error:
        yield f"{name}: {error}"
        return
    if _INDICES.fullmatch(path.name) or (isinstance(found, dict) and "weight_map" in found):
        yield from _index_faults(component, path, found)
    elif not isinstance(found, dict):
        yield f"{name} is not a JSON object"
    elif path.name != "vocab.json" and path.name != "added_tokens.json":  # whose keys are tokens
        yield from (f"{name} names {what} ({key}), which is never followed" for key, what in _named(found))


def _index_faults(component: Path, path: Path, found: object) -> Iterator[str]:
    """Yield why an index of weights cannot be followed: what is in it is opened by the libraries, whatever it names."""
    name = _name(component.parent, path)
    places = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(places, dict) or not places:
        yield f"{name} has no weight_map"
        return
    if not all(isinstance(shard, str) for shard in places.values()):
        yield f"{name}: its weight_map names something that is no file"
        return
    for shard in sorted(set(places.values())):
        if not shard.endswith(_WEIGHTS):
            yield f"{name} names {shard}, which is not a .safetensors file"
        elif PurePosixPath(shard).name != shard or "\\" in shard or "\0" in shard or shard.startswith("."):
            yield f"{name} names {shard}, a file outside {component.name}"


def _two_weights(component: Path) -> Iterator[str]:
    """Yield the weight files that stand beside an index of the same name: the libraries disagree on which is loaded."""
    for index in component.glob(f"*{_WEIGHTS}{_INDEX}"):
        single = index.with_name(index.name.removesuffix(_INDEX))
        if single.is_file():
            yield f"{component.name}: it has both {single.name} and {index.name}, and only one of them is loaded"


def _named(found: object) -> Iterator[tuple[str, str]]:
    """Yield the keys of a config, at any depth, that name something else to open or run, and what."""
    pairs: Iterator[tuple[str, object]] = iter(found.items()) if isinstance(found, dict) else iter(())
    for key, value in pairs:
        if key in _KEYS and value:
            yield key, _KEYS[key]
        elif key.endswith(_IMPLEMENTATION) and "/" in str(value):
            yield key, "code of a repository"
        elif isinstance(value, dict | list):
            yield from _named(value)
    for value in found if isinstance(found, list) else ():
        yield from _named(value)


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()
