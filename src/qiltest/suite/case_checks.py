"""Check a case file beyond its schema. Works on the raw table, so that one mistake never hides another."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from unicodedata import category

from qiltest.image_files import MOST_RATIO
from qiltest.recipe import SIZE_MULTIPLE, Size
from qiltest.suite.case_schema import REPORT
from qiltest.suite.edit_checks import edit_faults
from qiltest.suite.problems import Fault, Location, Mistake, Raw, items, show, spell, suggest
from qiltest.text.format import count
from qiltest.text.normalise import normalise, required_text, units
from qiltest.text.unseen import is_drawn, without_glyph

#: The largest side, against typing errors: over twice the vendor's largest.
LARGEST_SIDE = 4096
#: The embedded model's largest side and area in pixels: it must stay quick on a CPU.
TINY_SIDE, TINY_AREA = 800, 768 * 512

#: the required texts have at least one of this many of the characters of all texts.
LEAST_REQUIRED = 4
#: emoji that Unicode makes of a letter or a digit: keycaps and the information sign.
_EMOJI_LETTER = re.compile("[0-9]\ufe0f?\u20e3|\u2139")


@dataclass(frozen=True, kw_only=True)
class Known:
    """The names that a case file may use. None: unknown, so not checked."""

    variants: Collection[str] | None
    #: languages that every variant has a suffix for.
    languages: Collection[str] | None
    look_alikes: Collection[str]


def check_case(raw: Raw, path: Path, known: Known) -> Iterator[Mistake]:
    """Yield the mistakes of one case file that concern more than one value's own type and range."""
    for doubt, found in ((False, _faults(raw, path.stem, known)), (True, _doubts(raw))):
        for location, seen, allowed in found:
            yield Mistake(path=path, key=spell(location), seen=seen, allowed=allowed, doubt=doubt)


def _faults(raw: Raw, stem: str, known: Known) -> Iterator[Fault]:
    yield from _identity(raw, stem, known)
    yield from _texts(raw)
    yield from _known_typos(raw)
    yield from _resolutions(raw, known)
    yield from _limits(raw)
    yield from _cannot_fail(raw)
    yield from edit_faults(raw, known.variants)
    for index, name in items(raw, "forgiven", str):
        if name not in known.look_alikes:
            seen = f"{show(name)} is not a look-alike class{suggest(name, known.look_alikes)}"
            yield ("forgiven", index), seen, ", ".join(sorted(known.look_alikes))
    seeds = [seed for _, seed in items(raw, "seeds", int)]
    for seed in sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        yield ("seeds",), f"duplicate seed {seed}", "each seed once"


def _identity(raw: Raw, stem: str, known: Known) -> Iterator[Fault]:
    match raw.get("id"):
        case str(name) if name != stem:
            yield ("id",), f"{show(name)} in a file called {stem}.toml", f'id = "{stem}", or the file name {name}.toml'
    match raw.get("prompt"):
        case str(prompt) if prompt and prompt != prompt.strip():
            yield ("prompt",), "begins or ends with white space", "no white space there: the model sees it"
    match raw.get("language"):
        case str(language) if known.languages is not None and language not in known.languages:
            seen = f"{show(language)} has no prompt_suffix in variants.toml"
            yield ("language",), seen, ", ".join(sorted(known.languages))


def _texts(raw: Raw) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, table in items(raw, "texts", dict):
        text = table.get("text")
        if not isinstance(text, str) or not text:
            continue
        bare = normalise(text)
        yield from text_faults(table, text, ("texts", index))
        if bare in first:
            yield ("texts", index, "text"), f"{show(text)} duplicates texts[{first[bare]}]", "each text once"
        first.setdefault(bare, index)


def _doubts(raw: Raw) -> Iterator[Fault]:
    """Yield texts that are not in the prompt: nearly always a mistake, but it concerns this case alone."""
    prompt = raw.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        return
    for index, table in items(raw, "texts", dict):
        text = table.get("text")
        asked = table.get("in_prompt") is not False and table.get("kept") is not True
        if isinstance(text, str) and asked and normalise(text) not in normalise(prompt):
            allowed = "a text of the prompt, or in_prompt = false"
            yield ("texts", index, "text"), f"{show(text)} is not in the prompt", allowed


