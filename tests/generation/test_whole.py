"""A model folder that is not whole is refused in one sentence when it is opened, before a weight is read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from qiltest.errors import DeviceError, ModelError
from qiltest.generation import Settings, open_generator, resolve_model
from qiltest.generation._keys import current_name
from qiltest.suite.variants import ModelKind

from .conftest import BASE, SIZE, case

DIFFUSERS, TRANSFORMERS = "diffusion_pytorch_model", "model"
Tensors = dict[str, torch.Tensor]


@pytest.fixture
def made(folder: Path, tmp_path: Path) -> Path:
    """A copy of the stand-in whose files may be replaced, not written to."""
    return Path(shutil.copytree(folder, tmp_path / "made"))


def edit(path: Path, **changes: object) -> None:
    found = json.loads(path.read_text())
    path.unlink()
    path.write_text(json.dumps(found | changes))


def weights(folder: Path, component: str) -> Path:
    return folder / component / f"{TRANSFORMERS if component == 'text_encoder' else DIFFUSERS}.safetensors"


def rewrite(folder: Path, component: str, change: Callable[[Tensors], Tensors]) -> None:
    path = weights(folder, component)
    tensors = change(load_file(path))
    path.unlink()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, {"format": "pt"})


def shards(folder: Path, component: str) -> Path:
    """Split a component's file into two shards with an index, and return the index."""
    path = weights(folder, component)
    tensors, places = load_file(path), {}
    names = sorted(tensors)
    for number, part in enumerate((names[::2], names[1::2]), 1):
        shard = path.with_name(f"{path.stem}-{number:05d}-of-00002.safetensors")
        save_file({name: tensors[name] for name in part}, shard, {"format": "pt"})
        places |= dict.fromkeys(part, shard.name)
    path.unlink()
    index = path.with_name(f"{path.name}.index.json")
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return index


def without(prefix: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: value for name, value in tensors.items() if not name.startswith(prefix)}


