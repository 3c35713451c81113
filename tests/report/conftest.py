"""Fake runs and a browser, for all tests of reports."""

from fake_runs import accepted_error, browser, case, fake, hostile, open_page, open_report, slow, store, told, typical

__all__ = [
    "accepted_error",
    "browser",
    "case",
    "fake",
    "hostile",
    "open_page",
    "open_report",
    "slow",
    "store",
    "told",
    "typical",
]
