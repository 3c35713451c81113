"""READING_VERSION is part of every reading of qiltest's own readers, and nobody forgets to decide on it."""

import ast
from dataclasses import replace

import pytest

import builders as make
from code_meaning import CODE, current, noted
from qiltest.reading import open_reader
from qiltest.reading.registry import _READERS
from qiltest.reading.version import READING_VERSION

REMEDY = """the code that reads does something else than when its version was last decided on
  -> if a reading may change: raise READING_VERSION in src/qiltest/reading/version.py
     if it cannot (the tests of readers agree): leave it
     then run: python tests/code_meaning.py reading"""


def test_the_version_was_decided_on_for_the_code_as_it_is():
    assert current("reading") == noted("reading"), REMEDY


def test_the_version_is_part_of_a_readers_identity_and_not_of_the_fingerprint_of_goldens():
    info = open_reader("rapidocr").info
    assert info.code == READING_VERSION > 0
    other = replace(info, code=READING_VERSION + 1)
    assert other != info
    assert other.fingerprint == info.fingerprint


@pytest.mark.parametrize("module", sorted({module for module, _, _ in _READERS.values()}))
def test_every_reader_of_qiltest_states_the_version(module):
    """Two of the three engines may not be installed."""
    source = (CODE["reading"] / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    infos = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "ReaderInfo"]
    stated = [{keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords} for call in infos]
    assert [keywords["code"] for keywords in stated] == ["READING_VERSION"]


def test_a_reader_of_ones_own_has_no_version_of_qiltests_code():
    assert make.FAKE.code == 0
