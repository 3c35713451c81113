"""Whether a reader can return the characters that are asked for.

A reader gives another character for one that it does not know. The distance would then be the reader's, and accepted as
a golden it could never fail, so such a text is an error before anything is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from qiltest.errors import ReaderError
from qiltest.reading.records import Choice, Reader, alphabet_of
from qiltest.reading.registry import reader_choices
from qiltest.suite.cases import Case, ExpectedText
from qiltest.text.format import count
from qiltest.text.look_alikes import look_alike
from qiltest.text.normalise import normalise, units

#: characters of one text, and texts, that a message names; the others are counted.
NAMED, NAMED_TEXTS = 12, 3


class AlphabetError(ReaderError):
    """Texts have characters that the reader cannot return, so there is no distance to judge."""


def outside(
    texts: Sequence[ExpectedText], alphabet: frozenset[str], forgiven: Sequence[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Return the characters of each text that are not in an alphabet, for the texts that have any.

    Both sides are compared as the scorer compares them (`normalise`). Exempt are optional marks, and characters whose
    look-alike of a class in `forgiven` is in the alphabet.
    """
    known = _normalised(alphabet)
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        asked = dict.fromkeys(u.text for u in units(text.text, text.optional_marks) if not u.optional)
        unknown = [char for char in asked if char not in known and not _forgiven(char, known, forgiven)]
        if unknown:
            found[text.text] = tuple(unknown)
    return found


def reader_for(name: str, texts: Sequence[ExpectedText], forgiven: Sequence[str] = ()) -> str:
    """Return the reader of these texts where `name` stands for several (EasyOCR without a language), else `name`.

    It is the first that can return every character and is on this machine, else the plainest. Raises ReaderError.
    """
    for choice in reader_choices(name):
        if not choice.remedy and not outside(texts, choice.alphabet, forgiven):
            return choice.name
    return name


def reader_of(case: Case, default: str) -> str:
    """Return the name of a case's reader; `default` is that of cases that name none. Raises ReaderError."""
    return reader_for(case.reader or default, with_gone(case.texts, case.gone), case.forgiven)


def require_readable(
    reader: Reader,
    texts: Sequence[ExpectedText],
    *,
    where: str,
    forgiven: Sequence[str] = (),
    asked: str = "",
    file: str = "",
) -> None:
    """Raise AlphabetError where texts have characters that a reader cannot return.

    `asked` is the reader's name as the user gave it, `file` the texts' case file; both are for the remedy.
    """
    alphabet = alphabet_of(reader)
    found = {} if alphabet is None else outside(texts, alphabet, forgiven)
    if found:
        what = (
            f"{reader.info.engine} cannot return {_named(found)}: not in its alphabet{_nearest(asked, texts, forgiven)}"
        )
        raise AlphabetError(what, where=where, remedy=_remedy(asked, texts, forgiven, reader, file))


def require_readable_case(case: Case, reader: Reader, *, asked: str = "") -> None:
    """Raise AlphabetError where a case's texts have characters that a reader cannot return."""
    texts, where = with_gone(case.texts, case.gone), f"case {case.id}"
    require_readable(reader, texts, where=where, forgiven=case.forgiven, asked=case.reader or asked, file=case.path)


def with_gone(texts: Sequence[ExpectedText], gone: Sequence[str]) -> tuple[ExpectedText, ...]:
    """Return texts with those that must be gone: one that the reader cannot return would count as gone unread."""
    return (*texts, *(ExpectedText(text=text) for text in gone))


@lru_cache(maxsize=8)
def _normalised(alphabet: frozenset[str]) -> frozenset[str]:
    return frozenset("".join(map(normalise, alphabet)))


def _forgiven(char: str, known: frozenset[str], forgiven: Sequence[str]) -> bool:
    return bool(forgiven) and any(look_alike(char, other) in forgiven for other in known)


def _named(found: Mapping[str, Sequence[str]]) -> str:
    parts = []
    for text, characters in [*found.items()][:NAMED_TEXTS]:
        more = len(characters) - NAMED
        shown = " ".join(characters[:NAMED]) + (f" and {more} more" if more > 0 else "")
        parts.append(f"{shown} of {text!r}")
    more = len(found) - NAMED_TEXTS
    return "; ".join([*parts, f"and others of {count(more, 'more text')}"] if more > 0 else parts)


def _nearest(asked: str, texts: Sequence[ExpectedText], forgiven: Sequence[str]) -> str:
    """Say which reader lacks the fewest characters, where the name stands for several and none knows all."""
    lacking = [(outside(texts, choice.alphabet, forgiven), choice.name) for choice in _choices(asked)]
    if not lacking or not all(found for found, _ in lacking):
        return ""
    found, name = min(lacking, key=lambda each: sum(map(len, each[0].values())))
    return f"; the nearest, {name}, cannot return {_named(found)}"


def _remedy(asked: str, texts: Sequence[ExpectedText], forgiven: Sequence[str], reader: Reader, file: str) -> str:
    fitting = (choice for choice in _choices(asked) if not outside(texts, choice.alphabet, forgiven))
    steps = [choice.remedy for choice in fitting if choice.remedy][:1]
    other = "the reader rapidocr" if reader.info.name != "rapidocr" else "a reader of this script"
    steps.append(f"use {other} (docs/reference/reading.md#alphabets)")
    if file:
        steps[-1] += f", for this case alone by `reader` in {file}"
    return "; or ".join([*steps, "name marks that may be missing as optional (`optional_marks`)"])


def _choices(asked: str) -> tuple[Choice, ...]:
    return reader_choices(asked) if asked else ()
