"""A run full of hostile text."""

from fake_runs import fake, hostile

__all__ = ["fake", "hostile"]
