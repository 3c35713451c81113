"""New errors: edits at places of an expected text where its golden has none (docs/reference/gate.md).

The sum of all edits does not see an error that moves: one text gets right what another gets wrong. So each edit of an
image needs an edit of the golden at the same place of the same text. What the character is misread as does not matter:
a malformed one is read in one way today and in another tomorrow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from qiltest.gate.agreement import edits_again
from qiltest.gate.golden import Golden, GoldenText
from qiltest.scoring import Score, TextScore
from qiltest.scoring.distance import distance
from qiltest.scoring.extras import WRONG
from qiltest.scoring.records import Edit, EditKind, Extra
from qiltest.suite.cases import Case, ExpectedText
from qiltest.text.escape import one_line
from qiltest.text.format import count
from qiltest.text.normalise import normalise

#: characters of a text, and groups of edits, that a sentence shows.
_SHOWN, _GROUPS = 40, 4
#: Places are counted in halves of a character: character `p` is `2 p + 1`, the gap before it `2 p`. An edit so near to
#: another one is at the same place: what is inserted beside a character, and the character itself, but no neighbour.
_NEAR = 1

_Place = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class NewErrors:
    """The new errors of one expected text, or of one line that nobody asked for."""

    #: the text's number and the text, or the extra.
    where: str
    #: edits that count; at least 1.
    count: int
    #: each in words.
    what: str

    def sentence(self, allowed: int) -> str:
        """Return them as the reason of a verdict; `allowed` is how many may be."""
        limit = f", {allowed} allowed" if allowed else ""
        return f"{self.where}: {count(self.count, 'new error')}{limit}: {self.what}"


def new_errors(case: Case, score: Score, golden: Golden) -> Iterator[NewErrors]:
    """Yield the new errors of each text and extra that has some.

    `golden` is comparable with `score`: the same reader, and the texts of `case` in the same order.
    """
    for number, (asked, now, before) in enumerate(zip(case.texts, score.texts, golden.texts, strict=True), start=1):
        if now.distance:
            found = new_edits(case, asked, now, before)
            if found:
                where = f"text {number} {one_line(asked.text, _SHOWN)!r}"
                yield NewErrors(where=where, count=len(found), what=_in_words(now, found))
    accepted = {gone.expected: gone.distance for gone in golden.gone}
    for left in score.gone:
        known = accepted.get(left.expected, 0)
        if left.distance > known:
            where = f"text that must be gone {one_line(left.expected, _SHOWN)!r}"
            what = f"{one_line(left.read, _SHOWN)!r} is still read"
            yield NewErrors(where=where, count=left.distance - known, what=what)
    for extra, known in new_extras(score.extra, golden):
        more = f"{count(known, 'character')} of it in the golden" if known else "not in the golden"
        where = f"extra {one_line(extra.text, _SHOWN)!r}"
        what = f"{extra.kind} of {one_line(extra.of, _SHOWN)!r}, {more}"
        yield NewErrors(where=where, count=extra.distance - known, what=what)


def new_edits(case: Case, asked: ExpectedText, now: TextScore, before: GoldenText) -> list[Edit]:
    """Return the counted edits of one of a case's texts that its golden does not have at the same place."""
    return _new_edits(normalise(asked.text), now.edits, edits_again(case, asked, before.read))


def _new_edits(asked: str, now: Iterable[Edit], before: Iterable[Edit]) -> list[Edit]:
    """Return the edits that count and have none at the same place before, in the text's order.

    Each edit before stands for one of now: the very same one, one of its kind and position, or one near by.
    """
    rest, left = [edit for edit in now if edit.counted], [edit for edit in before if edit.counted]
    for alike in (_itself, _kind_and_position):
        rest, left = _unpaired(rest, left, alike), _unpaired(left, rest, alike)
    places = [_place(edit, asked) for edit in left]
    found: list[Edit] = []
    for edit in sorted(rest, key=lambda edit: _place(edit, asked)[1]):
        place = _place(edit, asked)
        near = [other for other in places if _meet(place, other)]
        if near:  # in this order, the one that ends first leaves most to the others
            places.remove(min(near, key=itemgetter(1)))
        else:
            found.append(edit)
    return sorted(found, key=lambda edit: edit.position)


def _itself(edit: Edit) -> Hashable:
    return edit


def _kind_and_position(edit: Edit) -> Hashable:
    return edit.kind, edit.position


def _unpaired(edits: Iterable[Edit], others: Iterable[Edit], alike: Callable[[Edit], Hashable]) -> list[Edit]:
    """Return the edits for which none of the others is left."""
    left = Counter(map(alike, others))
    rest = []
    for edit in edits:
        if left[alike(edit)]:
            left[alike(edit)] -= 1
        else:
            rest.append(edit)
    return rest


def _place(edit: Edit, asked: str) -> _Place:
    """Return the first and the last place where an edit may be.

    Which one of several equal characters is missing, or was added, cannot be told: all of them are the place.
    """
    at = edit.position
    if edit.kind is EditKind.SUBSTITUTE:
        return 2 * at + 1, 2 * at + 1
    char = edit.read if edit.kind is EditKind.INSERT else edit.expected
    first = last = at
    while first > 0 and asked[first - 1] == char:
        first -= 1
    while asked[last : last + 1] == char:
        last += 1
    return (2 * first, 2 * last) if edit.kind is EditKind.INSERT else (2 * first + 1, 2 * last - 1)


def _meet(one: _Place, other: _Place) -> bool:
    return one[0] - _NEAR <= other[1] and other[0] <= one[1] + _NEAR


def new_extras(extras: Iterable[Extra], golden: Golden) -> Iterator[tuple[Extra, int]]:
    """Yield each extra that counts more than in the golden, and how many of its characters the golden has.

    One that is read a little differently is the same.
    """
    now = [extra for extra in extras if extra.distance]
    before = [(normalise(extra.text), extra.distance) for extra in golden.extra if extra.distance]
    free = list(before)
    for extra in sorted(now, key=lambda extra: (normalise(extra.text), extra.distance) not in before):
        text = normalise(extra.text)
        near = min(free, key=lambda other: distance(text, other[0]), default=None)
        known = 0
        if near is not None and distance(text, near[0]) <= WRONG * len(near[0]):
            free.remove(near)
            known = near[1]
        if extra.distance > known:
            yield extra, known


def _in_words(text: TextScore, edits: Sequence[Edit]) -> str:
    """Return what each edit is and where; characters count from 1 in the expected text without white space."""
    if not text.read:
        return "not read"
    groups = _neighbours(edits)
    rest = sum(map(len, groups[_GROUPS:]))
    return "; ".join((*map(_group_in_words, groups[:_GROUPS]), *((f"and {rest} more",) if rest else ())))


def _neighbours(edits: Sequence[Edit]) -> list[list[Edit]]:
    """Group edits of one kind on characters that follow each other."""
    groups: list[list[Edit]] = []
    for edit in edits:
        last = groups[-1][-1] if groups else None
        if last is not None and edit.kind is last.kind and edit.position == last.position + len(last.expected):
            groups[-1].append(edit)
        else:
            groups.append([edit])
    return groups


def _group_in_words(group: Sequence[Edit]) -> str:
    expected = one_line("".join(edit.expected for edit in group), _SHOWN)
    read = one_line("".join(edit.read for edit in group), _SHOWN)
    where = f"at character {group[0].position + 1}"
    if not expected:
        return f"extra {read!r} {where}"
    return f"{expected!r} missing {where}" if not read else f"{expected!r} -> {read!r} {where}"
