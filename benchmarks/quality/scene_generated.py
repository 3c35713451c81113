"""Images of the embedded model for `scene.py`: each case by variant, by seed, and drawn again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qiltest.files import write_atomically
from qiltest.reading.images import Pixels, load_image
from qiltest.suite.cases import Case, Resolution
from qiltest.suite.load import load_suite

#: The seed of the goldens, and the others drawn by the LoRAs alone.
SEED, OTHERS = 42, {"4step": (1, 2), "8step": (1,)}


@dataclass(frozen=True, kw_only=True)
class Key:
    """Which image: case and size, variant, seed, and in which run it was drawn."""

    place: str
    variant: str
    seed: int
    #: "1 thread", "2 threads", or the name of a folder of images drawn elsewhere.
    run: str

    def __str__(self) -> str:
        return f"{self.place}-{self.variant}-s{self.seed} ({self.run})"

    @property
    def file(self) -> str:
        """Name of the image's file."""
        return f"{self.place}-{self.variant}-s{self.seed}.png"

    def row(self, now: Key) -> str:
        """Return what differs of an image from that of this key, "" for more than one thing or nothing."""
        rows = {"variant": "another variant", "seed": "another seed", "run": "drawn again"}
        differs = [name for name in rows if getattr(self, name) != getattr(now, name)]
        return rows[differs[0]] if len(differs) == 1 and self.place == now.place else ""


def drawn_images(cases: Path, store: Path, elsewhere: Sequence[Path], draw: str) -> Iterator[tuple[Key, Pixels]]:
    """Yield the images of both thread counts and of the folders `elsewhere`, smallest cases first.

    `draw` is "all", "loras" (not the base, of 50 steps) or "none": what is not stored is drawn, or left out.
    """
    suite = load_suite(cases)
    places = [(case, resolution) for case in suite.cases for resolution in case.resolutions]
    places.sort(key=lambda place: place[1].tiny.width * place[1].tiny.height)
    wanted = [
        (v, seed, place) for v in ("4step", "8step", "base") for seed in (SEED, *OTHERS.get(v, ())) for place in places
    ]
    for threads, name in ((1, "1 thread"), (2, "2 threads")):
        studio = _Studio(threads, {variant.name: variant for variant in suite.variants})
        for variant, seed, (case, resolution) in wanted:
            key = Key(place=f"{case.id}@{resolution.size}", variant=variant, seed=seed, run=name)
            path = store / name / key.file
            again = threads == 1 or (seed == SEED and variant != "base")
            if not path.is_file() and again and draw != "none" and (draw == "all" or variant != "base"):
                write_atomically(path, studio.draw(case, resolution, variant, seed))
            if path.is_file():
                yield key, load_image(path)
    for folder in elsewhere:
        for variant, seed, (case, resolution) in wanted:
            key = Key(place=f"{case.id}@{resolution.size}", variant=variant, seed=seed, run=folder.name)
            if (folder / key.file).is_file():
                yield key, load_image(folder / key.file)


class _Studio:
    """The embedded model with a number of threads, opened when the first image is drawn."""

    def __init__(self, threads: int, variants: dict[str, Any]) -> None:
        self._threads, self._variants, self._generator = threads, variants, None

    def draw(self, case: Case, resolution: Resolution, variant: str, seed: int) -> bytes:
        """Return an image as PNG."""
        import torch

        from qiltest.generation import Settings, open_generator

        torch.set_num_threads(self._threads)
        generator: Any = self._generator or open_generator("tiny", Settings(threads=self._threads))
        self._generator = generator
        recipe = generator.recipe(case, resolution.tiny, self._variants[variant], seed)
        png: bytes = generator.decode(generator.denoise(recipe)).png
        return png
