"""Align an expected text with what was read, and count the edits that the case's policy counts."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from operator import itemgetter

from rapidfuzz.distance import Levenshtein

from qiltest.scoring.records import Edit, EditKind
from qiltest.suite.cases import LineBreaks
from qiltest.text.look_alikes import look_alike
from qiltest.text.normalise import HYPHENS, Unit, is_decoration, letters_and_digits, required_text

#: costs, lexicographic in one integer: counted edits, then all edits, then edits that no look-alike explains.
_COUNTED, _ANY, _PLAIN = 1_000_000, 1_000, 1
#: readers mostly read an emoji as a ring: the outline of the face.
_RINGS = frozenset("oO0Q〇θΘ")
#: Longest run of symbols that may stand for one optional mark, such as ":)" for a smile.
_MARK_RUN = 2
LEADER_DOTS = "leader dots"

_Move = tuple[int, int, int, str]
_cost = itemgetter(0)


@dataclass(frozen=True, kw_only=True)
class Leaders:
    """Where leader dots stand in what was read, and where they may stand in the expected text without counting."""

    #: places in the joined lines.
    dots: frozenset[int]
    #: places in the normalised text at which it has white space.
    spaces: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """The cheapest way from the expected to the read text."""

    distance: int
    distance_alnum: int
    edits: tuple[Edit, ...]
    #: differences that are layout, decoration or optional marks: reported, not counted.
    layout: tuple[str, ...]


def distance(expected: str, read: str) -> int:
    """Levenshtein distance between two normalised texts (substitute, insert, delete, each 1)."""
    return int(Levenshtein.distance(expected, read))


def align(
    expected: Sequence[Unit],
    lines: Sequence[str],
    *,
    line_breaks: LineBreaks = LineBreaks.LAYOUT,
    forgiven: Sequence[str] = (),
    leaders: Leaders | None = None,
) -> Alignment:
    """Align an expected text with the normalised lines read for it.

    Free, and listed in `layout`: a hyphen missing or added at a line break (unless `line_breaks` is strict), an
    optional mark that is missing or read as one odd glyph, unexpected decoration, `leaders` where the text has white
    space. Look-alike edits of a `forgiven` class are in `edits` with `counted=False`. Ties are broken the same way
    every time.
    """
    if not any(unit.optional for unit in expected) and required_text(expected) == "".join(lines):
        return Alignment(distance=0, distance_alnum=0, edits=(), layout=())
    table = _Table(tuple(expected), tuple(lines), line_breaks is LineBreaks.LAYOUT, frozenset(forgiven), leaders)
    edits, layout = table.trace()
    counted = sum(edit.counted for edit in edits)
    return Alignment(
        distance=counted,
        distance_alnum=_alnum_distance(expected, lines, table.mark_places, forgiven),
        edits=edits,
        layout=layout,
    )


class _Table:
    """Dynamic programming over (units of the expected text, characters read)."""

    def __init__(
        self,
        expected: tuple[Unit, ...],
        lines: tuple[str, ...],
        layout: bool,
        forgiven: frozenset[str],
        leaders: Leaders | None = None,
    ) -> None:
        self._units, self._read = expected, "".join(lines)
        self._forgiven, self._leaders = forgiven, leaders
        self._breaks = _break_places(lines) if layout else frozenset()
        self._decorated = any(is_decoration(char) for unit in expected if not unit.optional for char in unit.text)
        self._starts = _unit_starts(expected)
        #: places in the joined lines that an optional mark took.
        self.mark_places: frozenset[int] = frozenset()
        self._moves = self._fill()

    def trace(self) -> tuple[tuple[Edit, ...], tuple[str, ...]]:
        """Walk the cheapest way back; edits and layout in the order of the text."""
        edits: list[Edit] = []
        layout: list[str] = []
        marks: set[int] = set()
        i, j = len(self._units), len(self._read)
        while i or j:
            _, di, dj, note = self._moves[i][j]
            i, j = i - di, j - dj
            exact = bool(di and dj) and self._units[i].text == self._read[j : j + dj]
            if note == "mark" or (exact and self._units[i].optional):
                marks.update(range(j, j + dj))
            if note == "mark":
                layout.append(self._mark_note(i, j, dj))
            elif note:
                layout.append(note)
            elif not exact:
                edits.append(self._edit(i, j, di, dj))
        self.mark_places = frozenset(marks)
        return tuple(reversed(edits)), _once(reversed(layout))

    def _fill(self) -> list[list[_Move]]:
        rows: list[list[_Move]] = []
        for i in range(len(self._units) + 1):
            row: list[_Move] = []
            rows.append(row)
            for j in range(len(self._read) + 1):
                row.append(self._cheapest(rows, i, j))
        return rows

    def _cheapest(self, rows: list[list[_Move]], i: int, j: int) -> _Move:
        best: _Move = (0, 0, 0, "") if i == j == 0 else (1 << 62, 0, 0, "")
        if i and j:
            cost, note = self._meet(i - 1, j - 1)
            best = min(best, (rows[i - 1][j - 1][0] + cost, 1, 1, note), key=_cost)
        if i:
            cost, note = self._delete(i - 1, j)
            best = min(best, (rows[i - 1][j][0] + cost, 1, 0, note), key=_cost)
        if j:
            cost, note = self._insert(i, j - 1)
            best = min(best, (rows[i][j - 1][0] + cost, 0, 1, note), key=_cost)
        if i and self._units[i - 1].optional:
            best = min(best, *self._marks(rows, i, j), key=_cost)
        return best

    def _marks(self, rows: list[list[_Move]], i: int, j: int) -> list[_Move]:
        """Return the moves that read an optional mark as several characters: its own, or a run of symbols."""
        found: list[_Move] = [(1 << 62, 0, 0, "")]
        size = len(self._units[i - 1].text)
        if size > 1 and self._read[:j].endswith(self._units[i - 1].text):
            found.append((rows[i - 1][j - size][0], 1, size, ""))
        if j >= _MARK_RUN and self._odd_run(j - _MARK_RUN, j):
            found.append((rows[i - 1][j - _MARK_RUN][0] + 2 * _PLAIN, 1, _MARK_RUN, "mark"))
        return found

    def _meet(self, i: int, j: int) -> tuple[int, str]:
        unit, char = self._units[i], self._read[j]
        if unit.text == char:
            return 0, ""
        if unit.optional:
            return (_PLAIN, "mark") if self._odd(unit.text, char) else (_COUNTED + _ANY + _PLAIN, "")
        kind = look_alike(unit.text, char)
        counted = 0 if kind in self._forgiven and kind else _COUNTED
        return counted + _ANY + (0 if kind else _PLAIN), ""

    def _delete(self, i: int, j: int) -> tuple[int, str]:
        unit = self._units[i]
        if unit.optional:
            return 2 * _PLAIN, "mark"
        if j in self._breaks and unit.text in HYPHENS:
            return 2 * _PLAIN, f"hyphen {unit.text!r} missing at a line break"
        return _COUNTED + _ANY + _PLAIN, ""

    def _insert(self, i: int, j: int) -> tuple[int, str]:
        char = self._read[j]
        if char in HYPHENS and (j + 1 in self._breaks or j in self._breaks):
            return 2 * _PLAIN, f"extra hyphen {char!r} at a line break"
        if not self._decorated and is_decoration(char):
            return 2 * _PLAIN, f"decoration {char!r}"
        if self._leaders and j in self._leaders.dots and self._starts[i] in self._leaders.spaces:
            return 2 * _PLAIN, LEADER_DOTS
        return _COUNTED + _ANY + _PLAIN, ""

    def _odd(self, mark: str, char: str) -> bool:
        """Return whether a mark may be read as this: a symbol; a pictograph also as a ring or another script."""
        if not char.isalnum():
            return True
        if not any(map(is_decoration, mark)):
            return False
        if char in _RINGS:
            return True
        return _script(char) not in {_script(c) for unit in self._units if not unit.optional for c in unit.text}

    def _odd_run(self, start: int, end: int) -> bool:
        return all(not char.isalnum() for char in self._read[start:end])

    def _mark_note(self, i: int, j: int, taken: int) -> str:
        mark, seen = self._units[i].text, self._read[j : j + taken]
        return f"optional mark {mark!r} " + (f"read as {seen!r}" if seen else "not read")

    def _edit(self, i: int, j: int, di: int, dj: int) -> Edit:
        expected = self._units[i].text if di else ""
        read = self._read[j : j + dj]
        kind = EditKind.SUBSTITUTE if di and dj else EditKind.DELETE if di else EditKind.INSERT
        alike = look_alike(expected, read)
        return Edit(
            kind=kind,
            position=self._starts[i],
            expected=expected,
            read=read,
            look_alike=alike,
            counted=not (alike and alike in self._forgiven),
        )


def _once(notes: Iterable[str]) -> tuple[str, ...]:
    """Return notes with a row of dots told once, not once for each dot."""
    return tuple(note for note, several in groupby(notes) for note in ([note] if note == LEADER_DOTS else several))


def _break_places(lines: Sequence[str]) -> frozenset[int]:
    return frozenset(accumulate(map(len, lines[:-1])))


def _unit_starts(parts: Sequence[Unit]) -> tuple[int, ...]:
    return tuple(accumulate((len(unit.text) for unit in parts), initial=0))


def _script(char: str) -> str:
    """Rough script of a character: the first word of its Unicode name ("LATIN", "CJK", "DIGIT", "GREEK")."""
    word = unicodedata.name(char, "?").split()[0]
    return "LATIN" if word == "DIGIT" else word


def _alnum_distance(
    expected: Sequence[Unit], lines: Sequence[str], marks: frozenset[int], forgiven: Sequence[str]
) -> int:
    joined = "".join(char for place, char in enumerate("".join(lines)) if place not in marks)
    wanted, read = letters_and_digits(required_text(expected)), letters_and_digits(joined)
    if not forgiven or wanted == read:
        return distance(wanted, read)
    table = _Table(tuple(Unit(char) for char in wanted), (read,), False, frozenset(forgiven))
    return sum(edit.counted for edit in table.trace()[0])
