"""Show the measurements of `gpu_suite.py` as tables in docs/measurements/gpu.md, between markers.

    python benchmarks/gpu/gpu_table.py [--results FILE] [--other FILE] [--page FILE] [--merge RESULTS ...] [--check]

Only what was measured is shown; what was not run yet says so. `--merge` takes the stages that a later run has done
into the results first (several, where GPUs shared the stages; a results file that is not there yet begins with them);
stages that it left out, or that failed, stay as they were. What these results lack besides latencies is taken from
those of another device (`--other`), which is named beside it. `--check` writes nothing: exit code 1 where the page is
not what the results say.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- gpu-table: begin, written by benchmarks/gpu/gpu_table.py -->", "<!-- gpu-table: end -->"
NONE = "not measured yet"
SIZES = ("1328x1328", "928x1664", "704x1280", "1280x1280")
#: what gpu_suite.py measures at each size; the base compiled at one size alone.
WAYS = (("unfused", "base"), ("unfused", "8step"), ("unfused", "4step"), ("fused", "8step"), ("fused", "4step"),
        ("compiled", "base"), ("compiled", "8step"), ("compiled", "4step"))  # fmt: skip
COMPILED_BASE = "704x1280"
#: images of the report at 1328x1328, of eleven a variant.
SQUARES = 9
NFE = {"base": 100, "8step": 8, "4step": 4}
GIB = 1 << 30
Stages = Mapping[str, Mapping[str, Any]]


def done(stages: Stages, name: str) -> Mapping[str, Any] | None:
    """Return what a stage found; None where it was not run, was left out, or failed."""
    found = stages.get(name)
    return None if found is None or "error" in found or "left_out" in found else found


def tables(stages: Stages, other: Stages | None = None) -> Iterator[str]:
    """Yield the lines between the markers; `other` are another device's results, for facts that these lack."""
    yield from _machine(stages)
    yield ""
    yield from _latency(stages)
    yield ""
    yield "| what | measured |"
    yield "|---|---|"
    elsewhere = dict(_facts(other or {}))
    device = done(other or {}, "machine")
    for what, found in _facts(stages):
        there = f"{elsewhere[what]}, on an {device['device']}" if device and elsewhere[what] else None
        yield f"| {what} | {found or there or NONE} |"


def _machine(stages: Stages) -> Iterator[str]:
    found = done(stages, "machine")
    if found is None:
        yield f"Device: {NONE}."
        return
    packages = found["versions"]
    shown = ", ".join(f"{name} {packages[name]}" for name in ("torch", "diffusers", "peft", "transformers"))
    driver = found["state"][0]["driver"] if found["state"] else "not known"
    rate = found["matrix_tera_operations_a_second"]
    yield (
        f"{found['device']}, driver {driver}, CUDA {found['cuda']}, Python {found['python']}, {shown}; "
        f"{found['cores']} CPU cores. Matrix rate in bfloat16, measured: {rate:.0f} T operations a second. "
        "Qwen-Image at full size with random weights, LoRAs of rank 64."
    )


def _latency(stages: Stages) -> Iterator[str]:
    names = [name for name in stages if name.startswith("latency_")]
    rows = {
        (row["way"], row["variant"], row["size"]): row
        for name in names
        for row in (done(stages, name) or {"rows": []})["rows"]
    }
    yield "| size | LoRA | variant | NFE | seconds | over base | seconds a forward | share of the matrix rate |"
    yield "|---|---|---|---:|---:|---:|---:|---:|"
    lacking: dict[str, list[str]] = {}
    for size in SIZES:
        base = rows.get(("unfused", "base", size))
        for way, variant in WAYS:
            label = f"| {size} | {'' if (way, variant) == ('unfused', 'base') else way} | {variant} | {NFE[variant]} "
            row = rows.get((way, variant, size))
            if row is None:
                if (way, variant) != ("compiled", "base") or size == COMPILED_BASE:
                    lacking.setdefault(size, []).append(f"{way} {variant}".replace("unfused base", "base"))
                continue
            up = f"{base['seconds'] / row['seconds']:.1f} x" if base and row is not base else ""
            share = "" if row["share_of_matrix_rate"] is None else f"{row['share_of_matrix_rate']:.0%}"
            yield f"{label}| {row['seconds']:.2f} | {up} | {row['seconds_a_forward']:.3f} | {share} |"
    yield ""
    yield from (f"- {size}, {NONE}: {', '.join(names)}" for size, names in lacking.items())


def _facts(stages: Stages) -> Iterator[tuple[str, str | None]]:
    model, switch, same = (done(stages, name) for name in ("model", "switch", "same_seed"))
    seconds = model["seconds"] if model else {}
    loads = [value for name, value in seconds.items() if name.startswith("load ")]
    yield "loading a LoRA and comparing every module's delta, slowest", f"{max(loads):.1f} s" if loads else None
    worst = f"{switch['worst_seconds']:.3f} s" if switch else None
    yield "going from one loaded variant to another, slowest", worst
    generated = sum(map(len, same["sha256"].values())) if same else 0
    words = f"{'yes' if same['same'] else 'no'} ({generated} loops, {len(same['sha256'])} variants)" if same else None
    yield "the same seed gives the same latents, also after other variants", words
    yield from _memory(stages)
    yield from _suite(stages)
    yield from _vendor(stages)
    yield f"denoising {SQUARES} images at 1328x1328, LoRAs unfused", _squares(stages)
    tiny = done(stages, "tiny")
    read = f"{tiny['read_as_on_the_cpu']} of {tiny['images']}" if tiny and "images" in tiny else None
    yield "embedded model: images read as in the goldens generated on a CPU", read


