"""A hostile model folder: nothing of it runs, nothing outside it is opened, and each way ends in one line."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from qiltest.errors import DeviceError, ModelError, QiltestError
from qiltest.generation import Settings, open_generator, resolve_model
from qiltest.generation.families import FAMILIES
from qiltest.suite.variants import ModelKind

from .conftest import BASE, SIZE, case
from .test_whole import DIFFUSERS, edit, shards, weights

COMPONENTS = FAMILIES[0].components

WEIGHTED = ("transformer", "vae", "text_encoder")


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"open({str(self.mark)!r}, 'w').write('ran')",)


@pytest.fixture
def made(folder: Path, tmp_path: Path) -> Path:
    """A copy of the stand-in whose files may be replaced, not written to."""
    return Path(shutil.copytree(folder, tmp_path / "made"))


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """The file that exists once a payload ran."""
    return tmp_path / "ran"


@pytest.fixture(autouse=True)
def _no_pickle(monkeypatch):
    """A pickle that is opened fails the test, whether or not torch refuses to run it."""
    monkeypatch.setattr(torch, "load", lambda *_a, **_k: pytest.fail("a pickle was opened"))


def open_it(folder: Path) -> object:
    return open_generator(str(folder), Settings(device="cpu"), kind=ModelKind.TINY)


def refused(folder: Path) -> ModelError:
    """Open a folder and return the refusal, which is one line and a remedy."""
    with pytest.raises(ModelError) as caught:
        open_it(folder)
    assert len(str(caught.value).splitlines()) == 2
    assert "\n" not in caught.value.what
    return caught.value


def index(component: Path, *names: object, name: str = "") -> Path:
    """Write an index that names the files for all tensors of the component's weight file, in turn."""
    single = weights(component.parent, component.name)
    path = component / (name or f"{single.name}.index.json")
    keys = sorted(load_file(single)) if single.is_file() else ["a", "b"]
    places = {key: names[number % len(names)] for number, key in enumerate(keys)}
    path.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return path


@pytest.mark.parametrize("component", WEIGHTED)
@pytest.mark.parametrize("name", ["w.bin", "w.pt", "w.ckpt", "w.safetensors.bin", "w", "W.SAFETENSORS", "w.pkl"])
def test_an_index_that_names_a_pickle_is_refused_before_anything_is_opened(made, mark, component, name):
    index(made / component, name)
    weights(made, component).unlink()
    (made / component / name).write_bytes(pickle.dumps(Payload(mark)))
    assert f"names {name}, which is not a .safetensors file" in refused(made).what
    assert not mark.exists()


@pytest.mark.parametrize("component", WEIGHTED)
def test_a_pickle_with_the_true_weights_is_refused_too(made, component, monkeypatch):
    path = weights(made, component)
    torch.save(load_file(path), path.with_name("w.bin"))
    index(made / component, "w.bin")
    path.unlink()
    assert "w.bin, which is not a .safetensors file" in refused(made).what


@pytest.mark.parametrize("component", WEIGHTED)
@pytest.mark.parametrize(
    "name",
    [
        "pytorch_model.bin.index.json",
        "diffusion_pytorch_model.fp16.safetensors.index.json",
        "diffusion_pytorch_model.safetensors.index.fp16.json",
        "model.safetensors.index.bf16.json",
        "anything.index.json",
    ],
)
def test_every_index_of_a_component_is_looked_at_whether_or_not_it_is_used(made, mark, component, name):
    (made / component / "w.bin").write_bytes(pickle.dumps(Payload(mark)))
    index(made / component, "w.bin", name=name)
    assert "w.bin, which is not a .safetensors file" in refused(made).what
    assert not mark.exists()


@pytest.mark.parametrize(
    "name", ["../w.safetensors", "../../elsewhere.safetensors", "/etc/w.safetensors", "a/w.safetensors",
             "./w.safetensors", "a\\w.safetensors", ".w.safetensors", "\0.safetensors"],
)  # fmt: skip
def test_an_index_names_no_file_outside_its_component(made, name):
    index(made / "transformer", name)
    weights(made, "transformer").unlink()
    assert "a file outside transformer" in refused(made).what


def test_a_file_that_only_another_index_names_must_be_there(made):
    index(made / "transformer", "a.safetensors", name=f"{DIFFUSERS}.fp16.safetensors.index.json")
    assert refused(made).what == "missing: transformer/a.safetensors"


