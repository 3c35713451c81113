"""Floors kept with the package, one small JSON file a case; read when limits are stated."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict

from qiltest.calibration.measure import Floor
from qiltest.errors import StoreError
from qiltest.files import write_atomically
from qiltest.reading.records import ReaderInfo
from qiltest.strict_json import STORED, StrictJsonError, decode

FLOORS = Path(__file__).parent / "floors"
REMEDY = "measure it again: qiltest calibrate --case ID"


def write_floor(floor: Floor, folder: Path = FLOORS) -> Path:
    """Write a floor beside those of other readers for the same case; return the file."""
    file = folder / f"{floor.case}.json"
    readers = _load(file) if file.is_file() else {}
    readers[floor.reader] = {key: value for key, value in asdict(floor).items() if key not in ("case", "reader")}
    text = json.dumps(
        {"case": floor.case, "readers": readers}, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(file, (text + "\n").encode())
    return file


def read_floor(case: str, reader: str, folder: Path = FLOORS) -> Floor | None:
    """Return what was measured for a case and a reader's name, or None. Raises StoreError on a damaged file."""
    file = folder / f"{case}.json"
    if not file.is_file():
        return None
    found = _load(file).get(reader)
    if found is None:
        return None
    try:
        floor = decode(Floor, json.dumps({**found, "case": case, "reader": reader}), whole=reader)
    except StrictJsonError as error:
        raise _broken(file, str(error)) from error
    if floor.pictures < 1 or min(floor.floor, floor.mean, floor.deviation, floor.percentile_95, floor.largest) < 0:
        raise _broken(file, f"the floor of {reader} is of no picture, or below 0")
    return floor


def noise_floor(case: str, reader: ReaderInfo, folder: Path = FLOORS) -> float | None:
    """Return the floor in edits of a picture, or None where this very reader (weights, settings) was not calibrated."""
    found = read_floor(case, reader.name, folder)
    return found.floor if found is not None and found.fingerprint == reader.fingerprint else None


@dataclass(frozen=True, kw_only=True)
class _File:
    """The file of a case: by the reader's name, a floor without the fields `case` and `reader`."""

    case: str
    readers: dict[str, dict[str, Any]]

    __pydantic_config__: ClassVar[ConfigDict] = STORED


def _load(file: Path) -> dict[str, dict[str, Any]]:
    try:
        return decode(_File, file.read_bytes()).readers
    except (OSError, StrictJsonError) as error:
        raise _broken(file, f"cannot be read ({error})") from error


def _broken(file: Path, what: str) -> StoreError:
    return StoreError(what, where=str(file), remedy=REMEDY)
