"""Which pages outside a run link to its images: a run that a page needs is not pruned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from qiltest.files import read_file, write_atomically
from qiltest.runs.records import Run

PAGES = ".pages"
_MOST = 1 << 20


def refer(page: Path, runs: Iterable[Run]) -> None:
    """Note in each run's folder that `page` links to its images, unless it lies in that folder.

    A folder that cannot be written stays as it is: it cannot be pruned either.
    """
    where = page.resolve()
    for folder in {folder for run in runs for folder in _folders(run)}:
        if where.is_relative_to(folder.resolve()):
            continue
        with suppress(OSError, UnicodeError):
            known = [path for path in _noted(folder) if path.is_file()]
            lines = dict.fromkeys([*map(str, known), str(where)])
            write_atomically(folder / PAGES, "".join(f"{line}\n" for line in lines).encode())


def pages_of(run: Path) -> tuple[Path, ...]:
    """Return the pages elsewhere that still exist and name this run."""
    return tuple(page for page in _noted(run) if _names(page, run.name))


def _noted(run: Path) -> Iterator[Path]:
    with suppress(OSError, UnicodeError):
        for line in read_file(run / PAGES, most=_MOST).decode().splitlines():
            yield Path(line)


def _names(page: Path, run: str) -> bool:
    with suppress(OSError, ValueError), page.open("rb") as file:
        before = b""
        while part := file.read(_MOST):
            if run.encode() in before + part:
                return True
            before = part[-len(run) :]
    return False


def _folders(run: Run) -> Iterator[Path]:
    """Yield the run's folder, and those of a run that was merged of several."""
    yield run.path
    for result in run.results:
        if result.image is not None:
            yield result.image.path.parent.parent
