"""Read images with an OCR engine: lines of text with boxes and confidences."""

from qiltest.reading.records import Line, Reader, ReaderInfo, Reading
from qiltest.reading.registry import DEFAULT_READER, open_reader, reader_names
from qiltest.reading.strokes import Suspicion, suspicious

__all__ = [
    "DEFAULT_READER",
    "Line",
    "Reader",
    "ReaderInfo",
    "Reading",
    "Suspicion",
    "open_reader",
    "reader_names",
    "suspicious",
]
