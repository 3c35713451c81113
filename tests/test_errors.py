"""Errors that a user can fix: their message is made once, and nothing in it acts."""

import pytest

import qiltest.errors
from hostile_texts import HOSTILE, acting
from qiltest.errors import CaseError, QiltestError, StoreError, os_errors_as

KINDS = [kind for kind in vars(qiltest.errors).values() if isinstance(kind, type) and issubclass(kind, QiltestError)]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_an_error_quotes_acts(kind):
    error = kind(HOSTILE, where=HOSTILE, remedy=HOSTILE)
    assert acting(str(error)) == acting(error.what) == acting(error.where) == acting(error.remedy) == []


def test_a_message_is_what_where_and_remedy():
    assert str(StoreError("no run", where="runs", remedy="run pytest")) == "runs: no run\n  -> run pytest"
    assert str(StoreError("no run")) == "no run"


def test_only_a_list_of_mistakes_has_several_lines():
    assert str(StoreError("a\nb", where="c\nd", remedy="e\nf")) == "c ⏎ d: a ⏎ b\n  -> e ⏎ f"
    assert str(CaseError("a\nb")) == "a\nb"


def test_a_name_of_five_thousand_characters_is_cut_and_that_is_said():
    message = str(StoreError("x" * 60_000, where="y" * 5_000, remedy="z" * 5_000))
    assert len(message) < 24_000
    assert message.count("more characters]") == 3


def test_an_error_of_the_system_keeps_its_reason(tmp_path):
    with (
        pytest.raises(StoreError, match=r"a: cannot be read: Is a directory\n  -> b"),
        os_errors_as(StoreError, "cannot be read", where="a", remedy="b"),
    ):
        tmp_path.read_bytes()
