"""The earlier image beside an image: what its golden accepted, or what an earlier run generated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from qiltest.errors import GoldenError
from qiltest.gate.golden import Golden, GoldenStore
from qiltest.gate.small_copy import SmallCopies, digest_of, open_copy
from qiltest.runs.records import CaseResult, Run

GOLDEN = "golden"
#: gives the file of a stored image by its SHA-256, None where no run has it.
FindImage = Callable[[str], Path | None]


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """An earlier image of a sample."""

    #: what it is of: "golden", or a run.
    name: str
    #: the whole image, PNG; of a small copy the WebP file.
    path: Path
    #: where it is a small copy: its golden, and the folder of goldens.
    golden: Golden | None = None
    folder: Path | None = None

    def open_copy(self) -> tuple[bytes, Image.Image] | None:
        """Return the small copy and its pixels; None where it is gone or no image, and where this is no small copy."""
        if self.golden is None or self.folder is None:
            return None
        data = _copies(self.folder).find(self.golden)
        try:
            return None if data is None else (data, Image.fromarray(open_copy(data, digest_of(data), self.path)))
        except GoldenError:
            return None


def earlier(
    result: CaseResult, previous: Run | None, find_image: FindImage, golden_folders: Iterable[Path]
) -> Earlier | None:
    """Return the earlier image of a result; None where none is stored, or it is the same image.

    It is that of the run `previous`, else that of the golden: the whole image where a run still has it, else the small
    copy in the first of `golden_folders` that has the one the golden was recorded with.
    """
    golden, now = result.golden, result.image
    if previous is not None:
        old = previous.result(result.id)
        if old is None or old.image is None or old.image == now:
            return None
        return Earlier(name=f"run {previous.id}", path=old.image.path)
    if golden is None or (now is not None and golden.image == now.sha256):
        return None
    whole = find_image(golden.image)
    return Earlier(name=GOLDEN, path=whole) if whole is not None else small_copy(golden, golden_folders)


def small_copy(golden: Golden, folders: Iterable[Path]) -> Earlier | None:
    """Return the small copy of a golden's image, from the first of `folders` that has it; None where none has."""
    for folder in folders:
        copies = _copies(folder)
        if copies.find(golden) is not None:
            return Earlier(name=GOLDEN, path=copies.path(golden), golden=golden, folder=folder)
    return None


def goldens_of(run: Path, folder: Path | None = None) -> tuple[Path, ...]:
    """Return where to look for the goldens of the run in the folder `run`: in `folder`, and beside its folder of runs.

    A small copy belongs to its golden by its hash, so none of another image is found.
    """
    beside = run.absolute().parent.parent / "golden"
    return (beside,) if folder is None else (folder, beside)


def _copies(folder: Path) -> SmallCopies:
    return SmallCopies(goldens=GoldenStore(root=folder))
