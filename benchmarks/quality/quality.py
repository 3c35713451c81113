"""What the health measures find and what they accuse wrongly, on real images and the embedded model's.

    python benchmarks/quality/quality.py                  # parts not stored yet or no longer true, then the page
    python benchmarks/quality/quality.py --part real        # real-good, real-planted, real-detail: no model
    python benchmarks/quality/quality.py --part embedded    # embedded-good, -planted, -latents, -scheduler
    python benchmarks/quality/quality.py --part speed       # on an idle machine
    python benchmarks/quality/quality.py --again ...        # also what is stored

Measures every good image (false alarms, distributions), plants each fault at three strengths in every n-th real
image and every second of the embedded model's (detection), leaves noise in the embedded model's latents, draws with
wrong schedulers, follows fine detail under losses, noise and sharpening, and times it all beside the reader.

Each part is written to benchmarks/results/health.json as soon as it is measured, with a stamp of what it depends on
(the measures' source, and the images or the model's weights): the same command goes on where it stopped, and a part
whose stamp changed is measured again. The tables between the marks of docs/measurements/quality.md are written from
all stored parts.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

# threads that wait must not spin: something else may need the cores
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from quality_detail import detail
from quality_faults import Pixels
from quality_page import write_page
from quality_rates import Lines, good, planted

from qiltest.arguments import existing_folder
from qiltest.files import write_atomically
from qiltest.generation.images import encode_png
from qiltest.generation.sources import EMBEDDED
from qiltest.quality import examine
from qiltest.reading import Reader, Reading, open_reader
from qiltest.reading.images import load_image
from qiltest.strict_json import decode

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
RESULTS = ROOT / "benchmarks" / "results" / "health.json"
GROUPS = {
    "real": ("real-good", "real-planted", "real-detail"),
    "embedded": ("embedded-good", "embedded-planted", "embedded-latents", "embedded-scheduler"),
    "speed": ("speed",),
}
PARTS = tuple(part for group in GROUPS.values() for part in group)
#: Images of the embedded model: of each variant's so many smallest cases (of 11 places).
DRAWN = {"8step": 11, "4step": 11, "base": 5}
#: Cases with noise left in their latents, and cases drawn with wrong schedulers, smallest first.
LATENTS, SCHEDULERS = 8, 6


class Bench:
    """What the parts share; made when the first of them needs it."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args

    @cached_property
    def real(self) -> dict[str, Pixels]:
        """All real images."""
        return {file.stem: load_image(file) for file in sorted(self.args.images.glob("*.png"))}

    @property
    def some(self) -> dict[str, Pixels]:
        """Every n-th real image."""
        return dict(list(self.real.items())[:: self.args.every])

    @cached_property
    def reader(self) -> Reader:
        """The standard reader, one thread."""
        return open_reader("rapidocr:threads=1")

    @cached_property
    def studio(self) -> Any:  # noqa: ANN401  torch is imported by what draws alone
        """The embedded model."""
        from quality_generated import Studio

        return Studio(self.args.cases, self.args.store)

    @cached_property
    def embedded(self) -> dict[str, Pixels]:
        """Good images of the embedded model."""
        found: dict[str, Pixels] = self.studio.good(DRAWN)
        return found

    @property
    def half(self) -> dict[str, Pixels]:
        """Every second image of the embedded model."""
        return dict(list(self.embedded.items())[::2])

    def measure(self, part: str) -> object:
        """Measure one part."""
        work: dict[str, Callable[[], object]] = {
            "real-good": lambda: good(self.real, self._lines(self.real)),
            "real-planted": lambda: list(planted("real", self.some, self._lines(self.some))),
            "real-detail": lambda: detail(self.some, self._lines(self.some)),
            "embedded-good": lambda: good(self.embedded, self._lines(self.embedded)),
            "embedded-planted": lambda: list(planted("embedded", self.half, self._lines(self.half))),
            "embedded-latents": lambda: self.studio.left_over(LATENTS, self.reader),
            "embedded-scheduler": lambda: self.studio.schedulers(SCHEDULERS, self.reader),
            "speed": lambda: speed(self.real, self.reader),
        }
        return work[part]()

    def _lines(self, images: dict[str, Pixels]) -> Lines:
        """Return what the reader finds in each, read once and kept."""
        return {name: self._reading(encode_png(pixels)).lines for name, pixels in images.items()}

    def _reading(self, png: bytes) -> Reading:
        name = f"{hashlib.sha256(png).hexdigest()}-{self.reader.info.fingerprint}.json"
        path = self.args.store / "readings" / name
        if not path.is_file():
            record = asdict(self.reader.read(png))
            write_atomically(path, json.dumps(record, ensure_ascii=False, allow_nan=False).encode())
        return decode(Reading, path.read_bytes())

    def stamp(self, part: str) -> str:
        """Return a hash of what a part's result depends on."""
        files = [
            *(ROOT / "src" / "qiltest" / "quality").glob("*.py"),
            HERE / "quality_faults.py",
            HERE / "quality_rates.py",
        ]
        if part.startswith("embedded"):
            files += [*EMBEDDED.rglob("*.safetensors"), HERE / "quality_generated.py"]
        if part in {"real-detail"}:
            files += [HERE / "quality_detail.py"]
        names = [] if part.startswith("embedded") else [f.name for f in self.args.images.glob("*.png")]
        return _hash(files, [*names, str(self.args.every)])


