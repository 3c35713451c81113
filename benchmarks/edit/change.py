"""How often an edit that changed the rest is found, and how often a faithful one is called changed.

    python benchmarks/edit/change.py [--images FOLDER] [--jobs 2] [--vae] [--edits CHECKOUT]

Each image (the real ones, and the small copies of the embedded model's goldens) has its largest texts replaced; the
result is drawn again faithfully (JPEG, resampling, shifts of 1 to 8 pixels, colours, noise, a wobble, with --vae a pass
through the embedded VAE), and with the rest changed (objects removed, moved, recoloured or others, another background,
another layout, another image). Images of one prompt by other engines stand for an identity that was lost.

Limits were chosen on the half "tune" (every second group of images); the half "test" was not looked at for it. Results:
benchmarks/results/change.json.
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
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "quality"))

import numpy as np
from change_sets import changed, edit_of, faithful
from PIL import Image
from scene_sets import VARIANTS, group_of, halves

from qiltest.arguments import existing_folder
from qiltest.files import write_atomically
from qiltest.gate.change import COLLAPSED, LAYOUT, PATCH, SHARE, is_collapse, is_too_much
from qiltest.generation.images import encode_png
from qiltest.quality.change import VERSION, Box, Change, measure, measure_change
from qiltest.reading import Reader, Reading, open_reader
from qiltest.reading.images import Pixels, load_image
from qiltest.reading.records import Line
from qiltest.strict_json import decode

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "change.json"
#: longer side to which images are reduced, so that all have a pipeline's size.
SIDE = 512
#: how the names of the embedded model's images begin.
_EMBEDDED = "tiny "
#: edits by real models that stable-diffusion.cpp shows, below `assets` of its repository (97d2990): all of one image,
#: whose sign is to read otherwise, and that image by other quantisations of its model.
BEFORE = "flux/flux1-dev-q8_0.png"
EDITS = (
    "boogu/edit_example.png",
    "flux/kontext1_dev_output.png",
    "flux2/flux2-klein-4b-edit.png",
    "flux2/flux2-klein-9b-edit.png",
    "mage_flow/edit_example.png",
    "qwen/qwen_image_edit.png",
    "qwen/qwen_image_edit_2509.png",
    "qwen/qwen_image_edit_2511.png",
    "flux/flux1-dev-q4_k.png",
    "flux/flux1-dev-q3_k.png",
    "flux/flux1-dev-q2_k.png",
)
#: percentiles of the distributions.
PERCENTILES = (50, 90, 99, 100)


def main() -> int:
    """Measure, write results, print a table. Returns 2 without images."""
    args = _arguments()
    paths = {**images_of(args.images), **embedded_of(ROOT / "golden" / "tiny")}
    paths = dict([*paths.items()][:: args.every])
    if not paths:
        print(f"no images in {args.images}", file=sys.stderr)
        return 2
    half = halves([*paths])
    names = [*paths]
    others = [_other(name, names, half) for name in names]
    found: list[dict[str, Any]] = []
    with ProcessPoolExecutor(args.jobs) as pool:
        jobs = pool.map(
            rows_of,
            names,
            paths.values(),
            [paths[o] for o in others],
            [args.vae] * len(names),
            [args.store] * len(names),
        )
        for name, rows in zip(names, jobs, strict=True):
            found += [{"name": name, "half": half[name], **row} for row in rows]
            print(name, flush=True)
        found += list(_variants(paths, half))
    write_atomically(args.raw, (json.dumps(found) + "\n").encode())
    result = summary(found)
    result["edits"] = list(_real_edits(args.edits / "assets", args.store)) if args.edits else _kept_edits(args.output)
    write_atomically(args.output, (json.dumps(result, ensure_ascii=False, indent=1) + "\n").encode())
    print(table(result))
    return 0


def rows_of(name: str, path: Path, other: Path, vae: bool, store: Path) -> list[dict[str, Any]]:
    """Return one row for each faithful and each changed output of an image, or those that the same code has stored."""
    kept = store / f"rows-{name.replace('/', '_')}-{_code()}-{vae}.json"
    if not kept.is_file():
        rows = _rows(name, path, other, vae, store)
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, json.dumps(rows).encode())
    found: list[dict[str, Any]] = json.loads(kept.read_text(encoding="utf-8"))
    # the embedded VAE has seen what the embedded model draws, and no photograph
    own = [row for row in found if row["way"] != "embedded VAE" or name.startswith(_EMBEDDED)]
    return [{**row, **_judged(row)} for row in own]


def _rows(name: str, path: Path, other: Path, vae: bool, store: Path) -> list[dict[str, Any]]:
    pixels = _reduced(load_image(path))
    lines = read(pixels, store).lines
    if not lines:
        return []
    rng = np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))
    edit = edit_of(pixels, lines, rng)
    rows = []
    outputs = [("faithful", way, made) for way, made in faithful(edit.after, rng)]
    if vae:
        outputs.append(("faithful", "embedded VAE", through_vae(edit.after)))
    outputs += [("changed", way, made) for way, made in changed(edit, _reduced(load_image(other)), rng)]
    for kind, way, made in outputs:
        rows.append({"kind": kind, "way": way, **_numbers(measure_change(edit.before, made, edit.may_change))})
    return rows


def _variants(paths: dict[str, Path], half: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield images of one prompt by other engines: most show the same scene with other things in it."""
    for group, names in VARIANTS.items():
        for one, other in pairwise(names):
            if one in paths and other in paths:
                found = measure_change(_reduced(load_image(paths[one])), _reduced(load_image(paths[other])), ())
                row = {"name": f"{group}: {one} -> {other}", "half": half[one], "kind": "variants"}
                numbers = _numbers(found)
                yield {**row, "way": f"one prompt, {group}", **numbers, **_judged(numbers)}


