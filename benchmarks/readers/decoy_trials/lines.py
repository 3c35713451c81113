"""Decoys: lines of other text, which hold no piece of a case's texts beyond chance."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from decoy_trials.layout import SIDE, Item, box_of, line_at, true_lines, width_of
from qiltest.reading import Line
from qiltest.suite.cases import Case
from qiltest.text.normalise import normalise

TEXTS = Path(__file__).resolve().parents[1] / "drawn" / "texts.toml"
KINDS = ("another case", "lorem ipsum", "signs", "numbers", "noise")
#: Bits of a run of characters from which on it is a piece of a text, no chance: four letters or digits, two ideographs.
PIECE = 12.0
IDEOGRAPH_BITS, OTHER_BITS = 9.0, 4.0
LOREM = [
    "lorem",
    "ipsum",
    "dolor",
    "sit",
    "amet",
    "consectetur",
    "adipiscing",
    "elit",
    "sed",
    "do",
    "eiusmod",
    "tempor",
    "incididunt",
    "ut",
    "labore",
    "et",
    "dolore",
    "magna",
    "aliqua",
    "ut",
    "enim",
    "ad",
    "minim",
    "veniam",
    "quis",
    "nostrud",
    "exercitation",
    "ullamco",
    "laboris",
    "nisi",
    "ut",
    "aliquip",
    "ex",
    "ea",
    "commodo",
    "consequat",
]
LOREM_ZH = (
    "春江潮水连海平海上明月共潮生滟滟随波千万里何处春江无月明江流宛转绕芳甸月照花林皆似霰空里流霜不觉飞汀上白沙看不见"
)


def decoys(
    cases: Mapping[str, Case], case: Case, kind: str, left: Sequence[Item], gone: Line, rng: random.Random
) -> Iterator[Item]:
    """Yield up to a dozen decoys that cover no line; half of them near what is gone."""
    boxes = [box_of(item.line) for item in left]
    size = box_of(gone)[3] - box_of(gone)[1]
    made = _TEXTS[kind](cases, case, rng)
    for k in range(rng.randint(3, 12)):
        text = next(made)
        high = min(
            200.0, max(12.0, (size if size < 100 else 60) * rng.choice([0.3, 0.6, 0.9, 1.0, 1.0, 1.1, 1.5, 3.0]))
        )
        wide = min(width_of(text, high), SIDE * 0.9)
        place = _place(boxes, gone, wide, high, rng, near=k % 2 == 0)
        if place is not None:
            boxes.append(place)
            yield Item(line=replace(line_at(text, place, rng), confidence=round(rng.uniform(0.35, 0.99), 3)), text=-1)


def _place(
    boxes: Sequence[tuple[float, ...]], gone: Line, wide: float, high: float, rng: random.Random, *, near: bool
) -> tuple[float, float, float, float] | None:
    left, top, right, bottom = box_of(gone)
    for _ in range(30):
        if near:
            x, y = rng.uniform(left - 2 * high, right + high), rng.uniform(top - 2.5 * high, bottom + 1.5 * high)
        else:
            x, y = rng.uniform(0, SIDE - wide), rng.uniform(0, SIDE - high)
        box = (x, y, x + wide, y + high)
        if x < 0 or y < 0 or box[2] > SIDE or box[3] > SIDE:
            continue
        if not any(box[0] < b[2] and box[2] > b[0] and box[1] < b[3] and box[3] > b[1] for b in boxes):
            return box
    return None


def holds_piece(text: str, wanted: str) -> bool:
    """Return whether the two share a run of characters that is worth more than `PIECE` bits."""
    first, second = normalise(text).casefold(), normalise(wanted).casefold()
    worst = 0.0
    rows = [0.0] * (len(second) + 1)
    for a in first:
        fresh = [0.0] * (len(second) + 1)
        for j, b in enumerate(second):
            if a == b:
                fresh[j + 1] = rows[j] + (IDEOGRAPH_BITS if ord(a) > 0x2E80 else OTHER_BITS)
                worst = max(worst, fresh[j + 1])
        rows = fresh
    return worst > PIECE


def _without_pieces(make: Callable[[], str], case: Case) -> Iterator[str]:
    while True:
        text = make()
        if not any(holds_piece(text, wanted.text) for wanted in case.texts):
            yield text


def _another_case(cases: Mapping[str, Case], case: Case, rng: random.Random) -> Iterator[str]:
    lines = [
        item.line.text for name, other in sorted(cases.items()) if name != case.id for item in true_lines(other, rng)
    ]
    return _without_pieces(lambda: rng.choice(lines), case)


def _lorem(_cases: Mapping[str, Case], case: Case, rng: random.Random) -> Iterator[str]:
    def make() -> str:
        if rng.random() < 0.5:
            return " ".join(rng.choices(LOREM, k=rng.randint(1, 6)))
        at, length = rng.randrange(len(LOREM_ZH) - 12), rng.randint(2, 12)
        return LOREM_ZH[at : at + length]

    return _without_pieces(make, case)


def _signs(_cases: Mapping[str, Case], case: Case, rng: random.Random) -> Iterator[str]:
    pools = tomllib.loads(TEXTS.read_text(encoding="utf-8"))["train"]
    signs = [text for name in ("sign", "hans", "hant", "row", "rows_zh", "item", "title") for text in pools[name]]
    return _without_pieces(lambda: rng.choice(signs), case)


def _numbers(_cases: Mapping[str, Case], case: Case, rng: random.Random) -> Iterator[str]:
    def make() -> str:
        digits = "".join(rng.choices("0123456789", k=rng.randint(1, 8)))
        return rng.choice(["{}", "${}", "{}%", "{}.50", "-{}", "No.{}", "{}°C", "{}:30"]).format(digits)

    return _without_pieces(make, case)


def _noise(_cases: Mapping[str, Case], case: Case, rng: random.Random) -> Iterator[str]:
    alphabet = "abcdefghilmnoprstuvwyACEILMNORST0123456789.-,|'!:" + LOREM_ZH + "一二三人中大小上口日"

    def make() -> str:
        return "".join(rng.choices(alphabet, k=rng.randint(1, 3)))

    return _without_pieces(make, case)


_TEXTS: Mapping[str, Callable[[Mapping[str, Case], Case, random.Random], Iterator[str]]] = {
    "another case": _another_case,
    "lorem ipsum": _lorem,
    "signs": _signs,
    "numbers": _numbers,
    "noise": _noise,
}


def bits(text: str) -> float:
    """Return what a text's letters, digits and ideographs are worth, in bits."""
    return sum(IDEOGRAPH_BITS if ord(char) > 0x2E80 else OTHER_BITS for char in text if char.isalnum())
