"""The manifest of a folder of images: which file is which sample, and what its maker tells of it.

`manifest.jsonl` has one JSON object per line, `manifest.csv` a header and one row per image. Both are read strictly and
with bounded size; every mistake of every line is told at once. A path in it never leaves the folder.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, TypeAdapter, ValidationError

from qiltest import strict_json
from qiltest.errors import ImagesError
from qiltest.files import read_file
from qiltest.recipe import Scalar, Size
from qiltest.suite.problems import FileModel, show, suggest

JSON_LINES, CSV = "manifest.jsonl", "manifest.csv"
#: of a manifest; a line of the longest case's prompt has 2,000 bytes.
MOST_BYTES, MOST_LINE, MOST_ENTRIES = 16 << 20, 64 << 10, 20_000
#: mistakes that a message lists.
_SHOWN = 40
#: of a told fact.
MOST_TOLD, MOST_NAME, MOST_VALUE = 64, 64, 500
#: column of a told fact in CSV.
_TOLD = "told."

Fact = StrictBool | StrictInt | StrictFloat | Annotated[StrictStr, Field(max_length=MOST_VALUE)] | None
Name = Annotated[str, Field(min_length=1, max_length=MOST_NAME, pattern=r"^[^\x00-\x1f]+$")]


class Line(FileModel):
    """One image. A sample is named by `sample`, or by `case`, `size`, `variant` and `seed`."""

    file: Annotated[str, Field(min_length=1, max_length=1000, description="a path in the folder, such as a.png")]
    sample: Annotated[
        str | None, Field(max_length=300, description="a sample's name, such as cafe@512x512-4step-s42")
    ] = None
    case: Annotated[str | None, Field(max_length=100, description="a case's id")] = None
    size: Annotated[str | None, Field(max_length=20, description="the case's resolution, WIDTHxHEIGHT")] = None
    variant: Annotated[str | None, Field(max_length=100, description="a variant's name")] = None
    seed: Annotated[int | None, Field(ge=0, lt=1 << 63, description="a whole number from 0 on")] = None
    width: Annotated[int | None, Field(ge=1, description="pixels")] = None
    height: Annotated[int | None, Field(ge=1, description="pixels")] = None
    steps: Annotated[int | None, Field(ge=1, le=100_000, description="a whole number from 1 on")] = None
    true_cfg_scale: Annotated[float | None, Field(ge=0, le=1000, description="a finite number")] = None
    seconds: Annotated[float | None, Field(gt=0, le=1e6, description="a finite number above 0")] = None
    engine: Annotated[str | None, Field(max_length=MOST_VALUE, description="a text")] = None
    engine_version: Annotated[str | None, Field(max_length=MOST_VALUE, description="a text")] = None
    model: Annotated[str | None, Field(max_length=MOST_VALUE, description="a text")] = None
    lora: Annotated[str | None, Field(max_length=MOST_VALUE, description="a text")] = None
    lora_sha256: Annotated[str | None, Field(pattern="^[0-9a-f]{64}$", description="64 hexadecimal digits")] = None
    sampler: Annotated[str | None, Field(max_length=MOST_VALUE, description="a text")] = None
    scheduler: Annotated[str | None, Field(max_length=MOST_VALUE, description="a text")] = None
    dtype: Annotated[str | None, Field(max_length=MOST_VALUE, description="a text")] = None
    device: Annotated[str | None, Field(max_length=MOST_VALUE, description="a text")] = None
    #: whatever else is to be told, such as a quantisation.
    told: Annotated[dict[Name, Fact], Field(max_length=MOST_TOLD, description="texts and numbers by name")] = Field(
        default_factory=dict
    )

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)
    #: keys that say which image it is, and those whose values are measured or compared otherwise.
    place: ClassVar[frozenset[str]] = frozenset({"file", "sample", "case", "size", "variant", "seconds", "told"})

    def facts(self) -> dict[str, Scalar]:
        """Return what is told of the image, by name."""
        known = {name: getattr(self, name) for name in Line.model_fields if name not in Line.place}
        return {name: value for name, value in known.items() if value is not None} | dict(self.told)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An image as its manifest names it."""

    line: int
    #: relative path as written, with `/`.
    file: str
    sample: str
    facts: Mapping[str, Scalar]
    seconds: float | None


_LINE = TypeAdapter(Line)
_INTEGERS = frozenset({"seed", "width", "height", "steps"})
_NUMBERS = frozenset({"true_cfg_scale", "seconds"})


def read_manifest(folder: Path) -> tuple[Entry, ...] | None:
    """Return the entries of a folder's manifest, None where there is none. Raises ImagesError with every mistake."""
    there = [folder / name for name in (JSON_LINES, CSV) if os.path.lexists(folder / name)]
    if len(there) > 1:
        raise ImagesError(f"both {JSON_LINES} and {CSV}", where=str(folder), remedy="keep one of them")
    if not there:
        return None
    path = there[0]
    mistakes: list[str] = []
    entries = list(_entries(path, _text(path), mistakes))
    if not entries and not mistakes:
        mistakes = ["it lists no image"]
    if mistakes:
        more = [f"and {len(mistakes) - _SHOWN} more"] if len(mistakes) > _SHOWN else []
        listed = "".join(f"\n     {mistake}" for mistake in (*mistakes[:_SHOWN], *more))
        raise ImagesError(f"the manifest has mistakes:{listed}", where=str(path), remedy=_REMEDY)
    return tuple(entries)


_REMEDY = f"correct them; keys are {', '.join(Line.model_fields)}, and columns of a CSV may be {_TOLD}NAME"


