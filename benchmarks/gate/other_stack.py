"""False alarms of goldens on another stack: another torch, another device, another number of threads.

    python benchmarks/gate/other_stack.py [--device cuda] [--dtype float32] [--threads N] [--golden FOLDER]
    python benchmarks/gate/other_stack.py --record FOLDER        # this stack's goldens, to judge another one against

Generates every image of the embedded model that has a golden, reads and scores it, and judges it twice: by the sum of
all edits alone, and text by text. The weights are the goldens' own, so each image that fails is a false alarm, unless
one looks at it and finds its text worse. Prints one JSON object: alarms per rule, and each with its reasons. Images
are kept in `--store` by stack, so that the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# threads that wait must not spin: other work may share the cores
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from gate_power_rates import rate

from qiltest.arguments import existing_folder
from qiltest.files import write_atomically
from qiltest.gate.golden import Golden, GoldenStore, golden_from
from qiltest.gate.judge import judge
from qiltest.gate.verdict import Verdict
from qiltest.generation import Settings, open_generator
from qiltest.generation.records import Generator
from qiltest.generation.sources import TINY
from qiltest.reading import Reader, open_reader
from qiltest.scoring import Score, score_case
from qiltest.suite.cases import Case
from qiltest.suite.load import Suite, load_suite
from qiltest.suite.selection import Sample
from qiltest.suite.variants import Variant

ROOT = Path(__file__).resolve().parents[2]
RULES = {"sum": False, "text by text": True}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One image of this stack, and what its golden says."""

    sample: Sample
    case: Case
    golden: Golden
    #: the golden that this image would be.
    own: Golden
    score: Score

    def verdict(self, *, by_text: bool) -> tuple[Verdict, tuple[str, ...]]:
        """Return the golden's verdict by one of the rules, with its reasons."""
        limits = self.case.limits if by_text else replace(self.case.limits, text_tolerance=sys.maxsize)
        size = next(r.tiny for r in self.case.resolutions if r.size == self.sample.size)
        found = judge(self.score, self.golden, limits, case=self.case, effective=size)
        return found.verdict, found.reasons


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Generates with this process's torch on one device, and reads."""

    generator: Generator
    reader: Reader
    store: Path

    def see(self, sample: Sample, case: Case, variant: Variant, golden: Golden) -> Seen:
        """Generate an image, unless it is stored, and score it."""
        size = next(r.tiny for r in case.resolutions if r.size == sample.size)
        recipe = self.generator.recipe(case, size, variant, sample.seed)
        path = self.store / f"{recipe.key()}.png"
        if not path.is_file():
            write_atomically(path, self.generator.decode(self.generator.denoise(recipe)).png)
        png = path.read_bytes()
        score = score_case(case, self.reader.read(png))
        own = golden_from(
            sample, model=TINY, recipe=recipe, score=score, noise_floor=None, image=hashlib.sha256(png).hexdigest()
        )
        return Seen(sample=sample, case=case, golden=golden, own=own, score=score)


def samples(
    suite: Suite, store: GoldenStore, variants: Container[str], cases: Container[str]
) -> Iterator[tuple[Sample, Case, Variant, Golden]]:
    """Yield what has a golden, few steps first."""
    for variant in sorted(suite.variants, key=lambda variant: variant.steps):
        for case in suite.cases:
            if variant.name not in variants or case.id not in cases:
                continue
            for resolution in case.resolutions:
                for seed in case.seeds:
                    sample = Sample(case=case.id, size=resolution.size, variant=variant.name, seed=seed)
                    golden = store.load(TINY, sample, case)
                    if golden is not None:
                        yield sample, case, variant, golden


def result(seen: list[Seen]) -> dict[str, Any]:
    """Return the alarms per rule."""
    comparable = [one for one in seen if one.verdict(by_text=True)[0] is not Verdict.INCOMPARABLE]
    alarms: dict[str, list[dict[str, Any]]] = {name: [] for name in RULES}
    for one in comparable:
        for name, by_text in RULES.items():
            verdict, reasons = one.verdict(by_text=by_text)
            if verdict is not Verdict.PASS:
                alarms[name].append({"image": one.sample.id, "verdict": verdict, "reasons": reasons})
    return {
        "images": len(seen),
        "incomparable": len(seen) - len(comparable),
        "same bytes": sum(one.own.image == one.golden.image for one in seen),
        "same reading": sum((one.own.texts, one.own.extra) == (one.golden.texts, one.golden.extra) for one in seen),
        "edits": {"golden": sum(o.golden.distance for o in seen), "now": sum(o.own.distance for o in seen)},
        "false alarms": {name: rate(len(found), len(comparable)) for name, found in alarms.items()},
        "alarms": alarms,
    }


def main() -> int:
    """Generate, read, judge, print. Returns 0."""
    import torch

    args = _arguments()
    suite = load_suite(args.cases)
    settings = Settings(device=args.device, dtype=args.dtype, threads=args.threads)
    device = args.device or "cpu"
    # a recipe does not know the number of threads
    folder = args.store / f"torch-{torch.__version__}-{device.replace(':', '-')}-{args.threads or 'own'}-threads"
    stack = Stack(generator=open_generator(TINY, settings), reader=open_reader(args.reader), store=folder)
    seen = []
    variants = args.variant or [variant.name for variant in suite.variants]
    cases = args.case or [case.id for case in suite.cases]
    for sample, case, variant, golden in samples(suite, GoldenStore(root=args.golden), variants, cases):
        seen.append(stack.see(sample, case, variant, golden))
        print(f"{sample.id}: {golden.distance} -> {seen[-1].own.distance}", file=sys.stderr, flush=True)
        if args.record:
            GoldenStore(root=args.record).save(seen[-1].own)
    about = {
        "torch": torch.__version__,
        "device": device,
        "dtype": args.dtype,
        "threads": args.threads,
        "reader": stack.reader.info.fingerprint,
    }
    print(json.dumps(about | result(seen), ensure_ascii=False, indent=1))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", help="cpu (default), cuda, cuda:1")
    parser.add_argument("--dtype", help="float32 or bfloat16 (the device's own)")
    parser.add_argument("--threads", type=int, help="torch threads on the CPU")
    parser.add_argument("--variant", action="append", help="a variant; several times for several (all)")
    parser.add_argument("--case", action="append", help="a case; several times for several (all)")
    parser.add_argument("--golden", type=existing_folder, default=str(ROOT / "golden"), help="goldens to judge against")
    parser.add_argument("--record", type=Path, help="also write the goldens of this stack into this folder")
    parser.add_argument("--cases", type=existing_folder, default=str(ROOT / "cases"))
    parser.add_argument("--reader", default="rapidocr:threads=1")
    parser.add_argument("--store", type=Path, default=ROOT / "build" / "other-stack")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
