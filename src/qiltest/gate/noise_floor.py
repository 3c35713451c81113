"""The reader's own error on a case: no limit on a distance may be below it."""

from __future__ import annotations

from qiltest.calibration.store import floors_of, read_floor
from qiltest.reading.records import ReaderInfo
from qiltest.suite.cases import Case


def noise_floor_of(case: Case, reader: ReaderInfo, *, tiny: bool) -> float | None:
    """Return the edits that a reader adds on images of this case's text, None where that was not measured.

    What the case file states comes first, then the calibration of this very reader (weights and settings) in `floors/`
    beside the case file. That one was measured at the case's own sizes, so it says nothing of the embedded model's
    stand-ins. Raises StoreError where the calibration is damaged.
    """
    stated = dict(case.limits.noise_floor).get(reader.name)
    if stated is not None or tiny:
        return stated
    found = read_floor(case.id, reader.name, floors_of(case))
    return found.floor if found is not None and found.fingerprint == reader.fingerprint else None
