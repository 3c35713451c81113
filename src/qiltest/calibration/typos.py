"""Plant the typos that text-to-image models make, one per text."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from enum import StrEnum

from qiltest.text.look_alikes import look_alike

#: replacement characters by kind, so that a typo keeps its script.
_DIGITS, _LOWER, _UPPER = "0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_IDEOGRAPHS = "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面"
#: Similar characters that readers are known to tell apart in print, taken in both directions.
_SIMILAR = (
    "0O", "1l", "5S", "2Z", "8B", "uv", "nh", "ft", "ec",
    "问间", "未末", "千干", "大太", "天夫", "日目", "木本", "王玉",
)  # fmt: skip


class Typo(StrEnum):
    """Kinds of planted typos."""

    SUBSTITUTE = "substitute"
    DELETE = "delete"
    INSERT = "insert"
    SWAP = "swap"
    SIMILAR = "similar"
    DOUBLED = "doubled"


def plant(text: str, kind: Typo, rng: random.Random) -> str | None:
    """Return `text` with one typo of a kind, or None where it has no place for it.

    White space is never touched: it is not compared. The result always differs from `text`.
    """
    places = [i for i, char in enumerate(text) if char.isalnum()]
    rng.shuffle(places)
    for place in places:
        wrong = _PLANTERS[kind](text, place, rng)
        if wrong is not None and wrong != text:
            return wrong
    return None


def _substitute(text: str, place: int, rng: random.Random) -> str | None:
    choices = [char for char in _kin(text[place]) if char != text[place] and not look_alike(text[place], char)]
    return _with(text, place, 1, rng.choice(choices)) if choices else None


def _delete(text: str, place: int, rng: random.Random) -> str | None:
    return _with(text, place, 1, "") if sum(char.isalnum() for char in text) > 1 else None


def _insert(text: str, place: int, rng: random.Random) -> str | None:
    return _with(text, place, 0, rng.choice([text[place], rng.choice(_kin(text[place]))]))


def _swap(text: str, place: int, rng: random.Random) -> str | None:
    following = text[place + 1 : place + 2]
    if not following.isalnum() or following == text[place]:
        return None
    return _with(text, place, 2, following + text[place])


def _similar(text: str, place: int, rng: random.Random) -> str | None:
    char = text[place]
    pairs = [pair for pair in _SIMILAR if char in pair]
    return _with(text, place, 1, rng.choice(pairs).replace(char, "")) if pairs else None


def _doubled(text: str, place: int, rng: random.Random) -> str | None:
    length = min(4, len(text) - place)
    phrase = text[place : place + length]
    return _with(text, place, 0, phrase) if length >= 2 and phrase.strip() == phrase else None


_PLANTERS: dict[Typo, Callable[[str, int, random.Random], str | None]] = {
    Typo.SUBSTITUTE: _substitute,
    Typo.DELETE: _delete,
    Typo.INSERT: _insert,
    Typo.SWAP: _swap,
    Typo.SIMILAR: _similar,
    Typo.DOUBLED: _doubled,
}


def _with(text: str, place: int, length: int, new: str) -> str:
    return text[:place] + new + text[place + length :]


def _kin(char: str) -> Sequence[str]:
    """Characters of the same kind."""
    for kind in (_DIGITS, _LOWER, _UPPER):
        if char in kind:
            return kind
    return _IDEOGRAPHS if ord(char) > 0x2E80 else _LOWER
