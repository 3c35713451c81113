"""`qiltest check`: decides whether a LoRA file may replace a release."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qiltest.arguments import ALL, names, positive_int, rate, seed_count, strengths, workers
from qiltest.cli.check_output import checked_record, decided_record, inspection_lines, next_lines, run_lines
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
    session_options,
)
from qiltest.cli.own_words import in_own_words, obstacles_in_own_words
from qiltest.comparison.records import MARGIN, Comparisons
from qiltest.errors import CaseError, GenerationError, QiltestError, StoreError
from qiltest.files import expanded
from qiltest.generation.sources import TINY, is_embedded
from qiltest.recipe import Size
from qiltest.runs.records import Run

if TYPE_CHECKING:
    from qiltest.engine.ending import Ending
    from qiltest.engine.options import Options, ReleaseRequest
    from qiltest.generation.records import Generator
    from qiltest.release.candidate import CandidateInspection
    from qiltest.report.comparison.wording import About
    from qiltest.suite.load import Suite

#: default number of seeds per case and resolution.
SEEDS = 4
_KEYBOARD = 130


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest check`."""
    parser = add(
        description="Inspects a LoRA file, generates the same cases and seeds with it and with the variant that it is "
        "to replace, and compares the images in pairs. Stored images are reused, so a second file costs only its own "
        "images, and an interrupted command resumes. With --images and --against the images of two folders, made "
        "elsewhere by `qiltest plan`, are compared instead. Exit code 0: SHIP (no worse, or what the variant "
        "already uses; of several candidates the best one); 1: DO NOT SHIP (worse, or refused by the inspection), "
        "CANNOT TELL, or an image that could not be compared; 2: wrong usage.",
        parents=[case_flag(), cases_flag(), reader_flag("rapidocr, or the case's own"), runs_flag(), json_flag()],
    )
    parser.add_argument(
        "--lora",
        action="append",
        metavar="FILE",
        help="a .safetensors file, or repo::file in the cache; several are ranked, and the replaced variant is "
        "generated once",
    )
    parser.add_argument(
        "--strength",
        type=strengths,
        default=(1.0,),
        metavar="S[,S]",
        help="factors on the LoRA's delta, such as 0.5,0.8,1: each is a candidate (default: 1)",
    )
    parser.add_argument(
        "--size",
        type=names,
        action="extend",
        default=[],
        metavar="WxH[,WxH]",
        help="sizes in place of the cases' own, each compared by itself",
    )
    parser.add_argument("--like", metavar="VARIANT", help="the variant that it is to replace")
    parser.add_argument("--images", type=Path, metavar="NEW", help="a folder of images made elsewhere")
    parser.add_argument("--against", type=Path, metavar="OLD", help="the folder of images that they are to replace")
    parser.add_argument(
        "--variant", action="append", default=[], metavar="NAME", help="with --images: only this; may be repeated"
    )
    parser.add_argument("--seeds", type=seed_count, metavar="N", help=f"seeds per case (default: {SEEDS})")
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="tiny, tiny-edit, a folder or a Hugging Face id (default: tiny; with --images Qwen/Qwen-Image)",
    )
    parser.add_argument(
        "--base-model", metavar="ID", help="base model that --model is, such as Qwen/Qwen-Image (default: recognised)"
    )
    parser.add_argument(
        "--device", metavar="DEVICE", help="such as cuda:1 (default: CPU for an embedded model, else GPU)"
    )
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
        "--workers",
        type=workers,
        metavar="N|all",
        help="generate in N processes, one GPU each, as --qil-workers does; without a GPU one core each (default: this "
        "process; all for tiny on a CPU without --threads)",
    )
    parser.add_argument(
        "--cluster", metavar="ADDRESS|auto", help="generate on the nodes of a Ray cluster, as --qil-cluster does"
    )
    parser.add_argument(
        "--readers", type=positive_int, metavar="K", help="read images in K processes while others are generated"
    )
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
    from qiltest.generation.families import check_families
    from qiltest.release.check import admit, resized, try_release
    from qiltest.suite.load import load_suite

    _check_page(args.report)
    if args.images is not None or args.against is not None:
        from qiltest.cli.check_images import run_images

        return run_images(args)
    if args.lora is None or args.like is None or args.variant:
        raise QiltestError(
            "which release? --variant is for --images" if args.variant else "which release is to be checked?",
            remedy="give --lora FILE and --like VARIANT, or --images NEW and --against OLD",
        )
    args.model, args.seeds = args.model or TINY, args.seeds or SEEDS
    options, release = _options(args)
    suite = load_suite(options.cases_folder, keep_doubtful=True)
    check_families(suite.variants)
    if args.size:
        suite = resized(suite, _sizes(args.size))
    for name in args.case:
        suite.case(name)
    suite = admit(suite, release, args.model, base=args.base_model)
    partial = args.allow_partial_lora
    inspections = try_release(suite, release, args.model, base=args.base_model, allow_partial=partial)
    left = {name: found for name, found in inspections.items() if not (found.refusals or found.same)}
    if not args.json:
        alone = not left
        print_lines(line for found in inspections.values() for line in inspection_lines(found, args.like, alone=alone))
    if not left:
        if args.json:
            print_json(decided_record(inspections, args.like))
        return 0 if any(found.same for found in inspections.values()) else 1
    trials = tuple(trial for trial in release.trials if trial.name in left)
    release = replace(release, trials=trials)
    options = replace(options, release=release, variants=(*(trial.name for trial in trials), args.like))
    return _report(args, release, inspections, suite, _checked(args, options, suite))


