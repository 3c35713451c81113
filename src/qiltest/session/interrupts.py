"""Ctrl+C pressed twice: the first press ends the session, and the second does not keep it from closing its run."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

#: seconds after a press in which another one belongs to it; later ones interrupt anew, so that nothing hangs.
TOGETHER = 2.0


class Interrupts:
    """Handles SIGINT while a run is open: the first one raises KeyboardInterrupt, those right after it do nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = -TOGETHER
        self._held = False

    def begin(self) -> None:
        """Take SIGINT over from Python itself; where another handler has it, or another thread asks, leave it alone."""
        own = threading.current_thread() is threading.main_thread()
        if not self._held and own and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)
            self._held = True

    def end(self) -> None:
        """Give SIGINT back."""
        if self._held and signal.getsignal(signal.SIGINT) == self._handle:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._held = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = self._clock()
        if now - self._last < TOGETHER:
            return
        self._last = now
        signal.default_int_handler(number, frame)
