"""Characters of generated images that people labelled whole or broken: what the glyph check says of them.

    python benchmarks/glyphs/labelled.py [--labels FILE] [--images FOLDER] [--out FILE]
    python benchmarks/glyphs/labelled.py --annotated FOLDER

Without `--annotated`: the labels in benchmarks/glyphs/labels.json, of the images in ../shared/real-images. Each image
is read and its characters are cut out where the reader places them, as the suite does it; a label belongs to the
character that was read the same at the same place of the image with the same hash.

`--annotated`: the folder of TextRenderBench-ZH (Hugging Face, datasets/ATH-MaaS/TextRenderBench-ZH: 299 images, 7,127
characters with position, intended character and structural correctness, 608 of them wrong), or any of the same form. It
was not at hand when this was written: its card tells the fields' meaning, not their names, so common names are tried
(`annotated.py`), and what fits none is an error that says which names there are. Crops come from the labels' boxes.

Says how many whole and broken characters are flagged, with intervals clustered by image, and, at the same rate of false
alarms, what the reader's confidence and the correlation with drawn characters find.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from annotated import LEFT_OUT, Label, labels_of, read_folder
from glyph_sets import MEASURES, Judged, judged, rates, threshold_at

from qiltest.arguments import existing_file, existing_folder
from qiltest.files import write_atomically
from qiltest.hashing import file_sha256
from qiltest.reading import Line, Reader, open_reader
from qiltest.reading.glyphs.network import Verifier
from qiltest.reading.images import load_image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
#: The reader is in doubt below this confidence: what stood for broken strokes before.
DOUBT = 0.8
Found = tuple[Judged, Label]


def main() -> int:
    """Judge the labelled characters and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=existing_file, default=str(HERE / "labels.json"))
    parser.add_argument("--images", type=Path, default=ROOT.parent / "shared" / "real-images")
    parser.add_argument("--annotated", type=existing_folder)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.annotated is None and not args.images.is_dir():
        parser.error(f"argument --images: no such folder: {args.images}\n  -> name one, or --annotated FOLDER")
    verifier = Verifier(threads=1)
    if args.annotated is not None:
        labels, images = read_folder(args.annotated), args.annotated
        found = by_boxes(verifier, labels, images)
        out = args.out or Path("glyphs_annotated.json")
    else:
        labels, images = labels_of(args.labels), args.images
        found = by_reading(verifier, open_reader("rapidocr"), labels, images)
        out = args.out or ROOT / "benchmarks" / "results" / "glyphs_real.json"
    result = {"labels": len(labels), "judged": len(found), **summary(found, verifier)}
    write_atomically(out, (json.dumps(result, ensure_ascii=False, indent=1) + "\n").encode())
    print(json.dumps(result, ensure_ascii=False, indent=1))
    return 0


def by_reading(verifier: Verifier, reader: Reader, labels: Sequence[Label], images: Path) -> list[Found]:
    """Return the labelled characters that the reader reads as labelled, as they are judged in the suite."""
    found: list[Found] = []
    for name in sorted({label.image for label in labels}):
        mine = [label for label in labels if label.image == name]
        file = images / name
        if any(label.sha256 and label.sha256 != file_sha256(file) for label in mine):
            raise SystemExit(f"{file} is not the image that was labelled")
        reading = reader.read(file)
        for row in judged(verifier, load_image(file), name, reading.lines):
            label = same(row, mine)
            if label is not None:
                found.append((row, label))
        print(name, len(found), flush=True)
    return found


def same(row: Judged, labels: Sequence[Label]) -> Label | None:
    """Return the label of a character: the same character, its middle within 40 % of its height."""
    x, y = (sum(point[k] for point in row.box) / 4 for k in range(2))
    for label in labels:
        far = math.dist((x, y), label.middle)
        if label.character == row.character and far <= 0.4 * max(row.height, label.size):
            return label
    return None


def by_boxes(verifier: Verifier, labels: Sequence[Label], images: Path) -> list[Found]:
    """Return characters cut out of their labels' boxes; the reader's confidence is unknown and counts as sure."""
    found: list[Found] = []
    for name in sorted({label.image for label in labels}):
        image = load_image(images / name)
        mine = [label for label in labels if label.image == name]
        lines = [Line(text=label.character, box=label.box, confidence=1.0, places=(0.5,)) for label in mine]
        for row in judged(verifier, image, name, lines):
            found.append((row, mine[row.line]))
    return found


def summary(found: Sequence[Found], verifier: Verifier) -> dict[str, Any]:
    """Return the tables of what is large enough to be judged, and of each height."""
    large = [(row, label) for row, label in found if verifier.judges(row.character, row.height)]
    result: dict[str, Any] = {
        "left out": sum(label.label == LEFT_OUT for _, label in found),
        "large enough": len(large),
    }
    for name in sorted({label.label for _, label in large}):
        rows = [row for row, label in large if label.label == name]
        result[name] = rates(rows, lambda row: row.measures["network"] > 0)
    whole = [row for row, label in large if label.label == "whole"]
    broken = [row for row, label in large if label.broken]
    for share in (0.005, 0.01, 0.02):
        equal = {}
        for measure in MEASURES:
            limit = threshold_at(whole, measure, share)
            flagged = rates(broken, lambda row, m=measure, t=limit: row.measures[m] > t)  # type: ignore[misc]
            equal[measure] = {"found": flagged["rate"], "interval": flagged["interval"]}
        result[f"broken found at {share:.1%} false alarms"] = equal
    result["broken above whole"] = {measure: round(above(whole, broken, measure), 4) for measure in MEASURES}
    doubted = [rates(rows, lambda row: row.measures["confidence"] > -DOUBT) for rows in (whole, broken)]
    result["confidence below 0.8"] = {"whole": doubted[0], "broken": doubted[1]}
    result["whole by height"] = {
        f"{low}-{high} px": rates(
            [row for row, label in found if label.label == "whole" and low <= row.height < high],
            lambda row: row.measures["network"] > 0,
        )
        for low, high in ((0, 16), (16, 20), (20, 24), (24, 32), (32, 48), (48, 9999))
    }
    result["whole and flagged"] = [
        {
            "image": row.image,
            "character": row.character,
            "box": row.box[0],
            "log_odds": round(row.measures["network"], 2),
        }
        for row in whole
        if row.measures["network"] > 0
    ]
    result["broken and not flagged"] = [
        {
            "image": row.image,
            "character": row.character,
            "label": label.label,
            "log_odds": round(row.measures["network"], 2),
        }
        for row, label in large
        if label.broken and row.measures["network"] <= 0
    ]
    return result


def above(whole: Sequence[Judged], broken: Sequence[Judged], measure: str) -> float:
    """Return the share of pairs in which the broken character has the higher measure; equal ones count half."""
    high = np.array([row.measures[measure] for row in broken])[:, None]
    low = np.array([row.measures[measure] for row in whole])
    return float((high > low).mean() + 0.5 * (high == low).mean()) if len(whole) and len(broken) else 0.0


if __name__ == "__main__":
    raise SystemExit(main())
