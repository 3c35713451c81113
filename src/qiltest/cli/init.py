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

VARIANTS = "cases/variants.toml"
NIGHTLY = ".github/workflows/nightly.yml"
#: The files of a new project, each with its template.
FILES = {
    VARIANTS: "variants.toml",
    "cases/hello-world.toml": "hello-world.toml",
    "conftest.py": "conftest.py.txt",
    "test_images.py": "test_images.py.txt",
    "pytest.ini": "pytest.ini.txt",
    ".gitignore": "gitignore.txt",
    NIGHTLY: "nightly.yml.txt",
}
#: What `--edit` adds.
EDIT_FILES = {"cases/edit/menu.toml": "menu.toml", "cases/edit/inputs/menu.png": "menu.png"}
EDIT_VARIANTS = "edit-variants.toml"
#: the nightly workflow's models, and with `--edit`.
_MODELS, _EDIT_MODELS = b"[Qwen/Qwen-Image]", b"[Qwen/Qwen-Image, Qwen/Qwen-Image-Edit-2511]"
_SHOWN = 5
_NEXT = """\
created a project in {folder}: {files}

  cd {quoted}
  pytest           three images from the embedded model, on the CPU
  pytest -m gpu    the same from Qwen-Image, on a GPU
{edits}
cases/hello-world.toml explains every key of a case{of_edits}."""
_EDITS = """\

  pytest --qil-model=tiny-edit                           three edits by the embedded editing model, on the CPU
  pytest -m gpu --qil-model=Qwen/Qwen-Image-Edit-2511    the same by that model, on a GPU
"""


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest init`."""
    parser = add(
        description="Creates a project: a case, variants.toml, a test and a nightly workflow. Exit code 0: done; 2: "
        "the folder is not empty, or not writable.",
        parents=[json_flag()],
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a new or empty folder")
    parser.add_argument(
        "--edit",
        action="store_true",
        help="also a case that edits an image, its input image, and the variants of two editing models: tiny-edit, the "
        "embedded one, and Qwen/Qwen-Image-Edit-2511",
    )
    parser.set_defaults(handler=run_init)


def run_init(args: argparse.Namespace) -> int:
    """Create the project. Returns 0; raises StoreError. Existing files are never changed."""
    written = make_project(args.folder, edit=args.edit)
    if args.json:
        print_json({"folder": str(args.folder), "files": written}, readable=True)
    else:
        folder, quoted = one_line(str(args.folder)), one_line(shlex.quote(str(args.folder)))
        edits, of_edits = (_EDITS, ", cases/edit/menu.toml those of edits") if args.edit else ("", "")
        text = _NEXT.format(folder=folder, quoted=quoted, files=", ".join(written), edits=edits, of_edits=of_edits)
        console().print(text, soft_wrap=True)
    return 0


def make_project(folder: Path, *, edit: bool = False) -> list[str]:
    """Write the files of a new project, and return their names; `edit`: with an edit case and its variants.

    Raises StoreError where the folder is not empty, or not writable.
    """
    templates = files("qiltest.cli") / "new_project"
    named = FILES | (EDIT_FILES if edit else {})
    made = {name: (templates / template).read_bytes() for name, template in named.items()}
    if edit:
        made[VARIANTS] += (templates / EDIT_VARIANTS).read_bytes()
        made[NIGHTLY] = made[NIGHTLY].replace(_MODELS, _EDIT_MODELS)
    try:
        _refuse_existing(folder)
        for name, data in made.items():
            write_atomically(folder / name, data)
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreError(f"cannot be written: {why}", where=str(folder), remedy="name another folder") from error
    return list(made)


def _refuse_existing(folder: Path) -> None:
    found = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        what = f"the folder is not empty: it has {', '.join(found[:_SHOWN])}{more}; nothing was written"
        raise StoreError(what, where=str(folder), remedy="name a new folder")
