"""What changed since the goldens, or since an earlier run: one change per image, worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from qiltest.gate.golden import Golden
from qiltest.gate.verdict import Verdict
from qiltest.runs.records import CaseResult, Run
from qiltest.runs.status import Status, status_of, text_is_judged
from qiltest.scoring.records import Score
from qiltest.text.normalise import normalise


class ChangeKind(StrEnum):
    """How an image differs from its golden or an earlier run; worst first."""

    #: more edits, or an error where the golden has none.
    WORSE = "worse"
    SLOWER = "slower"
    BROKEN = "not judged"
    GONE = "gone"
    NEW = "new"
    OTHER = "reads differently"
    BETTER = "better"
    SAME = "unchanged"

    @property
    def rank(self) -> int:
        """0 for the worst; for sorting."""
        return list(ChangeKind).index(self)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One image's change. `before` and `now` are distances in counted edits; None where there is none."""

    kind: ChangeKind
    sample: str
    before: int | None
    now: int | None

    @property
    def excess(self) -> int:
        """By how many edits it became worse."""
        return (self.now or 0) - (self.before or 0)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """The changes of all images."""

    #: what they are compared with, in words.
    against: str
    items: tuple[Change, ...]
    #: why nothing is compared; "" where the images are compared.
    refused: str = ""

    def of(self, kind: ChangeKind) -> tuple[Change, ...]:
        """Return the changes of one kind, in order."""
        return tuple(change for change in self.items if change.kind is kind)


def changes(run: Run, previous: Run | None = None) -> Changes:
    """Compare a run with an earlier one, or with its goldens where none is given.

    Distances of two readers or of two models are never compared: then `refused` says why.
    """
    if previous is None:
        return Changes(against="the goldens", items=_sorted(_since_golden(result) for result in run.results))
    against = f"run {previous.id}"
    if previous.reader.fingerprint != run.reader.fingerprint:
        reason = f"not compared: {against} was read by {previous.reader.fingerprint}, this run by "
        return Changes(against=against, items=(), refused=reason + run.reader.fingerprint)
    if previous.model != run.model:
        reason = f"not compared: {against} is of model {previous.model}, this run of {run.model}"
        return Changes(against=against, items=(), refused=reason)
    before = {result.sample: result for result in previous.results}
    old = [(result, before.pop(result.sample, None)) for result in run.results]
    items = [
        _change(result, _distance(then), _texts(then), brief=then is not None and then.brief) for result, then in old
    ]
    planned = set(run.planned)
    gone = [
        Change(kind=ChangeKind.GONE, sample=result.id, before=_distance(result), now=None)
        for sample, result in before.items()
        if sample not in planned
    ]
    return Changes(against=against, items=_sorted([*items, *gone]))


def _sorted(items: Iterable[Change]) -> tuple[Change, ...]:
    return tuple(sorted(items, key=lambda change: (change.kind.rank, -change.excess, change.sample)))


def _since_golden(result: CaseResult) -> Change:
    golden, score = result.golden, result.score
    if result.brief:  # its golden's texts are not there; its distance is
        return _change(result, None if result.judgement is None else result.judgement.golden_distance, ())
    if golden is None or score is None or golden.reader != score.reader.fingerprint:
        return _change(result, None, ())
    change = _change(result, golden.distance, tuple(_said(golden)))
    moved = result.judgement is not None and result.judgement.new_errors > 0 and change.kind is not ChangeKind.BROKEN
    return replace(change, kind=ChangeKind.WORSE) if moved else change


def _change(result: CaseResult, before: int | None, texts: tuple[str, ...], *, brief: bool = False) -> Change:
    """Return a result's change. Of one in `brief`, now or before, the distances decide alone."""
    now = _distance(result)
    if now is None and not text_is_judged(result):
        kind = ChangeKind.SAME
    elif now is None or status_of(result) in {Status.ERROR, Status.INCOMPARABLE}:
        kind = ChangeKind.BROKEN
    elif before is None:
        kind = ChangeKind.NEW
    elif now != before:
        kind = ChangeKind.WORSE if now > before else ChangeKind.BETTER
    else:
        same = brief or result.brief or _same(texts, _texts(result))
        kind = ChangeKind.SAME if same else ChangeKind.OTHER
    if kind.rank > ChangeKind.SLOWER.rank and _too_slow(result):
        kind = ChangeKind.SLOWER
    return Change(kind=kind, sample=result.id, before=before, now=now)


def _same(texts: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Return whether texts are read alike; how lines were broken is layout."""
    return texts == others or [*map(normalise, texts)] == [*map(normalise, others)]


def _distance(result: CaseResult | None) -> int | None:
    return None if result is None or result.score is None else result.score.distance


def _texts(result: CaseResult | None) -> tuple[str, ...]:
    return () if result is None or result.score is None else tuple(_said(result.score))


def _said(what: Score | Golden) -> Iterator[str]:
    """Yield all that was read, in a fixed order."""
    for text in what.texts:
        yield from (text.read, *text.beside)
    yield from (extra.text for extra in what.extra)


def _too_slow(result: CaseResult) -> bool:
    latency = result.latency
    return latency is not None and latency.gates and latency.verdict is Verdict.FAIL and not result.latency_recorded