def _real_edits(assets: Path, store: Path) -> Iterator[dict[str, Any]]:
    """Yield what real models' edits changed outside the lines that were read before and after."""
    before = load_image(assets / BEFORE)
    lines = read(before, store).lines
    for name in EDITS:
        after = load_image(assets / name)
        boxes = [
            box for pixels, own in ((before, lines), (after, read(after, store).lines)) for box in _boxes(pixels, own)
        ]
        numbers = _numbers(measure_change(before, after, boxes))
        yield {"image": name, **numbers, **_judged(numbers)}


def _boxes(pixels: Pixels, lines: Sequence[Line]) -> Iterator[Box]:
    height, width = pixels.shape[:2]
    for line in lines:
        xs = [min(1.0, max(0.0, x / width)) for x, _ in line.box]
        ys = [min(1.0, max(0.0, y / height)) for _, y in line.box]
        yield Box(left=min(xs), top=min(ys), right=max(xs), bottom=max(ys))


def _kept_edits(output: Path) -> list[dict[str, Any]]:
    """Return what an earlier run wrote of real edits."""
    known = json.loads(output.read_text(encoding="utf-8")) if output.is_file() else {}
    kept: list[dict[str, Any]] = known.get("edits", [])
    return kept


def _numbers(change: Change) -> dict[str, Any]:
    return {key: value for key, value in asdict(change).items() if key not in {"blocks", "may_change", "version"}}


def _judged(row: dict[str, Any]) -> dict[str, bool]:
    numbers = {key: value for key, value in row.items() if key not in {"kind", "way", "name", "half"}}
    change = Change(**numbers, version=VERSION, may_change=(), blocks=())
    return {"too much": is_too_much(change), "collapse": is_collapse(change)}


