"""A bundle: one run with all that belongs to it, in a folder or a zip that lives on its own on any machine.

It is laid out as a project is (`runs/<id>/`, `golden/`, `cases/`), so that in its folder every command on stored runs
works by its defaults. Goldens are those that the run was judged by, whatever they are by now. Reports are written
anew in it, so that no link leads elsewhere; nothing of this machine that is no part of the run is taken along.
"""

from __future__ import annotations

import re
import secrets
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from qiltest.errors import GoldenError, StoreError, os_errors_as
from qiltest.files import open_regular, read_file, write_atomically
from qiltest.gate.golden import COPY_SUFFIX, Golden, GoldenStore
from qiltest.gate.latency import Cohort, LatencyStore
from qiltest.gate.small_copy import MOST_COPY, SmallCopies
from qiltest.report import write_html, write_json, write_markdown
from qiltest.report.earlier import goldens_of, small_copy
from qiltest.runs.events import Event, Generated, Judged, decode, prefix_of
from qiltest.runs.images import Hashes, image_path, link_image
from qiltest.runs.lines import EVENTS, lines_of
from qiltest.runs.load import load_run
from qiltest.runs.room import Room
from qiltest.runs.store import RUNS
from qiltest.suite.load import FLOORS_FOLDER
from qiltest.text.format import count

ZIP = ".zip"
#: further files of a run's folder: decisions of a review, speeds of random weights, the page of a release check.
_FILES, _PAGES = ("review.json", "speeds.json"), "comparison*.html"
#: most bytes of one of these, and of a case file; most case files.
_MOST_FILE, _MOST_CASE, _MOST_CASES = 256 << 20, 1 << 20, 1_000
_LINK = re.compile(rb'\b(?:href|src|action|data|poster)="([^"]*)"')
_INSIDE = re.compile(rb"#.*|data:.*|\./images/[0-9a-f]{64}\.png")
_REMEDY = "free some space, or name another file or folder"
_README = """\
A qiltest run, bundled: runs/{run}/ (images, events, report.html), the goldens that it was judged by, the cases.

In this folder, with qiltest installed:

    qiltest report latest --open       the report again
    qiltest review latest              which goldens it would change (here, in this folder)
    qiltest verify latest              is it complete and unchanged, and does it pass
    qiltest rescore latest             read and score the images again
    qiltest compare latest --variant base --with 4step

In a checkout, name this folder as RUN: `qiltest review FOLDER` accepts images as goldens of the checkout.
"""


@dataclass(kw_only=True)
class Bundled:
    """A bundle that was written."""

    #: the folder or zip.
    path: Path
    images: int = 0
    goldens: int = 0
    #: what the bundle lacks, in sentences.
    lacks: list[str] = field(default_factory=list)


