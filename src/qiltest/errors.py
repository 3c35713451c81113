"""Errors that a user can fix. Each says what is wrong, where, and what to do about it.

A message may quote names of files, arguments and texts from models. What could act on a terminal or a job's log is
made visible here, where every message is made, and the message is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from qiltest.text.escape import bounded, printable, printable_line

#: most characters of a message's parts; a listing of all mistakes of all case files is the longest.
_WHAT, _WHERE, _REMEDY = 20_000, 1_000, 2_000


class QiltestError(Exception):
    """Base class for errors the user can fix."""

    #: of the command line, for wrong use; a verdict other than PASS is not an error and exits with 1.
    exit_code = 2

    #: whether `what` may have several lines, as a list of mistakes has; elsewhere a line feed came from outside.
    several_lines: ClassVar[bool] = False

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what = bounded(printable(what), _WHAT) if self.several_lines else printable_line(what, _WHAT)
        self.where = printable_line(where, _WHERE)
        self.remedy = printable_line(remedy, _REMEDY)
        head = f"{self.where}: {self.what}" if where else self.what
        super().__init__(f"{head}\n  -> {self.remedy}" if remedy else head)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes by its parts: the message is made of them again."""
        return _again, (type(self), self.what, self.where, self.remedy)


def _again(kind: type[QiltestError], what: str, where: str, remedy: str) -> QiltestError:
    return kind(what, where=where, remedy=remedy)


class CaseError(QiltestError):
    """Mistakes in case files or `variants.toml`; the message lists all of them."""

    several_lines = True


class InputError(QiltestError):
    """The input image of an edit case is not there, is another one, or cannot be read."""


class RecipeError(QiltestError):
    """The recipe is not what the variant asks for: scheduler, LoRA, CFG, hash."""


class TextAloneError(RecipeError):
    """A case has input images, and the model generates from text alone."""


class GenerationError(QiltestError):
    """An image could not be made, or is unusable (NaN, blank)."""


class OutOfMemoryError(GenerationError):
    """The device ran out of memory; the message names the option that helps."""


class DeviceLostError(GenerationError):
    """The device failed and generates nothing more in this process: a worker is replaced."""


class DeviceError(QiltestError):
    """No usable device, or no weights."""


class WorkersLostError(DeviceError):
    """No worker is left to generate: the session ends, and the same command goes on from what is stored."""


class ModelError(DeviceError):
    """The model is not whole, cannot be loaded or does not fit: it generates no image, so that the session ends."""


class ServerError(DeviceError):
    """A server cannot be used: not reached, another model, a key refused, a parameter that it does not have."""


class AnswerError(GenerationError):
    """A server's answer to one request is an error, or no image as it was asked for."""


class LateError(AnswerError):
    """A server's whole answer did not come in time; it may still be at work."""


class ReaderError(QiltestError):
    """A reader is not installed, its weights are missing or have another hash, or an image cannot be read."""


class ImagesError(QiltestError):
    """Images made elsewhere cannot be judged: their folder, its manifest, or an image; lists all that is wrong."""

    several_lines = True


class OrderError(QiltestError):
    """A test's steps are in an order in which something would not be judged."""


class GoldenError(QiltestError):
    """A golden is truncated, has another schema or a number that is not finite, or may not be changed here."""


class StoreError(QiltestError):
    """The run store is damaged or cannot be written."""


class NotifyError(QiltestError):
    """Nobody could be told what a run says."""


class OtherSchemaError(StoreError):
    """A stored run has the form of another version of qiltest."""


@contextmanager
def os_errors_as(kind: type[QiltestError], what: str, *, where: str, remedy: str) -> Iterator[None]:
    """Raise an OSError of the block as `kind`, with the system's reason after `what`."""
    try:
        yield
    except OSError as error:
        raise kind(f"{what}: {error.strerror or error}", where=where, remedy=remedy) from error
