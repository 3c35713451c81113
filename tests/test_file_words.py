"""How files are written and read at the limits: modes, temporary names, folders, exact errors."""

import errno
import os
import stat
from pathlib import Path

import pytest

from qiltest import files
from qiltest.files import read_file, remove_leftovers, write_atomically


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_file_has_the_mode_that_the_umask_leaves(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "a", b"1")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_folders_on_the_way_are_made(tmp_path):
    write_atomically(tmp_path / "a" / "b" / "c", b"1")
    assert (tmp_path / "a" / "b" / "c").read_bytes() == b"1"


def test_the_temporary_file_is_beside_the_target_and_named_after_it(tmp_path, monkeypatch):
    seen = []
    sync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda handle: (seen.append(sorted(p.name for p in tmp_path.iterdir())), sync(handle))
    )
    name = "n" * 60
    write_atomically(tmp_path / name, b"1")
    (temporary,) = seen[0]
    assert temporary.startswith(f".{'n' * 40}.")
    assert not temporary.startswith(f".{'n' * 41}")
    assert temporary.endswith(".tmp")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_leftovers_of_the_same_file_alone_are_removed_when_it_is_written(tmp_path):
    for name in (".a.dead.tmp", ".b.dead.tmp", "a.dead.tmp", ".a.dead.txt"):
        (tmp_path / name).write_bytes(b"x")
    write_atomically(tmp_path / "a", b"1")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.dead.txt", ".b.dead.tmp", "a", "a.dead.tmp"]


def test_leftovers_are_hidden_files_of_the_ending_and_nothing_else(tmp_path):
    for name in (".x.tmp", "y.tmp", ".z.txt", "w"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".folder.tmp").mkdir()
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".folder.tmp", ".z.txt", "w", "y.tmp"]


def test_a_folder_that_is_missing_has_no_leftovers(tmp_path):
    remove_leftovers(tmp_path / "missing")


def test_a_leftover_that_cannot_be_removed_stays_and_the_others_go(tmp_path, monkeypatch):
    for name in (".a.tmp", ".b.tmp"):
        (tmp_path / name).write_bytes(b"x")
    unlink = Path.unlink

    def refuse(path, *args):
        if path.name == ".a.tmp":
            raise PermissionError(errno.EACCES, "no")
        unlink(path, *args)

    monkeypatch.setattr(Path, "unlink", refuse)
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".a.tmp"]


def test_a_file_that_cannot_be_written_leaves_no_temporary_and_keeps_its_first_error(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        write_atomically(tmp_path / "a", b"1")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(Path, "unlink", lambda path: (_ for _ in ()).throw(OSError(errno.EROFS, "read-only")))
    with pytest.raises(OSError, match="full"):
        write_atomically(tmp_path / "a", b"1")


def test_a_file_system_without_locks_and_one_that_cannot_sync_folders_are_written_to(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    write_atomically(tmp_path / "a", b"1")
    sync = os.fsync

    def files_only(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "no")
        sync(handle)

    monkeypatch.setattr(os, "fsync", files_only)
    write_atomically(tmp_path / "a", b"2")
    assert (tmp_path / "a").read_bytes() == b"2"


def test_a_temporary_file_that_is_taken_for_a_dead_ones_is_made_again(tmp_path, monkeypatch):
    lock = files.fcntl.flock
    taken = []

    def removed_before_it_is_locked(handle, operation):
        if not taken:
            (path,) = tmp_path.iterdir()
            path.unlink()
            taken.append(handle)
        lock(handle, operation)

    monkeypatch.setattr(files.fcntl, "flock", removed_before_it_is_locked)
    write_atomically(tmp_path / "a", b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(("size", "most"), [(10, 10), (0, 0), (9, 10)])
def test_a_file_of_the_most_bytes_is_read(tmp_path, size, most):
    (tmp_path / "a").write_bytes(b"x" * size)
    assert read_file(tmp_path / "a", most=most) == b"x" * size


def test_a_file_of_one_byte_more_is_refused_with_its_name_and_number(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1001)
    with pytest.raises(OSError, match="at most") as error:
        read_file(path, most=1000)
    assert error.value.errno == errno.EFBIG
    assert error.value.filename == str(path)
    assert error.value.strerror == "File too large (at most 1,000 bytes are read)"


class Watched:
    """A file that was `size` bytes long when it was opened, and holds `held` by now."""

    def __init__(self, path, size, held):
        path.write_bytes(b"x" * size)
        self.file, self.held, self.asked = path.open("rb"), held, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def fileno(self):
        return self.file.fileno()

    def read(self, count):
        self.asked.append(count)
        return b"x" * min(count, self.held)


def test_a_file_that_grows_while_it_is_read_is_refused_after_one_byte_more(tmp_path, monkeypatch):
    opened = Watched(tmp_path / "a", 10, 5000)
    monkeypatch.setattr(files, "open_regular", lambda _: opened)
    with pytest.raises(OSError, match="at most 20 bytes"):
        read_file(tmp_path / "a", most=20)
    assert opened.asked == [21]


def test_a_larger_file_is_not_read_at_all(tmp_path, monkeypatch):
    opened = Watched(tmp_path / "a", 100, 100)
    monkeypatch.setattr(files, "open_regular", lambda _: opened)
    with pytest.raises(OSError, match="at most 99 bytes"):
        read_file(tmp_path / "a", most=99)
    assert opened.asked == []
