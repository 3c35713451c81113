"""A folder of images: which file is which sample, and what is wrong with them."""

import json
import os
import time

import pytest
from PIL import Image

import builders as make
from images_elsewhere import make as draw
from qiltest.elsewhere.folder import sample_named, samples_in, survey
from qiltest.elsewhere.source import open_folder
from qiltest.errors import GenerationError, ImagesError, RecipeError
from qiltest.recipe import Recipe, Size
from qiltest.suite.load import Suite
from qiltest.suite.selection import Sample, select
from qiltest.suite.variants import ModelKind

CASE = make.case("coffee-shop")
SUITE = Suite(cases=(CASE,), variants=(make.variant("base"), make.variant("4step-v1.0")))
TASKS = {task.sample: task for task in select(SUITE, kind=ModelKind.REAL, seeds=(42, 43))}
BASE = "coffee-shop@256x128-base-s42"


def fill(folder, names=None, suffix=".png"):
    for sample in TASKS if names is None else names:
        name = sample if isinstance(sample, str) else sample.id
        draw(folder / f"{name}{suffix}", "Qwen Coffee", notes=folder.parent)


def opened(folder, **options):
    return open_folder(folder, TASKS, SUITE, model="owner/model", kind=ModelKind.REAL, source="comfyui", **options)


def recipe_of(source, sample):
    task = TASKS[sample]
    return source.recipe(task.case, task.size, task.variant, task.seed)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "images"
    path.mkdir()
    return path


def test_a_samples_name_is_taken_apart_by_what_the_suite_has():
    size = Size(256, 128)
    assert sample_named(BASE, SUITE) == Sample(case="coffee-shop", size=size, variant="base", seed=42)
    assert sample_named("coffee-shop@256x128-4step-v1.0-s0", SUITE).variant == "4step-v1.0"
    for name in (
        "preview",
        "coffee@256x128-base-s42",
        "coffee-shop@512x512-base-s42",
        "coffee-shop@256x128-other-s42",
        "coffee-shop@256x128-base-s042",
        "coffee-shop@256x128-base-s",
        "coffee-shop@256x128-base-s42 (1)",
        f"{BASE}\n",
    ):
        assert sample_named(name, SUITE) is None


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".BMP"])
def test_images_of_any_format_are_taken_by_their_names(folder, suffix):
    fill(folder, suffix=suffix)
    found = survey(folder, TASKS, SUITE)
    assert found.problems == ()
    assert set(found.images) == set(TASKS)


def test_folders_below_count_and_hidden_files_and_other_files_do_not(folder):
    fill(folder / "base" / "night")
    (folder / ".thumbnails").mkdir()
    fill(folder / ".thumbnails")
    (folder / "plan.json").write_text("{}")
    found = survey(folder, TASKS, SUITE)
    assert found.problems == ()
    assert {image.file.rpartition("/")[0] for image in found.images.values()} == {"base/night"}
    assert set(samples_in(folder, SUITE)) == set(TASKS)


def test_a_recipe_says_what_was_asked_for_and_which_file_it_is(folder):
    fill(folder)
    source = opened(folder)
    recipe = recipe_of(source, next(iter(TASKS)))
    assert (recipe.model, recipe.steps, recipe.prompt, recipe.seed) == ("owner/model", 4, "p", 42)
    assert (recipe.elsewhere.source, recipe.elsewhere.file) == ("comfyui", f"{BASE}.png")
    assert "weights" in recipe.not_checked
    assert Recipe.from_json(recipe.canonical()) == recipe
    assert source.model == "elsewhere/comfyui"
    found = source.found(recipe)
    assert found.png.startswith(b"\x89PNG")
    with Image.open(folder / f"{BASE}.png") as image:
        assert found.pixels.tobytes() == image.tobytes()


def test_a_file_that_changes_while_a_session_reads_is_not_taken_for_the_other(folder):
    fill(folder)
    source = opened(folder)
    recipe = recipe_of(source, next(iter(TASKS)))
    draw(folder / f"{BASE}.png", "another text", notes=folder)
    with pytest.raises(GenerationError, match="changed meanwhile"):
        source.found(recipe)
    (folder / f"{BASE}.png").unlink()
    with pytest.raises(GenerationError, match="cannot be read any more"):
        source.found(recipe)
    with pytest.raises(GenerationError, match="not a recipe of this folder"):
        source.found(make.recipe())
    with pytest.raises(GenerationError, match="are not generated"):
        source.denoise(recipe)


def test_a_missing_image_is_an_error_of_its_recipe_and_one_that_was_not_selected_too(folder):
    fill(folder, [BASE])
    source = opened(folder)
    with pytest.raises(ImagesError, match="missing: no file"):
        recipe_of(source, list(TASKS)[1])
    with pytest.raises(RecipeError, match="not selected"):
        source.recipe(CASE, Size(64, 64), SUITE.variants[0], 42)


def test_a_label_that_could_be_a_path_is_refused(folder):
    with pytest.raises(ImagesError, match="no label"):
        open_folder(folder, TASKS, SUITE, model="owner/model", kind=ModelKind.REAL, source="../x")


def test_one_image_under_two_samples_is_found_although_the_second_is_not_selected(folder):
    fill(folder)
    one, other = list(TASKS)[:2]
    (folder / f"{other.id}.png").unlink()
    os.link(folder / f"{one.id}.png", folder / f"{other.id}.png")
    found = survey(folder, {one: TASKS[one]}, SUITE)
    assert found.faults == {
        one: (f"the same file as {other.id}.png, which is not selected: one image under several samples",)
    }
    assert "the same pixels as" in survey(folder, TASKS, SUITE).faults[one][0]


def test_what_a_manifest_tells_otherwise_than_asked_is_a_fault(folder):
    fill(folder)
    told = {"steps": 8, "true_cfg_scale": 4.0, "width": 512}
    entries = [{"file": f"{sample.id}.png", "sample": sample.id, **told} for sample in TASKS]
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, entries)))
    (faults,) = {found for found in survey(folder, TASKS, SUITE).faults.values() if BASE in found[0]}
    assert [fault.partition(": ")[2] for fault in faults] == [
        "the manifest tells steps 8, asked was 4",
        "the manifest tells width 512, asked was 256",
        "the manifest tells true_cfg_scale 4.0, asked was 1.0",
    ]


def test_a_folder_of_very_many_wrong_files_is_told_in_bounded_words_and_time(folder):
    for number in range(3_000):
        (folder / f"{number}{'x' * 150}.png").write_bytes(b"")
    began = time.perf_counter()
    (problem,) = survey(folder, TASKS, SUITE).problems
    assert time.perf_counter() - began < 5
    assert "and 2904 more" in problem
    assert len(problem) < 50_000


def test_a_fifo_is_not_waited_for(folder):
    import os

    fill(folder)
    (folder / f"{BASE}.png").unlink()
    os.mkfifo(folder / f"{BASE}.png")
    assert "Not a regular file" in survey(folder, TASKS, SUITE).problems[0]
