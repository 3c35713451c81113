"""Paths that begin with `~`."""

from qiltest.files import expanded


def test_a_home_folder_that_is_none_is_left_as_it_is_written(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert str(expanded("~/x")) == "/home/me/x"
    assert str(expanded("~no-such-user/x")) == "~no-such-user/x"
