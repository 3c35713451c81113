"""How good is the gate? Bad releases and planted typos against good re-runs, on the embedded model and a CPU.

    python benchmarks/gate/gate_power.py [--seeds 20] [--bad-seeds 12] [--minutes 20] [--workers 2]

Generates, reads and scores a few cases at many seeds with the good LoRAs, with every bad release of
`tools/faulty_loras` that can be generated at all, and once more with the good LoRAs at another number of threads. Then
it asks both gates, by groups of 1, 2, 4 and 8 seeds that share no image:

- the golden gate (`gate.judge`): goldens from the good release; a group fails where one image of it does;
- the paired comparison (`gate.compare`): the good release before, the candidate after.

Typos are planted twice: into the reading of good images (which tries scoring and gates, not the reader), and by
asking the good release for a wrong text (which tries the whole way, as far as the model writes what it is asked for).

Workers draw seed by seed into `--store`, by the model's hash: the same command goes on where it stopped, and after
`--minutes` only what is generated of whole seeds is rated. `--rate` generates nothing. Writes
`benchmarks/results/gate_power.json` and `.md`; rates with 95 % Clopper-Pearson intervals.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

# threads that wait must not spin: workers share the cores
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from gate_power_rates import (
    AGAIN,
    AGAIN8,
    GOOD,
    GOOD8,
    KINDS,
    Seen,
    Table,
    edits,
    in_readings,
    markdown,
    other_noise,
    rate,
    rates,
    verdict,
)

from qiltest.arguments import existing_folder
from qiltest.calibration.typos import Typo, plant
from qiltest.errors import GenerationError, QiltestError
from qiltest.files import write_atomically
from qiltest.gate.verdict import Verdict
from qiltest.generation import Settings, open_generator
from qiltest.generation.records import Generator
from qiltest.generation.sources import EMBEDDED
from qiltest.hashing import file_sha256
from qiltest.lora import base_from_folder, inspect_lora
from qiltest.lora import compare as hold_against
from qiltest.reading import Reading, open_reader
from qiltest.recipe import Size
from qiltest.scoring import Score, score_case
from qiltest.strict_json import decode
from qiltest.suite.cases import Case
from qiltest.suite.load import load_suite, load_variants
from qiltest.suite.variants import LoraSource, Variant

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "faulty_loras"))
import faulty_loras  # noqa: E402

CASES = ("capybara", "pi-number", "classroom", "couplets", "ppt-slide")
FIRST_SEED = 1000
WEIGHTS = EMBEDDED / "transformer" / "diffusion_pytorch_model.safetensors"


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a candidate generates: a variant and a number of threads."""

    name: str
    variant: Variant
    threads: int = 1


@dataclass(frozen=True, kw_only=True)
class Job:
    """One image: what is asked for, and the case that it is scored as (another where a typo was asked for)."""

    way: Way
    case: Case
    asked: Case
    seed: int


@dataclass(frozen=True, kw_only=True)
class TypoJob:
    """An image that is asked for with a typo."""

    kind: str
    job: Job
    #: the text asked for, with its typo.
    wrong: str
    #: the text that is scored.
    right: str


