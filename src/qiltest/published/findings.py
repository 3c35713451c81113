"""Compares the published report with a run: each verdict and each finding, "report said" beside "measured".

One seed and a handful of images are an observation, not evidence, so each sentence gives its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from qiltest.published.fine_detail import compare_hair
from qiltest.published.signs import sign_recall, sign_words
from qiltest.recipe import Size
from qiltest.runs.aggregate import base_variant, by_variant, shared_cpu, speed_ups, variant_rate
from qiltest.runs.records import CaseResult, Run
from qiltest.suite.cases import Case
from qiltest.suite.selection import Sample
from qiltest.text.format import count, number, percent, times

#: The report's "12-25x faster inference", compared after rounding to whole numbers.
SPEED_RANGE = (12, 25)
BASIC, DENSE, HAIR, SIGNS, RESOLUTION = 1, 2, 3, 4, 6


class Agreement(StrEnum):
    """Whether a run confirms what the report said."""

    AGREES = "agrees"
    DIFFERS = "differs"
    PARTLY = "partly"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A finding of the published report, with what the run measured."""

    title: str
    said: str
    measured: str
    agreement: Agreement


@dataclass(frozen=True, kw_only=True)
class ReportMark:
    """The published report's verdict on one image, with what the run measured."""

    sample: str
    case: str
    size: str
    variant: str
    #: True: right; False: wrong; None: the report gives no verdict.
    said: bool | None
    said_why: str
    #: True where the edits are within the reader's noise floor; None: not scored.
    measured: bool | None
    distance: int | None
    agreement: Agreement


def right(result: CaseResult) -> bool | None:
    """Return whether the edits are within the reader's noise floor; None where the image was not scored."""
    if result.score is None:
        return None
    floor = None if result.judgement is None else result.judgement.noise_floor
    return result.score.distance <= (floor or 0)


def report_marks(run: Run) -> tuple[ReportMark, ...]:
    """Return the report's verdicts on the images of a run, in the run's order."""
    cases = {case.id: case for case in run.cases}
    known = ((cases[result.sample.case], result) for result in run.results if result.sample.case in cases)
    return tuple(mark for case, result in known for mark in _marks(case, result))


def _marks(case: Case, result: CaseResult) -> Iterable[ReportMark]:
    sample = result.sample
    verdicts = [v for r in case.resolutions if r.size == sample.size for v in r.report if v.variant == sample.variant]
    for verdict in verdicts:
        measured = right(result)
        if measured is None or verdict.passes is None:
            agreement = Agreement.NOT_MEASURED
        else:
            agreement = Agreement.AGREES if measured == verdict.passes else Agreement.DIFFERS
        yield ReportMark(
            sample=result.id,
            case=case.id,
            size=str(sample.size),
            variant=sample.variant,
            said=verdict.passes,
            said_why=verdict.finding,
            measured=measured,
            distance=None if result.score is None else result.score.distance,
            agreement=agreement,
        )


def findings(run: Run) -> tuple[Finding, ...]:
    """Return the report's findings with what the run measured."""
    judged = ((title, said, *judge(run)) for title, said, judge in _FINDINGS)
    return tuple(
        Finding(title=t, said=s, measured=measured, agreement=agreement) for t, s, measured, agreement in judged
    )


_Judged = tuple[str, Agreement]


def _of_table(run: Run, table: int) -> list[CaseResult]:
    cases = {case.id for case in run.cases if case.report_table == table}
    return [result for result in run.results if result.sample.case in cases]


def _speed(run: Run) -> _Judged:
    ratios, shared = speed_ups(run), shared_cpu(run)
    parts, medians = [], []
    for variant, results in by_variant(run):
        own = [ratios[result.id] for result in results if result.id in ratios]
        if own:
            medians.append(median(own))
            spread = f", {times(min(own))} to {times(max(own))}" if len(own) > 1 else ""
            parts.append(
                f"{variant.name} {times(medians[-1])} base speed (median of {count(len(own), 'pair')}{spread})"
            )
    if not medians and shared:
        most = percent(max(shared.values()))
        return f"not comparable: other work shared the CPU (up to {most})", Agreement.NOT_MEASURED
    if not medians:
        return "no image was timed with both the base and another variant", Agreement.NOT_MEASURED
    inside = [SPEED_RANGE[0] <= round(value) <= SPEED_RANGE[1] for value in medians]
    return "; ".join(parts), _agreement(inside)


def _agreement(passes: list[bool]) -> Agreement:
    if all(passes):
        return Agreement.AGREES
    return Agreement.PARTLY if any(passes) else Agreement.DIFFERS


def _rates(run: Run, results: list[CaseResult]) -> dict[str, tuple[float, int]]:
    out = {}
    for variant, _ in by_variant(run):
        rate = variant_rate(result for result in results if result.sample.variant == variant.name)
        if rate is not None:
            out[variant.name] = (rate.value, rate.count)
    return out


