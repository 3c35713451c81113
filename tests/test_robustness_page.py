"""docs/measurements/robustness.md names a test for each line: it exists."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs/measurements/robustness.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`([\w/]+\.py)::(\w+)` \|$", PAGE, re.MULTILINE)


def test_every_line_names_a_test():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(NAMED) > 50


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_the_test_of_a_line_exists(file, name):
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