def _squares(stages: Stages) -> str | None:
    rows = [
        row
        for name in ("latency_base_1328", "latency_few_steps")
        for row in (done(stages, name) or {"rows": []})["rows"]
        if row["size"] == "1328x1328"
    ]
    return ", ".join(f"{row['variant']} {SQUARES * row['seconds']:.0f} s" for row in rows) or None


def _memory(stages: Stages) -> Iterator[tuple[str, str | None]]:
    few, text = done(stages, "latency_few_steps"), done(stages, "text_encoder")
    peak = few["peak_bytes"].get("denoise") if few else None
    yield "peak memory of denoising at 1328x1328, text encoder freed", f"{peak / GIB:.1f} GiB" if peak else None
    found = text["peak_gib"] if text else {}
    for name in ("encode, text encoder alone", "denoise and decode, text encoder kept"):
        yield f"peak memory: {name}", f"{found[name]:.1f} GiB" if name in found else None


def _suite(stages: Stages) -> Iterator[tuple[str, str | None]]:
    check = done(stages, "release_check")
    for name, size in (("suite_wall", "704x1280"), ("suite_wall_1328", "1328x1328")):
        wall, words = done(stages, name), None
        if wall and wall["wall_over_denoise_and_decode"]:
            words = (
                f"{wall['wall_seconds']:.1f} s over {wall['denoise_and_decode_seconds']:.1f} s of denoising and "
                f"decoding: {wall['wall_over_denoise_and_decode']:.3f} ({wall['images_drawn']} images)"
            )
        yield f"the suite's wall time at {size}, everything loaded, collection and report included", words
    stored = check["with_the_store"] if check else None
    words = None
    if stored:
        words = (
            f"{stored['wall_seconds']:.1f} s ({stored['images_drawn']} images generated, "
            f"{stored['images_from_the_store']} from the store)"
        )
    yield "a release check with the other variants' images in the store", words


def _vendor(stages: Stages) -> Iterator[tuple[str, str | None]]:
    for name, title in (("vendor_random", "random weights at full size"), ("vendor_tiny", "the embedded model")):
        found = done(stages, name)
        words = f"{found['vendor_over_suite']:.2f} times the suite's time" if found else None
        yield f"the vendor's way on the same images, {title}", words


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the old results with every stage that the new ones have done. Raises ValueError for another device.

    The first run's `machine` stays: most rows are its own, and each row's share is of the rate of its own run.
    """
    mine, theirs = (done(one["stages"], "machine") for one in (old, new))
    if new.get("dry_run"):
        raise ValueError("these are the results of a dry run\n  -> run gpu_suite.py on a GPU, without --dry-run")
    if mine and (theirs is None or theirs["device"] != mine["device"]):
        seen = "no device" if theirs is None else theirs["device"]
        raise ValueError(
            f"these results are of {seen}, the others of {mine['device']}\n"
            f"  -> run with the stage `machine`; keep another device's results in a file of its own"
        )
    stages = {name: found for name, found in new["stages"].items() if done(new["stages"], name) is not None}
    if mine:
        del stages["machine"]
    return {**old, "stages": {**old["stages"], **stages}}


def page_with(page: str, lines: Iterator[str]) -> str:
    """Return the page with other lines between its markers. Raises ValueError where it has none."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no place for the tables\n  -> write {BEGIN} and {END} into it")
    return f"{head}{BEGIN}\n{chr(10).join(lines)}\n{END}{tail}"


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/gpu_h100.json")
    parser.add_argument("--other", type=Path, default=ROOT / "benchmarks/results/gpu_h200.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/measurements/gpu.md")
    parser.add_argument(
        "--merge", type=Path, nargs="+", metavar="RESULTS", default=[], help="gpu_suite.json of later runs"
    )
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    try:
        new = bool(args.merge) and not args.results.exists()
        results = {"stages": {}} if new else json.loads(args.results.read_text(encoding="utf-8"))
        for later in args.merge:
            results = merged(results, json.loads(later.read_text(encoding="utf-8")))
        before = args.page.read_text(encoding="utf-8")
        other = json.loads(args.other.read_text(encoding="utf-8"))["stages"]
        after = page_with(before, tables(results["stages"], other))
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if args.check:
        print("as measured" if after == before else "stale: run benchmarks/gpu/gpu_table.py")
        return int(after != before)
    if args.merge:
        text = json.dumps(results, indent=1, ensure_ascii=False)
        args.results.write_text(text, encoding="utf-8")
    args.page.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
