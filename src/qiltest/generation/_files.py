"""One hash for the files of a model folder that decide an image. No torch here."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from qiltest.errors import DeviceError
from qiltest.hashing import file_sha256

#: what decides an image in a model folder, beside the weights: configs and vocabularies.
_MODEL_SUFFIXES = (".safetensors", ".json", ".txt", ".model", ".jinja")


def model_files(folder: Path, components: tuple[str, ...]) -> list[Path]:
    """Return the files that decide an image: `model_index.json` and each component's weights and configs."""
    found = [folder / "model_index.json"]
    for component in components:
        inside = (folder / component).rglob("*")
        found += [path for path in inside if path.suffix in _MODEL_SUFFIXES and path.is_file()]
    return sorted(found)


def folder_sha256(folder: Path, components: tuple[str, ...]) -> str:
    """Return the SHA-256 over the names and hashes of the files that decide an image.

    Files are hashed in threads (hashlib lets go of the interpreter). Raises DeviceError where one cannot be read.
    """
    paths = model_files(folder, components)
    try:
        with ThreadPoolExecutor(max_workers=8) as pool:
            hashes = list(pool.map(file_sha256, paths))
    except OSError as error:
        raise DeviceError(f"a file of the model cannot be read: {error}", where=str(folder)) from error
    lines = (f"{path.relative_to(folder).as_posix()} {digest}\n" for path, digest in zip(paths, hashes, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
