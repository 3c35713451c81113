"""What is new since the golden, text by text: wherever an image is shown it comes first, and what was accepted last.

What is new is what the gate counts as new (`qiltest.gate.per_text`), so that no report calls a text better that fails.
"""

from __future__ import annotations

from enum import StrEnum

from qiltest.gate.golden import Golden, GoldenText
from qiltest.gate.per_text import new_edits, new_extras
from qiltest.gate.verdict import Verdict
from qiltest.runs.records import CaseResult
from qiltest.scoring.records import Extra, ExtraKind, TextScore
from qiltest.suite.cases import Case
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


def text_since(text: TextScore, golden: Golden | None, reader: str, number: int, case: Case) -> Since:
    """Return how the errors of a case's text `number` stand to the golden's, by the same `reader` (a fingerprint).

    New is an edit at a place where the golden has none, even if the text has fewer edits in all.
    """
    old = _golden_text(text, golden, reader, number)
    if old is None or not text.distance:
        return Since.UNKNOWN
    if normalise(old.read) == normalise(text.read):
        return Since.ACCEPTED
    asked = case.texts[number] if number < len(case.texts) else None
    if asked is None or asked.text != text.expected:  # the case has changed since: the distances are all there is
        return Since.BETTER if text.distance < old.distance else Since.NEW
    if new_edits(case, asked, text, old):
        return Since.NEW
    return Since.BETTER if text.distance < old.distance else Since.ACCEPTED


def _golden_text(text: TextScore, golden: Golden | None, reader: str, number: int) -> GoldenText | None:
    if golden is None or golden.reader != reader or number >= len(golden.texts):
        return None
    old = golden.texts[number]
    return old if old.expected == text.expected else None


def gating_extras(result: CaseResult) -> tuple[tuple[Extra, Since], ...]:
    """Return the extra text that counts against an image, new one first."""
    score = result.score
    if score is None:
        return ()
    golden, known = result.golden, Since.UNKNOWN
    new: list[Extra] = []
    if golden is not None and golden.reader == score.reader.fingerprint:
        known, new = Since.ACCEPTED, [extra for extra, _ in new_extras(score.extra, golden)]
    counted = [extra for extra in score.extra if extra.kind is not ExtraKind.OTHER]
    found = [(extra, Since.NEW if any(extra is one for one in new) else known) for extra in counted]
    return tuple(sorted(found, key=lambda pair: pair[1].rank))


def wrong_texts(result: CaseResult, case: Case) -> tuple[tuple[TextScore, Since], ...]:
    """Return the texts of a case's image with counted edits: new ones first, then the most edits."""
    score = result.score
    if score is None:
        return ()
    reader = score.reader.fingerprint
    found = [
        (text, text_since(text, result.golden, reader, number, case))
        for number, text in enumerate(score.texts)
        if text.distance
    ]
    return tuple(sorted(found, key=lambda pair: (pair[1].rank, -pair[0].distance)))


class Failure(StrEnum):
    """How an image fails."""

    WORSE = "worse"
    FAILED = "failed"
    SLOWER = "slower"


def failure_of(result: CaseResult, case: Case) -> Failure:
    """Return how an image of status FAIL fails: worse than its golden, by another limit or its quality, or slower."""
    judgement, golden, score = result.judgement, result.golden, result.score
    if judgement is None or judgement.verdict is not Verdict.FAIL:
        return Failure.SLOWER
    comparable = golden is not None and score is not None and golden.reader == score.reader.fingerprint
    errors = (*wrong_texts(result, case), *gating_extras(result))
    worse = comparable and any(since is Since.NEW for _, since in errors)
    return Failure.WORSE if worse else Failure.FAILED
