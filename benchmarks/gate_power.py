"""How good is the gate? Bad releases and planted typos against good re-runs, on the embedded model and a CPU.

    python benchmarks/gate_power.py [--seeds 20] [--bad-seeds 8] [--minutes 25] [--store build/gate-power]

Draws, reads and scores a few cases at many seeds with the good 4-step LoRA, with every bad release of `tools/shelf`
that can be drawn at all, and once more with the good 4-step and 8-step LoRAs at another number of threads. Pictures and
readings are stored: the same command goes on where it stopped, and with `--minutes` it stops after a whole seed. Then
it asks both gates, by groups of 1, 2, 4 and 8 seeds that share no picture:

- the golden gate (`gate.judge`): goldens from the good release; a group fails where one picture of it does;
- the paired comparison (`gate.compare`): the good release before, the candidate after.

Typos are planted twice: into the reading of good pictures (which tries scoring and gates, not the reader), and by
asking the good release for a wrong text (which tries the whole way, as far as the model writes what it is asked for).
Writes `benchmarks/results/gate_power.json` and `.md`; rates with 95 % Clopper-Pearson intervals.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# threads that wait must not spin: two cores are shared with other work
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
from qiltest.calibration.typos import Typo, plant
from qiltest.cases import Case
from qiltest.errors import QiltestError
from qiltest.files import write_atomically
from qiltest.gate.verdict import Verdict
from qiltest.generation import open_generator
from qiltest.generation.records import Generator
from qiltest.generation.sources import EMBEDDED
from qiltest.lora import base_from_folder, inspect_lora
from qiltest.lora import compare as hold_against
from qiltest.lora.inspection import file_sha256
from qiltest.reading import Reading, open_reader, reading_from_json, reading_to_json
from qiltest.recipe import Size
from qiltest.scoring import score_case
from qiltest.suite import load_suite, load_variants
from qiltest.variants import LoraSource, Variant

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "shelf"))
import shelf  # noqa: E402

CASES = ("capybara", "pi-number", "coffee-shop")
FIRST_SEED = 1000


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a candidate draws: a variant, threads, and texts to ask for instead of the case's own."""

    name: str
    variant: Variant
    threads: int = 1


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """Seeds that every good, and that every bad way of drawing has."""

    good: Sequence[int]
    bad: Sequence[int]


class Studio:
    """Draws, reads and keeps."""

    def __init__(self, store: Path, reader: str) -> None:
        self.store, self.reader = store, open_reader(reader)
        self.drawn = self.read = 0
        self._generators: dict[int, Generator] = {}

    def see(self, way: Way, case: Case, seed: int) -> Seen:
        """Draw (or find) a picture and score it."""
        size = case.resolutions[0].tiny
        try:
            png, sha256 = self._picture(way, case, size, seed)
            reading = self._reading(png, sha256)
            score = score_case(case, reading)
        except QiltestError as error:
            return Seen(score=None, effective=size, error=str(error).splitlines()[0])
        return Seen(score=score, effective=size, sha256=sha256, reading=reading)

    def generator(self, threads: int) -> Generator:
        """Return the generator for a number of threads, which torch has for the whole process."""
        import torch

        if threads not in self._generators:
            self._generators[threads] = open_generator("tiny", threads=threads)
        torch.set_num_threads(threads)
        return self._generators[threads]

    def _picture(self, way: Way, case: Case, size: Size, seed: int) -> tuple[bytes, str]:
        generator = self.generator(way.threads)
        recipe = generator.recipe(case, size, way.variant, seed)
        path = self.store / "pictures" / f"{recipe.key()}.png"
        if not path.is_file():
            self.drawn += 1
            write_atomically(path, generator.decode(generator.denoise(recipe)).png)
        png = path.read_bytes()
        return png, hashlib.sha256(png).hexdigest()

    def _reading(self, png: bytes, sha256: str) -> Reading:
        path = self.store / "readings" / f"{sha256}-{self.reader.info.fingerprint}.json"
        if not path.is_file():
            self.read += 1
            record = reading_to_json(self.reader.read(png))
            write_atomically(path, json.dumps(record, ensure_ascii=False, allow_nan=False).encode())
        return reading_from_json(json.loads(path.read_text(encoding="utf-8")))


def by_drawing(studio: Studio, cases: Sequence[Case], seeds: Sequence[int], way: Way, good: Table) -> dict[str, Any]:
    """Typos that the good release draws because it is asked for them; the golden and the score are the true text's."""
    found: dict[str, Any] = {}
    for kind in KINDS[:-1]:
        rng, hits, asked = random.Random(f"drawn {kind}"), 0, 0
        for case in cases:
            for seed in seeds:
                text = rng.choice([text.text for text in case.texts if text.text in case.prompt])
                wrong = plant(text, Typo(kind), rng)
                if wrong is None:
                    continue
                seen = studio.see(way, replace(case, prompt=case.prompt.replace(text, wrong, 1)), seed)
                asked += 1
                hits += verdict(case, seed, good[case.id, seed], seen) in (Verdict.FAIL, Verdict.ERROR)
        found[str(kind)] = rate(hits, asked)
    return found


