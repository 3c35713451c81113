"""The reader's own error on a case: no limit may be below it, and each is shown beside it."""

from __future__ import annotations

from qiltest.reading.records import ReaderInfo
from qiltest.suite.cases import Case


def noise_floor_of(case: Case, reader: ReaderInfo, *, tiny: bool) -> float | None:
    """Return the edits that a reader adds on pictures of this case's text, None where that was not measured.

    What the case file states comes first, then the committed calibration of this very reader. That one was measured
    at the case's own sizes, so it says nothing of the embedded model's stand-ins. Raises StoreError where the
    calibration is damaged.
    """
    stated = dict(case.limits.noise_floor).get(reader.name)
    if stated is not None or tiny:
        return stated
    from qiltest.calibration.store import noise_floor  # loads drawing code that no other part of a session needs

    return noise_floor(case.id, reader)
