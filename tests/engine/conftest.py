"""Events of a small run, as the suite writes them, and fake runs."""

from fake_runs import case, fake, typical
from run_events import make

__all__ = ["case", "fake", "make", "typical"]
