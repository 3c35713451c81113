"""The tables of docs/measurements/scene.md, from the results of benchmarks/quality/scene.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from qiltest.files import write_atomically

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_ODD = 4


def write_page(page: Path, result: dict[str, list[dict[str, Any]]]) -> None:
    """Replace what stands between the marks of the page by tables of the results."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    body = "\n".join(_page(result)).rstrip("\n")
    write_atomically(page, f"{before}{BEGIN}\n\n{body}\n\n{END}{after}".encode())


def _page(result: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    # both parts have rows of the same names
    pairs = [{**row, "row": f"{row['row']}, not read anew"} for row in result.get("pairs", [])]
    rows = [*result.get("real", []), *pairs]
    if rows:
        yield from _table("Real images: the scene is lost", "found", [r for r in rows if r["kind"] == "attack"])
        yield from _table("Real images: the scene is good", "called lost", [r for r in rows if r["kind"] == "control"])
        yield from _pages("real images", rows)
    drawn = result.get("embedded", [])
    if drawn:
        yield from _table("The embedded model: lost", "found", [r for r in drawn if r["kind"] == "attack"])
        yield from _table("The embedded model: good", "called lost", [r for r in drawn if r["kind"] == "control"])
        yield from _pages("images of the embedded model", drawn)


def _pages(what: str, rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    own = [row for row in rows if row["kind"] == "page"]
    if not own:
        return
    pages, images = sum(row["page"] for row in own), sum(row["of"] for row in own)
    yield f"Named a page with nothing but text: {pages} of the {images} {what}."
    yield ""


def _table(title: str, verb: str, rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a table with a column per half, and the exceptions."""
    if not rows:
        return
    halves = list(dict.fromkeys(row["half"] for row in rows))
    yield f"### {title}"
    yield ""
    yield f"| what | {' | '.join(f'{half}: {verb}' for half in halves)} | exceptions |"
    yield "|---|" + "---|" * (len(halves) + 1)
    for name in dict.fromkeys(row["row"] for row in rows):
        by_half = {row["half"]: row for row in rows if row["row"] == name}
        cells = (_rate(by_half.get(half)) for half in halves)
        odd = [image for half in halves for image in by_half.get(half, {}).get("exceptions", [])]
        yield f"| {name} | {' | '.join(cells)} | {_named(odd)} |"
    yield ""


def _rate(row: dict[str, Any] | None) -> str:
    if row is None:
        return "–"
    page = f"; {row['page']} named a page" if row["kind"] == "attack" and row["page"] else ""
    return f"{row['alarms']} of {row['of']} ({row['low']:.1%} to {row['high']:.1%}){page}"


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_ODD])
    return f"{shown} and more" if len(names) > _ODD else shown
