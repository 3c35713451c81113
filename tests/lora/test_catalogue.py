"""The catalogue of releases: what is in it, and which release a file is."""

import subprocess
import sys
import tomllib

import pytest

from qiltest.lora.catalogue import FILE, Catalogue, Evidence, Kind, Schedule, Task, catalogue, recognise
from qiltest.suite.problems import check_shape

#: issue 18, demand.md B1: file, base model, task, steps. The bf16 copies stand beside the fp32 ones.
PUBLISHED = [
    ("Qwen-Image-Lightning-8steps-V1.0.safetensors", "Qwen/Qwen-Image", Task.TEXT_TO_IMAGE, 8),
    ("Qwen-Image-Lightning-8steps-V1.1.safetensors", "Qwen/Qwen-Image", Task.TEXT_TO_IMAGE, 8),
    ("Qwen-Image-Lightning-8steps-V1.1-bf16.safetensors", "Qwen/Qwen-Image", Task.TEXT_TO_IMAGE, 8),
    ("Qwen-Image-Lightning-8steps-V2.0.safetensors", "Qwen/Qwen-Image", Task.TEXT_TO_IMAGE, 8),
    ("Qwen-Image-Lightning-8steps-V2.0-bf16.safetensors", "Qwen/Qwen-Image", Task.TEXT_TO_IMAGE, 8),
    ("Qwen-Image-Lightning-4steps-V1.0.safetensors", "Qwen/Qwen-Image", Task.TEXT_TO_IMAGE, 4),
    ("Qwen-Image-Lightning-4steps-V1.0-bf16.safetensors", "Qwen/Qwen-Image", Task.TEXT_TO_IMAGE, 4),
    ("Qwen-Image-Lightning-4steps-V2.0.safetensors", "Qwen/Qwen-Image", Task.TEXT_TO_IMAGE, 4),
    ("Qwen-Image-Lightning-4steps-V2.0-bf16.safetensors", "Qwen/Qwen-Image", Task.TEXT_TO_IMAGE, 4),
    ("Qwen-Image-fp8-e4m3fn-Lightning-4steps-V1.0-fp32.safetensors", "Qwen/Qwen-Image", Task.TEXT_TO_IMAGE, 4),
    ("Qwen-Image-2512-Lightning-4steps-V1.0-fp32.safetensors", "Qwen/Qwen-Image-2512", Task.TEXT_TO_IMAGE, 4),
    ("Qwen-Image-2512-Lightning-4steps-V1.0-bf16.safetensors", "Qwen/Qwen-Image-2512", Task.TEXT_TO_IMAGE, 4),
    ("Qwen-Image-2512-Lightning-8steps-V1.0-fp32.safetensors", "Qwen/Qwen-Image-2512", Task.TEXT_TO_IMAGE, 8),
    ("Qwen-Image-2512-Lightning-8steps-V1.0-bf16.safetensors", "Qwen/Qwen-Image-2512", Task.TEXT_TO_IMAGE, 8),
    ("Qwen-Image-Edit-Lightning-8steps-V1.0.safetensors", "Qwen/Qwen-Image-Edit", Task.EDIT, 8),
    ("Qwen-Image-Edit-Lightning-4steps-V1.0-bf16.safetensors", "Qwen/Qwen-Image-Edit", Task.EDIT, 4),
    ("Qwen-Image-Edit-2509-Lightning-8steps-V1.0-fp32.safetensors", "Qwen/Qwen-Image-Edit-2509", Task.EDIT, 8),
    ("Qwen-Image-Edit-2509-Lightning-4steps-V1.0-bf16.safetensors", "Qwen/Qwen-Image-Edit-2509", Task.EDIT, 4),
    ("Qwen-Image-Edit-2511-Lightning-4steps-V1.0-fp32.safetensors", "Qwen/Qwen-Image-Edit-2511", Task.EDIT, 4),
    ("Wuli-Qwen-Image-2512-Turbo-LoRA-4steps-V3.0-bf16.safetensors", "Qwen/Qwen-Image-2512", Task.TEXT_TO_IMAGE, 4),
    ("Wuli-Qwen-Image-2512-Turbo-LoRA-2steps-V1.0-bf16.safetensors", "Qwen/Qwen-Image-2512", Task.TEXT_TO_IMAGE, 2),
]
NO_HASH = "0" * 64


