"""Goldens under review: what a stored run would change in them, or has changed, one image at a time.

A run's own scores are what is accepted, through `GoldenStore.save` as by `--qil-update`. Nothing is generated or read.
Each decision is on the disk before the next image is shown, so that a killed review loses nothing accepted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from qiltest.errors import GoldenError, StoreError
from qiltest.files import write_atomically
from qiltest.gate.golden import Golden, GoldenStore, golden_from
from qiltest.gate.judge import above_absolute
from qiltest.gate.verdict import Verdict
from qiltest.runs.records import CaseResult, Run
from qiltest.runs.store import RunStore
from qiltest.suite.variants import CANDIDATE

DECISIONS = "review.json"


class GoldenChange(StrEnum):
    """What accepting an image does to its golden."""

    #: there is none yet.
    NEW = "NEW"
    #: the one that is there would be replaced.
    CHANGED = "CHANGED"
    #: the run has written it already (`--qil-update`); rejecting puts back what was there before.
    RECORDED = "RECORDED"


class Decision(StrEnum):
    """What was decided of an image."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Item:
    """An image whose golden is to be decided."""

    result: CaseResult
    change: GoldenChange
    #: the golden that the image would be.
    candidate: Golden
    #: the golden that it is held against: on the disk, or for RECORDED the one before; None where there is none.
    before: Golden | None
    #: why the file on the disk is no golden; "" where it is one, or none is there.
    broken: str = ""
    #: why it cannot be accepted; "" where it can.
    blocked: str = ""

    @property
    def id(self) -> str:
        """Name of the image's point."""
        return self.result.id


@dataclass(frozen=True, kw_only=True)
class Agenda:
    """All that a run asks of somebody who accepts goldens."""

    items: tuple[Item, ...]
    #: images that were rejected before and are not shown again.
    rejected: tuple[str, ...]
    #: images that cannot be a golden, each with the reason.
    unfit: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Review:
    """A run under review, with the goldens that it may change."""

    run: Run
    goldens: GoldenStore

    def agenda(self, *, again: bool = False) -> Agenda:
        """Return what is to be decided; with `again` also what was rejected before. Raises StoreError."""
        decided = self._decided()
        items, rejected, unfit = [], [], []
        for result in self.run.results:
            why = _unfit(result)
            if why:
                unfit.append(f"{result.id}: {why}")
                continue
            item = self._item(result)
            decision = None if item is None else decided.get(_digest(item.candidate))
            if item is None or (item.change is GoldenChange.RECORDED and decision is Decision.ACCEPTED):
                continue
            if decision is Decision.REJECTED and not again:
                rejected.append(item.id)
            else:
                items.append(item)
        return Agenda(items=tuple(items), rejected=tuple(rejected), unfit=tuple(unfit))

    def accept(self, item: Item) -> Path:
        """Make the image the golden and return the golden's file.

        Raises GoldenError where it may not be, where it cannot be written, or where the file is not what was shown.
        """
        if item.blocked:
            raise GoldenError(item.blocked, where=item.id, remedy="reject it, or change the case's limits")
        self._unchanged(item)
        path = self.goldens.save(item.candidate)
        self._remember(item, Decision.ACCEPTED)
        return path

    def reject(self, item: Item) -> None:
        """Leave the golden as it was, or put it back where the run has replaced it. Raises GoldenError, StoreError."""
        if item.change is GoldenChange.RECORDED:
            self._unchanged(item)
            if item.before is None:
                self.goldens.remove(item.candidate)
            else:
                self.goldens.save(item.before)
        self._remember(item, Decision.REJECTED)

    @property
    def store(self) -> RunStore:
        """The folder of runs, with the images that goldens were recorded from."""
        return RunStore(root=self.run.path.absolute().parent)

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
        )
        current, broken = self._current(candidate)
        change, before = GoldenChange.CHANGED, current
        if current is not None and current.same_text(candidate):
            replaced = result.golden is None or not result.golden.same_text(candidate)
            if not (result.golden_recorded and replaced and current == candidate):
                return None
            change, before = GoldenChange.RECORDED, result.golden
        elif current is None and not broken:
            change = GoldenChange.NEW
        limits = self.run.case(result.sample.case).limits
        blocked = above_absolute(score, limits)
        why = f"distance {score.distance} is above the case's absolute limit {limits.absolute}" if blocked else ""
        return Item(result=result, change=change, candidate=candidate, before=before, broken=broken, blocked=why)

    def _current(self, golden: Golden) -> tuple[Golden | None, str]:
        try:
            return self.goldens.load(golden.model, golden.sample), ""
        except GoldenError as error:
            return None, error.what

    def _unchanged(self, item: Item) -> None:
        """Raise GoldenError unless the file on the disk is the one that was shown."""
        shown = item.candidate if item.change is GoldenChange.RECORDED else item.before
        if self._current(item.candidate) != (shown, item.broken):
            raise GoldenError(
                "the golden has changed since it was shown, and was left alone",
                where=item.id,
                remedy="run `qiltest review` again",
            )

    def _decided(self) -> dict[str, Decision]:
        path = self.run.path / DECISIONS
        try:
            return _DECIDED.validate_json(path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            raise StoreError(
                "the decisions of an earlier review cannot be read",
                where=str(path),
                remedy="remove the file; goldens that were accepted stay accepted",
            ) from error

    def _remember(self, item: Item, decision: Decision) -> None:
        """Keep a decision, by what was decided of: another image of the same point is asked about again."""
        path = self.run.path / DECISIONS
        decided = {**self._decided(), _digest(item.candidate): decision}
        try:
            write_atomically(path, (json.dumps(decided, indent=2) + "\n").encode())
        except OSError as error:
            raise StoreError(
                f"the decision could not be kept: {error.strerror or error}",
                where=str(path),
                remedy="make the run's folder writable; a golden that was accepted is written",
            ) from error


_DECIDED = TypeAdapter(dict[str, Decision])


def _unfit(result: CaseResult) -> str:
    """Return why an image cannot be a golden; "" where it can."""
    if result.sample.variant == CANDIDATE:
        return "a LoRA file on trial has no golden"
    if result.error:
        return result.error.splitlines()[0]
    judgement = result.judgement
    if judgement is not None and judgement.verdict in {Verdict.ERROR, Verdict.MISSING}:
        return f"{judgement.verdict}: {''.join(judgement.reasons[:1])}"
    if judgement is None or result.score is None or result.image is None or result.recipe is None:
        return "not judged"
    return ""


def _digest(golden: Golden) -> str:
    """Return what a decision is kept by: the whole golden that was decided of."""
    return hashlib.sha256(json.dumps(asdict(golden), sort_keys=True).encode()).hexdigest()


def differences(item: Item) -> Iterator[str]:
    """Yield what is not as it was, apart from the texts themselves."""
    if item.broken:
        yield f"the file that is there is no golden: {item.broken}"
    before, now = item.before, item.candidate
    if before is None:
        return
    if before.reader != now.reader:
        yield f"the reader was {before.reader}, is {now.reader}"
    if before.effective != now.effective:
        yield f"the size generated was {before.effective}, is {now.effective}"
    yield from before.origin_changes(recipe_key=now.recipe_key, recipe=now.recipe, image=now.image)
