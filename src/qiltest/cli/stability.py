"""`qiltest stability`: draws the same samples again and says which texts move, and what limit they would need."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from qiltest.arguments import names, positive_int, seed_count
from qiltest.cli.common import (
    AddParser,
    case_flag,
    cases_flag,
    json_flag,
    print_json,
    print_lines,
    reader_flag,
    runs_flag,
    session_options,
)
from qiltest.cli.own_words import in_own_words
from qiltest.errors import GenerationError
from qiltest.generation.sources import TINY, is_embedded
from qiltest.runs.records import Run
from qiltest.text.escape import one_line
from qiltest.text.format import count

if TYPE_CHECKING:
    from qiltest.engine.options import Options
    from qiltest.engine.stability import MovingText, SampleStability

#: draws with the same recipe on the same device and threads.
DRAWS = 3
_BATCH = "other batches: not offered, because images are generated one at a time"
#: characters of a text that a line shows.
_SHOWN = 60


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One draw of all samples."""

    #: what is other than in the first draw, such as `2 threads`.
    name: str
    threads: int | None
    device: str | None


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest stability`."""
    parser = add(
        description="Draws the same samples several times with the same recipe, also with other thread counts and on "
        "other GPUs, and says which texts move and what limits they would need. Exit code 0: every draw passes against "
        "every other one as its golden; 1: one does not, or was not scored; 2: wrong usage.",
        parents=[case_flag(), cases_flag(), reader_flag("rapidocr, or the case's own"), runs_flag(), json_flag()],
    )
    parser.add_argument(
        "--variant", action="append", default=[], metavar="NAME", help="only this variant; may be repeated"
    )
    parser.add_argument(
        "--draws", type=_draws, default=DRAWS, metavar="N", help=f"draws with nothing else changed (default: {DRAWS})"
    )
    parser.add_argument(
        "--threads", type=_numbers, default=(), metavar="N[,N]", help="further draws with these numbers of CPU threads"
    )
    parser.add_argument(
        "--device",
        type=names,
        default=[],
        metavar="DEVICE[,DEVICE]",
        help="such as cuda:0,cuda:1: the draws on the first, and one further on each other",
    )
    parser.add_argument("--seeds", type=seed_count, default=1, metavar="N", help="seeds per case (default: 1)")
    parser.add_argument(
        "--model", default=TINY, metavar="MODEL", help="tiny, tiny-edit, a folder or a Hugging Face id (default: tiny)"
    )
    parser.add_argument("--base-model", metavar="ID", help="base model that --model is (default: recognised)")
    parser.set_defaults(handler=run_stability)


def _draws(text: str) -> int:
    number = positive_int(text)
    if number < 2:
        raise argparse.ArgumentTypeError("one draw has nothing to be compared with\n  -> write 2 or more")
    return number


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(positive_int(part) for part in text.split(",")))


def run_stability(args: argparse.Namespace) -> int:
    """Draw and compare. Returns 0 where every sample is stable, else 1; raises QiltestError."""
    from qiltest.engine.stability import stability_of

    planned = _planned(args)
    runs = [_drawn(args, draw) for draw in planned]
    found = stability_of(runs, tiny=is_embedded(args.model))
    if args.json:
        print_json(_record(planned, runs, found))
    else:
        print_lines(in_own_words(line, args.flags) for line in _lines(planned, runs, found))
    return 0 if all(one.stable for one in found) else 1


def _planned(args: argparse.Namespace) -> tuple[Draw, ...]:
    first, *others = args.device or [None]
    again = [Draw(name=f"draw {number}", threads=None, device=first) for number in range(1, args.draws + 1)]
    threads = [Draw(name=count(number, "thread"), threads=number, device=first) for number in args.threads]
    return (*again, *threads, *(Draw(name=f"on {device}", threads=None, device=device) for device in others))


def _drawn(args: argparse.Namespace, draw: Draw) -> Run:
    """Generate, read and score all samples once, in a run of its own. Raises QiltestError."""
    from qiltest.engine.context import open_run, selected_tasks
    from qiltest.engine.loop import INTERRUPTED, run_all
    from qiltest.generation import Settings, open_generator
    from qiltest.reading import open_reader
    from qiltest.session.progress import ProgressBar, open_terminal
    from qiltest.suite.load import load_suite

    options = _options(args, draw)
    suite = load_suite(options.cases_folder, keep_doubtful=True)
    tasks = selected_tasks(suite, options)
    progress = ProgressBar(terminal=open_terminal(), column=lambda: 0)
    settings = Settings(device=options.device, base=options.base, threads=draw.threads, on_step=progress.step)
    generator = open_generator(options.model, settings)
    with closing(generator):
        progress.begin(len(tasks))
        context = open_run(
            options=options,
            suite=suite,
            tasks=tasks,
            generator=generator,
            open_reader=open_reader,
            command=("qiltest", "stability", f"({draw.name})"),
        )
        ending = run_all(context, progress)
    if ending.run is None or ending.exit_status == INTERRUPTED:
        what = "; ".join(ending.problems) or "interrupted: nothing is compared"
        raise GenerationError(what, where=draw.name, remedy="repeat the command")
    return ending.run


def _options(args: argparse.Namespace, draw: Draw) -> Options:
    gpu = not is_embedded(args.model) and not (draw.device or "cuda").startswith("cpu")
    # every draw is to be one: nothing is reused
    return replace(
        session_options(args),
        device=draw.device or ("cuda" if gpu else "cpu"),
        gpu=gpu,
        threads=draw.threads,
        variants=tuple(dict.fromkeys(args.variant)),
        seed_count=args.seeds,
        latency_gates=False,
        again=True,
    )


def _lines(planned: Sequence[Draw], runs: Sequence[Run], found: Sequence[SampleStability]) -> Iterator[str]:
    yield from (f"{draw.name:<10} run {run.path}" for draw, run in zip(planned, runs, strict=True))
    yield _BATCH
    for one in found:
        yield ""
        edits = " ".join("-" if distance is None else str(distance) for distance in one.distances)
        verdict = "stable" if one.stable else "NOT STABLE"
        yield f"{one.sample}: {verdict}; edits by draw {edits}; {count(one.images, 'different image')}"
        yield from (f"  error     {error}" for error in one.errors)
        if one.reader_moves:
            yield "  reader    one image, byte for byte, was read in two ways: the reader itself is not stable"
        yield from (f"  text {text.number:<4} {_moves(text)}" for text in one.texts)
        if one.failing_pairs:
            yield f"  gate      {one.failing_pairs} of {one.pairs} pairs fail, the one as the other's golden"
            yield from (f"  needs     {need}" for need in _needs(one))
    stable = sum(one.stable for one in found)
    yield ""
    yield f"{stable} of {count(len(found), 'sample')} stable over {count(len(runs), 'draw')}"


def _moves(text: MovingText) -> str:
    reads = ", ".join(f"{one_line(read, _SHOWN) or 'nothing'!r} ({number})" for read, number in text.reads)
    return f"{one_line(text.expected, _SHOWN)!r} read as {reads}; {text.least} to {count(text.most, 'edit')}"


def _needs(one: SampleStability) -> Iterator[str]:
    """Yield the limits of the case that would have to be larger, or what else may help."""
    if one.needed_tolerance > one.tolerance:
        yield f"tolerance = {one.needed_tolerance} (now {one.tolerance})"
    most = max((distance for distance in one.distances if distance is not None), default=0)
    if one.absolute is not None and most > one.absolute:
        yield f"absolute = {most} (now {one.absolute})"
    if one.needed_text_tolerance > one.text_tolerance:
        yield f"text_tolerance = {one.needed_text_tolerance} (now {one.text_tolerance})"


def _record(planned: Sequence[Draw], runs: Sequence[Run], found: Sequence[SampleStability]) -> dict[str, object]:
    return {
        "draws": [{**asdict(draw), "run": run.id} for draw, run in zip(planned, runs, strict=True)],
        "batch": None,
        "stable": all(one.stable for one in found),
        "samples": [{**asdict(one), "stable": one.stable} for one in found],
    }
