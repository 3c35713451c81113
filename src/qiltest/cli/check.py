"""`qiltest check`: decides whether a LoRA file may replace a release."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from qiltest.arguments import ALL, MAX_SEED_COUNT, positive_int, rate, seed_count
from qiltest.cli.common import (
    AddParser,
    case_flag,
    cases_flag,
    console,
    file_path,
    json_flag,
    print_json,
    print_lines,
    reader_flag,
    runs_flag,
)
from qiltest.comparison.records import MARGIN, Comparisons, Release
from qiltest.errors import GenerationError, StoreError
from qiltest.files import expanded
from qiltest.generation.sources import TINY
from qiltest.runs.records import Run
from qiltest.text.format import count

if TYPE_CHECKING:
    from qiltest.engine.ending import Ending
    from qiltest.engine.options import Options, ReleaseRequest
    from qiltest.release.candidate import CandidateInspection
    from qiltest.suite.load import Suite

#: default number of seeds per case and resolution.
SEEDS = 4
_KEYBOARD = 130


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest check`."""
    parser = add(
        description="Inspects a LoRA file, generates the same cases and seeds with it and with the variant that it is "
        "to replace, and compares the images in pairs. Stored images are reused, so a second file costs only its own "
        "images, and an interrupted command resumes. Exit code 0: SHIP (no worse, or what the variant already uses); "
        "1: DO NOT SHIP (worse, or refused by the inspection), CANNOT TELL, or an image that could not be compared; "
        "2: wrong usage.",
        parents=[case_flag(), cases_flag(), reader_flag("rapidocr, or the case's own"), runs_flag(), json_flag()],
    )
    parser.add_argument("--lora", required=True, metavar="FILE", help="a .safetensors file, or repo::file in the cache")
    parser.add_argument("--like", required=True, metavar="VARIANT", help="the variant that it is to replace")
    parser.add_argument(
        "--seeds", type=seed_count, default=SEEDS, metavar="N", help=f"seeds per case (default: {SEEDS})"
    )
    parser.add_argument(
        "--model", default=TINY, metavar="MODEL", help="tiny, a folder or a Hugging Face id (default: tiny)"
    )
    parser.add_argument(
        "--base-model", metavar="ID", help="base model that --model is, such as Qwen/Qwen-Image (default: recognised)"
    )
    parser.add_argument("--device", metavar="DEVICE", help="such as cuda:1 (default: CPU for tiny, else GPU)")
    parser.add_argument(
        "--offload",
        choices=("none", "model", "group", "sequential"),
        default="none",
        help="keep weights on the CPU, if the GPU memory is too small, as --qil-offload does (default: none)",
    )
    parser.add_argument(
        "--fp8", action="store_true", help="store the transformer's weights in float8, as --qil-fp8 does: other images"
    )
    parser.add_argument("--threads", type=positive_int, metavar="N", help="CPU threads of the model")
    parser.add_argument(
        "--margin",
        type=rate,
        default=MARGIN,
        metavar="RATE",
        help=f"largest accepted rise of the error rate (default: {MARGIN})",
    )
    parser.add_argument(
        "--allow-partial-lora", action="store_true", help="accept a LoRA that leaves out blocks, or is zero in some"
    )
    parser.add_argument("--fresh", action="store_true", help="generate every image again, even if it is stored")
    parser.add_argument(
        "--report", type=file_path, metavar="PATH", help="HTML page (default: comparison.html in the run's folder)"
    )
    parser.set_defaults(handler=run_check)


def run_check(args: argparse.Namespace) -> int:
    """Check a release and print the result. Returns 0 for SHIP, else 1; raises QiltestError."""
    from qiltest.release.check import admit, try_release
    from qiltest.suite.load import load_suite

    _check_page(args.report)
    options, release = _options(args)
    suite = load_suite(options.cases_folder, keep_doubtful=True)
    for name in args.case:
        suite.case(name)
    suite = admit(suite, release, args.model, base=args.base_model)
    partial = args.allow_partial_lora
    inspection = try_release(suite, release, args.model, base=args.base_model, allow_partial=partial)
    if not args.json:
        print_lines(_inspection_lines(inspection, args.like))
    if inspection.refusals or inspection.same:
        if args.json:
            print_json(_decided(inspection, args.like))
        return 0 if inspection.same else 1
    return _report(args, inspection, _checked(args, options, suite))


