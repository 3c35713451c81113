"""`qiltest init`: creates a project with one case, in which `pytest` passes at once."""

from __future__ import annotations

import argparse
import shlex
from importlib.resources import files
from pathlib import Path

from qiltest.cli.common import AddParser, console, json_flag, print_json
from qiltest.errors import StoreError
from qiltest.files import write_atomically
from qiltest.text.escape import one_line

#: The files of a new project, each with its template.
FILES = {
    "cases/variants.toml": "variants.toml",
    "cases/hello-world.toml": "hello-world.toml",
    "conftest.py": "conftest.py.txt",
    "test_images.py": "test_images.py.txt",
    "pytest.ini": "pytest.ini.txt",
    ".gitignore": "gitignore.txt",
    ".github/workflows/nightly.yml": "nightly.yml.txt",
}
_SHOWN = 5
_NEXT = """\
created a project in {folder}: {files}

  cd {quoted}
  pytest           three images from the embedded model, on the CPU
  pytest -m gpu    the same from Qwen-Image, on a GPU

cases/hello-world.toml explains every key of a case."""


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest init`."""
    parser = add(
        description="Creates a project: a case, variants.toml, a test and a nightly workflow. Exit code 0: done; 2: "
        "the folder is not empty, or not writable.",
        parents=[json_flag()],
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a new or empty folder")
    parser.set_defaults(handler=run_init)


def run_init(args: argparse.Namespace) -> int:
    """Create the project. Returns 0; raises StoreError. Existing files are never changed."""
    make_project(args.folder)
    if args.json:
        print_json({"folder": str(args.folder), "files": list(FILES)}, readable=True)
    else:
        folder, quoted = one_line(str(args.folder)), one_line(shlex.quote(str(args.folder)))
        console().print(_NEXT.format(folder=folder, quoted=quoted, files=", ".join(FILES)), soft_wrap=True)
    return 0


def make_project(folder: Path) -> None:
    """Write the files of a new project. Raises StoreError where the folder is not empty, or not writable."""
    templates = files("qiltest.cli") / "new_project"
    try:
        _refuse_existing(folder)
        for name, template in FILES.items():
            write_atomically(folder / name, (templates / template).read_bytes())
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreError(f"cannot be written: {why}", where=str(folder), remedy="name another folder") from error


def _refuse_existing(folder: Path) -> None:
    found = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        what = f"the folder is not empty: it has {', '.join(found[:_SHOWN])}{more}; nothing was written"
        raise StoreError(what, where=str(folder), remedy="name a new folder")