def candidates(folder: Path, variants: dict[str, Variant]) -> tuple[list[Way], dict[str, Any]]:
    """Every bad release: how it is drawn, and what inspection says of it. What cannot be loaded is not drawn."""
    four = variants["4step"]
    ways, inspected = [], {}
    base = base_from_folder(EMBEDDED, name="tiny")
    good = EMBEDDED / "loras" / "4step.safetensors"
    for bad in shelf.make(folder):
        record: dict[str, Any] = {"fault": bad.fault, "caught_by": str(bad.caught_by), "messages": []}
        path = folder / bad.file
        if path.suffix == ".toml":
            variant = next(v for v in load_variants(path) if v.name == bad.like)
        else:
            report = inspect_lora(path, base=base)
            like = hold_against(path, good, base, reference_sha256=file_sha256(good))
            record["messages"] = [plain(text, folder) for text in (*report.errors, *(f.text for f in like.findings))]
            record["difference"] = None if like.as_dict()["difference"] is None else round(like.difference, 4)
            variant = replace(four, loras=(("tiny", LoraSource(source=str(path))),))
            record["loads"] = report.holds
        inspected[bad.name] = record
        ways.append(Way(name=bad.name, variant=variant))
    return ways, inspected


def plain(message: str, folder: Path) -> str:
    """Return a message without this machine's paths."""
    return message.replace(f"{folder}/", "").replace(f"{EMBEDDED}/", "")


def refused(studio: Studio, way: Way, case: Case) -> str:
    """Return the message by which a release is refused before anything is drawn; "" where it is drawn."""
    try:
        studio.generator(1).recipe(case, case.resolutions[0].tiny, way.variant, FIRST_SEED)
    except QiltestError as error:
        return str(error).splitlines()[0]
    return ""


def main() -> int:
    """Draw what is missing, rate, write. Returns 0."""
    args = _arguments()
    began = time.monotonic()
    suite = load_suite(args.cases)
    variants = {variant.name: variant for variant in suite.variants}
    cases = [case for case in suite.cases if case.id in (args.case or CASES)]
    studio = Studio(args.store, args.reader)
    bad, inspected = candidates(args.store / "shelf", variants)
    for way in bad:
        inspected[way.name]["refused"] = plain(refused(studio, way, cases[0]), args.store / "shelf")
    bad = [way for way in bad if not inspected[way.name]["refused"]]
    good = [
        Way(name=GOOD, variant=variants["4step"]),
        Way(name=GOOD8, variant=variants["8step"]),
        Way(name=AGAIN, variant=variants["4step"], threads=2),
        Way(name=AGAIN8, variant=variants["8step"], threads=2),
    ]
    tables: dict[str, Table] = {way.name: {} for way in (*good, *bad)}

    def draw(ways: Sequence[Way], count: int) -> list[int]:
        """Draw seed by seed and return those that are whole."""
        seeds: list[int] = []
        for seed in range(FIRST_SEED, FIRST_SEED + count):
            seconds = time.monotonic() - began
            if args.minutes is not None and seconds > 60 * args.minutes:
                break
            for way in ways:
                tables[way.name].update({(case.id, seed): studio.see(way, case, seed) for case in cases})
            seeds.append(seed)
            print(f"{seconds:6.0f} s  {ways[-1].name}: {studio.drawn} drawn, {studio.read} read", flush=True)
        return seeds

    seeds = Seeds(good=draw(good, args.seeds), bad=draw(bad, args.bad_seeds))
    result = _result(args, cases, seeds, tables, inspected, studio, good[0])
    result["seconds"] = round(time.monotonic() - began)
    write_atomically(args.out.with_suffix(".json"), (json.dumps(result, ensure_ascii=False, indent=1) + "\n").encode())
    write_atomically(args.out.with_suffix(".md"), markdown(result).encode())
    print(markdown(result))
    return 0


def _result(
    args: argparse.Namespace,
    cases: Sequence[Case],
    seeds: Seeds,
    tables: dict[str, Table],
    inspected: dict[str, Any],
    studio: Studio,
    good: Way,
) -> dict[str, Any]:
    weights = EMBEDDED / "transformer" / "diffusion_pytorch_model.safetensors"
    return {
        "model": {"transformer": file_sha256(weights), "4step": file_sha256(EMBEDDED / "loras" / "4step.safetensors")},
        "reader": studio.reader.info.fingerprint,
        "cases": [f"{case.id}@{case.resolutions[0].tiny}" for case in cases],
        "seeds": {"good": len(seeds.good), "bad": len(seeds.bad)},
        "bad": inspected,
        "good": {
            "golden": edits(cases, seeds.good, tables[GOOD]),
            AGAIN: rates(cases, seeds.good, tables[GOOD], tables[AGAIN]),
            AGAIN8: rates(cases, seeds.good, tables[GOOD8], tables[AGAIN8]),
            "other seeds": {
                GOOD: other_noise(cases, seeds.good, tables[GOOD]),
                GOOD8: other_noise(cases, seeds.good, tables[GOOD8]),
            },
        },
        "releases": {
            name: rates(cases, seeds.bad, tables[GOOD], table)
            for name, table in tables.items()
            if name not in (GOOD, AGAIN, GOOD8, AGAIN8)
        },
        "typos in readings": in_readings(cases, seeds.good, tables[GOOD]),
        "typos drawn": by_drawing(studio, cases, seeds.good[: args.drawn_seeds], good, tables[GOOD]),
        "pictures": {"drawn": studio.drawn, "read": studio.read},
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="seeds of the good releases")
    parser.add_argument("--bad-seeds", type=int, default=8, help="seeds of each bad release, at most --seeds")
    parser.add_argument("--drawn-seeds", type=int, default=4, help="seeds of typos that are drawn")
    parser.add_argument("--minutes", type=float, help="draw no further seed after so many")
    parser.add_argument("--case", action="append", help="a case's id; several times for several")
    parser.add_argument("--cases", type=Path, default=ROOT / "cases")
    parser.add_argument("--reader", default="rapidocr:threads=1")
    parser.add_argument("--store", type=Path, default=ROOT / "build" / "gate-power")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "gate_power")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
