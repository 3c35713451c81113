"""The run store: one session's results under `runs/<id>/`, pictures by content hash and one JSON line an event."""

from qiltest.runs.records import CaseResult, Picture, Point, Run, RunState, Timing

__all__ = ["CaseResult", "Picture", "Point", "Run", "RunState", "Timing"]