@pytest.mark.parametrize("component", WEIGHTED)
def test_a_single_file_beside_its_index_is_refused_as_only_one_of_them_would_be_loaded(made, component):
    own = weights(made, component)
    shutil.copy(own, own.with_name("kept"))
    shards(made, component)
    own.with_name("kept").rename(own)
    assert f"{component}: it has both {own.name} and {own.name}.index.json" in refused(made).what


def linked(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
    path.symlink_to(target)


@pytest.mark.parametrize("file", ["transformer/config.json", "vae/diffusion_pytorch_model.safetensors",
                                  "tokenizer/tokenizer.json", "scheduler/scheduler_config.json"])  # fmt: skip
def test_a_link_out_of_the_folder_is_refused(made, tmp_path, file):
    linked(made / file, tmp_path / "elsewhere" / "file")
    assert refused(made).what == f"{file} is a link out of the model's folder"


def test_the_links_of_a_hugging_face_cache_are_followed(folder, tmp_path):
    """snapshots/COMMIT/component/file -> blobs/HASH, as huggingface_hub lays them out."""
    commit, repository = "0" * 40, tmp_path / "models--owner--name"
    snapshot = Path(shutil.copytree(folder, repository / "snapshots" / commit))
    for number, path in enumerate(sorted(path for path in snapshot.rglob("*") if path.is_file())):
        linked(path, repository / "blobs" / f"{number:040x}")
    found = resolve_model(str(snapshot))
    assert (found.revision, found.model) == (commit, "owner/name")
    elsewhere = Path(shutil.copytree(snapshot, tmp_path / "links", symlinks=True))
    assert resolve_model(str(elsewhere)).model == "local/links"


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


#: what a JSON file of a component may hold, and what is said of it.
JSON_FAULTS: dict[str, tuple[str, str]] = {
    "a list": ("[]", "is not a JSON object"),
    "a number": ("7", "is not a JSON object"),
    "null": ("null", "is not a JSON object"),
    "nothing": ("", "Invalid JSON"),
    "cut": ('{"a": ', "Invalid JSON"),
    "deep": (nested(200_000), "levels inside one another"),
    "deep in an object": (f'{{"a": {nested(100)}}}', "levels inside one another"),
    "a huge number": (f'{{"a": {"9" * 5_000}}}', "digits"),
    "infinity": ('{"a": Infinity}', "not a finite number"),
    "1e999": ('{"a": 1e999}', "not a finite number"),
    "a key twice": ('{"a": 1, "a": 2}', "duplicate key"),
    "no UTF-8": ("\udcff", "Invalid JSON"),
}
JSON_FILES = (
    "transformer/config.json",
    "vae/config.json",
    "text_encoder/config.json",
    "text_encoder/generation_config.json",
    "tokenizer/tokenizer.json",
    "tokenizer/tokenizer_config.json",
    "scheduler/scheduler_config.json",
)


@pytest.mark.parametrize("fault", JSON_FAULTS)
@pytest.mark.parametrize("file", JSON_FILES)
def test_json_of_no_use_is_one_line(made, file, fault):
    text, sentence = JSON_FAULTS[fault]
    (made / file).unlink(missing_ok=True)
    (made / file).write_bytes(text.encode("utf-8", "surrogateescape"))
    what = refused(made).what
    assert what.startswith(file)
    assert sentence in what


@pytest.mark.parametrize("fault", JSON_FAULTS)
def test_the_pipelines_index_of_no_use_is_one_line(made, fault):
    text, _ = JSON_FAULTS[fault]
    (made / "model_index.json").unlink()
    (made / "model_index.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DeviceError) as caught:
        open_it(made)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"_class_name": ["pipeline", "Evil"]},
        {"_class_name": {"a": 1}},
        {"transformer": ["evil", "Evil"]},
        {"scheduler": "Evil"},
        {"scheduler": [["a"], {"b": 1}]},
        {"tokenizer": None},
        {"text_encoder": 7},
    ],
)
def test_the_pipelines_index_names_the_pipelines_own_classes_alone(made, changes):
    edit(made / "model_index.json", **changes)
    with pytest.raises(DeviceError, match="qiltest needs") as caught:
        open_it(made)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("places", "sentence"),
    [
        ([1], "has no weight_map"),
        (7, "has no weight_map"),
        ({}, "has no weight_map"),
        (None, "has no weight_map"),
        ({"a": 1}, "names something that is no file"),
        ({"a": ["w.safetensors"]}, "names something that is no file"),
        ({"a": None}, "names something that is no file"),
    ],
)
@pytest.mark.parametrize("component", WEIGHTED)
def test_an_index_whose_map_is_none_is_one_line(made, component, places, sentence):
    shards(made, component).write_text(json.dumps({"weight_map": places}))
    assert sentence in refused(made).what


