"""Hashes are remembered by path, size and time, and nothing is written half."""

import hashlib
import json
import os

import pytest

from qiltest import hashing
from qiltest.errors import StoreError
from qiltest.files import stamp


def test_a_large_files_hash_is_remembered_on_disk_and_made_again_when_it_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("QILTEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hashing, "REMEMBERED_FROM", 10)
    reads = []
    read = hashing._read_sha256
    monkeypatch.setattr(hashing, "_read_sha256", lambda path: (reads.append(path), read(path))[1])
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"0123456789abc")
    for _ in range(3):
        hashing._sha256.cache_clear()
        assert hashing.file_sha256(path) == hashlib.sha256(b"0123456789abc").hexdigest()
    assert len(reads) == 1
    path.write_bytes(b"0123456789abd")
    os.utime(path, ns=(1, 1))
    assert hashing.file_sha256(path) == hashlib.sha256(b"0123456789abd").hexdigest()


@pytest.fixture
def hashed(tmp_path, monkeypatch):
    """A file that is remembered in the folder `cache`, and its hash."""
    monkeypatch.setenv("QILTEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hashing, "REMEMBERED_FROM", 1)
    (tmp_path / "cache").mkdir()
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    return path, hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("memory", ["{not json", "[" * 200_000, "9" * 5_000, "[1]", "7", "", "\udcff", '{"a": 1}'])
def test_a_damaged_memory_of_hashes_is_no_memory(hashed, memory):
    path, sha256 = hashed
    (path.parent / "cache" / "hashes.json").write_bytes(memory.encode("utf-8", "surrogateescape"))
    assert hashing.file_sha256(path) == sha256


def test_a_memory_that_is_no_file_is_no_memory(hashed):
    path, sha256 = hashed
    (path.parent / "cache" / "hashes.json").mkdir()
    assert hashing.file_sha256(path) == sha256


def test_a_memory_that_is_a_fifo_is_not_waited_for(hashed):
    path, sha256 = hashed
    os.mkfifo(path.parent / "cache" / "hashes.json")
    assert hashing.file_sha256(path) == sha256


def test_a_remembered_hash_that_is_none_is_not_believed(hashed):
    path, sha256 = hashed
    key = "|".join(map(str, (path, *stamp(path.stat()))))
    (path.parent / "cache" / "hashes.json").write_text(json.dumps({key: "0" * 64}))
    assert hashing.file_sha256(path) == "0" * 64  # the key is that of the file
    hashing._sha256.cache_clear()
    (path.parent / "cache" / "hashes.json").write_text(json.dumps({key: "\u001b[31m"}))
    assert hashing.file_sha256(path) == sha256


def test_bytes_that_change_under_equal_size_and_time_have_another_hash(hashed):
    path, _ = hashed
    before, time = hashing.file_sha256(path), path.stat().st_mtime_ns
    path.write_bytes(b"abd")
    os.utime(path, ns=(time, time))
    assert path.stat().st_mtime_ns == time
    assert hashing.file_sha256(path) != before


def test_forgotten_hashes_are_made_again_and_remembered_anew(hashed):
    path, sha256 = hashed
    memory = path.parent / "cache" / "hashes.json"
    hashing.file_sha256(path)
    memory.write_text(memory.read_text().replace(sha256, "0" * 64))
    hashing._sha256.cache_clear()
    assert hashing.file_sha256(path) == "0" * 64
    hashing.forget()
    assert hashing.file_sha256(path) == sha256
    assert list(json.loads(memory.read_text()).values()) == [sha256]


def test_what_was_never_remembered_is_forgotten(hashed, monkeypatch, tmp_path):
    hashing.forget()
    monkeypatch.setenv("QILTEST_CACHE", str(tmp_path / "nowhere"))
    hashing.forget()
    assert not (tmp_path / "nowhere").exists()


def test_a_memory_that_cannot_be_forgotten_is_an_error(hashed):
    path, _ = hashed
    (path.parent / "cache" / "hashes.json").mkdir()
    with pytest.raises(StoreError, match="remembered hashes cannot be removed"):
        hashing.forget()


def test_a_user_without_a_home_folder_has_hashes_and_no_cache(hashed, monkeypatch):
    path, sha256 = hashed

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    for name in ("QILTEST_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(hashing.Path, "home", homeless)
    assert hashing.file_sha256(path) == sha256
    with pytest.raises(StoreError, match="QILTEST_CACHE"):
        hashing.cache_folder()


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hashing.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        hashing.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
