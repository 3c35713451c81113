"""What was measured of a large LoRA file is not measured again: in this process, and on disk by the file's hash."""

import os

import pytest

from qiltest import hashing
from qiltest.lora import inspect_lora, inspection, known
from small_loras import BASE, lora, write


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """Let small files count as large, keep nothing from other tests, and return the modules that are measured."""
    monkeypatch.setenv("QILTEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(known, "REMEMBERED_FROM", 1)
    monkeypatch.setattr(hashing, "REMEMBERED_FROM", 1)
    hashing._sha256.cache_clear()
    known._seen.clear()
    seen, measure = [], inspection.measure
    monkeypatch.setattr(
        inspection, "measure", lambda pair, *rest, **more: (seen.append(pair.module), measure(pair, *rest, **more))[1]
    )
    return seen


def forget():
    """Be another process."""
    known._seen.clear()
    hashing._sha256.cache_clear()


def test_a_file_is_measured_once_in_a_process(measured, tmp_path):
    path = write(tmp_path, lora())
    first = inspect_lora(path, base=BASE)
    count = len(measured)
    assert count == len(first.modules) > 0
    assert inspect_lora(path, base=BASE) == first
    assert len(measured) == count


def test_another_process_finds_it_on_disk_and_says_the_same(measured, tmp_path):
    path = write(tmp_path, lora())
    first = inspect_lora(path, base=BASE)
    measured.clear()
    forget()
    assert inspect_lora(path, base=BASE) == first
    assert measured == []


def test_the_same_bytes_in_another_place_are_hashed_but_not_measured_where_the_hash_is_known(measured, tmp_path):
    path = write(tmp_path, lora())
    inspect_lora(path, base=BASE)
    copy = write(tmp_path, lora(), name="copy.safetensors")
    hashing.file_sha256(copy)
    measured.clear()
    forget()
    assert inspect_lora(copy, base=BASE).sha256 == inspect_lora(path, base=BASE).sha256
    assert measured == []


def test_a_file_that_changed_is_measured_again(measured, tmp_path):
    path = write(tmp_path, lora())
    before = inspect_lora(path, base=BASE)
    measured.clear()
    write(tmp_path, lora(seed=1))
    after = inspect_lora(path, base=BASE)
    assert len(measured) == len(after.modules)
    assert [m.norm for m in after.modules] != [m.norm for m in before.modules]


def test_a_change_under_equal_size_and_time_is_measured_again(measured, tmp_path):
    path = write(tmp_path, lora())
    inspect_lora(path, base=BASE)
    stat = path.stat()
    measured.clear()
    write(tmp_path, lora(seed=1))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert inspect_lora(path, base=BASE).sha256 != ""
    assert measured


def test_other_code_measures_again(measured, tmp_path, monkeypatch):
    path = write(tmp_path, lora())
    inspect_lora(path, base=BASE)
    measured.clear()
    forget()
    monkeypatch.setattr(known, "_code", lambda: "of another version")
    inspect_lora(path, base=BASE)
    assert measured


@pytest.mark.parametrize("damage", [b"{", b"{}", b'{"key": "other", "measured": []}', b"\xff"])
def test_a_damaged_record_is_not_believed(measured, tmp_path, damage):
    path = write(tmp_path, lora())
    first = inspect_lora(path, base=BASE)
    (record,) = (tmp_path / "cache" / "inspections").iterdir()
    record.write_bytes(damage)
    measured.clear()
    forget()
    assert inspect_lora(path, base=BASE) == first
    assert measured


def test_what_is_not_finite_is_not_written(measured, tmp_path):
    arrays = lora()
    next(array for name, array in arrays.items() if "lora_up" in name)[0, 0] = float("nan")
    report = inspect_lora(write(tmp_path, arrays), base=BASE)
    assert report.non_finite
    assert not (tmp_path / "cache" / "inspections").exists()


def test_forgotten_hashes_are_made_again_and_the_record_is_found_by_them(measured, tmp_path):
    path = write(tmp_path, lora())
    first = inspect_lora(path, base=BASE)
    hashing.forget()
    known._seen.clear()
    assert inspect_lora(path, base=BASE) == first


def test_threads_that_ask_at_once_have_it_measured_once(measured, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    path = write(tmp_path, lora())
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: inspect_lora(path, base=BASE), range(4)))
    assert all(report == reports[0] for report in reports)
    assert len(measured) == len(reports[0].modules)
