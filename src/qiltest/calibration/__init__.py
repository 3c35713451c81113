"""A reader's own error, measured on images of known text: the noise floor that no limit may be below."""

from qiltest.calibration.records import Floor, Rate

__all__ = ["Floor", "Rate"]
