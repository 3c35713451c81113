"""Fake runs and a browser, for all tests of reports."""

from fake_runs import browser, case, fake, hostile, open_page, open_report, slow, store, told, typical

__all__ = ["browser", "case", "fake", "hostile", "open_page", "open_report", "slow", "store", "told", "typical"]
