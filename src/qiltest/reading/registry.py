# ruff: noqa: ANN401 -- options are checked by the reader that takes them
"""Readers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qiltest.errors import ReaderError
from qiltest.reading.records import Reader

DEFAULT_READER = "rapidocr"


def _rapidocr(**options: Any) -> Reader:
    from qiltest.reading.rapidocr.reader import RapidReader

    return RapidReader(**options)


def _rapidocr_single(**options: Any) -> Reader:
    from qiltest.reading.rapidocr.reader import RapidReader

    return RapidReader(**{"looks": 1, **options})


def _easyocr(**options: Any) -> Reader:
    from qiltest.reading.easyocr import EasyReader

    return EasyReader(**options)


def _tesseract(**options: Any) -> Reader:
    from qiltest.reading.tesseract import TesseractReader

    return TesseractReader(**options)


#: A reader's module is imported when it is opened: an engine that is not installed only matters to who asks for it.
_READERS: Mapping[str, Callable[..., Reader]] = {
    "rapidocr": _rapidocr,
    "rapidocr-single": _rapidocr_single,
    "easyocr": _easyocr,
    "tesseract": _tesseract,
}


def reader_names() -> tuple[str, ...]:
    """Names that `open_reader` takes, the default first."""
    return tuple(_READERS)


def open_reader(name: str = DEFAULT_READER, **options: Any) -> Reader:
    """Load a reader by name; `options` are those of its class.

    Options may also stand behind the name, the way a command line gives them: `rapidocr:threads=1`,
    `easyocr:languages=ch_sim,weights=FOLDER,device=cuda` (several languages are joined by `+`).

    Raises ReaderError where the name or an option is unknown, the engine is not installed, its weights are missing, or
    they are not those of a pin in `options`.
    """
    plain, _, written = name.partition(":")
    factory = _READERS.get(plain)
    if factory is None:
        raise ReaderError(f"unknown reader {plain!r}", remedy=f"use one of: {', '.join(_READERS)}")
    try:
        return factory(**_written_options(plain, written), **options)
    except TypeError as error:
        if "keyword argument" not in str(error):
            raise
        raise ReaderError(
            f"unknown option ({error})", where=f"reader {plain}", remedy="see docs/reference/reading.md"
        ) from error


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
    if not all(len(pair) == 2 for pair in pairs):
        raise ValueError("write FILE@SHA256, several joined by +")
    return dict(pairs)


#: What may stand behind a reader's name, and how its value is read.
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
