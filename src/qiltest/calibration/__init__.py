"""A reader's own error, measured on images of known text: a limit below it would judge the reader."""

from qiltest.calibration.measure import Floor, Rate, calibrate
from qiltest.calibration.store import noise_floor, read_floor, write_floor

__all__ = ["Floor", "Rate", "calibrate", "noise_floor", "read_floor", "write_floor"]
