"""How often a text that an edit removed is called still there, and one that is there is not found.

    python benchmarks/edit/gone.py [--output FILE]

No image is needed: readings are made of the texts of the ten text-to-image cases, one line each, as `decoys.py` makes
them. Every text of every other case is then a text that had to be gone and is not there (a false alarm where it is
found); every text of the same case is one that was left: whole, its first half, one letter in six wrong, or beside the
text that replaces it, which differs from it in one character, or in half of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from qiltest.files import write_atomically
from qiltest.reading.records import Line, ReaderInfo, Reading
from qiltest.scoring.characters import weight
from qiltest.scoring.scorer import score
from qiltest.suite.cases import ExpectedText
from qiltest.suite.load import load_cases

ROOT = Path(__file__).resolve().parents[2]
READER = ReaderInfo(name="told", engine="told", version="1", weights_sha256="0" * 64)
#: weights of the removed text, from which to which.
WEIGHTS = ((0.0, 4.0), (4.0, 10.0), (10.0, 1e9))
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def main() -> int:
    """Count, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "gone.json")
    args = parser.parse_args()
    found: Counter[tuple[str, int, bool]] = Counter()
    for way, removed, there in trials():
        place = next(k for k, (low, high) in enumerate(WEIGHTS) if low <= weight(removed) < high)
        found[way, place, there] += 1
    rows = [
        {"way": way, "weight": WEIGHTS[place], "found": found[way, place, True], "of": total}
        for way, place in dict.fromkeys((way, place) for way, place, _ in found)
        if (total := found[way, place, True] + found[way, place, False])
    ]
    write_atomically(args.output, (json.dumps({"rows": rows}, indent=1) + "\n").encode())
    for row in rows:
        sys.stdout.write(f"{row['way']:<44} weight {row['weight']}: found {row['found']} of {row['of']}\n")
    return 0


def trials() -> Iterator[tuple[str, str, bool]]:
    """Yield what was tried, the text that had to be gone, and whether it was found."""
    rng = np.random.default_rng(5)
    cases = [(case.id, [text.text for text in case.texts]) for case in load_cases(ROOT / "cases")]
    for name, texts in cases:
        for other, others in cases:
            if other != name:
                yield from (("not there", text, _found(text, texts, texts)) for text in others if text not in texts)
        for at, text in enumerate(texts):
            rest = [*texts[:at], *texts[at + 1 :]] or ["Something else"]
            for way, read in _left(text, rng):
                yield way, text, _found(text, rest, [*rest, read])
            for way, new in _replaced(text, rng):
                yield f"replaced: {way}", text, _found(text, [*rest, new], [*rest, new])
                yield f"ignored: {way}", text, _found(text, [*rest, new], [*rest, text])


def _left(text: str, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    yield "left whole", text
    yield "left: its first half", text[: (len(text) + 1) // 2]
    yield "left: one of six characters wrong", _misread(text, max(1, len(text) // 6), rng)


def _replaced(text: str, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    yield "one character is another", _misread(text, 1, rng)
    yield "half of the characters are others", _misread(text, max(1, len(text) // 2), rng)


def _misread(text: str, number: int, rng: np.random.Generator) -> str:
    chars = list(text)
    places = [at for at, char in enumerate(chars) if char.isalnum()] or list(range(len(chars)))
    for at in rng.choice(places, min(number, len(places)), replace=False):
        chars[at] = str(rng.choice([char for char in _LETTERS if char != chars[at].lower()]))
    return "".join(chars)


def _found(removed: str, wanted: Sequence[str], shown: Sequence[str]) -> bool:
    (one,) = score([ExpectedText(text=text) for text in wanted], _reading(shown), gone=[removed]).gone
    return one.distance > 0


def _reading(texts: Sequence[str]) -> Reading:
    lines = []
    for row, text in enumerate(texts):
        top, right = 20.0 + 60 * row, 10.0 + 14 * len(text)
        lines.append(
            Line(text=text, box=((10.0, top), (right, top), (right, top + 30), (10.0, top + 30)), confidence=0.95)
        )
    return Reading(reader=READER, width=2000, height=2000, lines=tuple(lines), seconds=0.0)


if __name__ == "__main__":
    sys.exit(main())
