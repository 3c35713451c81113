"""The published report held against a run: each verdict and each finding, "report said" beside "measured".

One seed and a handful of images are an observation, not evidence; sentences give the numbers they rest on, and a
finding that the run did not measure is said to be not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from qiltest.published.fine_detail import compare_hair
from qiltest.published.signs import sign_recall, sign_words
from qiltest.recipe import Size
from qiltest.runs.aggregate import base_variant, by_variant, speed_ups, variant_rate
from qiltest.runs.records import CaseResult, Run
from qiltest.suite.cases import Case
from qiltest.suite.selection import Sample
from qiltest.text.format import count, number, percent, times

#: The report's "12-25x faster inference", compared after rounding to whole numbers.
SPEED_RANGE = (12, 25)
BASIC, DENSE, HAIR, SIGNS, RESOLUTION = 1, 2, 3, 4, 6


class Agreement(StrEnum):
    """Whether a run bears out what the report said."""

    AGREES = "agrees"
    DIFFERS = "differs"
    PARTLY = "partly"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One of the published report's findings, beside what the run measured."""

    title: str
    said: str
    measured: str
    agreement: Agreement


@dataclass(frozen=True, kw_only=True)
class ReportMark:
    """The published report's mark on one image, beside what the run measured."""

    sample: str
    case: str
    size: str
    variant: str
    #: True: the report marks it right; False: wrong; None: no mark of its own.
    said: bool | None
    said_why: str
    #: True where the run reads no more edits than the reader's own noise floor; None: not scored.
    measured: bool | None
    distance: int | None
    agreement: Agreement


def right(result: CaseResult) -> bool | None:
    """Say whether an image's text is right as far as the reader can tell; None where it was not scored."""
    if result.score is None:
        return None
    floor = None if result.judgement is None else result.judgement.noise_floor
    return result.score.distance <= (floor or 0)


def report_marks(run: Run) -> tuple[ReportMark, ...]:
    """Return the marks of all images that the report speaks of, in the run's order."""
    marks: list[ReportMark] = []
    cases = {case.id: case for case in run.cases}
    for result in run.results:
        case = cases.get(result.sample.case)
        if case is not None:
            marks.extend(_marks(case, result))
    return tuple(marks)


def _marks(case: Case, result: CaseResult) -> Iterable[ReportMark]:
    sample = result.sample
    said = [v for r in case.resolutions if r.size == sample.size for v in r.report if v.variant == sample.variant]
    for verdict in said:
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
    return tuple(
        Finding(title=title, said=said, measured=measured, agreement=agreement)
        for title, said, judge in _FINDINGS
        for measured, agreement in (judge(run),)
    )


_Judged = tuple[str, Agreement]


def _of_table(run: Run, table: int) -> list[CaseResult]:
    cases = {case.id for case in run.cases if case.report_table == table}
    return [result for result in run.results if result.sample.case in cases]


def _speed(run: Run) -> _Judged:
    ratios = speed_ups(run)
    parts, medians = [], []
    for variant, results in by_variant(run):
        of_variant = [ratios[result.id] for result in results if result.id in ratios]
        if of_variant:
            medians.append(median(of_variant))
            spread = f", {times(min(of_variant))} to {times(max(of_variant))}" if len(of_variant) > 1 else ""
            parts.append(f"{variant.name} {times(medians[-1])} (median of {count(len(of_variant), 'pair')}{spread})")
    if not medians:
        return "no image was timed on both sides", Agreement.NOT_MEASURED
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
        return "; ".join(parts) or "no dense text was read", Agreement.NOT_MEASURED
    base, eight, four = (rates[name][0] for name in ("base", "8step", "4step"))
    passes = [base < eight, eight <= four]
    tie = "; base and 8step are level" if base == eight else ""
    return "; ".join(parts) + tie, _agreement(passes)


def _basic(run: Run) -> _Judged:
    results = [result for result in _of_table(run, BASIC) if result.score is not None]
    rates = _rates(run, results)
    if len(rates) < 2:
        return "fewer than two variants were read", Agreement.NOT_MEASURED
    wrong = [
        f"{result.id} ({count(result.score.distance, 'edit')})"
        for result in results
        if result.score and not right(result)
    ]
    parts = "; ".join(f"{name} {percent(rate)} of characters wrong" for name, (rate, _) in rates.items())
    return parts + (f"; not right: {_some(wrong)}" if wrong else ""), _agreement([not wrong])


def _some(names: list[str], limit: int = 4) -> str:
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


def _hair(run: Run) -> _Judged:
    rates = _rates(run, _of_table(run, HAIR))
    text = ", ".join(f"{name} {percent(rate)} wrong" for name, (rate, _) in rates.items())
    measured, passes = compare_hair(_of_table(run, HAIR), base_variant(run) or "")
    words = (measured or "fine detail was not measured") + (f"; its text: {text}" if text else "")
    return words, _agreement(passes) if passes else Agreement.NOT_MEASURED


def _signs(run: Run) -> _Judged:
    results = [result for result in _of_table(run, SIGNS) if result.score is not None]
    parts, troubled = [], []
    for result in results:
        troubled.append(not right(result))
        words = "" if result.score is None else sign_words(sign_recall(result.score))
        parts.append(f"{result.sample.variant} {words}")
    if not results:
        return "no scene with many signs was read", Agreement.NOT_MEASURED
    return "; ".join(parts), _agreement(troubled)


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
        return "no pair was read", Agreement.NOT_MEASURED
    said = f"in {len(better)} of {count(compared, 'pair')}"
    return said + (f": {_some(better)}" if better else ""), _agreement([bool(better)])


def _scene(sample: Sample) -> tuple[str, Size, int]:
    return sample.case, sample.size, sample.seed


def _resolution(run: Run) -> _Judged:
    groups: dict[tuple[str, str, int], list[CaseResult]] = {}
    for result in _of_table(run, RESOLUTION):
        if result.score is not None:
            groups.setdefault((result.sample.case, result.sample.variant, result.sample.seed), []).append(result)
    several = {key: group for key, group in groups.items() if len({r.sample.size for r in group}) > 1}
    if not several:
        return "no case was read at two resolutions", Agreement.NOT_MEASURED
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
