"""Verify a stored run: all of it was judged, nothing was changed since, and every verdict is PASS once more.

Score and verdict of each image are computed again from its stored reading and image quality, with the cases and goldens
of this checkout; no image is decoded and nothing is written. A run may come from anywhere: it is read line by line, and
a run of up to 100 MB takes about `SECONDS`, whatever is in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from qiltest.engine.rejudge import LOOK, REPEAT, ImageFacts, why_not
from qiltest.errors import OtherSchemaError, QiltestError, StoreError
from qiltest.gate.golden import GoldenStore
from qiltest.runs.events import Ended, Event, Failed, Generated, Judged, Reported, Started, decode
from qiltest.runs.images import Hashes, image_path
from qiltest.runs.lines import DAMAGED, EVENTS, lines_of
from qiltest.runs.load import Bound
from qiltest.runs.records import RunState
from qiltest.runs.room import collector_paused
from qiltest.suite.cases import Case
from qiltest.suite.selection import Sample
from qiltest.suite.variants import CANDIDATE, is_candidate

#: most seconds for a run of up to `_BYTES`; a larger one may take more in proportion. A line or an image takes up to a
#: second beyond.
SECONDS, _BYTES = 8.0, 100e6
#: faults that are listed; with as many no further line is read.
MAX_FAULTS = 100
#: characters of a fault.
_SHOWN = 300
_RESTORE = "restore the file, or run the suite again with --qil-fresh"

_WHOLE = "`qiltest report RUN+RUN --exit-code`, with all parts, answers for the session"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a run is not verified."""

    what: str
    #: a sample's name, or a file and line.
    where: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {' '.join(self.what.split())} -> {self.remedy}"


@dataclass(frozen=True, kw_only=True)
class Verified:
    """The answer on a run."""

    run: str
    #: planned images.
    images: int
    #: True for every case, resolution, default variant and seed of the suite that the run knew.
    full: bool
    faults: tuple[Fault, ...]
    #: faults beyond `MAX_FAULTS`, as far as the run was read.
    more: int = 0

    @property
    def passes(self) -> bool:
        """True where nothing is wrong."""
        return not self.faults


def verify_run(
    run: Path, *, cases: Sequence[Case], goldens: GoldenStore, clock: Callable[[], float] = time.monotonic
) -> Verified:
    """Verify a run and list what is wrong.

    Raises StoreError where this is no run, or one whose verdict is a comparison (a candidate LoRA).
    """
    verifier = _Verifier(run=run, cases={case.id: case for case in cases}, goldens=goldens, clock=clock)
    try:
        with collector_paused():
            verifier.read()
            verifier.finish()
    except _OutOfTimeError:
        verifier.add(
            f"not verified within {verifier.allowed:.0f} s: it holds more than a run of its size does",
            where=str(run),
            remedy="trust none of it; run the suite again",
        )
    started = verifier.started
    return Verified(
        run=run.name if started is None else started.run,
        images=0 if started is None else len(verifier.planned),
        full=started is not None and started.full,
        faults=tuple(verifier.faults),
        more=verifier.more,
    )


class _OutOfTimeError(Exception):
    """More work than a run of this size may be."""


