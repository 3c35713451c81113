"""docs/measurements/friendliness.md names a test for each line that is done: it exists."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DONE, _, LEFT = (
    (TESTS.parent / "docs/measurements/friendliness.md").read_text(encoding="utf-8").partition("## Not done here")
)
NAMED = re.findall(r"`([\w/]+\.py)::(\w+)` \|$", DONE, re.MULTILINE)


def rows(text):
    return [line for line in text.splitlines() if line.startswith("| ")][1:]


def test_every_line_that_is_done_names_a_test_and_every_other_one_a_reason():
    assert len(rows(DONE)) == len(NAMED) > 40
    assert all(line.count("|") == 3 and len(line.split("|")[2]) > 20 for line in rows(LEFT))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_the_test_of_a_line_exists(file, name):
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
