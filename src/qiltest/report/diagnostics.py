"""What is measured beside the text of a picture, in words: its health, long numbers, signs, and small writing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qiltest.published.first_error import first_error, line_errors
from qiltest.published.signs import SignRecall, SignState, sign_recall
from qiltest.quality import Health, symptoms
from qiltest.runs.records import CaseResult
from qiltest.scoring.records import Score, TextScore
from qiltest.text.escape import one_line
from qiltest.text.format import count, number, percent

#: A text with so many digits is told how far they are right; a case with so many texts, sign by sign.
MANY_DIGITS, MANY_SIGNS = 8, 8


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What is shown beside the text."""

    #: faults of the picture that do not gate; those that gate are among the reasons of its verdict.
    reported: tuple[str, ...]
    #: (what, value with its unit).
    figures: tuple[tuple[str, str], ...]
    #: sentences on numbers, signs and lines.
    sentences: tuple[str, ...]


def beside(result: CaseResult) -> Beside | None:
    """Return what a result holds beside the text; None where nothing was measured."""
    sentences = () if result.score is None else tuple(_sentences(result, result.score))
    if result.health is None:
        return Beside(reported=(), figures=(), sentences=sentences) if sentences else None
    return Beside(
        reported=tuple(symptom.message for symptom in symptoms(result.health) if not symptom.gates),
        figures=tuple(_figures(result.health)),
        sentences=sentences,
    )


def _figures(health: Health) -> Iterator[tuple[str, str]]:
    yield "noise", f"{_two(max(health.noise_fine, health.noise_coarse))} grey levels"
    if health.specks is not None:
        yield "specks", f"{_two(health.specks)} grey levels"
    yield "grid", f"{_two(max(health.grid_latent, health.grid_patch))} grey levels"
    if health.blur is not None:
        yield "sharpest edges", f"{_two(health.blur)} px"
    yield "clipped", percent(health.clipped)
    yield "chroma", percent(health.saturation)
    if health.halo is not None:
        yield "halos", percent(max(0.0, health.halo))
    detail = "not measured" if health.detail is None else f"{_two(health.detail)} % of the contrast"
    yield "fine detail outside text", detail


def _two(value: float) -> str:
    return number(round(value, 2))


def _sentences(result: CaseResult, score: Score) -> Iterator[str]:
    for text in score.texts:
        yield from _number(text)
    if len(score.texts) >= MANY_SIGNS:
        yield f"{sign_words(sign_recall(score))}."
    yield from _lines(result, score)


def _number(text: TextScore) -> Iterator[str]:
    found = first_error(text)
    if found.digits < MANY_DIGITS or found.exact:
        return
    yield (
        f"“{one_line(text.expected, 40)}”: {found.digits_exact} of {count(found.digits, 'digit')} exact, "
        f"{found.digits_before} before the first error (character {found.right_before + 1}), "
        f"longest stretch {count(found.longest_digits, 'digit')}."
    )


def sign_words(found: SignRecall) -> str:
    """Return how many signs are in which state, exact ones first, with mixtures, doubles and leaks named."""
    states = (state for state in SignState if state is not SignState.EXACT and found.count(state))
    words = f"{found.count(SignState.EXACT)} of {count(len(found.signs), 'sign')} right"
    words += "".join(f", {found.count(state)} {state.value}" for state in states)
    named = [
        f"“{one_line(s.read)}” mixed from “{s.expected}” and “{s.mixed_with}”" for s in found.signs if s.mixed_with
    ]
    named += [f"“{one_line(text)}” drawn twice" for text, _ in found.doubled]
    named += [f"“{one_line(text)}” leaked from “{of}”" for text, of in found.leaked]
    return words + (f" ({'; '.join(named)})" if named else "")


def _lines(result: CaseResult, score: Score) -> Iterator[str]:
    """Say for each line with an edit how high its writing stands: small writing breaks first."""
    if result.reading is None:
        return
    for text in score.texts:
        for line in line_errors(text, result.reading):
            if line.distance:
                shown = one_line(line.text, 40)
                yield f"“{shown}”: {count(line.distance, 'edit')} in writing {number(round(line.height))} px high."
