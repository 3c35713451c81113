"""Image quality beside the text: noise, grid, blur, clipping, saturation, and fine detail outside text.

Nothing here needs torch or a reader. `examine` takes pixels; `symptoms` says what is wrong.
"""

from qiltest.quality.limits import gating, symptoms
from qiltest.quality.measure import Examined, examine
from qiltest.quality.records import VERSION, Fault, Health, Symptom

__all__ = [
    "VERSION",
    "Examined",
    "Fault",
    "Health",
    "Symptom",
    "examine",
    "gating",
    "symptoms",
]
