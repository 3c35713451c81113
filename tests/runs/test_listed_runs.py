"""What a list of runs says of each, and of those that cannot be read; what pruning says and takes."""

import json
import shutil

import pytest

import builders
from qiltest.errors import StoreError
from qiltest.runs import RunStore
from qiltest.runs.events import encode
from qiltest.runs.history import record
from qiltest.runs.lines import EVENTS
from qiltest.runs.listing import ListedRun, files_of, list_runs
from qiltest.runs.prune import Kept, plan, remove
from qiltest.runs.records import RunState
from qiltest.runs.references import PAGES, pages_of, refer
from qiltest.runs.status import Status
from qiltest.runs.store import is_active
from qiltest.runs.writer import RunWriter

MESSAGE = "make the folder of runs writable, or remove the run yourself"


@pytest.fixture
def kept(tmp_path):
    return RunStore(root=tmp_path / "runs")


@pytest.fixture
def golden(tmp_path):
    (tmp_path / "golden").mkdir()
    return tmp_path / "golden"


def written(store, make, images=1):
    writer = store.create()
    make.write(writer, range(images))
    return store.root / writer.id


def refused_session(store, make):
    """A session that ended before it had an image."""
    with store.create() as writer:
        writer.append(make.started(writer.id, 1))
        writer.append(make.ended())
    return store.root / writer.id


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def history_says(store, folder, status):
    """Record the run, and then let the history say another status of each of its images."""
    path = record(store.load(folder.name))
    entry = json.loads(path.read_bytes())
    for sample in entry["samples"].values():
        sample["status"] = status
    path.write_text(json.dumps(entry) + "\n")


def test_a_listed_run_says_how_it_was_started_and_ended(kept, make):
    folder = written(kept, make, images=2)
    (listed,) = list_runs(kept)
    assert listed == ListedRun(
        path=folder, started=builders.AT.replace("+", ".000+"), command=("pytest", "-m", "gpu"), model="tiny",
        planned=2, images=2, counts={Status.FAIL: 2}, exit_status=1, state=RunState.FINISHED, active=False,
        problems=("a golden is unused",), size=size(folder),
    )  # fmt: skip


def test_verdicts_come_from_the_history_where_it_has_the_run(kept, make):
    history_says(kept, written(kept, make), "PASS")
    written(kept, make)
    assert [run.counts for run in list_runs(kept)] == [{Status.PASS: 1}, {Status.FAIL: 1}]


def test_a_status_of_a_later_version_counts_as_not_judged(kept, make):
    history_says(kept, written(kept, make), "SPLENDID")
    assert [run.counts for run in list_runs(kept)] == [{Status.WAITING: 1}]


def test_an_image_that_failed_is_an_error_without_a_history_too(kept, make):
    with kept.create() as writer:
        writer.append(make.started(writer.id, 3))
        writer.append(make.failed(1))
    (listed,) = list_runs(kept)
    assert listed.counts == {Status.ERROR: 1, Status.WAITING: 2}


def test_a_run_that_is_damaged_says_why_in_one_line_and_how_large_it_is(kept, make):
    folder = written(kept, make)
    lines = (folder / EVENTS).read_bytes().splitlines(keepends=True)
    (folder / EVENTS).write_bytes(b"".join([lines[0], *lines[2:]]))
    why = f"{folder / EVENTS}:2: line 3 of the run stands where line 2 belongs: a line was removed, added or moved"
    assert list_runs(kept) == (ListedRun(path=folder, unreadable=why, damaged=True, size=size(folder)),)


def test_a_run_of_another_version_is_not_damaged(kept, make):
    folder = written(kept, make)
    (folder / EVENTS).write_bytes(encode(make.started(folder.name, schema=99)))
    why = f"{folder}: the run has schema 99; this qiltest reads schema 3"
    assert list_runs(kept) == (ListedRun(path=folder, unreadable=why, size=size(folder)),)


@pytest.mark.parametrize("empty", [True, False])
def test_a_run_that_never_began_is_damaged(kept, make, empty):
    folder = written(kept, make)
    (folder / EVENTS).write_bytes(b"" if empty else encode(make.ended()))
    expected = ListedRun(path=folder, unreadable="the run never began", damaged=True, size=size(folder), active=False)
    assert list_runs(kept) == (expected,)


def test_a_file_that_goes_while_its_folder_is_looked_at_is_left_out(tmp_path, monkeypatch):
    (tmp_path / "there").write_bytes(b"1234")
    monkeypatch.setattr("qiltest.runs.listing.os.walk", lambda folder: [(str(folder), [], ["gone", "there"])])
    assert [file.st_size for file in files_of(tmp_path)] == [4]


def test_a_refused_session_before_the_newest_run_with_an_image_goes(kept, make, golden):
    refused = refused_session(kept, make)
    newest = written(kept, make)
    found = plan(kept, golden, newest=1)
    assert ([run.id for run in found.remove], found.kept, found.newest) == ([refused.name], (), 1)
    assert newest.name not in [run.id for run in remove(found)]


