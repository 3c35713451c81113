"""`variants.toml`: what loads, every mistake, and the recipes of the shipped variants."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import builders as make
from qiltest.lora.catalogue import catalogue, recognise
from qiltest.lora.releases import mismatch
from qiltest.suite.load import load_variants
from qiltest.suite.problems import CaseFileError
from qiltest.suite.variants import LoraSource, ModelBase, ModelKind, SchedulerKind, Variant

OTHERS = Path(__file__).parents[2] / "docs" / "guide" / "variants-of-other-models.toml"
SHIPPED = Path(__file__).parents[2] / "cases" / "variants.toml"
MAGIC = "Ultra HD, 4K, cinematic composition."
HUB = "lightx2v/Qwen-Image-Lightning::Qwen-Image-Lightning-"
FILE = """\
[base]
title = "Base"
steps = 50
true_cfg_scale = 4
negative_prompt = " "
scheduler = "model"
prompt_suffix = { zh = "，4K", en = ", 4K" }

["4steps-v2.0"]
title = "Four steps"
steps = 4
true_cfg_scale = 1.0
scheduler = "lightning"
default = false
base_model = "owner/model"
note = "newer"

["4steps-v2.0".loras.real]
source = "owner/repo::file.safetensors"
sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "variants.toml"
    file.write_text(text, encoding="utf-8")
    return file


def mistakes_of(file: Path) -> list[str]:
    with pytest.raises(CaseFileError) as caught:
        load_variants(file)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_variants_are_loaded_in_the_order_of_their_file(tmp_path: Path) -> None:
    assert load_variants(write(tmp_path, FILE)) == (
        Variant(
            name="base",
            title="Base",
            steps=50,
            true_cfg_scale=4.0,
            negative_prompt=" ",
            scheduler=SchedulerKind.MODEL,
            prompt_suffix=(("en", ", 4K"), ("zh", "，4K")),
        ),
        Variant(
            name="4steps-v2.0",
            title="Four steps",
            steps=4,
            true_cfg_scale=1.0,
            negative_prompt=None,
            scheduler=SchedulerKind.LIGHTNING,
            prompt_suffix=(),
            loras=(("real", LoraSource(source="owner/repo::file.safetensors", sha256="0123456789abcdef" * 4)),),
            base_model="owner/model",
            default=False,
            note="newer",
        ),
    )


def test_a_whole_number_for_the_scale_is_the_same_variant_as_its_decimal(tmp_path: Path) -> None:
    (base, _) = load_variants(write(tmp_path, FILE))
    assert isinstance(base.true_cfg_scale, float)