def write_bundle(run: Path, path: Path, *, golden_folder: Path, cases: Path) -> Bundled:
    """Bundle the run in the folder `run` into `path`: a zip where that ends in `.zip`, else a new or empty folder.

    Small copies and latency goldens are taken from `golden_folder`, case files from `cases`. The zip holds one folder
    of its name. Nothing is left at `path` unless all was written. Raises StoreError.
    """
    zipped = path.suffix.lower() == ZIP
    if not zipped and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StoreError("the folder of the bundle is there and not empty", where=str(path), remedy="name a new one")
    with (
        os_errors_as(StoreError, "the bundle cannot be written", where=str(path), remedy=_REMEDY),
        _beside(path) as made,
    ):
        bundled = _Bundler(run=run, target=made, golden_folder=golden_folder, bundled=Bundled(path=path))
        bundled.write(cases)
        if zipped:
            packed = made.with_suffix(ZIP)
            _zip(made, packed, path.stem)
            packed.replace(path)
        else:
            made.replace(path)  # also onto an empty folder
    return bundled.bundled


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`, and remove what is left of it and of its zip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.parent / f".{path.name[:40]}-{secrets.token_hex(4)}"
    made.mkdir()
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        made.with_suffix(ZIP).unlink(missing_ok=True)


@dataclass(kw_only=True)
class _Bundler:
    """Copies the parts of a run; lines are read one at a time, so memory does not grow with the run."""

    run: Path
    target: Path
    golden_folder: Path
    bundled: Bundled
    _lost: int = 0

    def write(self, cases: Path) -> None:
        name = self.run.resolve().name
        folder = self.target / RUNS / name
        folder.mkdir(parents=True)
        self._copy(self.run / EVENTS, folder / EVENTS)
        self._images_and_goldens(folder)
        for path in (*(self.run / name for name in _FILES), *sorted(self.run.glob(_PAGES))):
            self._extra(path, folder)
        self._cases(cases)
        self._reports(folder)
        write_atomically(self.target / "README.txt", _README.format(run=name).encode())

    def _copy(self, source: Path, target: Path) -> None:
        with open_regular(source) as file, target.open("wb") as copy:
            shutil.copyfileobj(file, copy)

    def _images_and_goldens(self, folder: Path) -> None:
        hash_of = Hashes()
        images: dict[str, bool] = {}
        goldens: dict[str, bool] = {}
        for event in _events(self.run):
            if isinstance(event, Generated):
                for sha256 in (event.sha256, *event.inputs):
                    if sha256 not in images:
                        images[sha256] = self._image(sha256, folder, hash_of)
                self._latency(event.cohort)
            elif event.golden is not None:
                goldens[event.sample.id] = self._golden(event, event.golden)
        self.bundled.images, self.bundled.goldens = sum(images.values()), sum(goldens.values())
        for what, found in (("image", images), ("golden", goldens)):
            if lost := len(found) - sum(found.values()):
                self.bundled.lacks.append(
                    f"{count(lost, what)} cannot be read, and {'is' if lost == 1 else 'are'} left out"
                )
        if self._lost:
            self.bundled.lacks.append(f"{count(self._lost, 'small copy', 'small copies')} of goldens: gone or changed")

    def _image(self, sha256: str, folder: Path, hash_of: Hashes) -> bool:
        """Add an image; return whether it has the bytes that its name says."""
        path = image_path(self.run, sha256)
        try:
            good = hash_of(path) == sha256
        except OSError:
            return False
        if good:
            link_image(path, folder, sha256)
        return good

    def _golden(self, event: Judged, golden: Golden) -> bool:
        """Add the golden that an image was judged by, with its small copy; return whether it is one."""
        own = SmallCopies(goldens=GoldenStore(root=self.target / "golden"))
        try:
            if golden.sample != event.sample:
                return False
            own.goldens.save(golden)
        except (GoldenError, ValueError):
            return False
        found = small_copy(golden, goldens_of(self.run, self.golden_folder))
        if found is None:
            own.path(golden).unlink(missing_ok=True)
            self._lost += 1
        else:
            own.goldens.write(own.path(golden), read_file(found.path, most=MOST_COPY))
        return True

    def _latency(self, cohort: Cohort) -> None:
        there, here = (
            LatencyStore(goldens=GoldenStore(root=root)) for root in (self.golden_folder, self.target / "golden")
        )
        try:
            path = here.path(cohort)
            data = None if path.exists() else there.goldens.read(there.path(cohort))
        except GoldenError:
            return
        if data is not None:
            here.goldens.write(path, data)

    def _extra(self, path: Path, folder: Path) -> None:
        """Add a further file of the run, unless it is a page with a link that leads out of the run."""
        try:
            data = read_file(path, most=_MOST_FILE)
        except OSError:
            return
        if path.suffix == ".html" and not all(map(_INSIDE.fullmatch, _LINK.findall(data))):
            self.bundled.lacks.append(f"{path.name}, which links to other places")
            return
        write_atomically(folder / path.name, data)

    def _cases(self, cases: Path) -> None:
        files = sorted((*cases.glob("*.toml"), *(cases / FLOORS_FOLDER).glob("*.json")))[:_MOST_CASES]
        for path in files:
            write_atomically(self.target / "cases" / path.relative_to(cases), read_file(path, most=_MOST_CASE))
        if not files:
            self.bundled.lacks.append(f"case files: there are none in {cases}; `qiltest verify` needs them")

    def _reports(self, folder: Path) -> None:
        run = load_run(folder, room=Room())
        for write, form in ((write_html, "html"), (write_markdown, "md"), (write_json, "json")):
            write(run, folder / f"report.{form}", golden_folder=self.target / "golden")


def _events(run: Path) -> Iterator[Generated | Judged]:
    """Yield the images and verdicts of a run, one at a time. Raises StoreError."""
    wanted = (prefix_of(Generated), prefix_of(Judged))
    for line in lines_of(run):
        if line.whole and line.data.startswith(wanted):
            event: Event = decode(line.data, where=f"{run / EVENTS}:{line.number}")
            assert isinstance(event, Generated | Judged)
            yield event


def _zip(folder: Path, path: Path, name: str) -> None:
    """Pack a folder as one folder of `name`; what is compressed already is stored as it is."""
    with zipfile.ZipFile(path, "x") as archive:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            packed = zipfile.ZIP_STORED if file.suffix in {".png", COPY_SUFFIX} else zipfile.ZIP_DEFLATED
            archive.write(file, Path(name) / file.relative_to(folder), compress_type=packed)
