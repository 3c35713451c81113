"""`qiltest plan`: what must be generated, for images that another program makes."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from qiltest.arguments import names, seeds
from qiltest.cli.common import AddParser, cases_flag, console, file_path, json_flag, print_json, print_lines
from qiltest.errors import QiltestError, StoreError, os_errors_as
from qiltest.files import read_file, write_atomically
from qiltest.generation.sources import is_embedded, kind_of
from qiltest.text.format import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qiltest.elsewhere.plan import PlannedImage, PlannedModel

REAL = "Qwen/Qwen-Image"
#: of a file that may be a plan, and is replaced.
_MOST_BYTES = 256 << 20
COMFYUI = "comfyui-prompts"
FORMATS = ("json", "csv", COMFYUI)


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest plan`."""
    parser = add(
        description="Writes what must be generated, one record per image: prompt with its suffix, negative prompt, "
        "size, steps, CFG, seed, LoRA, scheduler and sigmas, and the name that the file is to have. Any program can "
        "make the images from it; `pytest --qil-images FOLDER` judges them. The options select as pytest's do. An "
        "existing file that is no plan is not overwritten. Exit code 0: written; 2: wrong usage, or not writable.",
        parents=[cases_flag(), json_flag("with --output: print what was written as JSON")],
    )
    text = "json, csv, or prompts for ComfyUI's API (default: json)"
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help=text)
    for flag, metavar, text in (
        ("--case", "ID[@WxH]", "select a case"),
        ("--variant", "NAME", "select a variant or a group; `all` for every variant"),
        ("--size", "WxH", "select a resolution"),
    ):
        more = f"{text}; may be repeated, or several separated by commas"
        parser.add_argument(flag, type=names, action="extend", default=[], metavar=metavar, help=more)
    parser.add_argument("--seeds", type=seeds, metavar="N|LIST", help="seeds per case, or a list such as 42,43")
    parser.add_argument(
        "--model",
        default=REAL,
        metavar="MODEL",
        help=f"tiny, tiny-edit, a folder or a Hugging Face id (default: {REAL})",
    )
    parser.add_argument(
        "--base-model", metavar="ID", help="base model that --model is, such as Qwen/Qwen-Image (default: recognised)"
    )
    parser.add_argument("--output", type=file_path, metavar="FILE", help="(default: standard output)")
    parser.set_defaults(handler=run_plan)


def run_plan(args: argparse.Namespace) -> int:
    """Write the plan. Returns 0; raises CaseError, DeviceError, RecipeError and StoreError."""
    from qiltest.elsewhere.plan import plan, planned_model
    from qiltest.generation.families import check_families
    from qiltest.generation.sources import base_of_model
    from qiltest.generation.tasks import tasks_of
    from qiltest.suite.load import load_suite
    from qiltest.suite.selection import select

    kind = kind_of(args.model)
    if args.base_model is not None and is_embedded(args.model):
        raise QiltestError(f"{args.model} is a base of its own", remedy="remove --base-model, or give another --model")
    suite, base = load_suite(args.cases), base_of_model(args.model, insisted=args.base_model)
    check_families(suite.variants)
    tasks = select(
        suite,
        kind=kind,
        cases=args.case,
        variants=args.variant,
        sizes=args.size,
        seeds=args.seeds if isinstance(args.seeds, tuple) else (),
        seed_count=args.seeds if isinstance(args.seeds, int) else None,
        base=base,
        able=tasks_of(args.model, base),
    )
    model = planned_model(args.model, kind=kind, base=args.base_model, variants=suite.variants)
    images = plan(tasks, model)
    if args.json and args.output is None:
        raise QiltestError(
            "without --output the plan itself is written to standard output",
            remedy="leave out --json, or name a file with --output",
        )
    _write(_formatted(args.format, images, model), args.output)
    if args.json:
        print_json({"format": args.format, "images": len(images), "plan": str(args.output)})
    elif args.output is not None:
        print_lines([f"{count(len(images), 'image')} to generate: {args.output.absolute()}"])
    return 0


def _formatted(form: str, images: Sequence[PlannedImage], model: PlannedModel) -> str:
    from qiltest.elsewhere.formats import as_comfyui, as_csv, as_json

    if form == "csv":
        return as_csv(images)
    return as_comfyui(images, model) if form == COMFYUI else as_json(images, model)


def _write(text: str, path: Path | None) -> None:
    if path is None:
        with suppress(BrokenPipeError):  # a reader that goes away, as `head` does
            console().file.write(text)
        return
    with os_errors_as(StoreError, "the plan cannot be written", where=str(path), remedy="choose another file"):
        _refuse_other(path)
        write_atomically(path, text.encode())


def _refuse_other(path: Path) -> None:
    """Raise StoreError where the file exists and is no plan: somebody's case file or notes would be lost."""
    from qiltest.elsewhere.formats import is_plan

    if not path.is_file():
        return
    text = read_file(path, most=_MOST_BYTES).decode(errors="replace")
    if text.strip() and not is_plan(text):
        remedy = "choose another file, or remove this one first"
        raise StoreError("this file exists and is no plan: it is not overwritten", where=str(path), remedy=remedy)
