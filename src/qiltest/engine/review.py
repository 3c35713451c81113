"""Review the goldens that a stored run would change or has changed, image by image.

Accepting writes the run's own score as golden; nothing is generated or read. Each decision is written before the next
image is shown, so that a killed review loses nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import cache, cached_property
from pathlib import Path

from filelock import FileLock

from qiltest.errors import GoldenError, StoreError, os_errors_as
from qiltest.files import read_file, write_atomically
from qiltest.gate.change import changed_more, collapsed
from qiltest.gate.golden import Golden, GoldenStore, golden_from
from qiltest.gate.judge import never_golden, not_golden, unread, unseen
from qiltest.gate.latency import Cohort, LatencyStore
from qiltest.gate.scene import change_of
from qiltest.gate.small_copy import SmallCopies
from qiltest.gate.verdict import Verdict
from qiltest.quality.scene import Scene, SmallCopy, scene_of
from qiltest.reading.images import load_image
from qiltest.runs.images import Hashes
from qiltest.runs.records import CaseResult, Run
from qiltest.runs.store import RunStore
from qiltest.scoring.records import Score
from qiltest.strict_json import MOST_BYTES, StrictJsonError, decode
from qiltest.suite.cases import Limits
from qiltest.suite.variants import is_candidate

DECISIONS = "review.json"
#: images of one review, ten times those of the suite.
MOST_ITEMS = 1_000
#: characters of a reason.
_REASON = 500


class GoldenChange(StrEnum):
    """The effect of accepting an image on its golden."""

    #: there is no golden yet.
    NEW = "NEW"
    #: the golden would be replaced.
    CHANGED = "CHANGED"
    #: the run has written it (`--qil-update`); rejecting restores the one before.
    RECORDED = "RECORDED"


class Decision(StrEnum):
    """The decision on an image."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Item:
    """An image to be decided."""

    result: CaseResult
    change: GoldenChange
    #: the golden made of the image.
    candidate: Golden
    #: the golden it is compared with: the stored one, or for RECORDED the one before; None where there is none.
    before: Golden | None
    #: why the golden's file is invalid, or "".
    broken: str = ""
    #: why it cannot be accepted, or "".
    blocked: str = ""
    #: why it is accepted only by somebody who looks at it, not with all others, or "".
    doubt: str = ""

    @property
    def id(self) -> str:
        """Name of the sample."""
        return self.result.id


@dataclass(frozen=True, kw_only=True)
class Agenda:
    """The images of a run to be decided."""

    items: tuple[Item, ...]
    #: images that were rejected before.
    rejected: tuple[str, ...]
    #: images that cannot be a golden, each with the reason.
    unfit: tuple[str, ...]
    #: images that were not looked at: the run holds more than one review does.
    more: int = 0