@pytest.mark.parametrize("file", ["transformer/config.json", "tokenizer/merges.txt", "tokenizer/chat_template.jinja",
                                  "transformer/diffusion_pytorch_model.safetensors", "vae/x.index.json"])  # fmt: skip
def test_a_fifo_is_not_waited_for(made, file):
    (made / file).unlink(missing_ok=True)
    os.mkfifo(made / file)
    assert refused(made).what == f"{file} is not a regular file"


def test_the_pipelines_index_as_a_fifo_is_not_waited_for(made):
    (made / "model_index.json").unlink()
    os.mkfifo(made / "model_index.json")
    with pytest.raises(DeviceError, match="Not a regular file"):
        open_it(made)


def test_a_model_card_as_a_fifo_is_not_waited_for(made):
    (made / "README.md").unlink(missing_ok=True)
    os.mkfifo(made / "README.md")
    assert resolve_model(str(made)).folder == made


@pytest.mark.parametrize("file", ["transformer/config.json", "tokenizer/tokenizer.json", "tokenizer/merges.txt",
                                  "text_encoder/x.index.json", "model_index.json"])  # fmt: skip
def test_a_file_of_many_gigabytes_is_not_read(made, file):
    (made / file).unlink(missing_ok=True)
    with (made / file).open("wb") as sparse:
        sparse.truncate(20 << 30)
    with pytest.raises(DeviceError, match=r"(?i)too large|more than"):
        open_it(made)


EVIL = "open({mark!r}, 'w').write('ran')\nclass Evil: pass\n"


@pytest.mark.parametrize("component", COMPONENTS)
def test_code_in_a_component_is_refused_and_never_run(made, mark, component):
    (made / component / "evil.py").write_text(EVIL.format(mark=str(mark)))
    assert f"{component}/evil.py is code" in refused(made).what
    assert not mark.exists()