LORA = 'source = "owner/repo::file.safetensors"'
REAL_SOURCE = "allowed: a file.safetensors, or owner/name::file.safetensors on the Hugging Face hub"
ONE_MISTAKE = {
    "unknown key": (
        ("default = false", "defualt = false"),
        '"4steps-v2.0".defualt: unknown key (did you mean "default"?); allowed: title, steps, true_cfg_scale, '
        "negative_prompt, scheduler, sigmas, guidance_scale, family, prompt_suffix, loras, merged, group, "
        "base_model, default, note",
    ),
    "no title": (('title = "Base"\n', ""), "base.title: missing; allowed: a string that is not empty"),
    "no step": (("steps = 50", "steps = 0"), "base.steps: 0 is not allowed; allowed: a whole number from 1 to 1000"),
    "a base that no model can be": (
        ('base_model = "owner/model"', 'base_model = "nope"'),
        '"4steps-v2.0".base_model: "nope" is neither an id on the hub nor a folder\'s path; '
        "allowed: owner/name on the hub, such as Qwen/Qwen-Image, or a folder's path",
    ),
    "the name of one of several candidates": (
        ("[base]", "[candidate-2]"),
        "candidate-2: this name is reserved for candidate LoRA files (qiltest check); allowed: another name",
    ),
    "the name of a candidate": (
        ("[base]", "[candidate]"),
        "candidate: this name is reserved for candidate LoRA files (qiltest check); allowed: another name",
    ),
    "half a step": (
        ("steps = 50", "steps = 50.5"),
        "base.steps: 50.5 is not allowed; allowed: a whole number from 1 to 1000",
    ),
    "true for a number": (
        ("steps = 50", "steps = true"),
        "base.steps: true is not allowed; allowed: a whole number from 1 to 1000",
    ),
    "a scale below 1": (
        ("true_cfg_scale = 1.0", "true_cfg_scale = 0.9"),
        '"4steps-v2.0".true_cfg_scale: 0.9 is not allowed; allowed: a finite number, 1 or more',
    ),
    "a scale that is NaN": (
        ("true_cfg_scale = 1.0", "true_cfg_scale = nan"),
        '"4steps-v2.0".true_cfg_scale: nan is not allowed; allowed: a finite number, 1 or more',
    ),
    "guidance without negative prompt": (
        ('negative_prompt = " "\n', ""),
        "base.negative_prompt: missing, but true_cfg_scale is 4: the pipeline would skip guidance; "
        'allowed: a string; the vendor\'s is " "',
    ),
    "negative prompt without guidance": (
        ("true_cfg_scale = 1.0", 'true_cfg_scale = 1.0\nnegative_prompt = " "'),
        '"4steps-v2.0".negative_prompt: has no effect at true_cfg_scale 1; '
        "allowed: no negative_prompt, or true_cfg_scale above 1",
    ),
    "unknown scheduler": (
        ('"lightning"', '"euler"'),
        '"4steps-v2.0".scheduler: "euler" is not allowed; allowed: model, lightning, or a table of settings such as '
        '{ shift_terminal = "none" }',
    ),
    "lightning scheduler without LoRA": (
        ('scheduler = "model"', 'scheduler = "lightning"'),
        'base.scheduler: "lightning" without a LoRA: only Lightning LoRAs, or models that have one merged, were made '
        'for shift 3; allowed: scheduler = "model", a LoRA in loras.real or loras.tiny, or a note that names the '
        "merged model",
    ),
    "a Lightning LoRA on the model's scheduler": (
        (
            'scheduler = "lightning"\ndefault = false\nbase_model = "owner/model"\nnote = "newer"\n\n'
            '["4steps-v2.0".loras.real]\n'
            'source = "owner/repo::file.safetensors"',
            'scheduler = "model"\n\n["4steps-v2.0".loras.real]\nsource = "owner/Lightning::file.safetensors"',
        ),
        '"4steps-v2.0".scheduler: "model" with the Lightning LoRA "owner/Lightning::file.safetensors", which was '
        'distilled with shift 3; allowed: scheduler = "lightning"',
    ),
    "merging without a LoRA": (
        ("steps = 50", "steps = 50\nmerged = true"),
        "base.merged: true without a LoRA: there is nothing to merge; allowed: no `merged`, or a LoRA in loras",
    ),
    "a group with a variant's name": (
        ('note = "newer"', 'group = "base"'),
        '"4steps-v2.0".group: "base" is also the name of a variant; allowed: another name',
    ),
    "a short hash": (
        ("0123456789abcdef" * 4, "0123456789abcdef"),
        '"4steps-v2.0".loras.real.sha256: "0123456789abcdef" is not allowed; '
        "allowed: 64 hexadecimal digits in lower case",
    ),
    "another kind of model": (
        (".loras.real]", ".loras.huge]"),
        '"4steps-v2.0".loras.huge: unknown key; allowed: real, tiny',
    ),
    "a pickle": (
        (LORA, 'source = "owner/repo::file.pt"'),
        f'"4steps-v2.0".loras.real.source: "owner/repo::file.pt" is not allowed; {REAL_SOURCE}',
    ),
    "an embedded LoRA for a real model": (
        (LORA, 'source = "embedded::8step"'),
        f'"4steps-v2.0".loras.real.source: "embedded::8step" is not allowed; {REAL_SOURCE}',
    ),
    "a language that is no code": (
        ("zh =", "Chinese ="),
        'base.prompt_suffix.Chinese: "Chinese" is not allowed; '
        'allowed: strings by language, such as { en = ", Ultra HD" }',
    ),
    "a name that is no plain name": (
        ("[base]", '["Base model"]'),
        '"Base model": "Base model" is not a valid variant name; allowed: [a-z0-9][a-z0-9.-]{0,63}',
    ),
}


