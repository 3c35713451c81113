"""Which model it is: by the bytes that are loaded, never by a name or a place. Needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from os.path import abspath
from pathlib import Path

from qiltest.errors import DeviceError
from qiltest.generation.border import SUFFIXES, entries
from qiltest.generation.model_base import cached_id, released_id
from qiltest.hashing import file_sha256

#: the first folder of the names of models that are known by a folder alone.
LOCAL = "local"


def parts_sha256(folder: Path, components: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return (component, SHA-256) over the names and bytes of the component's files that decide an image.

    What else lies in the folder, and where the folder lies, is no part of it. Raises DeviceError where a file cannot be
    read.
    """
    files = [(component, path) for component in components for path in _files(folder / component)]
    try:
        with ThreadPoolExecutor(max_workers=8) as pool:  # hashlib releases the interpreter lock
            hashes = list(pool.map(file_sha256, (path for _, path in files)))
    except OSError as error:
        raise DeviceError(f"a file of the model cannot be read: {error}", where=str(folder)) from error
    lines: dict[str, list[str]] = {component: [] for component in components}
    for (component, path), digest in zip(files, hashes, strict=True):
        lines[component].append(f"{path.relative_to(folder / component).as_posix()} {digest}\n")
    return tuple((component, _sha256(*lines[component])) for component in components)


def whole_sha256(parts: tuple[tuple[str, str], ...]) -> str:
    """Return one SHA-256 over a model's parts, by which it is the same model in any place."""
    return _sha256(*(f"{component} {digest}\n" for component, digest in sorted(parts)))


def name_of_folder(folder: Path) -> str:
    """Return the name under which a folder's goldens and latencies are kept: of what it is, not of where it lies.

    The Hugging Face id of a snapshot in the cache or of a release that the catalogue knows by its weights, else
    `local/` and the folder's own name.
    """
    return cached_id(folder) or released_id(folder) or f"{LOCAL}/{Path(abspath(folder)).name}"  # noqa: PTH100 -- a link is a name


def _files(component: Path) -> Iterator[Path]:
    yield from (path for path in entries(component) if path.suffix in SUFFIXES and path.is_file())


def _sha256(*lines: str) -> str:
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()