@dataclass(kw_only=True)
class _Verifier:
    """Reads a run's lines in order; of each sample its last event counts."""

    run: Path
    cases: Mapping[str, Case]
    goldens: GoldenStore
    clock: Callable[[], float]
    started: Started | None = None
    planned: set[Sample] = field(default_factory=set)
    ended: Ended | None = None
    reported: bool = False
    bound: Bound = field(default_factory=Bound)
    images: dict[Sample, ImageFacts] = field(default_factory=dict)
    #: the faults of each sample that has a verdict.
    verdicts: dict[Sample, tuple[Fault, ...]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    more: int = 0
    #: bytes read so far.
    size: int = 0
    hash_of: Hashes = field(default_factory=Hashes)

    def __post_init__(self) -> None:
        self._begun = self.clock()

    @property
    def allowed(self) -> float:
        """Seconds that what was read so far may take."""
        return SECONDS * max(1.0, self.size / _BYTES)

    def add(self, what: str, *, where: str, remedy: str) -> None:
        """Add a fault, or count it where there are many."""
        self._keep(Fault(what=what[:_SHOWN], where=where, remedy=remedy))

    def read(self) -> None:
        """Read every line. Raises StoreError where this is no run, or one that is not judged by goldens."""
        for line in lines_of(self.run, tolerate=self._damaged):
            where = f"{self.run / EVENTS}:{line.number}"
            self._spend(len(line.data) + 1)
            if len(self.faults) == MAX_FAULTS:
                return
            if not line.whole:
                self.add("the last line is incomplete", where=where, remedy=REPEAT)
                return
            try:
                event = decode(line.data, where=where)
            except StoreError as error:
                self._damaged(error)
                continue
            self._event(event, where, line.data)

    def finish(self) -> None:
        """Check the end of the run, that every image was judged, and the images' bytes."""
        for what, remedy in self._unfinished():
            self.add(what, where=str(self.run), remedy=remedy)
        for sample in sorted(self.planned, key=lambda sample: sample.id):
            if sample not in self.verdicts:
                self.add("planned, but not judged", where=sample.id, remedy=REPEAT)
        for faults in self.verdicts.values():
            for fault in faults:
                self._keep(fault)
        for sha256 in dict.fromkeys(each for image in self.images.values() for each in (image.sha256, *image.inputs)):
            self._hash(sha256)

    def _faults(self, event: Judged | Failed) -> Iterator[Fault]:
        """Yield what is wrong with a sample's verdict."""
        assert self.started is not None
        where = event.sample.id
        image = self.images.get(event.sample)
        try:
            for what, remedy in why_not(event, image, started=self.started, cases=self.cases, goldens=self.goldens):
                yield Fault(what=what[:_SHOWN], where=where, remedy=remedy)
        except QiltestError as error:
            yield Fault(what=error.what[:_SHOWN], where=error.where or where, remedy=error.remedy or LOOK)

    def _keep(self, fault: Fault) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(fault)
        else:
            self.more += 1

    def _damaged(self, error: StoreError) -> None:
        if isinstance(error, OtherSchemaError):
            raise error
        self.add(error.what, where=error.where, remedy=error.remedy)

    def _spend(self, size: int) -> None:
        self.size += size
        if self.clock() - self._begun > self.allowed:
            raise _OutOfTimeError

    def _event(self, event: Event, where: str, stored: bytes) -> None:
        fault = self.bound.fault(event, stored=stored)
        if fault:
            self.add(fault, where=where, remedy=DAMAGED)
        elif self.started is None and not isinstance(event, Started):
            self.add("the run does not begin with its start", where=where, remedy=DAMAGED)
        elif self.reported or (self.ended is not None and not isinstance(event, Reported)):
            self.add("a line after the run's end", where=where, remedy=DAMAGED)
        elif isinstance(event, Started):
            self._start(event)
        elif isinstance(event, Ended):
            self.ended = event
        elif isinstance(event, Reported):
            self.reported = True
        elif event.sample not in self.planned:
            self.add(f"{event.sample.id} was not planned", where=where, remedy=DAMAGED)
        elif isinstance(event, Generated):
            self.images[event.sample] = ImageFacts.of(event)
            self.verdicts.pop(event.sample, None)
        else:
            self._spend(0)
            self.verdicts[event.sample] = tuple(self._faults(event))

    def _start(self, event: Started) -> None:
        if any(is_candidate(variant.name) for variant in event.variants):
            raise StoreError(
                "the run tries a candidate LoRA: its verdict is a comparison, not one with goldens",
                where=str(self.run),
                remedy=f"`qiltest compare {event.run} --variant VARIANT --with {CANDIDATE}`",
            )
        self.started, self.planned = event, set(event.planned)

    def _unfinished(self) -> Iterator[tuple[str, str]]:
        if self.started is None:
            yield "the run never began", "remove the folder; run the suite again"
            return
        shards = self.started.shards
        if shards is not None and shards.missing:
            here, absent = (", ".join(f"{n}/{shards.of}" for n in parts) for parts in (shards.numbers, shards.missing))
            yield f"part {here} of a session (--qil-shard): {absent} is not in this run", _WHOLE
        if not self.planned:
            yield "no image was planned", "select images, and run the suite again"
        if self.ended is None:
            yield "the run never ended: its process was killed, or is still running", REPEAT
            return
        if self.ended.state is not RunState.FINISHED:
            yield f"the run is {self.ended.state}", REPEAT
        if self.ended.exit_status != 0:
            yield f"its session ended with exit code {self.ended.exit_status}", LOOK
        for problem in self.ended.problems:
            yield problem, LOOK
        if not self.reported and not self.started.rescored_from:
            yield "its reports were never written", REPEAT

    def _hash(self, sha256: str) -> None:
        path = image_path(self.run, sha256)
        try:
            self._spend(path.stat().st_size)
            found = self.hash_of(path)
        except OSError as error:
            self.add(f"the image cannot be read: {error.strerror or error}", where=str(path), remedy=_RESTORE)
            return
        if found != sha256:
            self.add(f"the image's bytes have another SHA-256, {found}", where=str(path), remedy=_RESTORE)
