"""Fake runs, for commands that show stored ones."""

from fake_runs import case, fake, hostile, store, told, typical

__all__ = ["case", "fake", "hostile", "store", "told", "typical"]
