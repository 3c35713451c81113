"""Measure a reader's own error on images of known text: the noise floor that no limit may be below."""

from qiltest.calibration.records import Floor, Rate

__all__ = ["Floor", "Rate"]
