"""Image quality: noise, grid artefacts, blur, clipping, saturation, fine detail and scene outside text.

`examine` measures pixels; `symptoms` compares the measures with limits. Nothing here needs torch or a reader.
"""

from qiltest.quality.limits import gating, symptoms
from qiltest.quality.measure import Examined, examine
from qiltest.quality.records import VERSION, Fault, Health, Symptom

__all__ = ["VERSION", "Examined", "Fault", "Health", "Symptom", "examine", "gating", "symptoms"]
