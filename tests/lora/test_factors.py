"""The factors that are handed to the model: every scheme, bit for bit as stored."""

import inspect
import json
import time

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from qiltest.errors import RecipeError
from qiltest.lora import inspect_lora, qwen_image
from qiltest.lora.adapter_config import SETTINGS, adapter_config
from qiltest.lora.factors import module_factors
from small_loras import BASE, lora, write

NAMINGS = {
    "Lightning": ("", "lora_down.weight", "lora_up.weight"),
    "older diffusers": ("transformer.", "lora.down.weight", "lora.up.weight"),
    "diffusers": ("transformer.", "lora_A.weight", "lora_B.weight"),
    "DiffSynth-Studio": ("", "lora_A.default.weight", "lora_B.default.weight"),
    "ComfyUI": ("diffusion_model.", "lora_down.weight", "lora_up.weight"),
    "kohya": ("lora_unet_", "lora_down.weight", "lora_up.weight"),
}


def named(arrays, prefix, down, up, *, alpha):
    made = {}
    for key, value in arrays.items():
        module, _, ending = key.partition(".lora_")
        if key.endswith(".alpha"):
            module, ending = key.removesuffix(".alpha"), "alpha"
            if not alpha:
                continue
        flat = module.replace(".", "_") if prefix == "lora_unet_" else module
        made[f"{prefix}{flat}.{down if ending.startswith('down') else up if ending.startswith('up') else ending}"] = (
            value
        )
    return made


def factors(path):
    report = inspect_lora(path, base=BASE)
    return {found.name: found for found in module_factors(path, BASE, report)}


@pytest.mark.parametrize("alpha", [True, False])
@pytest.mark.parametrize("naming", NAMINGS.values(), ids=NAMINGS)
def test_the_factors_and_the_scale_are_those_of_the_file_in_every_naming(tmp_path, naming, alpha):
    arrays = lora(rank=3, alpha=1.5)
    found = factors(write(tmp_path, named(arrays, *naming, alpha=alpha)))
    assert len(found) == 72
    for name, module in found.items():
        assert np.array_equal(module.down, arrays[f"{name}.lora_down.weight"])
        assert np.array_equal(module.up, arrays[f"{name}.lora_up.weight"])
        assert module.scale == (0.5 if alpha else 1.0)


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float8_e4m3fn, torch.float8_e5m2], ids=str
)
def test_every_value_of_a_floating_point_dtype_is_widened_as_torch_does_it(tmp_path, dtype):
    bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32}[dtype.itemsize]
    most = 1 << min(16, 8 * dtype.itemsize)
    every = torch.arange(most, dtype=torch.int32).to(bits).view(dtype).reshape(-1, 16)
    up = torch.ones(16, every.shape[0]).to(dtype)
    module = "transformer_blocks.0.attn.to_q"
    path = tmp_path / "lora.safetensors"
    save_file({f"{module}.lora_down.weight": every.contiguous(), f"{module}.lora_up.weight": up}, path)
    found = factors(path)[module]
    assert np.array_equal(found.down, every.float().numpy(), equal_nan=True)
    assert np.array_equal(found.up, up.float().numpy())


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_alpha_may_have_any_numeric_dtype(tmp_path, dtype, shape):
    module = "transformer_blocks.0.attn.to_q"
    tensors = {
        f"{module}.lora_down.weight": torch.ones(4, 16),
        f"{module}.lora_up.weight": torch.ones(16, 4),
        f"{module}.alpha": torch.full(shape, 2).to(dtype),
    }
    path = tmp_path / "lora.safetensors"
    save_file(tensors, path)
    assert factors(path)[module].scale == 0.5


def config_scales(tmp_path, config, **options):
    arrays = named(lora(**options), *NAMINGS["diffusers"], alpha=False)
    entries = {"target_modules": ["to_q"]} | config
    text = json.dumps({f"transformer.{key}": value for key, value in entries.items()})
    return {
        name: m.scale for name, m in factors(write(tmp_path, arrays, metadata={"lora_adapter_metadata": text})).items()
    }


