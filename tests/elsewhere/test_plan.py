"""The plan: what another program must generate, in three formats."""

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import builders as make
from qiltest.cli.main import main
from qiltest.elsewhere.formats import COLUMNS, as_comfyui, as_csv, as_json
from qiltest.elsewhere.plan import PlannedModel, plan, planned_model
from qiltest.errors import DeviceError, RecipeError
from qiltest.generation.schedule import LIGHTNING, QWEN_IMAGE, expected_sigmas
from qiltest.generation.sources import EMBEDDED_MODELS
from qiltest.recipe import Size
from qiltest.suite.cases import EditRules, InputFile, InputSource
from qiltest.suite.selection import Task
from qiltest.suite.variants import LoraSource, ModelKind, SchedulerKind

CASES = Path(__file__).parents[2] / "cases"
BASE = make.variant(
    "base",
    steps=50,
    true_cfg_scale=4.0,
    negative_prompt=" ",
    scheduler=SchedulerKind.MODEL,
    prompt_suffix=(("en", ", Ultra HD"),),
)
FAST = make.variant("fast", loras=(("real", LoraSource(source="owner/name::fast.safetensors", sha256="a" * 64)),))


@pytest.fixture
def images():
    case = make.case("sign", size=Size(713, 1280), prompt='A sign, "Qwen"')
    tasks = [
        Task(case=case, resolution=case.resolutions[0], variant=variant, seed=7, kind=ModelKind.REAL)
        for variant in (BASE, FAST)
    ]
    return plan(tasks, planned_model("Qwen/Qwen-Image", kind=ModelKind.REAL))


def test_an_image_has_all_that_a_program_must_know(images):
    base, fast = images
    assert (base.sample, base.file) == ("sign@713x1280-base-s7", "sign@713x1280-base-s7.png")
    assert (base.width, base.height, base.steps, base.true_cfg_scale, base.seed) == (704, 1280, 50, 4.0, 7)
    assert (base.prompt, base.negative_prompt, base.lora) == ('A sign, "Qwen", Ultra HD', " ", None)
    assert fast.negative_prompt is None
    assert (fast.lora.file, fast.lora.sha256, fast.lora.merged) == ("fast.safetensors", "a" * 64, False)
    assert fast.sigmas == pytest.approx((1, 0.9, 0.75, 0.5))
    assert fast.scheduler_config == {**LIGHTNING, "class": "FlowMatchEulerDiscreteScheduler"}
    config = tuple(base.scheduler_config.items())
    assert base.sigmas == expected_sigmas(config, steps=50, image_tokens=44 * 80)
    assert QWEN_IMAGE.items() <= base.scheduler_config.items()


def test_the_plan_of_another_family_has_its_sizes_its_uncut_prompts_and_the_variants_own_schedule():
    case = make.case("sign", size=Size(111, 80))
    variant = replace(
        FAST,
        steps=2,
        scheduler=SchedulerKind.SETTINGS,
        scheduler_settings=(("shift_terminal", None),),
        sigmas=(1.0, 0.4),
    )
    task = Task(case=case, resolution=case.resolutions[0], variant=variant, seed=1, kind=ModelKind.REAL)
    (image,) = plan([task], planned_model("Qwen/Qwen-Image-2.1", kind=ModelKind.REAL))
    assert (image.width, image.height, image.max_sequence_length) == (96, 64, 0)
    assert (image.scheduler_config, image.sigmas) == (None, None)
    assert (image.scheduler_settings, image.given_sigmas) == ({"shift_terminal": None}, (1.0, 0.4))
    (known,) = plan([task], planned_model("random/qwen-image-2.1", kind=ModelKind.REAL))
    assert known.sigmas == expected_sigmas(
        tuple(known.scheduler_config.items()), steps=2, image_tokens=6 * 4, given=(1.0, 0.4)
    )


def test_comfyuis_graphs_are_not_written_for_another_family(tmp_path, capsys):
    others = CASES.parent / "docs" / "guide" / "variants-of-other-models.toml"
    (tmp_path / "variants.toml").write_bytes(others.read_bytes())
    (tmp_path / "sign.toml").write_text(
        'id = "sign"\ntitle = "Sign"\nlanguage = "en"\nprompt = "A sign that reads \\"HELLO\\""\n'
        '[[texts]]\ntext = "HELLO"\n[[resolutions]]\nsize = "96x96"\ntiny = "96x96"\n'
    )
    assert main(["plan", "--model=Qwen/Qwen-Image-2.1", f"--cases={tmp_path}", "--format=comfyui-prompts"]) == 2
    assert "nothing says that Qwen/Qwen-Image-2.1 is one" in capsys.readouterr().err


