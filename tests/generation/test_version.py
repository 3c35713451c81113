"""GENERATION_VERSION is part of every recipe, and nobody forgets to decide on it."""

import shutil

import pytest

from code_meaning import CODE, current, meaning_sha256, noted
from qiltest.generation.version import GENERATION_VERSION

REMEDY = """the code that generates does something else than when its version was last decided on
  -> if an image may change: raise GENERATION_VERSION in src/qiltest/generation/version.py
     if it cannot (test_same_as_the_pipeline.py and the goldens agree): leave it
     then run: python tests/code_meaning.py generation"""


def test_the_version_was_decided_on_for_the_code_as_it_is():
    assert current("generation") == noted("generation"), REMEDY


def test_the_version_is_part_of_every_recipe(generator, recipe):
    assert dict(recipe().versions)["qiltest-generation"] == str(GENERATION_VERSION)


@pytest.fixture
def copy(tmp_path):
    code = CODE["generation"]
    shutil.copytree(code, tmp_path / "code", ignore=lambda _, names: [n for n in names if not n.endswith(".py")])
    return tmp_path / "code"


def rewrite(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_comment_a_docstring_an_annotation_and_a_moved_file_mean_the_same(copy):
    before = meaning_sha256(copy)
    schedule = copy / "schedule.py"
    rewrite(schedule, '"""', '"""Other words. ')
    rewrite(schedule, "-> ", "-> object | ")
    schedule.write_text(f"{schedule.read_text(encoding='utf-8')}\n# a comment\n", encoding="utf-8")
    (copy / "inner").mkdir()
    schedule.rename(copy / "inner" / "times.py")
    assert meaning_sha256(copy) == before


@pytest.mark.parametrize(("old", "new"), [(" - ", " + "), ("math.log(3)", "math.log(2)"), ("1000", "1001")])
def test_an_operator_or_a_number_means_something_else(copy, old, new):
    before = meaning_sha256(copy)
    rewrite(copy / "schedule.py", old, new)
    assert meaning_sha256(copy) != before
