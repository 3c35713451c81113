"""Fake runs."""

from fake_runs import case, fake

__all__ = ["case", "fake"]