def prefixed(prefix: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {prefix + name: value for name, value in tensors.items()}


def as_dtype(dtype: torch.dtype) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {
        name: value.to(dtype) if value.ndim > 1 and value.is_floating_point() else value
        for name, value in tensors.items()
    }


def transposed(tensors: Tensors) -> Tensors:
    return tensors | {"img_in.weight": tensors["img_in.weight"].T}


def rename(folder: Path, component: str, name: str) -> None:
    weights(folder, component).rename(weights(folder, component).with_name(name))


def index_class(folder: Path, component: str, name: str) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    edit(folder / "model_index.json", **{component: [index[component][0], name]})


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def lfs_pointer(folder: Path) -> None:
    path = weights(folder, "transformer")
    path.unlink()
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 4\n")


def another_vocabulary(folder: Path, count: int) -> None:
    """Write a tokenizer of `count` tokens, the template's among them."""
    tokens = {
        **{f"t{number}": number for number in range(count - 2)},
        "<|im_start|>": count - 2,
        "<|im_end|>": count - 1,
    }
    empty(folder / "tokenizer")
    (folder / "tokenizer" / "tokenizer.json").write_text(json.dumps({"model": {"vocab": tokens}}))


def index_of_more(folder: Path) -> None:
    index = shards(folder, "transformer")
    found = json.loads(index.read_text())["weight_map"]
    index.write_text(json.dumps({"weight_map": found | {"lost.weight": next(iter(found.values()))}}))


TRANSFORMER = "transformer/config.json"
FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "transformer without one module": (
        lambda f: rewrite(f, "transformer", without("transformer_blocks.1.attn.to_q")),
        "transformer: 2 weights missing: transformer_blocks.1.attn.to_q.bias, transformer_blocks.1.attn.to_q.weight",
    ),
    "transformer with a prefix": (
        lambda f: rewrite(f, "transformer", prefixed("model.diffusion_model.")),
        "weights that the config has no place for: model.diffusion_model.",
    ),
    "transformer config of fewer layers": (
        lambda f: edit(f / TRANSFORMER, num_layers=1),
        "weights that the config has no place for: transformer_blocks.1.",
    ),
    "transformer config of more layers": (
        lambda f: edit(f / TRANSFORMER, num_layers=3),
        "weights missing: transformer_blocks.2.",
    ),
    "transformer weight of another shape": (
        lambda f: rewrite(f, "transformer", transposed),
        r"transformer: 1 weights of another shape: img_in.weight (64, 192) for (192, 64)",
    ),
    "transformer cast to float8": (
        lambda f: rewrite(f, "transformer", as_dtype(torch.float8_e4m3fn)),
        "transformer: its weights are stored as float8_e4m3fn: a reduced copy generates other images than its release; "
        "--qil-fp8 reduces the release itself",
    ),
    "transformer config without a number": (
        lambda f: edit(f / TRANSFORMER, num_layers="two"),
        "transformer: no model can be built from its config",
    ),
    "text encoder config that contradicts itself": (
        lambda f: edit(
            f / "text_encoder/config.json",
            text_config=json.loads((f / "text_encoder/config.json").read_text())["text_config"]
            | {"num_hidden_layers": 2},
        ),
        "text_encoder: no model can be built from its config: ",
    ),
    "VAE with too few standard deviations": (
        lambda f: edit(f / "vae/config.json", latents_std=[1.0] * 8),
        "vae: latents_std has 8 values for 16 channels",
    ),
    "transformer whose rotary axes do not fill a head": (
        lambda f: edit(f / TRANSFORMER, axes_dims_rope=[8, 28, 20]),
        "transformer: axes_dims_rope [8, 28, 20] sum up to 56, attention_head_dim is 64",
    ),
    "transformer quantised": (
        lambda f: edit(f / TRANSFORMER, quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}),
        "transformer: its weights are quantised (bitsandbytes)",
    ),
    "guidance-distilled": (
        lambda f: edit(f / TRANSFORMER, guidance_embeds=True),
        "transformer: guidance_embeds is true",
    ),
    "transformer of another class": (
        lambda f: index_class(f, "transformer", "NunchakuQwenImageTransformer2DModel"),
        "transformer: model_index.json names NunchakuQwenImageTransformer2DModel, qiltest needs",
    ),
    "transformer without config": (
        lambda f: (f / TRANSFORMER).unlink(),
        "transformer: config.json is missing",
    ),
    "transformer as a fp16 variant": (
        lambda f: rename(f, "transformer", f"{DIFFUSERS}.fp16.safetensors"),
        "transformer: it has only the files of the variant fp16",
    ),
    "transformer shards without index": (
        lambda f: shards(f, "transformer").unlink(),
        f"transformer: its shards are there, but not {DIFFUSERS}.safetensors.index.json, which says what is in which",
    ),
    "transformer file of another name": (
        lambda f: rename(f, "transformer", "qwen_image_bf16.safetensors"),
        f"transformer: its weights are called qwen_image_bf16.safetensors; the file that is loaded is {DIFFUSERS}.",
    ),
    "an index of a tensor that no shard has": (
        index_of_more,
        "transformer: 1 tensors of the index are in no file: lost",
    ),
    "an index of nothing": (
        lambda f: shards(f, "transformer").write_text("{}"),
        f"transformer/{DIFFUSERS}.safetensors.index.json has no weight_map",
    ),
    "a git-lfs pointer": (lfs_pointer, f"transformer/{DIFFUSERS}.safetensors is a pointer of git-lfs"),
    "text encoder without one layer": (
        lambda f: rewrite(f, "text_encoder", without("model.layers.0.mlp")),
        "text_encoder: 3 weights missing: model.language_model.layers.0.mlp.down_proj.weight",
    ),
    "text encoder with a prefix": (
        lambda f: rewrite(f, "text_encoder", prefixed("text_encoder.")),
        "that the config has no place for: text_encoder.",
    ),
    "text encoder with half of its image tower": (
        lambda f: rewrite(f, "text_encoder", without("visual.blocks")),
        "text_encoder: 12 weights missing: model.visual.blocks.0.attn.proj.bias",
    ),
    "text encoder cast to float8": (
        lambda f: rewrite(f, "text_encoder", as_dtype(torch.float8_e5m2)),
        "text_encoder: its weights are stored as float8_e5m2",
    ),
    "vae without its last layer": (
        lambda f: rewrite(f, "vae", without("decoder.conv_out")),
        "vae: 2 weights missing: decoder.conv_out.bias, decoder.conv_out.weight",
    ),
    "tokenizer folder empty": (lambda f: empty(f / "tokenizer"), "tokenizer: it has neither tokenizer.json nor"),
    "tokenizer without merges": (
        lambda f: (empty(f / "tokenizer"), (f / "tokenizer" / "vocab.json").write_text('{"a": 0}')),
        "tokenizer: it has neither tokenizer.json nor vocab.json with merges.txt",
    ),
    "tokenizer of more tokens than the embedding has rows": (
        lambda f: another_vocabulary(f, 300),
        "tokenizer: its 300 tokens do not match the 260 rows of the text encoder's embedding",
    ),
    "tokenizer of another, smaller model": (
        lambda f: another_vocabulary(f, 200),
        "tokenizer: its 200 tokens do not match the 260 rows",
    ),
    "tokenizer without the template's tokens": (
        lambda f: (
            (f / "tokenizer/tokenizer.json").unlink()
            or (f / "tokenizer/tokenizer.json").write_text('{"model": {"vocab": {"a": 259}}}')
        ),
        "tokenizer: its vocabulary lacks <|im_start|> and <|im_end|>",
    ),
    "no scheduler config": (
        lambda f: (f / "scheduler/scheduler_config.json").unlink(),
        "scheduler: scheduler_config.json is missing",
    ),
    "scheduler of another class": (
        lambda f: edit(f / "scheduler/scheduler_config.json", _class_name="UniPCMultistepScheduler"),
        "scheduler: its config is that of a UniPCMultistepScheduler, qiltest generates with FlowMatchEulerDiscreteSch",
    ),
    "no text encoder": (lambda f: shutil.rmtree(f / "text_encoder"), "missing: text_encoder"),
    "two faults at once": (
        lambda f: (shutil.rmtree(f / "vae"), edit(f / TRANSFORMER, guidance_embeds=True)),
        "missing: vae; transformer: guidance_embeds",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_is_refused_in_one_sentence_before_a_weight_is_read(made, fault, monkeypatch):
    import safetensors

    spoil, sentence = FAULTS[fault]
    spoil(made)
    monkeypatch.setattr(safetensors, "safe_open", lambda *_a, **_k: pytest.fail("weights were read"))
    with pytest.raises(ModelError) as caught:
        open_generator(str(made), Settings(device="cpu"), kind=ModelKind.REAL)
    assert sentence in caught.value.what
    assert "\n" not in caught.value.what
    assert caught.value.where == str(made)
    assert caught.value.remedy


#: how a refused folder becomes whole, where another one is not needed.
REMEDIES = {
    "transformer as a fp16 variant": f"rename the files of transformer to {DIFFUSERS}.safetensors",
    "a git-lfs pointer": "run `git lfs pull` in the folder",
    "transformer quantised": "name the release's own folder, whole and in bfloat16, for example Qwen/Qwen-Image",
    "no text encoder": "name a folder with model_index.json and the components it lists",
}


@pytest.mark.parametrize("fault", REMEDIES)
def test_a_refused_folder_has_one_remedy(made, fault):
    FAULTS[fault][0](made)
    with pytest.raises(ModelError) as caught:
        resolve_model(str(made))
    assert caught.value.remedy == REMEDIES[fault]


def test_faults_of_which_one_needs_another_folder_have_that_remedy_alone(made):
    FAULTS["a git-lfs pointer"][0](made)
    FAULTS["no scheduler config"][0](made)
    with pytest.raises(ModelError, match="is a pointer of git-lfs, not the file; scheduler: ") as caught:
        resolve_model(str(made))
    assert caught.value.remedy == REMEDIES["transformer quantised"]


def names_in_memory(tensors: Tensors) -> Tensors:
    """The names that transformers 5 has in memory; on disk it writes those of 4.53, as in Qwen/Qwen-Image."""
    assert {name.split(".")[0] for name in tensors} == {"model", "visual", "lm_head"}
    return {current_name(name): value for name, value in tensors.items()}


def same_tokenizer_in_two_files(folder: Path) -> None:
    """The files of Qwen/Qwen-Image's tokenizer: a vocabulary, merges, and the added tokens in the config."""
    whole = json.loads((folder / "tokenizer/tokenizer.json").read_text())
    (folder / "tokenizer/tokenizer.json").unlink()
    (folder / "tokenizer/vocab.json").write_text(json.dumps(whole["model"]["vocab"]))
    (folder / "tokenizer/merges.txt").write_text("#version: 0.2\n")
    added = {str(one["id"]): {key: one[key] for key in one if key != "id"} for one in whole["added_tokens"]}
    edit(folder / "tokenizer/tokenizer_config.json", added_tokens_decoder=added)


WHOLE: dict[str, Callable[[Path], object]] = {
    "transformer in shards": lambda f: shards(f, "transformer"),
    "text encoder in shards": lambda f: shards(f, "text_encoder"),
    "text encoder with longer names": lambda f: rewrite(f, "text_encoder", names_in_memory),
    "text encoder without its head": lambda f: rewrite(f, "text_encoder", without("lm_head")),
    "text encoder without its image tower": lambda f: rewrite(f, "text_encoder", without("visual.")),
    "tokenizer in two files": same_tokenizer_in_two_files,
    "a folder shared by a link": lambda f: (
        shutil.move(f / "text_encoder", f.parent / "shared"),
        (f / "text_encoder").symlink_to(f.parent / "shared"),
    ),
    "transformer in float32": lambda f: rewrite(f, "transformer", as_dtype(torch.float32)),
}


@pytest.mark.parametrize("layout", WHOLE)
def test_a_whole_folder_of_another_layout_generates_the_same_image(made, generator, recipe, layout):
    WHOLE[layout](made)
    own = open_generator(str(made), Settings(device="cpu"), kind=ModelKind.TINY)
    assert torch.equal(own.denoise(own.recipe(case(), SIZE, BASE, 42)).latents, generator.denoise(recipe()).latents)


@pytest.mark.parametrize("name", ["qwen-image-Q4_K_M.gguf", "qwen_image_fp8_e4m3fn.safetensors"])
def test_a_single_file_is_no_model(tmp_path, name):
    (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"neither a single \.safetensors file nor a GGUF is supported as a model"):
        resolve_model(str(tmp_path / name))


def test_an_unreadable_index_of_the_pipeline_is_an_error(made):
    (made / "model_index.json").unlink()
    with pytest.raises(DeviceError, match="cannot be read"):
        resolve_model(str(made))


@pytest.mark.parametrize(
    ("name", "current"),
    [
        ("visual.merger.ln_q.weight", "model.visual.merger.ln_q.weight"),
        ("model.embed_tokens.weight", "model.language_model.embed_tokens.weight"),
        ("model.language_model.norm.weight", "model.language_model.norm.weight"),
        ("model.visual.merger.ln_q.weight", "model.visual.merger.ln_q.weight"),
        ("lm_head.weight", "lm_head.weight"),
    ],
)
def test_keys_of_the_text_encoder_by_any_version_of_transformers(name, current):
    assert current_name(name) == current
