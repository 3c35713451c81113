"""Draw the order of imports of src/qiltest, and count its files and lines.

    python tools/import_order.py                    # writes docs/images/import-order.svg and the table of CONTRIBUTING.md
    python tools/import_order.py --check            # exit code 1 where an import breaks the order or the image is stale
    python tools/import_order.py --numbers [REV …]  # files, lines, imports, like functions; also of earlier commits

The order itself is tools/import_order.toml. Imports inside functions and under TYPE_CHECKING count as all others do.
The package's own `__init__` and `__main__` are its front doors: they stand outside the order.
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "qiltest"
SOURCE = ROOT / "src" / PACKAGE
ORDER = ROOT / "tools" / "import_order.toml"
IMAGE = ROOT / "docs" / "images" / "import-order.svg"
PAGE = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- import-order: begin, written by tools/import_order.py -->", "<!-- import-order: end -->"
#: files outside the order: the public names, and `python -m qiltest`.
FRONT_DOORS = frozenset({"__init__.py", "__main__.py"})
#: nodes of the syntax tree; smaller functions are alike by chance.
LEAST_NODES = 25


@dataclass(frozen=True, kw_only=True)
class Order:
    """The rooms from first to last with what each is for, and the libraries that few may import."""

    rooms: Mapping[str, str]
    only: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Import:
    """One import: by which file, in which line, of which module. Files are relative to the package, with `/`."""

    file: str
    line: int
    #: dotted, as written: `torch.nn`, or `qiltest.gate.golden` for `from qiltest.gate import golden`.
    module: str
    #: the package's file that is imported; None for another package's, and for names of the package's own `__init__`.
    target: str | None


def read_order(path: Path = ORDER) -> Order:
    """Read the order."""
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    return Order(rooms=raw["rooms"], only={name: tuple(places) for name, places in raw["only"].items()})


def room_of(file: str) -> str:
    """Return the room of a file: its folder in the package, or its own name at the top level."""
    return file.partition("/")[0].removesuffix(".py")


def rooms_of(source: Path = SOURCE) -> set[str]:
    """Return the rooms of the package as it is."""
    files = {path.relative_to(source).as_posix() for path in source.rglob("*.py")}
    return {room_of(file) for file in files - FRONT_DOORS}


def imports_of(source: Path = SOURCE) -> list[Import]:
    """Return all imports of the package's files, wherever in a file they stand."""
    files = {path.relative_to(source).as_posix() for path in source.rglob("*.py")}
    return [one for file in sorted(files) for one in _imports_in(file, (source / file).read_text("utf-8"), files)]


def _imports_in(file: str, text: str, files: set[str]) -> Iterator[Import]:
    for node in ast.walk(ast.parse(text)):
        for module, name in _named(node, file):
            full = f"{module}.{name}" if name else module
            target = _file_of(full, files) or _file_of(module, files)
            own = None if target == "__init__.py" else target
            yield Import(
                file=file, line=getattr(node, "lineno", 0), module=full if own or not target else PACKAGE, target=own
            )


def _named(node: ast.AST, file: str) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of each thing that a node imports."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, "") for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parents = [PACKAGE, *Path(file).parent.parts]
        base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
        module = ".".join(part for part in (base, node.module) if part)
        yield from ((module, alias.name) for alias in node.names)
    elif isinstance(node, ast.Call) and _name_of(node.func) == "import_module":
        values = (one.value for one in node.args[:1] if isinstance(one, ast.Constant))
        yield from ((value, "") for value in values if isinstance(value, str))


