"""`qiltest check --images NEW --against OLD`: decides whether the images of one folder may replace those of another."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from qiltest.cli.common import console, print_json, print_lines, session_options
from qiltest.cli.own_words import in_own_words, obstacles_in_own_words
from qiltest.errors import QiltestError
from qiltest.text.format import count

if TYPE_CHECKING:
    from qiltest.engine.options import Options
    from qiltest.release.folders import FoldersChecked
    from qiltest.runs.records import Run

REAL = "Qwen/Qwen-Image"
#: options of generating, which would do nothing here, and their values where nobody gives them.
_GENERATING: dict[str, object] = {
    "lora": None,
    "strength": (1.0,),
    "size": [],
    "like": None,
    "seeds": None,
    "device": None,
    "offload": "none",
    "fp8": False,
    "threads": None,
    "allow_partial_lora": False,
}


def run_images(args: argparse.Namespace) -> int:
    """Compare two folders and print the result. Returns 0 for SHIP, else 1; raises QiltestError."""
    from qiltest.reading import open_reader
    from qiltest.release.folders import check_folders, label_of, tasks_of
    from qiltest.session.progress import ProgressBar, open_terminal
    from qiltest.suite.load import load_suite

    _refuse(args)
    args.model = args.model or REAL
    suite = load_suite(args.cases, keep_doubtful=True)
    sides = [
        (args.against, label_of(args.against, otherwise="old")),
        (args.images, label_of(args.images, otherwise="new")),
    ]
    old, new = ((folder, _options(args, folder, label)) for folder, label in sides)
    kind = new[1].kind
    tasks = tasks_of((args.images, args.against), suite, kind=kind, cases=args.case, variants=args.variant)
    checked = check_folders(
        (old, new),
        tasks,
        suite,
        open_reader=cache(open_reader),
        command=tuple(_command(args)),
        progress=ProgressBar(terminal=open_terminal(), column=lambda: 0),
        margin=args.margin,
    )
    return _report(args, checked)


def _refuse(args: argparse.Namespace) -> None:
    if args.images is None or args.against is None:
        what = "--images (the new folder) and --against (the folder it is to replace) need each other"
        raise QiltestError(what, remedy="give both")
    given = [name for name, usual in _GENERATING.items() if getattr(args, name) != usual]
    if given:
        flag = f"--{given[0].replace('_', '-')}"
        raise QiltestError(f"{flag} is for images that are generated here, not for --images", remedy=f"remove {flag}")
    if args.images.resolve() == args.against.resolve():
        raise QiltestError("both folders are the same", where=str(args.images), remedy="name two folders")


def _report(args: argparse.Namespace, checked: FoldersChecked) -> int:
    from qiltest.release.check import PAGE
    from qiltest.report.comparison.page import write_page
    from qiltest.report.terminal.comparison import comparison_record, print_comparisons, run_problems

    old, new = checked.old.run, checked.new.run
    assert old is not None
    assert new is not None
    stored = {*old.problems, *new.problems}  # which are told with the name of their run
    others = (problem for problem in checked.problems if problem not in stored)
    said = dict.fromkeys((*run_problems(old), *run_problems(new), *others))
    problems = tuple(in_own_words(problem, args.flags) for problem in said)
    found = obstacles_in_own_words(checked.found, args.flags)
    path: Path = args.report or new.path / PAGE
    for each in dict.fromkeys((new.path / PAGE, path)):
        write_page(found, old, new, each, problems=problems)
    if args.json:
        record = comparison_record(found, old, new, problems)
        print_json({**record, "passes": checked.passes, "runs": [old.id, new.id], "page": str(path)})
    else:
        print_lines(_run_lines((old, args.against), (new, args.images), notes=checked.notes, page=path))
        print_comparisons(console(), found, problems)
        if checked.found.passes and not checked.passes:
            print_lines(["  -> and yet exit code 1: what is wrong with the folders stands above"])
    return 0 if checked.passes else 1


def _run_lines(*sides: tuple[Run, Path], notes: Iterable[str], page: Path) -> Iterator[str]:
    for run, folder in sides:
        yield f"run    {run.path}: {count(len(run.results), 'image')} of {folder}"
    known = dict.fromkeys(note for run, _ in sides for note in run.notes)
    yield from (f"note   {note}" for note in (*known, *notes))
    yield f"page   {page.resolve()}"
    yield ""


def _options(args: argparse.Namespace, folder: Path, label: str) -> Options:
    """Return the options of a session that judges one folder."""
    from qiltest.runs.store import Reuse

    return replace(
        session_options(args),
        variants=tuple(dict.fromkeys(args.variant)),
        # a folder that was read before is not read again
        reuse=Reuse.NEVER if args.fresh else Reuse.ANY,
        images=folder.absolute(),
        images_from=label,
        paired=True,
    )


def _command(args: argparse.Namespace) -> Iterator[str]:
    """Yield the command that resumes this run."""
    yield from ("qiltest", "check", "--images", str(args.images), "--against", str(args.against))
    yield from ("--model", args.model)
    for name in ("base_model", "reader"):
        if (value := getattr(args, name)) is not None:
            yield from (f"--{name.replace('_', '-')}", str(value))
    yield from (word for name in args.case for word in ("--case", name))
    yield from (word for name in args.variant for word in ("--variant", name))
    yield from ("--margin", f"{args.margin:g}", "--cases", str(args.cases), "--runs", str(args.runs))
