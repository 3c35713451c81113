"""What is new since the golden, text by text: wherever an image is shown it comes first, and what was accepted last."""

from __future__ import annotations

from enum import StrEnum

from qiltest.gate.golden import Golden, GoldenText
from qiltest.gate.verdict import Verdict
from qiltest.runs.records import CaseResult
from qiltest.scoring.records import Extra, ExtraKind, TextScore
from qiltest.text.normalise import normalise


class Since(StrEnum):
    """How an error stands to the golden's; in the order of attention."""

    NEW = "new since the golden"
    #: there is no error, no golden to compare with, or one of another reader.
    UNKNOWN = ""
    BETTER = "better than the golden"
    ACCEPTED = "as in the golden: accepted"

    @property
    def rank(self) -> int:
        """0 for what is to be seen first."""
        return list(Since).index(self)

    @property
    def accepted(self) -> bool:
        """True where the golden has an error at least as bad in its place."""
        return self in {Since.BETTER, Since.ACCEPTED}


def text_since(text: TextScore, golden: Golden | None, reader: str, number: int) -> Since:
    """Return how the errors of expected text `number` stand to the golden's, by the same `reader` (a fingerprint)."""
    old = _golden_text(text, golden, reader, number)
    if old is None or not text.distance:
        return Since.UNKNOWN
    if normalise(old.read) == normalise(text.read):
        return Since.ACCEPTED
    return Since.BETTER if text.distance < old.distance else Since.NEW


def _golden_text(text: TextScore, golden: Golden | None, reader: str, number: int) -> GoldenText | None:
    if golden is None or golden.reader != reader or number >= len(golden.texts):
        return None
    old = golden.texts[number]
    return old if old.expected == text.expected else None


def extra_since(extra: Extra, golden: Golden | None, reader: str) -> Since:
    """Return how extra text stands to the golden's."""
    if golden is None or golden.reader != reader:
        return Since.UNKNOWN
    kept = {normalise(one.text) for one in golden.extra}
    return Since.ACCEPTED if normalise(extra.text) in kept else Since.NEW


def gating_extras(result: CaseResult) -> tuple[tuple[Extra, Since], ...]:
    """Return the extra text that counts against an image, new one first."""
    score = result.score
    if score is None:
        return ()
    reader = score.reader.fingerprint
    found = [
        (extra, extra_since(extra, result.golden, reader)) for extra in score.extra if extra.kind is not ExtraKind.OTHER
    ]
    return tuple(sorted(found, key=lambda pair: pair[1].rank))


def wrong_texts(result: CaseResult) -> tuple[tuple[TextScore, Since], ...]:
    """Return the texts with counted edits: new ones first, then the most edits."""
    score = result.score
    if score is None:
        return ()
    reader = score.reader.fingerprint
    found = [
        (text, text_since(text, result.golden, reader, number))
        for number, text in enumerate(score.texts)
        if text.distance
    ]
    return tuple(sorted(found, key=lambda pair: (pair[1].rank, -pair[0].distance)))


class Failure(StrEnum):
    """How an image fails."""

    WORSE = "worse"
    FAILED = "failed"
    SLOWER = "slower"


def failure_of(result: CaseResult) -> Failure:
    """Return how an image of status FAIL fails: worse than its golden, by another limit or its quality, or slower."""
    judgement, golden, score = result.judgement, result.golden, result.score
    if judgement is None or judgement.verdict is not Verdict.FAIL:
        return Failure.SLOWER
    comparable = golden is not None and score is not None and golden.reader == score.reader.fingerprint
    errors = (*wrong_texts(result), *gating_extras(result))
    worse = comparable and any(since is Since.NEW for _, since in errors)
    return Failure.WORSE if worse else Failure.FAILED