def _sizes(named: Sequence[str]) -> tuple[Size, ...]:
    """Read sizes. Raises CaseError."""
    try:
        return tuple(Size.parse(size) for size in named)
    except ValueError as error:
        raise CaseError(str(error), where="--size") from None


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
    from qiltest.reading import open_reader
    from qiltest.release.check import check_release
    from qiltest.session.progress import ProgressBar, open_terminal

    progress = ProgressBar(terminal=open_terminal(), column=lambda: 0)
    with closing(_generator(options, suite, progress.step)) as generator:
        return check_release(
            options,
            suite,
            generator=generator,
            open_reader=open_reader,
            command=tuple(_command(args)),
            progress=progress,
        )


def _generator(options: Options, suite: Suite, on_step: Callable[[int, int], None]) -> Generator:
    """Open the workers that were asked for, or the generator of this process. Raises DeviceError and CaseError."""
    from qiltest.engine.context import selected_tasks
    from qiltest.engine.parallel.opening import open_workers
    from qiltest.generation import open_generator
    from qiltest.generation.opening import begin_ahead

    if not options.on_workers and options.gpu:  # the model's files are hashed while libraries are imported
        settings = options.settings(on_step)
        return open_generator(options.model, settings, ahead=begin_ahead(options.model, settings))
    if not options.on_workers:
        return open_generator(options.model, options.settings(on_step))
    most = len(selected_tasks(suite, options))
    return open_workers(options, options.settings(), most=most)


def default_workers(args: argparse.Namespace) -> str | None:
    """Return `all` for the embedded model on a CPU of several cores: the images are made at once, one core each.

    None where a number of threads was asked for, or there is one core.
    """
    from qiltest.engine.parallel.opening import cores

    on_cpu = is_embedded(args.model) and (args.device or "cpu").startswith("cpu")
    return ALL if on_cpu and args.threads is None and args.cluster is None and len(cores()) > 1 else None


