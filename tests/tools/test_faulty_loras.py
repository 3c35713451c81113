"""Every bad release of the shelf that a file or a recipe gives away, with what a release engineer reads.

Those that only images give away are measured by `benchmarks/gate/gate_power.py`.
"""

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import builders as make
from qiltest.cli.main import main
from qiltest.errors import RecipeError
from qiltest.generation.sources import EMBEDDED, resolve_model
from qiltest.hashing import file_sha256
from qiltest.lora import base_from_folder, compare, inspect_lora
from qiltest.lora.safetensors_file import open_safetensors
from qiltest.recipe import Size
from qiltest.release.candidate import candidate_variant, try_candidate
from qiltest.suite.load import load_variants
from qiltest.suite.problems import CaseFileError
from qiltest.suite.variants import LoraSource, SchedulerKind

TOOLS = Path(__file__).parents[2] / "tools" / "faulty_loras"
sys.path.insert(0, str(TOOLS))
import lora_files  # noqa: E402

import faulty_loras  # noqa: E402

BASE = base_from_folder(EMBEDDED, name="tiny")
GOOD = EMBEDDED / "loras" / "4step.safetensors"
VARIANTS = Path(__file__).parents[2] / "cases" / "variants.toml"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("shelf")
    return out, {release.name: release for release in faulty_loras.make(out, undertrained=False)}


def of(kind):
    return [name for name, (_, caught_by, _, _) in faulty_loras.FAULTS.items() if caught_by is kind]


def four(**loras):
    variant = next(variant for variant in load_variants(VARIANTS) if variant.name == "4step")
    return replace(variant, loras=tuple(loras.items())) if loras else variant


@pytest.fixture(scope="module")
def recipe_of():
    """Build the recipe of an image: what every load goes through before a weight is opened."""
    from qiltest.generation import open_generator

    size = Size(256, 128)
    case = make.case("sign", "Hello", size=size, prompt="A sign that says Hello.")
    generator = open_generator("tiny")
    return lambda variant: generator.recipe(case, size, variant, 42)


@pytest.mark.parametrize("name", of(faulty_loras.CaughtBy.INSPECTION))
def test_a_file_that_gives_itself_away_is_refused_by_qiltest_lora(made, capsys, name):
    out, releases = made
    assert main(["lora", "--base", "tiny", "--json", str(out / releases[name].file)]) == 1
    found = [one for one in json.loads(capsys.readouterr().out)["findings"] if one["severity"] == "error"]
    assert len(found) == 1
    assert releases[name].message in found[0]["text"]


@pytest.mark.parametrize("name", of(faulty_loras.CaughtBy.INSPECTION))
def test_a_file_that_gives_itself_away_is_never_drawn(made, recipe_of, name):
    out, releases = made
    with pytest.raises(RecipeError) as refused:
        recipe_of(four(tiny=LoraSource(source=str(out / releases[name].file))))
    assert releases[name].message in str(refused.value)
    command = shlex.join(["qiltest", "lora", str(out / releases[name].file), "--base", "tiny"])
    assert f"inspect the file with `{command}`" in str(refused.value)


@pytest.mark.parametrize("name", of(faulty_loras.CaughtBy.LIKENESS))
def test_a_wrong_alpha_is_named_beside_the_release_that_it_replaces(made, capsys, name):
    out, releases = made
    path = str(out / releases[name].file)
    assert main(["lora", "--base", "tiny", path]) == 0
    assert "a loader that ignores alpha generates different images" in capsys.readouterr().out
    assert main(["lora", "--base", "tiny", "--like", "4step", path]) == 1
    assert releases[name].message in capsys.readouterr().out


def test_the_8_step_file_under_the_4_step_name_is_known_by_its_hash(made, recipe_of, capsys):
    out, releases = made
    bad = releases["8step-as-4step"]
    assert bad.file.endswith("/4step.safetensors")
    main(["lora", "--base", "tiny", "--json", str(out / bad.file)])
    assert json.loads(capsys.readouterr().out)["variants"] == ["8step", "8step-later"]
    assert main(["lora", "--base", "tiny", "--like", "4step", str(out / bad.file)]) == 1
    refusal = "this is the file of variant 8step, which takes 8 steps; 4step takes 4"
    assert refusal in capsys.readouterr().out
    with pytest.raises(RecipeError, match=bad.message):
        recipe_of(four(tiny=LoraSource(source=str(out / bad.file), sha256=file_sha256(GOOD))))


def test_guidance_on_top_of_a_distilled_lora_is_refused(made, recipe_of):
    out, releases = made
    variant = next(v for v in load_variants(out / releases["guided"].file) if v.name == "4step")
    with pytest.raises(RecipeError) as refused:
        recipe_of(variant)
    assert releases["guided"].message in str(refused.value)


def test_a_scheduler_that_is_not_the_recipes_is_refused(made, recipe_of):
    from diffusers import FlowMatchEulerDiscreteScheduler

    from qiltest.generation._recipes import check_scheduler

    out, releases = made
    bad = releases["base-scheduler"]
    with pytest.raises(CaseFileError, match=bad.message):
        load_variants(out / bad.file)
    wrong, right = recipe_of(replace(four(), scheduler=SchedulerKind.MODEL)), recipe_of(four())
    assert wrong.sigmas != right.sigmas
    live = FlowMatchEulerDiscreteScheduler.from_config(
        {name: value for name, value in wrong.scheduler if name != "class"}
    )
    check_scheduler(live, wrong.scheduler)
    with pytest.raises(
        RecipeError, match=r"the scheduler's settings differ from the recipe: base_shift 0\.5 instead of 1\.09861"
    ):
        check_scheduler(live, right.scheduler)