@pytest.mark.parametrize(("edit", "expected"), ONE_MISTAKE.values(), ids=ONE_MISTAKE.keys())
def test_a_mistake_is_told_alone_with_key_and_remedy(tmp_path: Path, edit: tuple[str, str], expected: str) -> None:
    changed = FILE.replace(*edit)
    assert changed != FILE
    assert mistakes_of(write(tmp_path, changed)) == [expected]


def test_what_is_no_table_is_no_variant(tmp_path: Path) -> None:
    assert mistakes_of(write(tmp_path, f"default = 1\n{FILE}")) == [
        "default: 1 is not allowed; allowed: one table per variant"
    ]


def test_a_file_without_variants_is_an_error(tmp_path: Path) -> None:
    assert mistakes_of(write(tmp_path, "# nothing\n")) == [
        "no variant found; allowed: at least one table, such as [base]"
    ]


def test_a_name_twice_is_a_syntax_error_with_its_line(tmp_path: Path) -> None:
    (mistake,) = mistakes_of(write(tmp_path, FILE + "[base]\n"))
    assert mistake.startswith("not TOML: ")
    assert "(at line 21, " in mistake


@pytest.mark.parametrize("source", ["embedded::8step", "my/lora.safetensors", "owner/name::a b.safetensors"])
def test_a_tiny_lora_is_embedded_or_a_file(tmp_path: Path, source: str) -> None:
    variants = load_variants(
        write(tmp_path, FILE.replace(".loras.real]", ".loras.tiny]").replace(LORA, f'source = "{source}"'))
    )
    assert variants[1].lora(ModelKind.TINY).source == source


def test_a_merged_few_step_model_has_the_lightning_scheduler_without_a_lora_where_a_note_names_it(
    tmp_path: Path,
) -> None:
    merged = """
[merged]
title = "Merged 4 steps"
steps = 4
true_cfg_scale = 1.0
scheduler = "lightning"
note = "Qwen-Image with Lightning 4steps-V2.0 merged into it"
"""
    variant = load_variants(write(tmp_path, FILE + merged))[-1]
    assert (variant.name, variant.scheduler, variant.loras) == ("merged", SchedulerKind.LIGHTNING, ())
    assert [variant.generates(kind) for kind in ModelKind] == [True, True]


def test_a_variant_with_a_lora_is_drawn_only_by_models_that_it_fits(tmp_path: Path) -> None:
    base, lightning = load_variants(write(tmp_path, FILE))
    assert [base.generates(kind) for kind in ModelKind] == [True, True]
    assert [lightning.generates(kind) for kind in ModelKind] == [True, False]
    assert base.lora(ModelKind.REAL) is None
    assert lightning.lora(ModelKind.TINY) is None


def test_the_suffix_follows_the_prompts_language(tmp_path: Path) -> None:
    base, lightning = load_variants(write(tmp_path, FILE))
    assert base.prompt("A cat", "en") == "A cat, 4K"
    assert base.prompt("猫", "zh") == "猫，4K"
    assert lightning.prompt("猫", "zh") == "猫"


NEGATIVE_2512 = (
    "低分辨率，低画质，肢体畸形，手指畸形，画面过饱和，蜡像感，人脸无细节，过度光滑，画面具有AI感。"
    "构图混乱。文字模糊，扭曲。"
)
#: of the embedded editing model.
EDITS = ("edit-base", "edit-8step", "edit-4step")


