"""Check the keys of an edit case: its input images, the texts that must be gone, and that an untouched input fails."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import PurePosixPath

from rapidfuzz.distance import Levenshtein

from qiltest.recipe import Size
from qiltest.suite.cases import TaskKind
from qiltest.suite.problems import Fault, Location, Raw, items, show, suggest
from qiltest.text.format import count
from qiltest.text.normalise import letters_and_digits, normalise, required_text, units

#: keys that only an edit case may have.
_EDIT_ONLY = ("inputs", "removed", "rest", "rounds")
_SAMPLE = ("variant", "seed")


def edit_faults(raw: Raw, variants: Collection[str] | None) -> Iterator[Fault]:
    """Yield what is wrong with the keys of an edit case, or with such keys in another case."""
    if raw.get("task") != TaskKind.EDIT:
        yield from _not_an_edit(raw)
        return
    if not raw.get("inputs"):
        yield ("inputs",), "an edit case without an input image", "at least one [[inputs]]"
    for index, table in items(raw, "inputs", dict):
        yield from _input(table, ("inputs", index), variants)
    yield from _gone(raw)
    yield from _regions(raw)
    yield from _untouched(raw)


def _not_an_edit(raw: Raw) -> Iterator[Fault]:
    for key in _EDIT_ONLY:
        if key in raw:
            yield (key,), "only an edit case has it", 'task = "edit" in the case'
    for index, table in items(raw, "texts", dict):
        if table.get("kept") is True:
            yield ("texts", index, "kept"), "only an edit case has texts that stay", 'task = "edit" in the case'


def _input(table: Raw, at: Location, variants: Collection[str] | None) -> Iterator[Fault]:
    file, case = table.get("file"), table.get("case")
    if (file is None) == (case is None):
        yield at, "has both `file` and `case`" if file else "has neither `file` nor `case`", "one of them"
        return
    if isinstance(file, str):
        yield from _file(table, file, at)
        return
    for key in _SAMPLE:
        if key not in table:
            yield (*at, key), "missing: it says which image of the case", f"the {key} of the sample"
    for key in ("sha256", "get"):
        if key in table:
            yield (*at, key), "has no effect: the image is generated", f"no `{key}`"
    size, variant = table.get("size"), table.get("variant")
    if isinstance(size, str):
        try:
            Size.parse(size)
        except ValueError:
            yield (*at, "size"), f"{show(size)} is not a size", 'WIDTHxHEIGHT, such as "1328x1328"'
    if isinstance(variant, str) and variants is not None and variant not in variants:
        yield (*at, "variant"), f"{show(variant)} is not a variant{suggest(variant, variants)}", ", ".join(variants)


def _file(table: Raw, file: str, at: Location) -> Iterator[Fault]:
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or "\\" in file or ":" in file:
        yield (*at, "file"), f"{show(file)} leads out of the folder", "a path below the folder of the case's file"
    if table.get("get") is not None and table.get("sha256") is None:
        yield (*at, "sha256"), "missing: anything could be behind the address", "the SHA-256 of the file"
    for key in (*_SAMPLE, "size"):
        if key in table:
            yield (*at, key), "has no effect beside `file`", f"no `{key}`"


def _gone(raw: Raw) -> Iterator[Fault]:
    texts = [(f"texts[{i}]", t["text"]) for i, t in items(raw, "texts", dict) if isinstance(t.get("text"), str)]
    for index, seen, allowed in gone_faults(items(raw, "removed", str), texts):
        yield ("removed", index), seen, allowed


def gone_faults(removed: Iterable[tuple[int, str]], texts: Iterable[tuple[str, str]]) -> Iterator[tuple[int, str, str]]:
    """Yield what is wrong with texts that must be gone: number, what was found, what is allowed.

    `texts` are those that the image is to show, each with what it is called. Only letters and digits are compared,
    whatever their case: a text without any is never found, and one with those of a text that is to be shown is never
    missed.
    """
    shown = {letters_and_digits(text): (name, text) for name, text in texts}
    seen: dict[str, int] = {}
    for index, text in removed:
        bare = letters_and_digits(text)
        if not bare:
            yield (
                index,
                f"{show(text)} has no letter or digit, and only these are looked for",
                "a text of the input image",
            )
        elif bare in shown:
            name, other = shown[bare]
            alike = (
                "" if other == text else f", {show(other)}: letters and digits alone are compared, whatever their case"
            )
            yield index, f"{show(text)} is also {name}{alike}", "a text that the image must not show"
        elif seen.setdefault(bare, index) != index:
            yield index, f"{show(text)} duplicates removed[{seen[bare]}]", "each text once"


def _regions(raw: Raw) -> Iterator[Fault]:
    rest = raw.get("rest")
    for index, region in items(rest, "may_change", list) if isinstance(rest, dict) else ():
        if len(region) != 4 or not all(isinstance(side, int | float) for side in region):
            continue
        left, top, right, bottom = region
        if not (left < right and top < bottom):
            allowed = "left below right, and top below bottom"
            yield ("rest", "may_change", index), f"{show(region)} has no area", allowed


def _untouched(raw: Raw) -> Iterator[Fault]:
    """Refuse a case that its own input, without any edit, would pass."""
    tables = [table for _, table in items(raw, "texts", dict) if isinstance(table.get("text"), str)]
    wanted = [_bare(table) for table in tables if table.get("kept") is not True and table.get("required") is not False]
    gone = [letters_and_digits(text) or normalise(text) for _, text in items(raw, "removed", str)]
    if not tables:
        return  # the schema says so
    if not wanted and not gone:
        yield (
            ("texts",),
            "the input itself would pass: no text is wanted and none must be gone",
            "a text of either kind",
        )
        return
    least = sum(map(len, gone)) + sum(_least(text, gone) for text in wanted)
    limits = raw.get("limits")
    for key in ("tolerance", "text_tolerance", "absolute"):
        limit = limits.get(key) if isinstance(limits, dict) else None
        if isinstance(limit, int) and not (limit < least):
            seen = f"{show(limit)} would let the input itself pass, which has {count(least, 'edit')}"
            yield ("limits", key), seen, f"at most {least - 1}"


def _least(wanted: str, gone: list[str]) -> int:
    """Return the fewest edits that a wanted text has in the untouched input: it may be like one that must be gone."""
    return min((int(Levenshtein.distance(wanted, text)) for text in gone), default=len(wanted))


def _bare(table: Raw) -> str:
    marks = [mark for _, mark in items(table, "optional_marks", str)]
    return required_text(units(str(table["text"]), marks))
