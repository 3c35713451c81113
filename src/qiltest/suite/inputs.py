"""The input images of edit cases that are files: found, and checked against the SHA-256 that the case names."""

from __future__ import annotations

import shlex
from pathlib import Path

from qiltest.errors import InputError
from qiltest.input_images import InputImage
from qiltest.suite.cases import Case, InputFile


def find_input(case: Case, file: InputFile) -> InputImage:
    """Return an input image of a case that is a file.

    Raises InputError where it is not there, saying how to get it, or is another file than the case names, and
    RecipeError where it cannot be read.
    """
    path = Path(case.path).parent / file.path
    if not path.is_file():
        what = f"the input image {file.path} of {case.id} is not here"
        raise InputError(what, where=str(path), remedy=_get(file, path))
    found = InputImage.of(path.absolute())
    if file.sha256 is not None and found.sha256 != file.sha256:
        what = f"the input image has the SHA-256 {found.sha256}, the case names {file.sha256}"
        raise InputError(what, where=str(path), remedy=f"it is another image; {_get(file, path)}")
    return found


def _get(file: InputFile, path: Path) -> str:
    if not file.get:
        return "restore the file: it belongs to the case"
    return (
        f"get it once: curl --fail --location --create-dirs --output {shlex.quote(str(path))} {shlex.quote(file.get)}"
    )
