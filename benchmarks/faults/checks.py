"""What must hold in a suite's folder after a session was killed, and after the same command has finished it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from qiltest.cli.main import main as qiltest
from qiltest.errors import GoldenError, StoreError
from qiltest.gate.golden import GoldenStore
from qiltest.runs import Run, RunState, RunStore, load_run
from qiltest.runs.events import Generated, Reported
from qiltest.runs.history import HISTORY, read
from qiltest.runs.load import read_events
from qiltest.runs.status import Status, status_of
from qiltest.suite.selection import Sample

#: what `qiltest verify` rightly says of the run that recorded the goldens.
OWN = "the run itself wrote its golden"
#: PASS, or accepted by this run.
GOOD = frozenset({Status.PASS, Status.NEW})
_CUT = "the last line is incomplete"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What an unkilled session stores."""

    #: SHA-256 of each image.
    images: dict[Sample, str] = field(default_factory=dict)
    #: bytes of each golden, by its path below the suite's folder.
    goldens: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Expected:
        """Return what the newest run of a folder, and its goldens, hold."""
        events, _ = read_events(RunStore(root=folder / "runs").find("latest"), only=(Generated,))
        images = {event.sample: event.sha256 for event in events if isinstance(event, Generated)}
        return cls(images=images, goldens=goldens_of(folder))


