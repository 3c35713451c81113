"""Models and LoRAs are found, or the message says how to get them. Nothing is generated here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from qiltest.errors import DeviceError, ModelError, RecipeError
from qiltest.generation import Settings, open_generator, resolve_lora, resolve_model
from qiltest.generation.sources import (
    EMBEDDED_MODELS,
    base_of_model,
    embedded_of,
    embedded_source,
    is_embedded,
    kind_of,
)
from qiltest.suite.load import load_variants
from qiltest.suite.variants import ModelKind

ROOT = Path(__file__).parents[2]


@pytest.fixture
def _offline(monkeypatch, tmp_path):
    """An empty cache and no hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_importing_and_resolving_needs_no_torch(folder):
    """Everything but drawing works where torch is not installed."""
    script = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'diffusers', 'transformers', 'peft')))\n"
        "from qiltest.generation import open_generator, resolve_model, finish\n"
        "from qiltest.errors import DeviceError\n"
        f"print(resolve_model({str(folder)!r}).revision)\n"
        "try:\n"
        f"    open_generator({str(folder)!r})\n"
        "except DeviceError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("local\ngenerating needs torch and diffusers"), done.stderr


def test_no_gpu_is_said_before_anything_is_loaded(folder):
    with pytest.raises(DeviceError, match="no usable device: cuda:9") as caught:
        open_generator(str(folder), Settings(device="cuda:9"))
    assert "or leave out the model, the device and -m gpu to generate with the tiny model" in str(caught.value)


def test_without_a_gpu_the_tiny_model_is_not_said_to_need_another_model():
    with pytest.raises(DeviceError, match="no usable device: cuda:9") as caught:
        open_generator("tiny", Settings(device="cuda:9"))
    assert "or leave out the device and -m gpu to generate with the tiny model" in str(caught.value)


def test_the_random_model_is_not_built_on_a_cpu():
    with pytest.raises(DeviceError, match="41 GB"):
        open_generator("random", Settings(device="cpu"))


@pytest.mark.parametrize("device", ["cuda:-1", "cuda:x", "cuda:", "CPU", " cpu", "meta", "cpu:0:0", "cuda:01"])
def test_a_spelling_of_a_device_that_torch_does_not_know_is_one_line(folder, device):
    with pytest.raises(DeviceError, match="write cpu, cuda or cuda:0"):
        open_generator(str(folder), Settings(device=device), kind=ModelKind.TINY)


@pytest.mark.parametrize(
    ("option", "value"), [("device", "tpu9"), ("device", "mps"), ("dtype", "int8"), ("offload", "disk")]
)
def test_an_option_that_does_not_exist_names_those_that_do(folder, option, value):
    with pytest.raises(DeviceError, match="write"):
        open_generator(str(folder), Settings(**{option: value}), kind=ModelKind.TINY)


@pytest.mark.usefixtures("_offline")
def test_weights_that_are_not_cached_are_asked_for_by_a_command():
    with pytest.raises(DeviceError, match="Qwen/Qwen-Image") as caught:
        resolve_model("Qwen/Qwen-Image", revision="abc")
    assert "hf download Qwen/Qwen-Image --revision abc" in str(caught.value)


@pytest.mark.usefixtures("_offline")
def test_a_lora_that_is_not_cached_is_asked_for_by_a_command(folder):
    with pytest.raises(DeviceError) as caught:
        resolve_lora("lightx2v/Qwen-Image-Lightning::a.safetensors", model=resolve_model(str(folder)))
    assert "hf download lightx2v/Qwen-Image-Lightning a.safetensors" in str(caught.value)
    assert caught.value.what == "not found in the Hugging Face cache (LocalEntryNotFoundError)"


@pytest.mark.usefixtures("_offline")
def test_a_release_that_is_not_cached_is_told_by_the_catalogue(folder):
    file = "Qwen-Image-Lightning-8steps-V1.1.safetensors"
    with pytest.raises(DeviceError) as caught:
        resolve_lora(f"lightx2v/Qwen-Image-Lightning::{file}", model=resolve_model(str(folder)))
    assert caught.value.what == (
        "not found in the Hugging Face cache (LocalEntryNotFoundError), by the catalogue "
        "Qwen-Image-Lightning-8steps-V1.1 (fp32), a LoRA for text-to-image with Qwen/Qwen-Image in 8 steps"
    )
    assert caught.value.remedy == f"run once: hf download lightx2v/Qwen-Image-Lightning {file}   (or name the file)"


def test_a_word_that_is_no_model_is_refused():
    with pytest.raises(DeviceError, match="unknown model 'no such model'"):
        resolve_model("no such model")