def text_faults(table: Raw, text: str, at: Location) -> Iterator[Fault]:
    """Yield what is wrong with an expected text and the `optional_marks` of its table, which stands at `at`."""
    marks = [mark for _, mark in items(table, "optional_marks", str)]
    for index, mark in items(table, "optional_marks", str):
        if not normalise(mark) or normalise(mark) not in normalise(text):
            allowed = "marks that occur in the text"
            yield (*at, "optional_marks", index), f"{show(mark)} is not in {show(text)}", allowed
        elif _has_letters(mark):
            allowed = "marks that no reader returns, such as an emoji; a text that may be missing has required = false"
            yield (*at, "optional_marks", index), f"{show(mark)} has letters or digits", allowed
    bare = required_text(units(text, marks))
    if odd := without_glyph(bare):
        yield (
            (*at, "text"),
            f"U+{ord(odd[0]):04X} of {show(text)} has no glyph in Unicode",
            "characters that can be seen",
        )
    elif not bare:
        seen = f"{show(text)} has only white space, optional marks and characters nobody sees"
        yield (*at, "text"), seen, "at least one character that a reader can return"
    elif not any(map(is_drawn, bare)):
        seen = f"{show(text)} has only combining marks"
        yield (*at, "text"), seen, "at least one character that a reader can return"


def _has_letters(mark: str) -> bool:
    """Return whether a mark has letters or digits, which readers return; those that are an emoji do not count."""
    return any(category(char) == "Nd" or category(char)[0] == "L" for char in _EMOJI_LETTER.sub("", mark))


def _cannot_fail(raw: Raw) -> Iterator[Fault]:
    """Refuse a case that an image without any of its texts would pass, or one with garbage of the same length.

    Such an image has as many edits as the required texts have characters, so each limit must be below that. Where only
    a small part of the texts is required, garbage has few edits and a character or two of it may be right by chance.
    """
    lengths = [(len(bare), table.get("required") is not False) for table, bare in _bare_texts(raw)]
    if not lengths:
        return
    length, whole = sum(n for n, required in lengths if required), sum(n for n, _ in lengths)
    if not any(required for _, required in lengths):
        yield ("texts",), "no text is required, so the case could not fail", "at least one without required = false"
    elif LEAST_REQUIRED * length < whole:
        seen = f"{length} of {count(whole, 'character')} are required, so an image of garbage could pass"
        yield (
            ("texts",),
            seen,
            f"required texts with at least a quarter of the characters, {-(-whole // LEAST_REQUIRED)}",
        )
    limits = raw.get("limits")
    for key in ("tolerance", "text_tolerance", "absolute"):
        limit = limits.get(key) if isinstance(limits, Mapping) else None
        if length and isinstance(limit, int) and not (limit < length):
            seen = f"{show(limit)} allows all {count(length, 'character')} of the required texts to be wrong"
            yield ("limits", key), seen, f"at most {length - 1}: an image without any text must fail"


def _bare_texts(raw: Raw) -> Iterator[tuple[Raw, str]]:
    """Yield the tables of texts that have one, with the characters that count."""
    for _, table in items(raw, "texts", dict):
        text = table.get("text")
        if isinstance(text, str) and text:
            marks = [mark for _, mark in items(table, "optional_marks", str)]
            yield table, required_text(units(text, marks))


def _known_typos(raw: Raw) -> Iterator[Fault]:
    texts = [table.get("text") for _, table in items(raw, "texts", dict)]
    for index, table in items(raw, "known_typos", dict):
        asked, shown = table.get("asked"), table.get("shown")
        if not isinstance(asked, str) or not isinstance(shown, str):
            continue
        if asked and not any(isinstance(text, str) and asked in text for text in texts):
            yield ("known_typos", index, "asked"), f"{show(asked)} is in none of the texts", "part of one of the texts"
        if normalise(asked) == normalise(shown):
            yield ("known_typos", index, "shown"), f"{show(shown)} compares equal to `asked`", "a different text"


def _resolutions(raw: Raw, known: Known) -> Iterator[Fault]:
    first: dict[tuple[str, Size], int] = {}
    for index, table in items(raw, "resolutions", dict):
        for key, fault in (("size", _size_fault), ("tiny", _tiny_fault)):
            text = table.get(key)
            if not isinstance(text, str):
                continue
            try:
                size = Size.parse(text)
            except ValueError:
                yield ("resolutions", index, key), f"{show(text)} is not a size", 'WIDTHxHEIGHT, such as "1328x1328"'
                continue
            if seen := fault(size):
                yield ("resolutions", index, key), f'"{size}" {seen[0]}', seen[1]
            twin = first.setdefault((key, size.effective()), index)
            if twin != index:
                seen_twin = f'"{size}" generates the same image as resolutions[{twin}].{key}'
                yield ("resolutions", index, key), seen_twin, "sizes that differ after flooring to multiples of 16"
        yield from _verdicts(table, ("resolutions", index), known)
        yield from _named_errors(raw, table, ("resolutions", index))
        if list(items(table, "report", object)) and raw.get("report_table") is None:
            allowed = "report_table in the case: its table in the published report, 1 to 6"
            yield ("resolutions", index, "report"), "has no effect without `report_table`", allowed


