"""Hashes are remembered by path, size and time, and nothing is written half."""

import hashlib
import os

import pytest

from qiltest import hashing


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


def test_a_damaged_memory_of_hashes_is_no_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("QILTEST_CACHE", str(tmp_path))
    monkeypatch.setattr(hashing, "REMEMBERED_FROM", 1)
    (tmp_path / "hashes.json").write_text("{not json")
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert hashing.file_sha256(path) == hashlib.sha256(b"abc").hexdigest()


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
