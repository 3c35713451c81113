"""`qiltest report --open`."""

import pytest

from qiltest.cli import report as verbs_report


@pytest.mark.parametrize(
    ("environment", "screen"), [({}, False), ({"DISPLAY": ":0"}, True), ({"WAYLAND_DISPLAY": "w"}, True)]
)
def test_a_browser_is_opened_only_where_there_is_a_screen(environment, screen, monkeypatch):
    monkeypatch.setattr(verbs_report.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert verbs_report._has_screen() is screen