class Studio:
    """Generates, reads and keeps."""

    def __init__(self, store: Path, reader: str) -> None:
        self.store, self.reader = store, open_reader(reader)
        self.generated = self.read = 0
        self.drawing = self.reading = 0.0
        self._generators: dict[int, Generator] = {}

    def see(self, job: Job) -> Seen:
        """Draw (or find) an image and score it."""
        size = job.case.resolutions[0].tiny
        try:
            png, sha256 = self._image(job, size)
            reading = self._reading(png, sha256)
            score = score_case(job.case, reading)
        except QiltestError as error:
            return Seen(score=None, effective=size, error=str(error).splitlines()[0])
        return Seen(score=score, effective=size, sha256=sha256, reading=reading)

    def has(self, job: Job) -> bool:
        """Say whether an image is stored, or why there is none."""
        path = self._path(job, job.case.resolutions[0].tiny)
        return path.is_file() or path.with_suffix(".error").is_file()

    def generator(self, threads: int) -> Generator:
        """Return the generator for a number of threads, which torch has for the whole process."""
        import torch

        if threads not in self._generators:
            self._generators[threads] = open_generator("tiny", Settings(threads=threads))
        torch.set_num_threads(threads)
        return self._generators[threads]

    def _path(self, job: Job, size: Size) -> Path:
        recipe = self.generator(job.way.threads).recipe(job.asked, size, job.way.variant, job.seed)
        # a recipe does not know the number of threads: another number is another image here
        return self.store / "images" / f"{recipe.key()}-{job.way.threads}.png"

    def _image(self, job: Job, size: Size) -> tuple[bytes, str]:
        path = self._path(job, size)
        why = path.with_suffix(".error")
        if why.is_file():
            raise GenerationError(why.read_text(encoding="utf-8"))
        if not path.is_file():
            generator, began = self.generator(job.way.threads), time.monotonic()
            recipe = generator.recipe(job.asked, size, job.way.variant, job.seed)
            try:
                write_atomically(path, generator.decode(generator.denoise(recipe)).png)
            except GenerationError as error:
                write_atomically(why, str(error).splitlines()[0].encode())
                raise
            self.generated += 1
            self.drawing += time.monotonic() - began
        png = path.read_bytes()
        return png, hashlib.sha256(png).hexdigest()

    def _reading(self, png: bytes, sha256: str) -> Reading:
        info = self.reader.info
        path = self.store / "readings" / f"{sha256}-{info.fingerprint}-{info.code}.json"
        if not path.is_file():
            began = time.monotonic()
            record = asdict(self.reader.read(png))
            write_atomically(path, json.dumps(record, ensure_ascii=False, allow_nan=False).encode())
            self.read += 1
            self.reading += time.monotonic() - began
        return decode(Reading, path.read_bytes())


def typo_jobs(cases: Sequence[Case], seeds: Sequence[int], way: Way) -> Iterator[TypoJob]:
    """Yield images of the good release that are asked for with a typo; golden and score are the true text's."""
    for kind in KINDS[:-1]:
        rng = random.Random(f"generated {kind}")
        for case in cases:
            for seed in seeds:
                text = rng.choice([text.text for text in case.texts if text.text in case.prompt])
                wrong = plant(text, Typo(kind), rng)
                if wrong is not None:
                    asked = replace(case, prompt=case.prompt.replace(text, wrong, 1))
                    job = Job(way=way, case=case, asked=asked, seed=seed)
                    yield TypoJob(kind=str(kind), job=job, wrong=wrong, right=text)


def by_drawing(studio: Studio, jobs: Sequence[TypoJob], good: Table) -> dict[str, Any]:
    """Rate the golden gate on typos that were generated because they were asked for, and name those not found."""
    found: dict[str, list[tuple[bool, bool, dict[str, str]]]] = {str(kind): [] for kind in KINDS[:-1]}
    for item in jobs:
        case, seed = item.job.case, item.job.seed
        before = good.get((case.id, seed))
        if before is not None and studio.has(item.job):
            after = studio.see(item.job)
            each, total = (
                verdict(case, seed, before, after, by_text=by_text) in (Verdict.FAIL, Verdict.ERROR)
                for by_text in (True, False)
            )
            found[item.kind].append((each, total, _told(item, before, after)))
    return {
        kind: {
            "by the sum": rate(sum(total for _, total, _ in hits), len(hits)),
            "text by text": rate(sum(each for each, _, _ in hits), len(hits)),
            "missed": [told for each, _, told in hits if not each],
        }
        for kind, hits in found.items()
    }


def _told(item: TypoJob, before: Seen, after: Seen) -> dict[str, str]:
    """Return what was asked for, and what was read of it and in the golden."""
    reads = ["" if s.score is None else _read(s.score, item.right) for s in (before, after)]
    image = f"{item.job.case.id}-s{item.job.seed}"
    return {"image": image, "sha256": after.sha256, "asked": item.wrong, "golden": reads[0], "read": reads[1]}


def _read(score: Score, expected: str) -> str:
    return next(" ".join(text.read.split("\n")) for text in score.texts if text.expected == expected)