@dataclass(frozen=True, kw_only=True)
class Review:
    """A run under review and the goldens."""

    run: Run
    goldens: GoldenStore

    def agenda(self, *, again: bool = False) -> Agenda:
        """Return the images to be decided; with `again` also those rejected before. Raises StoreError."""
        decided = self._decided()
        items: list[Item] = []
        rejected: list[str] = []
        unfit: list[str] = []
        more = 0
        for result in self.run.results:
            if result.brief or len(items) == MOST_ITEMS:
                more += 1
                continue
            why = _unfit(result)
            if why:
                unfit.append(f"{result.id}: {why[:_REASON]}")
                continue
            item = self._item(result)
            decision = None if item is None else decided.get(_digest(item.candidate))
            if item is None or (item.change is GoldenChange.RECORDED and decision is Decision.ACCEPTED):
                continue
            if decision is Decision.REJECTED and not again:
                rejected.append(item.id)
            else:
                items.append(item)
        return Agenda(items=tuple(items), rejected=tuple(rejected), unfit=tuple(unfit), more=more)

    def accept(self, item: Item) -> Path:
        """Write the golden and return its path.

        Raises GoldenError where it is blocked, cannot be written, or has changed since it was shown, and ReaderError
        where its image cannot be decoded.
        """
        if item.blocked:
            raise GoldenError(item.blocked, where=item.id, remedy="reject it, or change the case's limits")
        with self._locked():
            self._unchanged(item)
            image = item.result.image
            assert image is not None
            path = SmallCopies(goldens=self.goldens).record(item.candidate, image.path)
            self._remember(item, Decision.ACCEPTED)
        return path

    def reject(self, item: Item) -> None:
        """Keep the golden, or restore it where the run has replaced it. Raises GoldenError, StoreError."""
        with self._locked():
            if item.change is GoldenChange.RECORDED:
                self._unchanged(item)
                if item.before is None:
                    self.goldens.remove(item.candidate)
                else:
                    self._restore(item.before)
            self._remember(item, Decision.REJECTED)

    def accept_latencies(self) -> list[Path]:
        """Write the golden of each gated cohort that has none, from the run's own denoise loops. Raises GoldenError."""
        latencies = LatencyStore(goldens=self.goldens)
        seconds: dict[Cohort, list[float]] = {}
        for result in self.run.results:
            latency, cohort = result.latency, result.cohort
            if (
                latency is None
                or cohort is None
                or result.error
                or (result.score is not None and not_golden(result.score, self._limits(result)))
            ):
                continue  # how long an image of garbage took says nothing
            if latency.gates and latency.verdict is not Verdict.ERROR:
                seconds.setdefault(cohort, []).append(latency.seconds)
        return [latencies.save(each, seconds[each]) for each in seconds if latencies.load(each) is None]

    @cached_property
    def find_image(self) -> Callable[[str], Path | None]:
        """Return the file of an image by its SHA-256, from any run beside this one; None where none has it."""
        store, hashes = RunStore(root=self.run.path.absolute().parent), Hashes()
        return cache(lambda sha256: store.find_image(sha256, hashes))

    def small_copy(self, golden: Golden) -> Path | None:
        """Return the small copy that was recorded with a golden; None where it is gone, or another one by now."""
        copies = SmallCopies(goldens=self.goldens)
        return None if copies.find(golden) is None else copies.path(golden)

    def _item(self, result: CaseResult) -> Item | None:
        score, recipe, image, judgement = result.score, result.recipe, result.image, result.judgement
        assert score is not None
        assert recipe is not None
        assert image is not None
        assert judgement is not None
        candidate = golden_from(
            result.sample,
            model=self.run.model,
            recipe=recipe,
            score=score,
            noise_floor=judgement.noise_floor,
            image=image.sha256,
            scene=_scene(result),
            change=result.change,
        )
        current, broken = self._current(candidate)
        if current is not None and current.image == candidate.image:
            candidate = replace(candidate, small_copy=current.small_copy)
        change, before = GoldenChange.CHANGED, current
        if current is not None and current.same_result(candidate):
            replaced = result.golden is None or not result.golden.same_result(candidate)
            if not (result.golden_recorded and replaced and current == candidate):
                return None
            change, before = GoldenChange.RECORDED, result.golden
        elif current is None and not broken:
            change = GoldenChange.NEW
        return Item(
            result=result,
            change=change,
            candidate=candidate,
            before=before,
            broken=broken,
            blocked=never_golden(score, self._limits(result)) or collapsed(result.change),
            doubt=self._doubt(result, score, candidate, before),
        )

    def _doubt(self, result: CaseResult, score: Score, candidate: Golden, before: Golden | None) -> str:
        """Return why somebody must look at the image before it is accepted, or "": as for `--qil-update`."""
        gates = self.run.case(result.sample.case).limits.health_gates
        scene = change_of(candidate.scene, before) if gates else ""
        return unread(score) or unseen(score, before) or scene or changed_more(result.change, before)

    def _restore(self, golden: Golden) -> None:
        """Write the golden before, with the small copy of its image where that is still stored.

        Where it is not, the golden names the copy that it had, and the next session says that it is another one.
        """
        path = self.find_image(golden.image)
        if path is None:
            self.goldens.save(golden)
        else:
            SmallCopies(goldens=self.goldens).record(golden, path)

    def _limits(self, result: CaseResult) -> Limits:
        case, sample = self.run.case(result.sample.case), result.sample
        return case.limits_of(sample.size, sample.variant, tiny=self.run.is_tiny)

    def _current(self, golden: Golden) -> tuple[Golden | None, str]:
        try:
            return self.goldens.load(golden.model, golden.sample, self.run.case(golden.case)), ""
        except GoldenError as error:
            return None, error.what

    def _unchanged(self, item: Item) -> None:
        """Raise GoldenError unless the stored golden is the one that was shown."""
        shown = item.candidate if item.change is GoldenChange.RECORDED else item.before
        if self._current(item.candidate) != (shown, item.broken):
            raise GoldenError(
                "the golden has changed since it was shown and was not written",
                where=item.id,
                remedy="run `qiltest review` again",
            )

    def _decided(self) -> dict[str, Decision]:
        path = self.run.path / DECISIONS
        try:
            return decode(dict[str, Decision], read_file(path, most=MOST_BYTES))
        except FileNotFoundError:
            return {}
        except (OSError, StrictJsonError) as error:
            raise StoreError(
                "the decisions of an earlier review cannot be read",
                where=str(path),
                remedy="remove the file; accepted goldens are kept",
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one review at a time change goldens and decisions of this run, so that none overwrites another's."""
        lock = FileLock(self.run.path / f".{DECISIONS}.lock")
        remedy = "make the run's folder writable"
        with os_errors_as(StoreError, "the run cannot be reviewed", where=str(self.run.path), remedy=remedy):
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _remember(self, item: Item, decision: Decision) -> None:
        """Store a decision by the golden's hash, so that another image of the sample is asked about again."""
        path = self.run.path / DECISIONS
        decided = {**self._decided(), _digest(item.candidate): decision}
        remedy = "make the run's folder writable; an accepted golden is already written"
        with os_errors_as(StoreError, "the decision cannot be stored", where=str(path), remedy=remedy):
            write_atomically(path, (json.dumps(decided, indent=2) + "\n").encode())


def _unfit(result: CaseResult) -> str:
    """Return why an image cannot be a golden, or ""."""
    if is_candidate(result.sample.variant):
        return "a candidate LoRA has no golden"
    if result.error:
        return result.error.splitlines()[0]
    judgement = result.judgement
    if judgement is not None and judgement.verdict in {Verdict.ERROR, Verdict.MISSING}:
        return f"{judgement.verdict}: {''.join(judgement.reasons[:1])}"
    if judgement is None or result.score is None or result.image is None or result.recipe is None:
        return "not judged"
    return ""


def _scene(result: CaseResult) -> Scene | None:
    """Return the scene of a result's image; of an older run it is measured now. Raises ReaderError."""
    stored = None if result.health is None else result.health.scene
    if stored is not None or result.image is None or result.reading is None:
        return stored
    return scene_of(SmallCopy.of(load_image(result.image.path)), result.reading.lines)


def _digest(golden: Golden) -> str:
    """Return the hash of a golden, by which its decision is stored; its small copy follows from its image."""
    fields = asdict(replace(golden, small_copy=""))
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def differences(item: Item) -> Iterator[str]:
    """Yield what changed apart from the texts."""
    if item.broken:
        yield f"the golden's file is invalid: {item.broken}"
    before, now = item.before, item.candidate
    if before is None:
        return
    if before.reader != now.reader:
        yield f"reader changed: {before.reader} -> {now.reader}"
    if before.effective != now.effective:
        yield f"generated size changed: {before.effective} -> {now.effective}"
    if change := change_of(now.scene, before):
        yield change
    yield from before.origin_changes(recipe_key=now.recipe_key, recipe=now.recipe, image=now.image)
