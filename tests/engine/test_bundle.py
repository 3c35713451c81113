"""A bundle lives on its own: every command on stored runs works in it, and nothing in it leads elsewhere."""

import json
import re
import shutil
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import builders as make
from fake_runs import case, draw, fake, lines_of, store, told, typical
from qiltest.cli.main import main
from qiltest.engine.bundle import write_bundle
from qiltest.errors import StoreError
from qiltest.gate.golden import GoldenStore
from qiltest.gate.latency import LatencyStore
from qiltest.gate.small_copy import digest_of, make_copy
from qiltest.recipe import Size
from qiltest.runs import RunStore
from qiltest.runs.load import load_run

__all__ = ["case", "fake", "store", "told", "typical"]
SIZE = Size(256, 256)
THEN = draw(lines_of(("text",), SIZE), SIZE, 3)
LINK = re.compile(r'(?:href|src)="([^"#][^"]*)"')


@pytest.fixture
def project(fake, case, store, tmp_path, monkeypatch):
    """A project with one stored run: one image is worse than its golden, whose small copy is kept, one has none."""
    run = fake(case("wall", "text"), case("door", "open"))
    worse = run.add("wall", "base", "texd", golden=("text",))
    run.results[0] = replace(worse, golden=replace(make.kept(worse.golden), model="tiny"))
    run.keep_copy(run.results[0], THEN)
    run.add("door", "base", "open")
    store(tmp_path / "runs", run.build())
    shutil.rmtree(run.folder)
    (tmp_path / "cases/floors").mkdir(parents=True)
    (tmp_path / "cases/wall.toml").write_text("# a case\n")
    (tmp_path / "cases/floors/wall.json").write_text("{}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bundled(project, path, **options):
    (run,) = RunStore(root=project / "runs").folders()
    options = {"golden_folder": project / "golden", "cases": project / "cases"} | options
    return write_bundle(options.pop("run", run), path, **options)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def run_in(folder):
    (found,) = (folder / "runs").iterdir()
    return found


def test_a_bundle_has_the_run_its_reports_goldens_and_cases_and_no_more(project):
    (run,) = (project / "runs").iterdir()
    (run / ".lock").touch()
    (run / ".pages").write_text("/somewhere/else.html\n")
    (run / "notes.txt").write_text("private\n")
    (run / "review.json").write_text("{}\n")
    made = bundled(project, project / "night")
    names = [name for name in files(project / "night") if not name.endswith(".png")]
    own = f"runs/{run.name}"
    assert names == [
        "README.txt",
        "cases/floors/wall.json",
        "cases/wall.toml",
        "golden/tiny/wall@256x256/base-s42.json",
        "golden/tiny/wall@256x256/base-s42.webp",
        *(f"{own}/{name}" for name in ("events.jsonl", "report.html", "report.json", "report.md", "review.json")),
    ]
    assert (made.images, made.goldens, made.lacks) == (2, 1, [])
    assert (run_in(project / "night") / "events.jsonl").read_bytes() == (run / "events.jsonl").read_bytes()
    assert (project / "night/golden/tiny/wall@256x256/base-s42.webp").read_bytes() == make_copy(THEN)


def test_the_goldens_are_those_that_the_run_was_judged_by_whatever_they_are_by_now(project):
    path = project / "golden/tiny/wall@256x256/base-s42.json"
    path.write_text("another one by now")
    bundled(project, project / "night")
    kept = json.loads((project / "night/golden/tiny/wall@256x256/base-s42.json").read_text())
    (text,) = kept["texts"]
    assert (text["read"], kept["small_copy"]) == ("text", digest_of(make_copy(THEN)))
    path.with_suffix(".webp").write_bytes(b"another one by now")
    made = bundled(project, project / "later")
    assert made.lacks == ["1 small copy of goldens: gone or changed"]
    assert not list((project / "later").rglob("*.webp"))


def test_its_zip_unpacked_on_another_machine_shows_the_same_and_can_be_reviewed(project, monkeypatch, capsys):
    assert main(["report", "latest", "--bundle"]) == 0
    (archive,) = project.glob("qiltest-*.zip")
    elsewhere = project / "another/machine"
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(elsewhere)
    for name in ("runs", "golden", "cases"):
        shutil.rmtree(project / name)
    (folder,) = elsewhere.iterdir()
    monkeypatch.chdir(folder)
    capsys.readouterr()
    assert main(["report"]) == 0
    assert 'class="before"' in (run_in(folder) / "report.html").read_text()
    main(["review", "--json"])
    items = json.loads(capsys.readouterr().out.splitlines()[-1])["items"]
    assert [(item["sample"], item["change"]) for item in items] == [
        ("wall@256x256-base-s42", "CHANGED"),
        ("door@256x256-base-s42", "NEW"),
    ]
    assert items[0]["image"]["before"] == "golden/tiny/wall@256x256/base-s42.webp"
    assert main(["runs"]) == 0


def test_a_bundles_folder_is_a_run_by_its_path(project, tmp_path, monkeypatch, capsys):
    bundled(project, tmp_path / "night")
    monkeypatch.chdir("/")
    assert RunStore(root=tmp_path / "nothing").find(str(tmp_path / "night")) == run_in(tmp_path / "night")
    assert main(["report", str(tmp_path / "night")]) == 0
    assert "report.html" in capsys.readouterr().out
    with pytest.raises(StoreError, match="no runs here"):
        RunStore(root=tmp_path / "nothing").find(str(tmp_path / "night/golden"))


def test_a_zip_is_refused_with_the_way_to_unpack_it(project, tmp_path):
    bundled(project, tmp_path / "night.zip")
    with pytest.raises(StoreError, match=r"once it is unpacked[\s\S]*python -m zipfile -e .*night.zip FOLDER"):
        RunStore(root=tmp_path / "runs").find(str(tmp_path / "night.zip"))


def test_no_link_in_it_leads_outside(project):
    (run,) = (project / "runs").iterdir()
    (run / "comparison.html").write_text('<a href="./images/' + "a" * 64 + '.png">x</a><a href="#top">')
    (run / "comparison-2.html").write_text('<a href="../../elsewhere/secret.png">')
    made = bundled(project, project / "night")
    assert made.lacks == ["comparison-2.html, which links to other places"]
    inside = run_in(project / "night")
    for name in ("report.html", "report.md"):
        links = [link for link in LINK.findall((inside / name).read_text()) if not link.startswith("data:")]
        assert len(links) == 2
        assert all((inside / link).resolve().is_relative_to(inside.resolve()) for link in links)
        assert all((inside / link).is_file() for link in links)
    assert (inside / "comparison.html").is_file()
    assert not (inside / "comparison-2.html").exists()


def test_its_zip_holds_one_folder_of_plain_files(project):
    bundled(project, project / "night.zip")
    with zipfile.ZipFile(project / "night.zip") as packed:
        assert packed.testzip() is None
        names = packed.namelist()
        kinds = {stat.S_IFMT(one.external_attr >> 16) for one in packed.infolist()}
    assert {name.partition("/")[0] for name in names} == {"night"}
    assert kinds == {stat.S_IFREG}
    assert [name for name in names if ".." in Path(name).parts] == []


def test_an_image_that_is_damaged_or_gone_is_left_out_and_said(project):
    (run,) = (project / "runs").iterdir()
    first, second = sorted((run / "images").iterdir())
    first.chmod(0o644)
    first.write_bytes(b"something else")
    second.unlink()
    second.symlink_to("/etc/hostname")
    made = bundled(project, project / "night")
    assert made.lacks == ["2 images cannot be read, and are left out"]
    assert made.images == 0
    assert first.exists(), "the run itself is left alone"
    assert not list((project / "night").rglob("*.png"))


def test_a_run_that_was_killed_is_bundled_as_far_as_it_went(project):
    (run,) = (project / "runs").iterdir()
    whole = (run / "events.jsonl").read_bytes()
    (run / "events.jsonl").write_bytes(whole[: whole.rindex(b'{"event":"ended"') + 9])
    made = bundled(project, project / "night")
    assert made.images == 2
    assert "unfinished" in (run_in(project / "night") / "report.md").read_text()
    assert load_run(run_in(project / "night")).problems


def test_a_golden_of_another_sample_becomes_no_file_of_the_bundle(project, fake, case, store, tmp_path):
    run = fake(case("wall", "text"), name="hostile")
    result = run.add("wall", "base", "texd", golden=("text",))
    run.results[0] = replace(result, golden=replace(make.kept(result.golden), seed=7))
    store(tmp_path / "other", run.build())
    (folder,) = RunStore(root=tmp_path / "other").folders()
    made = bundled(project, project / "night", run=folder)
    assert made.lacks[0] == "1 golden cannot be read, and is left out"
    assert not (project / "night/golden").exists()


def test_latency_goldens_of_its_cohorts_come_along(project):
    (run,) = RunStore(root=project / "runs").folders()
    cohort = load_run(run).results[0].cohort
    path = LatencyStore(goldens=GoldenStore(root=project / "golden")).save(cohort, [1.0, 1.1, 1.2])
    bundled(project, project / "night")
    assert (project / "night" / path.relative_to(project)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["night", "night.zip"])
def test_what_cannot_be_finished_leaves_nothing(project, name, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("qiltest.engine.bundle.write_markdown", full)
    (project / "night.zip").write_bytes(b"the one before")
    before = files(project)
    with pytest.raises(StoreError, match="the bundle cannot be written: No space left on device"):
        bundled(project, project / name)
    assert files(project) == before
    assert not [path for path in project.iterdir() if path.name.startswith(".")]


def test_a_folder_that_holds_something_is_not_written_into(project):
    (project / "night").mkdir()
    bundled(project, project / "night")
    with pytest.raises(StoreError, match="there and not empty"):
        bundled(project, project / "night")


def test_the_command_says_what_was_written_and_refuses_what_does_not_go_with_it(project, capsys):
    shutil.rmtree(project / "cases")
    assert main(["report", "latest", "--bundle", "night", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["bundle"], said["images"], said["goldens"]) == ("night", 2, 1)
    assert said["lacks"] == ["case files: there are none in cases; `qiltest verify` needs them"]
    for option in ("--case=wall", "--output=x.html", "--previous=latest"):
        assert main(["report", "latest", option, "--bundle", "other"]) == 2
        assert "exclude each other" in capsys.readouterr().err
    assert not (project / "other").exists()
