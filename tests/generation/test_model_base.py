"""Which base model a model is: by its id, the cache, its card, its configs, its weights, its folder."""

import json

import pytest

from qiltest.generation.sources import base_of_model, resolve_model
from qiltest.hashing import file_sha256
from qiltest.lora.catalogue import catalogue
from qiltest.suite.variants import ModelBase, ModelKind

NEW = "Qwen/Qwen-Image-2512"


def base_of(folder):
    found = base_of_model(str(folder))
    return found.id, found.evidence


@pytest.fixture
def plain(tmp_path):
    """A folder whose name and files tell nothing."""
    made = tmp_path / "stuff" / "model"
    (made / "transformer").mkdir(parents=True)
    (made / "model_index.json").write_text(json.dumps({"_class_name": "QwenImagePipeline"}))
    return made


def card(folder, *lines):
    (folder / "README.md").write_text("\n".join(("---", "license: apache-2.0", *lines, "---", "# A model", "name: no")))


@pytest.mark.parametrize(
    ("name", "identity", "evidence"),
    [
        (NEW, NEW, "its id"),
        ("qwen/qwen-image-2512", NEW, "its id"),
        ("random", "Qwen/Qwen-Image", "its shape"),
        ("tiny", None, ""),
        ("owner/unknown", None, ""),
        ("no such thing", None, ""),
    ],
)
def test_an_id_of_the_catalogue_is_known_without_files(name, identity, evidence):
    found = base_of_model(name)
    assert (found.model, found.id, found.evidence) == (name, identity, evidence)
    assert found.family == (None if evidence == "" and name != "tiny" else "qwen-image")


def test_a_folder_that_tells_nothing_is_of_unknown_base(plain):
    assert base_of(plain) == (None, "")


@pytest.mark.parametrize(
    "parts", [("Qwen", "Qwen-Image-2512"), ("QWEN", "qwen-image-2512"), ("mine", "Qwen-Image-2512")]
)
def test_a_folder_is_known_by_the_end_of_its_path(tmp_path, parts):
    folder = tmp_path.joinpath(*parts)
    folder.mkdir(parents=True)
    assert base_of(folder) == (NEW, "its folder's name")


def test_a_snapshot_of_the_cache_is_known_by_its_folder(tmp_path):
    folder = tmp_path / "models--Qwen--Qwen-Image-2512" / "snapshots" / ("0" * 40)
    folder.mkdir(parents=True)
    assert base_of(folder) == (NEW, "its folder in the Hugging Face cache")


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        (("base_model: Qwen/Qwen-Image-2512",), "base_model"),
        (("base_model:", "- Qwen/Qwen-Image-2512"), "base_model"),
        (("base_model:", "  - 'Qwen/Qwen-Image-2512'", "tags:", "- lora"), "base_model"),
        (("base_model: [Qwen/Qwen-Image-2512]",), "base_model"),
        (("name: Qwen-Image-2512", "base_model: Qwen/Qwen-Image"), "name"),
    ],
)
def test_a_model_card_names_the_model_or_what_it_was_made_from(plain, lines, key):
    card(plain, *lines)
    assert base_of(plain) == (NEW, f"{key} of its README.md")


@pytest.mark.parametrize(
    "lines", [("base_model:", "- Qwen/Qwen-Image-2512", "- Qwen/Qwen-Image"), ("base_model: other/model",), ()]
)
def test_a_card_of_a_mixture_or_of_another_model_tells_nothing(plain, lines):
    card(plain, *lines)
    assert base_of(plain) == (None, "")


def test_only_the_front_matter_of_a_card_counts(plain):
    (plain / "README.md").write_text("# Mine\n---\nbase_model: Qwen/Qwen-Image-2512\n---\n")
    assert base_of(plain) == (None, "")


@pytest.mark.parametrize("config", ["model_index.json", "transformer/config.json"])
@pytest.mark.parametrize("value", [NEW, "/mnt/Qwen/Qwen-Image-2512", "D:\\Qwen-Image-2512\\transformer"])
def test_a_config_names_where_the_model_came_from(plain, config, value):
    (plain / config).write_text(json.dumps({"_name_or_path": value}))
    assert base_of(plain) == (NEW, f"_name_or_path of its {config}")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"_name_or_path": 3}'])
def test_a_config_that_cannot_be_read_tells_nothing(plain, text):
    (plain / "transformer" / "config.json").write_text(text)
    assert base_of(plain) == (None, "")


def test_weights_of_a_known_hash_name_the_base_before_the_folder_does(tmp_path, monkeypatch):
    folder = tmp_path / "Qwen" / "Qwen-Image"
    weights = folder / "transformer" / "part.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    known = catalogue()
    bases = [
        base.model_copy(update={"transformer": {weights.name: file_sha256(weights)}}) if base.id == NEW else base
        for base in known.bases
    ]
    monkeypatch.setattr("qiltest.generation.model_base.catalogue", lambda: known.model_copy(update={"bases": bases}))
    assert base_of(folder) == (NEW, "the SHA-256 of its transformer/part.safetensors")


def test_the_card_counts_more_than_the_folders_name(tmp_path):
    folder = tmp_path / "Qwen" / "Qwen-Image"
    folder.mkdir(parents=True)
    card(folder, "base_model: Qwen/Qwen-Image-2512")
    assert base_of(folder)[0] == NEW


def test_whoever_insists_is_believed(tmp_path):
    folder = tmp_path / "Qwen" / "Qwen-Image"
    folder.mkdir(parents=True)
    assert base_of_model(str(folder), insisted="qwen/qwen-image-2512").id == NEW
    assert base_of_model(str(folder), insisted="owner/own") == ModelBase(
        model=str(folder), id="owner/own", evidence="--qil-base"
    )


def test_a_resolved_model_has_its_base(folder, tmp_path):
    link = tmp_path / "Qwen" / "Qwen-Image-2512"
    link.parent.mkdir()
    link.symlink_to(folder)
    source = resolve_model(str(link))
    assert source.base is not None
    assert (source.base.id, source.base.evidence) == (NEW, "its folder's name")
    tiny = resolve_model("tiny").base
    assert tiny is not None
    assert (tiny.id, tiny.family) == (None, "qwen-image")
    # a folder that stands in for the embedded model: nothing is known of it
    assert resolve_model(str(link), kind=ModelKind.TINY).base is None