def _name_of(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _file_of(module: str, files: set[str]) -> str | None:
    parts = module.split(".")
    if parts[0] != PACKAGE:
        return None
    stem = "/".join(parts[1:])
    candidates = (f"{stem}.py", f"{stem}/__init__.py") if stem else ("__init__.py",)
    return next((one for one in candidates if one in files), None)


def running_back(order: Order, imports: Iterable[Import]) -> list[str]:
    """Name every import of a room that stands later in the order, or has no place in it."""
    place = {room: index for index, room in enumerate(order.rooms)}
    return [
        f"{one.file}:{one.line} imports {one.module}: {room_of(one.file)} stands before {room_of(target)}"
        for one, target in _inside(imports)
        if place.get(room_of(one.file), -1) < place.get(room_of(target), len(place))
    ]


def out_of_place(order: Order, imports: Iterable[Import]) -> list[str]:
    """Name every import of a library by a file that may not import it."""
    return [
        f"{one.file}:{one.line} imports {one.module}; allowed: {', '.join(places) or 'nowhere'}"
        for one in imports
        if (places := order.only.get(one.module.partition(".")[0])) is not None
        and not any(one.file == place or one.file.startswith(f"{place}/") for place in places)
    ]


def circles(imports: Iterable[Import]) -> list[str]:
    """Name the files that import each other, directly or by others: one line per file of a circle."""
    graph: dict[str, set[str]] = defaultdict(set)
    for one, target in _inside(imports):
        if one.file != target:
            graph[one.file].add(target)
    reach = {file: _reached(file, graph) for file in graph}
    return sorted(
        f"{file} <-> {', '.join(sorted(other for other in found - {file} if file in reach.get(other, ())))}"
        for file, found in reach.items()
        if file in found
    )


def _reached(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(graph.get(start, ()))
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += graph.get(one, ())
    return found


def _inside(imports: Iterable[Import]) -> Iterator[tuple[Import, str]]:
    """Yield the imports of the package's own files with the file that each imports, without those of the front doors."""
    return ((one, one.target) for one in imports if one.target is not None and one.file not in FRONT_DOORS)


def arrows(imports: Iterable[Import]) -> Counter[tuple[str, str]]:
    """Count the imports from room to room."""
    pairs = ((room_of(one.file), room_of(target)) for one, target in _inside(imports))
    return Counter(pair for pair in pairs if pair[0] != pair[1])


# ----------------------------------------------------------------------------------------------------- the image

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.what { fill: #59636e; font-size: 12px; }
.room { fill: #ddf4ff; stroke: #0969da; }
path { fill: none; stroke: #8c959f; }
.dot, marker path { fill: #0969da; stroke: none; }
.back { stroke: #d1242f; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .what { fill: #9198a1; }
  .room { fill: #121d2f; stroke: #4493f8; }
  path { stroke: #656c76; }
  .dot, marker path { fill: #4493f8; }
}
"""
_STEP, _ROW, _WIDTH, _HEIGHT, _LEFT, _TOP = 26, 28, 92, 20, 12, 40


def draw(order: Order, imports: Iterable[Import]) -> str:
    """Return the image as SVG: rooms down the diagonal, an arrow up from each room to every one that it imports.

    A dot stands where an arrow turns up; lines that cross without a dot have nothing to do with each other. An import
    that runs back would be red and point down.
    """
    rooms = list(order.rooms)
    place = {room: index for index, room in enumerate(rooms)}
    found = sorted(arrows(imports), key=lambda pair: (place[pair[1]], place[pair[0]]))
    width = _LEFT + _STEP * (len(rooms) - 1) + _WIDTH + 470
    height = _TOP + _ROW * len(rooms) + 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
        f"<title>The order of imports: {len(rooms)} rooms, {len(found)} arrows</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z"/></marker></defs>',
        f'<text class="what" x="{_LEFT}" y="22">A room imports the rooms that its line meets at a dot. Every arrow points up.</text>',
    ]
    lines += [_arrow(pair, place) for pair in found]
    lines += [line for room, what in order.rooms.items() for line in _room(room, what, place[room])]
    return "\n".join([*lines, "</svg>", ""])


def _arrow(pair: tuple[str, str], place: Mapping[str, int]) -> str:
    by, of = place[pair[0]], place[pair[1]]
    x, y = _LEFT + _STEP * of + 12, _TOP + _ROW * by + _HEIGHT // 2
    back = ' class="back"' if of > by else ""
    tip = _TOP + _ROW * of + (0 if back else _HEIGHT)
    start = _LEFT + _STEP * by
    return (
        f'<g><title>{pair[0]} imports {pair[1]}</title><path{back} d="M{start} {y}H{x}V{tip}" marker-end="url(#tip)"/>'
        f'<circle class="dot" cx="{x}" cy="{y}" r="3"/></g>'
    )


def _room(room: str, what: str, index: int) -> Iterator[str]:
    x, y = _LEFT + _STEP * index, _TOP + _ROW * index
    yield f'<rect class="room" x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="4"/>'
    yield f'<text x="{x + 8}" y="{y + 14}">{escape(room)}</text>'
    yield f'<text class="what" x="{x + _WIDTH + 8}" y="{y + 14}">{escape(what.replace("`", ""))}</text>'


# ------------------------------------------------------------------------------------------------------- the page


def table(order: Order) -> str:
    """Return the order as a Markdown table."""
    rows = (f"| {number} | `{room}` | {what} |" for number, (room, what) in enumerate(order.rooms.items(), 1))
    only = (f"`{name}`: {_places(places)}" for name, places in order.only.items())
    head = "| | room | what it is for |\n|---:|---|---|"
    return f"{head}\n" + "\n".join(rows) + "\n\nWho may import these libraries: " + "; ".join(only) + ".\n"


def _places(places: tuple[str, ...]) -> str:
    return ", ".join(f"`{place}`" for place in places) or "nobody"


def page_with(page: str, text: str) -> str:
    """Return the page with other text between its markers. Raises ValueError where it has none."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no place for the order\n  -> write {BEGIN} and {END} into it")
    return f"{head}{BEGIN}\n{text}{END}{tail}"


# ---------------------------------------------------------------------------------------------------- the numbers


def numbers(source: Path) -> dict[str, int]:
    """Count the files, lines, imports and like functions of a package."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(source.rglob("*.py"))]
    imports = imports_of(source)
    found = arrows(imports)
    return {
        "files": len(texts),
        "lines": sum(len(text.splitlines()) for text in texts),
        "longest file, lines": max(len(text.splitlines()) for text in texts),
        "rooms": len(rooms_of(source)),
        "arrows between rooms": len(found),
        "pairs of rooms that import each other": sum((b, a) in found for a, b in found) // 2,
        "files in a circle": len(circles(imports)),
        "functions like another but for names and constants": sum(map(len, alike(source))),
    }


def alike(source: Path = SOURCE) -> list[tuple[str, ...]]:
    """Return the groups of functions that differ in names and constants alone, each as `file:function`."""
    groups: dict[str, list[str]] = defaultdict(list)
    for path in sorted(source.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (shape := _shape(node)):
                groups[shape].append(f"{path.relative_to(source).as_posix()}:{node.name}")
    return sorted(tuple(names) for names in groups.values() if len(names) > 1)


class _Nameless(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(id="_", ctx=node.ctx)

    def visit_arg(self, _: ast.arg) -> ast.arg:
        return ast.arg(arg="_")

    def visit_Constant(self, _: ast.Constant) -> ast.Constant:
        return ast.Constant(value=0)


def _shape(function: ast.FunctionDef) -> str:
    """Return a function's body without names, constants and docstring; empty for one too small to compare."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    module = ast.Module(body=body, type_ignores=[])
    small = sum(1 for _ in ast.walk(module)) < LEAST_NODES
    return "" if small else ast.dump(_Nameless().visit(module))


def _numbers_at(revision: str) -> dict[str, int]:
    archive = subprocess.run(
        ["git", "archive", revision, "--", f"src/{PACKAGE}"], cwd=ROOT, check=True, capture_output=True
    ).stdout
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
        return numbers(Path(folder) / "src" / PACKAGE)


def _print_numbers(revisions: list[str]) -> None:
    columns = {**{revision: _numbers_at(revision) for revision in revisions}, "now": numbers(SOURCE)}
    print("| | " + " | ".join(columns) + " |")
    print("|---|" + "---:|" * len(columns))
    for what in columns["now"]:
        print(f"| {what} | " + " | ".join(f"{column[what]:,}" for column in columns.values()) + " |")
    print("\n".join(["", "Alike now:", *(f"- {', '.join(names)}" for names in alike())]))


def main() -> int:
    """Write the image and the table, check them, or print the numbers. Returns 1 where an import breaks the order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where something is wrong")
    parser.add_argument("--numbers", nargs="*", metavar="REV", help="print the numbers, also of these commits")
    args = parser.parse_args()
    if args.numbers is not None:
        _print_numbers(args.numbers)
        return 0
    order, imports = read_order(), imports_of()
    wanted = {IMAGE: draw(order, imports), PAGE: page_with(PAGE.read_text("utf-8"), table(order))}
    wrong = [*running_back(order, imports), *out_of_place(order, imports), *circles(imports)]
    for path, text in wanted.items():
        if not args.check:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text("utf-8") != text:
            wrong.append(f"{path.relative_to(ROOT)} is stale: run python tools/import_order.py")
    print("\n".join(wrong) or "every import keeps the order")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
