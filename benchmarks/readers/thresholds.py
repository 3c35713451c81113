"""Whether the scorer's thresholds fit only the images that they were chosen on.

    python benchmarks/readers/thresholds.py [--images ../shared/real-images]

Reads every real image whose true reading is sure once, moves one threshold of matching at a time, by a third up to
several times, and counts again: texts measured exactly, typo images found, correct images called wrong. A threshold
that can be moved far without a change is not tuned. Results in benchmarks/results/thresholds.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from qiltest.arguments import existing_folder
from qiltest.files import write_atomically
from qiltest.reading import Reading, open_reader, quad
from qiltest.scoring import chains, extras, geometry, scorer, split
from qiltest.suite.cases import ExpectedText
from readers import _flagged, _scored, images_of

ROOT = Path(__file__).resolve().parents[2]
MOVED: tuple[tuple[Any, str, tuple[float, ...]], ...] = (
    (geometry, "SIZE_RATIO", (1.8, 2.2, 2.5, 3.0, 5.0, 8.0)),
    (geometry, "GAP", (1.2, 1.8, 3.5, 5.0)),
    (geometry, "ROW_OVERLAP", (0.3, 0.7)),
    (quad, "COLUMN_RATIO", (1.2, 2.0)),
    (chains, "RELEVANT", (35.0, 65.0)),
    (chains, "SURE", (0.1, 0.5, 0.7)),
    (chains, "CASE", (250, 800)),
    (extras, "SURE", (0.3, 0.7)),
    (extras, "WEIGHT", (2.5, 6.0)),
    (extras, "FRAGMENT_WEIGHT", (5.0, 12.0)),
    (extras, "WRONG", (0.1, 0.3)),
    (split, "WRONG", (0.2, 0.45)),
    (scorer, "ABSORBED_WEIGHT", (1.0, 4.0)),
    (scorer, "ABSORBED_CONFIDENCE", (0.4, 0.8)),
)
Read = list[tuple[dict[str, Any], Reading]]


def main() -> int:
    """Run the experiment and write benchmarks/results/thresholds.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--images",
        type=existing_folder,
        default=str(ROOT.parent / "shared" / "real-images"),
        help="a folder of images with true readings",
    )
    args = parser.parse_args()
    images = images_of(args.images, sure=True)
    reader = open_reader("rapidocr:threads=1")
    read = [(image, reader.read(args.images / image["file"])) for image in images]
    result: dict[str, Any] = {"fingerprint": reader.info.fingerprint, "images": len(read), "as_it_is": counts(read)}
    result["moved"] = list(moved(read))
    file = ROOT / "benchmarks" / "results" / "thresholds.json"
    write_atomically(file, (json.dumps(result, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())
    print(result["as_it_is"])
    for row in result["moved"]:
        print(row["threshold"], row["from"], "->", row["to"], "same" if row["counts"] == result["as_it_is"] else row)
    return 0


def moved(read: Read) -> Iterator[dict[str, Any]]:
    """Count again with each threshold at each of its other values."""
    for module, name, values in MOVED:
        for value in values:
            with patch.object(module, name, value):
                found = counts(read)
            threshold = f"{module.__name__.rpartition('.')[2]}.{name}"
            yield {"threshold": threshold, "from": getattr(module, name), "to": value, "counts": found}


def counts(read: Read) -> dict[str, int]:
    """Texts measured exactly, typo images found, correct images called wrong."""
    found = dict.fromkeys(("exact", "typos_found", "false_alarms"), 0)
    for image, reading in read:
        true = image["char_edit_distance"]
        score = _scored([ExpectedText(text=text) for text in image["expected_text"]], reading, ())
        if score is not None:
            found["exact"] += sum(text.distance == each for text, each in zip(score.texts, true, strict=True))
        found["typos_found" if any(true) else "false_alarms"] += _flagged(score)
    return found


if __name__ == "__main__":
    sys.exit(main())
