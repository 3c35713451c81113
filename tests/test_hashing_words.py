"""Where hashes are remembered, and what is said where they cannot be."""

import json
from pathlib import Path

import pytest

from qiltest import hashing
from qiltest.errors import StoreError


@pytest.fixture
def unset(monkeypatch):
    for name in ("QILTEST_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_cache_is_where_the_variable_says_else_in_the_users_cache_folder(unset, tmp_path):
    unset.setenv("HOME", str(tmp_path))
    assert hashing.cache_folder() == tmp_path / ".cache" / "qiltest"
    unset.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert hashing.cache_folder() == tmp_path / "xdg" / "qiltest"
    unset.setenv("QILTEST_CACHE", str(tmp_path / "own"))
    assert hashing.cache_folder() == tmp_path / "own"


def test_without_a_home_folder_there_is_no_cache(unset):
    def homeless():
        raise RuntimeError("no home")

    unset.setattr(Path, "home", homeless)
    with pytest.raises(StoreError) as error:
        hashing.cache_folder()
    assert error.value.what == "there is no home folder for the cache"
    assert error.value.remedy == "set QILTEST_CACHE to a folder"


def test_a_memory_that_cannot_be_removed_is_an_error_with_its_path(tmp_path, monkeypatch):
    monkeypatch.setenv("QILTEST_CACHE", str(tmp_path))
    (tmp_path / "hashes.json").mkdir()
    with pytest.raises(StoreError) as error:
        hashing.forget()
    assert error.value.what.startswith("the remembered hashes cannot be removed")
    assert error.value.where == str(tmp_path / "hashes.json")
    assert error.value.remedy == "remove the file, or choose another folder by QILTEST_CACHE"


def test_the_folder_of_the_memory_is_made_with_those_above_it_and_the_memory_has_a_line_per_file(tmp_path, monkeypatch):
    monkeypatch.setenv("QILTEST_CACHE", str(tmp_path / "a" / "b"))
    monkeypatch.setattr(hashing, "REMEMBERED_FROM", 1)
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        hashing.file_sha256(tmp_path / name)
    memory = (tmp_path / "a" / "b" / "hashes.json").read_text()
    assert len(json.loads(memory)) == 2
    assert memory.splitlines()[1].startswith('"/')
    assert len(memory.splitlines()) == 4


def test_a_memory_that_another_process_holds_for_long_is_done_without(tmp_path, monkeypatch):
    monkeypatch.setenv("QILTEST_CACHE", str(tmp_path))
    monkeypatch.setattr(hashing, "REMEMBERED_FROM", 1)
    monkeypatch.setattr(hashing, "_PATIENCE", 0.05)
    (tmp_path / "file").write_text("x")
    with hashing.FileLock(f"{tmp_path / 'hashes.json'}.lock"):
        assert len(hashing.file_sha256(tmp_path / "file")) == 64
    assert not (tmp_path / "hashes.json").exists()
