"""Read images with an OCR engine: lines of text with boxes and confidences."""

from qiltest.reading.records import Choice, Line, Reader, ReaderInfo, Reading, alphabet_of
from qiltest.reading.registry import DEFAULT_READER, open_reader, reader_choices, reader_names
from qiltest.reading.strokes import BrokenStrokes, broken_strokes

__all__ = [
    "DEFAULT_READER",
    "BrokenStrokes",
    "Choice",
    "Line",
    "Reader",
    "ReaderInfo",
    "Reading",
    "alphabet_of",
    "broken_strokes",
    "open_reader",
    "reader_choices",
    "reader_names",
]
