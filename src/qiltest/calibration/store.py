"""Read and write noise floors: one JSON file per case, in the folder `floors/` of the case files."""

from __future__ import annotations

import json
import shlex
import tempfile
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

from qiltest.calibration.records import Floor
from qiltest.errors import StoreError, os_errors_as
from qiltest.files import write_atomically
from qiltest.strict_json import StrictJsonError, decode, parse_file
from qiltest.suite.cases import Case
from qiltest.suite.load import FLOORS_FOLDER

#: bytes of a file that are read; those of the shipped cases have less than a thousandth.
_MOST = 4 << 20


def floors_of(case: Case) -> Path:
    """Return the folder in which the floors of a case are looked up."""
    return Path(case.path).parent / FLOORS_FOLDER


def check_writable(folder: Path) -> None:
    """Make the folder. Raises StoreError where no file can be written in it, before anything is measured."""
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def write_floor(floor: Floor, folder: Path) -> Path:
    """Add a floor to the file of its case, and return the file. Raises StoreError."""
    file = folder / f"{floor.case}.json"
    floors = (_load(file) if file.is_file() else {}) | {floor.reader: floor}
    readers = {
        name: {k: v for k, v in asdict(kept).items() if k not in {"case", "reader"}} for name, kept in floors.items()
    }
    text = json.dumps(
        {"case": floor.case, "readers": readers}, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True
    )
    with _writing(folder):
        write_atomically(file, (text + "\n").encode())
    return file


def read_floor(case: str, reader: str, folder: Path) -> Floor | None:
    """Return what was measured for a case and a reader's name, or None. Raises StoreError on a damaged file."""
    file = folder / f"{case}.json"
    return _load(file).get(reader) if file.is_file() else None


def _load(file: Path) -> dict[str, Floor]:
    try:
        readers = parse_file(file, most=_MOST)["readers"]
        rows = {name: {"case": file.stem, "reader": name, **fields} for name, fields in readers.items()}
        # through JSON again, where a list may become a tuple but no other type another
        return decode(dict[str, Floor], json.dumps(rows))
    except StrictJsonError as error:
        raise _damaged(file, error.faults[0]) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(file, str(error)) from error


def _damaged(file: Path, why: str) -> StoreError:
    remedy = f"delete it and measure again: qiltest calibrate --case {shlex.quote(file.stem)}"
    return StoreError(f"not a valid noise floor ({why})", where=str(file), remedy=remedy)


def _writing(folder: Path) -> AbstractContextManager[None]:
    remedy = "choose another folder: --output FOLDER"
    return os_errors_as(StoreError, "cannot be written", where=str(folder), remedy=remedy)