def test_comfyuis_graphs_load_the_weights_of_the_plans_model():
    for name, insisted, file in (
        ("Qwen/Qwen-Image", None, "qwen_image_bf16.safetensors"),
        ("Qwen/Qwen-Image-2512", None, "qwen_image_2512_bf16.safetensors"),
        ("owner/another-model", "Qwen/Qwen-Image-2512", "qwen_image_2512_bf16.safetensors"),
    ):
        model = planned_model(name, kind=ModelKind.REAL, base=insisted)
        (prompt,) = json.loads(as_comfyui(plan([task_of(BASE)], model), model))
        assert prompt["prompt"]["unet"]["inputs"]["unet_name"] == file
    other = planned_model("owner/another-model", kind=ModelKind.REAL)
    with pytest.raises(RecipeError, match="nothing says that owner/another-model is one"):
        as_comfyui(plan([task_of(BASE)], other), other)


@pytest.mark.parametrize(("model", "other"), [("tiny", "tiny-edit"), ("tiny-edit", "tiny")])
def test_a_lora_of_another_embedded_model_is_not_planned(model, other):
    file = EMBEDDED_MODELS[other] / "loras" / "4step.safetensors"
    variant = replace(FAST, loras=(("tiny", LoraSource(source=str(file))),))
    case = make.case("sign") if model == "tiny" else EDIT
    task = Task(case=case, resolution=case.resolutions[0], variant=variant, seed=7, kind=ModelKind.TINY)
    with pytest.raises(RecipeError, match=f"4step LoRA of {other} by its SHA-256, and {model} is another") as caught:
        plan([task], planned_model(model, kind=ModelKind.TINY))
    assert caught.value.where == str(file)


