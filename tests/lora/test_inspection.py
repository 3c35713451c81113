"""What an inspection says of files whose contents are known."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import builders as make
from qiltest.errors import RecipeError
from qiltest.generation.sources import known_bases, open_base
from qiltest.hashing import file_sha256
from qiltest.lora import Base, Severity, base_from_folder, inspect_lora, qwen_image
from qiltest.suite.variants import LoraSource
from small_loras import BASE, encode, lora, write


def inspect(tmp_path, arrays, *, base=BASE, **options):
    return inspect_lora(write(tmp_path, arrays, **options), base=base)


def codes(report):
    return [finding.code for finding in report.findings]


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_norms_are_those_of_the_dense_deltas(tmp_path, dtype):
    arrays = lora()
    report = inspect(tmp_path, arrays, dtype=dtype)
    assert report.dtypes == {dtype: 216}
    for module in report.modules:
        dense = 0.5 * arrays[f"{module.name}.lora_up.weight"] @ arrays[f"{module.name}.lora_down.weight"]
        assert module.norm == pytest.approx(np.linalg.norm(dense), rel=1e-2 if dtype == "BF16" else 1e-3)
    for block in report.blocks:
        mine = [module.norm for module in report.modules if f"blocks.{block.block}." in module.name]
        assert block.norm == pytest.approx(math.hypot(*mine))
        assert block.modules == 12


def test_a_good_file_holds_and_says_rank_alpha_scale_and_coverage(tmp_path):
    report = inspect(tmp_path, lora(rank=3, alpha=1.5), metadata={"made": "today"})
    assert report.passes
    assert (report.ranks, report.alphas, report.scales) == ((3,), (1.5,), (0.5,))
    assert (len(report.modules), report.base_modules) == (72, 6 * 14 + 6)
    assert report.fits == ("small",)
    assert report.metadata == {"made": "today"}
    assert report.sha256 == file_sha256(report.path)
    assert codes(report) == ["scale"]


def test_no_alpha_means_a_scale_of_one(tmp_path):
    arrays = {f"diffusion_model.{key}": value for key, value in lora(alpha=None).items()}
    report = inspect(tmp_path, arrays)
    assert (report.alphas, report.scales, codes(report)) == ((None,), (1.0,), [])


def test_alpha_in_diffusers_metadata_counts(tmp_path):
    arrays = {
        f"transformer.{key}".replace("lora_down", "lora_A").replace("lora_up", "lora_B"): value
        for key, value in lora(alpha=None).items()
    }
    config = json.dumps({"transformer.r": 3, "transformer.lora_alpha": 12, "transformer.target_modules": ["to_q"]})
    report = inspect(tmp_path, arrays, metadata={"lora_adapter_metadata": config})
    assert report.scales == (4.0,)
    assert report.passes


def without(arrays, *parts):
    return {key: value for key, value in arrays.items() if not any(part in key for part in parts)}


def changed(arrays, part, change):
    return {key: change(value) if part in key else value for key, value in arrays.items()}


def renamed(arrays, old, new):
    return {key.replace(old, new): value for key, value in arrays.items()}


def twice(arrays):
    return arrays | {"diffusion_model." + key: value for key, value in arrays.items()}


BAD = {
    "empty": ({}, "empty", "no LoRA tensors"),
    "other names": (renamed(lora(), "attn.to_q", "attn.wq"), "unknown-keys", "12 keys with no match in small"),
    "a foreign tensor": (lora() | {"text_model.weight": np.zeros(3)}, "unknown-keys", "text_model.weight"),
    "dora": (lora() | {"transformer_blocks.0.attn.to_q.dora_scale": np.zeros(3)}, "kind", "a DoRA, such as"),
    "a block too many": (renamed(lora(), "blocks.5.", "blocks.6."), "unknown-keys", "transformer_blocks.6."),
    "no up": (without(lora(), "0.attn.to_q.lora_up"), "missing-keys", "transformer_blocks.0.attn.to_q: the up factor"),
    "alpha alone": (
        without(lora(), "0.attn.to_q.lora_"),
        "missing-keys",
        "transformer_blocks.0.attn.to_q: the down factor (found transformer_blocks.0.attn.to_q.alpha)",
    ),
    "other width": (
        changed(lora(), "to_k.lora_down", lambda a: a[:, :9]),
        "wrong-shapes",
        "[16, 9] in the file, [16, 16]",
    ),
    "other rank": (
        changed(lora(), "0.attn.to_k.lora_up", lambda a: a[:, :2]),
        "unknown-keys",
        "the ranks differ: 3 in the down factor, 2 in the up factor",
    ),
    "one axis": (changed(lora(), "0.attn.to_k.lora_up", lambda a: a[0]), "unknown-keys", "are not matrices"),
    "long alpha": (changed(lora(), "0.attn.to_k.alpha", lambda _: np.ones(2)), "unknown-keys", "is not one number"),
    "NaN": (changed(lora(), "3.attn.to_k.lora_up", lambda a: a * np.nan), "non-finite", "1 tensor with NaN"),
    "infinite alpha": (changed(lora(), "3.attn.to_k.alpha", lambda a: a * np.inf), "non-finite", "3.attn.to_k.alpha"),
    "no effect": (changed(lora(), "lora_up", lambda a: a * 0), "no-effect", "the delta of every module is zero"),
    "alpha zero": (changed(lora(), "alpha", lambda a: a * 0), "no-effect", "the delta of every module is zero"),
    "half of the blocks": (
        without(lora(), "blocks.3.", "blocks.4.", "blocks.5."),
        "left-out",
        "3 of 6 blocks left out (3-5)",
    ),
    "every other block": (without(lora(), "blocks.0.", "blocks.2."), "left-out", "2 of 6 blocks left out (0, 2)"),
    "a module in one block": (
        without(lora(), "2.img_mlp.net.2."),
        "left-out",
        "1 block without modules that others have",
    ),
    "two silent blocks": (
        changed(changed(lora(), "blocks.1.", lambda a: a * 0 if a.ndim else a), "4.", lambda a: a * 0 if a.ndim else a),
        "left-out",
        "2 of 6 blocks without effect (1, 4), unlike the others: transformer_blocks.1.attn.to_q",
    ),
    "blocks that are all but silent": (
        changed(lora(), "blocks.3.", lambda a: a * 1e-3),
        "left-out",
        "1 of 6 blocks without effect (3), unlike the others",
    ),
    "a silent module": (
        changed(lora(), "2.attn.to_v.lora_up", lambda a: a * 0),
        "left-out",
        "1 module without effect, unlike the same modules of other blocks: transformer_blocks.2.attn.to_v",
    ),
    "two ways of naming": (twice(lora()), "unknown-keys", "duplicate"),
    "mixed prefixes": (
        without(lora(), "blocks.0.") | {f"transformer.{k}": v for k, v in lora().items() if "blocks.0." in k},
        "prefix",
        "keys have several prefixes ((none), transformer.)",
    ),
    "no prefix, no alpha": (lora(alpha=None), "prefix", "neither a prefix nor alphas"),
}


@pytest.mark.parametrize(("arrays", "code", "message"), BAD.values(), ids=BAD)
def test_a_bad_file_does_not_hold_and_the_finding_says_why(tmp_path, arrays, code, message):
    report = inspect(tmp_path, arrays)
    assert not report.passes
    found = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    assert code in [finding.code for finding in found]
    assert any(message in finding.text for finding in found), [finding.text for finding in found]


def test_modules_of_the_last_block_that_change_no_image_may_be_missing_or_zero(tmp_path):
    unused = ["5.attn.to_add_out.", "5.attn.add_q_proj.", "5.txt_mlp."]
    assert inspect(tmp_path, without(lora(), *unused)).passes
    zero = lora()
    for part in unused:
        zero = changed(zero, f"{part}lora_up" if part.endswith("out.") else part, lambda a: a * 0 if a.ndim else a)
    report = inspect(tmp_path, zero)
    assert report.passes
    assert "zero-modules" not in codes(report)


def test_a_module_that_was_trained_in_no_block_is_noted(tmp_path):
    report = inspect(tmp_path, changed(lora(), ".attn.to_v.lora_up", lambda a: a * 0))
    assert report.passes
    assert len(report.zero_modules) == BASE.num_layers
    assert report.silenced == ()
    assert any("6 modules without effect" in text for text in report.warnings)


def test_weak_is_not_silent(tmp_path):
    report = inspect(tmp_path, changed(lora(), "2.attn.to_v.lora_up", lambda a: a * 0.01))
    assert report.passes
    assert report.silenced == ()
    assert "outliers" in codes(report)


@pytest.mark.parametrize("factor", [20.0, 0.05])
def test_a_module_far_from_the_same_one_in_other_blocks_is_noted(tmp_path, factor):
    report = inspect(tmp_path, changed(lora(), "4.attn.to_q.lora_up", lambda a: a * factor))
    assert report.passes
    assert [block.outliers for block in report.blocks if block.outliers] == [("transformer_blocks.4.attn.to_q",)]
    assert "outliers" in codes(report)


def test_a_good_file_has_no_outlier(tmp_path):
    assert "outliers" not in codes(inspect(tmp_path, lora()))


def test_ranks_and_scales_that_differ_are_noted(tmp_path):
    arrays = lora(rank=3, alpha=3.0) | {k: v for k, v in lora(rank=2, alpha=3.0).items() if ".to_q." in k}
    report = inspect(tmp_path, arrays)
    assert report.passes
    assert (report.ranks, report.scales) == ((2, 3), (1.0, 1.5))
    assert codes(report) == ["ranks", "scales"]


def test_the_variants_whose_hash_the_file_has_are_named(tmp_path):
    path = write(tmp_path, lora())
    variants = [
        make.variant(name, loras=(("real", LoraSource(source="x", sha256=sha256)),))
        for name, sha256 in (("4step", file_sha256(path)), ("8step", "0" * 64), ("unpinned", None))
    ]
    assert inspect_lora(path, base=BASE, variants=variants).variants == ("4step",)


def test_the_report_is_json_even_with_nan(tmp_path):
    report = inspect(tmp_path, BAD["NaN"][0])
    record = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert record["passes"] is False
    assert None in [module["norm"] for module in record["modules"]]
    assert record["findings"][0]["severity"] == "error"


def test_names_from_the_file_cannot_steer_a_terminal(tmp_path):
    report = inspect(tmp_path, lora() | {"\x1b[2Jcleared\x9b": np.zeros(1)})
    assert "\x1b" not in "".join(report.errors)
    assert "␛[2Jcleared\N{REPLACEMENT CHARACTER}" in report.errors[0]


def test_a_full_size_lightning_file_fits_qwen_image_and_its_editing_models(tmp_path):
    """Rank 1 instead of 64, else everything as in the real files: 60 blocks, 720 modules, alpha 8 over 64 = 0.125."""
    report = inspect_lora(write(tmp_path, lora(rank=1, alpha=0.125, base=qwen_image()), dtype="BF16"))
    assert report.base == "qwen-image"
    assert {"qwen-image", "Qwen-Image-Edit", "Qwen-Image-2512"} <= set(report.fits)
    assert "tiny" not in report.fits
    assert (len(report.modules), report.scales, report.passes) == (720, (0.125,), True)


def test_a_file_of_another_base_says_which_it_fits(tmp_path):
    other = replace(BASE, name="wider", num_attention_heads=4)
    path = write(tmp_path, lora(base=BASE))
    report = inspect_lora(path, base=other)
    assert not report.passes
    assert "72 modules with another shape than in wider" in report.errors[0]
    assert len(report.errors) == 1
    assert report.fits == ()


def test_every_base_that_is_known_is_the_real_classs():
    """Names and shapes against diffusers' own class, on meta; tests/generation/test_families.py has other families'."""
    import torch
    from diffusers import QwenImageTransformer2DModel

    for base in (*(base for base in known_bases() if type(base) is Base), BASE):
        rotary = (base.attention_head_dim - 2 * (base.attention_head_dim * 7 // 16), base.attention_head_dim * 7 // 16)
        config = {
            "num_layers": base.num_layers,
            "attention_head_dim": base.attention_head_dim,
            "num_attention_heads": base.num_attention_heads,
            "joint_attention_dim": base.joint_attention_dim,
            "axes_dims_rope": (rotary[0], rotary[1], rotary[1]) if base is not BASE else (4, 2, 2),
        }
        with torch.device("meta"):
            model = QwenImageTransformer2DModel(**config)
        linear = {
            name: tuple(module.weight.shape)
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear)
        }
        assert linear == base.modules


def test_a_base_is_read_from_a_folders_config(tmp_path):
    (tmp_path / "transformer").mkdir()
    config = {
        "num_layers": 6,
        "attention_head_dim": 8,
        "num_attention_heads": 2,
        "joint_attention_dim": 12,
        "other": [1],
    }
    (tmp_path / "transformer" / "config.json").write_text(json.dumps(config))
    assert base_from_folder(tmp_path).modules == BASE.modules
    assert open_base(str(tmp_path)).name == tmp_path.name
    assert open_base("qwen-image") == qwen_image()


@pytest.mark.parametrize("text", ["{", '{"num_layers": "60"}', '{"num_layers": 0}', '{"num_layers": 99999999}'])
def test_a_config_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer" / "config.json").write_text(text)
    with pytest.raises(RecipeError):
        base_from_folder(tmp_path)


def test_flat_names_are_unambiguous():
    for base in (qwen_image(), BASE, Base(name="one", num_layers=1)):
        assert len(base.flat_names) == len(base.modules)


def test_a_factor_too_large_for_a_lora_is_not_read(tmp_path):
    header_only = {"transformer_blocks.0.attn.to_q.lora_down.weight": (1, 1 << 27)}
    tensors, at = {}, 0
    for name, shape in header_only.items() | {("transformer_blocks.0.attn.to_q.lora_up.weight", (16, 1))}:
        size = 4 * math.prod(shape)
        tensors[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(tensors).encode()
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)
    assert "too large for a LoRA" in inspect_lora(path, base=BASE).errors[0]


def test_the_file_is_only_read(tmp_path):
    path = write(tmp_path, lora())
    path.chmod(0o400)
    inspect_lora(path, base=BASE)
    assert path.read_bytes() == encode(lora())