def test_the_shipped_variants_have_the_reports_recipes() -> None:
    variants = {variant.name: variant for variant in load_variants(SHIPPED)}
    assert {
        name: (v.steps, v.true_cfg_scale, v.negative_prompt, v.scheduler.value, v.nfe) for name, v in variants.items()
    } == {
        "base": (50, 4.0, " ", "model", 100),
        "8step": (8, 1.0, None, "lightning", 8),
        "4step": (4, 1.0, None, "lightning", 4),
        "8steps-v2.0": (8, 1.0, None, "lightning", 8),
        "4steps-v2.0": (4, 1.0, None, "lightning", 4),
        "base-later": (50, 4.0, " ", "model", 100),
        "8step-later": (8, 1.0, None, "lightning", 8),
        "4step-later": (4, 1.0, None, "lightning", 4),
        "2512-4steps-v1.0": (4, 1.0, None, "lightning", 4),
        "2512-8steps-v1.0": (8, 1.0, None, "lightning", 8),
        "2512-base": (50, 4.0, NEGATIVE_2512, "model", 100),
        "edit-base": (40, 2.5, " ", "model", 80),
        "edit-8step": (8, 1.0, None, "lightning", 8),
        "edit-4step": (4, 1.0, None, "lightning", 4),
    }
    default = [name for name, v in variants.items() if v.default]
    assert default == ["base", "8step", "4step", "2512-4steps-v1.0", "2512-8steps-v1.0", "2512-base", *EDITS]
    assert [name for name, v in variants.items() if v.family] == list(EDITS)
    assert [name for name, v in variants.items() if v.merged] == ["8step", "4step"]
    assert [name for name, v in variants.items() if v.group] == ["base-later", "8step-later", "4step-later"]


def test_the_reports_variants_append_the_suffix_as_the_script_of_its_day_does_the_later_ones_with_a_comma() -> None:
    for variant in load_variants(SHIPPED):
        suffix = MAGIC if variant.name in {"base", "8step", "4step"} else f", {MAGIC}"
        wanted = {} if variant.name in EDITS else {"en": suffix, "zh": suffix}
        assert dict(variant.prompt_suffix) == wanted, variant.name


def test_the_shipped_variants_name_the_files_of_the_hub() -> None:
    real = {v.name: v.lora(ModelKind.REAL) for v in load_variants(SHIPPED)}
    assert {name: lora and lora.source for name, lora in real.items()} == {
        "base": None,
        "8step": f"{HUB}8steps-V1.1.safetensors",
        "4step": f"{HUB}4steps-V1.0.safetensors",
        "8steps-v2.0": f"{HUB}8steps-V2.0.safetensors",
        "4steps-v2.0": f"{HUB}4steps-V2.0.safetensors",
        "base-later": None,
        "8step-later": f"{HUB}8steps-V1.1.safetensors",
        "4step-later": f"{HUB}4steps-V1.0.safetensors",
        "2512-4steps-v1.0": "lightx2v/Qwen-Image-2512-Lightning"
        "::Qwen-Image-2512-Lightning-4steps-V1.0-fp32.safetensors",
        "2512-8steps-v1.0": "lightx2v/Qwen-Image-2512-Lightning"
        "::Qwen-Image-2512-Lightning-8steps-V1.0-fp32.safetensors",
        "2512-base": None,
        **dict.fromkeys(EDITS),
    }
    tiny = {v.name: v.lora(ModelKind.TINY) for v in load_variants(SHIPPED) if v.generates(ModelKind.TINY)}
    assert {name: lora and lora.source for name, lora in tiny.items()} == {
        "base": None,
        "8step": "embedded::8step",
        "4step": "embedded::4step",
        "base-later": None,
        "8step-later": "embedded::8step",
        "4step-later": "embedded::4step",
        "2512-base": None,
        "edit-base": None,
        "edit-8step": "embedded::8step",
        "edit-4step": "embedded::4step",
    }


def test_every_shipped_variant_names_its_base_model() -> None:
    for variant in load_variants(SHIPPED):
        wanted = "Qwen/Qwen-Image-2512" if variant.name.startswith("2512-") else "Qwen/Qwen-Image"
        assert variant.base_model == ("tiny-edit" if variant.name in EDITS else wanted), variant.name


