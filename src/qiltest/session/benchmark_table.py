"""pytest-benchmark's own table: of an image generated once it says nothing that the suite's table does not say."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

#: options that ask for the table, each with its default, or None where the default is empty.
_ASKING = {
    "benchmark_verbose": None,
    "benchmark_columns": None,
    "benchmark_sort": "min",
    "benchmark_group_by": "group",
    "benchmark_name": "normal",
    "benchmark_histogram": None,
    "benchmark_compare": None,
    "benchmark_cprofile": None,
}
_NOTHING_NEW = "ignore:Not saving anything, no benchmarks have been run"


def hide_table(config: pytest.Config, others: Iterable[pytest.Item]) -> None:
    """Hide the table, unless an option of it was given, or one of the `others` (tests of a project) has a benchmark.

    Its JSON, its comparisons and what they fail stay.
    """
    benchmarks = getattr(config, "_benchmarksession", None)
    if benchmarks is None or _asked(config) or any("benchmark" in getattr(one, "fixturenames", ()) for one in others):
        return
    benchmarks.quiet = True
    # where every image was reused; its latency is in the run
    config.addinivalue_line("filterwarnings", _NOTHING_NEW)


def _asked(config: pytest.Config) -> bool:
    known = vars(config.option)
    return any(known.get(name) and known[name] != unasked for name, unasked in _ASKING.items())
