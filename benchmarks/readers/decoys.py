"""Whether lines of other text complete a text of a case, and whether planted errors are still found.

    python benchmarks/readers/decoys.py [--trials 40] [--jobs 2] [--label after] [--cache build/decoys]

No image is needed: readings are made of the ten cases' texts, every text exact, in rows or columns with plausible
boxes. A trial takes one text away, or a line of it, or its last characters, and adds lines of other text (decoys) at
random places and sizes, half of them near the gap: lines of another case, of lorem ipsum (Latin and Chinese), of other
signs, numbers, and noise of one to three characters.

Decoys hold no piece of a text beyond chance: one that shares a run of characters worth more than `PIECE` bits with a
text of the case is not used. So a text is joined wrongly where its score takes a decoy in and its distance is lower
than without decoys. It is completed where that distance is 0. Both are reported per trial, by kind of decoy, by what was
taken away and by length of the text taken; so is how often a decoy raised the distance of a text, or counted as extra text.

Planted errors: every text of every case with each kind of typo and of extension (a phrase doubled in its line or on a
line of its own, a digit more, a piece of another text beside it) must have a distance above 0.

Every case's result is kept in the cache until its code or arguments change. Results go to benchmarks/results/decoys.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import qiltest.scoring
import qiltest.text
from qiltest.calibration.drawing import wrapped
from qiltest.calibration.typos import Typo, plant
from qiltest.files import write_atomically
from qiltest.reading import Line, ReaderInfo, Reading
from qiltest.scoring import Score, score_case
from qiltest.suite.cases import Case, ExpectedText
from qiltest.suite.load import load_cases
from qiltest.text.normalise import is_decoration, normalise
from readers import Share

ROOT = Path(__file__).resolve().parents[2]
SIDE = 1328
READER = ReaderInfo(name="none", engine="none", version="1", weights_sha256="0" * 64)
#: Bits of a run of characters from which on it is a piece of a text, no chance: four letters or digits, two ideographs.
PIECE = 12.0
IDEOGRAPH_BITS, OTHER_BITS = 9.0, 4.0
TAKEN = ("whole text", "a line", "last characters")
KINDS = ("another case", "lorem ipsum", "signs", "numbers", "noise")
LENGTHS = ((1, 4), (5, 10), (11, 25), (26, 10_000))
LOREM = (
    "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna "
    "aliqua ut enim ad minim veniam quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo consequat"
).split()
LOREM_ZH = "春江潮水连海平海上明月共潮生滟滟随波千万里何处春江无月明江流宛转绕芳甸月照花林皆似霰空里流霜不觉飞汀上白沙看不见"


@dataclass(frozen=True, kw_only=True)
class Item:
    """A line, and the index of the text that it is of; -1 for a decoy."""

    line: Line
    text: int


def main() -> int:
    """Run the benchmark; prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40, help="per case, kind of decoy and what is taken away")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--label", default="after", help="name of this state in the results, such as before")
    parser.add_argument("--output", default=str(ROOT / "benchmarks" / "results" / "decoys.json"), help="'-' for none")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "decoys")
    args = parser.parse_args()
    cases = [case.id for case in load_cases(ROOT / "cases")]
    with ProcessPoolExecutor(args.jobs) as pool:
        done = [pool.submit(kept, case, args.trials, args.seed, args.cache) for case in cases]
        found = [each.result() for each in done]
    result = summary(found)
    if args.output != "-":
        output = Path(args.output)
        record = json.loads(output.read_text(encoding="utf-8")) if output.is_file() else {}
        record[args.label] = {"trials": args.trials, "seed": args.seed, **result}
        write_atomically(output, (json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())
    print(table(result))
    return 0


def kept(case: str, trials: int, seed: int, cache: Path) -> dict[str, Any]:
    """Run a case's trials, or take what was kept of the same code and arguments."""
    file = cache / f"{case}-{trials}-{seed}-{_code()}.json"
    if file.is_file():
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found
    cases = {each.id: each for each in load_cases(ROOT / "cases")}
    found = {"case": case, "decoys": list(decoy_trials(cases, case, trials, seed)), "planted": list(planted(cases[case], seed))}
    cache.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(found, ensure_ascii=False).encode())
    print(case, file=sys.stderr, flush=True)
    return found


