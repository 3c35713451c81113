"""Scores and goldens of one text."""

from score_maker import make

__all__ = ["make"]
