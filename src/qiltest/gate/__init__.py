"""Golden, verdict, paired comparison, latency."""

from qiltest.gate.verdict import Judgement, Verdict

__all__ = ["Judgement", "Verdict"]
