"""The published report's marks on single images, beside what a run measured: matched by the error that it names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from qiltest.published.named_errors import is_there, read_there, words
from qiltest.runs.records import CaseResult, Run
from qiltest.scoring.records import Score
from qiltest.suite.cases import ReportVerdict
from qiltest.text.escape import one_line
from qiltest.text.format import count

#: the seed of the report's images: it says nothing of images of another.
REPORT_SEED = 42


class Match(StrEnum):
    """How an image compares with the report's mark on it."""

    AGREES = "agrees"
    #: some of the errors that the report names.
    PARTLY = "partly"
    #: wrong as the report says, but by another error than it names.
    OTHERWISE = "differs otherwise"
    DIFFERS = "differs"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, kw_only=True)
class ReportMark:
    """The published report's mark on one image, with what the run measured."""

    sample: str
    case: str
    size: str
    variant: str
    #: True: right; False: wrong.
    said: bool
    said_why: str
    #: True where the edits are within the reader's noise floor; None: not scored.
    measured: bool | None
    distance: int | None
    agreement: Match
    #: what was found of the errors that the report names, in a sentence; "" where there is nothing to say.
    why: str


def right(result: CaseResult) -> bool | None:
    """Return whether the edits are within the reader's noise floor; None where the image was not scored."""
    if result.score is None:
        return None
    floor = None if result.judgement is None else result.judgement.noise_floor
    return result.score.distance <= (floor or 0)


def report_marks(run: Run) -> tuple[ReportMark, ...]:
    """Return the report's marks on the images of a run, in the run's order; images without a mark have none."""
    verdicts = ((result, _verdict(run, result)) for result in run.results)
    return tuple(
        _mark(result, verdict, said)
        for result, verdict in verdicts
        if verdict is not None and (said := verdict.passes) is not None
    )


def unmarked(run: Run) -> dict[str, str]:
    """Return what the report says of images that it does not mark, by the image's id."""
    verdicts = ((result, _verdict(run, result)) for result in run.results)
    return {result.id: verdict.finding for result, verdict in verdicts if verdict and verdict.passes is None}


def _verdict(run: Run, result: CaseResult) -> ReportVerdict | None:
    sample = result.sample
    if sample.seed != REPORT_SEED:
        return None
    known = (r for case in run.cases if case.id == sample.case for r in case.resolutions if r.size == sample.size)
    return next((verdict for r in known if (verdict := r.verdict(sample.variant)) is not None), None)


def _mark(result: CaseResult, verdict: ReportVerdict, said: bool) -> ReportMark:
    agreement, why = _match(result, verdict, said)
    return ReportMark(
        sample=result.id,
        case=result.sample.case,
        size=str(result.sample.size),
        variant=result.sample.variant,
        said=said,
        said_why=verdict.finding,
        measured=right(result),
        distance=None if result.score is None else result.score.distance,
        agreement=agreement,
        why=why,
    )


def _match(result: CaseResult, verdict: ReportVerdict, said: bool) -> tuple[Match, str]:
    score, measured = result.score, right(result)
    if score is None:
        return Match.NOT_MEASURED, "the image was not scored"
    if said:
        return (Match.AGREES, "") if measured else (Match.DIFFERS, "wrong here")
    found = [error for error in verdict.errors if is_there(error, score)]
    if found and len(found) == len(verdict.errors):
        return Match.AGREES, "the same error: " + " and ".join(map(words, found))
    if found:
        lacking = " and ".join(words(error) for error in verdict.errors if error not in found)
        return Match.PARTLY, f"the same error: {' and '.join(map(words, found))}; not there: {lacking}"
    if measured:
        return Match.DIFFERS, "right here"
    if verdict.errors:
        return Match.OTHERWISE, "wrong, but by another error: " + "; ".join(_instead(verdict, score))
    return Match.AGREES, "wrong too; the report does not say how"


def _instead(verdict: ReportVerdict, score: Score) -> Iterator[str]:
    """Yield what was read in place of each error that the report names."""
    for error in verdict.errors:
        seen = read_there(error, score)
        yield f"not {words(error)}" + (f", “{one_line(seen, 60)}” is read there" if seen else "")
    yield f"{count(score.distance, 'edit')} in the image"
