"""Readings of many images, kept on disk: an interrupted run goes on, and scoring is tuned without reading again.

A reading is kept with the hash of its image, of the reader and of the code that reads, so that none of another state is
taken for it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import resource
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import qiltest.reading
from qiltest.files import write_atomically
from qiltest.reading import Reader, Reading, open_reader
from qiltest.strict_json import decode

#: Images read between two lines of progress.
_STEP = 50


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A reading, what it cost, and the hash of the image's bytes."""

    image_sha256: str
    processor_seconds: float
    reading: Reading


@functools.cache
def code_of_readers() -> str:
    """Return a short hash of the code that reads: `READING_VERSION` stays while somebody works on it."""
    folder = Path(qiltest.reading.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def folder_of(cache: Path, name: str) -> Path:
    """Return where the readings of a reader are kept in its present state."""
    return cache / f"{_reader(name).info.fingerprint}-code-{code_of_readers()}"


def read_all(name: str, images: Sequence[Path], cache: Path, *, jobs: int) -> Mapping[str, Kept]:
    """Read the images that were not read before, in `jobs` processes; returns the readings by file name."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    found: dict[str, Kept] = {}
    with ProcessPoolExecutor(jobs) as pool:
        waiting = {pool.submit(read_one, name, image, cache): image for image in images}
        for done, future in enumerate(as_completed(waiting), start=1):
            found[waiting[future].name] = future.result()
            if done % _STEP == 0:
                print(f"{done} of {len(images)} images read", flush=True)
    return {image.name: found[image.name] for image in images}


def is_kept(name: str, image: Path, cache: Path) -> bool:
    """Return whether a reading of an image of this name is kept."""
    return (folder_of(cache, name) / f"{image.name}.json").is_file()


def read_one(name: str, image: Path, cache: Path) -> Kept:
    """Read one image, or take what was kept."""
    data = image.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    file = folder_of(cache, name) / f"{image.name}.json"
    if file.is_file():
        kept = decode(Kept, file.read_bytes())
        if kept.image_sha256 == digest:
            return kept
    reader = _reader(name)
    started = _processor_seconds()
    reading = reader.read(data)
    kept = Kept(image_sha256=digest, processor_seconds=round(_processor_seconds() - started, 3), reading=reading)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(asdict(kept), ensure_ascii=False, allow_nan=False).encode())
    return kept


@functools.cache
def _reader(name: str) -> Reader:
    return open_reader(name)


def _processor_seconds() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)
