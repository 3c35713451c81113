"""How far the measures of the default reader move when an image changes and its text does not.

    python benchmarks/readers/perturbed.py [--images ../shared/real-images] [--jobs 2] [--cache build/perturbed]

Reads every real image whose true reading is sure as it is and after eleven mild changes (JPEG, size, margins, shift,
brightness, contrast), with all rules of the reader and with each of them switched off (--variant takes some of these),
and counts texts measured exactly, typo images found and correct images called wrong, for all images, the first and the
added ones (`readers.ADDED`). A rule that only fits the images as they are would lose its worth here. Readings are kept
in the cache with the hash of the code that reads; after a run that was cut off the same command goes on. Results go to
benchmarks/results/perturbed.json, under --label.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import io
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from drawn.readings import code_of_readers
from PIL import Image, ImageEnhance

from qiltest.arguments import existing_folder
from qiltest.files import write_atomically
from qiltest.reading import Reading
from qiltest.reading.images import Pixels
from qiltest.reading.rapidocr import reader as rapid
from qiltest.reading.rapidocr.crops import Quad
from qiltest.reading.rapidocr.ctc import Recognition
from qiltest.reading.rapidocr.reader import RapidReader
from qiltest.reading.rapidocr.views import View
from qiltest.scoring import Score
from qiltest.strict_json import decode
from qiltest.suite.cases import ExpectedText
from readers import ADDED, Share, _flagged, _scored, _why, images_of

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
    """Run what is missing of the experiment; write the results and a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--images",
        type=existing_folder,
        default=str(ROOT.parent / "shared" / "real-images"),
        help="a folder of images with true readings",
    )
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="default: all")
    parser.add_argument("--change", action="append", choices=tuple(CHANGES), help="default: all; nothing is written")
    parser.add_argument("--label", default="after", help="name of this state in the results, such as before")
    parser.add_argument("--output", default=str(OUTPUT), help="'-' for none")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "perturbed")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    images, variants = images_of(args.images, sure=True), args.variant or VARIANTS
    os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")
    changes: dict[str, Any] = {}
    with ProcessPoolExecutor(args.jobs) as pool:
        for name in args.change or CHANGES:
            files = [args.images / image["file"] for image in images]
            done = [pool.submit(readings_of, file, name, tuple(variants), args.cache) for file in files]
            changes[name] = measure(images, [each.result() for each in done], variants)
            print(name, {key: changes[name][variants[0]][key] for key in ("all", "added")}, flush=True)
    if args.output != "-" and not args.change:
        _write(
            Path(args.output),
            args.label,
            {"images": len(images), "changes": changes, "together": together(changes, variants)},
        )
    print(table(changes, variants))
    return 0