def _code() -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for package in (qiltest.scoring, qiltest.text):
        for file in sorted(Path(str(package.__file__)).parent.glob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def true_lines(case: Case, rng: random.Random) -> list[Item]:
    """Lay the case's texts out as an image shows them: columns at the right, the others in rows from the top."""
    items: list[Item] = []
    columns = [i for i, text in enumerate(case.texts) if text.vertical]
    others = [i for i in range(len(case.texts)) if i not in columns]
    for k, i in enumerate(columns):
        shown = _shown(case.texts[i])
        x, size = SIDE - 120 - 130 * k, 70.0
        items.append(Item(line=_line(shown, (x, 60, x + size, 60 + size * 1.1 * len(shown)), rng), text=i))
    right = SIDE - 60 - 130 * len(columns)
    across = 1 if len(others) <= 6 else 3
    step = (SIDE - 100) / max(1, -(-len(others) // across))
    for k, i in enumerate(others):
        left, top = 50 + (k % across) * right / across, 50 + (k // across) * step
        items += _rows(i, _shown(case.texts[i]), left, top, right / across - 40, step - 20, rng)
    return items


def _shown(text: ExpectedText) -> str:
    for mark in text.optional_marks:
        text = replace(text, text=text.text.replace(mark, ""))
    return " ".join("".join(" " if is_decoration(char) else char for char in text.text).split())


def _rows(index: int, shown: str, left: float, top: float, width: float, height: float, rng: random.Random) -> Iterator[Item]:
    """Break a text into rows as large as its cell holds."""
    size = min(64.0, height / 1.4)
    while True:
        rows = wrapped(shown, width, lambda part: _width(part, size))
        if len(rows) * size * 1.35 <= height or size < 16:
            break
        size *= 0.92
    for k, row in enumerate(rows):
        y = top + k * size * 1.35
        yield Item(line=_line(row, (left, y, left + _width(row, size), y + size), rng), text=index)


def _width(text: str, size: float) -> float:
    return sum(size if ord(char) > 0x2E80 else size * 0.55 for char in text)


def _line(text: str, box: tuple[float, float, float, float], rng: random.Random) -> Line:
    left, top, right, bottom = box
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return Line(text=text, box=corners, confidence=round(rng.uniform(0.6, 0.99), 3))


def decoy_trials(cases: Mapping[str, Case], name: str, trials: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield what each trial gave."""
    case = cases[name]
    for kind in KINDS:
        for taken in TAKEN:
            for trial in range(trials):
                rng = random.Random(f"{seed} {name} {kind} {taken} {trial}")
                yield _trial(cases, case, kind, taken, rng)


def _trial(cases: Mapping[str, Case], case: Case, kind: str, taken: str, rng: random.Random) -> dict[str, Any]:
    items = true_lines(case, rng)
    left, gone, index = _take(items, taken, rng)
    decoys = list(_decoys(cases, case, kind, left, gone, rng))
    before = {i: text.distance for i, text in enumerate(_score(case, left).texts)}
    mixed = [*left, *decoys]
    rng.shuffle(mixed)
    found = _score(case, mixed)
    lines = {i for i, item in enumerate(mixed) if item.text < 0}
    # a line beside another is reported in its own field where the scorer has one; only joined lines count here
    joined = [i for i, text in enumerate(found.texts) if lines & set(text.lines) and text.distance < before[i]]
    completed = [i for i in joined if found.texts[i].distance == 0]
    raised = [i for i, text in enumerate(found.texts) if text.distance > before[i]]
    extra = [item.text for item in found.extra if item.distance and item.line in lines]
    record: dict[str, Any] = {"kind": kind, "taken": taken, "length": len(normalise(case.texts[index].text))}
    record |= {"joined": bool(joined), "completed": bool(completed), "raised": bool(raised), "extra": bool(extra)}
    if joined or raised or extra:
        record["shown"] = [_told(found, i, before[i]) for i in [*joined, *raised]] + [{"extra": text} for text in extra]
    return record


def _told(found: Score, index: int, before: int) -> dict[str, Any]:
    text = found.texts[index]
    return {"expected": text.expected, "read": text.read, "before": before, "distance": text.distance}


def _score(case: Case, items: Sequence[Item]) -> Score:
    lines = [item.line for item in items] or [_line("§", (1, 1, 9, 9), random.Random(0))]
    return score_case(case, Reading(reader=READER, width=SIDE, height=SIDE, lines=tuple(lines), seconds=0.0))


def _take(items: Sequence[Item], taken: str, rng: random.Random) -> tuple[list[Item], Line, int]:
    """Take a text away, or a part of it; returns what is left, the line that is gone or shorter, and the text's index."""
    index = rng.choice(sorted({item.text for item in items}))
    own = [item for item in items if item.text == index]
    gone = rng.choice(own)
    if taken == "whole text":
        return [item for item in items if item.text != index], gone.line, index
    if taken == "a line" and len(own) > 1:
        return [item for item in items if item is not gone], gone.line, index
    last = own[-1]
    count = rng.randint(1, max(1, min(6, len(last.line.text) // 2)))
    kept_text = last.line.text[:-count].rstrip()
    if not kept_text:
        return [item for item in items if item is not last], last.line, index
    share = _width(kept_text, 1) / _width(last.line.text, 1)
    shorter = Item(line=_shortened(last.line, kept_text, share), text=index)
    return [shorter if item is last else item for item in items], last.line, index


def _shortened(line: Line, text: str, share: float) -> Line:
    (left, top), _, (right, bottom), _ = line.box
    if bottom - top > right - left and len(line.text) > 1:
        bottom = top + (bottom - top) * share
    else:
        right = left + (right - left) * share
    return replace(line, text=text, box=((left, top), (right, top), (right, bottom), (left, bottom)))


def _decoys(cases: Mapping[str, Case], case: Case, kind: str, left: Sequence[Item], gone: Line, rng: random.Random) -> Iterator[Item]:
    """Yield up to a dozen decoys that cover no line; half of them near what is gone."""
    boxes = [_box(item.line) for item in left]
    size = _box(gone)[3] - _box(gone)[1]
    made = _TEXTS[kind](cases, case, rng)
    for k in range(rng.randint(3, 12)):
        text = next(made)
        high = min(200.0, max(12.0, (size if size < 100 else 60) * rng.choice([0.3, 0.6, 0.9, 1.0, 1.0, 1.1, 1.5, 3.0])))
        wide = min(_width(text, high), SIDE * 0.9)
        place = _place(boxes, gone, wide, high, rng, near=k % 2 == 0)
        if place is not None:
            boxes.append(place)
            yield Item(line=replace(_line(text, place, rng), confidence=round(rng.uniform(0.35, 0.99), 3)), text=-1)


def _place(
    boxes: Sequence[tuple[float, ...]], gone: Line, wide: float, high: float, rng: random.Random, *, near: bool
) -> tuple[float, float, float, float] | None:
    left, top, right, bottom = _box(gone)
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


def _box(line: Line) -> tuple[float, float, float, float]:
    xs, ys = [x for x, _ in line.box], [y for _, y in line.box]
    return min(xs), min(ys), max(xs), max(ys)


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
    lines = [item.line.text for name, other in sorted(cases.items()) if name != case.id for item in true_lines(other, rng)]
    return _without_pieces(lambda: rng.choice(lines), case)


def _lorem(_cases: Mapping[str, Case], case: Case, rng: random.Random) -> Iterator[str]:
    def make() -> str:
        if rng.random() < 0.5:
            return " ".join(rng.choices(LOREM, k=rng.randint(1, 6)))
        at, length = rng.randrange(len(LOREM_ZH) - 12), rng.randint(2, 12)
        return LOREM_ZH[at : at + length]

    return _without_pieces(make, case)


def _signs(_cases: Mapping[str, Case], case: Case, rng: random.Random) -> Iterator[str]:
    pools = tomllib.loads((Path(__file__).parent / "drawn" / "texts.toml").read_text(encoding="utf-8"))["train"]
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


def planted(case: Case, seed: int, rounds: int = 4) -> Iterator[dict[str, Any]]:
    """Yield, for each text and kind of error, whether the error is found."""
    for index in range(len(case.texts)):
        for kind in (*Typo, *_EXTENSIONS):
            for k in range(rounds):
                rng = random.Random(f"{seed} {case.id} {index} {kind} {k}")
                made = _with_error(case, index, kind, rng)
                if made is not None:
                    items, wrong = made
                    found = _score(case, items).distance
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
    """A digit more at the end of a line, or at the beginning."""
    i, digit = rng.choice(own), rng.choice("23456789")
    line = items[i].line
    text = rng.choice([line.text + digit, line.text + " " + digit, digit + line.text])
    items[i] = replace(items[i], line=replace(line, text=text))
    return items, text


def _phrase_in_line(_case: Case, items: list[Item], own: Sequence[int], rng: random.Random) -> tuple[list[Item], str] | None:
    i = rng.choice(own)
    line = items[i].line
    phrase = line.text[-rng.randint(2, 8) :].strip()
    if not any(char.isalnum() for char in phrase):
        return None
    text = line.text + rng.choice(["", " "]) + phrase
    items[i] = replace(items[i], line=replace(line, text=text))
    return items, text


def _phrase_on_a_line(_case: Case, items: list[Item], own: Sequence[int], rng: random.Random) -> tuple[list[Item], str] | None:
    """Four ideographs or nine letters again, on a line of their own below the text; less may be there by chance."""
    text = items[rng.choice(own)].line.text
    phrases = [text[at : at + length].strip() for length in (4, 10) for at in range(len(text) - length + 1)]
    phrases = [phrase for phrase in phrases if _bits(phrase) >= 4 * IDEOGRAPH_BITS]
    if not phrases:
        return None
    phrase = rng.choice(phrases)
    left, _, _, bottom = _box(items[own[-1]].line)
    size = min(60.0, _box(items[own[0]].line)[3] - _box(items[own[0]].line)[1])
    box = (left, bottom + 4, left + _width(phrase, size), bottom + 4 + size)
    items.append(Item(line=_line(phrase, box, rng), text=-1))
    return items, phrase


def _bits(text: str) -> float:
    return sum(IDEOGRAPH_BITS if ord(char) > 0x2E80 else OTHER_BITS for char in text if char.isalnum())


def _other_text_beside(case: Case, items: list[Item], own: Sequence[int], rng: random.Random) -> tuple[list[Item], str] | None:
    others = [_shown(text) for i, text in enumerate(case.texts) if i != items[own[0]].text]
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


def summary(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Count over all cases."""
    trials = [{"case": each["case"], **trial} for each in found for trial in each["decoys"]]
    errors = [{"case": each["case"], **error} for each in found for error in each["planted"]]
    lengths = {f"{low} to {high}" if high < 1000 else f"{low} or more": (low, high) for low, high in LENGTHS}
    return {
        "decoys": {
            "all": _rates(trials),
            "kinds": {kind: _rates([t for t in trials if t["kind"] == kind]) for kind in KINDS},
            "taken": {taken: _rates([t for t in trials if t["taken"] == taken]) for taken in TAKEN},
            "lengths": {n: _rates([t for t in trials if low <= t["length"] <= high]) for n, (low, high) in lengths.items()},
            "wrong": [t for t in trials if t["joined"]][:60],
            "extra": [t for t in trials if t["extra"] or t["raised"]][:30],
        },
        "planted": {
            "all": _found(errors),
            "kinds": {kind: _found([e for e in errors if e["kind"] == kind]) for kind in dict.fromkeys(e["kind"] for e in errors)},
            "missed": [error for error in errors if not error["distance"]][:60],
        },
    }


def _rates(trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    keys = ("joined", "completed", "raised", "extra")
    counts = Counter(key for trial in trials for key in keys if trial[key])
    return {key: Share(hits=counts[key], of=len(trials)).record() for key in keys}


def _found(errors: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return Share(hits=sum(error["distance"] > 0 for error in errors), of=len(errors)).record()


def table(result: Mapping[str, Any]) -> str:
    """Markdown: decoys by kind, then planted errors by kind."""
    rows = ["| decoys | joined wrongly | completed | raised | counted as extra |", "|---|---|---|---|---|"]
    decoys = result["decoys"]
    for name, rates in [("all", decoys["all"]), *((k, v) for part in ("kinds", "taken", "lengths") for k, v in decoys[part].items())]:
        rows.append(f"| {name} | {' | '.join(_cell(rates[key]) for key in ('joined', 'completed', 'raised', 'extra'))} |")
    rows += ["", "| planted errors | found |", "|---|---|"]
    planted_rates = result["planted"]
    rows += [f"| {name} | {_cell(share)} |" for name, share in [("all", planted_rates["all"]), *planted_rates["kinds"].items()]]
    return "\n".join(rows)


def _cell(share: Mapping[str, Any]) -> str:
    if share["share"] is None:
        return "–"
    return f"{share['hits']} of {share['of']} ({100 * share['low']:.2f} to {100 * share['high']:.2f} %)"


if __name__ == "__main__":
    sys.exit(main())
