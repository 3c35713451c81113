"""Write what `compiled.py` measured as tables."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from qiltest.arguments import existing_file

Found = dict[str, Any]


def table(results: Found) -> str:
    """Return a Markdown page; what is not there yet, or failed, says so."""
    lines = [*_head(results), "", *_floors(results), "", *_steps(results), "", *_latents(results), ""]
    return "\n".join(lines)


def _head(results: Found) -> list[str]:
    machine = results.get("machine", {})
    rate = results.get("matrix_rate", 0.0) / 1e12
    later = results.get("matrix rate at the end", {}).get("rate", 0.0) / 1e12
    lines = [
        f"{machine.get('device', '?')}, CUDA {machine.get('cuda')}, cuDNN {machine.get('cudnn')}, "
        f"torch {machine.get('versions', {}).get('torch')}, diffusers {machine.get('versions', {}).get('diffusers')}; "
        f"matrix rate {rate:.0f} T/s at the start, {later:.0f} at the end; prompt of {results.get('prompt_tokens')} "
        f"tokens; {results.get('wall_seconds', 0):.0f} s in all",
    ]
    for name in ("compile cold, beside filling", "compile from the cache"):
        found = results.get(name, {})
        lines.append(f"{name}: {found.get('first_seconds', found.get('error', found.get('left_out', 'not yet')))}")
    return lines


def _floors(results: Found) -> list[str]:
    lines = [
        "| size | T operations | floor s | products alone | attention alone | both over floor |",
        "|---|" + "---:|" * 5,
    ]
    floors = results.get("floor", {})
    if "error" in floors:
        return [f"floor: {floors['error']}"]
    for size, one in floors.items():
        if not isinstance(one, dict):
            continue
        alone = one["products_alone_seconds"] + one["attention_alone_seconds"]
        lines.append(
            f"| {size} | {one['tera_operations']:.1f} | {one['floor_seconds']:.4f} | "
            f"{one['products_alone_seconds']:.4f} | {one['attention_alone_seconds']:.4f} | "
            f"{alone / one['floor_seconds']:.3f} |"
        )
    return lines


def _steps(results: Found) -> list[str]:
    lines = [
        "| size | step | s a forward | over floor | over eager | products ms | attention | elementwise | copies | gaps "
        "| host s | kernels | first s | other prompt's first s | error to eager |",
        "|---|---|" + "---:|" * 13,
    ]
    eager = results.get("steps", {}).get("eager", {}).get("sizes", {})
    for name, step in results.get("steps", {}).items():
        if "left_out" in step:
            lines.append(f"| | {name} | {step['left_out']} |")
        for size, one in step.get("sizes", {}).items():
            floor = results.get("floor", {}).get(size, {}).get("floor_seconds")
            lines.append(_row(size, name, one, floor, eager.get(size, {}).get("seconds")))
        for what, one in step.get("also", {}).items():
            lines.append(f"| | {name}, {what} | {one.get('seconds', one.get('relative_error', one.get('error')))} |")
    return lines


def _row(size: str, name: str, one: Found, floor: float | None, eager: float | None) -> str:
    if "seconds" not in one:
        return f"| {size} | {name} | {str(one.get('error', one.get('left_out', '?')))[:160]} |"
    profile = one["profile"]
    kinds = profile.get("milliseconds", {})
    cells = [
        _number(one["seconds"], 4),
        _number(one["seconds"] / floor if floor else None, 3),
        _number(one["seconds"] / eager if eager else None, 3),
        *(_number(kinds.get(kind, 0.0 if kinds else None), 1) for kind in ("products", "attention", "elementwise")),
        _number(kinds.get("copies", 0.0 if kinds else None), 1),
        _number(one.get("gap_share"), 4),
        _number(one["spent"]["host"], 4),
        _number(profile.get("kernels"), 0),
        _number(one["first_seconds"], 1),
        _number(one.get("first_of_another_prompt_seconds"), 1),
        "" if "relative_error" not in one else f"{one['relative_error']:.1e}{'' if one['finite'] else ' NOT FINITE'}",
    ]
    return f"| {size} | {name} | {' | '.join(cells)} |"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _latents(results: Found) -> list[str]:
    lines = [
        "| size | 8step image | s | s a forward | error to eager | finite | same twice |",
        "|---|---|" + "---:|" * 5,
    ]
    for way in ("eager", "marked", "graph"):
        found = results.get(f"latents {way}", {})
        if "error" in found or "left_out" in found:
            lines.append(f"| | {way} | {str(found.get('error', found.get('left_out')))[:160]} |")
        for size, one in found.items():
            if isinstance(one, dict):
                lines.append(
                    f"| {size} | {way} | {one['seconds']:.3f} | {one['seconds_a_forward']:.4f} | "
                    f"{one['relative_error']:.1e} | {one['finite']} | {one.get('same_twice', '')} |"
                )
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=existing_file, help="what compiled.py wrote")
    sys.stdout.write(table(json.loads(parser.parse_args().results.read_text(encoding="utf-8"))))
