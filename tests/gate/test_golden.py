"""Goldens on disk."""

import json
import math
import os
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders as make
from qiltest.errors import GoldenError
from qiltest.gate import GoldenStore
from qiltest.gate.golden import GoldenExtra
from qiltest.recipe import Size
from qiltest.suite.selection import Sample

WHERE = ("tiny", Sample(case="coffee", size=Size(1328, 1328), variant="4step", seed=42))


@pytest.fixture
def store(tmp_path):
    return GoldenStore(root=tmp_path / "golden")


def test_a_golden_comes_back_as_it_was(store):
    golden = make.golden(3)
    path = store.save(golden)
    assert store.load(*WHERE) == golden
    assert path == store.path(*WHERE)
    assert path.relative_to(store.root).as_posix() == "tiny/coffee@1328x1328/4step-s42.json"


def test_what_nobody_asked_for_counts_into_the_distance(store):
    extra = (GoldenExtra(text="Qwen", kind="doubled", distance=4),)
    golden = replace(make.golden(3, extra=extra), distance=7)
    store.save(golden)
    assert store.load(*WHERE) == golden
    with pytest.raises(GoldenError):
        store.save(make.golden(3, extra=extra))


def test_where_none_is_there_is_none(store):
    assert store.load(*WHERE) is None


def test_the_file_is_made_for_reading_and_for_diffs(store):
    texts = tuple(replace(make.golden().texts[0], expected=text) for text in ("通义千问", "咖啡"))
    text = store.save(make.golden(texts=texts)).read_text(encoding="utf-8")
    assert "通义千问" in text
    assert text.endswith("}\n")
    assert len(text.splitlines()) > 20


@pytest.mark.parametrize(
    "change",
    [
        {"distance": 1},
        {"distance": -1},
        {"length": 0},
        {"texts": ()},
        {"distance_alnum": -1},
        {"noise_floor": math.nan},
        {"noise_floor": math.inf},
        {"seed": "42"},
    ],
)
def test_what_could_not_be_read_back_is_not_written(store, change):
    store.save(make.golden())
    before = store.path(*WHERE).read_bytes()
    with pytest.raises((GoldenError, ValueError)):
        store.save(replace(make.golden(), **change))
    assert store.path(*WHERE).read_bytes() == before


def test_every_field_is_needed_and_no_other_is_taken(store):
    path = store.save(make.golden())
    record = asdict(make.golden())
    for name in record.keys() - {"gone", "change", "round"}:  # of an edit's golden alone
        path.write_text(json.dumps({key: value for key, value in record.items() if key != name}))
        with pytest.raises(GoldenError, match=name):
            store.load(*WHERE)
    path.write_text(json.dumps({**record, "verdict": "PASS"}))
    with pytest.raises(GoldenError, match="verdict"):
        store.load(*WHERE)


def test_a_golden_of_another_version_is_told_by_its_schema_whatever_its_fields_are(store):
    path = store.save(make.golden())
    path.write_text('{"schema": 1, "case": "coffee", "picture": "a field of that version"}')
    with pytest.raises(GoldenError, match="the golden has schema 1; this qiltest reads schema 3") as refused:
        store.load(*WHERE)
    assert "--qil-update=changed" in refused.value.remedy


@pytest.mark.parametrize("field", ["case", "size", "variant", "seed", "model"])
def test_a_golden_must_be_of_the_image_that_its_path_names(store, field):
    path = store.save(make.golden())
    record = asdict(make.golden())
    record[field] = 7 if isinstance(record[field], int) else "other"
    path.write_text(json.dumps(record))
    with pytest.raises(GoldenError, match=f"another image: {field}"):
        store.load(*WHERE)


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        ("tiny", "tiny"),
        ("Qwen/Qwen-Image", "Qwen/Qwen-Image"),
        ("/weights/Qwen-Image-2512", "local/Qwen-Image-2512"),
        ("./weights/mine", "local/mine"),
        ("../mine", "local/mine"),
    ],
)
def test_a_model_has_a_folder(store, model, folder):
    assert store.folder(model).relative_to(store.root).as_posix() == folder


