"""What the health measures find and what they accuse wrongly, on real pictures and the embedded model's.

    python benchmarks/health.py [--pictures DIR] [--every 4] [--draw 4] [--run RUN] [--parts ...]

Measures every good picture (false alarms, distributions), plants each fault at three strengths in every n-th real
picture and in all embedded ones (detection), draws with noise and NaN in the embedded model's latents, follows fine
detail under losses, noise and sharpening, and times it all beside the reader. Writes benchmarks/results/health.json and
the tables between the marks of docs/health.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from health_faults import CONTRASTS, FAULTS, GAINS, LOSSES, Pixels, Plant, Planted
from health_page import write_page
from qiltest.errors import GenerationError
from qiltest.files import write_atomically
from qiltest.health import Fault, Finer, Health, compare_detail, examine, symptoms
from qiltest.reading import open_reader
from qiltest.reading.pictures import load_picture
from qiltest.reading.records import Line

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("good", "planted", "latents", "detail", "seconds")
MEASURES = (
    "noise_fine",
    "noise_coarse",
    "grid_latent",
    "grid_patch",
    "blur",
    "clipped",
    "saturation",
    "spread",
    "halo",
)
#: Pictures of the embedded model: this variant and seed of every case and size.
VARIANT, SEED = "8step", 42
#: Standard deviation of the noise left in the latents, as a share of theirs.
LEFT_OVER = (0.2, 0.5, 1.0)


def main() -> int:
    """Measure, write the results and the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, default=ROOT.parent / "shared" / "real-images")
    parser.add_argument("--every", type=int, default=4, help="plant faults in every n-th real picture")
    parser.add_argument("--draw", type=int, default=4, help="cases that the embedded model draws, smallest first")
    parser.add_argument("--run", type=Path, help="a stored run of the embedded model, instead of drawing")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "health.md")
    parser.add_argument("--cases", type=Path, default=ROOT / "cases")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="measure these, keep the others")
    args = parser.parse_args()
    real = {file.stem: load_picture(file) for file in sorted(args.pictures.glob("*.png"))}
    if not real:
        print(f"no pictures in {args.pictures}", file=sys.stderr)
        return 2
    some = dict(list(real.items())[:: args.every])
    found: dict[str, object] = {}
    if {"good", "planted"} & set(args.parts):
        found = _good_and_planted(args, real, some)
    if "latents" in args.parts:
        found["latents"] = draw(args.cases, args.draw)[1]
    if "detail" in args.parts:
        found["detail"] = detail(some)
    if "seconds" in args.parts:
        found["seconds"] = seconds(real)
    file = ROOT / "benchmarks" / "results" / "health.json"
    result = (json.loads(file.read_text()) if file.exists() else {}) | found
    text = json.dumps(result, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    write_atomically(file, text.encode())
    if set(PARTS) - {"latents"} <= result.keys():
        write_page(args.page, result)
    print(text)
    return 0


def _good_and_planted(args: argparse.Namespace, real: dict[str, Pixels], some: dict[str, Pixels]) -> dict[str, object]:
    stored = sorted(args.run.glob("pictures/*.png")) if args.run else []
    tiny = {file.stem[:12]: load_picture(file) for file in stored} or draw(args.cases, args.draw)[0]
    sets = {"real": (real, some), "embedded": (tiny, dict(list(tiny.items())[::2]))}
    return {
        "good": {name: good(whole) for name, (whole, _) in sets.items()},
        "planted": [row for name, (_, part) in sets.items() for row in planted(name, part)],
    }


def good(pictures: dict[str, Pixels]) -> dict[str, object]:
    """Distributions over good pictures, and how many of them each fault is found in."""
    healths = {name: examine(pixels).health for name, pixels in pictures.items()}
    alarms = {str(fault): [name for name, health in healths.items() if fault in _faults(health)] for fault in Fault}
    gating = {name for name, health in healths.items() if any(symptom.gates for symptom in symptoms(health))}
    return {
        "pictures": len(healths),
        "alarms": {fault: rate(len(names), len(healths)) | {"in": names} for fault, names in alarms.items()},
        "gating": rate(len(gating), len(healths)),
        "distributions": {
            name: _distribution([getattr(health, name) for health in healths.values()]) for name in MEASURES
        },
    }


def planted(name: str, pictures: dict[str, Pixels]) -> Iterator[dict[str, object]]:
    """Plant every fault at every strength; how often it is found, and what else is called wrong by gates."""
    for fault in FAULTS:
        for strength in fault.strengths:
            found = [_faults(examine(fault.plant(pixels, strength)).health) for pixels in pictures.values()]
            yield _row(name, fault, strength, sum(fault.fault in faults for faults in found), len(found))
            print(name, fault.name, strength, sum(fault.fault in faults for faults in found), len(found), flush=True)


def _row(name: str, fault: Planted, strength: float, found: int, count: int) -> dict[str, object]:
    head = {"set": name, "planted": fault.name, "fault": str(fault.fault), "strength": strength, "unit": fault.unit}
    return head | rate(found, count)


def draw(cases: Path, most: int) -> tuple[dict[str, Pixels], list[dict[str, object]]]:
    """Draw the smallest cases with the embedded model, good and with noise or NaN left in the latents."""
    import torch

    from qiltest.generation import open_generator
    from qiltest.suite import load_suite

    suite = load_suite(cases)
    generator = open_generator("tiny", threads=1)
    variant = next(variant for variant in suite.variants if variant.name == VARIANT)
    places = [(case, resolution) for case in suite.cases for resolution in case.resolutions]
    places.sort(key=lambda place: place[1].tiny.width * place[1].tiny.height)
    pictures: dict[str, Pixels] = {}
    found = dict.fromkeys(LEFT_OVER, 0)
    refused, count = 0, 0
    for case, resolution in places[:most]:
        recipe = generator.recipe(case, resolution.size, variant, SEED)
        generator.prepare([recipe.prompt])
        done = generator.denoise(recipe)
        pictures[f"{case.id}@{resolution.size}"] = np.asarray(generator.decode_pixels(done).pixels)
        count += 1
        noise = torch.randn(done.latents.shape, generator=torch.Generator().manual_seed(count))
        for share in LEFT_OVER:
            worse = done.latents + share * done.latents.std() * noise.to(done.latents)
            health = examine(np.asarray(generator.decode_pixels(replace(done, latents=worse)).pixels)).health
            found[share] += Fault.NOISE in _faults(health)
            print(case.id, share, health, flush=True)
        refused += _refused(generator, done)
    rows: list[dict[str, object]] = [
        {"set": "embedded", "planted": "noise in latents", "fault": "noise", "strength": share, "unit": "of their σ"}
        | rate(found[share], count)
        for share in LEFT_OVER
    ]
    nan = {"set": "embedded", "planted": "one NaN latent", "fault": "NaN", "strength": 1, "unit": "latent"}
    return pictures, [*rows, nan | rate(refused, count)]


def _refused(generator, done) -> bool:  # noqa: ANN001
    """Say whether a picture with one NaN in its latents is refused before it becomes 8 bits."""
    broken = done.latents.clone()
    broken.view(-1)[7] = float("nan")
    try:
        generator.decode_pixels(replace(done, latents=broken))
    except GenerationError:
        return True
    return False


def detail(pictures: dict[str, Pixels]) -> dict[str, object]:
    """Fine detail under losses, noise, sharpening and contrast, outside the lines that the reader found."""
    reader = open_reader("rapidocr")
    lines = {name: _lines(reader, pixels) for name, pixels in pictures.items()}
    clean = {name: examine(pixels).outside(lines[name]) for name, pixels in pictures.items()}
    hairy = [name for name, health in clean.items() if health.detail is not None and health.detail >= 0.2]
    out: dict[str, object] = {"pictures": len(pictures), "with_structure": len(hairy), "losses": [], "gains": []}

    def treated(plant: Plant, strength: float, name: str) -> Health:
        return examine(plant(pictures[name], strength)).outside(lines[name])

    for title, plant, strengths, unit in LOSSES:
        courses = {name: [clean[name], *(treated(plant, strength, name) for strength in strengths)] for name in hairy}
        out["losses"].append(_loss(title, strengths, unit, courses))
        print(out["losses"][-1], flush=True)
    for title, plant, strengths, unit in GAINS:
        for strength in strengths:
            said = [compare_detail(treated(plant, strength, name), clean[name]) for name in hairy]
            out["gains"].append(_gain(title, strength, unit, said))
            print(out["gains"][-1], flush=True)
    plant, strengths = CONTRASTS
    out["contrast"] = [
        {"times": strength, **_ratios([treated(plant, strength, name).detail / clean[name].detail for name in hairy])}
        for strength in strengths
    ]
    return out


def _lines(reader, pixels: Pixels) -> tuple[Line, ...]:  # noqa: ANN001
    from qiltest.generation.pictures import encode_png

    return reader.read(encode_png(pixels)).lines


def _loss(title: str, strengths: Sequence[float], unit: str, courses: dict[str, list[Health]]) -> dict[str, object]:
    values = {name: [health.detail or 0.0 for health in course] for name, course in courses.items()}
    steps = [after < before for course in values.values() for before, after in pairwise(course)]
    rising = [name for name, course in values.items() if any(b >= a for a, b in pairwise(course))]
    wrong = [
        name
        for name, course in courses.items()
        if any(compare_detail(after, course[0]).finer is Finer.FIRST for after in course[1:])
    ]
    shares = [_ratios([course[k] / course[0] for course in values.values()]) for k in range(1, len(strengths) + 1)]
    return {
        "treatment": title, "strengths": list(strengths), "unit": unit, "left": shares,
        "falling_steps": rate(sum(steps), len(steps)), "not_falling_in": rising, "called_finer": wrong,
    }  # fmt: skip


def _gain(title: str, strength: float, unit: str, said: list) -> dict[str, object]:
    raised = [item for item in said if item.ratio is not None and item.ratio >= 1.15]
    return {
        "treatment": title, "strength": strength, "unit": unit,
        "ratio": _ratios([item.ratio for item in said if item.ratio]),
        "raised": len(raised), "raised_and_told": sum(item.finer is Finer.CANNOT_TELL for item in raised),
        "called_finer": rate(sum(item.finer is Finer.FIRST for item in said), len(said)),
    }  # fmt: skip


def seconds(pictures: dict[str, Pixels]) -> dict[str, object]:
    """Time the measures beside the reader on the largest square picture; processor seconds and wall, medians of 5."""
    name = max((n for n, p in pictures.items() if p.shape[0] == p.shape[1]), key=lambda n: pictures[n].size)
    reader = open_reader("rapidocr")
    from qiltest.generation.pictures import encode_png

    png = encode_png(pictures[name])
    reader.read(png), examine(pictures[name])
    times: dict[str, list[tuple[float, float]]] = {"health": [], "reading": []}
    for _ in range(5):
        for what, work in (("health", lambda: examine(pictures[name])), ("reading", lambda: reader.read(png))):
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            times[what].append((time.perf_counter() - wall, time.process_time() - cpu))
    medians = {
        what: [round(statistics.median(t[k] for t in found), 4) for k in (0, 1)] for what, found in times.items()
    }
    size = "x".join(map(str, pictures[name].shape[1::-1]))
    return {"picture": name, "size": size, "wall": {k: v[0] for k, v in medians.items()}, "cpu": {k: v[1] for k, v in medians.items()}}  # fmt: skip  # noqa: E501


def rate(found: int, count: int) -> dict[str, object]:
    """Share with its exact 95 % interval (Clopper and Pearson 1934)."""
    interval = binomtest(found, count).proportion_ci(0.95)
    return {"found": found, "of": count, "low": round(float(interval.low), 4), "high": round(float(interval.high), 4)}


def _faults(health: Health) -> set[Fault]:
    return {symptom.fault for symptom in symptoms(health)}


def _distribution(values: list[float | None]) -> dict[str, float]:
    known = [value for value in values if value is not None]
    quantiles = {"least": 0, "median": 50, "p90": 90, "most": 100}
    return {name: round(float(np.percentile(known, q)), 4) for name, q in quantiles.items()}


def _ratios(values: list[float]) -> dict[str, float]:
    return {k: round(float(np.percentile(values, q)), 3) for k, q in (("least", 0), ("median", 50), ("most", 100))}


if __name__ == "__main__":
    sys.exit(main())
