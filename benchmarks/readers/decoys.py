"""Whether lines of other text complete a text of a case, and whether planted errors are still found.

    python benchmarks/readers/decoys.py [--trials 40] [--jobs 2] [--label after] [--cache build/decoys]

No image is needed: readings are made of the ten cases' texts, every text exact, in rows or columns with plausible
boxes. A trial takes one text away, or a line of it, or its last characters, and adds lines of other text (decoys) at
random places and sizes, half of them near the gap: lines of another case, of lorem ipsum (Latin and Chinese), of other
signs, numbers, and noise of one to three characters.

Decoys hold no piece of a text beyond chance: one that shares a run of characters worth more than `PIECE` bits with a
text of the case is not used. So a text is joined wrongly where its score takes a decoy in and its distance is lower
than without decoys. It is completed where that distance is 0. Both are reported per trial, by kind of decoy, by what
was taken away and by length of the text taken; so is how often a decoy raised the distance of a text, or counted as
extra text.

Planted errors: every text of every case with each kind of typo and of extension (a phrase doubled in its line or on a
line of its own, a digit more, a piece of another text beside it) must have a distance above 0.

Every case's result is kept in the cache until its code or arguments change. Results go to
benchmarks/results/decoys.json, under --label.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from decoy_trials.errors import planted
from decoy_trials.lines import KINDS
from decoy_trials.trials import TAKEN, decoy_trials

import qiltest.scoring
import qiltest.text
from qiltest.files import write_atomically
from qiltest.suite.load import load_cases
from readers import Share

ROOT = Path(__file__).resolve().parents[2]
#: Lengths of the text that is taken away, in characters.
LENGTHS = ((1, 4), (5, 10), (11, 25), (26, 10_000))


def main() -> int:
    """Run the benchmark; prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40, help="per case, kind of decoy and what is taken away")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--label", default="after", help="name of this state in the results, such as before")
    parser.add_argument("--output", default=str(ROOT / "benchmarks" / "results" / "decoys.json"), help="'-' for none")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "decoys")
    args = parser.parse_args()
    cases = [case.id for case in load_cases(ROOT / "cases")]
    with ProcessPoolExecutor(args.jobs) as pool:
        done = [pool.submit(kept, case, args.trials, args.seed, args.cache) for case in cases]
        found = [each.result() for each in done]
    result = summary(found)
    if args.output != "-":
        output = Path(args.output)
        record = json.loads(output.read_text(encoding="utf-8")) if output.is_file() else {}
        record[args.label] = {"trials": args.trials, "seed": args.seed, **result}
        write_atomically(output, (json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())
    print(table(result))
    return 0


def kept(case: str, trials: int, seed: int, cache: Path) -> dict[str, Any]:
    """Run a case's trials, or take what was kept of the same code and arguments."""
    file = cache / f"{case}-{trials}-{seed}-{_code()}.json"
    if file.is_file():
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found
    cases = {each.id: each for each in load_cases(ROOT / "cases")}
    found = {
        "case": case,
        "decoys": list(decoy_trials(cases, case, trials, seed)),
        "planted": list(planted(cases[case], seed)),
    }
    cache.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(found, ensure_ascii=False).encode())
    print(case, file=sys.stderr, flush=True)
    return found


def _code() -> str:
    digest = hashlib.sha256()
    for file in sorted((Path(__file__).parent / "decoy_trials").glob("*.py")):
        digest.update(file.read_bytes())
    for package in (qiltest.scoring, qiltest.text):
        for file in sorted(Path(str(package.__file__)).parent.glob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def summary(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Count over all cases."""
    trials = [{"case": each["case"], **trial} for each in found for trial in each["decoys"]]
    errors = [{"case": each["case"], **error} for each in found for error in each["planted"]]
    lengths = {f"{low} to {high}" if high < 1000 else f"{low} or more": (low, high) for low, high in LENGTHS}
    return {
        "decoys": {
            "all": _rates(trials),
            "kinds": {kind: _rates([t for t in trials if t["kind"] == kind]) for kind in KINDS},
            "taken": {taken: _rates([t for t in trials if t["taken"] == taken]) for taken in TAKEN},
            "lengths": {
                n: _rates([t for t in trials if low <= t["length"] <= high]) for n, (low, high) in lengths.items()
            },
            "wrong": [t for t in trials if t["joined"]][:60],
            "extra": [t for t in trials if t["extra"] or t["raised"]][:30],
        },
        "planted": {
            "all": _found(errors),
            "kinds": {
                kind: _found([e for e in errors if e["kind"] == kind])
                for kind in dict.fromkeys(e["kind"] for e in errors)
            },
            "missed": [error for error in errors if not error["distance"]][:60],
        },
    }


def _rates(trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    keys = ("joined", "completed", "raised", "extra")
    counts = Counter(key for trial in trials for key in keys if trial[key])
    return {key: Share(hits=counts[key], of=len(trials)).record() for key in keys}


def _found(errors: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return Share(hits=sum(error["distance"] > 0 for error in errors), of=len(errors)).record()


def table(result: Mapping[str, Any]) -> str:
    """Markdown: decoys by kind, then planted errors by kind."""
    rows = ["| decoys | joined wrongly | completed | raised | counted as extra |", "|---|---|---|---|---|"]
    decoys = result["decoys"]
    for name, rates in [
        ("all", decoys["all"]),
        *((k, v) for part in ("kinds", "taken", "lengths") for k, v in decoys[part].items()),
    ]:
        rows.append(
            f"| {name} | {' | '.join(_cell(rates[key]) for key in ('joined', 'completed', 'raised', 'extra'))} |"
        )
    rows += ["", "| planted errors | found |", "|---|---|"]
    planted_rates = result["planted"]
    rows += [
        f"| {name} | {_cell(share)} |"
        for name, share in [("all", planted_rates["all"]), *planted_rates["kinds"].items()]
    ]
    return "\n".join(rows)


def _cell(share: Mapping[str, Any]) -> str:
    if share["share"] is None:
        return "–"
    return f"{share['hits']} of {share['of']} ({100 * share['low']:.2f} to {100 * share['high']:.2f} %)"


if __name__ == "__main__":
    sys.exit(main())
