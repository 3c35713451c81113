"""Events of a small run as the suite writes them, and fake runs."""

from fake_runs import fake, typical
from run_events import make

__all__ = ["fake", "make", "typical"]
