"""Labels of somebody else's characters are read under the names that rows have, and never guessed."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "glyphs"))

from annotated import agreed, labels_of, read_folder
from glyph_sets import correlation, interval

BOX = [10, 20, 40, 52]


def folder(tmp_path, rows, name="labels.json"):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"")
    text = "\n".join(map(json.dumps, rows)) if name.endswith("jsonl") else json.dumps(rows)
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("row", "label"),
    [
        ({"label": "correct"}, "whole"),
        ({"label": "Malformed"}, "broken"),
        ({"is_correct": True}, "whole"),
        ({"correct": 0}, "broken"),
        ({"is_error": True}, "broken"),
        ({"error": 0}, "whole"),
    ],
)
@pytest.mark.parametrize("name", ["labels.json", "labels.jsonl"])
def test_a_row_per_character(tmp_path, row, label, name):
    (found,) = read_folder(folder(tmp_path, [{"file_name": "a.png", "char": "国", "bbox": BOX, **row}], name))
    assert (found.image, found.character, found.label) == ("images/a.png", "国", label)
    assert found.broken == (label == "broken")
    assert found.middle == (25, 36)
    assert found.size == 32


def test_a_row_per_image_with_its_characters(tmp_path):
    row = {"image": {"path": "a.png"}, "characters": [{"target": c, "box": BOX, "correct": c == "国"} for c in "国家"]}
    found = read_folder(folder(tmp_path, {"version": 1, "rows": [row]}))
    assert [(label.character, label.label) for label in found] == [("国", "whole"), ("家", "broken")]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"char": "国", "bbox": BOX, "label": "correct"}, "no field image"),
        ({"image": "a.png", "char": "国", "bbox": BOX}, "no field label"),
        ({"image": "a.png", "char": "国", "bbox": BOX, "label": "perhaps"}, "neither"),
        ({"image": "b.png", "char": "国", "bbox": BOX, "label": "correct"}, "no image b.png"),
    ],
)
def test_what_is_not_understood_is_said(tmp_path, row, says):
    with pytest.raises(SystemExit, match=says):
        read_folder(folder(tmp_path, [row]))


def test_a_folder_without_labels_is_said(tmp_path):
    with pytest.raises(SystemExit, match="no labels"):
        read_folder(tmp_path)


def test_own_labels_name_the_image_by_its_hash(tmp_path):
    file = tmp_path / "labels.json"
    corners = [[0, 0], [10, 0], [10, 10], [0, 10]]
    row = {"image": "a.png", "image_sha256": "00", "character": "国", "box": corners, "labels": ["whole", "strokes"]}
    file.write_text(json.dumps([row]), encoding="utf-8")
    (found,) = labels_of(file)
    assert (found.sha256, found.label, found.broken) == ("00", "left out", False)


@pytest.mark.parametrize(
    ("labels", "label"),
    [
        (("whole", "whole"), "whole"),
        (("strokes", "strokes"), "strokes"),
        (("strokes", "pseudo"), "pseudo"),
        (("whole", "strokes"), "left out"),
        (("cannot say", "strokes"), "left out"),
        (("another character", "another character"), "left out"),
    ],
)
def test_a_character_counts_where_two_labels_agree(labels, label):
    assert agreed(labels) == label


def test_the_committed_labels_are_of_characters_of_images_with_a_hash():
    labels = labels_of(Path(__file__).parents[2] / "benchmarks" / "glyphs" / "labels.json")
    assert len(labels) == 555
    assert {len(label.sha256) for label in labels} == {64}
    assert sum(label.label == "whole" for label in labels) == 447
    assert sum(label.broken for label in labels) == 15


def test_an_interval_is_wider_where_the_hits_are_in_one_image():
    spread = interval({f"{k}": (1, 10) for k in range(20)})
    lumped = interval({f"{k}": (10 if k < 2 else 0, 10) for k in range(20)})
    assert spread == (0.1, 0.1, 0.1)
    assert lumped[0] == 0.1
    assert lumped[1] < 0.05
    assert lumped[2] > 0.2
    assert interval({}) == (0.0, 0.0, 1.0)


def test_correlation_finds_a_drawing_that_is_moved():
    import numpy as np

    drawn = np.zeros((3, 48, 48), np.float32)
    drawn[1, 14:30, 10:26] = 1
    moved = np.roll(drawn[1], (2, -4), (0, 1))
    assert correlation(moved, drawn) == pytest.approx(1, abs=1e-3)
    assert correlation(np.roll(drawn[1], 15, 0), drawn) < 0.5
