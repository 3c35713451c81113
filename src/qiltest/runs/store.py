"""The folder of runs: create and find runs, and reuse stored images."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from filelock import FileLock, Timeout

from qiltest.errors import OtherSchemaError, StoreError, os_errors_as
from qiltest.reading.records import Reading
from qiltest.runs.events import Ended, Event, Generated, Judged, Started
from qiltest.runs.images import SHA256, ImageState, check_image, image_path
from qiltest.runs.load import EVENTS, image_problem, load_run, read_events
from qiltest.runs.records import Run, RunState
from qiltest.runs.writer import LOCK, RunWriter
from qiltest.suite.selection import Sample

LATEST = "latest"


class Reuse(StrEnum):
    """Which stored images of an equal recipe may be used instead of generating again."""

    #: those that no finished run has used, so that a repeated command resumes.
    UNFINISHED = "unfinished"
    #: those of any run (`--qil-reuse`).
    ANY = "any"
    #: none (`--qil-fresh`).
    NEVER = "never"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A stored image that can be reused."""

    run: Path
    generated: Generated

    @property
    def path(self) -> Path:
        """Path of the image."""
        return image_path(self.run, self.generated.sha256)


@dataclass(frozen=True, kw_only=True)
class StoredReading:
    """A stored reading of an image."""

    reading: Reading
    #: id of the run that read it.
    run: str


@dataclass(frozen=True, kw_only=True)
class Offer:
    """Images that can be reused."""

    #: by `Recipe.key`.
    images: Mapping[str, Stored]
    #: why runs cannot be read; none of their images is offered.
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunStore:
    """A folder with one folder per run. Several processes may write to it at once, each its own run."""

    root: Path

    def create(self) -> RunWriter:
        """Create a run's folder and lock it. Raises StoreError."""
        remedy = "choose another folder with --qil-runs"
        with os_errors_as(StoreError, "no run can be written", where=str(self.root), remedy=remedy):
            self.root.mkdir(parents=True, exist_ok=True)
            while True:
                # ids sort by time; the random part separates processes that start at the same moment
                folder = self.root / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{secrets.token_hex(2)}"
                with suppress(FileExistsError):
                    folder.mkdir()
                    return RunWriter(folder)

    def folders(self) -> tuple[Path, ...]:
        """Return the folders of all runs, oldest first."""
        return tuple(sorted(path.parent for path in self.root.glob(f"*/{EVENTS}")))

    def find(self, name: str) -> Path:
        """Return the folder of a run given by path, id, start of an id, or `latest`. Raises StoreError."""
        path = Path(name)
        if (path / EVENTS).is_file():
            return path
        folders = self.folders()
        if name == LATEST and folders:
            return folders[-1]
        found = [folder for folder in folders if folder.name.startswith(name)]
        if len(found) == 1:
            return found[0]
        if not folders:
            raise StoreError(
                "no runs here", where=str(self.root), remedy="run pytest first, or give the folder of runs as --runs"
            )
        what = f"{len(found)} runs begin with {name!r}" if found else f"no run {name!r}"
        known = ", ".join(folder.name for folder in folders[-3:])
        raise StoreError(what, where=str(self.root), remedy=f"write `latest` or an id; the last ids: {known}")

    def load(self, name: str) -> Run:
        """Read a run back; see `find` and `load_run`."""
        return load_run(self.find(name))

    def find_image(self, sha256: str) -> Path | None:
        """Return the path of an image in any run; None where it is missing or its bytes do not match."""
        if SHA256.fullmatch(sha256) is None:
            return None
        found = sorted(self.root.glob(f"*/images/{sha256}.png"))
        return next((path for path in found if hashlib.sha256(path.read_bytes()).hexdigest() == sha256), None)

    def offer(self, reuse: Reuse) -> Offer:
        """Return images that can be reused.

        With `Reuse.UNFINISHED` an image counts only if the newest run with its recipe did not finish. A run that
        another process is writing, and one of another version, are skipped.
        """
        found: dict[str, Stored] = {}
        problems: list[str] = []
        for folder in self.folders() if reuse is not Reuse.NEVER else ():
            try:
                events = _generated_here(folder)
            except OtherSchemaError:
                continue  # nothing of another version can be reused, and nothing is wrong with it
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
    """Return a run's readings by image SHA-256 and reader fingerprint; none where its events cannot be read."""
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
    """Return a run's start, images and end; nothing for a run that is being written or was rescored."""
    if is_active(folder):
        return ()
    events, _ = read_events(folder, only=(Started, Generated, Ended))
    return events if events and isinstance(events[0], Started) and not events[0].rescored_from else ()


def is_active(run: Path) -> bool:
    """Return whether a process is writing this run now."""
    lock = FileLock(run / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def usable(stored: Stored) -> bool:
    """Return whether a stored image can be reused: False if it is missing or was already in quarantine.

    Raises StoreError where its bytes are now found not to match its name, so that this is reported once.
    """
    path = stored.path
    present = path.exists()
    state = check_image(stored.run, stored.generated.sha256)
    if state is ImageState.QUARANTINED and present:
        raise StoreError(
            image_problem(path, state),
            where=str(stored.run),
            remedy="find out what changed the file; repeat the command to generate it again",
        )
    return state is ImageState.GOOD
