"""What an edit changed outside the texts that it was to change."""

from qiltest.quality.change.measure import measure_change
from qiltest.quality.change.records import VERSION, Box, Change

__all__ = ["VERSION", "Box", "Change", "measure_change"]
