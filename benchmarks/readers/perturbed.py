"""How far the measures of the default reader move when an image changes and its text does not.

    python benchmarks/readers/perturbed.py [--images ../shared/real-images]

Reads every real image whose true reading is sure as it is and after mild changes (JPEG, size, margins, shift,
brightness, contrast), with all rules of the reader and with each of them switched off, and counts texts measured
exactly, typo images found and correct images called wrong. A rule that only fits the images as they are would
lose its worth here. Each change is written to benchmarks/results/perturbed.json when it is done; after a run that was
cut off the same command goes on with the next.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image, ImageEnhance

from qiltest.files import write_atomically
from qiltest.reading.images import Pixels
from qiltest.reading.rapidocr import reader as rapid
from qiltest.reading.rapidocr.crops import Quad
from qiltest.reading.rapidocr.ctc import Recognition
from qiltest.reading.rapidocr.reader import RapidReader
from qiltest.reading.rapidocr.views import View
from qiltest.suite.cases import ExpectedText
from readers import Share, _flagged, _scored, _why, images_of

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "benchmarks" / "results" / "perturbed.json"
Change = Callable[[Image.Image], Image.Image]


def _jpeg(quality: int) -> Change:
    def change(image: Image.Image) -> Image.Image:
        data = io.BytesIO()
        image.save(data, "JPEG", quality=quality)
        return Image.open(data).convert("RGB")

    return change


def _scale(share: float) -> Change:
    return lambda image: image.resize(
        (round(image.width * share), round(image.height * share)), Image.Resampling.LANCZOS
    )


def _padded(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.pad(np.asarray(image), ((5, 5), (7, 7), (0, 0)), mode="edge"))


def _shifted(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image)
    return Image.fromarray(np.concatenate([np.repeat(pixels[:, :1], 3, axis=1), pixels[:, :-3]], axis=1))


CHANGES: Mapping[str, Change] = {
    "as it is": lambda image: image,
    "JPEG 95": _jpeg(95),
    "JPEG 90": _jpeg(90),
    "0.9 of its size": _scale(0.9),
    "1.1 of its size": _scale(1.1),
    "4 pixels cropped": lambda image: image.crop((4, 3, image.width - 4, image.height - 3)),
    "7 pixels padded": _padded,
    "shifted by 3 pixels": _shifted,
    "brightness + 5 %": lambda image: ImageEnhance.Brightness(image).enhance(1.05),
    "brightness - 5 %": lambda image: ImageEnhance.Brightness(image).enhance(0.95),
    "contrast + 5 %": lambda image: ImageEnhance.Contrast(image).enhance(1.05),
    "contrast - 5 %": lambda image: ImageEnhance.Contrast(image).enhance(0.95),
}
#: Rules of the reader, each with what stands in its place when it is off.
RULES: Mapping[str, Callable[..., object]] = {
    "sized": lambda characters, *_: tuple(characters),
    "with_ones": tuple,
    "blocks": lambda *_: (),
}
VARIANTS = ("all rules", "one look", *(f"without {rule}" for rule in RULES))


class Remembering(RapidReader):
    """Remembers boxes and looks of one image, so that reading it again by other rules costs little."""

    found: list[Quad] | None = None
    looks: dict[tuple[bytes, View], Recognition]

    def boxes(self, bgr: Pixels) -> list[Quad]:
        """Find boxes once an image."""
        if self.found is None:
            self.found = super().boxes(bgr)
        return self.found

    def look(self, bgr: Pixels, quad: Quad, view: View) -> Recognition:
        """Take each look once an image."""
        key = (quad.tobytes(), view)
        if key not in self.looks:
            self.looks[key] = super().look(bgr, quad, view)
        return self.looks[key]


def main() -> int:
    """Run what is missing of the experiment; write benchmarks/results/perturbed.json and a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, default=ROOT.parent / "shared" / "real-images")
    args = parser.parse_args()
    images = images_of(args.images, sure=True)
    reader = Remembering(threads=1)
    kept = json.loads(OUTPUT.read_text()) if OUTPUT.is_file() else {}
    same = kept.get("fingerprint") == reader.info.fingerprint and kept.get("images") == len(images)
    changes = kept["changes"] if same else {}
    for name, change in CHANGES.items():
        if name in changes:
            continue
        changes[name] = measure(reader, args.images, images, change)
        record = {"fingerprint": reader.info.fingerprint, "images": len(images), "changes": changes}
        write_atomically(OUTPUT, (json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())
        print(name, changes[name]["all rules"], flush=True)
    print(table(changes))
    return 0


def measure(reader: Remembering, folder: Path, images: list[dict[str, Any]], change: Change) -> dict[str, Any]:
    """Read all images after a change, by every variant of the rules."""
    counts = {variant: dict.fromkeys(("exact", "typos", "alarms"), 0) for variant in VARIANTS}
    wrong: list[str] = []
    for image in images:
        data = io.BytesIO()
        change(Image.open(folder / image["file"]).convert("RGB")).save(data, "PNG", compress_level=1)
        reader.found, reader.looks = None, {}
        wanted = [ExpectedText(text=text) for text in image["expected_text"]]
        for variant in VARIANTS:
            found = _scored(wanted, _read(reader, data.getvalue(), variant), ())
            true = image["char_edit_distance"]
            right = [found is not None and found.texts[i].distance == each for i, each in enumerate(true)]
            counts[variant]["exact"] += sum(right)
            counts[variant]["typos" if any(true) else "alarms"] += _flagged(found)
            if variant == VARIANTS[0] and found is not None:
                shown = zip(found.texts, image["shown_text"], right, strict=True)
                wrong.extend(f"{image['file']}: {_why(s, text.read)}" for text, s, ok in shown if not ok)
    typos = sum(any(image["char_edit_distance"]) for image in images)
    of = {
        "exact": sum(len(image["expected_text"]) for image in images),
        "typos": typos,
        "alarms": len(images) - typos,
    }
    rates: dict[str, Any] = {
        variant: {key: f"{hits} of {of[key]}" for key, hits in found.items()} for variant, found in counts.items()
    }
    rates["interval of exact"] = Share(hits=counts[VARIANTS[0]]["exact"], of=of["exact"]).record()
    return {**rates, "wrong": wrong}


def _read(reader: Remembering, data: bytes, variant: str) -> Any:  # noqa: ANN401 -- a reading
    views = reader._views
    with ExitStack() as stack:
        rule = variant.removeprefix("without ")
        if rule in RULES:
            stack.enter_context(patch.object(rapid, rule, RULES[rule]))
        if variant == "one look":
            stack.enter_context(patch.object(reader, "_views", views[:1]))
        return reader.read(data)


def table(changes: Mapping[str, Any]) -> str:
    """Markdown: changes by variants, each as texts exact / typo images found / correct images called wrong."""
    rows = [f"| change | {' | '.join(VARIANTS)} |", "|---" * (len(VARIANTS) + 1) + "|"]
    for name, found in changes.items():
        cells = (" / ".join(str(found[variant][key]).split(" ")[0] for key in found[variant]) for variant in VARIANTS)
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