@pytest.mark.parametrize(
    ("model", "identity", "takes"),
    [
        ("Qwen/Qwen-Image-2512", "Qwen/Qwen-Image-2512", True),
        ("/models/any", "qwen/qwen-image-2512", True),
        ("/models/any", "Qwen/Qwen-Image", False),
        ("/models/any", None, None),
        ("Qwen/Qwen-Image-2512", None, True),
    ],
)
def test_a_model_takes_the_variants_of_its_base_and_where_it_is_unknown_nobody_knows(
    model: str, identity: str | None, takes: bool | None
) -> None:
    variants = {variant.name: variant for variant in load_variants(SHIPPED)}
    base = ModelBase(model=model, id=identity)
    assert base.takes(variants["2512-base"]) is takes
    assert base.takes(replace(variants["2512-base"], base_model=None)) is True


def scheduled(*lines: str) -> str:
    return FILE.replace('scheduler = "model"', "\n".join(lines))


def test_a_table_of_settings_is_what_the_models_scheduler_is_changed_by(tmp_path: Path) -> None:
    table = 'scheduler = { class = "FlowMatchEulerDiscreteScheduler", shift_terminal = "none", max_shift = 0.8 }'
    (base, _) = load_variants(write(tmp_path, scheduled(table)))
    assert base.scheduler is SchedulerKind.SETTINGS
    assert base.scheduler_settings == (("max_shift", 0.8), ("shift_terminal", None))


def test_sigmas_a_guidance_scale_and_a_family_are_as_written(tmp_path: Path) -> None:
    text = FILE.replace("steps = 50", "steps = 3").replace(
        'scheduler = "model"', 'scheduler = "model"\nsigmas = [1, 0.5, 0.25]\nguidance_scale = 3\nfamily = "qwen-image"'
    )
    (base, other) = load_variants(write(tmp_path, text))
    assert (base.sigmas, base.guidance_scale, base.family) == ((1.0, 0.5, 0.25), 3.0, "qwen-image")
    assert (other.sigmas, other.guidance_scale, other.family, other.scheduler_settings) == ((), None, None, ())


