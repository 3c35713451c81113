"""Texts that an edit had to remove: whether one still stands in the image, and how much of it is read.

What is read counts as the text where chance or another text does not explain it as well:

- Written by itself, between white space or the ends of a line: exact, or, from a weight of `WEIGHT` on, with at most
  `WRONG` of its characters wrong.
- Anywhere: at least half of its characters, worth `CHANCE` bits more than the places where they could have been met by
  chance (`evidence`), each wrong character taken off. Texts that have nothing to do with each other differ by more.
- A part of it without an error, from a weight of `FRAGMENT_WEIGHT` on, as for a repeated text (`extras`).

Only letters and digits are compared, whatever their case, where the text has any: a sign whose letters are read with
full stops between them still says the same. It does not count where a text that the image is to show explains the same
characters as well: "SALE 70%" is no rest of "SALE 50%". A line that was matched to an expected text may be a part of
that text; any other line must be all of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from qiltest.reading.records import Reading
from qiltest.scoring.chains import cheapest_chain, relevant
from qiltest.scoring.characters import mean_bits, weight
from qiltest.scoring.distance import distance
from qiltest.scoring.evidence import WRONG_BITS, Piece, joints
from qiltest.scoring.extras import FRAGMENT_WEIGHT, WEIGHT
from qiltest.scoring.geometry import place_of
from qiltest.scoring.records import GoneScore, TextScore
from qiltest.text.normalise import letters_and_digits, normalise

#: share of a text's characters that may be wrong where it stands by itself.
WRONG = 0.25
#: Bits that what is read must be worth beyond chance: one of a thousand images without the text may be called one.
CHANCE = 10.0
#: share of a text's characters that must be read, of a text among other words.
LEAST = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """Where a text was looked for and found best: the lines' text, and the part of it that is most like the text."""

    lines: tuple[int, ...]
    #: as read, with its white space.
    raw: str
    #: its letters and digits (`_bare`).
    whole: str
    start: int
    end: int

    @property
    def part(self) -> str:
        return self.whole[self.start : self.end]


def score_gone(gone: Sequence[str], reading: Reading, texts: Sequence[TextScore]) -> tuple[GoneScore, ...]:
    """Return for each text that must be gone what is still read of it; `texts` are the scores of those expected."""
    pieces = [
        Piece(text=bare, place=place_of(line, len(bare)), confidence=line.confidence, line=index, raw=line.text)
        for index, line in enumerate(reading.lines)
        if (bare := _bare(line.text))
    ]
    return tuple(_score(text, pieces, texts) for text in gone)


def left_of(text: str, read: str) -> int:
    """Return how many characters of a text that must be gone are still read, given what was read of it; 0 for ""."""
    if not read:
        return 0
    wanted = _bare(text)
    return max(1, len(wanted) - distance(wanted, _bare(read)))


def _bare(text: str) -> str:
    """Return the letters and digits of a text, case folded; a text of marks alone is normalised."""
    return letters_and_digits(text) or normalise(text)


def _score(text: str, pieces: Sequence[Piece], texts: Sequence[TextScore]) -> GoneScore:
    wanted = _bare(text)
    for found in _places(wanted, pieces):
        if _stands(wanted, found, pieces) and not _explained(wanted, found, texts):
            read = _as_read(found)
            return GoneScore(
                expected=text, read=read, distance=left_of(text, read), length=len(wanted), lines=found.lines
            )
    return GoneScore(expected=text, read="", distance=0, length=len(wanted), lines=())


def _places(wanted: str, pieces: Sequence[Piece]) -> Iterator[_Found]:
    """Yield where the text may stand: in several lines, and in each line that has something of it, the likest first."""
    candidates = relevant(wanted, pieces)
    chain = cheapest_chain(wanted, pieces, candidates, joints(pieces))
    found = [_found(wanted, [pieces[i] for i in chain.pieces])] if len(chain.pieces) > 1 else []
    found += [_found(wanted, [pieces[i]]) for i in candidates]
    yield from sorted(found, key=lambda one: distance(wanted, one.part))


