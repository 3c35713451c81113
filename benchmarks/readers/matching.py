"""What matching costs: 200 reader lines against 60 expected texts, in processor seconds.

    python benchmarks/readers/matching.py [--runs 5]

Four images of lines that nobody drew: signs that all differ; the signs of the Hong Kong case thrice, read with a
wrong character each; paragraphs wrapped into lines among signs, whose lines must be joined; sentences in two blocks a
third of the image apart, some with words missing. All have noise besides.
Writes benchmarks/results/matching.json: best and worst of the runs, on one core.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from qiltest.files import write_atomically
from qiltest.reading import Line, ReaderInfo, Reading
from qiltest.scoring import score
from qiltest.suite.cases import ExpectedText

ROOT = Path(__file__).resolve().parents[2]
LINES, TEXTS = 200, 60
READER = ReaderInfo(name="none", engine="none", version="1", weights_sha256="0" * 64)
SIGNS = (
    "龍鳳冰室 金華燒臘 HAPPYHAIR 鴻運茶餐廳 EASYBAR 永發魚蛋粉 添記粥麵 SUNSHINEMOTEL 美都餐室 富記糖水 太平館 "
    "雅芳髮型屋 STARKTV 銀河娛樂城 百樂門舞廳 BUBBLECAFE 萬豪麻雀館 CITYLIGHTSBAR 瑞祥香燭莊 文記文具"
)
LETTERS = "eeeettaaooiinnsshhrrddlluucmfwygpb"
PARAGRAPH = "探索视觉生成基础模型的极限，开创理解与生成一体化的未来。支持中英渲染、自动布局；支持文字编辑、物体增减"
StoredImage = tuple[list[str], list[Line]]


def main() -> int:
    """Time the three images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    images: dict[str, Callable[[], StoredImage]] = {"signs": signs, "alike": alike, "wrapped": wrapped, "split": split}
    result = {name: timed(*make(), runs=args.runs) for name, make in images.items()}
    file = ROOT / "benchmarks" / "results" / "matching.json"
    write_atomically(file, (json.dumps(result, allow_nan=False, indent=1) + "\n").encode())
    print(json.dumps(result, indent=1))
    return 0


def timed(texts: list[str], lines: list[Line], *, runs: int) -> dict[str, float]:
    """Score an image several times; processor seconds, and the distance, so that one sees that it was matched."""
    reading = Reading(reader=READER, width=2000, height=2000, lines=tuple(lines), seconds=0.0)
    wanted = [ExpectedText(text=text) for text in texts]
    seconds, distance = [], 0
    for _ in range(runs):
        started = time.process_time()
        distance = score(wanted, reading).distance
        seconds.append(time.process_time() - started)
    return {
        "lines": len(lines),
        "texts": len(texts),
        "distance": distance,
        "best_s": round(min(seconds), 3),
        "worst_s": round(max(seconds), 3),
    }


def signs() -> StoredImage:
    """Make signs that all differ, and noise that resembles them."""
    texts = [f"SIGN{i:02d}號招牌{chr(0x4E00 + 37 * i)}{chr(0x5E00 + 53 * i)}" for i in range(TEXTS)]
    noise = [f"{chr(0x6000 + 11 * i)}{chr(0x7000 + 7 * i)}SIG{i}" for i in range(LINES - TEXTS)]
    return texts, scattered([*texts, *noise])


def alike() -> StoredImage:
    """Make every sign thrice, each time with another character wrong: many near ties."""
    rng = random.Random(1)
    texts = [sign for sign in SIGNS.split() for _ in range(TEXTS // len(SIGNS.split()))]
    drawn = []
    for text in texts:
        place = rng.randrange(len(text))
        drawn.append(text[:place] + rng.choice("的一是在不了有和") + text[place + 1 :])
    noise = [rng.choice(SIGNS.split())[: rng.randint(1, 3)] + rng.choice("XYZ") for _ in range(LINES - len(drawn))]
    return texts, scattered([*drawn, *noise])


def wrapped() -> StoredImage:
    """Make twenty paragraphs wrapped into five lines each, forty signs and noise."""
    rng = random.Random(2)
    texts, lines = [], []
    for i in range(20):
        text = "".join(rng.sample(PARAGRAPH, len(PARAGRAPH)))
        texts.append(text)
        step = -(-len(text) // 5)
        for k in range(5):
            part = text[k * step : (k + 1) * step]
            lines.append(line(part, (i % 5) * 390, (i // 5) * 400 + k * 40, 28 * len(part), 30))
    others = [f"SIGN{i:02d}招牌" for i in range(TEXTS - len(texts))]
    noise = [f"{rng.choice(PARAGRAPH)}{i}" for i in range(LINES - len(lines) - len(others))]
    return [*texts, *others], [*lines, *scattered([*others, *noise])]


def split() -> StoredImage:
    """Make sentences in two blocks a third of the image apart, some with a word missing, and other sentences."""
    rng = random.Random(3)
    texts, lines = [], []
    for i in range(TEXTS):
        words = ["".join(rng.choices(LETTERS, k=rng.randint(3, 9))) for _ in range(8)]
        texts.append(" ".join(words))
        left, top = (i % 6) * 105, (i // 6) * 190
        if i % 3 == 0:
            del words[rng.randrange(8)]
        lines.append(line(" ".join(words[:4]), left, top, 330, 30))
        lines.append(line(" ".join(words[4:]), left + 1000, top + 60, 330, 30))
    noise = [" ".join("".join(rng.choices(LETTERS, k=5)) for _ in range(4)) for _ in range(LINES - len(lines))]
    return texts, [*lines, *scattered(noise)]


def scattered(texts: Sequence[str]) -> list[Line]:
    """Set lines all over the image."""
    return [line(text, (i * 313) % 1900, (i * 571) % 1900, 150, 30) for i, text in enumerate(texts)]


def line(text: str, left: float, top: float, width: float, height: float) -> Line:
    """Make a line in an upright box."""
    right, bottom = left + width, top + height
    return Line(text=text, box=((left, top), (right, top), (right, bottom), (left, bottom)), confidence=0.97)


if __name__ == "__main__":
    sys.exit(main())
