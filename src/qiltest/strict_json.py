"""Read JSON from outside strictly: exact types, no unknown or duplicate key, finite numbers, bounded depth and size.

Time and memory are linear in the text, whatever it holds.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from qiltest.errors import StoreError
from qiltest.files import read_file

#: Most lists and objects inside one another.
MOST_NESTED = 64
#: Most digits in a row of a number; a float written in full has 17, a seed 19.
MOST_DIGITS = 100
#: Most bytes of a file, unless a caller says otherwise.
MOST_BYTES = 16 << 20

T = TypeVar("T")

#: `__pydantic_config__` of a record that is read from a file.
STORED = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class StrictJsonError(ValueError):
    """The faults of a text, each as `path.to.field: message`, or one sentence where it is not JSON."""

    def __init__(self, *faults: str) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


def parse(text: str | bytes) -> Any:  # noqa: ANN401 -- JSON values of any shape
    """Return the value of a JSON text (UTF-8).

    Raises StrictJsonError: not JSON, a duplicate key, a number that is not finite or has more than `MOST_DIGITS` digits
    in a row, more than `MOST_NESTED` levels.
    """
    may_be_infinite = _check_bounds(text)
    try:
        plain = text.decode() if isinstance(text, bytes) else text
        to_float = _finite if may_be_infinite else float  # a function of Python takes longer than all else
        return json.loads(plain, object_pairs_hook=_no_key_twice, parse_constant=_no_constant, parse_float=to_float)
    except StrictJsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise StrictJsonError(f"Invalid JSON: {error}") from error


def parse_file(path: Path, *, most: int = MOST_BYTES) -> Any:  # noqa: ANN401 -- as above
    """Return the value of a JSON file of at most `most` bytes. Raises OSError (`read_file`) and StrictJsonError."""
    return parse(read_file(path, most=most))


def decode(kind: type[T], text: str | bytes, *, whole: str = "file") -> T:
    """Return a JSON text as a record of class `kind`; `whole` names the text in faults that concern all of it.

    Raises StrictJsonError that names every field that is missing, unknown, of another type or not finite.
    """
    try:
        _check_bounds(text)
        found: T = _adapter(kind).validate_json(text, strict=True)
        parse(text)  # pydantic silently keeps the last of two equal keys
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        raise StrictJsonError(*(f"{'.'.join(map(str, e['loc'])) or whole}: {e['msg']}" for e in faults)) from error
    except StrictJsonError as error:
        raise StrictJsonError(f"{whole}: {error}") from error
    return found


def decode_stored(kind: type[T], path: Path, *, what: str, remedy: str) -> T | None:
    """Return the record of a stored file of at most `MOST_BYTES`; None where there is none.

    Raises OSError, and StoreError for a damaged file: `what` cannot be read, and the remedy.
    """
    if not path.is_file():
        return None
    try:
        return decode(kind, read_file(path, most=MOST_BYTES))
    except StrictJsonError as error:
        raise StoreError(f"{what} cannot be read ({error.faults[0]})", where=str(path), remedy=remedy) from error


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


_DIGITS = bytes.maketrans(b"123456789", b"000000000")
#: exponents that can make an infinity of a number, with zeros for digits; without one, `MOST_DIGITS` digits cannot.
_LARGE_EXPONENTS = (b"e000", b"E000", b"e+000", b"E+000")
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")


def _check_bounds(text: str | bytes) -> bool:
    """Return whether a text, before it is parsed, may have a number that becomes infinite.

    Raises StrictJsonError for one that is nested too deep or has too long a number.
    """
    data = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    # without escapes every second part between quotes is a string, also a last one that is never closed
    bare = b"".join(data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    zeros = bare.translate(_DIGITS)
    if b"0" * (MOST_DIGITS + 1) in zeros:
        raise StrictJsonError(f"Invalid JSON: a number has more than {MOST_DIGITS} digits")
    brackets = bare.translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(MOST_NESTED):  # each round takes the innermost level away
        if b"[]" not in brackets:
            break
        brackets = brackets.replace(b"[]", b"")
    if b"[]" in brackets or b"[" * (MOST_NESTED + 1) in brackets:
        raise StrictJsonError(f"Invalid JSON: more than {MOST_NESTED} levels inside one another")
    return any(exponent in zeros for exponent in _LARGE_EXPONENTS)


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twin = next(name for name, number in counts.items() if number > 1)
        raise StrictJsonError(f"duplicate key {twin!r:.80}")
    return record


def _no_constant(name: str) -> float:
    raise StrictJsonError(f"{name} is not a finite number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise StrictJsonError(f"{digits:.40} is not a finite number")
    return number
