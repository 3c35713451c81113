"""Health as part of a picture's verdict."""

from __future__ import annotations

from dataclasses import replace

from qiltest.gate.verdict import Judgement, Verdict
from qiltest.quality.limits import gating
from qiltest.quality.records import Fault, Health


def judged_with(judgement: Judgement, health: Health | None, *, gates: bool = True) -> Judgement:
    """Return the verdict on a picture's text and health together.

    Noise and a grid are FAIL whatever the text says; a blank picture is ERROR: nothing was drawn that could be judged.
    `gates` False: the case says `health = "report"`, and its pictures may have grain or a lattice.
    """
    found = gating(health) if gates and health is not None else ()
    if not found:
        return judgement
    blank = any(symptom.fault is Fault.BLANK for symptom in found)
    reasons = tuple(symptom.message for symptom in found)
    return replace(judgement, verdict=Verdict.ERROR if blank else Verdict.FAIL, reasons=(*reasons, *judgement.reasons))