@pytest.mark.parametrize("model", ["", "..", "../..", "/", "a b", "a/..", "x/.hidden", "tiny\n", "a" * 97, "ü"])
def test_a_name_that_cannot_stand_in_a_path_is_refused_and_not_cleaned(store, model):
    with pytest.raises(GoldenError, match="cannot be a folder of goldens"):
        store.folder(model)


@given(st.text(max_size=40))
def test_no_model_leads_out_of_the_folder_of_goldens(tmp_path_factory, model):
    root = tmp_path_factory.getbasetemp() / "golden"
    try:
        folder = GoldenStore(root=root).folder(model)
    except GoldenError:
        return
    assert folder.resolve().is_relative_to(root.resolve())
    assert folder != root


def test_a_folder_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GoldenError, match="--qil-golden"):
        GoldenStore(root=tmp_path / "file").save(make.golden())


def test_a_golden_that_lies_elsewhere_is_refused_and_says_where(store, tmp_path):
    path = store.save(make.golden())
    elsewhere = path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(elsewhere)
    with pytest.raises(GoldenError, match=r"leads out of the folder of goldens, to .*elsewhere\.json") as refused:
        store.load(*WHERE)
    assert refused.value.where == str(path)
    assert "--qil-golden" in refused.value.remedy


def test_a_link_within_the_folder_and_a_folder_that_is_a_link_itself_are_taken(store, tmp_path):
    path = store.save(make.golden())
    path.rename(store.root / "kept.json")
    path.symlink_to("../../kept.json")
    (tmp_path / "link").symlink_to(store.root)
    assert store.load(*WHERE) == GoldenStore(root=tmp_path / "link").load(*WHERE) == make.golden()


@pytest.mark.parametrize("way", ["save", "remove"])
def test_nothing_is_written_or_removed_outside_the_folder(store, tmp_path, way):
    store.save(make.golden())
    (store.root / "tiny").rename(tmp_path / "outside")
    (store.root / "tiny").symlink_to(tmp_path / "outside")
    before = {path: path.read_bytes() for path in (tmp_path / "outside").rglob("*.json")}
    with pytest.raises(GoldenError, match="leads out of the folder of goldens"):
        getattr(store, way)(make.golden())
    assert {path: path.read_bytes() for path in (tmp_path / "outside").rglob("*.json")} == before


def test_a_link_to_itself_is_an_error(store):
    path = store.save(make.golden())
    path.unlink()
    path.symlink_to(path.name)
    with pytest.raises(GoldenError, match="cannot be read"):
        store.load(*WHERE)


@pytest.mark.timeout(20)
def test_a_golden_that_is_no_file_is_an_error_and_nobody_waits_for_it(store):
    path = store.save(make.golden())
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(GoldenError, match="the golden cannot be read: Not a regular file"):
        store.load(*WHERE)


def test_a_golden_of_gigabytes_is_not_read(store):
    with store.save(make.golden()).open("r+b") as file:
        file.truncate(64 << 30)
    with pytest.raises(GoldenError, match="the golden cannot be read: File too large"):
        store.load(*WHERE)


def test_files_are_the_goldens_of_images_alone(store):
    store.save(make.golden())
    store.save(make.golden(seed=7))
    folder = store.folder("tiny")
    (folder / "latency").mkdir()
    (folder / "latency" / "x.json").write_text("{}")
    (folder / "coffee@1328x1328" / ".4step.tmp.json").write_text("{}")
    assert [path.name for path in store.files("tiny")] == ["4step-s42.json", "4step-s7.json"]
    assert list(store.files("random")) == []


def test_the_same_text_means_everything_but_recipe_and_image():
    golden = make.golden()
    assert golden.same_text(replace(golden, recipe_key="c", recipe={}, image="d", scene=None, small_copy="e"))
    changes = {
        "effective": "1x1",
        "reader": "x",
        "distance": 1,
        "distance_alnum": 1,
        "length": 1,
        "noise_floor": 1.0,
        "texts": (),
        "extra": (1,),
        "gone": (1,),
    }
    assert {f.name for f in fields(golden)} == {
        *changes, "recipe", "recipe_key", "image", "schema", "case", "size", "variant", "seed", "model", "scene",
        "small_copy", "change", "round",
    }  # fmt: skip
    for name, value in changes.items():
        assert not golden.same_text(replace(golden, **{name: value}))
