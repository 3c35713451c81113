"""The folder of runs."""

import subprocess
import sys

import pytest

from qiltest.errors import StoreError
from qiltest.runs import Reuse, RunState, RunStore
from qiltest.runs.store import is_active, usable


@pytest.fixture
def store(tmp_path):
    return RunStore(root=tmp_path / "runs")


def keys(make, *numbers):
    return {make.recipe(number).key() for number in numbers}


def test_ids_sort_by_time(store):
    ids = []
    for _ in range(20):
        with store.create() as writer:
            ids.append(writer.id)
    assert ids == sorted(ids)
    assert [folder.name for folder in store.folders()] == ids


def test_a_run_is_found_by_id_start_path_and_as_the_latest(store, make):
    first, second = store.create(), store.create()
    for writer in (first, second):
        make.write(writer, range(1))
    assert store.find(first.id) == first.folder
    assert store.find(str(first.folder)) == first.folder
    assert store.find("latest") == second.folder
    assert store.load(second.id).id == second.id


def test_a_name_that_fits_no_run_or_several_is_refused(store, make):
    with pytest.raises(StoreError, match="no runs here"):
        store.find("latest")
    for _ in range(2):
        make.write(store.create(), range(1))
    with pytest.raises(StoreError, match="no run 'x'"):
        store.find("x")
    with pytest.raises(StoreError, match="2 runs begin with '2'"):
        store.find("2")


def test_a_folder_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--qil-runs"):
        RunStore(root=tmp_path / "file").create()


@pytest.mark.parametrize("state", [None, RunState.INTERRUPTED])
def test_images_of_a_run_that_did_not_finish_may_be_used_again(store, make, state):
    make.write(store.create(), range(2), state)
    assert set(store.offer(Reuse.UNFINISHED).images) == keys(make, 0, 1)


def test_images_of_a_finished_run_may_be_used_only_where_asked(store, make):
    make.write(store.create(), range(2))
    assert store.offer(Reuse.UNFINISHED).images == {}
    assert set(store.offer(Reuse.ANY).images) == keys(make, 0, 1)
    assert store.offer(Reuse.NEVER).images == {}


def test_what_a_finished_run_took_over_is_not_offered_again_and_the_rest_is(store, make):
    make.write(store.create(), range(3), None)
    make.write(store.create(), range(1))
    assert set(store.offer(Reuse.UNFINISHED).images) == keys(make, 1, 2)


def test_the_newest_of_several_is_offered(store, make):
    writers = [store.create(), store.create()]
    for writer in writers:
        make.write(writer, range(1), None)
    assert store.offer(Reuse.UNFINISHED).images[make.recipe().key()].run == writers[1].folder


def test_a_run_that_is_being_written_is_left_alone(store, make):
    with store.create() as writer:
        writer.append(make.started(writer.id))
        writer.append(make.generated(writer.put(make.png())))
        assert is_active(writer.folder)
        assert store.offer(Reuse.ANY).images == {}
    assert not is_active(writer.folder)
    assert len(store.offer(Reuse.ANY).images) == 1


def test_a_run_that_read_images_again_offers_none(store, make):
    with store.create() as writer:
        writer.append(make.started(writer.id, rescored_from="another"))
        writer.append(make.generated(writer.put(make.png())))
    assert store.offer(Reuse.ANY).images == {}


def test_a_run_that_cannot_be_read_is_named_and_the_others_are_offered(store, make):
    for _ in range(2):
        make.write(store.create(), range(2), None)
    damaged = store.folders()[0] / "events.jsonl"
    lines = damaged.read_bytes().splitlines()
    damaged.write_bytes(b"\n".join([lines[0], lines[1][:-40], *lines[2:]]) + b"\n")
    offer = store.offer(Reuse.UNFINISHED)
    assert set(offer.images) == keys(make, 0, 1)
    assert len(offer.problems) == 1
    assert f"{damaged}:2" in offer.problems[0]
    assert store.offer(Reuse.NEVER).problems == ()


def test_an_image_is_checked_before_it_is_used_again(store, make):
    make.write(store.create(), range(1), None)
    stored = store.offer(Reuse.UNFINISHED).images[make.recipe().key()]
    assert usable(stored)
    stored.path.write_bytes(b"damaged")
    with pytest.raises(StoreError, match="do not match its name"):
        usable(stored)
    assert not usable(stored), "said once; from then on it is generated again"


def test_an_image_that_somebody_took_away_is_drawn_again(store, make):
    make.write(store.create(), range(1), None)
    stored = store.offer(Reuse.UNFINISHED).images[make.recipe().key()]
    stored.path.unlink()
    assert not usable(stored)


def test_an_image_taken_over_survives_the_run_that_drew_it(store, make):
    first = store.create()
    make.write(first, range(1), None)
    stored = store.offer(Reuse.UNFINISHED).images[make.recipe().key()]
    with store.create() as second:
        second.link(stored.path, stored.generated.sha256)
        second.link(stored.path, stored.generated.sha256)
    stored.path.unlink()
    assert second.image(stored.generated.sha256).read_bytes() == make.png()


def test_an_image_is_found_by_its_hash_in_any_run_where_its_bytes_are_still_its_own(store, make):
    first, second = store.create(), store.create()
    sha256 = first.put(make.png())
    second.put(make.png())
    assert store.find_image(sha256) == first.image(sha256)
    first.image(sha256).write_bytes(b"something else")
    assert store.find_image(sha256) == second.image(sha256)
    second.image(sha256).unlink()
    assert store.find_image(sha256) is None


@pytest.mark.parametrize("name", ["", "*", "../../secret", "f" * 63, "F" * 64, "f" * 64 + "\n"])
def test_what_is_no_hash_finds_no_image(store, make, name):
    store.create().put(make.png())
    assert store.find_image(name) is None


def test_a_file_system_without_links_gets_a_copy(store, make, monkeypatch):
    def refuse(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    make.write(store.create(), range(1), None)
    stored = store.offer(Reuse.UNFINISHED).images[make.recipe().key()]
    with store.create() as second:
        second.link(stored.path, stored.generated.sha256)
    assert second.image(stored.generated.sha256).read_bytes() == make.png()


def test_a_file_among_the_runs_is_no_run(store, make):
    make.write(store.create(), range(1))
    (store.root / "notes.txt").write_text("")
    (store.root / "empty").mkdir()
    assert len(store.folders()) == 1


def test_processes_that_write_at_once_each_have_their_own_run(store):
    script = (
        "import sys; from pathlib import Path; from qiltest.runs import RunStore\n"
        "with RunStore(root=Path(sys.argv[1])).create() as writer:\n"
        "    for number in range(20): writer.put(f'{writer.id} {number}'.encode())\n"
        "    print(writer.id)\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(store.root)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    ids = {child.communicate()[0].strip() for child in children}
    assert all(child.returncode == 0 for child in children)
    assert len(ids) == 4
    assert {folder.name for folder in store.folders()} == ids
    assert all(len(list((folder / "images").iterdir())) == 20 for folder in store.folders())


def test_a_run_of_another_version_is_nothing_to_reuse_and_no_problem(store, make):
    with store.create() as writer:
        writer.append(make.started(writer.id, schema=1))
    offer = store.offer(Reuse.ANY)
    assert (offer.images, offer.problems) == ({}, ())
