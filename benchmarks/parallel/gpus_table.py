"""The table of `gpus.py`: what was measured, against what is aimed at.

python benchmarks/parallel/gpus_table.py RESULTS/workers.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from qiltest.arguments import existing_file

Found = dict[str, Any]


def lines_of(results: Found) -> Iterator[str]:
    """Yield the lines of the table: of each stage that was run, and why one was not."""
    stages: dict[str, Found] = results["stages"]
    machine = stages.get("machine", {})
    dry = "DRY RUN, on the CPU: " if results["dry_run"] else ""
    yield (
        f"{dry}{machine.get('cores')} cores, Python {machine.get('python')}, "
        f"torch {machine.get('torch')}, diffusers {machine.get('diffusers')}, Ray {machine.get('ray')}; "
        f"base with {results['base_steps']} steps, {results['seeds']} seed(s); {results['wall_seconds']:.0f} s in all"
    )
    yield from (f"  {line}" for line in machine.get("gpus", []) if line)
    for name, found in stages.items():
        for key in ("error", "left_out", "not_run"):
            if key in found:
                yield f"{name}: {key.replace('_', ' ')}: {found[key]}"
    yield from _sessions(stages)
    yield from _ratios(stages)
    yield from _forwards(stages)
    yield from _neighbours(stages.get("neighbours", {}))
    yield from _loads(stages.get("loads", {}))
    yield from _killed(stages.get("killed", {}))
    yield from _cpu(stages)


def _sessions(stages: Found) -> Iterator[str]:
    yield ""
    yield "seconds from the command; `equal`: images of the same bytes as those of `none`"
    yield "| session | images | wall | first image | last image | after loading | busy | equal | by worker |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---|"
    for name in ("none", "one", "two", "killed", "ray"):
        found = stages.get(name, {})
        if not found.get("images"):
            continue
        same = found.get("same_as_none", {})
        workers = "; ".join(f"{key}: {one['images']} on {one['gpu'] or '-'}" for key, one in found["workers"].items())
        yield (
            f"| {name} | {found['images']} | {found['wall_seconds']:.1f} | {found['first_image_seconds']:.1f} | "
            f"{found['last_image_seconds']:.1f} | {found['after_loading_seconds']:.1f} | {found['busy_share']:.0%} | "
            f"{same.get('equal', '-')} of {same.get('compared', '-')} | {workers} |"
        )


def _ratios(stages: Found) -> Iterator[str]:
    pairs = (
        ("one worker over none", "one", "none", "at most 1.02"),
        ("one worker over two", "one", "two", "at least 1.9 with loading, 1.96 after it"),
        ("none over two", "none", "two", ""),
    )
    yield ""
    for what, over, under, aim in pairs:
        if not (stages.get(over, {}).get("images") and stages.get(under, {}).get("images")):
            continue
        one, other = stages[over], stages[under]
        keys = {"wall": "wall_seconds", "last image": "last_image_seconds", "after loading": "after_loading_seconds"}
        told = ", ".join(f"{name} {one[key] / other[key]:.3f}" for name, key in keys.items())
        yield f"{what}: {told}{f' (aim: {aim})' if aim else ''}"


def _forwards(stages: Found) -> Iterator[str]:
    columns = [
        (name, worker) for name in ("none", "one", "two") for worker in sorted(stages.get(name, {}).get("workers", {}))
    ]
    if not columns:
        return
    yield ""
    yield f"| seconds per forward | {' | '.join(f'{name}, worker {worker}' for name, worker in columns)} |"
    yield f"|---|{'---:|' * len(columns)}"
    places = dict.fromkeys(place for name, _ in columns for place in stages[name]["seconds_a_forward"])
    for place in places:
        cells = (stages[name]["seconds_a_forward"].get(place, {}).get(worker) for name, worker in columns)
        yield f"| {place} | {' | '.join('' if cell is None else f'{cell:.4f}' for cell in cells)} |"


def _neighbours(found: Found) -> Iterator[str]:
    states: dict[str, Found] = found.get("states", {})
    sizes = list(dict.fromkeys(size for state in states.values() for one in state.values() for size in one))
    if not sizes:
        return
    yield ""
    columns = [(gpu, size) for size in sizes for gpu in ("GPU 0", "GPU 1")]
    yield f"| seconds per forward, 4 steps | {' | '.join(f'{gpu}, {size}' for gpu, size in columns)} |"
    yield f"|---|{'---:|' * len(columns)}"
    for state, by in states.items():
        cells = (by.get(gpu, {}).get(size, {}).get("median") for gpu, size in columns)
        yield f"| {state} | {' | '.join('' if cell is None else f'{cell:.4f}' for cell in cells)} |"
    differ = f"{found['different_latents']} of {found['loops']} loops differ"
    yield f"latents: {differ}; {found['loading_seconds']:.1f} s to load both"


def _loads(found: Found) -> Iterator[str]:
    if "bytes" not in found:
        return
    yield ""
    yield f"reading {found['bytes'] / 1e9:.1f} GB onto GPUs (seconds, GB from the disk, GB of own memory):"
    for name in ("one alone, cold", "one alone, known", "two at once, cold", "two in turns, cold"):
        each = "; ".join(
            f"{one['seconds']:.2f}, {one['from_disk'] / 1e9:.1f}, {one['own_memory_peak'] / 1e9:.1f}"
            for one in found[name]
        )
        yield f"  {name}: {each}"
    yield f"  wall of two: at once {found['two at once, wall']:.2f}, in turns {found['two in turns, wall']:.2f}"


def _killed(found: Found) -> Iterator[str]:
    if "killed" not in found:
        return
    yield ""
    yield f"killed: {found['killed'] or 'no worker was found to kill'}; exit status {found['exit_status']}"
    yield from (f"  note: {note}" for note in found.get("notes", ()))
    yield from (f"  {line}" for line in found.get("notices", ()))


def _cpu(stages: Found) -> Iterator[str]:
    yield ""
    suite, check, embedded = (stages.get(name, {}) for name in ("suite", "check", "embedded"))
    if "suite" in suite:
        yield (
            f"suite and report on {suite['cores']} free cores: {suite['wall_seconds']:.1f} s, {suite['images']} "
            f"images, exit {suite['suite']['exit_status']}, {_last(suite['suite'])} (aim: 150 s)"
        )
    for name in ("default", "readers_1"):
        if name in check:
            one = check[name]
            yield (
                f"qiltest check on {check['cores']} cores, {name}: {one['wall_seconds']:.1f} s, {one['images']} "
                f"images, exit {one['exit_status']} (aim: 60 s)"
            )
    if "images" in embedded:
        yield (
            f"embedded model on two workers: {embedded['wall_seconds']:.1f} s, {embedded['images']} images, exit "
            f"{embedded['exit_status']}, {_last(embedded)}, workers {embedded['workers']}"
        )


def _last(found: Found) -> str:
    return next((line.strip() for line in reversed(str(found.get("tail", "")).splitlines()) if " in " in line), "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=existing_file, help="what gpus.py wrote")
    measured = json.loads(parser.parse_args().results.read_text(encoding="utf-8"))
    sys.stdout.write("\n".join(lines_of(measured)) + "\n")
