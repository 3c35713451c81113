"""The texts of each half, and the errors that are planted in them."""

from __future__ import annotations

import functools
import random
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from drawn.faces import Face
from qiltest.calibration.typos import Typo, plant
from qiltest.suite.load import load_cases
from qiltest.text.normalise import normalise

HERE = Path(__file__).parent
CASES = HERE.parents[2] / "cases"
#: Kinds of error besides those of `Typo`, which some kinds of image ask for.
CASE, MARK, EXTENDED = "letter case", "mark", "extended"
#: Tries to plant an error that a person can see in the face chosen.
TRIES = 40

Pools = Mapping[str, Sequence[str]]


@functools.cache
def pools(half: str) -> Pools:
    """Return the texts of a half by pool; the cases' texts are pools `case-ID`, without their optional marks."""
    listed: dict[str, list[str]] = dict(tomllib.loads((HERE / "texts.toml").read_text(encoding="utf-8"))[half])
    cases = listed.pop("cases")
    for case in load_cases(CASES):
        if case.id in cases:
            texts = [(text.text, text.optional_marks) for text in case.texts]
            listed[f"case-{case.id}"] = [_without(text, marks) for text, marks in texts]
    return listed


def case_pools(half: str) -> list[str]:
    """Return the names of the pools that are cases."""
    return sorted(name for name in pools(half) if name.startswith("case-"))


def _without(text: str, marks: Sequence[str]) -> str:
    for mark in marks:
        text = text.replace(mark, "")
    return " ".join(text.split())


def number(half: str, rng: random.Random) -> str:
    """Make a number as signs show it; the sum of the digits is even in one half and odd in the other."""
    while True:
        made = rng.choice(_NUMBERS)(rng)
        if sum(int(char) for char in made if char.isdigit()) % 2 == (half == "test"):
            return made


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


_NUMBERS = (
    lambda rng: f"-{rng.randint(11, 25)}~-{rng.randint(2, 10)}°C",
    lambda rng: f"{rng.randint(11, 39)}°C",
    lambda rng: f"${rng.randint(2, 89)}.{_digits(rng, 2)}",
    lambda rng: f"¥{rng.randint(100, 999)}.00",
    lambda rng: f"20{rng.randint(10, 39)}-0{rng.randint(1, 9)}-{rng.randint(10, 28)}",
    lambda rng: f"0{rng.randint(6, 9)}:{rng.randint(10, 59)}-{rng.randint(13, 22)}:{rng.randint(10, 59)}",
    lambda rng: f"{_digits(rng, 1)}.{_digits(rng, 7)}-{_digits(rng, 5)}-{_digits(rng, 5)}",
    lambda rng: f"Tel. {rng.randint(200, 999)}-{_digits(rng, 4)}",
    lambda rng: f"{rng.randint(3, 97)}% off",
    lambda rng: f"No. {rng.randint(100, 999)}-{rng.choice('ABCDEFGHK')}",
)  # fmt: skip


def price(half: str, rng: random.Random) -> str:
    """Make a price; halves differ as those of `number` do."""
    while True:
        made = f"${rng.randint(2, 29)}.{rng.choice(['25', '50', '75', '90'])}"
        if sum(int(char) for char in made if char.isdigit()) % 2 == (half == "test"):
            return made


def wrong(text: str, face: Face, kinds: Sequence[str], rng: random.Random) -> tuple[str, str] | None:
    """Return (text with an error, kind of error) that `face` draws and a person can see; None where there is none."""
    for _ in range(TRIES):
        kind = rng.choice(kinds)
        planted = _planted(text, kind, rng)
        if planted is None or normalise(planted) == normalise(text) or not face.draws(planted):
            continue
        if visible(text, planted, face):
            return planted, kind
    return None


def visible(text: str, planted: str, face: Face) -> bool:
    """Return whether the two differ in length, or in places where the face's glyphs look different."""
    first, second = normalise(text), normalise(planted)
    if len(first) != len(second):
        return True
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a != b]
    return all(face.tells_apart(a, b) for a, b in pairs)


def _planted(text: str, kind: str, rng: random.Random) -> str | None:
    if kind == CASE:
        return text[0].swapcase() + text[1:]
    if kind == MARK:
        return _other_mark(text, rng)
    if kind == EXTENDED:
        return _extended(text, rng)
    return plant(text, Typo(kind), rng)


def _other_mark(text: str, rng: random.Random) -> str | None:
    """Drop the mark at one end, or add one there."""
    ends = [end for end in (0, -1) if not text[end].isalnum()]
    if ends and rng.random() < 0.6:
        return text[1:].strip() if rng.choice(ends) == 0 else text[:-1].strip()
    before, after = rng.choice(
        [('"', '"'), ("≈", ""), ("-", ""), ("", "!"), ("", "."), ("“", "”"), ("", "|"), ("", ":")]
    )
    return before + text + after


def _extended(text: str, rng: random.Random) -> str:
    """Let the text go on: a digit more, a phrase or the whole again, a formula before it."""
    digit = rng.choice("23456789")
    length = max(2, len(text) // 2)
    return rng.choice([text + digit, digit + text, text + text[-length:].strip(), "π≈" + text])


TYPOS: tuple[str, ...] = tuple(kind.value for kind in Typo)
