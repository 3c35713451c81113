"""A reader's own error, measured on pictures of known text (DESIGN, scoring rule 6)."""

from qiltest.calibration.measure import Floor, Rate, calibrate
from qiltest.calibration.store import noise_floor, read_floor, write_floor

__all__ = ["Floor", "Rate", "calibrate", "noise_floor", "read_floor", "write_floor"]