@pytest.mark.parametrize(
    ("lines", "key", "message"),
    [
        (('scheduler = { class = "FlowMatchHeunDiscreteScheduler", shift = 3 }',), "scheduler.class", "is not allowed"),
        (("scheduler = { stochastic_sampling = true }",), "scheduler.stochastic_sampling", "unknown key"),
        (("scheduler = { shift_terminal = 1.5 }",), "scheduler.shift_terminal", "1.5 is not allowed"),
        (("scheduler = { shift = 0 }",), "scheduler.shift", "0 is not allowed"),
        (("scheduler = {}",), "scheduler", "a table without a setting"),
        (('scheduler = "settings"',), "scheduler", '"settings" is what'),
        (('scheduler = "model"', "sigmas = [1.0, 0.5]"), "sigmas", "2 sigmas for 50 steps"),
        (('scheduler = "model"', f"sigmas = {[0.5] * 50}"), "sigmas", "not falling"),
        (('scheduler = "model"', "sigmas = [2.0]"), "sigmas[0]", "2.0 is not allowed"),
        (('scheduler = "model"', "sigmas = [0.9, 0.5]"), "sigmas[0]", "0.9 is the first"),
        (
            ("scheduler = { use_karras_sigmas = true, use_beta_sigmas = true }",),
            "scheduler",
            "use_beta_sigmas and use_karras_sigmas: each makes other sigmas",
        ),
        (
            ("scheduler = { use_karras_sigmas = true }", "sigmas = [1.0, 0.6, 0.5]"),
            "sigmas",
            "with use_karras_sigmas, which makes its own",
        ),
        (("scheduler = { use_dynamic_shifting = true, shift = 3 }",), "scheduler.shift", "has no effect"),
        (("scheduler = { use_dynamic_shifting = false, max_shift = 3 }",), "scheduler.max_shift", "has no effect"),
        (
            ("scheduler = { base_image_seq_len = 9, max_image_seq_len = 9 }",),
            "scheduler.max_image_seq_len",
            "9 is also base_image_seq_len",
        ),
        (('scheduler = "model"', "sigmas = []"), "sigmas", "[] is not allowed"),
        (('scheduler = "model"', 'family = "Qwen Image"'), "family", '"Qwen Image" is not allowed'),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(tmp_path: Path, lines: tuple[str, ...], key: str, message: str) -> None:
    with pytest.raises(CaseFileError) as caught:
        load_variants(write(tmp_path, scheduled(*lines)))
    found = [str(mistake) for mistake in caught.value.mistakes]
    assert any(text.startswith(f"base.{key}: ") and message in text for text in found), found


def test_a_key_is_told_as_it_is_written_in_the_file(tmp_path: Path) -> None:
    (unknown,) = mistakes_of(write(tmp_path, scheduled("scheduler = { klass = 1, shift = 3 }")))
    assert "allowed: class, shift, use_dynamic_shifting" in unknown
    (wrong,) = mistakes_of(write(tmp_path, scheduled("scheduler = { class = 1, shift = 3 }")))
    assert wrong.startswith("base.scheduler.class: 1 is not allowed; allowed: FlowMatchEulerDiscreteScheduler, the one")


def test_sigmas_on_the_lightning_scheduler_are_refused(tmp_path: Path) -> None:
    text = FILE.replace('scheduler = "lightning"', 'scheduler = "lightning"\nsigmas = [1.0, 0.75, 0.5, 0.25]')
    with pytest.raises(CaseFileError, match="which shifts them"):
        load_variants(write(tmp_path, text))


@pytest.mark.parametrize(("family", "takes"), [("qwen-image", True), ("qwen-image-edit", False), (None, True)])
def test_a_base_takes_the_variants_of_its_own_family(family: str | None, takes: bool) -> None:
    base = ModelBase(model="random", family="qwen-image")
    assert base.takes(make.variant(family=family)) is takes
    assert ModelBase(model="x").takes(make.variant(family=family)) is True


def test_the_variants_of_other_models_load_and_are_those_that_the_catalogue_knows() -> None:
    found = {variant.name: variant for variant in load_variants(OTHERS)}
    assert {"2.1-base", "2.1-lightning", "2.1-turbo", "wuli-2512-4steps-v3.0", "edit-2511-4steps-v1.0"} <= found.keys()
    for variant in found.values():
        for _, lora in variant.loras:
            assert recognise(sha256="", source=lora.source) is not None
            assert mismatch(sha256="", source=lora.source, like=variant, base=None) is None
    turbo = next(release for release in catalogue().releases if release.name == "Qwen-Image-2.1-Turbo")
    assert found["2.1-turbo"].sigmas == tuple(turbo.sigmas or ())


def test_a_release_in_a_variant_of_another_schedule_is_refused() -> None:
    source = "lightx2v/Qwen-Image-2.1-Lightning::pytorch_lora_weights.safetensors"
    lightning = next(variant for variant in load_variants(OTHERS) if variant.name == "2.1-lightning")
    for other in (
        replace(lightning, scheduler=SchedulerKind.LIGHTNING, scheduler_settings=()),
        replace(lightning, sigmas=(1.0, 0.75, 0.5, 0.25)),
        replace(lightning, scheduler=SchedulerKind.MODEL, scheduler_settings=()),
    ):
        told = mismatch(sha256="", source=source, like=other, base=None)
        assert told is not None
        assert "a dynamic shift without terminal" in told.what


def test_a_lora_for_editing_belongs_to_a_variant_of_an_editing_model_alone() -> None:
    edit = next(variant for variant in load_variants(OTHERS) if variant.name == "edit-2511-4steps-v1.0")
    source = dict(edit.loras)["real"].source
    text = replace(edit, base_model="Qwen/Qwen-Image-2512", family="qwen-image")
    told = mismatch(sha256="", source=source, like=text, base=None)
    assert told is not None
    assert "generates from text alone" in told.what
    unknown = replace(edit, base_model=None)
    assert mismatch(sha256="", source=source, like=unknown, base=None) is None
