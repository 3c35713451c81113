"""A model is its bytes: any spelling and any place of the same is the same, other bytes in the same place are not."""

import json
import shutil
from pathlib import Path

import pytest

from qiltest.generation import Settings, identity, open_generator, resolve_model
from qiltest.generation.families import FAMILIES
from qiltest.generation.identity import name_of_folder, parts_sha256, whole_sha256
from qiltest.recipe import Recipe
from qiltest.suite.variants import ModelKind

from .conftest import BASE, EIGHT, SIZE, case
from .test_whole import DIFFUSERS

COMPONENTS = FAMILIES[0].components

FILES = {
    "transformer": f"{DIFFUSERS}.safetensors",
    "vae": "config.json",
    "text_encoder": "model.safetensors",
    "tokenizer": "tokenizer_config.json",
    "scheduler": "scheduler_config.json",
}


@pytest.fixture
def copies(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The stand-in in two places, each typed in several ways."""
    for place in ("a", "b"):
        shutil.copytree(folder, tmp_path / place / "qwen")
    monkeypatch.chdir(tmp_path / "a")
    monkeypatch.setenv("HOME", str(tmp_path / "b"))
    both = tmp_path / "a" / "qwen", tmp_path / "b" / "qwen"
    return ("qwen", "./qwen", "../a/qwen", "../b/./qwen/", "~/qwen", *map(str, both), f"{both[0]}/")


def recipe_of(name: str, variant=BASE) -> Recipe:
    return open_generator(name, Settings(device="cpu"), kind=ModelKind.TINY).recipe(case(), SIZE, variant, 42)


@pytest.mark.parametrize("variant", [BASE, EIGHT])
def test_every_spelling_and_place_of_the_same_bytes_is_one_recipe(copies, variant):
    recipes = [recipe_of(name, variant) for name in copies]
    assert len({recipe.key() for recipe in recipes}) == 1
    assert {recipe.model for recipe in recipes} == {"local/qwen"}


def test_the_folder_itself_is_named_by_its_own_name(copies, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path / "a" / "qwen")
    assert resolve_model(".").model == "local/qwen"
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "a" / "qwen")
    assert resolve_model(str(link)).model == "local/current"
    assert recipe_of(str(link)).key() == recipe_of(copies[-1]).key()


def test_a_snapshot_in_the_cache_is_the_model_that_it_is_a_copy_of(copies, tmp_path):
    snapshot = tmp_path / "models--owner--name" / "snapshots" / ("0" * 40)
    shutil.copytree(copies[-1], snapshot)
    found = recipe_of(str(snapshot))
    assert (found.model, found.model_revision) == ("owner/name", "0" * 40)
    assert found.key() == recipe_of(copies[0]).key()
    link = tmp_path / "linked"
    link.symlink_to(snapshot)
    assert name_of_folder(link) == "owner/name"


def test_a_release_in_any_folder_has_the_releases_name(copies, monkeypatch):
    monkeypatch.setattr(identity, "released_id", lambda folder: "Qwen/Qwen-Image")
    assert resolve_model(copies[0]).model == "Qwen/Qwen-Image"


@pytest.mark.parametrize("component", COMPONENTS)
def test_other_bytes_in_the_same_place_are_another_model_and_the_part_is_known(copies, component):
    folder = Path(copies[-1])
    before = dict(parts_sha256(folder, COMPONENTS))
    path = folder / component / FILES[component]
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    after = dict(parts_sha256(folder, COMPONENTS))
    assert [name for name in COMPONENTS if before[name] != after[name]] == [component]
    assert whole_sha256(tuple(before.items())) != whole_sha256(tuple(after.items()))


def test_other_weights_in_the_same_place_are_another_recipe(copies):
    before = recipe_of(copies[0])
    weights = Path(copies[-1]) / "vae" / f"{DIFFUSERS}.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.unlink()
    weights.write_bytes(data)
    after = recipe_of(copies[0])
    assert after.key() != before.key()
    assert [name for name, _ in set(before.model_parts) ^ set(after.model_parts)] == ["vae", "vae"]


def test_what_decides_no_image_is_no_part_of_the_model(copies):
    folder = Path(copies[-1])
    before = recipe_of(copies[0])
    (folder / "README.md").write_text("a card")
    (folder / "loras" / "4step.safetensors").unlink()
    (folder / "transformer" / f"{DIFFUSERS}.bin").write_bytes(b"never opened")
    (folder / "vae" / ".hidden.json").write_text("{}")
    index = folder / "model_index.json"
    text = index.read_text()
    index.unlink()
    index.write_text(json.dumps(json.loads(text) | {"_diffusers_version": "0.1"}))
    assert recipe_of(copies[0]).key() == before.key()


def test_a_file_that_moves_within_a_part_is_another_part(tmp_path):
    (tmp_path / "one" / "vae").mkdir(parents=True)
    (tmp_path / "one" / "vae" / "a.json").write_text("{}")
    before = parts_sha256(tmp_path / "one", ("vae",))
    (tmp_path / "one" / "vae" / "a.json").rename(tmp_path / "one" / "vae" / "b.json")
    assert parts_sha256(tmp_path / "one", ("vae",)) != before


def test_the_recipe_names_each_part_and_the_whole_of_them(recipe, folder):
    asked = recipe()
    assert asked.model_parts == tuple(sorted(parts_sha256(folder, COMPONENTS)))
    assert asked.model_sha256 == whole_sha256(asked.model_parts)
    assert {f"model.{name}" for name in COMPONENTS} <= asked.facts().keys()