def _check_page(path: Path | None) -> None:
    """Raise StoreError where the page could not be written, before hours of generating."""
    if path is None:
        return
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if path.is_dir():
        why = "it is a folder"
    elif not folder.is_dir():
        why = f"{folder} is not a folder"
    elif not os.access(folder, os.W_OK | os.X_OK):
        why = f"no permission to write into {folder}"
    else:
        return
    raise StoreError(f"the page cannot be written: {why}", where=str(path), remedy="choose another file with --report")


def _checked(args: argparse.Namespace, options: Options, suite: Suite) -> Ending:
    """Generate both releases and compare them. Raises DeviceError, ReaderError, StoreError and CaseError."""
    from qiltest.generation import Settings, open_generator
    from qiltest.reading import open_reader
    from qiltest.release.check import check_release
    from qiltest.session.progress import ProgressBar, open_terminal

    progress = ProgressBar(terminal=open_terminal(), column=lambda: 0)
    settings = Settings(
        device=options.device,
        base=options.base,
        threads=options.threads,
        offload=options.offload,
        fp8=options.fp8,
        allow_partial_lora=options.allow_partial_lora,
        on_step=progress.step,
    )
    generator = open_generator(options.model, settings)
    with closing(generator):
        return check_release(
            options,
            suite,
            generator=generator,
            open_reader=open_reader,
            command=tuple(_command(args)),
            progress=progress,
        )


def _report(args: argparse.Namespace, inspection: CandidateInspection, ending: Ending) -> int:
    from qiltest.release.check import INTERRUPTED
    from qiltest.report.ci import ci_lines
    from qiltest.report.terminal.comparison import print_comparisons, run_problems

    found, run = ending.comparisons, ending.run
    if found is None or run is None:
        raise GenerationError("; ".join(ending.problems), remedy="fix this and repeat the command to resume")
    problems = tuple(dict.fromkeys((*run_problems(run), *ending.problems)))
    # write CI's job summary; its lines are for the output of pytest
    tuple(ci_lines(run))
    page = _page(args, found, run, problems)
    if args.json:
        print_json(_record(inspection, args.like, found, run, problems, page))
    else:
        print_lines(_run_lines(run, page))
        print_comparisons(console(), found, problems)
        print_lines(_next(found, args))
    if ending.exit_status == INTERRUPTED:
        return _KEYBOARD
    return 0 if found.passes and ending.status == 0 else 1


def _options(args: argparse.Namespace) -> tuple[Options, ReleaseRequest]:
    """Return the options of the same check by `pytest --qil-lora`; any model but the embedded one needs a GPU.

    Raises DeviceError for ways to generate that exclude each other.
    """
    from qiltest.engine.options import Options, ReleaseRequest
    from qiltest.generation.settings import Offload, Settings
    from qiltest.runs.store import Reuse
    from qiltest.suite.variants import CANDIDATE

    way = Settings(offload=Offload(args.offload), fp8=args.fp8)
    gpu = args.model != TINY and not (args.device or "cuda").startswith("cpu")
    lora = args.lora if "::" in args.lora else str(Path.cwd() / expanded(args.lora))
    release = ReleaseRequest(lora=lora, like=args.like, margin=args.margin)
    options = Options(
        model=args.model,
        base=args.base_model,
        device=args.device or ("cuda" if gpu else "cpu"),
        gpu=gpu,
        threads=args.threads,
        reader=args.reader,
        cases=tuple(dict.fromkeys(args.case)),
        # the candidate first, so that an error in it shows at once
        variants=(CANDIDATE, args.like),
        sizes=(),
        seed_count=args.seeds,
        seeds=(),
        update=None,
        # the replaced variant is generated once for all candidates
        reuse=Reuse.NEVER if args.fresh else Reuse.ANY,
        merge=None,
        compiled=False,
        offload=way.offload,
        fp8=way.fp8,
        allow_partial_lora=args.allow_partial_lora,
        expect=ALL,
        rounds=1,
        release=release,
        cases_folder=args.cases.absolute(),
        golden_folder=Path.cwd() / "golden",
        runs_folder=args.runs.absolute(),
        given=(),
    )
    return options, release


def _command(args: argparse.Namespace) -> Iterator[str]:
    """Yield the command that resumes this run."""
    yield from ("qiltest", "check", "--lora", args.lora, "--like", args.like, "--seeds", str(args.seeds))
    for name in ("model", "base_model", "device", "threads", "reader"):
        if (value := getattr(args, name)) is not None:
            yield from (f"--{name.replace('_', '-')}", str(value))
    yield from (word for name in args.case for word in ("--case", name))
    yield from ("--margin", f"{args.margin:g}", "--cases", str(args.cases), "--runs", str(args.runs))
    if args.offload != "none":
        yield from ("--offload", args.offload)
    if args.fp8:
        yield "--fp8"
    if args.allow_partial_lora:
        yield "--allow-partial-lora"
    if args.fresh:
        yield "--fresh"


