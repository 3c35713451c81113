"""Goldens: the accepted record of a (case, resolution, variant, seed, model), with the reader that read it."""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class GoldenText:
    """One expected text as it was accepted."""

    expected: str
    read: str
    distance: int


@dataclass(frozen=True, kw_only=True)
class GoldenExtra:
    """Text that nobody asked for and that was accepted with the picture."""

    text: str
    kind: str
    distance: int


@dataclass(frozen=True, kw_only=True)
class Golden:
    """The accepted text of one picture. `size` and `effective` are `WIDTHxHEIGHT`."""

    schema: int
    case: str
    size: str
    variant: str
    seed: int
    model: str
    effective: str
    #: `ReaderInfo.fingerprint`; another reader's distances are not compared with these.
    reader: str
    distance: int
    distance_alnum: int
    length: int
    noise_floor: float | None
    texts: tuple[GoldenText, ...]
    extra: tuple[GoldenExtra, ...]
    #: `Recipe.key` and SHA-256 of the accepted picture: to say what changed, never to judge by.
    recipe: str
    picture: str
