"""How often a lost scene is found, and how often a good one is called lost, on real images and the embedded model's.

    python benchmarks/quality/scene.py                       # all parts, then the page
    python benchmarks/quality/scene.py --part real --jobs 16
    python benchmarks/quality/scene.py --part real --grounds "white" "another image" --others 1

Parts: `real` (good changes, variants of one case, other compositions; every attack read anew by the reader), `pairs`
(every real image's text on every other image of its half, masked where the image itself has text, not read anew), and
`embedded` (the embedded model's variants, seeds and re-runs; its texts on white and black).

Limits were chosen on the half "tune"; the half "test" was not looked at for it. Readings and drawn images are kept in
the store, so that the same command goes on where it stopped. Results are written to benchmarks/results/scene.json, and
the tables between the marks of docs/measurements/scene.md from them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

# threads that wait must not spin: something else may need the cores
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from scene_attacks import GROUNDS, attacks, drawn_and_cut, fitted, without_text
from scene_generated import SEED, drawn_images
from scene_page import write_page
from scene_sets import VARIANTS, Read, compositions, good_changes, group_of, halves, kind_of, scaled
from scipy.stats import binomtest

from qiltest.arguments import existing_folder
from qiltest.files import write_atomically
from qiltest.generation.images import encode_png
from qiltest.quality.scene import Scene, is_page, scene_change
from qiltest.reading import Reader, Reading, open_reader
from qiltest.reading.images import Pixels, load_image
from qiltest.strict_json import decode

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "scene.json"
PARTS = ("real", "pairs", "embedded")
OTHER = "another image"


class Tally:
    """Counts alarms by row and half."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], list[tuple[str, str]]] = {}

    def add(self, kind: str, row: str, half: str, name: str, before: Scene, now: Scene) -> None:
        """Add one comparison of a scene with that of its golden."""
        change = scene_change(before, now)
        found = "" if change is None else str(change.kind)
        page = " page" if is_page(now) else ""
        self.rows.setdefault((kind, row, half), []).append((name, found + page))

    def record(self) -> list[dict[str, Any]]:
        """Return a row per kind, name and half: alarms, with the Wilson interval, and which images are exceptions."""
        return [
            {"kind": kind, "row": row, "half": half, **_rate(kind, found)}
            for (kind, row, half), found in self.rows.items()
        ]


def _rate(kind: str, found: Sequence[tuple[str, str]]) -> dict[str, Any]:
    alarms = [name for name, what in found if what.replace(" page", "")]
    interval = binomtest(len(alarms), len(found)).proportion_ci(0.95, method="wilson")
    silent = [name for name, what in found if not what.replace(" page", "")]
    odd = sorted(set(alarms if kind == "control" else silent))
    return {
        "alarms": len(alarms),
        "of": len(found),
        "low": round(float(interval.low), 4),
        "high": round(float(interval.high), 4),
        "gone": sum("gone" in what for _, what in found),
        "page": sum("page" in what for _, what in found),
        "exceptions": odd[:20],
    }


@cache
def _reader() -> Reader:
    return open_reader("rapidocr:threads=1")


def read(pixels: Pixels, store: Path) -> Read:
    """Return an image with its lines, read once and kept."""
    png = encode_png(pixels)
    path = store / "readings" / f"{hashlib.sha256(png).hexdigest()}-{_reader().info.fingerprint}.json"
    if not path.is_file():
        record = asdict(_reader().read(png))
        write_atomically(path, json.dumps(record, ensure_ascii=False, allow_nan=False).encode())
    return Read(pixels=pixels, lines=decode(Reading, path.read_bytes()).lines)


def controls_of(name: str, path: Path, store: Path) -> list[tuple[str, Scene]]:
    """Return the image's own scene first, then those of its good changes and other compositions."""
    image = read(load_image(path), store)
    changed = [*good_changes(image), *(("composed otherwise", other) for _, other in compositions(image))]
    return [(name, image.scene()), *((row, other.scene()) for row, other in changed)]


def attacks_of(
    path: Path, others: Sequence[tuple[str, Path]], store: Path, grounds: Sequence[str]
) -> list[tuple[str, str, Scene]]:
    """Return the scene of every attack on an image, each read anew, with the name of another image that it is on."""
    image = read(load_image(path), store)
    bare = [(name, without_text(other.pixels, other.lines)) for name, other in _all_read(others, store)]
    made = attacks(image.pixels, image.lines, bare if OTHER in grounds else [])
    chosen = (one for one in made if one[0] in grounds)
    return [(f"{ground}, {way}", other, read(pixels, store).scene()) for ground, way, other, pixels in chosen]


def _all_read(others: Sequence[tuple[str, Path]], store: Path) -> Iterator[tuple[str, Read]]:
    for name, path in others:
        yield name, read(load_image(path), store)