def goldens_of(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all goldens."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in (folder / "golden").rglob("*.json")}


@dataclass(kw_only=True)
class Progress:
    """One command from its first session to its last."""

    folder: Path
    expected: Expected
    counts: Counter[str] = field(default_factory=Counter)
    #: True once a session has written its reports, and said so in its run.
    reported: bool = False
    #: images that sessions of this command have stored.
    stored: set[Sample] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._known = {folder.name for folder in self._runs()}
        self._log = self.folder / "generated.log"
        self._log.write_text("")

    def after_kill(self) -> Iterator[str]:
        """Yield what is wrong after a session was killed."""
        self.counts["temporary files left by kills"] += len(self._temporaries())
        yield from self._check(in_hand=1)

    def after_end(self, code: int | None, name: str) -> Iterator[str]:
        """Yield what is wrong after a session has ended by itself."""
        if code != 0:
            yield f"the session ended with {code}: {(self.folder / 'session.log').read_text()[-2000:]}"
        yield from self._check(in_hand=0)

    def finished(self, name: str) -> Iterator[str]:
        """Yield what is wrong with the finished run, and what is left besides."""
        try:
            folder = RunStore(root=self.folder / "runs").find("latest")
            run = load_run(folder)
        except StoreError as error:
            yield str(error)
            return
        yield from self._whole(run)
        yield from self._verified(folder, name)
        for path in self._temporaries():
            yield f"a temporary file is left: {path.relative_to(self.folder)}"
        if goldens_of(self.folder) != self.expected.goldens:
            yield "the goldens are not those of an unkilled session"

    def _check(self, in_hand: int) -> Iterator[str]:
        """Check the session that has just stopped, all its files, and what it generated."""
        new = [folder for folder in self._runs() if folder.name not in self._known]
        self._known |= {folder.name for folder in new}
        before = set(self.stored)
        for folder in new:
            yield from self._run(folder)
        yield from self._goldens()
        yield from self._generated(before, in_hand)

    def _run(self, folder: Path) -> Iterator[str]:
        """Check a run: its lines and chain are whole, and its images are stored once, with the right bytes."""
        try:
            events, problems = read_events(folder)
            if events:
                problems = load_run(folder).problems
        except StoreError as error:
            yield f"the run cannot be read: {error}"
            return
        yield from (problem for problem in problems if _CUT not in problem)
        generated = [event for event in events if isinstance(event, Generated)]
        self.reported = self.reported or any(isinstance(event, Reported) for event in events)
        yield from self._images(folder, generated)
        self.stored |= {event.sample for event in generated}

    def _images(self, folder: Path, generated: list[Generated]) -> Iterator[str]:
        twice = [sample.id for sample, times in Counter(event.sample for event in generated).items() if times > 1]
        if twice:
            yield f"stored twice: {', '.join(twice)}"
        for event in generated:
            path = folder / "images" / f"{event.sha256}.png"
            if event.sha256 != self.expected.images.get(event.sample):
                yield f"another image of {event.sample.id}"
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != event.sha256:
                yield f"the image of {event.sample.id} is lost or damaged"
        extra = len(list((folder / "images").glob("*.png"))) - len(generated)
        if extra > 1:
            yield f"{extra} images that no event names"

    def _goldens(self) -> Iterator[str]:
        """Check that every golden there is can be read, and is the one of an unkilled session."""
        store = GoldenStore(root=self.folder / "golden")
        for sample in self.expected.images:
            try:
                store.load("tiny", sample)
            except GoldenError as error:
                yield str(error)
        for name, data in goldens_of(self.folder).items():
            if data != self.expected.goldens.get(name):
                yield f"{name} is another golden"

    def _generated(self, before: set[Sample], in_hand: int) -> Iterator[str]:
        """Check that nothing was generated that was stored before, and that no more than the one in hand was lost."""
        lines = [line.split() for line in self._log.read_text().splitlines() if not line.startswith("prepare")]
        self._log.write_text("")
        made = [(case, variant, int(seed)) for case, variant, seed in lines]
        stored = {(sample.case, sample.variant, sample.seed) for sample in self.stored}
        earlier = {(sample.case, sample.variant, sample.seed) for sample in before}
        self.counts["images generated"] += len(made)
        for again in sorted(set(made) & earlier):
            yield f"{again} was stored, and generated again"
        lost = [sample for sample in made if sample not in stored]
        self.counts["images lost in hand"] += len(lost)
        if len(lost) > in_hand or len(made) != len(set(made)):
            yield f"generated: {made}; of them not stored: {lost}"

    def _whole(self, run: Run) -> Iterator[str]:
        """Check that a finished run has everything, and its reports."""
        self.counts["images stored"] += len(run.results)
        if run.state is not RunState.FINISHED or run.exit_status != 0 or not self.reported:
            yield f"the run is {run.state} with exit status {run.exit_status}"
        if {result.sample for result in run.results if status_of(result) in GOOD} != set(self.expected.images):
            yield "an image has no verdict, or another than PASS"
        for name, end in (("report.html", "</html>"), ("report.md", "")):
            path = run.path / name
            text = path.read_text(encoding="utf-8").rstrip() if path.is_file() else ""
            if not text or not text.endswith(end):
                yield f"{name} is missing or not whole"
        entries, _ = read(run.path.parent / HISTORY)
        if [entry.run for entry in entries].count(run.id) != 1:
            yield "the history does not hold the run"

    def _verified(self, run: Path, name: str) -> Iterator[str]:
        """Let `qiltest verify` answer; of the run that recorded goldens it may say that it did."""
        self.counts["runs verified"] += 1
        places = {"--runs": run.parent, "--cases": self.folder / "cases", "--golden": self.folder / "golden"}
        words = [word for flag, path in places.items() for word in (flag, str(path))]
        with contextlib.redirect_stdout(io.StringIO()) as out:
            code = qiltest(["verify", run.name, "--json", *words])
        faults = [fault["what"] for fault in json.loads(out.getvalue())["faults"]]
        if name == "record":
            faults = [fault for fault in faults if OWN not in fault]
        elif code != 0 and not faults:
            yield f"qiltest verify ends with {code}"
        yield from (f"qiltest verify: {fault}" for fault in faults)

    def _runs(self) -> list[Path]:
        return sorted(path.parent for path in (self.folder / "runs").glob("*/events.jsonl"))

    def _temporaries(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*.tmp"))