@pytest.mark.parametrize(("file", "base", "task", "steps"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_a_published_lora_is_recognised_by_its_file_name_as_a_hint(file, base, task, steps):
    found = recognise(sha256=NO_HASH, source=f"/downloads/{file}")
    assert found is not None
    release = found.release
    assert (release.base_model, release.tasks, release.kind, release.steps) == (base, [task], Kind.LORA, steps)
    assert (release.true_cfg_scale, release.scheduler) == (1.0, Schedule.LIGHTNING)
    assert (found.by, found.certain) == (Evidence.NAME, False)


def test_releases_of_the_2_1_family_and_merged_checkpoints_are_in_the_catalogue():
    by_name = {release.name: release for release in catalogue().releases}
    lightning, turbo = by_name["Qwen-Image-2.1-Lightning"], by_name["Qwen-Image-2.1-Turbo"]
    assert (lightning.steps, lightning.scheduler, lightning.tasks) == (4, Schedule.DYNAMIC, list(Task))
    assert turbo.kind is Kind.MERGED
    assert turbo.sigmas is not None
    assert len(turbo.sigmas) == turbo.steps == 8
    assert turbo.sigmas == sorted(turbo.sigmas, reverse=True)
    merged = [release for release in catalogue().releases if release.kind is Kind.MERGED and Task.EDIT in release.tasks]
    names = {file.file for release in merged for file in release.files}
    assert "qwen_image_edit_2511_fp8_e4m3fn_scaled_lightning.safetensors" in names


HASHED = [(release, file) for release in catalogue().releases for file in release.files if file.sha256]


@pytest.mark.parametrize(("release", "file"), HASHED, ids=[file.file for _, file in HASHED])
def test_a_file_is_recognised_by_its_hash_whatever_its_name(release, file):
    found = recognise(sha256=file.sha256, source="/downloads/renamed.safetensors")
    assert found is not None
    assert (found.release, found.file, found.by, found.certain) == (release, file, Evidence.HASH, True)


def test_every_hash_has_a_source_and_belongs_to_one_file():
    hashes = [file.sha256 for _, file in HASHED]
    assert len(set(hashes)) == len(hashes) >= 17
    for release in catalogue().releases:
        for file in release.files:
            assert (file.sha256 is None) == (file.sha256_source is None), file.file


def test_every_release_belongs_to_a_base_of_the_catalogue_and_to_its_tasks():
    for release in catalogue().releases:
        base = catalogue().base(release.base_model)
        assert base is not None, release.name
        assert set(release.tasks) <= set(base.tasks), release.name
        assert (release.sigmas is not None) == (release.scheduler is Schedule.SIGMAS), release.name


@pytest.mark.parametrize(
    "source",
    [
        "lightx2v/Qwen-Image-Lightning::Qwen-Image-Lightning-8steps-V1.1.safetensors",
        "/cache/hub/models--lightx2v--Qwen-Image-Lightning/snapshots/0a1b/Qwen-Image-Lightning-8steps-V1.1.safetensors",
    ],
)
def test_a_file_without_known_hash_is_recognised_by_its_place_on_the_hub(source):
    found = recognise(sha256=NO_HASH, source=source)
    assert found is not None
    assert (found.title, found.by) == ("Qwen-Image-Lightning-8steps-V1.1 (fp32)", Evidence.HUB)


def test_where_the_hash_is_known_and_another_even_the_place_on_the_hub_is_a_hint():
    name = "Qwen-Image-Lightning-4steps-V1.0.safetensors"
    found = recognise(sha256=NO_HASH, source=f"lightx2v/Qwen-Image-Lightning::{name}")
    assert found is not None
    assert (found.certain, found.other_bytes) == (False, True)


@pytest.mark.parametrize(
    "name", ["Qwen-Image-2512-Lightning-8steps-V1.0-bf16 (1)", "QWEN-image-2512-lightning-8STEPS-v1.0-BF16"]
)
def test_a_copy_keeps_its_name(name):
    found = recognise(sha256=NO_HASH, source=f"C:\\loras\\{name}.safetensors")
    assert found is not None
    assert found.release.name == "Qwen-Image-2512-Lightning-8steps-V1.0"


@pytest.mark.parametrize("name", ["mine.safetensors", "pytorch_lora_weights.safetensors", "embedded::8step"])
def test_a_name_that_many_files_have_is_no_release(name):
    assert recognise(sha256=NO_HASH, source=name) is None


def test_the_name_that_many_files_have_is_a_release_at_its_place_on_the_hub():
    found = recognise(sha256=NO_HASH, source="lightx2v/Qwen-Image-2.1-Lightning::pytorch_lora_weights.safetensors")
    assert found is not None
    assert found.release.base_model == "Qwen/Qwen-Image-2.1"


def test_a_key_that_the_schema_lacks_is_refused_with_the_nearest_one():
    raw = tomllib.loads(FILE.read_text(encoding="utf-8"))
    raw["releases"][0]["stepps"] = 8
    found = check_shape(Catalogue, raw, FILE)
    assert isinstance(found, list)
    assert 'releases[0].stepps: unknown key (did you mean "steps"?)' in str(found[0])


def test_the_file_is_read_only_when_it_is_asked_for():
    script = (
        "import qiltest.lora.releases, qiltest.plugin, qiltest.lora.catalogue as c; print(c.catalogue.cache_info())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert "currsize=0" in done.stdout, done.stderr