def real(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure controls and attacks on the real images, each attack read anew."""
    paths = images_of(args.images)
    half, tally = halves(list(paths)), Tally()
    with ProcessPoolExecutor(args.jobs) as pool:
        found = pool.map(controls_of, paths, paths.values(), [args.store] * len(paths))
        scenes: dict[str, Scene] = {}
        for name, ((_, own), *changed) in zip(paths, found, strict=True):
            scenes[name] = own
            for row, scene in changed:
                tally.add("control", row, half[name], name, own, scene)
        _pairs_of_one_case(scenes, half, tally)
        others = {name: _others(name, paths, half, args.others) for name in paths}
        lost = pool.map(
            attacks_of, paths.values(), others.values(), [args.store] * len(paths), [args.grounds] * len(paths)
        )
        for name, scenes_lost in zip(paths, lost, strict=True):
            print(name, flush=True)
            for row, other, scene in scenes_lost:
                shown = f"{name} on {other}" if other else name
                tally.add("attack", row, half[name], shown, scenes[name], scene)
    for name, scene in scenes.items():
        tally.add("page", "the image itself", half[name], name, scene, scene)
    return tally.record()


def _pairs_of_one_case(scenes: dict[str, Scene], half: dict[str, str], tally: Tally) -> None:
    """Compare the variants of each case, both ways, and the coffee shop across sizes, compositions and models."""
    for group, names in VARIANTS.items():
        for before in names:
            for now in names:
                if now != before:
                    tally.add(
                        "control", "variants of one case", half[now], f"{group}: {now}", scenes[before], scenes[now]
                    )
    shops = [name for name in scenes if kind_of(name) == "coffee shop"]
    for before in shops:
        for now in shops:
            if group_of(before) != group_of(now):
                other = any(name.startswith("piflow_") for name in (before, now))
                row = "coffee shop of another model" if other else "coffee shop of another size and composition"
                tally.add("control", row, "both", f"{before} -> {now}", scenes[before], scenes[now])


def pairs(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Put every real image's text on every other image of its half; the mask is that of the text's own image."""
    paths, tally = images_of(args.images), Tally()
    half = halves(list(paths))
    images = {name: _reduced(read(load_image(path), args.store)) for name, path in paths.items()}
    bare = {name: without_text(image.pixels, image.lines) for name, image in images.items()}
    for name, image in images.items():
        own, size = image.scene(), (image.pixels.shape[1], image.pixels.shape[0])
        for other in images:
            if half[other] == half[name] and group_of(other) != group_of(name):
                same = kind_of(other) == kind_of(name)
                row = "another image of its kind" if same else OTHER
                for way, made in drawn_and_cut(image.pixels, image.lines, fitted(bare[other], size)):
                    now = Read(pixels=made, lines=image.lines).scene()
                    tally.add("attack", f"{row}, {way}", half[name], f"{name} on {other}", own, now)
        print(name, flush=True)
    return tally.record()


def _reduced(image: Read, side: int = 512) -> Read:
    """Return an image of at most `side` pixels with its lines: the scene is measured on a smaller one still."""
    return scaled(image, min(1.0, side / max(image.pixels.shape[:2])))


def embedded(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Compare the embedded model's images by variant, seed and run, and put their texts on white and black."""
    tally, scenes = Tally(), {}
    grounds = (("white", 255), ("black", 0))
    for key, pixels in drawn_images(args.cases, args.store / "embedded", args.elsewhere, args.draw):
        scenes[key] = (image := read(pixels, args.store)).scene()
        if key.seed == SEED and key.variant == "4step":
            for ground, value in grounds:
                for way, changed in drawn_and_cut(image.pixels, image.lines, np.full_like(pixels, value)):
                    now = read(changed, args.store).scene()
                    tally.add("attack", f"{ground}, {way}", "embedded", str(key), scenes[key], now)
        tally.add("page", "the image itself", "embedded", str(key), scenes[key], scenes[key])
        print(key, flush=True)
    for one, old in scenes.items():
        for other, new in scenes.items():
            if row := one.row(other):
                tally.add("control", row, "embedded", f"{one} -> {other}", old, new)
    return tally.record()


def images_of(folder: Path) -> dict[str, Path]:
    """Return the real images by name."""
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in {".png", ".jpg"}}


def _others(name: str, paths: dict[str, Path], half: dict[str, str], most: int) -> list[tuple[str, Path]]:
    """Return the images of the same half and of another kind that follow an image, by name."""
    order = [*paths]
    following = order[order.index(name) + 1 :] + order[: order.index(name)]
    unlike = [other for other in following if half[other] == half[name] and kind_of(other) != kind_of(name)]
    return [(other, paths[other]) for other in unlike[:: max(1, len(unlike) // most)][:most]] if most else []


def main() -> int:
    """Measure the parts asked for, and write results and page. Returns 2 without the real images that are needed."""
    args = _arguments()
    if not args.images.is_dir() and set(args.part) & {"real", "pairs"}:
        print(f"no images in {args.images}", file=sys.stderr)
        return 2
    result = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for part in args.part:
        result[part] = {"real": real, "pairs": pairs, "embedded": embedded}[part](args)
        kept = {name: result[name] for name in PARTS if name in result}
        write_atomically(RESULTS, (json.dumps(kept, ensure_ascii=False, indent=1) + "\n").encode())
    write_page(args.page, result)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--images", type=Path, default=ROOT.parent / "shared" / "real-images")
    parser.add_argument("--store", type=Path, default=ROOT / "build" / "scene", help="readings and drawn images")
    parser.add_argument("--jobs", type=int, default=1, help="processes that read")
    parser.add_argument("--grounds", nargs="+", choices=(*GROUNDS, OTHER), default=(*GROUNDS, OTHER))
    parser.add_argument("--others", type=int, default=2, help="other images that each text is put on")
    parser.add_argument(
        "--draw",
        choices=("none", "loras", "all"),
        default="all",
        help="loras: no image of the base, which has 50 steps",
    )
    parser.add_argument(
        "--elsewhere",
        nargs="+",
        type=existing_folder,
        default=(),
        help="folders of the embedded model's images, drawn elsewhere",
    )
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "measurements" / "scene.md")
    parser.add_argument("--cases", type=existing_folder, default=str(ROOT / "cases"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
