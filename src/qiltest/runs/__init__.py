"""The run store: one session's results under `runs/<id>/`, pictures by content hash and one JSON line an event."""

from qiltest.generation.records import Timing
from qiltest.runs.images import StoreWriteError
from qiltest.runs.load import load_run
from qiltest.runs.records import CaseResult, Picture, Run, RunState
from qiltest.runs.store import Reuse, RunStore, Stored
from qiltest.runs.writer import RunWriter

__all__ = [
    "CaseResult",
    "Picture",
    "Reuse",
    "Run",
    "RunState",
    "RunStore",
    "RunWriter",
    "StoreWriteError",
    "Stored",
    "Timing",
    "load_run",
]
