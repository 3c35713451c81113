"""The version of the code that reads: stored readings of another one are not taken."""

from __future__ import annotations

#: Raise it by one whenever a change of this folder may change a reading. Stored readings of another version are read
#: again. Goldens go on: they were accepted by what the reader's weights and settings read, and a reading that changes
#: shows as a distance; a golden tells the version it was recorded with. A comment or a new name leaves it.
#: `tests/reading/test_reading_version.py` fails where the code's meaning changed without a decision.
READING_VERSION = 7