def candidates(folder: Path, variants: dict[str, Variant]) -> tuple[list[Way], dict[str, Any]]:
    """Every bad release: how it is generated, and what inspection says of it. What cannot be read is not generated."""
    four = variants["4step"]
    ways, inspected = [], {}
    base = base_from_folder(EMBEDDED, name="tiny")
    good = EMBEDDED / "loras" / "4step.safetensors"
    for bad in faulty_loras.stored(folder):
        record: dict[str, Any] = {"fault": bad.fault, "caught_by": str(bad.caught_by), "messages": []}
        path = folder / bad.file
        if path.suffix == ".toml":
            try:
                variant = next(v for v in load_variants(path) if v.name == bad.like)
            except QiltestError as error:
                inspected[bad.name] = record | {"refused": " ".join(plain(str(error), folder).split())}
                continue
        else:
            report = inspect_lora(path, base=base)
            like = hold_against(path, good, base, reference_sha256=file_sha256(good))
            record["messages"] = [plain(text, folder) for text in (*report.errors, *like.errors, *like.warnings)]
            record["difference"] = None if like.as_dict()["difference"] is None else round(like.difference, 4)
            variant = replace(four, loras=(("tiny", LoraSource(source=str(path))),))
            record["loads"] = report.passes
        inspected[bad.name] = record
        ways.append(Way(name=bad.name, variant=variant))
    return ways, inspected


def plain(message: str, folder: Path) -> str:
    """Return a message without this machine's paths."""
    return message.replace(f"{folder}/", "").replace(f"{EMBEDDED}/", "")