def test_the_scale_is_that_of_peft_for_every_entry_of_the_config(tmp_path):
    from peft import LoraConfig, inject_adapter_in_model

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, (rows, columns) in BASE.modules.items():
                *path, last = name.split(".")
                at = self
                for part in path:
                    if not hasattr(at, part):
                        setattr(at, part, torch.nn.Module())
                    at = getattr(at, part)
                setattr(at, last, torch.nn.Linear(columns, rows))

    config = {
        "r": 3,
        "lora_alpha": 6,
        "alpha_pattern": {
            "^transformer_blocks.0.attn.to_q": 9,
            "transformer_blocks.1.attn.to_q": 12,
            "attn.to_k": 1.5,
            r"transformer_blocks\.[2-4]\.img_mlp.*": 15,
            "^attn.to_v": 99,
            "to_out.0": 18,
        },
    }
    for more in (
        {},
        {"use_rslora": True},
        {"lora_alpha": 3.5, "alpha_pattern": {}},
        {"rank_pattern": {"attn.to_q": 3}},
    ):
        found = config_scales(tmp_path, config | more, rank=3)
        model = inject_adapter_in_model(LoraConfig(**(config | more), target_modules=list(found)), Model())
        wanted = {name: m.scaling["default"] for name, m in model.named_modules() if hasattr(m, "scaling")}
        assert found == wanted
        assert len(set(found.values())) > 1 or more


def test_no_setting_of_the_installed_peft_is_called_unknown():
    from peft import LoraConfig

    assert set(inspect.signature(LoraConfig).parameters) <= SETTINGS


BAD_CONFIGS = {
    "no list": ({"rank_pattern": [1]}, "rank_pattern of `lora_adapter_metadata` is not a JSON object"),
    "a rank that is text": ({"r": "4"}, "gives 'r' the rank '4'"),
    "an alpha beyond all numbers": ({"lora_alpha": 10**400}, "a number has more than 100 digits"),
    "a group": ({"alpha_pattern": {"(a+)+": 1}}, "regular expressions that are too complex"),
    "repetitions": ({"alpha_pattern": {"a*a*a*": 1}}, "regular expressions that are too complex"),
    "too many patterns": ({"alpha_pattern": dict.fromkeys(map(str, range(5000)), 1)}, "has 5,000 entries, over 4,096"),
    "too many expressions": ({"alpha_pattern": {f"a.*{n}": 1 for n in range(65)}}, "too complex"),
    "another rank": (
        {"rank_pattern": {"attn.to_q": 2}},
        "says rank 2 for transformer_blocks.0.attn.to_q, whose factors",
    ),
}


@pytest.mark.parametrize(("config", "said"), BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_a_config_that_cannot_be_followed_is_refused_and_says_why(tmp_path, config, said):
    entries = {f"transformer.{key}": value for key, value in ({"r": 3, "target_modules": ["to_q"]} | config).items()}
    arrays = named(lora(), *NAMINGS["diffusers"], alpha=False)
    path = write(tmp_path, arrays, metadata={"lora_adapter_metadata": json.dumps(entries)})
    (error,) = inspect_lora(path, base=BASE).errors
    assert said in error
    assert len(error) < 1000


def test_the_worst_config_that_is_followed_takes_no_time(tmp_path):
    patterns = {f".*{'[a-z.]*'}{number}x": 1 for number in range(64)}
    patterns |= {f"{number}x": 1 for number in range(4000)}
    config = adapter_config(
        {
            "lora_adapter_metadata": json.dumps(
                {"transformer.alpha_pattern": patterns, "transformer.target_modules": ["to_q"]}
            )
        }
    )
    began = time.process_time()
    assert {config.scale(module) for module in qwen_image().modules} == {1.0}
    assert time.process_time() - began < 30


def test_a_file_that_changed_after_its_inspection_is_refused(tmp_path):
    path = write(tmp_path, lora())
    report = inspect_lora(path, base=BASE)
    write(tmp_path, {key: value for key, value in lora().items() if "attn.to_q" not in key})
    with pytest.raises(RecipeError, match="changed after its inspection"):
        list(module_factors(path, BASE, report))
