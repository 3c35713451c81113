"""Tell broken characters from whole ones: by the reader's own doubt, or by comparison with fonts.

    python benchmarks/readers/strokes.py [--strips 240] [--images ../shared/real-images]

Draws strips of Chinese characters in known fonts, erases a quarter of one character in half of them, and asks four
measures for each character: the recogniser's confidence, the least confidence over several looks, the lead over its
best alternative, and the correlation with the same character in other fonts. Says for each how many damaged characters
it finds at the threshold that accuses 1 % of the whole ones (threshold and rates from different halves of the strips),
and the area under its ROC curve. Also how often the damaged strip still read as it was before.

Then the same threshold on real images: how many of the characters that people named as malformed in them are called
suspicious (the share of right characters that are is in readers.json). Without the images that part is left out.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from qiltest.calibration.fonts import FILES, REMEDY, load
from qiltest.files import write_atomically
from qiltest.reading.rapidocr.ctc import Character
from qiltest.reading.rapidocr.reader import RapidReader, seen
from qiltest.reading.rapidocr.views import VIEWS
from qiltest.reading.strokes import DOUBT

ROOT = Path(__file__).resolve().parents[2]
SIZE, PAD, LENGTH = 56, 24, 8
#: Fonts to draw with; the others are what the characters are compared with.
CHINESE = [font for font in FILES[:8] if Path(font[0]).is_file()]
DRAWN, COMPARED = CHINESE[::2], CHINESE[1::2]
TEXT = (
    "探索视觉生成基础模型的极限开创理解与一体化未来复杂文字渲染支持中英自动布局精准图像编辑物体增减风格变换赋能专业内容创作助力式发展"
    "义本知人机同道善思新通云赋智乾坤启数高志远千问原场景梅傲兰幽竹清菊淡年月敬请期待龍鳳冰室鴻運茶餐廳永魚蛋粉添記粥麵美都富糖水"
)
#: Malformed characters of the real images, as their manifest describes them: where each stands in the line as read.
#: Pseudo-characters that no font holds, and characters with wrong strokes that can still be told.
PSEUDO: Mapping[str, tuple[str, ...]] = {
    "sdcpp_qwen_image_q8_whiteboard.png": ("(.)、自精准", "赋能(.).?[.。]助力", "赋能.(.)[.。]助力", "(.)-未来愿景"),
}
WRONG_STROKES: Mapping[str, tuple[str, ...]] = {
    "glyphbyt5_cn_2.png": ("物(.)粒", "渐(.)充", "全(.)，", "麦(.)初"),
    "glyphbyt5_cn_4.png": ("养代(.)买", "买(.)，", "，(.)爱", "流(.)生"),
    "qi50_cache_f8b0_taylor4_compile.png": ("338(.)32795",),
}
MEASURES = ("confidence", "least_confidence", "lead", "correlation")
Grey = NDArray[np.uint8]


def main() -> int:
    """Run the experiment and write benchmarks/results/strokes.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strips", type=int, default=240)
    parser.add_argument("--images", type=Path, default=ROOT.parent / "shared" / "real-images")
    args = parser.parse_args()
    if not COMPARED:
        sys.exit(f"fewer than two Chinese fonts are installed\n  -> {REMEDY}")
    reader = RapidReader(threads=1)
    rng = random.Random(7)
    rows = []
    for number in range(args.strips):
        rows.extend(strip(reader, rng, number))
    result = {"fonts": len(CHINESE), **summary(rows)}
    if args.images.is_dir():
        kinds = {"pseudo_characters": PSEUDO, "wrong_strokes": WRONG_STROKES}
        result["real_images"] = {kind: named(reader, args.images, places) for kind, places in kinds.items()}
    file = ROOT / "benchmarks" / "results" / "strokes.json"
    write_atomically(file, (json.dumps(result, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())
    print(json.dumps(result, ensure_ascii=False, indent=1))
    return 0


def named(reader: RapidReader, folder: Path, places: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """Find the malformed characters in the readings; how many are suspicious, and each one's confidence."""
    found: list[dict[str, object]] = []
    for file, patterns in places.items():
        lines = reader.read(folder / file).lines
        for pattern in patterns:
            hits = [(line, match) for line in lines if (match := re.search(pattern, line.text))]
            if hits:
                line, match = hits[0]
                found.append({"read_as": match[1], "confidence": round(line.characters[match.start(1)], 3)})
            else:
                found.append({"read_as": "", "confidence": None})
    seen = [entry["confidence"] for entry in found if isinstance(entry["confidence"], float)]
    return {
        "characters": len(found),
        "read": len(seen),
        "suspicious": sum(confidence < DOUBT for confidence in seen),
        "each": found,
    }


def strip(reader: RapidReader, rng: random.Random, number: int) -> list[dict[str, float]]:
    """Draw one strip, damage a character in every second one, and measure all characters that were read."""
    text = "".join(rng.sample(TEXT, LENGTH))
    image = _draw(text, rng.choice(DRAWN))
    hurt = rng.randrange(LENGTH) if number % 2 else -1
    if hurt >= 0:
        _erase(image, hurt, rng)
    bgr = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR).astype(np.uint8)
    height, width = image.shape
    inset = PAD * 0.7
    quad = np.array(
        [[inset, inset], [width - inset, inset], [width - inset, height - inset], [inset, height - inset]], np.float32
    )
    looks = [reader._recogniser.read(seen(bgr, quad, view)) for view in VIEWS[:4]]
    if [len(look) for look in looks] != [LENGTH] * len(looks):
        return [{"hurt": float(hurt >= 0), "read": 0.0, "half": float(number // 2 % 2), "lost": 1.0}]
    return [
        {
            "hurt": float(i == hurt),
            "half": float(number // 2 % 2),
            "read": float(looks[0][i].text == text[i]),
            "lost": 0.0,
            **_measures([look[i] for look in looks], image, i),
        }
        for i in range(LENGTH)
    ]


def _measures(looks: Sequence[Character], image: Grey, place: int) -> dict[str, float]:
    first = looks[0]
    return {
        "confidence": first.confidence,
        "least_confidence": min(c.confidence if c.text == first.text else 0.0 for c in looks),
        "lead": first.confidence - max((p for _, p in first.alternatives), default=0.0),
        "correlation": _correlation(_cell(image, place), first.text),
    }


def _draw(text: str, font: tuple[str, int]) -> Grey:
    image = Image.new("L", (SIZE * LENGTH + 2 * PAD, SIZE + 2 * PAD), 235)
    pen = ImageDraw.Draw(image)
    for i, char in enumerate(text):
        pen.text((PAD + i * SIZE, PAD - 6), char, fill=25, font=load(font, SIZE - 2))
    noise = np.random.default_rng(len(text)).normal(0, 5, (image.height, image.width))
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(0.7)), dtype=np.float64)
    return np.clip(soft + noise, 0, 255).astype(np.uint8)


def _erase(image: Grey, place: int, rng: random.Random) -> None:
    """Erase the quadrant of a character that holds most ink or any other but the emptiest."""
    cell = _cell(image, place)
    half = SIZE // 2
    quadrants = [(y, x) for y in (0, half) for x in (0, half)]
    by_ink = sorted(quadrants, key=lambda q: -int((cell[q[0] : q[0] + half, q[1] : q[1] + half] < 130).sum()))
    y, x = rng.choice(by_ink[:3])
    cell[y : y + half, x : x + half] = 235


def _cell(image: Grey, place: int) -> Grey:
    return image[PAD : PAD + SIZE, PAD + place * SIZE : PAD + (place + 1) * SIZE]


def _correlation(cell: Grey, char: str) -> float:
    """Best correlation of the ink with the character in the fonts to compare with."""
    shape = _shape(255 - cell)
    return max(float(np.corrcoef(shape, _template(char, font))[0, 1]) for font in COMPARED)


def _template(char: str, font: tuple[str, int]) -> NDArray[np.float64]:
    image = Image.new("L", (SIZE, SIZE), 0)
    ImageDraw.Draw(image).text((0, -6), char, fill=230, font=load(font, SIZE - 2))
    return _shape(np.asarray(image, dtype=np.uint8))


def _shape(ink: Grey) -> NDArray[np.float64]:
    """Cut to the ink and scale to one size, softened: fonts differ in width and weight, not in where strokes lie."""
    ys, xs = np.nonzero(ink > 110)
    box = ink[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1] if len(ys) else ink
    small = cv2.resize(box, (32, 32), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), 1.2).astype(np.float64).ravel()


def summary(rows: list[dict[str, float]]) -> dict[str, object]:
    """Rates by measure; thresholds from one half of the strips, rates on the other, both ways."""
    kept = [row for row in rows if not row["lost"]]
    hurt = [row for row in kept if row["hurt"]]
    return {
        "whole_characters": sum(not row["hurt"] for row in kept),
        "damaged_characters": len(hurt),
        "strips_of_another_length": sum(bool(row["lost"]) for row in rows),
        "damaged_read_as_before": round(sum(row["read"] for row in hurt) / len(hurt), 3),
        "below_the_reports_threshold": {
            "threshold": DOUBT,
            "found": round(sum(row["confidence"] < DOUBT for row in hurt) / len(hurt), 3),
            "false_alarms": round(
                sum(row["confidence"] < DOUBT for row in kept if not row["hurt"])
                / sum(not row["hurt"] for row in kept),
                4,
            ),
        },
        "measures": {name: _rates(kept, name) for name in MEASURES},
    }


def _rates(rows: list[dict[str, float]], name: str) -> dict[str, float]:
    caught: list[bool] = []
    accused: list[bool] = []
    for half in (0.0, 1.0):
        threshold = np.percentile([row[name] for row in rows if not row["hurt"] and row["half"] == half], 1.0)
        other = [row for row in rows if row["half"] != half]
        caught.extend(row[name] < threshold for row in other if row["hurt"])
        accused.extend(row[name] < threshold for row in other if not row["hurt"])
    whole = np.array([row[name] for row in rows if not row["hurt"]])
    area = np.mean([np.mean(whole > row[name]) + np.mean(whole == row[name]) / 2 for row in rows if row["hurt"]])
    return {
        "found_at_1_percent": round(float(np.mean(caught)), 3),
        "false_alarms": round(float(np.mean(accused)), 4),
        "auroc": round(float(area), 3),
    }


if __name__ == "__main__":
    sys.exit(main())
