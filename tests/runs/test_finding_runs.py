"""Which run a name means, what is said where it means none, and what an image's bytes and clock do to the store."""

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qiltest.errors import StoreError
from qiltest.runs import RunStore, load_run
from qiltest.runs import images as storing
from qiltest.runs.events import encode
from qiltest.runs.images import Hashes, link_image
from qiltest.runs.lines import EVENTS
from qiltest.runs.records import Purpose
from qiltest.runs.store import LATEST, RUNS, Reuse


@pytest.fixture
def store(tmp_path):
    return RunStore(root=tmp_path / "runs")


def written(store, make, number=0, **started):
    with store.create() as writer:
        writer.append(make.started(writer.id, 1, **started))
        writer.append(make.generated(writer.put(make.png(number)), number))
    return store.root / writer.id


def refused(store, name):
    with pytest.raises(StoreError) as error:
        store.find(name)
    return error.value


def test_a_bundle_is_named_by_its_folder(store, make, tmp_path):
    folder = written(store, make)
    bundle = tmp_path / "bundle"
    shutil.copytree(store.root, bundle / RUNS)
    assert RunStore(root=tmp_path / "elsewhere").find(str(bundle)) == bundle / RUNS / folder.name
    written(RunStore(root=bundle / RUNS), make)
    error = refused(store, str(bundle))  # of two nobody knows which is meant
    assert error.what.startswith("no run '")
    assert error.where == str(store.root)


def test_a_zip_says_how_to_unpack_it(store, tmp_path):
    bundle = tmp_path / "night 1.zip"
    bundle.write_bytes(b"PK")
    error = refused(store, str(bundle))
    assert error.what == "a zip is read once it is unpacked"
    assert error.where == str(bundle)
    assert error.remedy == f"`python -m zipfile -e '{bundle}' FOLDER`, then name the folder in FOLDER"


def test_another_file_is_no_zip(store, make, tmp_path):
    written(store, make)
    (tmp_path / "notes.txt").write_text("")
    assert refused(store, str(tmp_path / "notes.txt")).what == f"no run {str(tmp_path / 'notes.txt')!r}"
    assert refused(store, "night.zip").what == "no run 'night.zip'"


@pytest.mark.parametrize("name", ["a\0b", "x" * 5_000])
def test_a_name_that_can_be_no_path_is_no_run(store, make, name):
    folder = written(store, make)
    error = refused(store, name)
    assert error.what.startswith("no run '")
    assert error.where == str(store.root)
    assert error.remedy == f"write `latest` or an id; the last ids: {folder.name}"


def test_several_runs_where_one_is_taken_are_named_so(store, make):
    folder = written(store, make)
    error = refused(store, f"{folder.name}+other")
    assert error.what == f"'{folder.name}+other' names several runs, and this takes one at a time"
    assert error.where == str(store.root)
    assert error.remedy == (
        "repeat the command for each of them; `qiltest report` (without --bundle) and `qiltest compare` take several"
    )


@pytest.mark.parametrize("name", ["+", "nobody+"])
def test_a_plus_at_the_end_joins_nothing(store, make, name):
    written(store, make)
    assert refused(store, name).what == f"no run {name!r}"


def test_the_start_of_several_ids_says_how_many(store, make):
    first, second = written(store, make), written(store, make)
    error = refused(store, "2")
    assert error.what == "2 runs begin with '2'"
    assert error.remedy == f"write `latest` or an id; the last ids: {first.name}, {second.name}"


def test_the_latest_is_the_last_run_of_the_suite(store, make):
    suite = written(store, make)
    checks = [written(store, make, purpose=purpose) for purpose in (Purpose.CHECK, Purpose.STABILITY)]
    assert store.find(LATEST) == suite
    shutil.rmtree(suite)
    assert store.find(LATEST) == checks[-1]
    assert store.find(written(store, make, purpose=Purpose.CHECK).name) == store.find(LATEST)


def test_a_run_that_nobody_can_look_into_may_be_of_the_suite(store, make):
    written(store, make)
    strange = written(store, make)
    (strange / EVENTS).unlink()
    (strange / EVENTS).mkdir()
    assert store.find(LATEST) == strange


def test_after_a_clock_was_set_back_ids_go_on_after_the_newest_run(store, make):
    folder = written(store, make)
    ahead = datetime.now(UTC).replace(microsecond=10) + timedelta(hours=2)
    folder.rename(store.root / f"{ahead:%Y%m%d-%H%M%S}-000010-abcd")
    created = store.create()
    created.close()
    assert created.id.startswith(f"{ahead:%Y%m%d-%H%M%S}-000011-")


def test_runs_of_another_version_damaged_or_empty_do_not_hide_images_of_later_ones(store, make):
    old, empty, endless = written(store, make), written(store, make), written(store, make)
    (old / EVENTS).write_bytes(encode(make.started(old.name, schema=99)))
    (empty / EVENTS).write_bytes(b"")
    (endless / EVENTS).write_bytes(encode(make.ended()))
    last = written(store, make)
    offer = store.offer(Reuse.UNFINISHED)
    assert [stored.run for stored in offer.images.values()] == [last]
    assert offer.problems == ()


def test_every_image_that_is_linked_into_a_run_shares_its_bytes(store, make, tmp_path):
    source = [written(store, make, number) for number in (0, 1)]
    images = [load_run(folder).results[0].image for folder in source]
    for image in images:
        link_image(image.path, tmp_path / "run", image.sha256)
    assert [
        path.samefile(image.path) for image in images for path in [tmp_path / "run" / "images" / image.path.name]
    ] == [
        True,
        True,
    ]


def test_an_image_that_cannot_be_linked_or_read_is_named(tmp_path):
    gone = tmp_path / "gone.png"
    with pytest.raises(StoreError) as error:
        link_image(gone, tmp_path / "run", "a" * 64)
    assert error.value.what == "the image cannot be read: No such file or directory"
    assert (error.value.where, error.value.remedy) == (str(gone), "make it readable")


def test_a_file_with_two_names_is_read_once(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(storing, "plain_sha256", lambda path: read.append(path) or "a" * 64)
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_bytes(b"png")
    hashes = Hashes()
    assert hashes(first) == "a" * 64
    before = first.stat().st_ctime_ns
    while first.stat().st_ctime_ns == before:
        second.unlink(missing_ok=True)
        os.link(first, second)
    assert hashes(Path(second)) == "a" * 64
    assert read == [first]
