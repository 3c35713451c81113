"""The clock that pytest-benchmark reads: the denoise loop's own seconds."""

from __future__ import annotations

import math

from qiltest.errors import GenerationError
from qiltest.generation.records import Denoised


class LoopClock:
    """Moves on by what the generator measured, device synchronised, and stands still otherwise.

    Around the whole call a wall clock would count what is not denoising: loading the model and switching the variant
    for the first picture of each.
    """

    def __init__(self) -> None:
        self._seconds = 0.0

    def read(self) -> float:
        """Return the seconds of all denoise loops so far."""
        return self._seconds

    def advance(self, denoised: Denoised) -> None:
        """Move on by one loop. Raises GenerationError where it was not timed: that must not pass for speed."""
        seconds = denoised.denoise_seconds
        if not (math.isfinite(seconds) and seconds > 0):
            raise GenerationError(
                f"the denoise loop was not timed: {seconds} s",
                where=denoised.recipe.variant,
                remedy="a latency that is not measured must not pass",
            )
        self._seconds += seconds
