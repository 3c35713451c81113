"""What is said of a model folder that is not loaded, and by which bytes a model is known."""

import hashlib
import json
import os

import pytest

from qiltest.errors import DeviceError, ModelError
from qiltest.generation import _keys
from qiltest.generation._keys import _unequal_lengths, check_keys, current_name, key_faults
from qiltest.generation.border import _index_faults
from qiltest.generation.families import FAMILIES
from qiltest.generation.identity import parts_sha256, whole_sha256
from qiltest.generation.whole import FolderFault, Weights, _other_files, shown
from qiltest.lora.safetensors_file import TensorInfo

STEM = "diffusion_pytorch_model"


@pytest.fixture
def vae(tmp_path):
    (tmp_path / "vae").mkdir()
    return tmp_path / "vae"


def other_files(component, *names):
    for name in names:
        (component / name).write_bytes(b"")
    return _other_files(component, STEM)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "missing: vae/*.safetensors"),
        (
            (f"{STEM}-00001-of-00002.safetensors",),
            f"vae: its shards are there, but not {STEM}.safetensors.index.json, which says what is in which",
        ),
        (
            ("model-00001-of-00002.safetensors",),
            "vae: its weights are called model-00001-of-00002.safetensors; the file that is loaded is "
            f"{STEM}.safetensors",
        ),
        (
            (f"{STEM}-ema.safetensors",),
            f"vae: its weights are called {STEM}-ema.safetensors; the file that is loaded is {STEM}.safetensors",
        ),
        (
            ("a.safetensors", "b.safetensors", "c.safetensors", "d.safetensors"),
            "vae: its weights are called a.safetensors, b.safetensors, c.safetensors; the file that is loaded is "
            f"{STEM}.safetensors",
        ),
    ],
    ids=["none", "shards", "shards of another name", "another name", "many"],
)  # fmt: skip
def test_what_stands_in_place_of_the_weights_is_named(vae, names, said):
    assert other_files(vae, *names) == said


def test_the_files_of_variants_are_named_by_variant_with_how_to_rename_them(vae):
    assert other_files(vae, f"{STEM}.bf16.safetensors", f"{STEM}.fp16-00001-of-00002.safetensors") == FolderFault(
        what="vae: it has only the files of the variant bf16 and fp16",
        remedy=f"rename the files of vae to {STEM}.safetensors",
    )


def test_four_names_are_shown_and_more_are_hinted_at():
    assert shown(["a", "b", "c", "d"]) == "a, b, c, d"
    assert shown(["a", "b", "c", "d", "e"]) == "a, b, c, d …"


def test_the_numbers_of_weights_are_counted_over_all_their_sides():
    tensors = {
        name: TensorInfo(name=name, dtype="F32", shape=shape, start=0, end=0)
        for name, shape in (("a", (2, 3, 4)), ("b", (5,)), ("scalar", ()))
    }
    assert Weights(files=(), tensors=tensors).numbers == 24 + 5 + 1


@pytest.mark.parametrize("found", [[], "text", None, {"weight_map": {}}, {}])
def test_an_index_of_any_shape_without_a_map_is_one_sentence(vae, found):
    path = vae / f"{STEM}.safetensors.index.json"
    assert list(_index_faults(vae, path, found)) == [f"vae/{path.name} has no weight_map"]


@pytest.mark.parametrize(
    ("config", "faults"),
    [
        ({"latents_mean": [0.0] * 16, "latents_std": [1.0] * 16}, []),
        ({"latents_mean": [0.0] * 17}, ["vae: latents_mean has 17 values for 16 channels"]),
        ({"z_dim": 4, "latents_std": [1.0] * 16}, ["vae: latents_std has 16 values for 4 channels"]),
        ({"z_dim": 4, "latents_std": [1.0] * 4}, []),
    ],
)
def test_lengths_of_a_vaes_config_that_contradict_each_other_are_named(vae, config, faults):
    (vae / "config.json").write_text(json.dumps(config))
    assert list(_unequal_lengths("vae", vae)) == faults


def test_a_config_that_no_model_is_built_from_says_why_in_one_line(vae, monkeypatch):
    why = "no  such\n  layer " + "x" * 300

    def built(family, component, folder):
        raise ValueError(why)

    monkeypatch.setattr(_keys, "empty_part", built)
    said = f"no such layer {'x' * 300}"[:200]
    assert list(key_faults(vae.parent, "vae", FAMILIES[0])) == [f"vae: no model can be built from its config: {said}"]


def test_weights_that_are_not_those_of_the_config_say_what_to_do(tmp_path, monkeypatch):
    class Source:
        folder = tmp_path
        family = FAMILIES[0]

    def two(folder, component, family):
        assert family is FAMILIES[0]
        return iter([f"{component}: a", f"{component}: b"])

    monkeypatch.setattr(_keys, "key_faults", two)
    with pytest.raises(ModelError) as error:
        check_keys(Source())
    assert error.value.what == (
        "the model's weights are not those of its config: transformer: a; transformer: b; vae: a; vae: b; "
        "text_encoder: a; text_encoder: b"
    )
    assert error.value.where == str(tmp_path)
    assert error.value.remedy == "compare the folder with its source, config.json too, and download what differs again"


def test_only_the_beginning_of_a_key_is_renamed():
    assert current_name("model.layers.model.norm") == "model.language_model.layers.model.norm"


def test_a_model_is_known_by_the_names_and_digests_of_its_parts_alone():
    told = b"transformer aa\nvae bb\n"
    assert whole_sha256((("vae", "bb"), ("transformer", "aa"))) == hashlib.sha256(told).hexdigest()


def test_a_part_is_known_by_the_names_and_bytes_of_its_files_whatever_the_names_are(vae):
    names = [b"config.json", b"z\xff.json"]
    for name in names:
        (vae / os.fsdecode(name)).write_bytes(name)
    told = b"".join(name + b" " + hashlib.sha256(name).hexdigest().encode() + b"\n" for name in names)
    assert parts_sha256(vae.parent, ("vae",)) == (("vae", hashlib.sha256(told).hexdigest()),)


def test_a_file_of_the_model_that_cannot_be_read_is_named(vae, monkeypatch):
    (vae / "config.json").write_text("{}")

    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("qiltest.generation.identity.file_sha256", denied)
    with pytest.raises(DeviceError) as error:
        parts_sha256(vae.parent, ("vae",))
    assert error.value.what == (
        f"a file of the model cannot be read: [Errno 13] Permission denied: '{vae / 'config.json'}'"
    )
    assert error.value.where == str(vae.parent)
