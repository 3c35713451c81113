"""The version of the glyph check: scores of another one are not compared with it."""

from __future__ import annotations

#: Raise it whenever a change of this folder's code may change a log-odds. The network's and the drawings' hashes are
#: beside it in `Verifier.fingerprint`, so new weights need no new version.
GLYPHS_VERSION = 1
