"""The run store: one session's results in `runs/<id>/`, images by content hash and one JSON line per event."""

from qiltest.generation.records import Timing
from qiltest.runs.images import StoreWriteError
from qiltest.runs.load import load_run
from qiltest.runs.records import CaseResult, Run, RunState, StoredImage
from qiltest.runs.store import Reuse, RunStore, Stored
from qiltest.runs.writer import RunWriter

__all__ = [
    "CaseResult",
    "Reuse",
    "Run",
    "RunState",
    "RunStore",
    "RunWriter",
    "StoreWriteError",
    "Stored",
    "StoredImage",
    "Timing",
    "load_run",
]
