"""docs/reference/gate.md names a test for each row of what must not pass in silence: it exists and asserts both."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/gate.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (?P<row>[^|]+) \| `(?P<file>test_\w+\.py)::(?P<test>test_\w+)` \|$", PAGE, re.MULTILINE)
ASSERTS = re.compile(r"assert_|refused")
#: what a test of a row says of the exit code, and of the message; helpers of the same file are looked into.
EXIT = re.compile(r"\.ret\b|\.returncode\b|assert main\(")
MESSAGE = re.compile(r"fnmatch_lines|readouterr|\.outlines|\.str\(\)|\.stdout\b|\.stderr\b")


def source_of(file: str, name: str) -> str:
    """Return the source of a test with that of the functions of the same file by which it asserts."""
    text = (ROOT / "tests" / "integration" / file).read_text(encoding="utf-8")
    functions = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    assert name in functions, f"{file} has no {name}"
    seen, wanted = {}, [name]
    while wanted:
        one = wanted.pop()
        seen[one] = ast.get_source_segment(text, functions[one])
        called = {
            node.func.id
            for node in ast.walk(functions[one])
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        wanted += [other for other in called if other in functions and ASSERTS.match(other) and other not in seen]
    return "\n".join(seen.values())


@pytest.mark.parametrize(("row", "file", "test"), ROWS, ids=[f"{file}-{test}" for _, file, test in ROWS])
def test_the_test_of_a_row_exists_and_asserts_exit_code_and_message(row, file, test):
    source = source_of(file, test)
    assert EXIT.search(source), f"{row}: the exit code is not asserted"
    assert MESSAGE.search(source), f"{row}: the message is not asserted"


def test_the_table_has_every_row_once():
    rows = [row for row, _, _ in ROWS]
    assert len(rows) == len(set(rows)) == 123
    lines = PAGE.partition("## What never passes in silence")[2].splitlines()
    assert sum(line.startswith("| ") for line in lines) == len(rows) + 1  # and the head
