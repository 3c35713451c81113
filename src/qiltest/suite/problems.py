"""Mistakes in TOML files, reported all at once: file, key, what was found and what is allowed."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from qiltest.errors import CaseError
from qiltest.files import read_file
from qiltest.text.escape import one_line
from qiltest.text.format import count

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN = 80
#: most bytes of a TOML file; the largest case has some thousand.
MOST_BYTES = 1 << 20

Location = tuple[int | str, ...]
Raw = Mapping[str, Any]
#: where, what was found, and what is allowed.
Fault = tuple[Location, str, str]
T = TypeVar("T")


class FileModel(BaseModel):
    """One table of a TOML file. Messages quote a field's description as what is allowed."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)
    #: keys of earlier versions, with what is written instead.
    former: ClassVar[Mapping[str, str]] = {}


Model = TypeVar("Model", bound=FileModel)


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One mistake: in which file, under which key (such as `texts[1].vertical`), what is wrong, what is allowed."""

    path: Path
    key: str
    seen: str
    allowed: str
    #: True: the case can still run; its own tests report the mistake.
    doubt: bool = False

    def __str__(self) -> str:
        head = f"{self.key}: " if self.key else ""
        return f"{head}{self.seen}; allowed: {self.allowed}"


class CaseFileError(CaseError):
    """All mistakes of all case files and of `variants.toml`."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__(_listing(self.mistakes), remedy="fix these and rerun")


def read_toml(path: Path) -> dict[str, Any] | Mistake:
    """Read a TOML file, or say why it cannot be read; a syntax error keeps the parser's line and column."""
    try:
        return tomllib.loads(read_file(path, most=MOST_BYTES).decode("utf-8"))
    except UnicodeDecodeError as error:
        return Mistake(path=path, key="", seen=f"not UTF-8 at byte {error.start}", allowed="a text file in UTF-8")
    except (ValueError, RecursionError) as error:
        # Not TOMLDecodeError alone: tomllib lets int's own error through for numbers of over 4,300 digits.
        return Mistake(path=path, key="", seen=f"not TOML: {error}", allowed="TOML 1.0, see toml.io")
    except OSError as error:
        return Mistake(path=path, key="", seen=f"cannot be read: {error.strerror}", allowed="a readable file")


def check_shape(model: type[Model], raw: Mapping[str, Any], path: Path, at: Location = ()) -> Model | list[Mistake]:
    """Validate a table, strictly and without unknown keys. `at` is where it stands in the file."""
    try:
        return model.model_validate(dict(raw))
    except ValidationError as error:
        return [_mistake(model, details, path, at) for details in error.errors(include_url=False)]


def spell(location: Location) -> str:
    """Write a location as in `texts[1].vertical`."""
    spelled = ""
    for part in location:
        if isinstance(part, int):
            spelled += f"[{part}]"
        elif part != "[key]":
            name = part if _BARE_KEY.fullmatch(part) else json.dumps(part, ensure_ascii=False)
            spelled += f".{name}" if spelled else name
    return spelled


def items(raw: Raw, key: str, kind: type[T]) -> Iterator[tuple[int, T]]:
    """Yield the items of a list that have the right type, with their indices; the schema reports the others."""
    value = raw.get(key)
    found: list[object] = value if isinstance(value, list) else []
    return ((index, item) for index, item in enumerate(found) if isinstance(item, kind))


def show(value: object) -> str:
    """Write a value for a message: strings quoted, long ones cut."""
    if isinstance(value, int) and value.bit_length() > _SHOWN:
        return f"a number of {value.bit_length()} bits"  # Python refuses to write those of over 4,300 digits
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def suggest(name: str, names: Iterable[str]) -> str:
    """Return ` (did you mean "…"?)` for the nearest of `names`, or nothing where none is near."""
    near = difflib.get_close_matches(name.lower(), list(names), n=1)
    return f' (did you mean "{near[0]}"?)' if near else ""


def _mistake(model: type[FileModel], details: ErrorDetails, path: Path, at: Location) -> Mistake:
    location = details["loc"]
    if details["type"] == "extra_forbidden":
        table, key = _table(model, location[:-1]), str(location[-1])
        keys = list(_keys(table))
        seen = f"unknown key{suggest(key, keys)}"
        allowed = table.former.get(key) or ", ".join(keys)
    else:
        field = _field(model, location)
        allowed = (field.description if field else None) or details["msg"]
        seen = "missing" if details["type"] == "missing" else f"{show(details['input'])} is not allowed"
    return Mistake(path=path, key=spell((*at, *location)), seen=seen, allowed=allowed)


def _field(model: type[FileModel], location: Location) -> FieldInfo | None:
    """Return the innermost field that a pydantic location names."""
    found: FieldInfo | None = None
    table: type[FileModel] | None = model
    for part in location:
        if table is not None and isinstance(part, str) and part in (keys := _keys(table)):
            found = keys[part]
            table = _table_of(found.annotation)
    return found


def _keys(model: type[FileModel]) -> dict[str, FieldInfo]:
    """Return the fields of a table by their keys in the file: `class` is a word of Python's, so its field is not so."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _table(model: type[FileModel], location: Location) -> type[FileModel]:
    field = _field(model, location)
    return (_table_of(field.annotation) if field else None) or model


def _table_of(annotation: object) -> type[FileModel] | None:
    """Return the table inside an annotation such as `list[TextTable]` or `LimitsTable | None`."""
    if isinstance(annotation, type) and issubclass(annotation, FileModel):
        return annotation
    return next((table for arg in get_args(annotation) if (table := _table_of(arg)) is not None), None)


def _listing(mistakes: Sequence[Mistake]) -> str:
    by_file: dict[Path, list[Mistake]] = {}
    for mistake in mistakes:
        by_file.setdefault(mistake.path, []).append(mistake)
    lines = [f"{count(len(mistakes), 'mistake')} in {count(len(by_file), 'file')}"]
    for path, found in by_file.items():
        lines += ["", one_line(str(path)), *(f"  {one_line(str(mistake))}" for mistake in found)]
    return "\n".join(lines)
