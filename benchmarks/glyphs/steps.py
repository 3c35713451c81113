"""Broken strokes of stored runs by variant, judged by the packaged network: whether fewer steps break more.

    python -m pytest tests/report_cases --qil-cases=FOLDER --qil-variant=plain8,plain4 --qil-seeds=4 --qil-runs=runs
    python benchmarks/glyphs/steps.py runs [MORE…] [--out benchmarks/results/glyphs_steps.json]

FOLDER holds a case in Chinese and a `variants.toml` with the base model at 8, 4, 3, 2 and 1 steps, without a LoRA and
else as its own variant `base`. Counts of each variant's images the characters that were read as expected and judged,
which of them are broken or in doubt, and the same of every judged character, however it was read.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from qiltest.arguments import existing_folder
from qiltest.errors import QiltestError, StoreError
from qiltest.files import write_atomically
from qiltest.reading.images import load_image
from qiltest.reading.stroke_check import judged
from qiltest.reading.strokes import BROKEN, DOUBTED, counted
from qiltest.runs import RunStore, load_run
from qiltest.runs.records import CaseResult, Run
from qiltest.scoring import score_case
from qiltest.scoring.records import BROKEN_MARK, DOUBTED_MARK, SILENT_MARK

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Judge the images again and write the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=existing_folder, nargs="+", help="folders of stored runs")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "glyphs_steps.json")
    args = parser.parse_args()
    found: dict[str, Counter[str]] = {}
    try:
        for folder in args.runs:
            for run, result in results(folder):
                found.setdefault(result.sample.variant, Counter()).update(counts(run, result))
    except QiltestError as error:
        parser.error(str(error))
    write_atomically(args.out, (json.dumps(found, indent=1) + "\n").encode())
    print(json.dumps(found, indent=1))
    return 0


def results(folder: Path) -> Iterator[tuple[Run, CaseResult]]:
    """Yield what was read of all runs of a folder, which has input images of edits beside them. Raises StoreError."""
    paths = RunStore(root=folder).folders()
    if not paths:
        raise StoreError("no runs here", where=str(folder), remedy="name the folder that --qil-runs named")
    for path in paths:
        run = load_run(path)
        yield from ((run, result) for result in run.results)


def counts(run: Run, result: CaseResult) -> Counter[str]:
    """Return the counts of one image."""
    if result.reading is None or result.image is None:
        return Counter({"images": 1, "nothing read": 1})
    reading = judged(load_image(result.image.path), result.reading)
    score = score_case(run.case(result.sample.case), reading)
    marks = Counter("".join(text.strokes for text in score.texts))
    every = [odds for line in reading.lines for k in range(len(line.text)) if (odds := counted(line, k)) is not None]
    return Counter(
        {
            "images": 1,
            "distance": score.distance,
            "read as expected and judged": marks.total() - marks[SILENT_MARK],
            "broken": marks[BROKEN_MARK],
            "broken or in doubt": marks[BROKEN_MARK] + marks[DOUBTED_MARK],
            "judged": len(every),
            "of them broken": sum(odds > BROKEN for odds in every),
            "of them broken or in doubt": sum(odds > DOUBTED for odds in every),
        }
    )


if __name__ == "__main__":
    raise SystemExit(main())
