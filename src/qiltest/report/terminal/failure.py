"""The message of a failing test, most useful line first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from qiltest.gate.change import collapsed
from qiltest.gate.golden import Golden, facts_of
from qiltest.gate.verdict import Judgement, Verdict
from qiltest.report.diff import Mark, Span, marked
from qiltest.report.rest import rest_line
from qiltest.report.since import Since, gating_extras, wrong_texts
from qiltest.runs.records import CaseResult
from qiltest.scoring.records import Score, TextScore
from qiltest.suite.cases import Case
from qiltest.suite.selection import Task
from qiltest.text.escape import one_line, printable_line
from qiltest.text.format import count

#: most characters of the one-line reason, and of a text that it quotes.
_MOST, _QUOTED = 300, 60
_LEGEND = "[-missing-] {+wrong or extra+} (~look-alike, not counted~)"


def failure_message(result: CaseResult, task: Task, *, command: str) -> str:
    """Return the message for an image that does not pass.

    In this order: case, variant, expected text, text as read with the differing characters marked, distance and limit,
    what was not checked, what changed from the golden, where the image is, and the one command that accepts it ("" for
    none).
    """
    return "\n".join(printable_line(line) for line in _lines(result, task, command))


def _lines(result: CaseResult, task: Task, command: str) -> Iterator[str]:
    yield f"case          {result.sample.case}@{result.sample.size}: {one_line(task.case.title)}"
    yield f"variant       {task.variant.name}: {one_line(task.variant.title)}, seed {task.seed}"
    if result.score is not None:
        yield from _texts(result, result.score, task.case)
    yield from _verdict(result)
    if result.not_checked:
        yield f"not checked   {', '.join(result.not_checked)}"
    if result.golden is not None and result.score is not None:
        yield from _labelled("golden", _changed(result, result.golden, result.score))
    if result.change is not None:
        yield f"rest          {rest_line(result.change)}"
    yield from (f"input         {image.path}" for image in result.before)
    if result.image is not None:
        yield f"image         {result.image.path}"
    yield from (f"note          {one_line(note)}" for note in result.notes)
    if command:
        yield f"accept        {command}"


def failure_reason(result: CaseResult, case: Case) -> str:
    """Return why a case's image does not pass, in one line: what is new since the golden first.

    For pytest's short summary and the message of a JUnit failure, beside which the image's name stands.
    """
    verdict, what = _short(result, case)
    return printable_line(f"{verdict}: {one_line(what)}", _MOST)


def _short(result: CaseResult, case: Case) -> tuple[str, str]:
    judgement, latency = result.judgement, result.latency
    lost = collapsed(result.change)
    if lost and judgement is not None and judgement.verdict is Verdict.FAIL:
        return judgement.verdict, lost
    if result.error:
        return "ERROR", result.error.partition("\n")[0]
    if judgement is not None and judgement.verdict is not Verdict.PASS:
        limit = "" if judgement.limit is None else f", limit {judgement.limit}"
        numbers = "" if judgement.distance is None else f" (distance {judgement.distance}{limit})"
        new = list(_new_errors(result, case)) if judgement.verdict is Verdict.FAIL else []
        more = f" and {count(len(new) - 1, 'more error')}" if len(new) > 1 else ""
        return judgement.verdict, f"{new[0]}{more}{numbers}" if new else next(iter(judgement.reasons), "")
    if latency is not None and latency.gates and latency.verdict is not Verdict.PASS:
        return latency.verdict, "latency: " + next(iter(latency.reasons), "")
    return "ERROR", "not judged"


def _new_errors(result: CaseResult, case: Case) -> Iterator[str]:
    for text, since in wrong_texts(result, case):
        if not since.accepted:
            read = repr(one_line(text.read, _QUOTED)) if text.read else "nothing"
            yield f"{read} for {one_line(text.expected, _QUOTED)!r}"
    for left in () if result.score is None else result.score.gone:
        known = {gone.expected: gone.distance for gone in result.golden.gone} if result.golden is not None else {}
        if left.distance > known.get(left.expected, 0):
            yield f"{one_line(left.read, _QUOTED)!r} is not gone"
    for extra, since in gating_extras(result):
        if not since.accepted:
            yield f"{extra.kind} text {one_line(extra.text, _QUOTED)!r}"


def _texts(result: CaseResult, score: Score, case: Case) -> Iterator[str]:
    for left in score.gone:
        if left.distance:
            yield f"must be gone  {one_line(left.expected)}"
            yield f"still read    {one_line(left.read)}   distance {left.distance}"
    wrong = wrong_texts(result, case)
    absent = sum(1 for text in score.texts if not text.read and not text.distance)
    right = len(score.texts) - len(wrong) - absent
    for text, since in wrong:
        yield f"{'must stay' if text.kept else 'expected':<14}{one_line(text.expected)}"
        yield f"read          {marked_line(text)}   distance {text.distance}{_said(since)}"
        if text.beside:
            yield f"beside it     {one_line(' … '.join(text.beside))}   not counted"
    for extra, since in gating_extras(result):
        of = f"{extra.kind} of {one_line(extra.of)!r}, distance {extra.distance}{_said(since)}"
        yield f"extra         {one_line(extra.text)}   {of}"
    if any(text.read for text, _ in wrong):
        yield f"{'':<14}{_LEGEND}"
    if right:
        optional = f", {count(absent, 'optional text')} missing" if absent else ""
        yield f"{'':<14}{right} of {count(len(score.texts) - absent, 'expected text')} right{optional}"


def _said(since: Since) -> str:
    return f", {since}" if since else ""


def marked_line(text: TextScore) -> str:
    """Return what was read with the differing characters marked, on one line."""
    if not text.read:
        return "(not found)"
    return one_line("".join(map(_span, marked(text).read)))


def _span(span: Span) -> str:
    if span.mark is Mark.GAP:
        return f"[-{span.other}-]"
    if span.mark is Mark.DIFFERS:
        return f"[-{span.other}-]{{+{span.text}+}}" if span.other else f"{{+{span.text}+}}"
    if span.mark is Mark.FORGIVEN:
        return f"~{span.text}~"
    return span.text


def _verdict(result: CaseResult) -> Iterator[str]:
    if result.error:
        what, arrow, remedy = result.error.partition("\n  -> ")
        yield f"ERROR         {one_line(what)}"
        if arrow:
            yield f"              -> {one_line(remedy)}"
    if result.judgement is not None:
        yield f"distance      {_distance(result.judgement)}"
        yield from _labelled(result.judgement.verdict, result.judgement.reasons)
    latency = result.latency
    if latency is not None and latency.gates:
        limit = "none" if latency.limit_seconds is None else f"{latency.limit_seconds:.3f} s"
        yield f"latency       {latency.seconds:.3f} s, limit {limit}"
        yield from _labelled(latency.verdict, latency.reasons)


def _distance(judgement: Judgement) -> str:
    limit = "none" if judgement.limit is None else judgement.limit
    floor = "not measured" if judgement.noise_floor is None else f"{judgement.noise_floor:g}"
    # against a golden without errors all are new
    new = f", {count(judgement.new_errors, 'new error')}" if judgement.new_errors and judgement.golden_distance else ""
    return f"{judgement.distance}, limit {limit}{new} (the reader's own error on this case: {floor})"


def _changed(result: CaseResult, golden: Golden, score: Score) -> Iterator[str]:
    yield f"distance was {golden.distance}, is {score.distance}"
    before = {text.expected: text for text in golden.texts}
    for text in score.texts:
        old = before.get(text.expected)
        if old is not None and old.read != text.read:
            yield f"read was {old.read!r}, is {text.read!r}"
        if old is not None:
            yield from (f"new text beside {text.expected!r}: {new!r}" for new in text.beside if new not in old.beside)
    kept = {extra.text for extra in golden.extra}
    yield from (f"new extra text: {extra.text!r}" for extra in score.extra if extra.text not in kept)
    if result.recipe is not None and result.image is not None:
        recipe = result.recipe
        yield from golden.origin_changes(
            recipe_key=recipe.key(), recipe=facts_of(recipe, score.reader), image=result.image.sha256
        )


def _labelled(label: str, items: Iterable[str]) -> Iterator[str]:
    """Yield the items as lines, the first one labelled."""
    yield from (f"{'' if number else label:<14}{one_line(item)}" for number, item in enumerate(items))
