"""Compares the published report's claims with a run: "report said" beside "measured", and one of three answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qiltest.published.claims import CLAIMS, Claim
from qiltest.published.evidence import Answer, Nothing, seeds_needed
from qiltest.runs.records import Run
from qiltest.text.format import count

_STUCK = "no number of seeds would decide: "


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A claim of the published report, with what the run measured."""

    title: str
    said: str
    #: hypothesis and test, in words.
    tested: str
    measured: str
    answer: Answer
    #: most seeds drawn of one scene; 0 where nothing was measured.
    seeds: int
    #: fewest seeds that would decide, if further ones are like those drawn; None where it is decided or none would.
    seeds_needed: int | None
    #: why it is not decided, and what would decide; "" where it is.
    needs: str


def findings(run: Run) -> tuple[Finding, ...]:
    """Return the report's claims with what the run measured."""
    return tuple(_finding(claim, run) for claim in CLAIMS)


def _finding(claim: Claim, run: Run) -> Finding:
    measured, evidence = claim.judge(run)
    answer, needed, needs = evidence.answer(), None, ""
    if answer is Answer.NOT_DECIDED:
        needed = seeds_needed(evidence)
        drawn = f"{count(evidence.seeds, 'seed')} drawn"
        if isinstance(evidence, Nothing):
            needs = "nothing was measured"
        elif needed is None:
            needs = f"{drawn}; {_STUCK}{evidence.stuck()}"
        else:
            verb = "confirm" if evidence.after(needed).answer() is Answer.CONFIRMED else "contradict"
            needs = f"{drawn}; about {needed} would {verb} it, if further ones come out alike"
    return Finding(
        title=claim.title,
        said=claim.said,
        tested=claim.tested,
        measured=measured,
        answer=answer,
        seeds=evidence.seeds,
        seeds_needed=needed,
        needs=needs,
    )


def claim_lines(found: Sequence[Finding]) -> Iterator[str]:
    """Yield a line for each answer, with the claims that have it; for a terminal."""
    for answer in Answer:
        own = [finding for finding in found if finding.answer is answer]
        if own:
            yield f"{answer.value}: {', '.join(map(_short, own))}"


def _short(finding: Finding) -> str:
    title = finding.title.lower()
    if finding.answer is not Answer.NOT_DECIDED:
        return title
    if not finding.seeds:
        return f"{title} (not measured)"
    if finding.seeds_needed is None:
        return f"{title} ({_STUCK}{finding.needs.partition(_STUCK)[2]})"
    return f"{title} ({finding.seeds_needed} seeds would)"
