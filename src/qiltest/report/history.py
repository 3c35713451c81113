"""The runs stored beside a run: how its error rates came about over time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qiltest.errors import StoreError
from qiltest.report.measure import Rate
from qiltest.runs.events import Event, Judged, Started
from qiltest.runs.load import read_events
from qiltest.runs.records import Run
from qiltest.runs.store import RunStore
from qiltest.scoring.records import Score

#: runs looked back at; more would not be told apart in a chart.
MAX_RUNS = 20


@dataclass(frozen=True, kw_only=True)
class Past:
    """The error rates of one stored run."""

    run: str
    #: ISO 8601.
    started: str
    #: (variant, pooled error rate).
    rates: tuple[tuple[str, Rate], ...]


def history(run: Run, limit: int = MAX_RUNS) -> tuple[Past, ...]:
    """Return the stored runs up to this one, oldest first, that may be compared with it.

    Only runs of the same model, reader and set of points count, because a rate over other pictures is another rate.
    Pictures are not opened. A run that cannot be read is left out: its own report says what is wrong with it.
    """
    folders = [folder for folder in RunStore(root=run.path.parent).folders() if folder.name <= run.path.name]
    found: list[Past] = []
    for folder in reversed(folders):
        past = _past(folder, run)
        if past is not None:
            found.append(past)
        if len(found) == limit:
            break
    return tuple(reversed(found))


def _past(folder: Path, run: Run) -> Past | None:
    try:
        events, _ = read_events(folder)
    except StoreError:
        return None
    if not events or not isinstance(events[0], Started):
        return None
    started = events[0]
    same = started.model == run.model and started.reader.fingerprint == run.reader.fingerprint
    if not same or started.rescored_from or set(started.planned) != set(run.planned):
        return None
    rates = _rates(events)
    return Past(run=started.run, started=started.at, rates=rates) if rates else None


def _rates(events: tuple[Event, ...]) -> tuple[tuple[str, Rate], ...]:
    # a later event of a point wins, as when a run is loaded
    scores = {event.point: event.score for event in events if isinstance(event, Judged) and event.score is not None}
    by_variant: dict[str, list[Score]] = {}
    for point, score in scores.items():
        by_variant.setdefault(point.variant, []).append(score)
    return tuple(
        (variant, Rate(distance=sum(s.distance for s in group), length=sum(s.length for s in group), count=len(group)))
        for variant, group in by_variant.items()
        if sum(score.length for score in group)
    )
