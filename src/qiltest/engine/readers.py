"""The OCR readers of a run: each is opened once, and beside a GPU in worker processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from qiltest.engine.workers import ReadingProcesses
from qiltest.errors import ReaderError
from qiltest.reading.records import Reader, Reading
from qiltest.reading.registry import DEFAULT_READER, open_reader
from qiltest.runs.store import Stored, StoredReading, readings_of
from qiltest.scoring.alphabet import reader_of, require_readable_case
from qiltest.spans import span
from qiltest.suite.cases import Case

OpenReader = Callable[[str], Reader]


class Readers:
    """Reads images with their case's reader, and finds stored readings."""

    def __init__(self, opener: OpenReader, *, default: str | None, at_once: int) -> None:
        """`default` is the reader of cases that name none; an `opener` of a conftest stays in this process.

        `at_once` is how many images are read at once, each in a process of its own, while others are generated; 0: one
        after another in this process, where the CPU generates.
        """
        self._opener, self._default = opener, default or DEFAULT_READER
        self._opened: dict[str, Reader] = {}
        #: the name of each case's reader, by the case's id.
        self._names: dict[str, str] = {}
        self._known: dict[Path, Mapping[tuple[str, str], StoredReading]] = {}
        shipped = opener is open_reader
        #: how many images are read at once beside generating; 0: none, but in turns with it.
        self.at_once = at_once if shipped else min(1, at_once)
        self._process = ReadingProcesses(opener, at_once) if shipped and at_once else None
        if self._process is not None:
            # it loads in the background until the first image is generated
            self._process.start(self._default)

    @property
    def notices(self) -> list[str]:
        """Restarts of the worker process, a sentence each."""
        return [] if self._process is None else self._process.notices

    def default(self) -> Reader:
        """Return the reader of cases that name none. Raises ReaderError."""
        return self._open(self._default)

    def require_readable(self, case: Case) -> None:
        """Open a case's reader. Raises ReaderError, also where it cannot return every character of the texts."""
        require_readable_case(case, self._open(self._name(case)), asked=self._default)

    def read(self, case: Case, image: Path) -> Reading:
        """Read an image with its case's reader. Raises ReaderError."""
        if self._process is None:
            reader = self._open(self._name(case))
            with span("read", case.id):
                return reader.read(image)
        return self._process.read(self._name(case), image)

    def stored(self, case: Case, stored: Stored) -> StoredReading | None:
        """Return a stored image's reading by the case's reader, or None.

        It is of the same version, settings, weights and code, and no other glyph network judged its strokes.
        """
        if stored.run not in self._known:
            self._known[stored.run] = readings_of(stored.run)
        known = self._known[stored.run]
        if not any(sha256 == stored.generated.sha256 for sha256, _ in known):
            return None
        try:
            reader = self._open(self._name(case))
        except ReaderError:
            return None  # raised when the image is read
        found = known.get((stored.generated.sha256, reader.info.fingerprint))
        same = found is not None and found.reading.reader == reader.info and not _otherwise_judged(found.reading)
        return found if same else None

    def restarted_over(self, image: Path) -> bool:
        """Return whether the worker process crashed on an image and was restarted."""
        return self._process is not None and image in self._process.restarted

    def close(self) -> None:
        """End the worker process."""
        if self._process is not None:
            self._process.close()

    def _name(self, case: Case) -> str:
        """Return the name of a case's reader; one that stands for several becomes the one for the case's texts."""
        if case.id not in self._names:
            try:
                self._names[case.id] = reader_of(case, self._default)
            except ReaderError:
                self._names[case.id] = case.reader or self._default  # raised when it is opened
        return self._names[case.id]

    def _open(self, name: str) -> Reader:
        if name not in self._opened:
            self._opened[name] = self._opener(name)
        return self._opened[name]


def _otherwise_judged(reading: Reading) -> bool:
    """Return whether another glyph network than the shipped one judged a reading."""
    from qiltest.reading.stroke_check import shipped_network  # loads OpenCV

    return bool(reading.glyphs) and reading.glyphs != shipped_network().fingerprint
