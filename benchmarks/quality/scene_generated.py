"""Images of the embedded model for `scene.py`: each case by variant, by seed, and by number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from qiltest.files import write_atomically
from qiltest.generation import Settings, open_generator
from qiltest.reading.images import Pixels, load_image
from qiltest.suite.load import load_suite

#: The seed of the goldens, and the others drawn by the LoRAs alone.
SEED, OTHERS = 42, {"4step": (1, 2), "8step": (1,)}


@dataclass(frozen=True, kw_only=True)
class Key:
    """Which image: case and size, variant, seed, threads."""

    place: str
    variant: str
    seed: int
    threads: int

    def __str__(self) -> str:
        return f"{self.place}-{self.variant}-s{self.seed}-t{self.threads}"

    def row(self, now: Key) -> str:
        """Return what differs of an image from that of this key, "" for more than one thing or nothing."""
        if self.place != now.place:
            return ""
        differs = [name for name in ("variant", "seed", "threads") if getattr(self, name) != getattr(now, name)]
        rows = {"variant": "another variant", "seed": "another seed", "threads": "another number of threads"}
        return rows[differs[0]] if len(differs) == 1 else ""


def drawn_images(cases: Path, store: Path, draw: str) -> Iterator[tuple[Key, Pixels]]:
    """Draw what is not stored, smallest cases first, and yield all."""
    suite = load_suite(cases)
    variants = {variant.name: variant for variant in suite.variants}
    places = [(case, resolution) for case in suite.cases for resolution in case.resolutions]
    places.sort(key=lambda place: place[1].tiny.width * place[1].tiny.height)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        generator = open_generator("tiny", Settings(threads=threads))
        for name in ("4step", "8step", *(("base",) if draw == "all" and threads == 1 else ())):
            for seed in (SEED, *(OTHERS.get(name, ()) if threads == 1 else ())):
                for case, resolution in places:
                    key = Key(place=f"{case.id}@{resolution.size}", variant=name, seed=seed, threads=threads)
                    path = store / f"{key}.png"
                    if not path.is_file():
                        recipe = generator.recipe(case, resolution.tiny, variants[name], seed)
                        write_atomically(path, generator.decode(generator.denoise(recipe)).png)
                    yield key, load_image(path)
