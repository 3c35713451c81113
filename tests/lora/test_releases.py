"""A LoRA of another task, base model or number of steps is refused by name where that is certain, else noted."""

from dataclasses import replace

import pytest

import builders as make
from qiltest.errors import RecipeError
from qiltest.lora import Severity, inspect_lora, qwen_image
from qiltest.lora.catalogue import catalogue
from qiltest.lora.releases import hints_against, mismatch, refuse_other_release, release_findings
from qiltest.suite.variants import SchedulerKind
from small_loras import BASE, lora, write

FOUR = make.variant("4step", base_model="Qwen/Qwen-Image")
EIGHT = make.variant("8step", steps=8, base_model="Qwen/Qwen-Image")
NEW = make.variant("2512-4steps-v1.0", base_model="Qwen/Qwen-Image-2512")
NO_HASH = "0" * 64


def sha256(file: str) -> str:
    """The hash that the catalogue knows of a file."""
    return next(f.sha256 for r in catalogue().releases for f in r.files if f.file.endswith(file) and f.sha256)


EDIT_4 = "Qwen-Image-Edit-Lightning-4steps-V1.0-bf16.safetensors"


@pytest.mark.parametrize(
    ("file", "like", "parts"),
    [
        (EDIT_4, FOUR, ("LoRA for editing with Qwen/Qwen-Image-Edit in 4 steps", "4step generates from text alone")),
        ("Qwen-Image-Edit-2509-Lightning-8steps-V1.0-fp32.safetensors", EIGHT, ("for editing", "text alone")),
        ("Qwen-Image-2512-Lightning-4steps-V1.0-fp32.safetensors", FOUR, ("variant 4step is for Qwen/Qwen-Image:",)),
        ("Qwen-Image-Lightning-4steps-V1.0.safetensors", NEW, ("v1.0 is for Qwen/Qwen-Image-2512:",)),
        ("Qwen-Image-Lightning-4steps-V1.0-bf16.safetensors", EIGHT, ("in 4 steps; variant 8step takes 8 steps",)),
        ("Qwen-Image-Lightning-8steps-V1.1-bf16.safetensors", FOUR, ("in 8 steps; variant 4step takes 4 steps",)),
    ],
)
def test_a_release_that_is_made_for_something_else_is_refused_by_its_hash(file, like, parts):
    found = mismatch(sha256=sha256(file), source="/renamed.safetensors", like=like, base=None)
    assert found is not None
    assert found.certain
    assert "by its SHA-256" in found.what
    for part in parts:
        assert part in str(found)
    with pytest.raises(RecipeError, match=r"/renamed\.safetensors: this is "):
        refuse_other_release(sha256=sha256(file), source="/renamed.safetensors", like=like, base=None)


@pytest.mark.parametrize(
    ("file", "like"),
    [
        ("Qwen-Image-Lightning-4steps-V1.0.safetensors", FOUR),
        ("Qwen-Image-Lightning-4steps-V2.0.safetensors", FOUR),
        ("Qwen-Image-Lightning-8steps-V1.0.safetensors", EIGHT),
        ("Qwen-Image-2512-Lightning-4steps-V1.0-bf16.safetensors", NEW),
    ],
)
def test_a_release_of_the_variants_base_task_and_steps_is_taken(file, like):
    assert mismatch(sha256=sha256(file), source="/renamed.safetensors", like=like, base=None) is None
    refuse_other_release(sha256=sha256(file), source="/renamed.safetensors", like=like, base=None)


def test_the_remedy_names_a_release_that_would_fit():
    found = mismatch(sha256=sha256(EDIT_4), source="/a.safetensors", like=FOUR, base=None)
    assert found is not None
    assert found.remedy.startswith("take a LoRA for Qwen/Qwen-Image in 4 steps, such as Qwen-Image-Lightning-4steps-V")


def test_cfg_and_scheduler_must_be_those_of_the_release():
    like = replace(FOUR, true_cfg_scale=4.0, scheduler=SchedulerKind.MODEL)
    file = "Qwen-Image-Lightning-4steps-V1.0.safetensors"
    found = mismatch(sha256=sha256(file), source="/a.safetensors", like=like, base=None)
    assert 'variant 4step has CFG 4 (not 1) and has scheduler "model" (not shift 3)' in str(found)