def _page(args: argparse.Namespace, found: Comparisons, run: Run, problems: tuple[str, ...]) -> Path:
    from qiltest.release.check import PAGE
    from qiltest.report.comparison.page import write_page
    from qiltest.suite.variants import CANDIDATE

    path: Path = args.report or run.path / PAGE
    for each in dict.fromkeys((run.path / PAGE, path)):
        write_page(found, run, run, each, variant=args.like, with_variant=CANDIDATE, problems=problems)
    return path


def _inspection_lines(inspection: CandidateInspection, like: str) -> Iterator[str]:
    from qiltest.lora.likeness import strength_words
    from qiltest.release.candidate import refusal_lines, same_line

    if inspection.report is not None:
        report = inspection.report
        ranks, scales = (", ".join(f"{value:g}" for value in values) for values in (report.ranks, report.scales))
        yield f"lora   {inspection.path}, SHA-256 {inspection.sha256 or 'not computed'}"
        modules = f"{len(report.modules)} modules of {report.base}"
        yield f"       rank {ranks or '-'}, alpha / rank {scales or '-'}, {modules}"
    if inspection.likeness is not None and math.isfinite(inspection.likeness.strength):
        likeness = inspection.likeness
        yield f"       {strength_words(likeness.strength, like)}, cosine {likeness.cosine:.3f}"
    yield from (f"note   {note}" for note in inspection.notes)
    if inspection.refusals:
        yield from refusal_lines(inspection, like)
    elif inspection.same:
        yield same_line(inspection, like)


def _run_lines(run: Run, page: Path) -> Iterator[str]:
    generated, reused = _counts(run)
    yield f"run    {run.path}: {count(generated, 'image')} generated, {reused} reused"
    yield f"page   {page.resolve()}"
    yield from (f"note   {note}" for note in run.notes)
    yield ""


def _next(found: Comparisons, args: argparse.Namespace) -> Iterator[str]:
    """Yield what to do where the data do not decide."""
    if found.verdict is not Release.CANNOT_TELL:
        return
    needed = [comparison.plan.seeds for comparison in found.comparisons if comparison.plan is not None]
    seeds = max((amount for amount in needed if amount is not None), default=None)
    if seeds is None or None in needed:
        yield f"  -> more seeds would probably not be enough for --margin {args.margin:g}; try a larger margin"
    elif seeds > MAX_SEED_COUNT:
        yield f"  -> about {seeds} seeds needed, at most {MAX_SEED_COUNT} are possible; a larger --margin needs fewer"
    else:
        yield f"  -> repeat the command with --seeds {seeds}; only the additional seeds are generated"


def _counts(run: Run) -> tuple[int, int]:
    """Return how many images were generated and how many reused."""
    reused = sum(1 for result in run.results if result.reused_from)
    return sum(1 for result in run.results if result.image is not None) - reused, reused


def _lora(inspection: CandidateInspection, like: str) -> dict[str, object]:
    return {
        "path": str(inspection.path),
        "sha256": inspection.sha256,
        "like": like,
        "same": inspection.same,
        "refusals": inspection.refusals,
        "notes": inspection.notes,
        "inspection": None if inspection.report is None else inspection.report.as_dict(),
        "likeness": None if inspection.likeness is None else inspection.likeness.as_dict(),
    }


def _decided(inspection: CandidateInspection, like: str) -> dict[str, object]:
    """Return the record of a verdict for which nothing was generated."""
    return {
        "verdict": Release.SHIP if inspection.same else Release.DO_NOT_SHIP,
        "passes": inspection.same,
        "lora": _lora(inspection, like),
        "run": None,
        "page": None,
        "comparisons": [],
    }


def _record(
    inspection: CandidateInspection, like: str, found: Comparisons, run: Run, problems: tuple[str, ...], page: Path
) -> dict[str, object]:
    from qiltest.report.terminal.comparison import comparison_record

    plans = [comparison.plan for comparison in found.comparisons if comparison.plan is not None]
    generated, reused = _counts(run)
    return {
        **comparison_record(found, run, run, problems),
        "lora": _lora(inspection, like),
        "run": run.id,
        "page": str(page),
        "seeds": len({sample.seed for sample in run.planned}),
        "seeds_that_would_decide": plans[0].seeds if plans else None,
        "generated": generated,
        "from_store": reused,
    }
