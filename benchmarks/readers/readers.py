"""How well readers measure the text of real model images.

    python benchmarks/readers/readers.py [--reader NAME ...] [--images ../shared/real-images] [--jobs 2]

Reads every image of a folder with a `manifest.json` (expected text, shown text, true distances per text) and says per
reader: share of texts whose distance is measured exactly, typo images found, correct images called wrong, each with
a 95 % Wilson interval; seconds an image and peak memory; and every text it measured wrongly, with what it misread.
Rates are given for all images, for those whose true reading is sure, and of these for the first 47, which the rules of
the reader and the scorer were made with, and the 16 that were added afterwards (`ADDED`).
Each reader runs in a process of its own, so that memory is its own, and on one thread. EasyOCR, whose weights in
packages are English, reads only the images that ask for nothing else, and the result says so. Line breaks are strict
here: the manifest counts a hyphen that is missing at a line's end.

Every reading is kept in the cache with the hash of the code that reads: after a run that was cut off the same command
goes on where it stopped. A reader's row in the results replaces the one it had; the others stay.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from drawn.readings import code_of_readers
from scipy.stats import binomtest

from qiltest.arguments import existing_folder
from qiltest.files import write_atomically
from qiltest.reading import Reader, Reading, broken_strokes, open_reader
from qiltest.scoring import EmptyReadingError, Score, score
from qiltest.scoring.distance import align
from qiltest.strict_json import decode
from qiltest.suite.cases import ExpectedText, LineBreaks
from qiltest.text.normalise import normalise, units

ROOT = Path(__file__).resolve().parents[2]
READERS = ("rapidocr:threads=1", "rapidocr-single:threads=1", "easyocr", "tesseract")
#: Where readings are kept.
KEPT = ROOT / "build" / "readers"
#: Images that were added to the manifest after the rules for the first 47 had been made.
ADDED = frozenset(
    [
        "glyphbyt5_scene_4.png",
        "piflow_qwen_toymodel_1nfe.png",
        "qi50_1024_fp8wo_ulysses2.png",
        "sdcpp_zimage_turbo_q8_0.png",
        "ern_llm.jpg",
        "ern_strawhat.png",
        "ern_neon.png",
        "ern_alphabet.png",
        "ern_collage.png",
        "ern_stickers.png",
        "ern_disney.jpg",
        "ern_andweare.jpg",
        "ern_poincare.png",
        "sw_sd35m_2.png",
        "at2_mooncake_2.png",
        "at2_cake_2.png",
    ]
)
#: Readers that are opened with English weights alone.
ENGLISH = ("easyocr",)
#: Code points from here on are no Latin writing or its punctuation.
BEYOND_LATIN = 0x2000
#: The look-alikes that only size tells apart, for the second rate of false alarms.
SIZE_ONLY = ("c/C", "O/0", "I/l/1")


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share with its 95 % Wilson interval."""

    hits: int
    of: int

    def record(self) -> dict[str, Any]:
        """Plain data; no interval where there was nothing to count."""
        if not self.of:
            return {"hits": 0, "of": 0, "share": None, "low": None, "high": None}
        interval = binomtest(self.hits, self.of).proportion_ci(method="wilson")
        return {
            "hits": self.hits,
            "of": self.of,
            "share": round(self.hits / self.of, 4),
            "low": round(float(interval.low), 4),
            "high": round(float(interval.high), 4),
        }


