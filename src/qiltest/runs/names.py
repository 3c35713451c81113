"""What an event may name: plain names, hashes and sizes, because some of them become paths of goldens and images."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qiltest.recipe import Size
from qiltest.runs.images import SHA256
from qiltest.suite.selection import Sample

#: no separator and no leading dot, so never `..`; the suite's own names are narrower.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
#: characters of a wrong name that a message shows.
_SHOWN = 60
_LONGEST_SIDE, _SEEDS, _ROUNDS = 99_999, 2**63, 99


def not_plain(**names: str) -> Iterator[str]:
    """Yield a fault for each name that could lead elsewhere as a part of a path."""
    for field, name in names.items():
        if _PLAIN.fullmatch(name) is None:
            yield f"{field}: {name[:_SHOWN]!r} is no plain name"


def not_hashes(**hashes: str) -> Iterator[str]:
    """Yield a fault for each value that is no SHA-256."""
    for field, value in hashes.items():
        if SHA256.fullmatch(value) is None:
            yield f"{field}: {value[:_SHOWN]!r} is no SHA-256"


def wrong_sample(sample: Sample) -> Iterator[str]:
    """Yield the faults of a sample's names and numbers."""
    yield from not_plain(**{"sample.case": sample.case, "sample.variant": sample.variant})
    yield from wrong_size("sample.size", sample.size)
    if not 0 <= sample.seed < _SEEDS:
        yield f"sample.seed: {str(sample.seed)[:_SHOWN]} is no seed"
    if not 1 <= sample.round <= _ROUNDS:
        yield f"sample.round: {str(sample.round)[:_SHOWN]} is no round"


def wrong_size(field: str, size: Size) -> Iterator[str]:
    """Yield a fault for a size that no image has."""
    if not (0 < size.width <= _LONGEST_SIDE and 0 < size.height <= _LONGEST_SIDE):
        yield f"{field}: {str(size)[:_SHOWN]} is no size"
