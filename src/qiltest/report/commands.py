"""The commands beside an image that does not pass: one that generates it again, and one that makes it the golden."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from qiltest.gate.change import collapsed
from qiltest.gate.judge import not_golden
from qiltest.gate.verdict import Verdict
from qiltest.quality import gating
from qiltest.runs.records import CaseResult, Run
from qiltest.runs.status import Status, status_of
from qiltest.suite.selection import Sample
from qiltest.suite.variants import is_candidate

#: options of a session that are not those of one image again: what it selects, writes and reuses.
_SELECTS = frozenset({"--qil-case", "--qil-variant", "--qil-size", "--qil-seeds", "--qil-expect"})
_WRITES = frozenset({"--qil-update", "--qil-accept", "--junitxml", "--junit-xml", "--benchmark-json"})
_SWITCHES = frozenset({"--qil-fresh", "--qil-reuse", "--qil-rehash"})
_PYTEST = "pytest"


@dataclass(frozen=True, kw_only=True)
class Commands:
    """Shell commands, each "" where there is none."""

    reproduce: str = ""
    accept: str = ""
    #: why the image cannot become a golden; "" where it can, and where there is nothing to accept.
    not_accepted: str = ""


def commands_for(run: Run, result: CaseResult) -> Commands:
    """Return the commands for an image; none for one that passes."""
    status = status_of(result)
    if status in {Status.PASS, Status.WAITING} or result.golden_recorded:
        return Commands()
    why = _not_accepted(run, result)
    possible = not why and result.image is not None and result.score is not None and not result.error
    return Commands(
        reproduce=_reproduce(run, result.sample),
        accept=shlex.join(_accept(run, result)) if possible else "",
        not_accepted=why,
    )


def _reproduce(run: Run, sample: Sample) -> str:
    """Return the run's own command for one of its images; the whole command where it was not pytest's."""
    program, *words = run.command or ("",)
    if program != _PYTEST or is_candidate(sample.variant):
        return shlex.join(run.command)
    return shlex.join([_PYTEST, *_kept(words), *_selection(sample), "--qil-fresh"])


def _selection(sample: Sample) -> tuple[str, ...]:
    case = f"--qil-case={sample.case}@{sample.size}"
    return case, f"--qil-variant={sample.variant}", f"--qil-seeds={sample.seed},"


def _kept(words: Sequence[str]) -> Iterator[str]:
    """Yield the words of a command that also apply to one image of it."""
    following = iter(words)
    for word in following:
        name, equals, _ = word.partition("=")
        if name in _SELECTS | _WRITES:
            if not equals:
                next(following, None)  # its value
        elif name not in _SWITCHES:
            yield word


def _accept(run: Run, result: CaseResult) -> tuple[str, ...]:
    sample, judgement = result.sample, result.judgement
    if judgement is None or judgement.verdict is Verdict.PASS:  # its latency is to be accepted, which no review writes
        program, *words = run.command or ("",)
        if program != _PYTEST:
            return ()
        return _PYTEST, *_kept(words), *_selection(sample), "--qil-reuse", "--qil-update=changed"
    folder = run.path.parent
    runs = () if folder.name == "runs" else (f"--runs={folder}",)
    golden = [f"--golden={folder}" for folder in _values(run.command, "--qil-golden")[-1:]]
    return "qiltest", "review", run.id, *runs, *golden, f"--case={sample.case}@{sample.size}"


def _values(words: Sequence[str], flag: str) -> list[str]:
    """Return what a command gives as an option."""
    found = [word.removeprefix(f"{flag}=") for word in words if word.startswith(f"{flag}=")]
    return found + [value for word, value in pairwise(words) if word == flag]


def _not_accepted(run: Run, result: CaseResult) -> str:
    if is_candidate(result.sample.variant):
        return "a candidate LoRA has no golden"
    if result.score is None or result.error:
        return ""
    case, sample = run.case(result.sample.case), result.sample
    if result.health is not None and case.limits.health_gates and gating(result.health):
        return f"the image has noise, a grid artefact or is blank; see [limits] in {case.path or 'the case file'}"
    if why := collapsed(result.change):
        return why
    if result.judgement is not None and result.judgement.broken_strokes:
        return f"no golden excuses broken strokes; see [limits] in {case.path or 'the case file'}"
    return not_golden(result.score, case.limits_of(sample.size, sample.variant, tiny=run.is_tiny))
