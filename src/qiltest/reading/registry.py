# ruff: noqa: ANN401 -- options are checked by the reader that takes them
"""Open readers by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from qiltest.errors import ReaderError
from qiltest.reading.records import Choice, Reader

DEFAULT_READER = "rapidocr"


#: name -> module of this folder, class, and default options. The module is imported when the reader is opened: an
#: engine need not be installed unless it is used.
_READERS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "rapidocr": ("rapidocr.reader", "RapidReader", {}),
    "rapidocr-single": ("rapidocr.reader", "RapidReader", {"looks": 1}),
    "easyocr": ("easyocr.reader", "EasyReader", {}),
    "tesseract": ("tesseract", "TesseractReader", {}),
}


def reader_names() -> tuple[str, ...]:
    """Names that `open_reader` takes, the default first."""
    return tuple(_READERS)


def open_reader(name: str = DEFAULT_READER, **options: Any) -> Reader:
    """Load a reader by name; `options` are those of its class.

    Options may also follow the name, as on the command line: `rapidocr:threads=1`,
    `easyocr:languages=ch_sim,weights=FOLDER,device=cuda` (several languages are joined by `+`).

    Raises ReaderError where the name or an option is unknown, the engine is not installed, or its weights are missing
    or not the pinned ones.
    """
    plain, _, written = name.partition(":")
    if plain not in _READERS:
        raise ReaderError(f"unknown reader {plain!r}", remedy=f"use one of: {', '.join(_READERS)}")
    module, kind, defaults = _READERS[plain]
    try:
        given = dict(**_written_options(plain, written), **options)
        opened: Reader = getattr(import_module(f"qiltest.reading.{module}"), kind)(**{**defaults, **given})
    except TypeError as error:
        if "keyword argument" not in str(error):
            raise
        raise ReaderError(
            f"unknown option ({error})", where=f"reader {plain}", remedy="see docs/reference/reading.md"
        ) from error
    return opened


def reader_choices(name: str) -> tuple[Choice, ...]:
    """Return the readers that a name without a language stands for, the plainest first; empty: the named one alone.

    Which of them reads a case is decided by the characters of its texts (`qiltest.scoring.alphabet.reader_for`).
    Raises ReaderError where an option is unknown or the engine is not installed.
    """
    plain, _, written = name.partition(":")
    if plain != "easyocr":
        return ()
    options = _written_options(plain, written)
    if "languages" in options:
        return ()
    from qiltest.reading.easyocr.models import choices

    return choices(written, weights=options.get("weights"), download=options.get("download", False))


def _written_options(name: str, written: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in filter(None, written.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not value or key not in _WRITTEN:
            raise ReaderError(
                f"unknown option {part!r}", where=f"reader {name}", remedy=f"write one of: {', '.join(_WRITTEN)}"
            )
        try:
            found[key] = _WRITTEN[key](value)
        except ValueError as error:
            raise ReaderError(
                f"{part!r}: {error}", where=f"reader {name}", remedy="see docs/reference/reading.md"
            ) from error
    return found


def _flag(value: str) -> bool:
    if value not in ("yes", "no"):
        raise ValueError("write yes or no")
    return value == "yes"


def _pins(value: str) -> dict[str, str]:
    pairs = [part.split("@") for part in value.split("+")]
    if not all(len(pair) == 2 and re.fullmatch("[0-9a-fA-F]{64}", pair[1]) for pair in pairs):
        raise ValueError("write FILE@SHA256 with 64 hexadecimal digits, several joined by +")
    return dict(pairs)


#: options that may follow a reader's name, and how their values are parsed.
_WRITTEN: Mapping[str, Callable[[str], Any]] = {
    "looks": int,
    "threads": int,
    "languages": lambda value: tuple(value.split("+")),
    "weights": Path,
    "device": str,
    "download": _flag,
    "pins": _pins,
    "program": str,
}
