"""Readers: what turns a picture into text lines with boxes and confidences."""

from qiltest.reading.records import Line, Reader, ReaderInfo, Reading

__all__ = ["Line", "Reader", "ReaderInfo", "Reading"]