def main() -> int:
    """Measure what is missing, write the results and the page. Returns 2 without real images that are needed."""
    args = _arguments()
    bench, parts = Bench(args), _parts(args.part)
    if not bench.args.images.is_dir() and any(not part.startswith("embedded") for part in parts):
        print(f"no images in {args.images}", file=sys.stderr)
        return 2
    result = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for part in parts:
        stamp = bench.stamp(part)
        if not args.again and result.get(part, {}).get("stamp") == stamp:
            print(f"{part}: stored, {result[part]['seconds']} s then", flush=True)
            continue
        began = time.monotonic()
        found = bench.measure(part)
        seconds = round(time.monotonic() - began, 1)
        print(f"{part}: {seconds} s", flush=True)
        result[part] = {"stamp": stamp, "seconds": seconds, "found": found}
        kept = {name: result[name] for name in PARTS if name in result}
        text = json.dumps(kept, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
        write_atomically(RESULTS, text.encode())
    stale = [part for part in PARTS if result.get(part, {}).get("stamp") != bench.stamp(part)]
    if stale:
        print(f"not measured, or of other measures, images or weights: {', '.join(stale)}")
    write_page(args.page, {part: result[part]["found"] for part in PARTS if part in result}, stale)
    return 0


def speed(images: dict[str, Pixels], reader: Reader) -> dict[str, object]:
    """Time the measures beside the reader on the largest square image; processor seconds and wall, medians of 5."""
    name = max((n for n, p in images.items() if p.shape[0] == p.shape[1]), key=lambda n: images[n].size)
    png = encode_png(images[name])
    reader.read(png), examine(images[name])
    times: dict[str, list[tuple[float, float]]] = {"health": [], "reading": []}
    for _ in range(5):
        for what, work in (("health", lambda: examine(images[name])), ("reading", lambda: reader.read(png))):
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            times[what].append((time.perf_counter() - wall, time.process_time() - cpu))
    walls, cpus = (
        {what: round(statistics.median(t[k] for t in found), 4) for what, found in times.items()} for k in (0, 1)
    )
    return {"image": name, "size": "x".join(map(str, images[name].shape[1::-1])), "wall": walls, "cpu": cpus}


def _parts(asked: Iterable[str]) -> tuple[str, ...]:
    named = {part for name in asked for part in GROUPS.get(name, (name,))}
    return tuple(part for part in PARTS if part in named)


def _hash(files: Iterable[Path], words: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        # of source the code alone: a comment changes no figure
        source = file.suffix == ".py"
        content = ast.dump(ast.parse(file.read_bytes())).encode() if source else file.read_bytes()
        digest.update(file.name.encode() + hashlib.sha256(content).digest())
    digest.update("\n".join(sorted(words)).encode())
    return digest.hexdigest()[:16]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=(*GROUPS, *PARTS), default=tuple(GROUPS))
    parser.add_argument("--again", action="store_true", help="measure also what is stored")
    parser.add_argument("--images", type=Path, default=ROOT.parent / "shared" / "real-images")
    parser.add_argument("--every", type=int, default=4, help="plant faults in every n-th real image")
    parser.add_argument("--store", type=Path, default=ROOT / "build" / "health", help="images that were drawn")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "measurements" / "quality.md")
    parser.add_argument("--cases", type=existing_folder, default=str(ROOT / "cases"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
