"""Temporary files of killed processes are removed; those that a process is writing stay."""

import fcntl
import os
import signal

from qiltest.files import _temporary, remove_leftovers, write_atomically


def killed_while_writing(path):
    """Leave a temporary file of `path`, as a process does that is killed before the file has its name."""
    if (child := os.fork()) == 0:
        os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        write_atomically(path, b"never")
        os._exit(0)
    os.waitpid(child, 0)
    (left,) = path.parent.glob(".*.tmp")
    return left


def test_the_next_write_of_the_file_removes_what_a_killed_process_left_of_it(tmp_path):
    path = tmp_path / "golden.json"
    killed_while_writing(path)
    write_atomically(tmp_path / "other.json", b"other")
    assert len(list(tmp_path.glob(".golden.json.*.tmp"))) == 1
    write_atomically(path, b"whole")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["golden.json", "other.json"]
    assert path.read_bytes() == b"whole"


def test_a_temporary_file_that_somebody_is_writing_stays(tmp_path):
    handle, living = _temporary(tmp_path, ".golden.json.")
    remove_leftovers(tmp_path)
    write_atomically(tmp_path / "golden.json", b"whole")
    assert living.exists()
    os.close(handle)
    remove_leftovers(tmp_path)
    assert not living.exists()


def test_a_temporary_file_that_is_taken_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    taken = []

    def lock(handle, how):
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()

    monkeypatch.setattr(fcntl, "flock", lock)
    handle, path = _temporary(tmp_path, ".x.")
    os.close(handle)
    assert path.exists()
    assert path != taken[0]


def test_only_plain_files_of_that_name_are_removed(tmp_path):
    (tmp_path / ".folder.tmp").mkdir()
    (tmp_path / ".link.tmp").symlink_to(tmp_path / "target")
    (tmp_path / "target").write_text("kept")
    os.mkfifo(tmp_path / ".fifo.tmp")
    (tmp_path / "visible.tmp").write_text("kept")
    (tmp_path / ".hidden").write_text("kept")
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "none")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {".folder.tmp", ".link.tmp", "target", ".fifo.tmp", "visible.tmp", ".hidden"}
