"""The folder of runs: create and find runs, and reuse stored images."""

from __future__ import annotations

import fcntl
import re
import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from qiltest.errors import OtherSchemaError, StoreError, os_errors_as
from qiltest.files import open_regular, remove_leftovers
from qiltest.reading.records import Reading
from qiltest.runs.events import Ended, Event, Generated, Judged, Reported, Started
from qiltest.runs.images import IMAGES, SHA256, ImageState, check_image, image_path, image_problem
from qiltest.runs.lines import EVENTS, MAX_LINE
from qiltest.runs.load import load_run, read_events
from qiltest.runs.plain_file import plain_sha256
from qiltest.runs.records import Run, RunState
from qiltest.runs.room import Room
from qiltest.runs.writer import LOCK, RunWriter
from qiltest.suite.selection import Sample

LATEST = "latest"
#: between the names of runs that are taken as one.
JOINT = "+"
#: the folder of runs in a project, and in a bundle.
RUNS = "runs"
_STAMP, _ID = "%Y%m%d-%H%M%S-%f", re.compile(r"(\d{8}-\d{6}-\d{6})-[0-9a-f]{4}")
#: how far a clock is set back in daily life: summer time of a machine that keeps local time, and a zone corrected.
_SET_BACK = timedelta(days=1)
_OTHER_PURPOSE = re.compile(rb'"purpose":"(?:check|stability)"')
#: characters of a wrong name that a message shows.
_SHOWN = 100


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
                folder = self.root / f"{self._moment():{_STAMP}}-{secrets.token_hex(2)}"
                with suppress(FileExistsError):
                    folder.mkdir()
                    return RunWriter(folder)

    def _moment(self) -> datetime:
        """Return the time; where the clock was set back a little, the moment after the newest run's id."""
        now = datetime.now(UTC)
        ahead = [moment for folder in self.folders() if (moment := _moment_of(folder.name)) and now <= moment]
        newest = max((moment for moment in ahead if moment <= now + _SET_BACK), default=None)
        return now if newest is None else newest + timedelta(microseconds=1)

    def folders(self) -> tuple[Path, ...]:
        """Return the folders of all runs, oldest first.

        Names that no session gives, and ids of a far future (the clock was wrong), come before all others, so that
        they are neither the latest run nor resumed again and again.
        """
        latest = datetime.now(UTC) + _SET_BACK
        found = (path.parent for path in self.root.glob(f"*/{EVENTS}"))
        return tuple(sorted(found, key=lambda folder: (_known_by(folder.name, latest), folder.name)))

    def find(self, name: str) -> Path:
        """Return the folder of a run given by path, id, start of an id, or `latest`. Raises StoreError.

        The path of a bundle, which holds `runs` with one run, is that run's.
        """
        path = Path(name)
        # a name that is too long for a path, or has a zero byte, is none
        with suppress(OSError, ValueError):
            if name and (path / EVENTS).is_file():
                return path
            if name and len(bundled := RunStore(root=path / RUNS).folders()) == 1:
                return bundled[0]
            if name and path.suffix == ".zip" and path.is_file():
                remedy = f"`python -m zipfile -e {shlex.quote(name)} FOLDER`, then name the folder in FOLDER"
                raise StoreError("a zip is read once it is unpacked", where=name, remedy=remedy)
        folders = self.folders()
        if name == LATEST and folders:
            # a check of a LoRA file, and a try whether images come out again, are runs of their own
            return next((folder for folder in reversed(folders) if _is_of_suite(folder)), folders[-1])
        found = [folder for folder in folders if name and folder.name.startswith(name)]
        if len(found) == 1:
            return found[0]
        if not folders:
            raise StoreError(
                "no runs here", where=str(self.root), remedy="run pytest first, or give the folder of runs as --runs"
            )
        shown = f"{name[:_SHOWN]!r}"
        if not found and JOINT in name.strip(JOINT):
            others = "`qiltest report` (without --bundle) and `qiltest compare` take several"
            remedy = f"repeat the command for each of them; {others}"
            what = f"{shown} names several runs, and this takes one at a time"
            raise StoreError(what, where=str(self.root), remedy=remedy)
        what = f"{len(found)} runs begin with {shown}" if found else f"no run {shown}"
        known = ", ".join(folder.name for folder in folders[-3:])
        raise StoreError(what, where=str(self.root), remedy=f"write `latest` or an id; the last ids: {known}")

    def load(self, name: str, *, room: Room | None = None) -> Run:
        """Read a run back; see `find` and `load_run`."""
        return load_run(self.find(name), room=room)

    def find_image(self, sha256: str, hash_of: Callable[[Path], str] = plain_sha256) -> Path | None:
        """Return the path of an image in any run; None where it is missing or its bytes do not match."""
        if SHA256.fullmatch(sha256) is None:
            return None
        for path in sorted(self.root.glob(f"*/{IMAGES}/{sha256}.png")):
            with suppress(OSError):
                if hash_of(path) == sha256:
                    return path
        return None

    def offer(self, reuse: Reuse) -> Offer:
        """Return images that can be reused.

        With `Reuse.UNFINISHED` an image counts only if the newest run with its recipe did not finish; one that ended
        without its reports did not. A run that another process is writing, and one of another version, are skipped.
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
            ended = any(isinstance(event, Ended) and event.state is RunState.FINISHED for event in events)
            finished = ended and _reported(events)
            for event in events:
                if not isinstance(event, Generated):
                    continue
                if finished and reuse is Reuse.UNFINISHED:
                    found.pop(event.key, None)
                else:
                    found[event.key] = Stored(run=folder, generated=event)
        return Offer(images=found, problems=tuple(problems))


def _moment_of(name: str) -> datetime | None:
    """Return the time in a run's id; None for a name that no session gives."""
    match = _ID.fullmatch(name)
    with suppress(ValueError):
        return None if match is None else datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC)
    return None


