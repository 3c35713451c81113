"""Where the time of a session goes: spans of work, recorded by whoever does it.

Any thread records with `span`; a session collects its own with a `Timeline`. Times are seconds of the monotonic clock,
which all processes of a host share, so that the spans of workers and reading processes lie beside those of the session.
Recording costs microseconds and is always on.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

#: spans that a process keeps, and that a session stores: those of about 700 images.
KEPT, MOST = 20_000, 5_000
#: the name of the span that stands for those beyond `MOST`.
LEFT_OUT = "more, not listed"

#: seconds of the shortest piece before or between the blocks inside a block.
_SHORTEST = 0.001

#: the blocks that each thread is in, outermost first.
_open_blocks = threading.local()
_recorded: deque[tuple[int, Span]] = deque(maxlen=KEPT)
_numbers = itertools.count()
_turn = threading.Lock()
#: set once a session of this process has claimed the time since the process began.
_claimed = threading.Event()


@dataclass(frozen=True, kw_only=True)
class Span:
    """A piece of work. Recorded in seconds of the monotonic clock, stored in seconds since the command began."""

    #: the kind of work, such as "load transformer"; spans of one kind are summed up.
    name: str
    start: float
    end: float
    #: what it was done with: a sample, a file.
    what: str = ""
    #: the process that did it, such as "worker 2"; "" for the session's own.
    where: str = ""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@contextmanager
def span(name: str, what: str = "") -> Iterator[None]:
    """Record the block as work of a kind, also where it raises.

    A block inside it, in the same thread, is work of its own kind alone: the outer one then has several pieces.
    """
    outer: list[_Open] = _open_blocks.__dict__.setdefault("stack", [])
    if outer:
        outer[-1].pause()
    own = _Open(name=name, what=what, start=time.monotonic())
    outer.append(own)
    try:
        yield
    finally:
        own.end()
        outer.pop()
        if outer:
            outer[-1].start = time.monotonic()


@dataclass(kw_only=True)
class _Open:
    """A block that a thread is in, and since when it is not in a block inside it."""

    name: str
    what: str
    start: float
    pieces: int = 0

    def pause(self) -> None:
        """Record the piece until now, unless it is too short to matter."""
        if time.monotonic() - self.start >= _SHORTEST:
            self.end()

    def end(self) -> None:
        """Record the piece until now; the last one always, if it is the only one."""
        here = time.monotonic()
        if here - self.start >= _SHORTEST or not self.pieces:
            record(Span(name=self.name, start=self.start, end=here, what=self.what))
            self.pieces += 1


def record_of(spans: Iterable[Span], where: str) -> None:
    """Record the spans of another process of this host."""
    for one in spans:
        record(replace(one, where=where))


def record(one: Span) -> None:
    """Record a span that was timed elsewhere, on the same clock."""
    with _turn:
        _recorded.append((next(_numbers), one))


class Unread:
    """The spans of this process, each taken once."""

    def __init__(self) -> None:
        self._last = -1

    def take(self) -> tuple[Span, ...]:
        """Return the spans since the last call."""
        pairs = recorded(self._last)
        self._last = max((number for number, _ in pairs), default=self._last)
        return tuple(one for _, one in pairs)


def recorded(after: int = -1) -> tuple[tuple[int, Span], ...]:
    """Return the spans of this process with a higher number than `after`, each with its number."""
    with _turn:
        return tuple(pair for pair in _recorded if pair[0] > after)


class Timeline:
    """The spans of one session, from its command's start."""

    def __init__(self) -> None:
        """Begin: for the first session of a process when the process began, for others now."""
        first = not _claimed.is_set()
        _claimed.set()
        here = time.monotonic()
        #: on the monotonic clock.
        self.begun = process_begun(here) if first else here
        self._own = Unread()
        if first:
            record(Span(name="start Python", start=self.begun, end=here))
        self._stored = 0

    def take(self) -> tuple[Span, ...]:
        """Return the spans since the last call, in seconds since the command began, by their starts.

        A session stores at most `MOST`; what goes beyond is one span that says how many there were.
        """
        own = [one for one in self._own.take() if one.end >= self.begun]
        found = [self._since_begun(one) for one in sorted(own, key=lambda one: (one.start, one.end))]
        room = max(0, MOST - self._stored)
        listed, rest = found[:room], found[room:]
        self._stored += len(listed)
        if rest:
            what = f"{len(rest):,} spans"
            listed.append(Span(name=LEFT_OUT, start=rest[0].start, end=max(one.end for one in rest), what=what))
        return tuple(listed)

    def _since_begun(self, one: Span) -> Span:
        start, end = (round(max(0.0, at - self.begun), 4) for at in (one.start, one.end))
        return replace(one, start=start, end=max(start, end))


def process_begun(now: float) -> float:
    """Return when this process began, on the monotonic clock; `now` where the system does not tell."""
    try:
        # the fields after the command's name, which may hold blanks and parentheses
        fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot
    except (OSError, ValueError, IndexError, AttributeError):
        return now
    return now - max(0.0, age)