def _report(
    args: argparse.Namespace,
    release: ReleaseRequest,
    inspections: dict[str, CandidateInspection],
    suite: Suite,
    ending: Ending,
) -> int:
    from qiltest.engine.loop import INTERRUPTED
    from qiltest.release.check import about_release
    from qiltest.report.ci import ci_lines
    from qiltest.report.terminal.comparison import print_comparisons, run_problems

    found, run = ending.comparisons, ending.run
    if found is None or run is None:
        raise GenerationError("; ".join(ending.problems), remedy="fix this and repeat the command to resume")
    found = obstacles_in_own_words(found, args.flags)
    said = dict.fromkeys((*run_problems(run), *ending.problems))
    problems = tuple(in_own_words(problem, args.flags) for problem in said)
    about = about_release(release, inspections, run, suite)
    # write CI's job summary; its lines are for the output of pytest
    tuple(ci_lines(run))
    page = _page(args, found, run, problems, about)
    if args.json:
        print_json(checked_record(inspections, found, run, problems, page, about))
    else:
        notices = (f"note   {in_own_words(notice, args.flags)}" for notice in ending.notices)
        print_lines((*notices, *run_lines(run, page)))
        print_comparisons(console(), found, problems, about=about)
        print_lines(next_lines(found, args.margin))
    if ending.exit_status == INTERRUPTED:
        return _KEYBOARD
    return 0 if found.passes and ending.status == 0 else 1


def _options(args: argparse.Namespace) -> tuple[Options, ReleaseRequest]:
    """Return the options of the same check by `pytest --qil-lora`; any model but the embedded one needs a GPU.

    Raises DeviceError for ways to generate that exclude each other.
    """
    from qiltest.engine.options import ReleaseRequest, Trial
    from qiltest.generation.settings import Offload, Settings
    from qiltest.runs.store import Reuse
    from qiltest.suite.variants import CANDIDATE

    way = Settings(offload=Offload(args.offload), fp8=args.fp8)
    gpu = not is_embedded(args.model) and not (args.device or "cuda").startswith("cpu")
    files = dict.fromkeys(file if "::" in file else str(Path.cwd() / expanded(file)) for file in args.lora)
    tried = [(file, strength) for file in files for strength in args.strength]
    called = [CANDIDATE] if len(tried) == 1 else [f"{CANDIDATE}-{number}" for number, _ in enumerate(tried, start=1)]
    trials = tuple(
        Trial(lora=file, strength=strength, name=name) for (file, strength), name in zip(tried, called, strict=True)
    )
    release = ReleaseRequest(trials=trials, like=args.like, margin=args.margin, by_size=bool(args.size))
    options = replace(
        session_options(args),
        device=args.device or ("cuda" if gpu else "cpu"),
        gpu=gpu,
        threads=args.threads,
        workers=default_workers(args) if args.workers is None else args.workers,
        cluster=args.cluster,
        readers=args.readers,
        # the candidates first, so that an error in one shows at once
        variants=(*called, args.like),
        seed_count=args.seeds,
        # the replaced variant is generated once for all candidates
        reuse=Reuse.NEVER if args.fresh else Reuse.ANY,
        offload=way.offload,
        fp8=way.fp8,
        allow_partial_lora=args.allow_partial_lora,
        expect=ALL,
        release=release,
    )
    return options, release


def _command(args: argparse.Namespace) -> Iterator[str]:
    """Yield the command that resumes this run."""
    yield from ("qiltest", "check")
    yield from (word for file in args.lora for word in ("--lora", file))
    yield from ("--like", args.like, "--seeds", str(args.seeds))
    for name in ("model", "base_model", "device", "threads", "workers", "cluster", "readers", "reader"):
        if (value := getattr(args, name)) is not None:
            yield from (f"--{name.replace('_', '-')}", str(value))
    yield from (word for name in args.case for word in ("--case", name))
    if args.strength != (1.0,):
        yield from ("--strength", ",".join(f"{value:g}" for value in args.strength))
    yield from (word for size in args.size for word in ("--size", size))
    yield from ("--margin", f"{args.margin:g}", "--cases", str(args.cases), "--runs", str(args.runs))
    if args.offload != "none":
        yield from ("--offload", args.offload)
    if args.fp8:
        yield "--fp8"
    if args.allow_partial_lora:
        yield "--allow-partial-lora"
    if args.fresh:
        yield "--fresh"


def _page(args: argparse.Namespace, found: Comparisons, run: Run, problems: tuple[str, ...], about: About) -> Path:
    from qiltest.release.check import PAGE
    from qiltest.report.comparison.page import write_page

    path: Path = args.report or run.path / PAGE
    for each in dict.fromkeys((run.path / PAGE, path)):
        write_page(found, run, run, each, variant=args.like, problems=problems, about=about)
    return path
