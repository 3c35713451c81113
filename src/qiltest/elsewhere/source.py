"""The source of images made elsewhere: a generator that generates nothing, and whose recipes say what was asked for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from qiltest.elsewhere.folder import Survey, SurveyedImage, survey
from qiltest.elsewhere.plan import PlannedModel, given_sigmas, negative_prompt, planned_model, schedule
from qiltest.elsewhere.records import ELSEWHERE, Found
from qiltest.errors import GenerationError, ImagesError, RecipeError
from qiltest.files import read_file
from qiltest.generation.images import BLANK_BELOW, encode_png, spread
from qiltest.generation.records import Denoised, Generation, Generator
from qiltest.image_files import MOST_BYTES, ON_WHITE
from qiltest.reading.images import load_image
from qiltest.recipe import Elsewhere, Prompt, Recipe, Size
from qiltest.suite.cases import Case
from qiltest.suite.load import Suite
from qiltest.suite.selection import Sample, Task
from qiltest.suite.variants import ModelKind, Variant
from qiltest.text.escape import one_line
from qiltest.text.format import count

#: a label, the second part of the name under which goldens are kept.
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: what the recipe of an image made elsewhere says, and nobody could check; its size is checked.
NOT_CHECKED = (
    "weights",
    "LoRA",
    "scheduler and sigmas",
    "steps and forwards",
    "CFG and negative prompt",
    "prompt",
    "seed",
    "text encoder",
    "dtype",
    "attention",
    "caches",
)
#: what a file or a manifest calls the model that made an image.
_MODEL = "model"
#: files and models that a note names.
_SHOWN = 4
_REMEDY = "make this image again, by `qiltest plan`, or leave it out with --qil-case, --qil-variant or --qil-seeds"

Key = tuple[str, Size, str, int, int]


class FolderSource(Generator):
    """Images of a folder, each by its sample. Every sample's recipe is what was asked for; nothing is generated."""

    on_cpu = True

    def __init__(self, found: Survey, tasks: Mapping[Sample, Task], planned: PlannedModel, *, source: str) -> None:
        self._survey, self._planned, self._source = found, planned, source
        self._tasks: dict[Key, list[Sample]] = {}
        for sample, task in tasks.items():
            key = (task.case.id, task.size, task.variant.name, task.seed, task.round)
            self._tasks.setdefault(key, []).append(sample)
        self._by_task = dict(tasks)

    @property
    def model(self) -> str:
        """Name under which goldens and runs of these images are kept."""
        return f"{ELSEWHERE}/{self._source}"

    @property
    def is_tiny(self) -> bool:
        """True where the images are the embedded model's."""
        return self._planned.kind is ModelKind.TINY

    @property
    def problems(self) -> tuple[str, ...]:
        """All that is wrong with the folder."""
        return self._survey.problems

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not checked of every image, and how many were left out."""
        left = self._survey.unselected
        not_selected = (f"{count(left, 'image')} of the folder not selected, and not judged",) if left else ()
        return (
            f"images made elsewhere ({self._source}), of {self._planned.name}; not checked: {', '.join(NOT_CHECKED)}; "
            "no latency was measured",
            *not_selected,
            *self._with(lambda image: image.animated, "several frames, of which the first is judged"),
            *self._with(lambda image: image.transparent, "transparent places, which are judged on white"),
            *self._of_several_models(),
        )

    def _with(self, has: Callable[[SurveyedImage], bool], what: str) -> Iterator[str]:
        """Yield a note that names the images that have something."""
        files = [image.file for image in self._survey.images.values() if has(image)]
        if files:
            shown = ", ".join(files[:_SHOWN]) + (f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else "")
            have = "has" if len(files) == 1 else "have"
            yield f"{count(len(files), 'image')} {have} {what}: {shown}"

    def _of_several_models(self) -> Iterator[str]:
        """Yield the variants whose images tell of more than one model: their goldens would be compared all the same."""
        models: dict[str, dict[str, None]] = {}
        for sample, image in self._survey.images.items():
            told = [str(value) for name, value in image.told.items() if name.rpartition(".")[2].lower() == _MODEL]
            models.setdefault(sample.variant, {}).update(dict.fromkeys(told))
        for variant, names in models.items():
            if len(names) > 1:
                shown = ", ".join(one_line(name, 60) for name in [*names][:_SHOWN])
                yield f"images of {variant} tell of {len(names)} models ({shown}): give each a label, --qil-images-from"

    def recipe(self, case: Case, size: Size, variant: Variant, seed: int) -> Recipe:
        """Return what was asked for, with the file that is there. Raises ImagesError where it cannot be judged."""
        return self._recipe(case, size, variant, seed, 1)

    def recipe_of(self, task: Task) -> Recipe:
        """Return the recipe of a task, which may be a later round of an edit. Raises ImagesError."""
        return self._recipe(task.case, task.size, task.variant, task.seed, task.round)

    def _recipe(self, case: Case, size: Size, variant: Variant, seed: int, number: int) -> Recipe:
        samples = self._tasks.get((case.id, size, variant.name, seed, number), [])
        if len(samples) != 1:
            what = "this image was not selected" if not samples else f"two resolutions of {case.id} are {size} here"
            raise RecipeError(what, where=str(self._survey.folder), remedy="select one of them with --qil-size")
        sample = samples[0]
        if self._planned.kind is ModelKind.REAL:  # no embedded model edits, and its stand-ins are judged all the same
            self._planned.check(self._by_task[sample])
        image = self._survey.images.get(sample)
        if image is None:
            why = "; ".join(self._survey.faults.get(sample, ("missing",)))
            raise ImagesError(why, where=str(self._survey.folder), remedy=_REMEDY)
        config, sigmas = schedule(self._by_task[sample], self._planned)
        return Recipe(
            model=self._planned.name,
            model_revision="",
            model_sha256="",
            variant=variant.name,
            lora=None,
            scheduler=config or (),
            sigmas=sigmas or (),
            given_sigmas=given_sigmas(variant, self._planned),
            steps=variant.steps,
            true_cfg_scale=variant.true_cfg_scale,
            negative_prompt=negative_prompt(variant),
            prompt=variant.prompt(case.prompt, case.language),
            inputs=case.inputs,
            max_sequence_length=0,
            seed=seed,
            generator_device="",
            asked=size,
            effective=image.size,
            dtype="",
            device=ELSEWHERE,
            attention_backend="",
            compiled=False,
            versions=(),
            elsewhere=Elsewhere(
                source=self._source,
                file=image.file,
                file_sha256=image.file_sha256,
                told=tuple(image.told.items()),
                not_checked=NOT_CHECKED,
            ),
        )

    def found(self, recipe: Recipe) -> Found:
        """Return a recipe's image. Raises GenerationError where it is blank or its file was changed meanwhile."""
        known = recipe.elsewhere
        image = None if known is None else self._image(known.file)
        if known is None or image is None:
            raise GenerationError(
                "not a recipe of this folder", where=recipe.variant, remedy="build it with this source"
            )
        try:
            data = read_file(image.path, most=MOST_BYTES)
        except OSError as error:
            why = f"cannot be read any more: {error.strerror or error}"
            raise GenerationError(why, where=str(image.path), remedy="leave the folder alone, and repeat") from error
        if hashlib.sha256(data).hexdigest() != known.file_sha256:
            remedy = "leave the folder alone while a session reads it; then repeat the command"
            raise GenerationError("the file was changed meanwhile", where=str(image.path), remedy=remedy)
        pixels = load_image(data)
        if not (varies := spread(pixels)) >= BLANK_BELOW:
            raise GenerationError(
                f"the image is blank: its standard deviation is {varies:.2f} of 255"
                + (f"; {ON_WHITE}" if image.transparent else ""),
                where=str(image.path),
                remedy="look at how it was made, and make it again",
            )
        return Found(recipe=recipe, pixels=pixels, png=encode_png(pixels))

    def told_seconds(self, recipe: Recipe) -> float | None:
        """Return the seconds that the manifest tells of a recipe's image."""
        image = None if recipe.elsewhere is None else self._image(recipe.elsewhere.file)
        return None if image is None else image.seconds

    def is_transparent(self, recipe: Recipe) -> bool:
        """Return whether a recipe's image is transparent in places, which are laid on white."""
        image = None if recipe.elsewhere is None else self._image(recipe.elsewhere.file)
        return image is not None and image.transparent

    def prepare(self, prompts: Iterable[Prompt]) -> None:
        """Encode nothing: the images are there."""
        return

    def warm_up(self, recipe: Recipe) -> None:
        """Do nothing: nothing is timed."""
        return

    def close(self) -> None:
        """Do nothing: no device was used."""
        return

    def denoise(self, recipe: Recipe) -> Denoised:
        """Raise GenerationError: nothing is generated here."""
        raise GenerationError("images made elsewhere are not generated", where=recipe.variant)

    def decode(self, denoised: Denoised) -> Generation:
        """Raise GenerationError: nothing is generated here."""
        raise GenerationError("images made elsewhere are not generated", where=denoised.recipe.variant)

    def _image(self, file: str) -> SurveyedImage | None:
        return next((image for image in self._survey.images.values() if image.file == file), None)


def open_folder(
    folder: Path,
    tasks: Mapping[Sample, Task],
    suite: Suite,
    *,
    model: str,
    kind: ModelKind,
    base: str | None = None,
    source: str,
) -> FolderSource:
    """Return the source of a folder's images for the selected samples.

    `model` is what they are to be of, `source` a label of what made them. Raises ImagesError where nothing of the
    folder can be judged; what is wrong with single images is told by their recipes, and all of it by `problems`.
    """
    if LABEL.fullmatch(source) is None:
        remedy = "write letters, digits, '.', '_' and '-', at most 64, first a letter or digit"
        raise ImagesError(f"{source!r} is no label of images made elsewhere", remedy=remedy)
    planned = planned_model(model, kind=kind, base=base, variants=suite.variants)
    return FolderSource(survey(folder, tasks, suite, planned.family.size_multiple), tasks, planned, source=source)
