"""Makes the modules of `tools/tiny_model` importable: the editing model is trained with them."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/tiny_model"))