def _is_of_suite(folder: Path) -> bool:
    """Return whether a run is of the suite, by its first line; of one that cannot be read nobody knows better."""
    with suppress(OSError, StoreError), open_regular(folder / EVENTS) as file:
        # within a JSON string the quotes would be escaped
        return _OTHER_PURPOSE.search(file.readline(MAX_LINE)) is None
    return True


def is_run_id(name: str) -> bool:
    """Return whether a session can have given this name to a run's folder."""
    return _moment_of(name) is not None


def _known_by(name: str, latest: datetime) -> bool:
    """Return whether a run's name is an id that a session can have given until `latest`."""
    moment = _moment_of(name)
    return moment is not None and moment <= latest


def readings_of(run: Path) -> Mapping[tuple[str, str], StoredReading]:
    """Return a run's readings by image SHA-256 and reader fingerprint; none where another version wrote them.

    Raises StoreError where the run was changed after it was written, which `RunStore.offer` has told before.
    """
    try:
        events, _ = read_events(run, only=(Generated, Judged))
    except OtherSchemaError:
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
    """Return a run's start, images and end; nothing for a run that is being written or was rescored.

    Temporary files that a killed process left in the run are removed.
    Raises StoreError where it cannot be read, or where nobody can tell whether it is being written.
    """
    events, _ = read_events(folder, only=(Started, Generated, Ended, Reported))
    if not events or not isinstance(events[0], Started) or events[0].rescored_from:
        return ()
    # a run with its reports is written no more, whoever's it is
    if _reported(events):
        return events
    if is_active(folder):
        return ()
    for place in (folder, folder / IMAGES):
        remove_leftovers(place)
    return events


def _reported(events: Sequence[Event]) -> bool:
    return any(isinstance(event, Reported) for event in events)


def is_active(run: Path) -> bool:
    """Return whether a process is writing this run now. Raises StoreError where its lock cannot be read.

    The lock is only read, as it may be another user's or on a mount that cannot be written.
    """
    path = run / LOCK
    remedy = "make the file readable, or move the run's folder away"
    with os_errors_as(StoreError, "the run's lock cannot be read", where=str(path), remedy=remedy):
        try:
            with open_regular(path) as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
    return False


def usable(stored: Stored) -> bool:
    """Return whether a stored image can be reused: False if it is missing or was already in quarantine.

    Raises StoreError where its bytes are now found not to match its name, so that this is reported once, and where it
    cannot be read.
    """
    path = stored.path
    present = path.exists()
    state = check_image(stored.run, stored.generated.sha256)
    if (state is ImageState.QUARANTINED and present) or state in {ImageState.DAMAGED, ImageState.UNREADABLE}:
        raise StoreError(
            image_problem(path, state),
            where=str(stored.run),
            remedy="find out what changed the file; repeat the command to generate it again",
        )
    return state is ImageState.GOOD