def _dense(run: Run) -> _Judged:
    rates = _rates(run, _of_table(run, DENSE))
    parts = [f"{name} {percent(rate)} of characters wrong ({count(n, 'image')})" for name, (rate, n) in rates.items()]
    if not {"base", "8step", "4step"} <= rates.keys():
        return "; ".join(parts) or "no image with dense text was scored", Agreement.NOT_MEASURED
    base, eight, four = (rates[name][0] for name in ("base", "8step", "4step"))
    passes = [base < eight, eight <= four]
    tie = "; base and 8step are equal" if base == eight else ""
    return "; ".join(parts) + tie, _agreement(passes)


def _basic(run: Run) -> _Judged:
    results = [result for result in _of_table(run, BASIC) if result.score is not None]
    rates = _rates(run, results)
    if len(rates) < 2:
        return "fewer than two variants were scored", Agreement.NOT_MEASURED
    wrong = [
        f"{result.id} ({count(result.score.distance, 'edit')})"
        for result in results
        if result.score and not right(result)
    ]
    parts = "; ".join(f"{name} {percent(rate)} of characters wrong" for name, (rate, _) in rates.items())
    return parts + (f"; wrong: {_some(wrong)}" if wrong else ""), _agreement([not wrong])


def _some(names: list[str], limit: int = 4) -> str:
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


def _hair(run: Run) -> _Judged:
    rates = _rates(run, _of_table(run, HAIR))
    text = ", ".join(f"{name} {percent(rate)} wrong" for name, (rate, _) in rates.items())
    measured, passes = compare_hair(_of_table(run, HAIR), base_variant(run) or "")
    words = (measured or "fine detail was not measured") + (f"; text: {text}" if text else "")
    return words, _agreement(passes) if passes else Agreement.NOT_MEASURED


def _signs(run: Run) -> _Judged:
    results = _of_table(run, SIGNS)
    parts = [f"{r.sample.variant} {sign_words(sign_recall(r.score))}" for r in results if r.score is not None]
    if not parts:
        return "no scene with many signs was scored", Agreement.NOT_MEASURED
    return "; ".join(parts), _agreement([not right(result) for result in results if result.score is not None])


def _variability(run: Run) -> _Judged:
    base = base_variant(run)
    scored = {r.sample: r.score for r in run.results if r.score is not None}
    of_base = {_scene(sample): score for sample, score in scored.items() if sample.variant == base}
    better, compared = [], 0
    for sample, score in scored.items():
        other = of_base.get(_scene(sample))
        if sample.variant == base or other is None:
            continue
        compared += 1
        if score.distance < other.distance:
            better.append(f"{sample.id} ({score.distance} against {other.distance})")
    if not compared:
        return "no pair was scored", Agreement.NOT_MEASURED
    words = f"fewer edits than the base in {len(better)} of {count(compared, 'pair')}"
    return words + (f": {_some(better)}" if better else ""), _agreement([bool(better)])


def _scene(sample: Sample) -> tuple[str, Size, int]:
    return sample.case, sample.size, sample.seed


def _resolution(run: Run) -> _Judged:
    groups: dict[tuple[str, str, int], list[CaseResult]] = {}
    for result in _of_table(run, RESOLUTION):
        if result.score is not None:
            groups.setdefault((result.sample.case, result.sample.variant, result.sample.seed), []).append(result)
    several = {key: group for key, group in groups.items() if len({r.sample.size for r in group}) > 1}
    if not several:
        return "no case was scored at two resolutions", Agreement.NOT_MEASURED
    parts, differs = [], []
    for (_, variant, _), group in several.items():
        distances = ", ".join(f"{number(r.score.distance)} at {r.sample.size}" for r in group if r.score is not None)
        parts.append(f"{variant}: {distances}")
        differs.append(len({r.score.distance for r in group if r.score is not None}) > 1)
    return "edits by size: " + "; ".join(parts), _agreement([any(differs)])


_FINDINGS: tuple[tuple[str, str, Callable[[Run], _Judged]], ...] = (
    ("Speed", "distilled models are 12 to 25 times faster", _speed),
    ("Basic tasks", "all three models perform equally well (Table 1)", _basic),
    ("Dense text", "accuracy falls from base over 8step to 4step: base > 8step ≥ 4step (Table 2)", _dense),
    ("Fine detail", "base renders fine hair better (Table 3)", _hair),
    ("Many signs", "all models face challenges in scenes with many signs (Table 4)", _signs),
    ("Variability", "distilled models can outperform the base in some scenes (Table 5)", _variability),
    ("Resolution", "the result depends on the resolution, for base and distilled models (Table 6)", _resolution),
)