NAMED: dict[str, tuple[str, dict[str, object], str]] = {
    "code of the tokenizer": (
        "tokenizer/tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Evil", None]}}, "names code (auto",
    ),
    "code of the text encoder": (
        "text_encoder/config.json", {"auto_map": {"AutoModel": "evil.Evil"}}, "names code (auto_map)",
    ),
    "code of a part of a config": (
        "text_encoder/config.json", {"other": [{"auto_map": {"AutoModel": "a/b--evil.Evil"}}]}, "names code (auto_map)",
    ),
    "a kernel of the hub": (
        "text_encoder/config.json", {"attn_implementation": "owner/kernel"}, "names code of a repository (attn",
    ),
    "a kernel of the hub, deeper": (
        "text_encoder/config.json", {"x": {"_attn_implementation": "owner/kernel"}}, "names code of a repository",
    ),
    "another weight file": (
        "text_encoder/config.json", {"transformers_weights": "w.bin"}, "names another weight file (tr",
    ),
    "another tokenizer": (
        "tokenizer/tokenizer_config.json", {"fast_tokenizer_files": ["../tokenizer.4.0.json"]}, "names other files",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", NAMED)
def test_a_config_that_names_something_else_to_open_or_run_is_refused(made, what):
    file, changes, sentence = NAMED[what]
    edit(made / file, **changes)
    assert sentence in refused(made).what


def test_an_adapter_beside_the_text_encoder_is_refused(made):
    (made / "text_encoder" / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/name"}')
    assert "text_encoder/adapter_config.json names an adapter" in refused(made).what


@pytest.mark.parametrize(
    ("file", "changes", "sentence"),
    [
        ("transformer/config.json", {"num_layers": 1_000_000_000}, "num_layers is 1000000000"),
        ("transformer/config.json", {"axes_dims_rope": [1 << 40, 8, 8]}, "axes_dims_rope is 1099511627776"),
        ("vae/config.json", {"base_dim": 1 << 40}, "base_dim is 1099511627776"),
        ("text_encoder/config.json", {"num_hidden_layers": 1 << 20}, "num_hidden_layers is 1048576"),
        ("text_encoder/config.json", {"text_config": {"hidden_size": 1 << 40}}, "hidden_size is 1099511627776"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 10**12}, "num_train_timesteps is 1000000000000"),
        ("scheduler/scheduler_config.json", {"shift": [3.0]}, "scheduler: shift is list"),
    ],
)
def test_numbers_for_which_no_memory_is_enough_are_refused(made, file, changes, sentence):
    edit(made / file, **changes)
    assert sentence in refused(made).what


#: (file, changes): values of a type that nobody expects there.
WRONG_TYPES = [
    ("scheduler/scheduler_config.json", {"shift": "three"}),
    ("scheduler/scheduler_config.json", {"num_train_timesteps": "x"}),
    ("scheduler/scheduler_config.json", {"num_train_timesteps": -3}),
    ("scheduler/scheduler_config.json", {"base_shift": "x"}),
    ("transformer/config.json", {"num_layers": "x"}),
    ("transformer/config.json", {"num_layers": None, "axes_dims_rope": 7}),
    ("transformer/config.json", {"_class_name": ["a"]}),
    ("vae/config.json", {"dim_mult": 7}),
    ("text_encoder/config.json", {"text_config": 7}),
    ("text_encoder/config.json", {"architectures": 7, "model_type": ["x"]}),
    ("text_encoder/config.json", {"quantization_config": 7}),
    ("text_encoder/generation_config.json", {"do_sample": ["x"]}),
    ("tokenizer/tokenizer.json", {"added_tokens": 7}),
    ("tokenizer/tokenizer.json", {"added_tokens": [7]}),
    ("tokenizer/tokenizer.json", {"added_tokens": [{"content": [1], "id": {}}]}),
    ("tokenizer/tokenizer.json", {"model": 7}),
    ("tokenizer/tokenizer.json", {"model": {"vocab": {"a": "b"}}}),
    ("tokenizer/tokenizer.json", {"normalizer": {"type": "Nonsense"}}),
    ("tokenizer/tokenizer_config.json", {"added_tokens_decoder": [7]}),
    ("tokenizer/tokenizer_config.json", {"added_tokens_decoder": {"x": 7}}),
    ("tokenizer/tokenizer_config.json", {"added_tokens_decoder": {"1": {"content": 7}}}),
    ("tokenizer/tokenizer_config.json", {"init_inputs": 7}),
    ("tokenizer/tokenizer_config.json", {"chat_template": 7, "model_max_length": "x"}),
]


@pytest.mark.parametrize(("file", "changes"), WRONG_TYPES, ids=[f"{f}-{c}" for f, c in WRONG_TYPES])
def test_a_value_of_another_type_is_an_error_of_one_line_or_changes_nothing(made, file, changes):
    edit(made / file, **changes) if (made / file).is_file() else (made / file).write_text(json.dumps(changes))
    told = ""
    try:
        own = open_it(made)
        own.denoise(own.recipe(case(), SIZE, BASE, 42))
    except QiltestError as error:
        told = str(error)
    assert len(told.splitlines()) <= 2


def test_a_pickle_that_nothing_names_is_left_alone(made, mark, generator, recipe):
    """Repositories have both forms of their weights; the safetensors are loaded."""
    for component, name in (("transformer", f"{DIFFUSERS}.bin"), ("vae", f"{DIFFUSERS}.bin"),
                            ("text_encoder", "pytorch_model.bin")):  # fmt: skip
        (made / component / name).write_bytes(pickle.dumps(Payload(mark)))
    own = open_it(made)
    found = own.denoise(own.recipe(case(), SIZE, BASE, 42))
    assert torch.equal(found.latents, generator.denoise(recipe()).latents)
    assert not mark.exists()
    assert found.recipe.key() == recipe().key()


@pytest.mark.parametrize("spoil", [lambda f: (f / "transformer" / "loop").symlink_to(f), lambda f: None])
def test_a_loop_of_links_ends(made, spoil: Callable[[Path], object]):
    spoil(made)
    if (made / "transformer" / "loop").exists():
        assert refused(made).what == "transformer/loop is a link to a folder"
    else:
        open_it(made)


def test_a_folder_of_endless_entries_is_not_listed_whole(made):
    for number in range(5_100):
        (made / "vae" / f"{number}.txt").touch()
    assert refused(made).what == "vae: it has more than 5,000 entries"


def test_a_name_too_long_for_a_path_is_no_model():
    with pytest.raises(DeviceError, match="unknown model"):
        resolve_model("a" * 5_000)
