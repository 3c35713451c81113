"""Sentences on each difference between expected and read text, such as extra “4” after “-238”."""

from __future__ import annotations

from collections.abc import Sequence

from qiltest.scoring.records import Edit, EditKind, TextScore
from qiltest.text.escape import MAX_SHOWN, one_line
from qiltest.text.format import count
from qiltest.text.normalise import normalise

_CONTEXT = 4


def edit_sentences(score: TextScore, limit: int = 6) -> tuple[str, ...]:
    """Return a sentence per edit that tells a newcomer where the character is.

    Neighbouring edits of one kind are one sentence. Positions count from 1 in the expected text without white space.
    """
    groups = _neighbours(score.edits)
    sentences = [_sentence(group, score.expected) for group in groups[:limit]]
    rest = sum(map(len, groups[limit:]))
    return (*sentences, *((f"and {count(rest, 'more edit')}",) if rest else ()))


def _neighbours(edits: Sequence[Edit]) -> list[list[Edit]]:
    groups: list[list[Edit]] = []
    for edit in sorted(edits, key=lambda e: e.position):
        last = groups[-1][-1] if groups else None
        follows = last is not None and edit.position - last.position == len(last.expected)
        if follows and last is not None and (last.kind, last.counted) == (edit.kind, edit.counted):
            groups[-1].append(edit)
        else:
            groups.append([edit])
    return groups


def _sentence(group: Sequence[Edit], asked: str) -> str:
    first = group[0]
    expected = one_line("".join(edit.expected for edit in group), 60)
    read = one_line("".join(edit.read for edit in group), 60)
    before = one_line(_before(asked, first.position).lstrip())
    where = f"after “{before}”" if before else "at the start"
    if first.kind is EditKind.SUBSTITUTE:
        what = f"“{read}” instead of “{expected}” {where} (character {first.position + 1})"
    elif first.kind is EditKind.INSERT:
        what = f"extra “{read}” {where}"
    else:
        what = f"“{expected}” missing {where} (character {first.position + 1})"
    kinds = {edit.look_alike for edit in group}
    look = f", a look-alike ({first.look_alike})" if first.look_alike and len(kinds) == 1 else ""
    return f"{what}{look}" + ("" if first.counted else ": forgiven by the case, not counted")


def _before(asked: str, position: int) -> str:
    """Return the last characters, as written, before a position of the normalised text."""
    if position > MAX_SHOWN:
        return ""
    counted = 0
    for index, char in enumerate(asked):
        if counted >= position:
            return asked[max(0, index - _CONTEXT) : index]
        counted += len(normalise(char))
    return asked[-_CONTEXT:]
