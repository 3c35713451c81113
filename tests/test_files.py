"""Files from outside are read with bounded time and memory."""

import os
from pathlib import Path

import pytest

from qiltest.files import read_file, stamp


def test_a_file_of_exactly_the_most_is_read_and_one_byte_more_is_not(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345678")
    assert read_file(path, most=8) == b"12345678"
    with pytest.raises(OSError, match="at most 7 bytes"):
        read_file(path, most=7)
    path.write_bytes(b"")
    assert read_file(path, most=0) == b""


def test_a_file_that_does_not_know_its_size_is_read_whole_or_not_at_all():
    path = Path("/proc/self/limits")
    assert path.stat().st_size == 0
    assert read_file(path, most=1 << 20) == path.read_bytes()
    with pytest.raises(OSError, match="at most 100 bytes"):
        read_file(path, most=100)


def test_a_sparse_file_of_terabytes_costs_no_memory(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(OSError, match="at most 1,000 bytes"):
        read_file(path, most=1000)


@pytest.mark.timeout(20)
def test_a_fifo_is_refused_without_waiting_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="Not a regular file"):
        read_file(tmp_path / "fifo", most=10)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_a_device_is_never_read(device):
    with pytest.raises(OSError, match=r"Not a regular file|No such device"):
        read_file(Path(device), most=10)


def test_a_folder_and_a_missing_file_keep_their_own_errors(tmp_path):
    with pytest.raises(IsADirectoryError):
        read_file(tmp_path, most=10)
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "missing", most=10)


def test_no_handle_is_left_open(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with pytest.raises(IsADirectoryError):
            read_file(tmp_path, most=10)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_name_that_no_file_can_have_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="Not a file's name"):
        read_file(Path(f"{tmp_path}/a\0b"), most=10)


def test_a_stamp_differs_after_every_change_even_under_equal_size_and_time(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    before = path.stat()
    assert stamp(path.stat()) == stamp(before) == (3, before.st_mtime_ns, before.st_ino, before.st_ctime_ns)
    path.write_bytes(b"abd")
    os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert stamp(path.stat()) != stamp(before)
