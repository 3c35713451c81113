"""Trends over the recorded runs: a page, JSON lines, and the form of github-action-benchmark."""