def _write(output: Path, label: str, result: Mapping[str, Any]) -> None:
    record = json.loads(output.read_text(encoding="utf-8")) if output.is_file() else {}
    record[label] = {"fingerprint": _reader().info.fingerprint, "code_of_readers": code_of_readers(), **result}
    write_atomically(output, (json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())


@functools.cache
def _reader() -> Remembering:
    return Remembering(threads=1)


def readings_of(file: Path, change: str, variants: Sequence[str], cache: Path) -> dict[str, Reading]:
    """Read one image after a change by every variant of the rules, or take what was kept."""
    name = hashlib.sha256(file.read_bytes() + change.encode()).hexdigest()[:20]
    kept_in = cache / f"{_reader().info.fingerprint}-code-{code_of_readers()}"
    missing = [variant for variant in variants if not (kept_in / f"{name}-{variant}.json").is_file()]
    if missing:
        kept_in.mkdir(parents=True, exist_ok=True)
        data = io.BytesIO()
        CHANGES[change](Image.open(file).convert("RGB")).save(data, "PNG", compress_level=1)
        reader = _reader()
        reader.found, reader.looks = None, {}
        for variant in missing:
            reading = _read(reader, data.getvalue(), variant)
            write_atomically(kept_in / f"{name}-{variant}.json", json.dumps(asdict(reading), allow_nan=False).encode())
    return {variant: decode(Reading, (kept_in / f"{name}-{variant}.json").read_bytes()) for variant in variants}


def measure(
    images: Sequence[dict[str, Any]], readings: Sequence[Mapping[str, Reading]], variants: Sequence[str]
) -> dict[str, Any]:
    """Count over all images, the first ones and the added ones, and list what was measured wrongly by all rules."""
    result: dict[str, Any] = {}
    for variant in variants:
        wanted = [[ExpectedText(text=text) for text in image["expected_text"]] for image in images]
        scores = [_scored(texts, read[variant], ()) for texts, read in zip(wanted, readings, strict=True)]
        rows = list(zip(images, scores, strict=True))
        result[variant] = {
            "all": _counts(rows),
            "first": _counts([row for row in rows if row[0]["file"] not in ADDED]),
            "added": _counts([row for row in rows if row[0]["file"] in ADDED]),
        }
        if variant == VARIANTS[0]:
            result["wrong"] = [wrong for row in rows for wrong in _wrong(*row)]
    return result


def _right(image: dict[str, Any], found: Score | None) -> list[bool]:
    return [found is not None and found.texts[i].distance == true for i, true in enumerate(image["char_edit_distance"])]


def _counts(rows: Sequence[tuple[dict[str, Any], Score | None]]) -> dict[str, dict[str, int]]:
    right = [ok for row in rows for ok in _right(*row)]
    typos = [_flagged(found) for image, found in rows if any(image["char_edit_distance"])]
    alarms = [_flagged(found) for image, found in rows if not any(image["char_edit_distance"])]
    counted = {"exact": right, "typos": typos, "alarms": alarms}
    return {key: {"hits": sum(hits), "of": len(hits)} for key, hits in counted.items()}


def _wrong(image: dict[str, Any], found: Score | None) -> list[str]:
    if found is None:
        return [f"{image['file']}: nothing read"]
    shown = zip(found.texts, image["shown_text"], _right(image, found), strict=True)
    return [f"{image['file']}: {_why(true, text.read)}" for text, true, ok in shown if not ok]


def together(changes: Mapping[str, Any], variants: Sequence[str]) -> dict[str, Any]:
    """Add up the changes, without the images as they are."""
    changed = [found for name, found in changes.items() if name != "as it is"]

    def share(variant: str, part: str, key: str) -> dict[str, Any]:
        counts = [found[variant][part][key] for found in changed]
        return Share(hits=sum(c["hits"] for c in counts), of=sum(c["of"] for c in counts)).record()

    return {
        variant: {
            part: {key: share(variant, part, key) for key in ("exact", "typos", "alarms")}
            for part in ("all", "first", "added")
        }
        for variant in variants
    }


def _read(reader: Remembering, data: bytes, variant: str) -> Reading:
    views = reader._views
    with ExitStack() as stack:
        rule = variant.removeprefix("without ")
        if rule in RULES:
            stack.enter_context(patch.object(rapid, rule, RULES[rule]))
        if variant == "one look":
            stack.enter_context(patch.object(reader, "_views", views[:1]))
        return reader.read(data)


def table(changes: Mapping[str, Any], variants: Sequence[str]) -> str:
    """Markdown: changes by variants, each as texts exact / typo images found / correct images called wrong."""
    rows = [f"| change | {' | '.join(variants)} |", "|---" * (len(variants) + 1) + "|"]
    for name, found in changes.items():
        cells = (" / ".join(str(count["hits"]) for count in found[variant]["all"].values()) for variant in variants)
        rows.append(f"| {name} | {' | '.join(cells)} |")
    for part in ("all", "first", "added"):
        shares = together(changes, variants)
        for variant in variants:
            told = ", ".join(
                f"{key} {share['hits']} of {share['of']}" + (f" ({100 * share['share']:.1f} %)" if share["of"] else "")
                for key, share in shares[variant][part].items()
            )
            rows.append(f"\nchanged, {part}, {variant}: {told}")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
