"""List the runs of a folder with little work: no image is opened, and verdicts come from the history where it can."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from qiltest.errors import OtherSchemaError, StoreError
from qiltest.runs.events import Ended, Event, Failed, Generated, Judged, Reported, Started
from qiltest.runs.history import HISTORY, read
from qiltest.runs.load import read_events
from qiltest.runs.records import CaseResult, Outcome, RunState, shared
from qiltest.runs.status import Status, status_of, worst
from qiltest.runs.store import RunStore, is_active
from qiltest.suite.selection import Sample

#: what opens and ends a run; verdicts are many lines, and are read only of a run that the history does not have.
_ENDS = (Started, Generated, Ended, Reported)


@dataclass(frozen=True, kw_only=True)
class ListedRun:
    """One run, as far as it can be told without its images."""

    path: Path
    #: why it cannot be read, "" where it can; then what follows is empty.
    unreadable: str = ""
    #: True where that is no matter of another version: it was changed or damaged.
    damaged: bool = False
    started: str = ""
    command: tuple[str, ...] = ()
    model: str = ""
    planned: int = 0
    #: images that were stored.
    images: int = 0
    #: by status; images that were planned and not judged are waiting.
    counts: Mapping[Status, int] = field(default_factory=dict)
    #: None while it is being written, or where its process was killed.
    exit_status: int | None = None
    state: RunState = RunState.UNFINISHED
    #: True while a process writes it.
    active: bool = False
    problems: tuple[str, ...] = ()
    #: bytes of its files; an image that other runs share counts in each.
    size: int = 0

    @property
    def id(self) -> str:
        """The name of the run's folder."""
        return self.path.name

    @property
    def status(self) -> Status:
        """The run's verdict: FAIL or worse where its session did not end with 0."""
        found = worst(status for status in self.counts if self.counts[status])
        if self.exit_status in {0, None}:
            return found
        if not self.images:
            return Status.ERROR
        return found if found.rank < Status.NEW.rank else Status.FAIL


def list_runs(store: RunStore) -> tuple[ListedRun, ...]:
    """Return the runs of a folder, oldest first. Raises StoreError where the history cannot be read."""
    known = {entry.run: entry for entry in read(store.root / HISTORY)[0]}
    found = []
    for folder in store.folders():
        entry = known.get(folder.name)
        statuses = None if entry is None else [sample.status for sample in entry.samples.values()]
        found.append(_listed(folder, statuses))
    return tuple(found)


def _listed(folder: Path, statuses: Iterable[str] | None) -> ListedRun:
    size = size_of(files_of(folder))
    try:
        events, _ = read_events(folder, only=_ENDS if statuses is not None else ())
        active = is_active(folder)
    except StoreError as error:
        damaged = not isinstance(error, OtherSchemaError)
        return ListedRun(path=folder, unreadable=str(error).partition("\n")[0], damaged=damaged, size=size)
    opening = events[0] if events else None
    if not isinstance(opening, Started):
        return ListedRun(path=folder, unreadable="the run never began", damaged=True, size=size, active=active)
    ended = next((event for event in events if isinstance(event, Ended)), None)
    counts = Counter(_known(statuses) if statuses is not None else _judged(events))
    counts[Status.WAITING] = max(0, len(set(opening.planned)) - sum(counts.values()))
    return ListedRun(
        path=folder,
        started=opening.at,
        command=opening.command,
        model=opening.model,
        planned=len(opening.planned),
        images=len({event.sample for event in events if isinstance(event, Generated)}),
        counts={status: counts[status] for status in Status if counts[status]},
        exit_status=None if ended is None else ended.exit_status,
        state=RunState.UNFINISHED if ended is None else ended.state,
        active=active,
        problems=() if ended is None else ended.problems,
        size=size,
    )


def _known(statuses: Iterable[str]) -> list[Status]:
    found = []
    for status in statuses:
        with suppress(ValueError):  # of a later version
            found.append(Status(status))
    return found


def _judged(events: Iterable[Event]) -> list[Status]:
    results: dict[Sample, CaseResult] = {}
    for event in events:
        if isinstance(event, Judged):
            results[event.sample] = CaseResult(sample=event.sample, **shared(event, Outcome))
        elif isinstance(event, Failed):
            results[event.sample] = CaseResult(sample=event.sample, error=event.error)
    return [status_of(result) for result in results.values()]


def files_of(folder: Path) -> tuple[os.stat_result, ...]:
    """Return the state of each file below a folder; no link is followed, and what cannot be looked at is left out."""
    found: list[os.stat_result] = []
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                found.append((Path(root) / name).lstat())
    return tuple(found)


def size_of(files: Iterable[os.stat_result]) -> int:
    """Return the bytes of files, each once."""
    return sum({(file.st_dev, file.st_ino): file.st_size for file in files}.values())
