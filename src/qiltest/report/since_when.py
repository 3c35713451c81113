"""Since when images do not pass, in words: new, recurring, fixed, and what changed since the last good run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from qiltest.runs.records import Run
from qiltest.runs.streaks import Moment, Standing, Streak, streaks
from qiltest.text.escape import printable_line
from qiltest.text.format import count

#: changes that one sentence names.
_NAMED = 6


def summary_of(found: Iterable[Streak]) -> str:
    """Return how many images are new, recurring, fixed or flaky, such as `1 new, 2 recurring`; "" for none."""
    counts = Counter(streak.standing for streak in found)
    return ", ".join(f"{counts[standing]} {standing}" for standing in Standing if counts[standing])


def words(streak: Streak) -> str:
    """Return since when an image does not pass, and what changed then, as one sentence without a full stop."""
    return "; ".join(filter(None, (_since(streak), _changed(streak), _flaky(streak))))


def terminal_lines(run: Run, *, most: int) -> Iterator[str]:
    """Yield the streaks of a run as lines for a terminal, at most `most` images of them."""
    found = streaks(run)
    if not found:
        return
    yield f"since when: {summary_of(found)}"
    yield from (printable_line(f"  {streak.standing:<9} {streak.sample}: {words(streak)}") for streak in found[:most])
    if len(found) > most:
        yield f"  and {count(len(found) - most, 'more image')}; see the report"


def _since(streak: Streak) -> str:
    if streak.standing is Standing.FLAKY:
        return "passes"
    if streak.standing is Standing.FIXED:
        return f"passes again after {count(streak.runs, 'run')}{' in a row' if streak.runs > 1 else ''}"
    last = "no run on record passes" if streak.last_good is None else f"last good {_named(streak.last_good)}"
    if streak.standing is Standing.NEW:
        return f"did not fail before; {last}" if streak.last_good else "first run on record"
    first = "" if streak.first_bad is None else f", first {_named(streak.first_bad)}"
    return f"{count(streak.runs, 'run')} in a row{first}; {last}"


def _named(moment: Moment) -> str:
    return f"{moment.started[:10]} ({moment.run})"


def _changed(streak: Streak) -> str:
    if not streak.changed:
        return ""
    rest = len(streak.changed) - _NAMED
    shown = ", ".join(streak.changed[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
    return f"changed then: {shown}"


def _flaky(streak: Streak) -> str:
    if not streak.flaky:
        return ""
    return (
        f"flaky: changed {count(streak.flips, 'time')} between passing and failing in the last {streak.seen} runs, "
        "with nothing else changed; `qiltest stability` says which texts move"
    )
