"""Fake runs, whose findings are held against those of the published report."""

from fake_runs import case, fake, told, typical

__all__ = ["case", "fake", "told", "typical"]
