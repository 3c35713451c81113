import sys
from pathlib import Path

# The suite is imported by path (--import-mode=importlib), so helpers beside the tests are found only this way.
sys.path.insert(0, str(Path(__file__).parent))
