"""Events of a small run, as the suite writes them."""

from run_events import make

__all__ = ["make"]
