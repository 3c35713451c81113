"""Labels of characters: this repository's own, and those of a folder made by somebody else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qiltest.reading.quad import Quad, extent

#: Names under which a row may have each field. TextRenderBench-ZH's own are assumed to be among them.
IMAGE = ("image", "file_name", "image_path", "image_id", "source_image", "image_name", "file")
BOX = ("box", "bbox", "crop_box", "position", "polygon", "points", "quad")
CHARACTER = ("character", "char", "target", "target_char", "intended_character", "intended_char", "text", "gt")
LABEL = ("label", "correct", "is_correct", "structural_correctness", "is_error", "error", "broken", "status")
#: fields that hold a list of characters, in rows that stand for a whole image
INSIDE = ("characters", "annotations", "chars", "labels", "items")
#: of characters on which two labels do not agree, or which are no fault of strokes.
LEFT_OUT = "left out"
WHOLE = {"whole", "correct", "ok", "right", "true", "good", "normal"}
BROKEN = {"broken", "wrong", "error", "incorrect", "false", "bad", "malformed", "abnormal", "pseudo", "wrong strokes"}


@dataclass(frozen=True, kw_only=True)
class Label:
    """What people say of one character."""

    image: str
    sha256: str
    character: str
    box: Quad
    #: "whole", a kind of broken, or `LEFT_OUT`.
    label: str

    @property
    def broken(self) -> bool:
        """Whether its strokes are wrong."""
        return self.label not in ("whole", LEFT_OUT)

    @property
    def middle(self) -> tuple[float, float]:
        """The middle of its box, pixels."""
        return sum(x for x, _ in self.box) / 4, sum(y for _, y in self.box) / 4

    @property
    def size(self) -> float:
        """The longer side of its box, pixels."""
        return max(extent(self.box))


def labels_of(file: Path) -> list[Label]:
    """Read this repository's labels: rows of `image`, `image_sha256`, `character`, `box` (4 points), and two `labels`.

    Each character was labelled twice by eye, without the other label or the network's answer: "whole", "strokes" (wrong
    ones, but it can still be told), "pseudo" (no character), "another character", "no character", "cannot say".
    """
    return [
        Label(
            image=row["image"],
            sha256=row["image_sha256"],
            character=row["character"],
            box=quad(row["box"]),
            label=agreed(row["labels"]),
        )
        for row in json.loads(file.read_text(encoding="utf-8"))
    ]


def agreed(labels: Sequence[str]) -> str:
    """Return what two labels of a character agree on: "whole", "strokes", "pseudo" where one says so; or `LEFT_OUT`."""
    said = set(labels)
    if said == {"whole"}:
        return "whole"
    if said <= {"strokes", "pseudo"}:
        return "pseudo" if "pseudo" in said else "strokes"
    return LEFT_OUT


def read_folder(folder: Path) -> list[Label]:
    """Read all JSON, JSON Lines and Parquet files of a folder (Parquet needs the package pyarrow).

    Rows are one per character, or one per image with a list of characters. Stops where a row lacks a field.
    """
    found: list[Label] = []
    for file in sorted(path for path in folder.rglob("*") if path.suffix in {".json", ".jsonl", ".parquet"}):
        for row in rows(file):
            found.extend(labels_in(row, folder, file))
    if not found:
        raise SystemExit(f"{folder}: no labels in .json, .jsonl or .parquet files")
    return found


def rows(file: Path) -> Iterator[Mapping[str, Any]]:
    """Return the rows of one file."""
    if file.suffix == ".parquet":
        from pyarrow import parquet

        yield from parquet.read_table(file).to_pylist()
    elif file.suffix == ".jsonl":
        yield from (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    else:
        content = json.loads(file.read_text(encoding="utf-8"))
        inside = content if isinstance(content, list) else next(filter(_is_rows, content.values()), [content])
        yield from (row for row in inside if isinstance(row, Mapping))


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def labels_in(row: Mapping[str, Any], folder: Path, file: Path) -> Iterator[Label]:
    """Return the labels of one row."""
    for name in INSIDE:
        if _is_rows(row.get(name)):
            for part in row[name]:
                yield from labels_in({**row, **part, name: None}, folder, file)
            return
    image = field(row, IMAGE, file)
    yield Label(
        image=str(within(folder, str(image.get("path") if isinstance(image, Mapping) else image))),
        sha256="",
        character=str(field(row, CHARACTER, file)),
        box=quad(field(row, BOX, file)),
        label=named(row, file),
    )


def field(row: Mapping[str, Any], names: Sequence[str], file: Path) -> Any:  # noqa: ANN401  JSON
    """Return the first of several fields that a row has."""
    for name in names:
        if row.get(name) is not None:
            return row[name]
    raise SystemExit(f"{file}: no field {' or '.join(names)} among {', '.join(map(str, row))}")


def named(row: Mapping[str, Any], file: Path) -> str:
    """Return "whole" or "broken" for what a row says; fields called an error say it the other way round."""
    key = next((name for name in LABEL if row.get(name) is not None), None)
    if key is None:
        raise SystemExit(f"{file}: no field {' or '.join(LABEL)} among {', '.join(map(str, row))}")
    value = row[key]
    if isinstance(value, bool | int):
        return "whole" if bool(value) != (key in ("is_error", "error", "broken")) else "broken"
    word = str(value).strip().lower()
    if word in WHOLE or word in BROKEN:
        return "whole" if word in WHOLE else "broken"
    raise SystemExit(f"{file}: {key} is {value!r}, neither {sorted(WHOLE)} nor {sorted(BROKEN)}")


def quad(box: Any) -> Quad:  # noqa: ANN401  JSON
    """Return a quadrilateral of four points, or of left, top, right, bottom."""
    if len(box) == 4 and not isinstance(box[0], list | tuple):
        left, top, right, bottom = map(float, box)
        return (left, top), (right, top), (right, bottom), (left, bottom)
    a, b, c, d = ((float(x), float(y)) for x, y in box)
    return a, b, c, d


def within(folder: Path, name: str) -> Path:
    """Return an image's path below a folder, wherever in it the file lies."""
    found = next(iter(sorted(folder.rglob(Path(name).name))), None)
    if found is None:
        raise SystemExit(f"{folder}: no image {name}")
    return found.relative_to(folder)
