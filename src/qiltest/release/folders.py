"""The release check of images made elsewhere: two folders, the same samples, one paired verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qiltest.comparison.records import Comparison, Comparisons, Release
from qiltest.elsewhere.folder import samples_in
from qiltest.elsewhere.source import LABEL, open_folder
from qiltest.engine.context import open_run
from qiltest.engine.ending import Ending
from qiltest.engine.loop import INTERRUPTED, Progress, run_all
from qiltest.engine.options import Options
from qiltest.engine.readers import OpenReader
from qiltest.errors import GenerationError, ImagesError
from qiltest.suite.load import Suite
from qiltest.suite.selection import Sample, Task
from qiltest.suite.variants import ModelKind
from qiltest.text.format import count


@dataclass(frozen=True, kw_only=True)
class FoldersChecked:
    """Both runs and what their comparison says."""

    old: Ending
    new: Ending
    found: Comparisons

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with either folder."""
        return (*self.old.problems, *self.new.problems)

    @property
    def notes(self) -> tuple[str, ...]:
        """How many images are the same in both folders; () where none is."""
        pairs = sum(each.pairs for each in self.found.comparisons)
        same = sum(each.same_images for each in self.found.comparisons)
        return (f"{same} of {count(pairs, 'image')} have the same pixels in both folders",) if same else ()

    @property
    def passes(self) -> bool:
        """True where the new folder may replace the old one, and neither has anything wrong with it."""
        return self.found.passes and not self.problems


def tasks_of(
    folders: Iterable[Path], suite: Suite, *, kind: ModelKind, cases: Sequence[str] = (), variants: Sequence[str] = ()
) -> dict[Sample, Task]:
    """Return a task for each sample of the suite that any of the folders has a file of, sorted by variant and case.

    `cases` are `ID` or `ID@WxH`. Raises CaseError for a name that does not exist, ImagesError where nothing is left.
    """
    named = {variant.name for name in variants for variant in suite.variants_named(name)}
    places = [suite.case(name) for name in cases]
    tasks = {}
    for sample in {sample for folder in folders for sample in samples_in(folder, suite)}:
        case, resolution = suite.case(f"{sample.case}@{sample.size}")
        assert resolution is not None
        if named and sample.variant not in named:
            continue
        if places and not any(known == case and only in (None, resolution) for known, only in places):
            continue
        variant = suite.variant(sample.variant)
        tasks[sample] = Task(case=case, resolution=resolution, variant=variant, seed=sample.seed, kind=kind)
    if not tasks:
        raise ImagesError(
            "neither folder has an image of what is selected",
            where=", ".join(map(str, folders)),
            remedy="`qiltest plan` says how each file is named, or list them in a manifest.jsonl",
        )
    return dict(sorted(tasks.items(), key=lambda pair: (pair[0].variant, pair[0].id)))


def label_of(folder: Path, *, otherwise: str) -> str:
    """Return the folder's name where that can be a label of what made its images."""
    name = folder.absolute().name
    return name if LABEL.fullmatch(name) else otherwise


def check_folders(
    sides: tuple[tuple[Path, Options], tuple[Path, Options]],
    tasks: dict[Sample, Task],
    suite: Suite,
    *,
    open_reader: OpenReader,
    command: Sequence[str],
    progress: Progress,
    margin: float,
) -> FoldersChecked:
    """Read, score and judge the images of two folders, the old one first, and compare them in pairs.

    A sample that one of both lacks is an ERROR there, so that half a folder does not pass, and so are two folders of
    the same images: a copy was compared with itself. Raises ImagesError,
    ReaderError and StoreError where no run can be opened, and GenerationError where one was interrupted.
    """
    from qiltest.comparison.compare import compare_runs  # needs scipy, which is slow to import

    old, new = (
        _judged(folder, options, tasks, suite, open_reader=open_reader, command=command, progress=progress)
        for folder, options in sides
    )
    if old.run is None or new.run is None:
        raise GenerationError("; ".join((*old.problems, *new.problems)), remedy="repeat the command to resume")
    return FoldersChecked(old=old, new=new, found=_copied(compare_runs(old.run, new.run, margin=margin)))


def _copied(found: Comparisons) -> Comparisons:
    """Return the comparisons, as ERROR where every image of one folder is the other's: nothing was compared."""
    if not all(each.pairs and each.same_images == each.pairs for each in found.comparisons):
        return found
    return replace(found, comparisons=tuple(map(_error_of_copy, found.comparisons)))


def _error_of_copy(found: Comparison) -> Comparison:
    if found.verdict not in {Release.SHIP, Release.CANNOT_TELL}:
        return found
    what = f"all {found.pairs} images have the same pixels in both folders: one is a copy of the other"
    return replace(found, verdict=Release.ERROR, reasons=(what,), plan=None)


def _judged(
    folder: Path,
    options: Options,
    tasks: dict[Sample, Task],
    suite: Suite,
    *,
    open_reader: OpenReader,
    command: Sequence[str],
    progress: Progress,
) -> Ending:
    source = open_folder(
        folder, tasks, suite, model=options.model, kind=options.kind, base=options.base, source=options.images_from
    )
    progress.begin(len(tasks))
    context = open_run(
        options=options, suite=suite, tasks=tasks, generator=source, open_reader=open_reader, command=command
    )
    ending = run_all(context, progress)
    if ending.exit_status == INTERRUPTED:
        raise KeyboardInterrupt
    return ending
