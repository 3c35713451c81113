"""Remove old runs, but none that a golden or a page needs, that a process writes, or that was damaged or put here."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from qiltest.errors import StoreError, os_errors_as
from qiltest.files import read_file
from qiltest.runs.images import IMAGES
from qiltest.runs.lines import EVENTS
from qiltest.runs.listing import ListedRun, files_of, list_runs, size_of
from qiltest.runs.references import pages_of
from qiltest.runs.status import Status
from qiltest.runs.store import RunStore, is_active, is_run_id
from qiltest.strict_json import MOST_BYTES

#: a golden's image; the file need not be a valid golden, so that a damaged one still keeps its image.
_IMAGE = re.compile(rb'"image"\s*:\s*"([0-9a-f]{64})"')
#: begins the name of a folder that is being removed.
_GOING = ".removed-"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A run that stays although it is old."""

    run: ListedRun
    why: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What `prune` would remove."""

    #: oldest first.
    remove: tuple[ListedRun, ...]
    #: old runs that stay, oldest first.
    kept: tuple[Kept, ...]
    #: the newest ones, which stay, with or without images.
    newest: int
    #: bytes that removing them frees: an image that a kept run shares is none of them.
    frees: int


def plan(store: RunStore, golden: Path, *, newest: int) -> Plan:
    """Decide what goes: all but the `newest` runs with images and what came after them, and those that are needed.

    A session that was refused has no image, so any number of them pushes no run out. Of the runs with a golden's image
    the newest one stays, and of each model the last run that passes. Raises StoreError where the goldens or the
    history cannot be read: then nobody knows what is needed.
    """
    runs = list_runs(store)
    with_images = [place for place, run in enumerate(runs) if run.images]
    old = runs[: with_images[-newest]] if len(with_images) >= newest else ()
    needed = _last_good(runs) | _with_goldens(runs, golden)
    kept, remove = [], []
    for run in old:
        why = _why_kept(run) or needed.get(run.id, "")
        if why:
            kept.append(Kept(run=run, why=why))
        else:
            remove.append(run)
    return Plan(remove=tuple(remove), kept=tuple(kept), newest=len(runs) - len(old), frees=_freed(remove))


def remove(found: Plan) -> Iterator[ListedRun]:
    """Remove the runs of a plan, and yield each that is gone. Raises StoreError where one cannot be removed.

    A run goes whole: its folder is renamed first. One that a process has begun to write since is left alone.
    """
    for root in {run.path.parent for run in found.remove}:
        for folder in root.glob(f"{_GOING}*"):  # of a process that was killed
            if folder.is_dir() and not folder.is_symlink():
                _remove_tree(folder)
    for run in found.remove:
        if is_active(run.path):
            continue
        going = run.path.with_name(_GOING + run.path.name)
        with _told(run.path):
            run.path.rename(going)
        _remove_tree(going)
        yield run


def _remove_tree(folder: Path) -> None:
    with _told(folder):
        with suppress(FileNotFoundError):
            (folder / EVENTS).unlink()  # without it the folder is no run
        shutil.rmtree(folder)


def _told(folder: Path) -> AbstractContextManager[None]:
    remedy = "make the folder of runs writable, or remove the run yourself"
    return os_errors_as(StoreError, "the run cannot be removed", where=str(folder), remedy=remedy)


def _why_kept(run: ListedRun) -> str:
    """Return why a run stays whatever its age, or ""."""
    if run.active:
        return "a process is writing it"
    if run.path.is_symlink() or not is_run_id(run.id):
        return "it has no name that a session gives: it was put here"
    if run.damaged:
        return f"it cannot be read: {run.unreadable}"
    pages = pages_of(run.path)
    return f"a page links to its images: {pages[0]}" if pages else ""


def _last_good(runs: Sequence[ListedRun]) -> dict[str, str]:
    """Return, by a run's id, why it stays as the last of its model that passes."""
    last = {run.model: run.id for run in runs if run.images and run.status is Status.PASS}
    return dict.fromkeys(last.values(), "it is the last run of its model that passes")


def _with_goldens(runs: Sequence[ListedRun], golden: Path) -> dict[str, str]:
    """Return, by a run's id, why it stays for goldens: for each golden's image the newest run that has it."""
    wanted = _images_of(golden)
    holders: Counter[str] = Counter()
    for run in reversed(runs):
        with suppress(OSError):
            here = {entry.name.removesuffix(".png") for entry in os.scandir(run.path / IMAGES)} & wanted
            holders[run.id] += len(here)
            wanted -= here
    return {
        run: "it has a golden's image" if number == 1 else f"it has {number} goldens' images"
        for run, number in holders.items()
        if number
    }


def _images_of(golden: Path) -> set[str]:
    found: set[str] = set()
    remedy = "make the goldens readable, or name their folder with --golden"
    with os_errors_as(StoreError, "the goldens cannot be read", where=str(golden), remedy=remedy):
        for path in golden.rglob("*.json"):
            found.update(match.decode() for match in _IMAGE.findall(read_file(path, most=MOST_BYTES)))
    return found


def _freed(runs: Iterable[ListedRun]) -> int:
    """Return the bytes of files all of whose names are in these runs."""
    files = [file for run in runs for file in files_of(run.path)]
    names = Counter((file.st_dev, file.st_ino) for file in files)
    return size_of(file for file in files if names[file.st_dev, file.st_ino] >= file.st_nlink)
