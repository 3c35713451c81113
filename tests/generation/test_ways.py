"""Ways to generate on a small card: the same image as without, but for float8 storage, which is a recipe of its own."""

from importlib.metadata import PackageNotFoundError

import pytest
import torch
from diffusers import QwenImagePipeline

from qiltest.engine.environment import cohort_of
from qiltest.errors import DeviceError, ModelError
from qiltest.generation import Settings, _load
from qiltest.generation._fill import HostMemory, fill
from qiltest.generation._load import load_image_stage, load_text_stage, random_pipeline
from qiltest.generation.settings import Offload
from qiltest.generation.sources import resolve_model
from qiltest.suite.variants import ModelKind

from .conftest import BASE, SIZE, case
from .test_random_model import SMALL

CPU = torch.device("cpu")
EXACT = [{"offload": way} for way in Offload]
REDUCED = [{"fp8": True, "offload": way} for way in (Offload.NONE, Offload.GROUP, Offload.MODEL)]


def image(generator):
    return generator.decode(generator.denoise(generator.recipe(case(), SIZE, BASE, 42))).png


def loaded(folder, dtype=torch.bfloat16, **options):
    return load_image_stage(resolve_model(str(folder)), dtype, CPU, Settings(**options))


@pytest.mark.parametrize("options", EXACT, ids=str)
def test_offloading_changes_no_image(fresh, generator, options):
    assert image(fresh(**options)) == image(generator)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_every_weight_is_the_one_that_diffusers_loads(folder, dtype):
    ours, theirs = loaded(folder, dtype), QwenImagePipeline.from_pretrained(folder, dtype=dtype)
    for part in ("transformer", "vae"):
        wanted = getattr(theirs, part).state_dict()
        found = getattr(ours, part).state_dict()
        assert found.keys() == wanted.keys()
        for name, tensor in wanted.items():
            assert found[name].dtype is dtype
            assert torch.equal(found[name], tensor), name
    text = load_text_stage(resolve_model(str(folder)), dtype, CPU, Settings()).text_encoder.state_dict()
    assert all(torch.equal(text[name], tensor) for name, tensor in theirs.text_encoder.state_dict().items())


@pytest.mark.parametrize("options", REDUCED, ids=str)
def test_float8_storage_is_diffusers_layerwise_casting(folder, options):
    theirs = QwenImagePipeline.from_pretrained(folder, dtype=torch.bfloat16).transformer
    theirs.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16)
    ours = loaded(folder, **options).transformer
    wanted, found = theirs.state_dict(), ours.state_dict()
    assert any(tensor.dtype is torch.float8_e4m3fn for tensor in found.values())
    for name, tensor in wanted.items():
        assert found[name].dtype is tensor.dtype, name
        assert torch.equal(found[name].float(), tensor.float()), name


def test_float8_storage_generates_another_image_the_same_in_each_way(fresh, generator):
    images = {image(fresh(**options)) for options in REDUCED}
    assert len(images) == 1
    assert images != {image(generator)}


def test_each_way_is_a_recipe_and_a_latency_cohort_of_its_own(fresh):
    recipes = [fresh(**options).recipe(case(), SIZE, BASE, 42) for options in (*EXACT, *REDUCED)]
    assert len({recipe.key() for recipe in recipes}) == len(recipes)
    assert len({cohort_of(recipe, model="tiny", device="a CPU").key for recipe in recipes}) == len(recipes)
    assert recipes[-1].dtype == "float32 (weights in float8_e4m3fn)"


@pytest.mark.parametrize(
    "options",
    [
        {"compiled": True, "offload": "group"},
        {"compiled": True, "offload": "sequential"},
        {"compiled": True, "fp8": True},
        {"fp8": True, "offload": "sequential"},
    ],
    ids=str,
)
def test_options_that_diffusers_does_not_combine_are_refused(options):
    with pytest.raises(DeviceError, match="exclude each other"):
        Settings(**options)


@pytest.mark.parametrize("options", [*EXACT, *REDUCED], ids=str)
def test_the_random_model_has_the_same_values_in_each_way(options):
    vae = {"base_dim": 16, "num_res_blocks": 1}
    plain = random_pipeline(SMALL, vae, torch.bfloat16, CPU).transformer.state_dict()
    found = random_pipeline(SMALL, vae, torch.bfloat16, CPU, Settings(**options)).transformer.state_dict()
    for name, tensor in plain.items():
        assert torch.equal(found[name].float(), tensor.to(found[name].dtype).float()), name


def test_host_memory_takes_each_weight_at_an_even_address_and_no_more_than_they_need():
    with torch.device("meta"):
        model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Linear(5, 7)).bfloat16()
    memory = HostMemory(model)
    values = {name: torch.randn(tensor.shape) for name, tensor in model.state_dict().items()}
    fill(model, iter(values.items()), dtype=torch.bfloat16, put=memory.put)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, values[name].bfloat16())
        assert tensor.data_ptr() % 256 == 0
        assert tensor.untyped_storage().data_ptr() == memory._memory.data_ptr()
    assert memory._memory.numel() == 5 * 256


def test_a_weight_that_stays_without_values_is_refused():
    with torch.device("meta"):
        model = torch.nn.Linear(3, 5)
    with pytest.raises(ModelError, match="1 weights have no values: bias"):
        fill(model, iter([("weight", torch.zeros(5, 3))]), dtype=torch.float32, put=lambda tensor: tensor)


RAISED = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 144.00 MiB.\nmore"),
    MemoryError(),
    RuntimeError("CUDA error: an illegal memory access was encountered\nmore"),
    NotImplementedError("Cannot copy out of meta tensor; no data!"),
    PackageNotFoundError("bitsandbytes"),
    ValueError("guidance_scale is required for guidance-distilled model."),
    OSError("Error no file named scheduler_config.json found\nin directory"),
    KeyError("a"),
]


@pytest.mark.parametrize("stage", [load_image_stage, load_text_stage])
@pytest.mark.parametrize("raised", RAISED, ids=lambda error: type(error).__name__)
def test_whatever_a_library_raises_while_it_loads_is_one_line(folder, monkeypatch, stage, raised):
    def failing(*_args, **_options):
        raise raised

    monkeypatch.setattr(_load, "_offload", failing)
    monkeypatch.setattr(_load, "_text_encoder", failing)
    source = resolve_model(str(folder), kind=ModelKind.REAL)
    with pytest.raises(ModelError) as caught:
        stage(source, torch.bfloat16, CPU, Settings())
    assert "\n" not in caught.value.what
    assert caught.value.where == str(folder)
    assert caught.value.remedy
    memory = isinstance(raised, torch.OutOfMemoryError | MemoryError)
    assert ("out of memory while loading" in caught.value.what) == memory
    assert ("--qil-offload=group" in caught.value.remedy) == memory


def test_weights_that_transformers_left_random_are_refused(folder, monkeypatch):
    """The headers were compared before; this is for a version of transformers that names weights in another way."""
    from transformers import Qwen2_5_VLForConditionalGeneration

    load = Qwen2_5_VLForConditionalGeneration.from_pretrained

    def forgetful(*args, **options):
        encoder, info = load(*args, **options)
        return encoder, info | {"missing_keys": ["lm_head.weight", "model.language_model.norm.weight"]}

    monkeypatch.setattr(Qwen2_5_VLForConditionalGeneration, "from_pretrained", forgetful)
    with pytest.raises(ModelError, match=r"left random 1 weights of the text encoder: model\.language_model\.norm"):
        load_text_stage(resolve_model(str(folder)), torch.bfloat16, CPU, Settings())
