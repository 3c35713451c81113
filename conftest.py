"""Shared by all tests of the repository."""

pytest_plugins = ["pytester"]