def test_an_old_run_that_stays_says_why(kept, make, golden):
    stranger = written(kept, make).rename(kept.root / "stranger")
    two = written(kept, make, images=2)
    linked = written(kept, make)
    writing = written(kept, make)
    written(kept, make)
    images = [path.stem for path in sorted((two / "images").iterdir())]
    for place in (linked, writing):
        shutil.rmtree(place / "images")
        (place / "images").mkdir()
    newest = kept.folders()[-1]
    for path in (newest / "images").iterdir():
        path.unlink()
    for number, image in enumerate(images):
        (golden / f"{number}.json").write_text(json.dumps({"image": image}))
    page = golden.parent / "page.html"
    page.write_text(f"<a href='runs/{linked.name}/images/x.png'>")
    (linked / PAGES).write_text(f"{page}\n")
    with RunWriter(writing):
        assert is_active(writing)
        found = plan(kept, golden, newest=1)
    assert {one.run.path: one.why for one in found.kept} == {
        stranger: "it has no name that a session gives: it was put here",
        two: "it has 2 goldens' images",
        linked: f"a page links to its images: {page}",
        writing: "a process is writing it",
    }
    assert all(isinstance(one, Kept) for one in found.kept)


def test_a_run_that_somebody_began_to_write_since_is_left_and_the_next_one_goes(kept, make, golden):
    first, second = written(kept, make), written(kept, make)
    written(kept, make)
    found = plan(kept, golden, newest=1)
    assert [run.path for run in found.remove] == [first, second]
    with RunWriter(first):
        assert [run.path for run in remove(found)] == [second]
    assert first.is_dir()


def test_what_a_killed_removal_left_is_removed_with_the_next(kept, make, golden):
    old = written(kept, make)
    written(kept, make)
    left = kept.root / f".removed-{old.name}x"
    (left / "images").mkdir(parents=True)
    assert [run.path for run in remove(plan(kept, golden, newest=1))] == [old]
    assert not left.exists()


@pytest.mark.parametrize(
    ("step", "folder"), [("pathlib.Path.rename", "{}"), ("qiltest.runs.prune.shutil.rmtree", ".removed-{}")]
)
def test_a_run_that_cannot_be_removed_is_named_with_what_to_do(kept, make, golden, monkeypatch, step, folder):
    old = written(kept, make)
    written(kept, make)
    found = plan(kept, golden, newest=1)

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(step, denied)
    with pytest.raises(StoreError) as error:
        list(remove(found))
    assert error.value.what == "the run cannot be removed: Permission denied"
    assert (error.value.where, error.value.remedy) == (str(kept.root / folder.format(old.name)), MESSAGE)


def test_goldens_that_cannot_be_read_stop_the_plan(kept, make, golden):
    written(kept, make)
    (golden / "x.json").mkdir()
    with pytest.raises(StoreError) as error:
        plan(kept, golden, newest=1)
    assert error.value.what == "the goldens cannot be read: Is a directory"
    assert error.value.where == str(golden)
    assert error.value.remedy == "make the goldens readable, or name their folder with --golden"


@pytest.fixture
def shown(kept, make):
    """A page and ten runs, of which the page shows an image of each: as of merged runs."""
    folders = [written(kept, make) for _ in range(10)]
    runs = [kept.load(folder.name) for folder in folders]
    return folders, runs


def page_of(path, *folders):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(" ".join(folder.name for folder in folders))
    return path


def test_a_page_is_noted_in_every_run_whose_images_it_shows_but_the_one_that_it_lies_in(shown):
    folders, runs = shown
    merged = builders.run("joint", path=folders[0], results=tuple(run.results[0] for run in runs))
    for own in folders[:3]:
        page = page_of(own / "report.html", *folders)
        refer(page, [merged])
        assert [pages_of(folder) for folder in folders] == [() if folder == own else (page,) for folder in folders]
        for folder in folders:
            (folder / PAGES).unlink(missing_ok=True)


def test_a_second_page_is_noted_beside_the_first(shown, tmp_path):
    (folder, *_), (run, *_) = shown
    pages = tuple(page_of(tmp_path / name, folder) for name in ("a.html", "b.html"))
    for page in pages:
        refer(page, [run])
    assert pages_of(folder) == pages


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), UnicodeEncodeError("utf-8", "x", 0, 1, "")]
)
def test_a_page_is_written_although_a_run_cannot_note_it(shown, tmp_path, monkeypatch, error):
    (folder, *_), (run, *_) = shown

    def denied(*_):
        raise error

    monkeypatch.setattr("qiltest.runs.references.write_atomically", denied)
    refer(page_of(tmp_path / "a.html", folder), [run])
    assert pages_of(folder) == ()


@pytest.mark.parametrize("noted", [b"\xff\xfe\n", b"a\0b\n", b"gone.html\n"])
def test_notes_that_name_no_page_keep_no_run(shown, noted):
    (folder, *_), _ = shown
    (folder / PAGES).write_bytes(noted)
    assert pages_of(folder) == ()


@pytest.mark.parametrize("before", [0, (1 << 20) - 5, (1 << 20) + 5])
def test_a_run_is_found_wherever_a_large_page_names_it(shown, tmp_path, before):
    (folder, *_), _ = shown
    page = tmp_path / "large.html"
    page.write_bytes(b" " * before + folder.name.encode() + b" " * (1 << 20))
    (folder / PAGES).write_text(f"{page}\n")
    assert pages_of(folder) == (page,)
