"""The readers (OCR engines) of a run: opened once each, beside a GPU in a process of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from qiltest.engine.workers import ReadingProcess
from qiltest.errors import ReaderError
from qiltest.reading.records import Reader, Reading
from qiltest.reading.registry import DEFAULT_READER, open_reader
from qiltest.runs.store import Stored, StoredReading, readings_of
from qiltest.suite.cases import Case

OpenReader = Callable[[str], Reader]


class Readers:
    """Reads images for their cases, and knows what was read in stored ones."""

    def __init__(self, opener: OpenReader, *, default: str | None, beside_gpu: bool) -> None:
        """`default` names the reader of cases that name none; a reader of a conftest's own stays in this process."""
        self._opener, self._default = opener, default or DEFAULT_READER
        self._opened: dict[str, Reader] = {}
        self._known: dict[Path, Mapping[tuple[str, str], StoredReading]] = {}
        self._process = ReadingProcess(opener) if opener is open_reader and beside_gpu else None
        if self._process is not None:
            # it loads while files are hashed, prompts encoded and the first image generated
            self._process.start(self._default)

    @property
    def said(self) -> list[str]:
        """What happened to the process, for a person: infrastructure is retried once, and that is said."""
        return [] if self._process is None else self._process.said

    def default(self) -> Reader:
        """Return the reader of cases that name none. Raises ReaderError."""
        return self._open(self._default)

    def of(self, case: Case) -> Reader:
        """Return the case's reader. Raises ReaderError."""
        return self._open(case.reader or self._default)

    def read(self, case: Case, image: Path) -> Reading:
        """Read an image with its case's reader. Raises ReaderError."""
        if self._process is None:
            return self.of(case).read(image)
        return self._process.read(case.reader or self._default, image)

    def stored(self, case: Case, stored: Stored) -> StoredReading | None:
        """Return what the case's reader saw in a stored image before; None where that very reader did not read it.

        A reader is the same where name, engine, version, settings and the hash of its weights are.
        """
        if stored.run not in self._known:
            self._known[stored.run] = readings_of(stored.run)
        known = self._known[stored.run]
        if not any(sha256 == stored.generated.sha256 for sha256, _ in known):
            return None
        try:
            reader = self.of(case)
        except ReaderError:
            return None  # raised when the image is read
        return known.get((stored.generated.sha256, reader.info.fingerprint))

    def restarted_over(self, image: Path) -> bool:
        """Say whether the process died over an image and was started again."""
        return self._process is not None and image in self._process.restarted

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()

    def _open(self, name: str) -> Reader:
        if name not in self._opened:
            self._opened[name] = self._opener(name)
        return self._opened[name]
