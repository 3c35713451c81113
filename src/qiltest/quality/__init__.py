"""Health of a picture, beside its text: noise, grid, blur, clipping, saturation, and fine detail outside text.

Nothing here needs torch or a reader. `examine` takes pixels; `symptoms` says what is wrong; `compare_detail` which of
two pictures of one scene has more fine detail.
"""

from qiltest.quality.compare import DetailComparison, Finer, compare_detail
from qiltest.quality.limits import gating, symptoms
from qiltest.quality.measure import Examined, examine
from qiltest.quality.records import VERSION, Fault, Health, Symptom

__all__ = [
    "VERSION",
    "DetailComparison",
    "Examined",
    "Fault",
    "Finer",
    "Health",
    "Symptom",
    "compare_detail",
    "examine",
    "gating",
    "symptoms",
]
