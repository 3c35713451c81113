"""Read JSON strictly: exact types, no unknown or duplicate key, finite numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

T = TypeVar("T")

#: `__pydantic_config__` of a record that is read from a file.
STORED = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class StrictJsonError(ValueError):
    """The faults of a text, each as `path.to.field: message`, or one sentence where it is not JSON."""

    def __init__(self, *faults: str) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


def parse(text: str | bytes) -> Any:  # noqa: ANN401 -- JSON values of any shape
    """Return the value of a JSON text (UTF-8). Raises StrictJsonError: not JSON, duplicate key, NaN, too deep."""
    try:
        plain = text.decode() if isinstance(text, bytes) else text
        return json.loads(plain, object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
    except StrictJsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise StrictJsonError(f"Invalid JSON: {error}") from error


def decode(kind: type[T], text: str | bytes, *, whole: str = "file") -> T:
    """Return a JSON text as a record of class `kind`; `whole` names the text in faults that concern all of it.

    Raises StrictJsonError that names every field that is missing, unknown, of another type or not finite.
    """
    try:
        found: T = _adapter(kind).validate_json(text, strict=True)
        parse(text)  # pydantic silently keeps the last of two equal keys
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        raise StrictJsonError(*(f"{'.'.join(map(str, e['loc'])) or whole}: {e['msg']}" for e in faults)) from error
    except StrictJsonError as error:
        raise StrictJsonError(f"{whole}: {error}") from error
    return found


def other_schema(text: str | bytes, known: int) -> dict[str, Any] | None:
    """Return a JSON object whose `schema` is not `known`, so that a file of another version is told before decoding.

    None for this schema, and for a text that is no such object: decoding it says what is wrong.
    """
    try:
        found = parse(text)
    except StrictJsonError:
        return None
    return found if isinstance(found, dict) and found.get("schema", known) != known else None


#: making one takes milliseconds.
_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _ in pairs]
        raise StrictJsonError(f"duplicate key {next(name for name in names if names.count(name) > 1)!r}")
    return record


def _no_constant(name: str) -> float:
    raise StrictJsonError(f"{name} is not a finite number")