def _found(wanted: str, group: Sequence[Piece]) -> _Found:
    whole = "".join(piece.text for piece in group)
    start, end = 0, len(whole)
    if len(wanted) < len(whole):
        near = fuzz.partial_ratio_alignment(wanted, whole)
        assert near is not None
        start, end = near.dest_start, near.dest_end
    raw = "\n".join(piece.raw for piece in group)
    return _Found(lines=tuple(piece.line for piece in group), raw=raw, whole=whole, start=start, end=end)


def _stands(wanted: str, found: _Found, pieces: Sequence[Piece]) -> bool:
    wrong = distance(wanted, found.part)
    if _by_itself(found) and wrong <= (WRONG * len(wanted) if weight(wanted) >= WEIGHT else 0):
        return True
    if weight(_longest_common(wanted, found.part)) >= FRAGMENT_WEIGHT:
        return True
    # what is missing at its ends was removed, and says nothing against what is left
    wrong = _apart(wanted, found.part)
    met = len(found.part) - wrong
    places = sum(len(piece.text) for piece in pieces)
    worth = met * mean_bits(wanted) - WRONG_BITS * wrong - math.log2(max(1, places))
    return met >= LEAST * len(wanted) and worth >= CHANCE


def _by_itself(found: _Found) -> bool:
    """Return whether the part stands between white space or the ends of its lines."""
    ends = {0, len(found.whole)}
    done = 0
    for word in found.raw.split():
        done += len(letters_and_digits(word)) or len(normalise(word)) * (not letters_and_digits(found.raw))
        ends.add(done)
    return found.start in ends and found.end in ends


def _explained(wanted: str, found: _Found, texts: Sequence[TextScore]) -> bool:
    return any(_explains(text, wanted, found) for text in texts)


def _explains(text: TextScore, wanted: str, found: _Found) -> bool:
    """Return whether an expected text explains the characters as well as the one that must be gone."""
    own, taken = _bare(text.expected), bool(set(text.lines) & set(found.lines))
    start, end = 0, len(found.whole)
    if len(own) < len(found.whole):
        near = fuzz.partial_ratio_alignment(own, found.whole)
        assert near is not None
        start, end = near.dest_start, near.dest_end
    common = min(end, found.end) - max(start, found.start)
    if 2 * common <= found.end - found.start:
        return False
    window = found.whole[min(start, found.start) : max(end, found.end)]
    apart = _apart(own, window) if taken else distance(own, window)
    return apart <= distance(wanted, window)


def _apart(text: str, window: str) -> int:
    """Return the edits from a window to the nearest part of a text (Sellers 1980): the text may go on elsewhere."""
    before = [0] * (len(text) + 1)
    for row, char in enumerate(window, start=1):
        now = [row]
        for column, own in enumerate(text, start=1):
            now.append(min(before[column - 1] + (own != char), before[column] + 1, now[-1] + 1))
        before = now
    return min(before)


def _longest_common(one: str, other: str) -> str:
    """Return the longest run of characters that two texts have in common."""
    best, ends = "", [0] * (len(other) + 1)
    for at, char in enumerate(one, start=1):
        now = [0]
        for place, own in enumerate(other, start=1):
            now.append(ends[place - 1] + 1 if own == char else 0)
            if now[-1] > len(best):
                best = one[at - now[-1] : at]
        ends = now
    return best


def _as_read(found: _Found) -> str:
    """Return the part as read; in its normalised form where the line cannot be cut there."""
    if (found.start, found.end) == (0, len(found.whole)):
        return found.raw
    bare = letters_and_digits if letters_and_digits(found.raw) else normalise
    ends = [len(bare(found.raw[:at])) for at in range(len(found.raw) + 1)]
    if found.start not in ends or found.end not in ends:
        return found.part
    first = len(ends) - 1 - ends[::-1].index(found.start)
    return found.raw[first : ends.index(found.end)].strip() or found.part