def test_a_variant_that_names_no_base_is_held_against_the_models():
    anyone = replace(FOUR, base_model=None)
    known = {"sha256": sha256("Qwen-Image-2512-Lightning-4steps-V1.0-fp32.safetensors"), "source": "/a.safetensors"}
    assert mismatch(**known, like=anyone, base=None) is None
    assert "is for Qwen/Qwen-Image:" in str(mismatch(**known, like=anyone, base="Qwen/Qwen-Image"))


def test_a_merged_checkpoint_is_no_lora():
    file = "qwen_image_edit_2511_fp8_e4m3fn_scaled_lightning_4steps_v1.0.safetensors"
    source = f"lightx2v/Qwen-Image-Edit-2511-Lightning::{file}"
    found = mismatch(sha256=NO_HASH, source=source, like=FOUR, base=None)
    assert found is not None
    assert found.certain
    assert "variant 4step takes a LoRA" in found.what
    assert found.remedy == "it is a whole model, not a LoRA"


def test_what_only_a_name_says_is_a_note_that_says_it_is_a_hint():
    found = mismatch(sha256=NO_HASH, source=f"/{EDIT_4}", like=FOUR, base=None)
    assert found is not None
    assert not found.certain
    assert found.what.startswith(
        "by its name, a hint (its SHA-256 is not that release's), this is Qwen-Image-Edit-Light"
    )
    refuse_other_release(sha256=NO_HASH, source=f"/{EDIT_4}", like=FOUR, base=None)


@pytest.mark.parametrize(
    ("name", "metadata", "like", "said"),
    [
        ("my-qwen-edit-lora", {}, FOUR, ["speak of editing, variant 4step generates from text alone"]),
        ("mine", {"modelspec.architecture": "Qwen-Image-Edit/lora"}, FOUR, ["speak of editing"]),
        ("mine-8steps-v3", {}, FOUR, ["speak of 8 steps, variant 4step takes 4"]),
        ("qwen2512-4step", {}, FOUR, ["speak of 2512, variant 4step is for Qwen/Qwen-Image"]),
        ("qwen2512-4step", {}, NEW, []),
        ("credit-4step-or-8step", {}, FOUR, []),
        ("realism-001600steps", {}, FOUR, []),
        ("mine", {"note": "edit"}, FOUR, []),
    ],
)
def test_words_of_a_name_or_of_metadata_are_hints(name, metadata, like, said):
    found = list(hints_against(f"/loras/{name}.safetensors", metadata, like, None))
    assert len(found) == len(said)
    for part, text in zip(said, found, strict=True):
        assert part in text
        assert "(a hint: the name may be wrong)" in text


@pytest.fixture(scope="module")
def full_size(tmp_path_factory):
    """A rank-1 LoRA of the modules of Qwen-Image."""
    base = qwen_image()
    path = write(tmp_path_factory.mktemp("full"), lora(rank=1, alpha=1.0, base=base), "mine.safetensors")
    return inspect_lora(path, base=base)


def test_a_file_that_only_its_hash_could_tell_from_an_editing_lora_gets_a_note_and_no_error(full_size):
    (found,) = release_findings(full_size, str(full_size.path), qwen_image(), like=FOUR)
    assert found.severity is Severity.WARNING
    assert "qwen-image, Qwen-Image-2512, Qwen-Image-Edit, " in found.text
    assert "only a known SHA-256 tells their LoRAs apart" in found.text


def test_a_file_of_another_shape_gets_no_such_note(tmp_path):
    report = inspect_lora(write(tmp_path, lora()), base=BASE)
    assert release_findings(report, str(report.path), BASE, like=FOUR) == ()


def test_a_release_of_another_task_is_an_error_of_its_own_and_nothing_beside_it(full_size):
    known = replace(full_size, sha256=sha256(EDIT_4))
    (found,) = release_findings(known, "/a.safetensors", qwen_image(), like=FOUR)
    assert (found.severity, found.code) == (Severity.ERROR, "other-release")


def test_a_release_distilled_on_cast_weights_says_so(full_size):
    source = "lightx2v/Qwen-Image-Lightning::Qwen-Image-fp8-e4m3fn-Lightning-4steps-V1.0-fp32.safetensors"
    (found,) = release_findings(full_size, source, qwen_image(), like=FOUR)
    assert "distilled on fp8_e4m3fn weights, not on bfloat16" in found.text
    assert found.severity is Severity.WARNING


def test_other_bytes_under_a_released_name_are_noted(full_size):
    texts = [finding.text for finding in release_findings(full_size, f"/{EDIT_4}", qwen_image())]
    assert any(f"another SHA-256 ({sha256(EDIT_4)})" in text for text in texts)
