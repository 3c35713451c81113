"""The input images of a session's edit cases: files, images that a text-to-image model generates, earlier rounds."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from qiltest.engine.options import Options
from qiltest.errors import InputError, os_errors_as
from qiltest.files import write_atomically
from qiltest.generation.images import encode_png
from qiltest.generation.opening import open_generator
from qiltest.generation.records import Generator
from qiltest.generation.settings import Settings
from qiltest.generation.sources import TINY
from qiltest.input_images import InputImage, decoded
from qiltest.runs.plain_file import plain_sha256
from qiltest.runs.store import Reuse, RunStore, Stored
from qiltest.runs.writer import RunWriter
from qiltest.suite.cases import Case, InputSample, InputSource, Resolution
from qiltest.suite.inputs import find_input
from qiltest.suite.load import Suite
from qiltest.suite.selection import Sample, Task
from qiltest.suite.variants import ModelKind

#: folder of the runs' folder for input images that were generated for a session; no run has this name.
FOLDER = "inputs"
OpenGenerator = Callable[[], Generator]


class Inputs:
    """Finds the input images of edit samples, and stores each once in the run, as RGB in PNG."""

    def __init__(
        self, suite: Suite, options: Options, writer: RunWriter, *, opener: OpenGenerator | None = None
    ) -> None:
        """Generate no image yet; `opener` opens the embedded text-to-image model."""
        self.suite, self._options, self._writer = suite, options, writer
        self._opener = opener or (lambda: open_generator(TINY, Settings(threads=options.threads)))
        self._found: dict[InputSource, InputImage] = {}
        self._stored: dict[str, str] = {}
        #: the files that an editing model can be given.
        self._decoded: set[str] = set()

    def of(self, task: Task) -> tuple[InputImage, ...]:
        """Return the input images of the first round of an edit, in order; () of a case of text alone.

        Raises InputError where one is missing or another, saying how to get it, RecipeError where it is none that a
        model can be given, and whatever generating one raises.
        """
        edit = task.case.edit
        return () if edit is None else tuple(self._one(task.case, source, task.kind) for source in edit.inputs)

    def store(self, images: tuple[InputImage, ...]) -> tuple[str, ...]:
        """Store images in the run, and return the SHA-256 of each there. Raises RecipeError, StoreWriteError."""
        for image in images:
            if image.sha256 not in self._stored:
                self._stored[image.sha256] = self._writer.put(_as_png(image))
        return tuple(self._stored[image.sha256] for image in images)

    def _one(self, case: Case, source: InputSource, kind: ModelKind) -> InputImage:
        if source.file is not None:  # each case has its own folder
            found = find_input(case, source.file)
            if found.sha256 not in self._decoded:
                found.load()
                self._decoded.add(found.sha256)
            return found
        assert source.sample is not None
        if source not in self._found:
            self._found[source] = InputImage.of(self._generated(source.sample, kind))
        return self._found[source]

    def _generated(self, wanted: InputSample, kind: ModelKind) -> Path:
        """Return the image of a sample: of a stored run, or, by the embedded model, generated now."""
        case, resolution = self._place(wanted)
        sample = Sample(case=case.id, size=resolution.size, variant=wanted.variant, seed=wanted.seed)
        size = resolution.for_model(tiny=kind is ModelKind.TINY)
        newest_first = reversed(list(self._images.values()))
        known = next((one for one in newest_first if _is_image_of(one, sample, size=str(size.effective()))), None)
        if known is not None:
            return known.path
        if kind is not ModelKind.TINY:
            raise InputError(
                f"the input is the image of {sample.id}, which no stored run has",
                where=str(self._options.runs_folder),
                remedy=f"generate it with its own model first: pytest -m gpu --qil-case={case.id}@{resolution.size} "
                f"--qil-variant={wanted.variant} --qil-seeds={wanted.seed}",
            )
        return self._generate(case, resolution, wanted)

    def _generate(self, case: Case, resolution: Resolution, wanted: InputSample) -> Path:
        generator = self._generator
        recipe = generator.recipe(case, resolution.tiny, self.suite.variant(wanted.variant), wanted.seed)
        path = self._options.runs_folder / FOLDER / f"{recipe.key()}.png"
        if path.is_file():
            return path
        generator.prepare(recipe.prompts)
        made = generator.decode(generator.denoise(recipe))
        remedy = "free disk space, or choose another folder with --qil-runs"
        with os_errors_as(InputError, "the input image cannot be stored", where=str(path), remedy=remedy):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, made.png)
        return path

    def _place(self, wanted: InputSample) -> tuple[Case, Resolution]:
        case, _ = self.suite.case(wanted.case)
        sizes = {resolution.size: resolution for resolution in case.resolutions}
        return case, sizes[wanted.size] if wanted.size is not None else case.resolutions[0]

    @cached_property
    def _generator(self) -> Generator:
        return self._opener()

    @cached_property
    def _images(self) -> Mapping[str, Stored]:
        """The images of all stored runs, oldest first."""
        return RunStore(root=self._options.runs_folder).offer(Reuse.ANY).images


def _as_png(image: InputImage) -> bytes:
    """Return an input image as PNG, RGB and upright; a file that is so already as it is. Raises RecipeError."""
    data = image.data()
    pixels = decoded(data, image.path)
    with Image.open(io.BytesIO(data)) as opened:
        upright = opened.getexif().get(ExifTags.Base.Orientation, 1) == 1
        as_it_is = opened.format == "PNG" and opened.mode == "RGB" and upright
    return data if as_it_is else encode_png(np.asarray(pixels))


def _is_image_of(stored: Stored, sample: Sample, *, size: str) -> bool:
    recipe = stored.generated.recipe
    made_here = recipe.elsewhere is None and recipe.served is None and not recipe.inputs
    same = stored.generated.sample == sample and str(recipe.effective) == size
    return same and made_here and _whole(stored)


def _whole(stored: Stored) -> bool:
    try:
        return plain_sha256(stored.path) == stored.generated.sha256
    except OSError:
        return False
