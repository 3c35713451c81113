"""`python -m qiltest`, the same as `qiltest`."""

import sys

from qiltest.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
