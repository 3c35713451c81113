"""Compare candidates, at one or several strengths and sizes, with the variant that one of them should replace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from qiltest.comparison.compare import compare
from qiltest.comparison.pairing import Pairing, pair_up
from qiltest.comparison.records import Comparisons
from qiltest.recipe import Size
from qiltest.runs.records import Run


def compare_trials(
    run: Run, *, like: str, names: Mapping[str, str], margin: float, by_size: bool = False
) -> Comparisons:
    """Compare each candidate of a run with the variant `like` of the same run.

    `names` are the candidates' labels by their variants. The best candidate comes first. All comparisons are corrected
    for their number; with `by_size` there is one for each size. Raises StoreError for a variant that the run does not
    have, and ValueError for a margin outside [0, 1).
    """
    pairings = tuple(pairing for name, label in names.items() for pairing in _pairings(run, like, name, label, by_size))
    found = compare(pairings, margin=margin)
    order = [name for name, _ in found.ranking]
    return replace(found, comparisons=tuple(sorted(found.comparisons, key=lambda one: order.index(one.candidate))))


def pairing_of(run: Run, like: str, candidate: str, *, size: str = "") -> Pairing:
    """Return the pairs of one candidate, only of one size where that is given."""
    whole = pair_up(run, run, variant=like, with_variant=candidate)
    if not size:
        return whole
    return replace(
        whole,
        pairs=tuple(pair for pair in whole.pairs if pair.size == size),
        obstacles=tuple(one for one in whole.obstacles if _of_size(one.id, size)),
        unpaired=tuple(one for one in whole.unpaired if _of_size(one.partition(":")[0], size)),
        size=size,
    )


def _pairings(run: Run, like: str, candidate: str, label: str, by_size: bool) -> Iterator[Pairing]:
    sizes = sorted({sample.size for sample in run.planned}, key=_pixels) if by_size else []
    for size in [str(size) for size in sizes] or [""]:
        found = pairing_of(run, like, candidate, size=size)
        yield replace(found, after=f"{label} at {size}" if size else label, candidate=candidate)


def _pixels(size: Size) -> tuple[int, int]:
    return size.width * size.height, size.width


def _of_size(name: str, size: str) -> bool:
    """Return whether an image's name, `coffee-shop@1280x1280-s42`, is of a size."""
    return name.partition("@")[2].startswith(f"{size}-")