@cache
def _code() -> str:
    """Return a hash of the code that the numbers depend on."""
    files = [*Path(measure.__file__).parent.glob("*.py"), Path(__file__).with_name("change_sets.py")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()[:12]


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the distributions and rates of each way by half."""
    limits = {"share": SHARE, "patch": PATCH, "collapsed share": COLLAPSED, "layout": LAYOUT}
    found: dict[str, Any] = {"limits": limits, "rows": []}
    keys = dict.fromkeys((row["kind"], row["way"], row["half"]) for row in rows)
    for kind, way, half in keys:
        own = [row for row in rows if (row["kind"], row["way"], row["half"]) == (kind, way, half)]
        values = {
            name: [round(float(v), 4) for v in np.percentile([row[name] for row in own], PERCENTILES)]
            for name in ("share", "patch", "colour")
        }
        rates = {name: sum(row[name] for row in own) for name in ("too much", "collapse")}
        found["rows"].append({"kind": kind, "way": way, "half": half, "images": len(own), **rates, **values})
    return found


def table(result: dict[str, Any]) -> str:
    """Return the rates as a table: images called changed and collapsed, of how many, by half."""
    lines = [json.dumps(result["limits"])]
    for row in sorted(result["rows"], key=lambda row: (row["half"], row["kind"])):
        lines.append(
            f"{row['half']:<5} {row['kind']:<9} {row['way']:<34} {row['too much']:>3} {row['collapse']:>3} of "
            f"{row['images']:<3} share {row['share']} patch {row['patch']}"
        )
    for row in result["edits"]:
        said = "collapse" if row["collapse"] else "changed" if row["too much"] else "unchanged"
        lines.append(f"{row['image']:<34} {said:<10} share {row['share']:.3f} patch {row['patch']:.3f}")
    return "\n".join(lines)


def images_of(folder: Path) -> dict[str, Path]:
    """Return the real images by name."""
    if not folder.is_dir():
        return {}
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in {".png", ".jpg"}}


def embedded_of(folder: Path) -> dict[str, Path]:
    """Return one small copy of each case of the embedded model."""
    return {f"{_EMBEDDED}{path.parent.name}": path for path in sorted(folder.glob("*@*/base-s42.webp"))}


def read(pixels: Pixels, store: Path) -> Reading:
    """Read an image, or take its reading from the store."""
    path = store / f"{hashlib.sha256(pixels.tobytes()).hexdigest()}.json"
    if not path.is_file():
        record = asdict(_reader().read(encode_png(pixels)))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(record, ensure_ascii=False, allow_nan=False).encode())
    return decode(Reading, path.read_bytes())


def through_vae(pixels: Pixels) -> Pixels:
    """Return an image as the embedded VAE encodes and decodes it, at a size that the embedded model has."""
    import torch

    height, width = pixels.shape[:2]
    scale = min(1.0, 640 / max(height, width))
    size = (round(width * scale) // 16 * 16, round(height * scale) // 16 * 16)
    values = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS), dtype=np.float32) / 127.5 - 1
    with torch.no_grad():
        latent = _vae().encode(torch.from_numpy(values).permute(2, 0, 1)[None, :, None]).latent_dist.mode()
        made = _vae().decode(latent).sample[0, :, 0]
    return np.asarray(((made.permute(1, 2, 0) + 1) * 127.5).clamp(0, 255).round().to(torch.uint8))


@cache
def _vae() -> Any:  # noqa: ANN401  a model of diffusers
    from diffusers import AutoencoderKLQwenImage

    from qiltest.generation.sources import EMBEDDED

    return AutoencoderKLQwenImage.from_pretrained(EMBEDDED / "vae").eval()


@cache
def _reader() -> Reader:
    return open_reader("rapidocr")


def _reduced(pixels: Pixels) -> Pixels:
    image = Image.fromarray(pixels)
    if max(image.size) <= SIDE:
        return pixels
    scale = SIDE / max(image.size)
    return np.asarray(image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS))


def _other(name: str, names: Sequence[str], half: dict[str, str]) -> str:
    """Return another image of the same half, of another prompt."""
    order = [*names[names.index(name) + 1 :], *names]
    return next(other for other in order if half[other] == half[name] and group_of(other) != group_of(name))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, default=ROOT.parent / "shared" / "real-images")
    parser.add_argument("--store", type=Path, default=ROOT / "build" / "change", help="readings")
    parser.add_argument("--raw", type=Path, default=ROOT / "build" / "change" / "rows.json", help="one row per output")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument(
        "--edits", type=existing_folder, help="a checkout of leejet/stable-diffusion.cpp, for its edits"
    )
    parser.add_argument("--vae", action="store_true", help="with a pass through the embedded VAE, which needs torch")
    parser.add_argument("--every", type=int, default=1, help="every so many images, for a quick look")
    parser.add_argument("--jobs", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
