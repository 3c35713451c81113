"""`qiltest check`: whether a LoRA file may replace a release."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from qiltest.cli.compare import rate
from qiltest.comparison.records import MARGIN, Comparisons, Release
from qiltest.errors import GenerationError, StoreError
from qiltest.generation.sources import TINY
from qiltest.runs.records import Run
from qiltest.text.escape import one_line

if TYPE_CHECKING:
    from qiltest.release.candidate import Trial
    from qiltest.release.inner import Inner
    from qiltest.session.session import SuiteSession

#: seeds a case and resolution that are drawn where nothing is said.
SEEDS = 4
_MOST_SEEDS = 64
_INTERRUPTED, _KEYBOARD = 2, 130
#: columns where nobody's window says how many there are.
_FILE_WIDTH = 200
#: What argparse calls the object that `add_subparsers` returns.
Subparsers = Any


def add_parsers(subparsers: Subparsers) -> None:
    """Add `qiltest check`."""
    parser = subparsers.add_parser(
        "check",
        help="may this LoRA file replace a release?",
        description="Inspects a LoRA file, draws it and the variant that it is to replace over the same cases and "
        "seeds, and compares both picture by picture. Pictures that are in the folder of runs are not drawn again, so "
        "a further file costs its own pictures alone, and an interrupted command goes on where it stopped. "
        "Exit code 0: SHIP; 1: DO NOT SHIP (worse, or the file cannot be what it should), CANNOT TELL, or a picture "
        "that could not be compared; 2: used wrongly.",
    )
    parser.add_argument("--lora", required=True, metavar="FILE", help="a .safetensors file, or repo::file in the cache")
    parser.add_argument("--like", required=True, metavar="VARIANT", help="the variant that it is to replace")
    parser.add_argument("--seeds", type=_seeds, default=SEEDS, metavar="N", help=f"seeds a case ({SEEDS})")
    parser.add_argument("--model", default=TINY, metavar="MODEL", help="tiny, a folder or a Hugging Face id (tiny)")
    parser.add_argument("--device", metavar="DEVICE", help="such as cuda:1 (the CPU for tiny, else the GPU)")
    parser.add_argument("--threads", metavar="N", help="CPU threads of the model")
    parser.add_argument("--reader", metavar="READER", help="reader of all cases that name none (rapidocr)")
    parser.add_argument(
        "--case", action="append", default=[], metavar="ID[@WxH]", help="this case alone; may be repeated (all)"
    )
    parser.add_argument(
        "--margin", type=rate, default=MARGIN, metavar="RATE", help=f'what "not worse" allows ({MARGIN})'
    )
    parser.add_argument("--fresh", action="store_true", help="draw every picture, also those that are stored")
    parser.add_argument("--cases", type=Path, default=Path("cases"), metavar="DIR", help="case files (cases)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder of runs (runs)")
    parser.add_argument("--report", type=Path, metavar="PATH", help="the page (comparison.html in the run's folder)")
    parser.add_argument("--json", action="store_true", help="machine-readable result on standard output")
    parser.set_defaults(handler=run_check)


def _seeds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_SEEDS:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seeds: write 1 to {_MOST_SEEDS}")
    return int(text)


def run_check(args: argparse.Namespace) -> int:
    """Check a release and say what was found. Returns 0 for SHIP, else 1; raises what a user can mend."""
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    trial = _try(args)
    if not args.json:
        _print(console, _trial_lines(trial, args.like))
    if trial.refusals:
        if args.json:
            console.print(json.dumps(_refused(trial, args.like), allow_nan=False), soft_wrap=True)
        return 1
    return _draw(args, console, trial)


def _try(args: argparse.Namespace) -> Trial:
    """Hold the file against what it replaces. Raises CaseError, DeviceError and RecipeError."""
    from qiltest.engine.options import Release as Asked
    from qiltest.release.session import admit, try_release
    from qiltest.suite.load import load_suite

    suite = load_suite(args.cases, keep_doubtful=True)
    for name in args.case:
        suite.case(name)
    asked = Asked(lora=args.lora, like=args.like, margin=args.margin)
    return try_release(admit(suite, asked, args.model), asked, args.model)


def _draw(args: argparse.Namespace, console: Console, trial: Trial) -> int:
    from qiltest.release.inner import run_suite
    from qiltest.report.terminal.comparison import print_comparisons, run_problems

    inner = run_suite(list(_options(args)))
    session, run = inner.session, None if inner.session is None else inner.session.run
    if session is None or run is None or session.comparisons is None:
        raise GenerationError(_failure(inner), remedy="mend it; the same command goes on from what is stored")
    found = session.comparisons
    problems = tuple(dict.fromkeys((*run_problems(run), *session.problems)))
    page = _page(args, session, run, problems)
    if args.json:
        record = _record(trial, args.like, found, run, problems, page)
        console.print(json.dumps(record, allow_nan=False), soft_wrap=True)
    else:
        _print(console, _run_lines(run, page))
        print_comparisons(console, found, problems)
        _print(console, _next(found, args))
    if inner.code == _INTERRUPTED:
        return _KEYBOARD
    return 0 if found.holds and inner.code == 0 else 1


def _options(args: argparse.Namespace) -> Iterator[str]:
    """Yield the session's options. A model that is not the embedded one is drawn on a GPU unless told otherwise."""
    if args.model != TINY and not (args.device or "cuda").startswith("cpu"):
        yield from ("-m", "gpu")
    yield f"--qil-lora={args.lora}"
    yield f"--qil-like={args.like}"
    yield f"--qil-margin={args.margin!r}"
    yield f"--qil-seeds={args.seeds}"
    yield f"--qil-model={args.model}"
    yield "--qil-rounds=1"
    for name in ("device", "threads", "reader"):
        value = getattr(args, name)
        if value is not None:
            yield f"--qil-{name}={value}"
    yield from (f"--qil-case={name}" for name in args.case)
    yield f"--qil-cases={args.cases.absolute()}"
    yield f"--qil-runs={args.runs.absolute()}"
    if args.fresh:
        yield "--qil-fresh"