def refused(studio: Studio, way: Way, case: Case) -> str:
    """Return the message by which a release is refused before anything is generated; "" where it is generated."""
    try:
        studio.generator(way.threads).recipe(case, case.resolutions[0].tiny, way.variant, FIRST_SEED)
    except QiltestError as error:
        return str(error).splitlines()[0]
    return ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that is generated, in the order of drawing: seed by seed, so that whatever was generated can be rated."""

    cases: Sequence[Case]
    good: Sequence[Way]
    bad: Sequence[Way]
    seeds: Sequence[int]
    bad_seeds: Sequence[int]
    typos: Sequence[TypoJob]

    def jobs(self) -> Iterator[Job]:
        """Yield every image."""
        for seed in self.seeds:
            yield from self.of_seed(self.good, seed)
            if seed in self.bad_seeds:
                yield from self.of_seed(self.bad, seed)
            yield from (item.job for item in self.typos if item.job.seed == seed)

    def of_seed(self, ways: Sequence[Way], seed: int) -> Iterator[Job]:
        """Yield the images of one seed."""
        for way in ways:
            for case in self.cases:
                yield Job(way=way, case=case, asked=case, seed=seed)

    def whole(self, studio: Studio, ways: Sequence[Way], seeds: Sequence[int]) -> list[int]:
        """Return the first seeds that are all there."""
        return list(takewhile(lambda seed: all(map(studio.has, self.of_seed(ways, seed))), seeds))


def main() -> int:
    """Draw what is missing, rate, write. Returns 0."""
    args = _arguments()
    began = time.monotonic()
    args.store = args.store / file_sha256(WEIGHTS)[:12]
    suite = load_suite(args.cases)
    variants = {variant.name: variant for variant in suite.variants}
    cases = [case for case in suite.cases if case.id in (args.case or CASES)]
    if not args.worker:
        faulty_loras.make(args.store / "shelf")
    studio = Studio(args.store, args.reader)
    bad, inspected = candidates(args.store / "shelf", variants)
    for way in bad:
        inspected[way.name]["refused"] = plain(refused(studio, way, cases[0]), args.store / "shelf")
    seeds = range(FIRST_SEED, FIRST_SEED + args.seeds)
    good = [
        Way(name=GOOD, variant=variants["4step"]),
        Way(name=GOOD8, variant=variants["8step"]),
        Way(name=AGAIN, variant=variants["4step"], threads=2),
        Way(name=AGAIN8, variant=variants["8step"], threads=2),
    ]
    plan = Plan(
        cases=cases,
        good=good,
        bad=[way for way in bad if not inspected[way.name]["refused"]],
        seeds=seeds,
        bad_seeds=seeds[: args.bad_seeds],
        typos=tuple(typo_jobs(cases, seeds[: args.generated_seeds], good[0])),
    )
    if args.worker:
        _work(args, plan, studio, began)
        return 0
    if not args.rate:
        _workers(args)
    result = _result(plan, studio, inspected)
    result["seconds"] = round(time.monotonic() - began)
    write_atomically(args.out.with_suffix(".json"), (json.dumps(result, ensure_ascii=False, indent=1) + "\n").encode())
    write_atomically(args.out.with_suffix(".md"), markdown(result).encode())
    print(markdown(result))
    print(f"{result['seconds']} s; whole seeds: {result['seeds']}")
    return 0


def _workers(args: argparse.Namespace) -> None:
    """Draw in several processes, each its share of the images; an interrupt ends them all."""
    own = [sys.executable, __file__, *sys.argv[1:]]
    running = [subprocess.Popen([*own, "--worker", f"{k}/{args.workers}"]) for k in range(args.workers)]
    try:
        failed = [process.args for process in running if process.wait() != 0]
    finally:
        for process in running:
            process.terminate()
    if failed:
        raise SystemExit(f"{len(failed)} of {len(running)} workers failed; what they generated is kept")


def _work(args: argparse.Namespace, plan: Plan, studio: Studio, began: float) -> None:
    number, of = map(int, args.worker.split("/"))
    jobs = list(plan.jobs())
    for place, job in enumerate(jobs):
        if place % of != number:
            continue
        seconds = time.monotonic() - began
        if args.minutes is not None and seconds > 60 * args.minutes:
            break
        studio.see(job)
        if place // of % 20 == 0:
            print(f"{seconds:5.0f} s  worker {number}: {place} of {len(jobs)}, seed {job.seed}", flush=True)
    if studio.generated:
        each = f"{studio.drawing / studio.generated:.2f} s per image, {studio.reading / max(1, studio.read):.2f} s read"
        print(f"{time.monotonic() - began:5.0f} s  worker {number}: {studio.generated} generated, {each}", flush=True)


def _result(plan: Plan, studio: Studio, inspected: dict[str, Any]) -> dict[str, Any]:
    cases, seeds = plan.cases, plan.whole(studio, plan.good, plan.seeds)
    bad_seeds = [seed for seed in plan.whole(studio, plan.bad, plan.bad_seeds) if seed in seeds]
    tables: dict[str, Table] = {}
    for ways, count in ((plan.good, seeds), (plan.bad, bad_seeds)):
        for way in ways:
            jobs = (job for seed in count for job in plan.of_seed([way], seed))
            tables[way.name] = {(job.case.id, job.seed): studio.see(job) for job in jobs}
    good = tables[GOOD]
    return {
        "model": {
            "transformer": file_sha256(WEIGHTS),
            "vae": file_sha256(EMBEDDED / "vae" / "diffusion_pytorch_model.safetensors"),
            "4step": file_sha256(EMBEDDED / "loras" / "4step.safetensors"),
        },
        "reader": studio.reader.info.fingerprint,
        "cases": [f"{case.id}@{case.resolutions[0].tiny}" for case in cases],
        "seeds": {"good": len(seeds), "bad": len(bad_seeds)},
        "bad": inspected,
        "good": {
            "golden": edits(cases, seeds, good),
            AGAIN: rates(cases, seeds, good, tables[AGAIN]) | {"same bytes": _same(good, tables[AGAIN])},
            AGAIN8: rates(cases, seeds, tables[GOOD8], tables[AGAIN8])
            | {"same bytes": _same(tables[GOOD8], tables[AGAIN8])},
            "other seeds": {
                GOOD: other_noise(cases, seeds, good),
                GOOD8: other_noise(cases, seeds, tables[GOOD8]),
            },
        },
        "releases": {way.name: rates(cases, bad_seeds, good, tables[way.name]) for way in plan.bad},
        "typos in readings": in_readings(cases, seeds, good),
        "typos generated": by_drawing(studio, plan.typos, good),
    }


def _same(before: Table, after: Table) -> int:
    """Count images that are the same byte by byte: a re-run that tells nothing about the reader or the gate."""
    return sum(seen.sha256 == after[key].sha256 for key, seen in before.items() if key in after)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="seeds of the good releases")
    parser.add_argument("--bad-seeds", type=int, default=12, help="seeds of each bad release, at most --seeds")
    parser.add_argument("--generated-seeds", type=int, default=4, help="seeds of typos that are generated")
    parser.add_argument("--minutes", type=float, default=20, help="draw nothing more after so many")
    parser.add_argument("--workers", type=int, default=2, help="processes that draw")
    parser.add_argument("--rate", action="store_true", help="draw nothing, rate what is stored")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--case", action="append", help="a case's id; several times for several")
    parser.add_argument("--cases", type=existing_folder, default=str(ROOT / "cases"))
    parser.add_argument("--reader", default="rapidocr:threads=1")
    parser.add_argument("--store", type=Path, default=ROOT / "build" / "gate-power")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "gate_power")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
