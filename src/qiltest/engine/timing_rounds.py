"""How often an image is denoised under the clock: by what one loop costs.

A cohort's golden is the median over its loops, so what counts is how many loops a cohort has, not an image. The first
images of a cheap cohort are therefore generated more than once, until the cohort has `LOOPS`; one whose single loop
takes longer than `SECONDS` is generated once, since half a minute is steady by itself. That costs a session at most
`SECONDS` a cohort.
"""

from __future__ import annotations

#: timed loops that a cohort should have.
LOOPS = 3
#: what the loops of one image may take together, in seconds, unless one alone takes longer.
SECONDS = 6.0


def rounds_of(asked: int | None, *, seconds: float, known: int) -> int:
    """Return the number of timed loops of an image.

    `asked` is `--qil-rounds` (None: auto), `seconds` what its first loop took, `known` how many loops of its cohort
    this session has timed before.
    """
    if asked is not None:
        return asked
    return max(1, min(LOOPS - known, int(SECONDS / seconds)))
