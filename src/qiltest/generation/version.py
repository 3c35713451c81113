"""The version of the code that generates: part of every recipe."""

from __future__ import annotations

#: Raise it by one whenever a change of this folder may change an image. Stored images and latencies of another version
#: are not reused, and a golden recorded with another version says so. A comment, a new name or a moved file leaves it.
#: `tests/generation/test_version.py` fails where the code's meaning changed without a decision.
GENERATION_VERSION = 2
