"""The gate: goldens, verdicts on text and image quality, latency."""

from qiltest.gate.golden import Golden, GoldenStore
from qiltest.gate.judge import judge
from qiltest.gate.latency import Cohort, LatencyJudgement, LatencyStore, judge_latency
from qiltest.gate.verdict import Judgement, Verdict

__all__ = [
    "Cohort",
    "Golden",
    "GoldenStore",
    "Judgement",
    "LatencyJudgement",
    "LatencyStore",
    "Verdict",
    "judge",
    "judge_latency",
]
