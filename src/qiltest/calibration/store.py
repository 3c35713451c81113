"""Floors kept with the package, one small JSON file a case; read when limits are stated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qiltest.calibration.measure import Floor, Rate
from qiltest.errors import StoreError
from qiltest.files import write_atomically
from qiltest.reading.records import ReaderInfo
from qiltest.reading.serial import integer, mapping, number, sequence, string

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
    try:
        found = _load(file).get(reader)
        return None if found is None else _floor(case, reader, found, str(file))
    except StoreError as error:
        raise StoreError(error.what, where=error.where or str(file), remedy=REMEDY) from error


def noise_floor(case: str, reader: ReaderInfo, folder: Path = FLOORS) -> float | None:
    """Return the floor in edits of a picture, or None where this very reader (weights, settings) was not calibrated."""
    found = read_floor(case, reader.name, folder)
    return found.floor if found is not None and found.fingerprint == reader.fingerprint else None


def _load(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot be read ({error})", where=str(file), remedy=REMEDY) from error
    fields = mapping(data, str(file), {"case", "readers"})
    if not isinstance(fields["readers"], dict):
        raise StoreError("`readers` is not an object", where=str(file), remedy=REMEDY)
    return dict(fields["readers"])


def _floor(case: str, reader: str, data: object, where: str) -> Floor:
    numbers = ("floor", "mean", "deviation", "percentile_95")
    if isinstance(data, Mapping):
        # Floors of older readers were kept without these.
        data = {"missed": [], "clean_typos": {"found": 0, "of": 0}, **data}
    others = {"fingerprint", "pictures", "largest", "exact_texts", "typos", "clean_typos", "missed"}
    fields = mapping(data, where, {*numbers, *others})
    typos = fields["typos"]
    if not isinstance(typos, Mapping):
        raise StoreError("`typos` is not an object", where=where, remedy=REMEDY)
    return Floor(
        case=case,
        reader=reader,
        fingerprint=string(fields["fingerprint"], where),
        pictures=integer(fields["pictures"], where, least=1),
        largest=integer(fields["largest"], where),
        exact_texts=_rate(fields["exact_texts"], where),
        typos={kind: _rate(rate, where) for kind, rate in typos.items()},
        clean_typos=_rate(fields["clean_typos"], where),
        missed=tuple(string(item, where) for item in sequence(fields["missed"], where)),
        **{key: number(fields[key], where, least=0.0) for key in numbers},
    )


def _rate(data: object, where: str) -> Rate:
    fields = mapping(data, where, {"found", "of"})
    return Rate(found=integer(fields["found"], where), of=integer(fields["of"], where))