def _failure(inner: Inner) -> str:
    """Return what the session said went wrong: its errors, or else all that it wrote."""
    lines = [line.strip() for line in inner.output.splitlines() if line.strip()]
    headline = () if inner.session is None else tuple(inner.session.headline())
    marks = ("E ", "ERROR: ", "qiltest: ")
    told = [line.removeprefix("E ").strip() for line in lines if line.startswith(marks) and line not in headline]
    return one_line("; ".join(dict.fromkeys(told)) or " ".join(lines[-5:]) or f"pytest ended with {inner.code}")


def _page(args: argparse.Namespace, session: SuiteSession, run: Run, problems: tuple[str, ...]) -> Path:
    from qiltest.release.session import PAGE
    from qiltest.report.comparison.page import write_page
    from qiltest.suite.variants import CANDIDATE

    assert session.comparisons is not None
    path: Path = args.report or run.path / PAGE
    try:
        write_page(session.comparisons, run, run, path, variant=args.like, with_variant=CANDIDATE, problems=problems)
    except OSError as error:
        raise StoreError(
            f"the page could not be written: {error.strerror or error}",
            where=str(path),
            remedy="free space, or choose another file with --report",
        ) from error
    return path


def _print(console: Console, lines: Iterator[str]) -> None:
    for line in lines:
        console.print(one_line(line), soft_wrap=True)


def _trial_lines(trial: Trial, like: str) -> Iterator[str]:
    from qiltest.release.candidate import refusal_lines

    if trial.report is not None:
        report = trial.report
        ranks, scales = (", ".join(f"{value:g}" for value in values) for values in (report.ranks, report.scales))
        yield f"lora   {trial.path}, SHA-256 {trial.sha256}"
        modules = f"{len(report.modules)} modules of {report.base}"
        yield f"       rank {ranks or '-'}, alpha / rank {scales or '-'}, {modules}"
    if trial.likeness is not None and math.isfinite(trial.likeness.strength):
        yield (
            f"       {trial.likeness.strength:.3g} times as strong as that of {like}, cosine "
            f"{trial.likeness.cosine:.3f}"
        )
    yield from (f"note   {note}" for note in trial.notes)
    if trial.refusals:
        yield from refusal_lines(trial, like)


def _run_lines(run: Run, page: Path) -> Iterator[str]:
    stored = sum(1 for result in run.results if result.reused_from)
    drawn = sum(1 for result in run.results if result.picture is not None) - stored
    yield f"run    {run.path}: {drawn} pictures drawn, {stored} taken from the store"
    yield f"page   {page.resolve()}"
    yield ""


def _next(found: Comparisons, args: argparse.Namespace) -> Iterator[str]:
    """Yield what decides where the data do not."""
    if found.verdict is not Release.CANNOT_TELL:
        return
    needed = [comparison.plan.seeds for comparison in found.comparisons if comparison.plan is not None]
    seeds = max((count for count in needed if count is not None), default=None)
    if seeds is None or None in needed:
        yield f"  -> no number of seeds promises an answer within the margin {args.margin:g}; a wider --margin might"
    elif seeds > _MOST_SEEDS:
        yield f"  -> about {seeds} seeds would decide; at most {_MOST_SEEDS} are drawn: a wider --margin asks for fewer"
    else:
        yield f"  -> the same command with --seeds {seeds} should decide; it draws the further seeds alone"


def _lora(trial: Trial, like: str) -> dict[str, object]:
    return {
        "path": str(trial.path),
        "sha256": trial.sha256,
        "like": like,
        "refusals": trial.refusals,
        "notes": trial.notes,
        "inspection": None if trial.report is None else trial.report.as_dict(),
        "likeness": None if trial.likeness is None else trial.likeness.as_dict(),
    }


def _refused(trial: Trial, like: str) -> dict[str, object]:
    return {
        "verdict": Release.DO_NOT_SHIP,
        "holds": False,
        "lora": _lora(trial, like),
        "run": None,
        "page": None,
        "comparisons": [],
    }


def _record(
    trial: Trial, like: str, found: Comparisons, run: Run, problems: tuple[str, ...], page: Path
) -> dict[str, object]:
    from qiltest.report.terminal.comparison import comparison_record

    plans = [comparison.plan for comparison in found.comparisons if comparison.plan is not None]
    return {
        **comparison_record(found, run, run, problems),
        "lora": _lora(trial, like),
        "run": run.id,
        "page": str(page),
        "seeds": len({point.seed for point in run.planned}),
        "seeds_that_would_decide": plans[0].seeds if plans else None,
        "drawn": sum(1 for result in run.results if result.picture is not None and not result.reused_from),
        "from_store": sum(1 for result in run.results if result.reused_from),
    }