def _size_fault(size: Size) -> tuple[str, str] | None:
    effective = size.effective()
    if 0 in (effective.width, effective.height):
        return f"is {effective} after flooring to multiples of {SIZE_MULTIPLE}", f"at least {SIZE_MULTIPLE} per side"
    if max(effective.width, effective.height) > LARGEST_SIDE:
        return f"is {effective} after flooring to multiples of {SIZE_MULTIPLE}", f"at most {LARGEST_SIDE} per side"
    return _narrow(effective)


def _narrow(size: Size) -> tuple[str, str] | None:
    """Refuse a size whose image no reader would take."""
    if max(size.width, size.height) <= MOST_RATIO * min(size.width, size.height):
        return None
    return f"has one side more than {MOST_RATIO} times the other", "a size that readers take"


def _tiny_fault(size: Size) -> tuple[str, str] | None:
    allowed = f"multiples of {SIZE_MULTIPLE}, at most {TINY_SIDE} per side and {TINY_AREA} pixels"
    if size != size.effective():
        return f"is not a multiple of {SIZE_MULTIPLE} on both sides", allowed
    if max(size.width, size.height) > TINY_SIDE or size.width * size.height > TINY_AREA:
        return "is too large for the embedded model", allowed
    return _narrow(size)


def _verdicts(resolution: Raw, at: Location, known: Known) -> Iterator[Fault]:
    named: set[str] = set()
    for index, table in items(resolution, "report", dict):
        here = (*at, "report", index)
        if table.get("passes") is None and not table.get("finding"):
            yield here, "has neither `passes` nor `finding`", "one of them, or both"
        variant = table.get("variant")
        if not isinstance(variant, str):
            continue
        if variant in named:
            yield (*here, "variant"), f"duplicate verdict for {show(variant)}", "one verdict per variant"
        named.add(variant)
        if known.variants is not None and variant not in known.variants:
            seen = f"{show(variant)} is not a variant{suggest(variant, known.variants)}"
            yield (*here, "variant"), seen, ", ".join(known.variants)


def _named_errors(raw: Raw, resolution: Raw, at: Location) -> Iterator[Fault]:
    texts = [normalise(t["text"]) for _, t in items(raw, "texts", dict) if isinstance(t.get("text"), str)]
    for number, verdict in items(resolution, "report", dict):
        for index, error in items(verdict, "errors", dict):
            here = (*at, "report", number, "errors", index)
            expected, read = error.get("expected"), error.get("read")
            if verdict.get("passes") is not False:
                yield here, "an error of an image that is not marked wrong", "passes = false"
            if not isinstance(expected, str) or not expected:
                continue
            if not any(normalise(expected) in text for text in texts):
                yield (*here, "expected"), f"{show(expected)} is in none of the texts", "part of one of the texts"
            if isinstance(read, str) and normalise(read) == normalise(expected):
                yield (*here, "read"), f"{show(read)} compares equal to `expected`", "a different text"


def _limits(raw: Raw) -> Iterator[Fault]:
    """Refuse limits below the reader's noise floor: they would fail good images; and one that limits nothing."""
    limits = raw.get("limits")
    if isinstance(limits, Mapping) and limits.get("absolute") == REPORT:
        tables = [report for _, table in items(raw, "resolutions", dict) for _, report in items(table, "report", dict)]
        if not any(table.get("passes") is True for table in tables):
            allowed = "a whole number of edits, or `passes = true` in a [[resolutions.report]]"
            yield ("limits", "absolute"), f"{show(REPORT)} limits nothing: the report marks no image right", allowed
    if not isinstance(limits, Mapping) or not isinstance(limits.get("noise_floor"), Mapping):
        return
    for key in ("tolerance", "text_tolerance", "absolute"):
        limit = limits.get(key, 0 if key == "tolerance" else None)
        limit = 0 if limit == REPORT else limit
        for reader, floor in limits["noise_floor"].items():
            if isinstance(limit, int) and isinstance(floor, int | float) and not (floor <= limit):
                yield ("limits", key), f"{limit} is below {reader}'s noise floor", f"{floor} or more"
