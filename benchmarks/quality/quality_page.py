"""The tables of docs/measurements/quality.md, from the results of benchmarks/quality/quality.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qiltest.files import write_atomically

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def write_page(page: Path, result: dict[str, Any], stale: list[str]) -> None:
    """Replace what stands between the marks of the page by tables of the results; `stale` parts are named."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    body = "\n".join(_page(result, stale)).rstrip("\n")
    write_atomically(page, f"{before}{BEGIN}\n\n{body}\n\n{END}{after}".encode())


def _page(result: dict[str, Any], stale: list[str]) -> Iterator[str]:
    if stale:
        yield f"Not measured, or measured with other measures, images or weights than these: {', '.join(stale)}."
        yield ""
    good = {name: result[f"{name}-good"] for name in ("real", "embedded") if f"{name}-good" in result}
    if good:
        yield from _good(good)
    rows = [row for part in ("real-planted", "embedded-planted", "embedded-latents") for row in result.get(part, [])]
    if rows:
        yield from _planted(rows)
    if "embedded-scheduler" in result:
        yield from _schedulers(result["embedded-scheduler"])
    if "real-detail" in result:
        yield from _detail(result["real-detail"])
    if "speed" in result:
        yield from _seconds(result["speed"])


def _good(good: dict[str, Any]) -> Iterator[str]:
    yield "### Good images"
    yield ""
    heads = (f"{name} ({found['images']}): median, 90 %, most" for name, found in good.items())
    yield _row("measure", *heads)
    yield "|---|" + "---|" * len(good)
    for measure in next(iter(good.values()))["distributions"]:
        cells = (found["distributions"][measure] for found in good.values())
        yield (
            f"| {measure} | " + " | ".join(f"{c['median']:.3g}, {c['p90']:.3g}, {c['most']:.3g}" for c in cells) + " |"
        )
    yield ""
    yield "| called, in a good image | " + " | ".join(good) + " |"
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
    yield "| planted | strength | images | found as | found | 95 % |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        yield (
            f"| {row['planted']} | {row['strength']:g} {row['unit']} | {row['set']} | {row['fault']} | "
            f"{row['found']} of {row['of']} | {row['low']:.0%} to {row['high']:.0%} |"
        )
    yield ""


def _schedulers(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield f"### Wrong schedulers, drawn by the embedded model: {rows[0]['gating']['of']} cases"
    yield ""
    heads = ("drawn", "σ left", "noise: median, most", "specks: median", "found as noise", "as specks")
    yield _row(*heads, "named", "edits in 100 characters")
    yield "|" + "---|" * 8
    for row in rows:
        noise = f"{row['noise']:.2f}, {row['most_noise']:.2f}"
        edits = f"{100 * row['edits'] / row['characters']:.0f}" if row["characters"] else "-"
        edits += f" ({row['unread']} not read)" if row["unread"] else ""
        stopped = "" if row["sigma_left"] == 0 else ", stopped"
        specks = "-" if row["specks"] is None else f"{row['specks']:.2f}"
        found = (_rate(row["as_noise"]), _rate(row["as_specks"]), ", ".join(row["named"]) or "-", edits)
        yield _row(f"{row['way']}{stopped}", f"{row['sigma_left']:.2g}", noise, specks, *found)
    yield ""


def _detail(found: dict[str, Any]) -> Iterator[str]:
    known = f"{found['with_structure']} of {found['images']} real images"
    yield f"### Fine detail: {known} have structure of the scale of hair"
    yield ""
    left = "detail left, median (least to most)"
    yield _row(
        "loss",
        "strengths",
        left,
        "steps that fall",
        "images with a step that does not (what is left)",
        "called finer",
    )
    yield "|---|---|---|---|---|---|"
    for row in found["losses"]:
        course = "; ".join(f"{v['median']:.2f} ({v['least']:.2f} to {v['most']:.2f})" for v in row["left"])
        steps = row["falling_steps"]
        rising = "; ".join(f"`{name}` ({_course(left)})" for name, left in row["not_falling_in"].items()) or "none"
        strengths = ", ".join(f"{s:g}" for s in row["strengths"])
        falling, finer = f"{steps['found']} of {steps['of']}", str(len(row["called_finer"]))
        yield _row(row["treatment"], f"{strengths} ({row['unit']})", course, falling, rising, finer)
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
    yield f"On an image of {found['size']}: {health}, {reading}: {share}."


def _course(left: list[float]) -> str:
    return ", ".join(f"{share:.2f}" for share in left)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _rate(found: dict[str, Any]) -> str:
    return f"{found['found']} of {found['of']} ({found['low']:.0%} to {found['high']:.0%})"