@pytest.mark.parametrize("percent", [2, 5, 10])
def test_a_perturbed_file_is_well_formed_and_as_far_off_as_it_says(made, percent):
    out, releases = made
    path = out / releases[f"perturbed-{percent}"].file
    report = inspect_lora(path, base=BASE)
    assert report.passes, report.errors
    good, _ = lora_files.read(GOOD)
    bad, _ = lora_files.read(path)
    for name in (name for name in good if ".lora_" in name and good[name].values.any()):
        off = np.linalg.norm(bad[name].values - good[name].values) / np.linalg.norm(good[name].values)
        # bfloat16 keeps eight bits: about 0.2 per cent of each value
        assert off == pytest.approx(percent / 100, abs=0.003)
    likeness = compare(path, GOOD, BASE, reference_sha256=file_sha256(GOOD))
    assert likeness.difference == pytest.approx(percent / 100 * _spread(good), rel=0.08)
    assert likeness.errors == ()
    assert f"changed by {likeness.difference:.1%} of its norm" in likeness.warnings[0]


def _spread(good) -> float:
    """What noise of norm 1 in both factors is to the delta: E ||E D||^2 = ||E||^2 ||D||^2 / rank, the same for U F."""
    moved = whole = 0.0
    for name in (name for name in good if name.endswith(".lora_up.weight")):
        up, down = (good[key].values.astype(float) for key in (name, name.replace("lora_up", "lora_down")))
        moved += 2 * (up**2).sum() * (down**2).sum() / up.shape[1]
        whole += ((up @ down) ** 2).sum()
    return float((moved / whole) ** 0.5)


def test_the_shelf_is_the_same_every_time(made, tmp_path):
    out, releases = made
    faulty_loras.make(tmp_path, undertrained=False)
    for release in releases.values():
        assert (tmp_path / release.file).read_bytes() == (out / release.file).read_bytes()


def test_the_manifest_names_every_release(made):
    out, releases = made
    manifest = json.loads((out / "manifest.json").read_text())
    assert [release["name"] for release in manifest["releases"]] == list(releases)
    for release in manifest["releases"]:
        assert (out / release["file"]).is_file()
        assert (release["message"] != "") == (release["caught_by"] != "images")


def test_a_good_file_written_again_is_the_good_file(tmp_path):
    tensors, metadata = lora_files.read(GOOD)
    path = tmp_path / "again.safetensors"
    lora_files.write(path, tensors, metadata)
    assert open_safetensors(path).metadata == metadata
    again, _ = lora_files.read(path)
    assert set(again) == set(tensors)
    assert all(again[name].dtype == tensors[name].dtype for name in tensors)
    assert all(np.array_equal(again[name].values, tensors[name].values) for name in tensors)
    report = inspect_lora(path, base=BASE)
    assert report.findings == inspect_lora(GOOD, base=BASE).findings
    assert compare(path, GOOD, BASE, reference_sha256=file_sha256(GOOD)).identical


def test_the_library_itself_reads_what_is_written(tmp_path):
    from safetensors.torch import load_file

    tensors, metadata = lora_files.read(GOOD)
    path = tmp_path / "again.safetensors"
    lora_files.write(path, tensors, metadata)
    theirs, ours = load_file(GOOD), load_file(path)
    assert all(ours[name].dtype == theirs[name].dtype and bool((ours[name] == theirs[name]).all()) for name in theirs)


@pytest.mark.parametrize(
    ("value", "bits"),
    [
        (1.0, 0x3F80),
        (1.0 + 2**-8, 0x3F80),  # half way: to even
        (1.0 + 3 * 2**-8, 0x3F82),  # half way: to even, upwards
        (1.0 + 2**-8 + 2**-20, 0x3F81),
        (-0.0, 0x8000),
        (float("inf"), 0x7F80),
        (3.4e38, 0x7F80),  # beyond the largest bfloat16
        (float("nan"), 0x7FC0),
    ],
)
def test_bfloat16_is_rounded_to_nearest_even(value, bits):
    assert lora_files.to_bfloat16(np.array([value], np.float32)).tolist() == [bits]


def test_an_early_checkpoint_is_a_whole_lora_that_has_learned_little():
    import undertrained

    good, _ = lora_files.read(GOOD)
    early = undertrained.distilled(EMBEDDED, good, ["A sign that says Hello."], nfe=4, seed=1, steps=1)
    assert {name: tensor.dtype for name, tensor in early.items()} == {name: t.dtype for name, t in good.items()}
    ups = [name for name in good if ".lora_up." in name]
    strong = [np.linalg.norm(good[name].values) for name in ups]
    weak = [np.linalg.norm(early[name].values) for name in ups]
    assert 0 < sum(weak) < 0.5 * sum(strong)


def refusals_of(path):
    model = resolve_model("tiny")
    variants = load_variants(VARIANTS)
    candidate = candidate_variant(str(path), four(), model)
    return try_candidate(candidate, four(), model, variants).refusals


@pytest.mark.parametrize("name", [*of(faulty_loras.CaughtBy.INSPECTION), *of(faulty_loras.CaughtBy.LIKENESS)])
def test_the_release_check_refuses_it_before_anything_is_drawn(made, name):
    out, releases = made
    (told,) = refusals_of(out / releases[name].file)
    assert releases[name].message in told


def test_the_release_check_knows_the_8_step_file_and_lets_the_good_one_pass(made):
    out, releases = made
    assert refusals_of(out / releases["8step-as-4step"].file) == (
        "this is the file of variant 8step, which takes 8 steps; 4step takes 4",
    )
    assert refusals_of(GOOD) == ()


@pytest.mark.parametrize("percent", [2, 5, 10])
def test_the_release_check_draws_what_only_images_can_tell(made, percent):
    out, releases = made
    assert refusals_of(out / releases[f"perturbed-{percent}"].file) == ()
