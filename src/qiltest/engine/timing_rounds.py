"""How often a picture is denoised under the clock: by what one loop costs.

A cohort's golden is the median over its loops, so what counts is how many loops a cohort has, not a picture. The first
pictures of a cheap cohort are therefore drawn more than once, until the cohort has `LOOPS`; one whose single loop
takes longer than `SECONDS` is drawn once, since half a minute is steady by itself. That costs a session at most
`SECONDS` a cohort.
"""

from __future__ import annotations

#: timed loops that a cohort should have.
LOOPS = 3
#: what the loops of one picture may take together, in seconds, unless one alone takes longer.
SECONDS = 6.0


def rounds_of(asked: int | None, *, seconds: float, known: int) -> int:
    """Return the number of timed loops of a picture.

    `asked` is `--qil-rounds` (None: auto), `seconds` what its first loop took, `known` how many loops of its cohort
    this session has timed before.
    """
    if asked is not None:
        return asked
    return max(1, min(LOOPS - known, int(SECONDS / seconds)))
