"""Planted errors: each kind of typo and of extension in each text of a case."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from decoy_trials.layout import Item, box_of, line_at, score_of, shown_in, true_lines, width_of
from decoy_trials.lines import IDEOGRAPH_BITS, bits
from qiltest.calibration.typos import Typo, plant
from qiltest.suite.cases import Case
from qiltest.text.normalise import normalise


def planted(case: Case, seed: int, rounds: int = 4) -> Iterator[dict[str, Any]]:
    """Yield, for each text and kind of error, whether the error is found."""
    for index in range(len(case.texts)):
        for kind in (*Typo, *_EXTENSIONS):
            for k in range(rounds):
                rng = random.Random(f"{seed} {case.id} {index} {kind} {k}")
                made = _with_error(case, index, kind, rng)
                if made is not None:
                    items, wrong = made
                    found = score_of(case, items).distance
                    yield {"kind": str(kind), "text": case.texts[index].text, "wrong": wrong, "distance": found}


def _with_error(case: Case, index: int, kind: str, rng: random.Random) -> tuple[list[Item], str] | None:
    items = true_lines(case, rng)
    own = [i for i, item in enumerate(items) if item.text == index]
    if kind in _EXTENSIONS:
        return _EXTENSIONS[kind](case, items, own, rng)
    shown = "\n".join(items[i].line.text for i in own)
    wrong = plant(shown, Typo(kind), rng)
    if wrong is None or normalise(wrong) == normalise(shown) or wrong.count("\n") != shown.count("\n"):
        return None
    for i, text in zip(own, wrong.split("\n"), strict=True):
        items[i] = replace(items[i], line=replace(items[i].line, text=text))
    return items, wrong


def _digit(_case: Case, items: list[Item], own: Sequence[int], rng: random.Random) -> tuple[list[Item], str] | None:
    """Add a digit at the end of a line, or at the beginning."""
    i, digit = rng.choice(own), rng.choice("23456789")
    line = items[i].line
    text = rng.choice([line.text + digit, line.text + " " + digit, digit + line.text])
    items[i] = replace(items[i], line=replace(line, text=text))
    return items, text


def _phrase_in_line(
    _case: Case, items: list[Item], own: Sequence[int], rng: random.Random
) -> tuple[list[Item], str] | None:
    i = rng.choice(own)
    line = items[i].line
    phrase = line.text[-rng.randint(2, 8) :].strip()
    if not any(char.isalnum() for char in phrase):
        return None
    text = line.text + rng.choice(["", " "]) + phrase
    items[i] = replace(items[i], line=replace(line, text=text))
    return items, text


def _phrase_on_a_line(
    _case: Case, items: list[Item], own: Sequence[int], rng: random.Random
) -> tuple[list[Item], str] | None:
    """Add four ideographs or nine letters again, on a line of their own below the text; less may be there by chance."""
    text = items[rng.choice(own)].line.text
    phrases = [text[at : at + length].strip() for length in (4, 10) for at in range(len(text) - length + 1)]
    phrases = [phrase for phrase in phrases if bits(phrase) >= 4 * IDEOGRAPH_BITS]
    if not phrases:
        return None
    phrase = rng.choice(phrases)
    left, _, _, bottom = box_of(items[own[-1]].line)
    size = min(60.0, box_of(items[own[0]].line)[3] - box_of(items[own[0]].line)[1])
    box = (left, bottom + 4, left + width_of(phrase, size), bottom + 4 + size)
    items.append(Item(line=line_at(phrase, box, rng), text=-1))
    return items, phrase


def _other_text_beside(
    case: Case, items: list[Item], own: Sequence[int], rng: random.Random
) -> tuple[list[Item], str] | None:
    others = [shown_in(text) for i, text in enumerate(case.texts) if i != items[own[0]].text]
    if not others:
        return None
    other = rng.choice(others)
    piece = other[: max(2, len(other) // 2)].strip()
    i = rng.choice(own)
    line = items[i].line
    text = rng.choice([line.text + piece, piece + line.text, line.text + " " + piece])
    items[i] = replace(items[i], line=replace(line, text=text))
    return items, text


_EXTENSIONS: Mapping[str, Callable[[Case, list[Item], Sequence[int], random.Random], tuple[list[Item], str] | None]] = {
    "a digit more": _digit,
    "phrase again in its line": _phrase_in_line,
    "phrase again on a line": _phrase_on_a_line,
    "piece of another text beside": _other_text_beside,
}
