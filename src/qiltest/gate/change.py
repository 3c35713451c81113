"""The verdict on what an edit changed outside the texts that it was to change (docs/reference/edits.md).

The limits are above what faithful outputs have, and below what lost objects have; docs/measurements/edits.md has the
distributions and the rates.
"""

from __future__ import annotations

from dataclasses import replace

from qiltest.gate.golden import Golden, GoldenRest
from qiltest.gate.verdict import Judgement, Verdict, with_fault
from qiltest.quality.change import VERSION, Change

#: Largest share of the compared blocks that may change, and largest patch of them as a share of the image.
SHARE, PATCH = 0.04, 0.012
#: What may change more than in a golden that was accepted beyond a limit: an edit drawn again differs a little.
SHARE_MORE, PATCH_MORE = 0.05, 0.01
#: Share of changed blocks above which identity or layout is lost.
COLLAPSED = 0.35
#: The same share where the layout correlates less than `LAYOUT` with the input's, or nothing can be said of it: on a
#: plain ground a correlation alone says little.
OTHERWISE, LAYOUT = 0.2, 0.6
#: Share of an image that must be compared for a verdict.
COMPARED = 0.1


def with_change(judgement: Judgement, change: Change | None, golden: GoldenRest | None, *, gates: bool) -> Judgement:
    """Return the verdict on an edit's texts and on the rest of its image together.

    A rest that changed beyond the limits is FAIL, unless the golden accepted as much; a collapse is FAIL whatever the
    golden is. A rest that could not be measured is ERROR. `gates` is False where the case has `change = "report"`.
    """
    if change is None:
        what = "the rest of the image was not compared with the input"
        return replace(judgement, verdict=Verdict.ERROR, reasons=(what, *judgement.reasons))
    found = change_fault(change, golden)
    return with_fault(judgement, found, gates=gates) if found else judgement


def change_fault(change: Change, golden: GoldenRest | None = None) -> str:
    """Return what is wrong with the rest of an edit's image in one sentence, or ""."""
    if is_collapse(change):
        return (
            f"collapse: {change.share:.0%} of the rest of the image changed (limit {COLLAPSED:.0%}, {OTHERWISE:.0%} "
            f"where it lies otherwise), and {_layout_words(change)}"
        )
    if not is_too_much(change) or _accepted(change, golden):
        return ""
    before = f"; {golden.share:.1%} in the golden" if golden is not None else ""
    return (
        f"the rest of the image changed: {change.share:.1%} of it (limit {SHARE:.1%}), the largest patch "
        f"{change.patch:.1%} of the image (limit {PATCH:.1%}){before}"
    )


def collapsed(change: Change | None) -> str:
    """Return why an edit's image never becomes a golden, or ""."""
    return change_fault(change) if change is not None and is_collapse(change) else ""


def changed_more(change: Change | None, golden: Golden | None) -> str:
    """Return why only a person who has seen an edit's image may make it a golden, or ""."""
    return "" if change is None else change_fault(change, None if golden is None else golden.change)


def is_too_much(change: Change) -> bool:
    """Return whether the rest of the image changed."""
    return not (change.share <= SHARE and change.patch <= PATCH)


def is_collapse(change: Change) -> bool:
    """Return whether the image is another one: its identity or layout is lost. Nothing is said of too small a rest."""
    if not change.compared >= COMPARED:
        return False
    return not (change.share <= COLLAPSED and (change.share <= OTHERWISE or _lies_alike(change)))


def _lies_alike(change: Change) -> bool:
    """Return whether the layout is the input's; where no correlation is defined, nothing says that it is."""
    return change.layout is not None and change.layout >= LAYOUT


def _layout_words(change: Change) -> str:
    if change.layout is None:
        return "its layout cannot be compared with the input's: one of them is of one colour, or too little is compared"
    return f"its layout correlates with the input's by {change.layout:.2f} ({LAYOUT:g} is alike)"


def _accepted(change: Change, golden: GoldenRest | None) -> bool:
    if golden is None or golden.version != VERSION:
        return False
    share = golden.share + SHARE_MORE if golden.share > SHARE else SHARE
    patch = golden.patch + PATCH_MORE if golden.patch > PATCH else PATCH
    return change.share <= share and change.patch <= patch
