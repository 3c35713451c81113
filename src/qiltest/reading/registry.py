# ruff: noqa: ANN401 -- options are checked by the reader that takes them
"""Readers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qiltest.errors import ReaderError
from qiltest.reading.records import Reader

DEFAULT_READER = "rapidocr"


def _rapidocr(**options: Any) -> Reader:
    from qiltest.reading.rapid import RapidReader

    return RapidReader(**options)


def _rapidocr_single(**options: Any) -> Reader:
    from qiltest.reading.rapid import RapidReader

    return RapidReader(**{"looks": 1, **options})


def _easyocr(**options: Any) -> Reader:
    from qiltest.reading.easy import EasyReader

    return EasyReader(**options)


def _tesseract(**options: Any) -> Reader:
    from qiltest.reading.tess import TesseractReader

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

    Raises ReaderError where the name or an option is unknown, the engine is not installed, its weights are missing, or
    they are not those of a pin in `options`.
    """
    factory = _READERS.get(name)
    if factory is None:
        raise ReaderError(f"no reader is called {name!r}", remedy=f"use one of: {', '.join(_READERS)}")
    try:
        return factory(**options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise ReaderError(f"unknown option ({error})", where=f"reader {name}", remedy="see docs/reading.md") from error