@pytest.mark.parametrize("name", ["Qwen/Qwen-Image", "tiny"])
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("embedded::nope", "no such (embedded LoRA|LoRA file)"),
        ("loras/nowhere.safetensors", "no such LoRA file"),
        ("notes.txt", "is not a .safetensors file"),
    ],
)
def test_a_lora_that_is_nowhere_is_not_planned(tmp_path, monkeypatch, name, source, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("notes")
    kind = ModelKind.TINY if name == "tiny" else ModelKind.REAL
    variant = replace(FAST, loras=((kind.value, LoraSource(source=source)),))
    with pytest.raises(RecipeError, match=said):
        plan([task_of(variant, kind=kind)], planned_model(name, kind=kind))


OWN_4STEP = """
[own-4step]
title = "own"
steps = 4
true_cfg_scale = 1.0
scheduler = "lightning"
loras.real = {{ source = "{file}" }}
"""


def test_an_empty_lora_file_ends_the_plan_as_every_refusal_does(tmp_path, capsys):
    cases = shutil.copytree(CASES, tmp_path / "cases")
    (tmp_path / "none.safetensors").touch()
    variants = cases / "variants.toml"
    text = variants.read_text().replace("embedded::4step", str(tmp_path / "none.safetensors"), 1)
    variants.write_text(text + OWN_4STEP.format(file=tmp_path / "none.safetensors"))
    options = [f"--cases={cases}", "--case=pi-number"]
    assert main(["plan", "--model=tiny", "--variant=4step", *options]) == 2
    assert "none.safetensors: " in capsys.readouterr().err
    # nor where the model is not here
    assert main(["plan", "--model=Qwen/Qwen-Image", "--variant=own-4step", *options]) == 2
    assert "none.safetensors: " in capsys.readouterr().err


def test_a_lora_of_other_bytes_than_its_variant_names_is_not_planned():
    file = EMBEDDED_MODELS["tiny"] / "loras" / "4step.safetensors"
    variant = replace(FAST, loras=(("tiny", LoraSource(source=str(file), sha256="a" * 64)),))
    case = make.case("sign")
    task = Task(case=case, resolution=case.resolutions[0], variant=variant, seed=7, kind=ModelKind.TINY)
    with pytest.raises(RecipeError, match=f"variant fast names {'a' * 64}"):
        plan([task], planned_model("tiny", kind=ModelKind.TINY))


def with_schedule(*settings, sigmas=()):
    return replace(BASE, steps=3, scheduler=SchedulerKind.SETTINGS, scheduler_settings=settings, sigmas=sigmas)


@pytest.mark.parametrize(
    "variant",
    [
        with_schedule(("use_karras_sigmas", True)),
        with_schedule(("use_beta_sigmas", True)),
        with_schedule(("shift_terminal", None), ("time_shift_type", "linear")),
        with_schedule(("shift_terminal", None), sigmas=(1.0, 0.7, 0.2)),
    ],
    ids=str,
)
def test_comfyui_gets_the_sigmas_of_a_variants_own_schedule_or_nothing_is_written(variant):
    model = planned_model("Qwen/Qwen-Image", kind=ModelKind.REAL)
    images = plan([task_of(variant), task_of(replace(BASE, steps=3))], model)
    changed, own = (one["prompt"]["sigmas"] for one in json.loads(as_comfyui(images, model)))
    assert changed["class_type"] == own["class_type"] == "ManualSigmas"
    assert changed["inputs"] != own["inputs"]
    told = [float(one) for one in changed["inputs"]["sigmas"].split(",")]
    assert told == pytest.approx([*images[0].sigmas, 0])
    unknown = planned_model("Qwen/Qwen-Image-2512", kind=ModelKind.REAL)  # its scheduler is not on this machine
    assert "BasicScheduler" in as_comfyui(plan([task_of(BASE)], unknown), unknown)
    with pytest.raises(RecipeError, match="changes the model's own, which is not on this machine"):
        as_comfyui(plan([task_of(variant)], unknown), unknown)


def task_of(variant, case=None, kind=ModelKind.REAL):
    case = case or make.case("sign", size=Size(704, 1280))
    return Task(case=case, resolution=case.resolutions[0], variant=variant, seed=1, kind=kind)


def test_what_a_session_refuses_to_generate_is_not_planned():
    real = planned_model("Qwen/Qwen-Image", kind=ModelKind.REAL)
    with pytest.raises(RecipeError, match=r"guidance_scale 3\.0, which only a guidance-distilled model reads"):
        plan([task_of(replace(BASE, guidance_scale=3.0))], real)
    with pytest.raises(RecipeError, match=r"true CFG 4\.0 on the Lightning scheduler"):
        plan([task_of(replace(BASE, scheduler=SchedulerKind.LIGHTNING))], real)
    both = (("use_beta_sigmas", True), ("use_karras_sigmas", True))
    with pytest.raises(RecipeError, match="exclude each other"):
        plan([task_of(with_schedule(*both))], real)


EDIT = replace(make.case("sign"), edit=EditRules(inputs=(InputSource(file=InputFile(path="inputs/a.png")),) * 2))


@pytest.mark.parametrize("name", ["Qwen/Qwen-Image", "Qwen/Qwen-Image-2.1", "random", "tiny"])
def test_an_edit_is_not_planned_with_a_model_of_text_alone(name):
    kind = ModelKind.TINY if name == "tiny" else ModelKind.REAL
    with pytest.raises(RecipeError, match="case sign: it has 2 input images, and the model generates") as caught:
        plan([task_of(BASE, EDIT, kind)], planned_model(name, kind=kind))
    known = "tiny-edit, Qwen/Qwen-Image-Edit, Qwen/Qwen-Image-Edit-2509, Qwen/Qwen-Image-Edit-2511"
    assert caught.value.remedy == f"choose an editing model: {known}; or other cases"


@pytest.mark.parametrize("options", [(), ("--edit",)], ids=["of the suite", "of a new project"])
def test_the_plan_of_an_edit_names_every_model_that_the_variants_are_for(tmp_path, monkeypatch, capsys, options):
    if options:
        monkeypatch.chdir(tmp_path)
        assert main(["init", "mine", *options]) == 0
    folder, case = (tmp_path / "mine" / "cases", "menu") if options else (CASES, "edit-menu")
    capsys.readouterr()
    assert main(["plan", f"--cases={folder}", f"--case={case}"]) == 2
    models = "tiny-edit, Qwen/Qwen-Image-Edit-2511" if options else "tiny-edit"
    assert f"-> choose an editing model: {models}; or other cases" in capsys.readouterr().err
    assert main(["plan", f"--cases={folder}", f"--case={case}", "--model=my/own"]) == 2
    err = capsys.readouterr().err
    assert f"-> name the base model that it is with --base-model, or choose another model: {models}\n" in err


def test_a_model_takes_the_cases_of_its_task_with_as_many_inputs_as_its_pipeline():
    for name, insisted in (
        ("Qwen/Qwen-Image-Edit-2511", None),
        ("my/own-edit", None),
        ("my/own", "Qwen/Qwen-Image-Edit-2511"),
    ):
        model = planned_model(name, kind=ModelKind.REAL, base=insisted)
        assert len(plan([task_of(BASE, EDIT)], model)[0].inputs) == 2
        with pytest.raises(RecipeError, match="case sign: it"):
            plan([task_of(BASE)], model)
    first = planned_model("Qwen/Qwen-Image-Edit", kind=ModelKind.REAL)
    with pytest.raises(RecipeError, match="it has 2 input images, and QwenImageEditPipeline takes 1"):
        plan([task_of(BASE, EDIT)], first)
    unknown = planned_model("my/own", kind=ModelKind.REAL)
    with pytest.raises(RecipeError, match="a case of the task edit, and nothing says that my/own does it"):
        plan([task_of(BASE, EDIT)], unknown)


def test_what_is_not_known_of_a_model_that_is_not_here_is_none():
    case = make.case()
    task = Task(case=case, resolution=case.resolutions[0], variant=BASE, seed=1, kind=ModelKind.REAL)
    (image,) = plan([task], planned_model("owner/another-model", kind=ModelKind.REAL))
    assert (image.scheduler_config, image.sigmas) == (None, None)
    with pytest.raises(DeviceError, match="unknown model 'nonsense'"):
        planned_model("nonsense", kind=ModelKind.REAL)


def test_csv_has_a_row_per_image_and_comes_back(images):
    rows = list(csv.DictReader(io.StringIO(as_csv(images))))
    assert tuple(rows[0]) == COLUMNS
    assert [row["file"] for row in rows] == [image.file for image in images]
    assert [row["prompt"] for row in rows] == [image.prompt for image in images]
    assert rows[1]["sigmas"] == "1.000000000 0.900000000 0.750000000 0.500000000"
    assert (rows[0]["negative_prompt"], rows[1]["negative_prompt"], rows[1]["lora_merged"]) == (" ", "", "false")
    assert [json.loads(row["scheduler_config"]) for row in rows] == [image.scheduler_config for image in images]
    assert {(row["scheduler_settings"], row["given_sigmas"], row["inputs"]) for row in rows} == {("", "", "")}


def test_csv_has_all_that_json_has():
    model = planned_model("random/qwen-image-edit-plus", kind=ModelKind.REAL)
    images = plan([task_of(with_schedule(("shift_terminal", None), sigmas=(1.0, 0.7, 0.2)), EDIT)], model)
    (row,) = csv.DictReader(io.StringIO(as_csv(images)))
    (entry,) = json.loads(as_json(images, model))["images"]
    flat = {f"lora_{name}" for name in ("source", "file", "sha256", "merged")}
    assert row.keys() - flat == entry.keys() - {"lora"}
    for name in ("scheduler_config", "scheduler_settings", "inputs"):
        assert json.loads(row[name]) == entry[name]
        assert entry[name]
    assert [float(sigma) for sigma in row["given_sigmas"].split()] == entry["given_sigmas"] == [1.0, 0.7, 0.2]
    assert row["sigmas"]


def test_comfyui_gets_a_whole_graph_with_these_sigmas_and_the_end(images):
    model = planned_model("Qwen/Qwen-Image", kind=ModelKind.REAL)
    base, fast = (one["prompt"] for one in json.loads(as_comfyui(images, model)))
    for graph in (base, fast):
        links = [link for node in graph.values() for link in node["inputs"].values() if isinstance(link, list)]
        assert {name for name, _ in links} <= graph.keys()
        assert graph["saved"]["class_type"] == "SaveImage"
    assert fast["guider"]["inputs"]["model"] == ["lora", 0]
    assert base["guider"]["inputs"]["model"] == ["unet", 0]
    assert base["noise"]["inputs"]["noise_seed"] == 7
    assert (fast["latent"]["inputs"]["width"], fast["latent"]["inputs"]["height"]) == (704, 1280)
    sigmas = fast["sigmas"]["inputs"]["sigmas"]
    # as ComfyUI's node reads them, which knows no exponents
    assert [float(one) for one in re.findall(r"[-+]?(?:\d*\.*\d+)", sigmas)] == pytest.approx([1, 0.9, 0.75, 0.5, 0])
    assert "e" not in base["sigmas"]["inputs"]["sigmas"]


def test_the_embedded_models_plan_has_its_sizes_and_the_hashes_of_its_loras(capsys):
    options = ["--model=tiny", f"--cases={CASES}", "--case=pi-number", "--variant=8step,4step", "--seeds=2"]
    assert main(["plan", *options]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["schema"], record["model"]) == (1, "tiny")
    assert [image["sample"] for image in record["images"]] == [
        f"pi-number@1328x1328-{variant}-s{seed}" for variant in ("8step", "4step") for seed in (42, 43)
    ]
    for image in record["images"]:
        assert (image["width"], image["height"], image["max_sequence_length"]) == (512, 128, 1024)
        assert image["lora"]["file"] == f"{image['variant']}.safetensors"
        assert re.fullmatch("[0-9a-f]{64}", image["lora"]["sha256"])


def test_the_plan_is_written_to_a_file_and_said(tmp_path, capsys):
    file = tmp_path / "plan.csv"
    args = ["plan", f"--cases={CASES}", "--case=pi-number", "--format=csv", f"--output={file}"]
    assert main(args) == 0
    assert f"3 images to generate: {file}" in capsys.readouterr().out
    assert main([*args, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"format": "csv", "images": 3, "plan": str(file)}
    assert len(list(csv.reader(file.open()))) == 4
    assert main(["plan", f"--cases={CASES}", "--json"]) == 2
    assert "name a file with --output" in capsys.readouterr().err
    assert main(["plan", f"--cases={CASES}", "--case=nonsense"]) == 2
    assert 'no case is called "nonsense"' in capsys.readouterr().err


def test_comfyui_is_not_told_to_load_other_weights_than_the_plans(tmp_path, capsys):
    file = tmp_path / "plan.json"
    args = ["--format=comfyui-prompts", "--model=tiny", f"--cases={CASES}", f"--output={file}"]
    assert main(["plan", *args]) == 2
    assert "nothing says that tiny is one" in capsys.readouterr().err
    assert not file.exists()


def test_an_embedded_model_is_not_planned_as_another_base(tmp_path, capsys):
    file = tmp_path / "plan.json"
    args = ["--model=tiny-edit", "--base-model=Qwen/Qwen-Image", "--case=edit-menu", "--variant=edit-4step"]
    for form in ("comfyui-prompts", "json"):
        assert main(["plan", *args, f"--format={form}", f"--cases={CASES}", f"--output={file}"]) == 2
        assert "tiny-edit is a base of its own" in capsys.readouterr().err
        assert not file.exists()


def test_comfyui_gets_no_graph_without_the_input_image_of_an_edit(images):
    model = planned_model("Qwen/Qwen-Image", kind=ModelKind.REAL)
    edit = replace(images[0], inputs=({"file": "inputs/sign.png"},))
    with pytest.raises(RecipeError, match="load no input images"):
        as_comfyui([edit], model)


def test_only_a_plan_is_overwritten(tmp_path, capsys):
    args = ["plan", f"--cases={CASES}", "--case=pi-number"]
    file = tmp_path / "x.toml"
    for text in ("[case]\n", '{"schema": 1}', "[1]", "[]", "{"):
        file.write_text(text)
        assert main([*args, f"--output={file}"]) == 2
        assert f"{file}: this file exists and is no plan" in capsys.readouterr().err
        assert file.read_text() == text
    file.write_text("")
    for form in ("json", "csv", "comfyui-prompts", "json"):  # each replaces the one before
        assert main([*args, f"--output={file}", f"--format={form}"]) == 0


def test_json_is_ascii_so_that_no_terminal_obeys_it(images):
    model = PlannedModel(name="m\x1b", kind=ModelKind.REAL, source=None, scheduler=None)
    assert as_json(images, model).isascii()
    assert "\x1b" not in as_json(images, model)