def _text(path: Path) -> str:
    """Return a manifest's text. Raises ImagesError where it is no regular file, leads elsewhere, or is too large."""
    remedy = f"give a regular file in UTF-8 of at most {MOST_BYTES:,} bytes"
    if leads_out(path.parent, path):
        raise ImagesError("the manifest is a link out of the folder", where=str(path), remedy=remedy)
    try:
        return read_file(path, most=MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        why = error.strerror or str(error)
        raise ImagesError(f"the manifest cannot be read: {why}", where=str(path), remedy=remedy) from error
    except UnicodeDecodeError as error:
        raise ImagesError(f"the manifest is not UTF-8 at byte {error.start}", where=str(path), remedy=remedy) from error


def leads_out(folder: Path, path: Path) -> bool:
    """Return whether a path's real place is outside the folder's, as behind a symbolic link."""
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _entries(path: Path, text: str, mistakes: list[str]) -> Iterator[Entry]:
    records = _json_lines(text, mistakes) if path.name == JSON_LINES else _rows(text, mistakes)
    lines: dict[str, int] = {}
    for count, (number, record) in enumerate(records, start=1):
        if count > MOST_ENTRIES:
            mistakes.append(f"line {number}: more than {MOST_ENTRIES:,} images")
            return
        found = list(_faults(record))
        if not found:
            line = _LINE.validate_python(record)
            found = list(_place_faults(line))
            if (before := lines.setdefault(line.file, number)) != number:
                found.append(f"file {show(line.file)} is in line {before} already: one image is one sample")
        if found:
            mistakes += [f"line {number}: {fault}" for fault in found]
            continue
        sample = line.sample or f"{line.case}@{line.size}-{line.variant}-s{line.seed}"
        yield Entry(line=number, file=line.file, sample=sample, facts=line.facts(), seconds=line.seconds)


def _json_lines(text: str, mistakes: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    # split at line feeds alone: JSON may hold other line ends inside a text
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        if len(line) > MOST_LINE:
            mistakes.append(f"line {number}: more than {MOST_LINE:,} characters")
            continue
        try:
            record = strict_json.parse(line)
        except strict_json.StrictJsonError as error:
            mistakes.append(f"line {number}: {error.faults[0][:200]}")
            continue
        if isinstance(record, dict):
            yield number, record
        else:
            mistakes.append(f"line {number}: not a JSON object")


def _rows(text: str, mistakes: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    try:
        for row in reader:
            if not row:
                continue
            if header is None:
                header = [name.strip() for name in row]
                twins = sorted({name for name in header if header.count(name) > 1})
                if twins:
                    mistakes.append(f"line 1: {', '.join(map(show, twins))} twice in the header")
                    return
            elif len(row) != len(header):
                mistakes.append(f"line {reader.line_num}: {len(row)} cells, the header has {len(header)}")
            elif sum(map(len, row)) > MOST_LINE:
                mistakes.append(f"line {reader.line_num}: more than {MOST_LINE:,} characters")
            else:
                yield reader.line_num, _record(dict(zip(header, row, strict=True)))
    except csv.Error as error:
        mistakes.append(f"line {reader.line_num}: not CSV: {error}")


def _record(row: dict[str, str]) -> dict[str, Any]:
    """Return a row as the object that JSON would have; an empty cell says nothing."""
    record: dict[str, Any] = {}
    told: dict[str, str] = {}
    for name, cell in row.items():
        if cell == "":
            continue
        if name.startswith(_TOLD):
            told[name.removeprefix(_TOLD)] = cell
        else:
            record[name] = _number(name, cell.strip())
    return record | ({"told": told} if told else {})


def _number(name: str, cell: str) -> str | int | float:
    """Return a cell as the number that its column holds; unchanged where it is none, which is told."""
    try:
        if name in _INTEGERS and len(cell) <= 20:
            return int(cell) if cell.isascii() and cell.isdigit() else cell
        if name in _NUMBERS and len(cell) <= 40:
            value = float(cell)
            return value if math.isfinite(value) else cell
    except ValueError:
        return cell
    return cell


def _faults(record: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the keys and values of a line."""
    try:
        _LINE.validate_python(record)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            name = str(details["loc"][0]) if details["loc"] else ""
            if details["type"] == "extra_forbidden":
                yield f"unknown key {show(name)}{suggest(name, Line.model_fields)}"
            elif details["type"] == "missing":
                yield f"{name} is missing"
            else:
                allowed = Line.model_fields[name].description if name in Line.model_fields else details["msg"]
                yield f"{name}: {show(details['input'])} is not allowed; allowed: {allowed}"


def _place_faults(line: Line) -> Iterator[str]:
    parts = (line.case, line.size, line.variant)
    if line.sample is None:
        lacking = [name for name in ("case", "size", "variant", "seed") if getattr(line, name) is None]
        if lacking:
            yield f"which image is it? Neither sample nor {', '.join(lacking)}"
    elif any(part is not None for part in parts):
        yield "both sample and case, size or variant: give one of both"
    if line.size is not None:
        try:
            Size.parse(line.size)
        except ValueError as error:
            yield f"size: {error}"
    if fault := path_fault(line.file):
        yield f"file {show(line.file)}: {fault}"


def path_fault(file: str) -> str:
    """Return why a name can be no path in the folder, or ""; whether a link leads out is seen when it is opened."""
    path = PurePosixPath(file)
    if "\\" in file or "\0" in file:
        return "a path has neither a backslash nor a zero byte: separate folders by /"
    if path.is_absolute() or ".." in path.parts or path.as_posix() != file or file == ".":
        return "write its path inside the folder, without .., ./ or a leading /"
    return ""
