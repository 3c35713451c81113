"""The clock that pytest-benchmark reads: the denoise loop's own seconds."""

from __future__ import annotations

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
        """Move on by one loop, whose seconds were found to be a latency when it was drawn."""
        self._seconds += denoised.denoise_seconds
