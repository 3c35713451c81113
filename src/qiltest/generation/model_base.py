"""Recognise which base model a model is: by its id, model card, configs, weights or folder. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from qiltest.generation.border import read_object
from qiltest.hashing import file_sha256
from qiltest.lora.catalogue import catalogue
from qiltest.suite.variants import ModelBase

#: a snapshot in the Hugging Face cache: models--OWNER--NAME/snapshots/COMMIT.
_CACHED = re.compile(r"models--([^/]+?)--([^/]+)")
_CARD, _CONFIGS = "README.md", ("model_index.json", "transformer/config.json")
#: bytes of a model card that are read; its front matter stands at the start.
_CARD_BYTES = 1 << 16
#: keys of a card's front matter that name the model itself, then the one that names what it was made from.
_NAMES, _ORIGIN = ("model_name", "name"), "base_model"
_KEY = re.compile(r"([A-Za-z_]+):\s*(.*)")
_ITEM = re.compile(r"\s*-\s+(.*)")


def base_of_folder(folder: Path, *, model: str) -> ModelBase:
    """Return the base of a model folder by the first of these that names one: cache, card, configs, weights, path."""
    for evidence, identity in _evidence(folder):
        known = catalogue().base(identity)
        if known is not None:
            return ModelBase(model=model, id=known.id, evidence=evidence)
    return ModelBase(model=model)


def cached_id(folder: Path) -> str:
    """Return the id of a snapshot in the Hugging Face cache, "" for any other folder."""
    for path in (folder.absolute(), folder.resolve()):  # a link to a snapshot is that snapshot
        found = _CACHED.fullmatch(path.parent.parent.name) if path.parent.name == "snapshots" else None
        if found:
            return "/".join(found.groups())
    return ""


def released_id(folder: Path) -> str:
    """Return the id of the release whose transformer's files these are, by their SHA-256; "" for none."""
    for base in catalogue().bases:
        if any(_has(folder / "transformer" / name, sha256) for name, sha256 in base.transformer.items()):
            return base.id
    return ""


def _evidence(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield what names the folder's model, and the id that it names."""
    path = folder.absolute()
    yield "its folder in the Hugging Face cache", cached_id(folder)
    card = _front_matter(folder / _CARD)
    for key in (*_NAMES, _ORIGIN):
        # made from two known models it is neither
        named = {_identity(value) for value in card.get(key, ())} - {""}
        if len(named) == 1:
            yield f"{key} of its {_CARD}", named.pop()
    for config in _CONFIGS:
        yield f"_name_or_path of its {config}", _identity(_name_or_path(folder / config))
    for base in catalogue().bases:
        for name, sha256 in base.transformer.items():
            if _has(folder / "transformer" / name, sha256):
                yield f"the SHA-256 of its transformer/{name}", base.id
    yield "its folder's name", _identity(str(path))


def _identity(text: str) -> str:
    """Return the id that a path or name ends with, "" for none: owner/name, or the name of a known base alone."""
    parts = [part for part in re.split(r"[/\\]", text.strip().strip("'\"")) if part]
    if parts[-1:] == ["transformer"]:
        parts.pop()
    whole = "/".join(parts[-2:])
    if not parts or catalogue().base(whole):
        return whole
    alone = (base.id for base in catalogue().bases if base.id.rpartition("/")[2].lower() == parts[-1].lower())
    return next(alone, "")


def _front_matter(path: Path) -> dict[str, list[str]]:
    """Return the strings and lists of strings of a card's front matter; what is nested deeper is left out."""
    if not path.is_file():  # a FIFO would be waited for
        return {}
    try:
        with path.open("rb") as file:
            lines = file.read(_CARD_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return {}
    found: dict[str, list[str]] = {}
    key = ""
    for line in takewhile(lambda line: line.rstrip() != "---", lines[1:] if lines[:1] == ["---"] else []):
        if match := _KEY.match(line):
            key = match[1]
            found[key] = [part.strip() for part in match[2].strip("[] ").split(",") if part.strip()]
        elif (item := _ITEM.match(line)) and key:
            found[key].append(item[1].strip())
    return found


def _name_or_path(path: Path) -> str:
    value = read_object(path).get("_name_or_path")
    return value if isinstance(value, str) else ""


def _has(path: Path, sha256: str) -> bool:
    try:
        return path.is_file() and file_sha256(path) == sha256
    except OSError:
        return False