def main() -> int:
    """Run the benchmark; the results go to benchmarks/results/readers.json and a table to standard output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reader", action="append", help=f"default: {', '.join(READERS)}")
    parser.add_argument(
        "--images",
        type=existing_folder,
        default=str(ROOT.parent / "shared" / "real-images"),
        help="a folder of images with true readings",
    )
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "readers.json")
    parser.add_argument("--cache", type=Path, default=KEPT)
    parser.add_argument("--jobs", type=int, default=1, help="processes that read at once; memory and times are of each")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    args = parser.parse_args()
    images_of(args.images)
    if args.one and args.part:
        read_part(args.one, args.images, args.cache, args.part)
        return 0
    if args.one:
        print(json.dumps(measure(args.one, args.images, args.cache), ensure_ascii=False, allow_nan=False))
        return 0
    for name in args.reader or READERS:
        _write(args.output, _in_process(name, args.images, args.cache, args.jobs))
    for part in ("sure", "sure_first", "sure_added"):
        print(f"\n{part}\n{table(json.loads(args.output.read_text())['readers'], part)}")
    return 0


def images_of(folder: Path, *, sure: bool = False) -> list[dict[str, Any]]:
    """Return what the manifest says of the images that ask for text; `sure`: whose true reading is sure."""
    listing = folder / "manifest.json"
    if not listing.is_file():
        sys.exit(f"{folder}: no manifest.json\n  -> give a folder of images with true readings (--images)")
    images = [image for image in json.loads(listing.read_text())["images"] if image["expected_text"]]
    return [image for image in images if not sure or image["reading_confidence"] == "high"]


def _write(output: Path, result: dict[str, Any]) -> None:
    """Put one reader's row among those that the results hold, in the order of `READERS`, others last."""
    rows = json.loads(output.read_text())["readers"] if output.is_file() else []
    rows = [row for row in rows if row["reader"] != result["reader"]] + [result]
    rows.sort(key=lambda row: READERS.index(row["reader"]) if row["reader"] in READERS else len(READERS))
    record = {"python": platform.python_version(), "machine": platform.machine(), "readers": rows}
    write_atomically(output, (json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One image's reading and what it cost."""

    reading: Reading
    processor_seconds: float
    peak_memory_mib: int


def measured(reader: Reader, image: Path, kept: Path) -> Measured:
    """Read an image, or take what an earlier run kept of the same reader and bytes."""
    file = kept / f"{hashlib.sha256(image.read_bytes()).hexdigest()}.json"
    if file.is_file():
        return decode(Measured, file.read_bytes())
    started = _processor_seconds()
    reading = reader.read(image)
    seconds = round(_processor_seconds() - started, 3)
    found = Measured(reading=reading, processor_seconds=seconds, peak_memory_mib=_peak_mib())
    write_atomically(file, json.dumps(asdict(found), allow_nan=False).encode())
    print(f"{image.name}: {seconds} s", file=sys.stderr, flush=True)
    return found


def images_for(name: str, folder: Path) -> list[dict[str, Any]]:
    """Return the images that a reader is measured on."""
    return [image for image in images_of(folder) if name.partition(":")[0] not in ENGLISH or _latin(image)]


def kept_in(cache: Path, reader: Reader) -> Path:
    """Return where the readings of a reader are kept in its present state."""
    return cache / f"{reader.info.fingerprint}-code-{code_of_readers()}"


def read_part(name: str, folder: Path, cache: Path, part: str) -> None:
    """Read every n-th image from the k-th on, of a part "k/n"."""
    first, step = (int(number) for number in part.split("/"))
    reader = open_reader(name)
    for image in images_for(name, folder)[first::step]:
        measured(reader, folder / image["file"], kept_in(cache, reader))


def measure(name: str, folder: Path, cache: Path) -> dict[str, Any]:
    """Read all images with one reader."""
    images = images_for(name, folder)
    reader = open_reader(name)
    kept = kept_in(cache, reader)
    rows: list[tuple[dict[str, Any], Score | None, Score | None]] = []
    costs: list[Measured] = []
    doubted = characters = 0
    for image in images:
        costs.append(measured(reader, folder / image["file"], kept))
        reading = costs[-1].reading
        wanted = [ExpectedText(text=text) for text in image["expected_text"]]
        right, doubtful = _right_characters(image, reading)
        characters, doubted = characters + right, doubted + doubtful
        rows.append((image, _scored(wanted, reading, ()), _scored(wanted, reading, SIZE_ONLY)))
    sure = [row for row in rows if row[0]["reading_confidence"] == "high"]
    doubts = Share(hits=doubted, of=characters).record()
    pixels = sum(each.reading.width * each.reading.height for each in costs)
    return {
        "reader": name,
        "engine": reader.info.engine,
        "version": reader.info.version,
        "fingerprint": reader.info.fingerprint,
        "images": len(images),
        "english_only": name.partition(":")[0] in ENGLISH,
        "sure": _rates(sure),
        "sure_first": _rates([row for row in sure if row[0]["file"] not in ADDED]),
        "sure_added": _rates([row for row in sure if row[0]["file"] in ADDED]),
        "all": _rates(rows),
        "right_characters_called_suspicious": doubts,
        "processor_seconds_an_image": round(sum(each.processor_seconds for each in costs) / len(costs), 3),
        "seconds_an_image": round(sum(each.reading.seconds for each in costs) / len(costs), 3),
        "seconds_a_megapixel": round(sum(each.reading.seconds for each in costs) / pixels * 1e6, 3),
        "peak_memory_mib": max(each.peak_memory_mib for each in costs),
        "wrong": [wrong for row in rows for wrong in _wrong(row[0], row[1])],
    }


def _latin(image: dict[str, Any]) -> bool:
    return all(ord(char) < BEYOND_LATIN for text in image["expected_text"] for char in text)


def _scored(wanted: list[ExpectedText], reading: Reading, forgiven: tuple[str, ...]) -> Score | None:
    try:
        return score(wanted, reading, line_breaks=LineBreaks.STRICT, forgiven=forgiven)
    except EmptyReadingError:
        return None


def _peak_mib() -> int:
    """Return the largest resident size of this process or of a program it ran, in MiB."""
    return round(
        max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    )


def _processor_seconds() -> float:
    """Time that processors spent on this process and its children: steady where the machine is shared."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def _right_characters(image: dict[str, Any], reading: Reading) -> tuple[int, int]:
    """Characters of texts that were read as a person reads them, and how many of them the reader itself doubts."""
    found = _scored([ExpectedText(text=text) for text in image["shown_text"]], reading, ())
    if found is None or image["reading_confidence"] != "high":
        return 0, 0
    lines = {line for text in found.texts if text.distance == 0 for line in text.lines}
    total = sum(len(normalise(reading.lines[line].text)) for line in lines if reading.lines[line].characters)
    # without what the glyph network says, the reader's confidence is the measure
    by_confidence = replace(reading, lines=tuple(replace(line, strokes=()) for line in reading.lines))
    return total, len(broken_strokes(by_confidence, lines))


def _rates(rows: list[tuple[dict[str, Any], Score | None, Score | None]]) -> dict[str, Any]:
    texts = exact = exact_alnum = 0
    for image, found, _ in rows:
        for i, true in enumerate(image["char_edit_distance"]):
            texts += 1
            exact += found is not None and found.texts[i].distance == true
            alnum = image["char_edit_distance_alnum_casefold"][i]
            exact_alnum += found is not None and found.texts[i].distance_alnum == alnum
    typos = [row for row in rows if any(row[0]["char_edit_distance"])]
    correct = [row for row in rows if not any(row[0]["char_edit_distance"])]
    return {
        "exact": Share(hits=exact, of=texts).record(),
        "exact_alnum": Share(hits=exact_alnum, of=texts).record(),
        "typos_found": Share(hits=sum(_flagged(row[1]) for row in typos), of=len(typos)).record(),
        "false_alarms": Share(hits=sum(_flagged(row[1]) for row in correct), of=len(correct)).record(),
        "typos_found_size_forgiven": Share(hits=sum(_flagged(row[2]) for row in typos), of=len(typos)).record(),
        "false_alarms_size_forgiven": Share(hits=sum(_flagged(row[2]) for row in correct), of=len(correct)).record(),
    }


def _flagged(found: Score | None) -> bool:
    return found is None or found.distance > 0


def _wrong(image: dict[str, Any], found: Score | None) -> list[dict[str, Any]]:
    if found is None:
        return [{"file": image["file"], "why": "nothing read"}]
    wrong = []
    for text, true, shown in zip(found.texts, image["char_edit_distance"], image["shown_text"], strict=True):
        if text.distance == true:
            continue
        wrong.append(
            {
                "file": image["file"],
                "true_reading": image["reading_confidence"].split(";")[0].split(":")[0],
                "shown": shown,
                "read": text.read,
                "true_distance": true,
                "distance": text.distance,
                "why": _why(shown, text.read),
            }
        )
    extra = [item.text for item in found.extra if item.distance]
    if extra:
        wrong.append({"file": image["file"], "extra": extra, "why": "other text taken for a repetition"})
    return wrong


def _why(shown: str, read: str) -> str:
    """Say what the reader misread: the edits from what the image shows to what was read."""
    if not read:
        return "no line found for it"
    edits = align(units(shown), [normalise(read)], line_breaks=LineBreaks.STRICT).edits
    named = [f"{e.expected or '∅'}→{e.read or '∅'}" + (f" ({e.look_alike})" if e.look_alike else "") for e in edits]
    return "misread: " + ", ".join(named[:8]) + (f" and {len(named) - 8} more" if len(named) > 8 else "")


def _in_process(name: str, folder: Path, cache: Path, jobs: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", name, "--images", str(folder), "--cache", str(cache)]
    alone = {"OMP_NUM_THREADS": "1", **os.environ}
    parts = [subprocess.Popen([*command, "--part", f"{k}/{jobs}"], env=alone) for k in range(jobs if jobs > 1 else 0)]
    codes = [part.wait() for part in parts]
    if any(codes):
        sys.exit(f"{name}: a process that reads has failed")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=alone)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def table(results: list[dict[str, Any]], part: str = "sure") -> str:
    """Markdown: readers by rates over the images whose true reading is sure, or a part of them."""
    head = (
        "| reader | texts exact | letters and digits exact | typo images found | false alarms | "
        "false alarms, size forgiven | processor s an image | MiB |\n|---|---|---|---|---|---|---|---|"
    )
    rows = []
    for result in results:
        if part not in result:  # a row of an older run
            continue
        rates = result[part]
        keys = ("exact", "exact_alnum", "typos_found", "false_alarms", "false_alarms_size_forgiven")
        cells = " | ".join(_cell(rates[key]) for key in keys)
        name = result["reader"] + (" (English images)" if result["english_only"] else "")
        rows.append(f"| {name} | {cells} | {result['processor_seconds_an_image']} | {result['peak_memory_mib']} |")
    return "\n".join([head, *rows])


def _cell(share: dict[str, Any]) -> str:
    if share["share"] is None:
        return "–"
    return f"{share['hits']} of {share['of']} ({100 * share['low']:.0f} to {100 * share['high']:.0f} %)"


if __name__ == "__main__":
    sys.exit(main())
