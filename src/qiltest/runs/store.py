"""The folder of runs: new runs, finding runs, and images that need not be generated again."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from filelock import FileLock, Timeout

from qiltest.errors import StoreError
from qiltest.reading.records import Reading
from qiltest.runs.events import Ended, Event, Generated, Judged, Started
from qiltest.runs.images import SHA256, ImageState, check_image, image_path
from qiltest.runs.load import EVENTS, image_problem, load_run, read_events
from qiltest.runs.records import Run, RunState
from qiltest.runs.writer import LOCK, RunWriter
from qiltest.suite.selection import Sample

LATEST = "latest"


class Reuse(StrEnum):
    """Which stored images may stand for generating one again under an equal recipe."""

    #: those that no finished run has used: the same command goes on where it stopped.
    UNFINISHED = "unfinished"
    #: those of any run (`--qil-reuse`).
    ANY = "any"
    #: none (`--qil-fresh`).
    NEVER = "never"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A stored image that may be used again."""

    run: Path
    generated: Generated

    @property
    def path(self) -> Path:
        """Where the image lies."""
        return image_path(self.run, self.generated.sha256)


@dataclass(frozen=True, kw_only=True)
class StoredReading:
    """What was read in a stored image."""

    reading: Reading
    #: id of the run that read it.
    run: str


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a store offers to use again."""

    #: by `Recipe.key`.
    images: Mapping[str, Stored]
    #: runs that cannot be read, for a person: nothing of them is offered.
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunStore:
    """A folder with one folder a run. Any number of processes may write to it at once, each its own run."""

    root: Path

    def create(self) -> RunWriter:
        """Make a new run's folder and hold its lock. Raises StoreError where it cannot be made."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            while True:
                # ids sort by time; the random part keeps two processes of one moment apart, and mkdir decides
                name = f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{secrets.token_hex(2)}"
                folder = self.root / name
                try:
                    folder.mkdir()
                except FileExistsError:
                    continue
                return RunWriter(folder)
        except OSError as error:
            raise StoreError(
                f"no run can be written: {error.strerror or error}",
                where=str(self.root),
                remedy="choose another folder with --qil-runs",
            ) from error

    def folders(self) -> tuple[Path, ...]:
        """Return the folders of all runs, oldest first."""
        return tuple(sorted(path.parent for path in self.root.glob(f"*/{EVENTS}")))

    def find(self, name: str) -> Path:
        """Return the folder of a run given as a path, an id, the start of an id, or `latest`. Raises StoreError."""
        path = Path(name)
        if (path / EVENTS).is_file():
            return path
        folders = self.folders()
        if name == LATEST and folders:
            return folders[-1]
        found = [folder for folder in folders if folder.name.startswith(name)]
        if len(found) == 1:
            return found[0]
        what = f"{len(found)} runs begin with {name!r}" if found else f"no run {name!r}"
        known = ", ".join(folder.name for folder in folders[-3:]) or "none"
        raise StoreError(what, where=str(self.root), remedy=f"name one of them, or `latest`; the last: {known}")

    def load(self, name: str) -> Run:
        """Read a run back; see `find` for the name and `load_run` for what is checked."""
        return load_run(self.find(name))

    def find_image(self, sha256: str) -> Path | None:
        """Return an image of that hash in whichever run has it; None where it is gone, or its bytes are others."""
        if SHA256.fullmatch(sha256) is None:
            return None
        found = sorted(self.root.glob(f"*/images/{sha256}.png"))
        return next((path for path in found if hashlib.sha256(path.read_bytes()).hexdigest() == sha256), None)

    def offer(self, reuse: Reuse) -> Offer:
        """Return images that may be used again.

        Under `Reuse.UNFINISHED` an image counts only where the newest run that has its recipe did not finish: once a
        finished run took it over, the next run generates again. A run that another process is writing is left alone.
        """
        found: dict[str, Stored] = {}
        problems: list[str] = []
        for folder in self.folders() if reuse is not Reuse.NEVER else ():
            try:
                events = _generated_here(folder)
            except StoreError as error:
                problems.append(str(error))
                continue
            finished = any(isinstance(event, Ended) and event.state is RunState.FINISHED for event in events)
            for event in events:
                if not isinstance(event, Generated):
                    continue
                if finished and reuse is Reuse.UNFINISHED:
                    found.pop(event.key, None)
                else:
                    found[event.key] = Stored(run=folder, generated=event)
        return Offer(images=found, problems=tuple(problems))


def readings_of(run: Path) -> Mapping[tuple[str, str], StoredReading]:
    """Return what a run knows to stand in its images, by the image's SHA-256 and the reader's fingerprint.

    Empty where the run's events cannot be read: its images are then read again.
    """
    try:
        events, _ = read_events(run, only=(Generated, Judged))
    except StoreError:
        return {}
    images: dict[Sample, str] = {}
    found: dict[tuple[str, str], StoredReading] = {}
    for event in events:
        if isinstance(event, Generated):
            images[event.sample] = event.sha256
        elif isinstance(event, Judged) and event.reading is not None and event.sample in images:
            key = (images[event.sample], event.reading.reader.fingerprint)
            found[key] = StoredReading(reading=event.reading, run=event.read_in or run.name)
    return found


def _generated_here(folder: Path) -> tuple[Event, ...]:
    """Return what a run generated and how it ended; nothing where it is being written or was rescored."""
    if is_active(folder):
        return ()
    events, _ = read_events(folder, only=(Started, Generated, Ended))
    return events if events and isinstance(events[0], Started) and not events[0].rescored_from else ()


def is_active(run: Path) -> bool:
    """Say whether a process is writing this run now."""
    lock = FileLock(run / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def usable(stored: Stored) -> bool:
    """Check a stored image before it is used again.

    Returns False where it is gone or in quarantine: it is generated again. Raises StoreError
    where its bytes are found now not to be what its name says, so that this is never passed over in silence.
    """
    path = stored.path
    present = path.exists()
    state = check_image(stored.run, stored.generated.sha256)
    if state is ImageState.QUARANTINED and present:
        raise StoreError(
            image_problem(path, state),
            where=str(stored.run),
            remedy="find out what changed it; the same command will generate it again",
        )
    return state is ImageState.GOOD
