"""How well a reader and the scorer measure drawn images of known text, by kind.

    python benchmarks/readers/drawn/make.py build/drawn
    python benchmarks/readers/drawn/measure.py build/drawn --half train [--jobs 2] [--cache build/drawn/readings]

Says by kind of image: texts whose distance is measured exactly, images with a planted error that are found (distance
above 0), correct images called wrong, each with a 95 % Wilson interval, and every text measured wrongly. Line breaks
are strict. Readings are kept in the cache: an interrupted run goes on, and only scoring is repeated where nothing else
changed. Results go to benchmarks/results/drawn.json under --label and the half. Rules are tuned on `train` alone;
`test` is for reports.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from drawn.readings import Kept, code_of_readers, is_kept, read_all
from qiltest.arguments import existing_folder
from qiltest.files import write_atomically
from qiltest.reading.version import READING_VERSION
from qiltest.scoring import EmptyReadingError, Score, score
from qiltest.suite.cases import ExpectedText, LineBreaks
from readers import Share, _why

ROOT = Path(__file__).resolve().parents[3]
READER = "rapidocr:threads=1"
Row = tuple[Mapping[str, Any], Score | None]


def main() -> int:
    """Run the benchmark; prints a table by kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=existing_folder, help="what make.py wrote")
    parser.add_argument("--half", choices=("train", "test"), default="train")
    parser.add_argument("--reader", default=READER)
    parser.add_argument("--cache", type=Path, help="where readings are kept; default: FOLDER/readings")
    parser.add_argument("--label", default="after", help="name of this state in the results, such as before")
    parser.add_argument(
        "--output", type=Path, help="default: benchmarks/results/drawn.json; '-' for none", default=None
    )
    parser.add_argument("--kind", action="append", help="only these kinds; nothing is written")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--kept", action="store_true", help="only the images whose readings are kept already")
    parser.add_argument("--wrong", action="store_true", help="list every text measured wrongly")
    args = parser.parse_args()
    listing = json.loads((args.folder / "manifest.json").read_text(encoding="utf-8"))
    images = [image for image in listing["images"] if image["half"] == args.half]
    images = [image for image in images if not args.kind or image["kind"] in args.kind]
    cache = args.cache or args.folder / "readings"
    if args.kept:
        images = [image for image in images if is_kept(args.reader, args.folder / image["file"], cache)]
    if not images:
        sys.exit(f"{args.folder}: no image of the half {args.half}\n  -> draw it with make.py")
    files = [args.folder / image["file"] for image in images]
    kept = read_all(args.reader, files, cache, jobs=args.jobs)
    result = {"seed": listing["seed"], **measure(images, kept)}
    if not args.kind and str(args.output) != "-":
        _write(
            args.output or ROOT / "benchmarks" / "results" / "drawn.json", args.label, args.half, args.reader, result
        )
    if args.wrong:
        for wrong in result["wrong"]:
            print(json.dumps(wrong, ensure_ascii=False))
    print(table(result))
    return 0


def measure(images: Sequence[Mapping[str, Any]], kept: Mapping[str, Kept]) -> dict[str, Any]:
    """Score all images and count, by kind and together."""
    rows = [(image, scored(image, kept[image["file"]])) for image in images]
    kinds = dict.fromkeys(image["kind"] for image in images)
    errors = dict.fromkeys(text["error"] for image in images for text in image["texts"] if text["error"])
    seconds = sum(kept[image["file"]].processor_seconds for image in images)
    return {
        "images": len(images),
        "all": rates(rows),
        "kinds": {kind: rates([row for row in rows if row[0]["kind"] == kind]) for kind in kinds},
        "errors": {error: _found_of(error, rows) for error in errors},
        "processor_seconds_an_image": round(seconds / len(images), 3),
        "wrong": [wrong for row in rows for wrong in _wrong(row)],
    }


def scored(image: Mapping[str, Any], kept: Kept) -> Score | None:
    """Score one image; None where nothing was read."""
    wanted = [ExpectedText(text=text) for text in image["expected_text"]]
    try:
        return score(wanted, kept.reading, line_breaks=LineBreaks.STRICT)
    except EmptyReadingError:
        return None


def rates(rows: Sequence[Row]) -> dict[str, Any]:
    """Count over some images."""
    right = [ok for row in rows for ok in exact(row)]
    faulty = [row for row in rows if any(row[0]["char_edit_distance"])]
    correct = [row for row in rows if not any(row[0]["char_edit_distance"])]
    return {
        "exact": Share(hits=sum(right), of=len(right)).record(),
        "errors_found": Share(hits=sum(flagged(row) for row in faulty), of=len(faulty)).record(),
        "false_alarms": Share(hits=sum(flagged(row) for row in correct), of=len(correct)).record(),
    }


def exact(row: Row) -> list[bool]:
    """Say of each text whether its distance is the true one."""
    image, found = row
    return [found is not None and found.texts[i].distance == true for i, true in enumerate(image["char_edit_distance"])]


def flagged(row: Row) -> bool:
    """Return whether the image would fail."""
    return row[1] is None or row[1].distance > 0


def _found_of(error: str, rows: Sequence[Row]) -> dict[str, Any]:
    of = [row for row in rows if any(text["error"] == error for text in row[0]["texts"])]
    return Share(hits=sum(flagged(row) for row in of), of=len(of)).record()


def _wrong(row: Row) -> list[dict[str, Any]]:
    image, found = row
    where = {"file": image["file"], "kind": image["kind"]}
    if found is None:
        return [{**where, "why": "nothing read"}]
    wrong: list[dict[str, Any]] = []
    for i, (text, true, ok) in enumerate(zip(found.texts, image["texts"], exact(row), strict=True)):
        if not ok:
            measured = {
                "true_distance": image["char_edit_distance"][i],
                "distance": text.distance,
                "font": true["font"],
            }
            wrong.append(
                {**where, "shown": true["shown"], "read": text.read, **measured, "why": _why(true["shown"], text.read)}
            )
    extra = [item.text for item in found.extra if item.distance]
    if extra and not any(image["char_edit_distance"]):
        wrong.append({**where, "extra": extra, "why": "other text taken for a repetition"})
    return wrong


def _write(output: Path, label: str, half: str, reader: str, result: Mapping[str, Any]) -> None:
    """Put the result beside those of other states, halves and readers."""
    record = json.loads(output.read_text(encoding="utf-8")) if output.is_file() else {}
    state = {"python": platform.python_version(), "machine": platform.machine(), "code": READING_VERSION}
    state["code_of_readers"] = code_of_readers()
    record.setdefault(label, {}).setdefault(reader.partition(":")[0], {})[half] = {**state, **result}
    write_atomically(output, (json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())


def table(result: Mapping[str, Any]) -> str:
    """Markdown: kinds by rates."""
    rows = ["| kind | texts exact | errors found | correct images called wrong |", "|---|---|---|---|"]
    for kind, found in [*result["kinds"].items(), ("all", result["all"])]:
        rows.append(
            f"| {kind} | {' | '.join(_cell(found[key]) for key in ('exact', 'errors_found', 'false_alarms'))} |"
        )
    return "\n".join(rows)


def _cell(share: Mapping[str, Any]) -> str:
    if share["share"] is None:
        return "–"
    return f"{share['hits']} of {share['of']} ({100 * share['low']:.0f} to {100 * share['high']:.0f} %)"


if __name__ == "__main__":
    sys.exit(main())
