"""What users can get wrong.

Every error says what is wrong, where, and what to do about it. `QiltestError.exit_code` is what the command line
returns for it: 2, used wrongly; a verdict that does not hold is not an error but exit code 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class QiltestError(Exception):
    """Base of all errors that a user can fix; the message is for them."""

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(self._message())

    def _message(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  -> {self.remedy}" if self.remedy else head


class CaseError(QiltestError):
    """Mistakes in case files or `variants.toml`; the message lists all of them."""


class RecipeError(QiltestError):
    """What would be generated is not what was asked for (scheduler, LoRA, CFG, hash)."""


class GenerationError(QiltestError):
    """An image could not be made, or is unusable (NaN, blank)."""


class OutOfMemoryError(GenerationError):
    """The device ran out of memory; the message names the option that helps."""


class DeviceError(QiltestError):
    """No usable device or no weights where `-m gpu` asked for them."""


class ReaderError(QiltestError):
    """A reader is not installed, its weights are missing or of another hash, or an image cannot be read."""


class GoldenError(QiltestError):
    """A golden is truncated, of another schema, not finite, or may not be changed here."""


class StoreError(QiltestError):
    """The run store holds something that is not what its name says, or cannot be written."""


@contextmanager
def os_errors_as(kind: type[QiltestError], what: str, *, where: str, remedy: str) -> Iterator[None]:
    """Raise an OSError of the block as `kind`, with the system's reason after `what`."""
    try:
        yield
    except OSError as error:
        raise kind(f"{what}: {error.strerror or error}", where=where, remedy=remedy) from error
