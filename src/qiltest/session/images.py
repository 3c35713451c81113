"""`--qil-images FOLDER` in a session: opened once the samples are known, and never replaced by another generator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qiltest.engine.options import Options
from qiltest.errors import QiltestError
from qiltest.generation.records import Generator
from qiltest.suite.load import Suite
from qiltest.suite.selection import Sample, Task
from qiltest.text.format import count

if TYPE_CHECKING:
    from qiltest.elsewhere.source import FolderSource


def open_images(folder: Path, options: Options, tasks: Mapping[Sample, Task], suite: Suite) -> FolderSource:
    """Look at every image of the selected samples. Raises pytest.UsageError where nothing of the folder can be judged.

    What is wrong with single images is told by their own tests, and all of it at the end.
    """
    from qiltest.elsewhere.source import open_folder

    source = options.images_from
    try:
        return open_folder(
            folder, tasks, suite, model=options.model, kind=options.kind, base=options.base, source=source
        )
    except QiltestError as error:
        raise pytest.UsageError(f"qiltest: {error}") from None


def refuse_replaced(images: FolderSource | None, generator: Generator) -> None:
    """End the session where another generator is in the place of the images, which would not be judged."""
    if images is not None and generator is not images:
        raise pytest.exit.Exception(
            "qiltest: a conftest replaces the fixture qil_generator, so that the images of --qil-images would not be "
            "judged\n  -> remove --qil-images, or that fixture",
            pytest.ExitCode.USAGE_ERROR,
        )


def images_line(options: Options, number: int) -> str:
    """Return what the session will judge."""
    made = f"made elsewhere ({options.images_from}), of {options.model}, in {options.images}"
    return f"qiltest: {count(number, 'image')} {made}"
