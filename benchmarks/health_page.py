"""The tables of docs/health.md, from the results of benchmarks/health.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qiltest.files import write_atomically

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def write_page(page: Path, result: dict[str, Any]) -> None:
    """Replace what stands between the marks of the page by tables of the results."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    body = "\n".join(_page(result))
    write_atomically(page, f"{before}{BEGIN}\n\n{body}\n\n{END}{after}".encode())


def _page(result: dict[str, Any]) -> Iterator[str]:
    yield from _good(result["good"])
    yield from _planted([*result["planted"], *result.get("latents", [])])
    yield from _detail(result["detail"])
    yield from _seconds(result["seconds"])


def _good(good: dict[str, Any]) -> Iterator[str]:
    yield "### Good pictures"
    yield ""
    heads = (f"{name} ({found['pictures']}): median, 90 %, most" for name, found in good.items())
    yield _row("measure", *heads)
    yield "|---|" + "---|" * len(good)
    for measure in next(iter(good.values()))["distributions"]:
        cells = (found["distributions"][measure] for found in good.values())
        yield (
            f"| {measure} | " + " | ".join(f"{c['median']:.3g}, {c['p90']:.3g}, {c['most']:.3g}" for c in cells) + " |"
        )
    yield ""
    yield "| called, in a good picture | " + " | ".join(good) + " |"
    yield "|---|" + "---|" * len(good)
    for fault in next(iter(good.values()))["alarms"]:
        yield f"| {fault} | " + " | ".join(_alarm(found["alarms"][fault]) for found in good.values()) + " |"
    yield "| anything that gates | " + " | ".join(_rate(found["gating"]) for found in good.values()) + " |"
    yield ""


def _alarm(found: dict[str, Any]) -> str:
    named = ", ".join(f"`{name}`" for name in found["in"][:3])
    return _rate(found) + (f": {named}" if named else "")


def _planted(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "### Planted faults"
    yield ""
    yield "| planted | strength | pictures | found as | found | 95 % |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        yield (
            f"| {row['planted']} | {row['strength']:g} {row['unit']} | {row['set']} | {row['fault']} | "
            f"{row['found']} of {row['of']} | {row['low']:.0%} to {row['high']:.0%} |"
        )
    yield ""


def _detail(found: dict[str, Any]) -> Iterator[str]:
    known = f"{found['with_structure']} of {found['pictures']} real pictures"
    yield f"### Fine detail: {known} have structure of the scale of hair"
    yield ""
    left = "detail left, median (least to most)"
    yield _row("loss", "strengths", left, "steps that fall", "pictures with a step that does not", "called finer")
    yield "|---|---|---|---|---|---|"
    for row in found["losses"]:
        left = "; ".join(f"{v['median']:.2f} ({v['least']:.2f} to {v['most']:.2f})" for v in row["left"])
        steps = row["falling_steps"]
        rising = ", ".join(f"`{name}`" for name in row["not_falling_in"]) or "none"
        strengths = ", ".join(f"{s:g}" for s in row["strengths"])
        falling, finer = f"{steps['found']} of {steps['of']}", str(len(row["called_finer"]))
        yield _row(row["treatment"], f"{strengths} ({row['unit']})", left, falling, rising, finer)
    yield ""
    heads = ("strength", "ratio, median (least to most)", "raised by 15 % or more", "of these told", "called finer")
    yield _row("gain that is none", *heads)
    yield "|---|---|---|---|---|---|"
    for row in found["gains"]:
        ratio = row["ratio"]
        course = f"{ratio['median']:.2f} ({ratio['least']:.2f} to {ratio['most']:.2f})"
        told = (str(row["raised"]), str(row["raised_and_told"]), _rate(row["called_finer"]))
        yield _row(row["treatment"], f"{row['strength']:g} {row['unit']}", course, *told)
    yield ""
    contrast = "; ".join(
        f"× {row['times']:g}: {row['median']:.2f} ({row['least']:.2f} to {row['most']:.2f})"
        for row in found["contrast"]
    )
    yield f"Detail after a change of contrast, over that before, median (least to most): {contrast}."
    yield ""


def _seconds(found: dict[str, Any]) -> Iterator[str]:
    wall, cpu = found["wall"], found["cpu"]
    health = f"health {wall['health']:.3f} s ({cpu['health']:.3f} s of processor)"
    reading = f"reading {wall['reading']:.2f} s ({cpu['reading']:.2f} s of processor)"
    share = f"{cpu['health'] / cpu['reading']:.1%} of the reader's work"
    yield "### Time"
    yield ""
    yield f"On a picture of {found['size']}: {health}, {reading}: {share}."


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _rate(found: dict[str, Any]) -> str:
    return f"{found['found']} of {found['of']} ({found['low']:.0%} to {found['high']:.0%})"