def test_a_snapshot_of_the_hub_has_its_commit_as_revision(folder, tmp_path):
    commit = "0123456789abcdef0123456789abcdef01234567"
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots" / commit).symlink_to(folder)
    assert resolve_model(str(tmp_path / "snapshots" / commit)).revision == commit
    with pytest.raises(DeviceError, match="revision main was requested"):
        resolve_model(str(folder), revision="main")


def copy(folder: Path, to: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder, to / "copy"))


def test_a_pipeline_of_no_family_is_refused_by_its_name(folder, tmp_path):
    made = copy(folder, tmp_path)
    index = json.loads((made / "model_index.json").read_text())
    (made / "model_index.json").write_text(json.dumps(index | {"_class_name": "QwenImageLayeredPipeline"}))
    with pytest.raises(
        DeviceError, match="has a QwenImageLayeredPipeline, qiltest needs a QwenImagePipeline, "
    ) as caught:
        resolve_model(str(made))
    assert "QwenImageEditPlusPipeline" in caught.value.what


def test_a_shard_that_was_not_downloaded_is_named(folder, tmp_path):
    made = copy(folder, tmp_path)
    weights = made / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_name("diffusion_pytorch_model-00001-of-00002.safetensors"))
    shards = {
        "a": "diffusion_pytorch_model-00001-of-00002.safetensors",
        "b": "diffusion_pytorch_model-00002-of-00002.safetensors",
    }
    weights.with_name("diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(DeviceError, match=r"transformer/diffusion_pytorch_model-00002-of-00002\.safetensors"):
        resolve_model(str(made))


def test_weights_as_pickle_are_no_weights(folder, tmp_path):
    made = copy(folder, tmp_path)
    weights = made / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(DeviceError, match=r"vae/\*\.safetensors"):
        resolve_model(str(made))


def test_a_truncated_weight_file_is_an_error_of_the_model(folder, tmp_path):
    made = copy(folder, tmp_path)
    weights = made / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"transformer/diffusion_pytorch_model\.safetensors is damaged: truncated"):
        open_generator(str(made), kind=ModelKind.TINY)


@pytest.mark.parametrize("name", ["weights.bin", "weights.pt", "weights.ckpt"])
def test_a_lora_that_is_no_safetensors_is_never_opened(folder, tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x04")
    with pytest.raises(RecipeError, match="pickles are never opened"):
        resolve_lora(str(tmp_path / name), model=resolve_model(str(folder)))


@pytest.mark.parametrize("source", ["a/b::c::d.safetensors", "a/b::/etc/x.safetensors", "a/b::../x.safetensors"])
def test_a_file_outside_its_repository_is_no_file_of_the_hub(folder, source):
    with pytest.raises((RecipeError, DeviceError), match=r"not a repository and a file|not found"):
        resolve_lora(source, model=resolve_model(str(folder)))


@pytest.mark.parametrize("source", ["embedded::../../secret", "embedded::12step", "nowhere.safetensors"])
def test_a_lora_that_is_not_there_is_an_error(folder, source):
    with pytest.raises(RecipeError, match="no such"):
        resolve_lora(source, model=resolve_model(str(folder), kind=ModelKind.TINY))


def test_the_embedded_models_are_known_by_their_names_alone():
    assert [name for name in ("tiny", "tiny-edit", "Tiny", "tiny-edit/", "random") if is_embedded(name)] == [
        *("tiny", "tiny-edit"),
    ]
    assert (kind_of("tiny-edit"), kind_of("random")) == (ModelKind.TINY, ModelKind.REAL)
    base = base_of_model("tiny-edit")
    assert (base.id, base.family) == ("tiny-edit", "qwen-image-edit-plus")
    assert base_of_model("tiny").id is None


def test_an_embedded_lora_is_that_of_the_model_that_its_variant_names():
    by_name = {variant.name: variant for variant in load_variants(ROOT / "cases" / "variants.toml")}
    for name, model in (("8step", "tiny"), ("edit-8step", "tiny-edit"), ("edit-4step", "tiny-edit")):
        source = embedded_of(by_name[name])
        assert (source.name, source.folder, source.is_tiny) == (model, EMBEDDED_MODELS[model], True)


def test_the_command_that_gets_a_file_is_quoted_for_a_shell():
    with pytest.raises(DeviceError) as caught:
        resolve_lora("owner/name::my file.safetensors", model=embedded_source("tiny"))
    assert "hf download owner/name 'my file.safetensors'   (or" in caught.value.remedy
