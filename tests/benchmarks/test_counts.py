"""What the benchmarks of readers count."""

import json
import os
from pathlib import Path

import pytest
from drawn.measure import measure
from drawn.readings import Kept

from qiltest.reading import Line, ReaderInfo, Reading
from readers import ADDED

READER = ReaderInfo(name="none", engine="none", version="1", weights_sha256="0" * 64)
REAL = Path(os.environ.get("QIL_REAL_IMAGES", Path(__file__).parents[3] / "shared" / "real-images"))


def kept(*texts):
    lines = tuple(
        Line(text=text, box=((10, 90 * k), (400, 90 * k), (400, 90 * k + 50), (10, 90 * k + 50)), confidence=0.99)
        for k, text in enumerate(texts, start=1)
    )
    return Kept(
        image_sha256="",
        processor_seconds=1.0,
        reading=Reading(reader=READER, width=500, height=500, lines=lines, seconds=1.0),
    )


def image(name, kind, *texts):
    told = [{"expected": e, "shown": s, "error": error, "distance": d, "font": "none"} for e, s, error, d in texts]
    return {
        "file": name,
        "kind": kind,
        "texts": told,
        "expected_text": [text["expected"] for text in told],
        "char_edit_distance": [text["distance"] for text in told],
    }


def test_texts_errors_and_false_alarms_are_counted_by_kind():
    images = [
        image("right.jpg", "poster", ("GREEN LEAF", "GREEN LEAF", "", 0), ("Fish", "Fish", "", 0)),
        image("error.jpg", "poster", ("GREEN LEAF", "GREN LEAF", "delete", 1)),
        image("alarm.jpg", "small", ("BLUE INN", "BLUE INN", "", 0)),
        image("missed.jpg", "small", ("BLUE INN", "BLUE IMN", "substitute", 1)),
        image("empty.jpg", "small", ("BLUE INN", "BLUE INN", "", 0)),
    ]
    readings = {
        "right.jpg": kept("GREEN LEAF", "Fish"),
        "error.jpg": kept("GREN LEAF"),
        "alarm.jpg": kept("BLUE 1NN"),
        "missed.jpg": kept("BLUE INN"),
        "empty.jpg": kept(),
    }
    found = measure(images, readings)
    counts = {
        kind: {key: (share["hits"], share["of"]) for key, share in found["kinds"][kind].items()}
        for kind in found["kinds"]
    }
    assert counts == {
        "poster": {"exact": (3, 3), "errors_found": (1, 1), "false_alarms": (0, 1)},
        "small": {"exact": (0, 3), "errors_found": (0, 1), "false_alarms": (2, 2)},
    }
    assert {name: (share["hits"], share["of"]) for name, share in found["errors"].items()} == {
        "delete": (1, 1),
        "substitute": (0, 1),
    }
    assert [wrong["file"] for wrong in found["wrong"]] == ["alarm.jpg", "missed.jpg", "empty.jpg"]


def test_the_added_real_images_are_sixteen_of_the_sixty_three():
    listing = REAL / "manifest.json"
    if not listing.is_file():
        pytest.skip(f"{listing}: not there")
    files = {entry["file"] for entry in json.loads(listing.read_text())["images"]}
    assert len(ADDED) == 16
    assert files >= ADDED
    assert len(files) >= 63
