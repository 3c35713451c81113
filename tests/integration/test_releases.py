"""Releases of the catalogue, and variants of another base model: refused by name before anything is generated."""

import json
import shutil

import pytest
import scipy.stats
from safetensors.torch import load_file, save_file

import qiltest.report.comparison.page
from qiltest.cli.main import main
from qiltest.generation.sources import EMBEDDED
from qiltest.hashing import file_sha256
from qiltest.lora.catalogue import ReleaseFile, catalogue

#: loaded once and not by each inner session, see conftest.py.
LOADED = (scipy.stats, qiltest.report.comparison.page)
FOUR_STEPS = EMBEDDED / "loras" / "4step.safetensors"
#: variants of two bases, with no LoRA for the embedded model alone.
TWO_BASES = """
[old]
title = "Old, 4 steps"
steps = 4
true_cfg_scale = 1.0
scheduler = "model"
base_model = "Qwen/Qwen-Image"

[new]
title = "New, 2 steps"
steps = 2
true_cfg_scale = 1.0
scheduler = "model"
base_model = "Qwen/Qwen-Image-2512"
"""


@pytest.fixture
def edit_lora(suite, monkeypatch):
    """A LoRA file that fits, and has the hash of the catalogue's 4-step editing LoRA; `fast` takes 4 steps too."""
    path = suite.path / "cases" / "variants.toml"
    path.write_text(path.read_text().replace("embedded::fast", "embedded::4step").replace("steps = 2", "steps = 4"))
    file = shutil.copy(FOUR_STEPS, suite.path / "new.safetensors")
    # other bytes, or it would be the file that `fast` already uses
    data = FOUR_STEPS.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + size]) | {"__metadata__": {"made": "elsewhere"}}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + size :])
    known = catalogue()
    release = next(r for r in known.releases if r.name == "Qwen-Image-Edit-Lightning-4steps-V1.0")
    copy = ReleaseFile(file="e.safetensors", dtype="bf16", sha256=file_sha256(file), sha256_source="a test")
    planted = known.model_copy(update={"releases": [release.model_copy(update={"files": [copy]})]})
    monkeypatch.setattr("qiltest.lora.catalogue.catalogue", lambda: planted)
    return file


SAID = (
    "this is Qwen-Image-Edit-Lightning-4steps-V1.0 (bf16) by its SHA-256, a LoRA for editing with Qwen/Qwen-Image-Edit "
    "in 4 steps; variant fast generates from text alone"
)


def test_an_editing_lora_is_refused_by_name(suite, edit_lora):
    result = suite.run("--qil-lora=new.safetensors", "--qil-like=fast")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    text = result.stdout.str() + result.stderr.str()
    assert f"  ERROR  {SAID}" in text
    assert "new.safetensors cannot replace fast; nothing was generated" in text
    assert suite.generated() == []


def test_the_command_check_refuses_it_too(suite, edit_lora, capsys, monkeypatch):
    monkeypatch.chdir(suite.path)
    assert main(["check", "--lora", "new.safetensors", "--like", "fast"]) == 1
    assert SAID in " ".join(capsys.readouterr().out.split())
    assert main(["check", "--lora", "new.safetensors", "--like", "fast", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["lora"]["refusals"][0].startswith(SAID)


def test_the_command_lora_says_what_it_is_and_refuses_it_beside_a_variant(suite, edit_lora, capsys, monkeypatch):
    monkeypatch.chdir(suite.path)
    assert main(["lora", "new.safetensors"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "release Qwen-Image-Edit-Lightning-4steps-V1.0 (bf16), by its SHA-256" in out
    assert "made for LoRA for editing with Qwen/Qwen-Image-Edit in 4 steps, CFG 1, scheduler lightning" in out
    assert "not for text-to-image, any base but Qwen/Qwen-Image-Edit, or another number of steps" in out
    assert main(["lora", "new.safetensors", "--like", "fast"]) == 1
    assert f"ERROR {SAID}" in " ".join(capsys.readouterr().out.split())
    assert main(["lora", "new.safetensors", "--like", "fast", "--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert (record["release"]["by"], record["release"]["tasks"]) == ("hash", ["edit"])
    assert record["findings"][0]["code"] == "other-release"


def test_a_file_that_only_has_a_name_is_noted_and_compared(suite, edit_lora):
    named = suite.path / "Qwen-Image-Edit-2509-Lightning-4steps.safetensors"
    stronger = {key: value * 1.02 if "lora_up" in key else value for key, value in load_file(FOUR_STEPS).items()}
    save_file(stronger, named)
    result = suite.run(f"--qil-lora={named.name}", "--qil-like=fast")
    assert result.ret == pytest.ExitCode.TESTS_FAILED  # one seed cannot tell
    result.stdout.fnmatch_lines(
        ["note: *its name or metadata speak of editing, variant fast generates from text alone*"]
    )
    assert len(suite.generated()) == 4


def two_bases(suite, name):
    """Make the suite one of two bases, and a model folder of the given name; return the option that names it."""
    (suite.path / "cases" / "variants.toml").write_text(TWO_BASES)
    folder = suite.path / "models" / name
    folder.mkdir(parents=True)
    return f"--qil-model={folder}"


def test_the_variants_of_the_models_base_are_generated_by_default(suite):
    model = two_bases(suite, "Qwen/Qwen-Image-2512")
    result = suite.run(model, "--qil-update=missing")
    assert result.ret == 0
    assert suite.generated() == ["coffee new 42", "poster new 42"]
    assert suite.latest().notes == ()


def test_a_named_variant_of_another_base_is_refused(suite):
    model = two_bases(suite, "Qwen/Qwen-Image-2512")
    result = suite.run(model, "--qil-variant=old")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [
            "*variant old is for Qwen/Qwen-Image, the model is Qwen/Qwen-Image-2512 (its folder's name)",
            "*-> choose among its own: new; or generate with the model Qwen/Qwen-Image; --qil-base=ID*",
        ]
    )
    assert suite.generated() == []


def test_whoever_insists_generates_with_the_base_that_is_named(suite):
    model = two_bases(suite, "Qwen/Qwen-Image-2512")
    assert suite.run(model, "--qil-base=Qwen/Qwen-Image", "--qil-update=missing").ret == 0
    assert suite.generated() == ["coffee old 42", "poster old 42"]


def test_an_unknown_base_is_a_note_of_the_run(suite):
    model = two_bases(suite, "mine")
    result = suite.run(model, "--qil-variant=new", "--qil-update=missing")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["qiltest: note: base not checked: nothing tells which base model *mine is, but new is *"]
    )
    (note,) = suite.latest().notes
    assert note.startswith("base not checked")


@pytest.mark.parametrize("args", [("--qil-base=Qwen/Qwen-Image",), ("--qil-model=owner/name", "--qil-base=nonsense")])
def test_a_base_that_cannot_be_meant_is_refused(suite, args):
    result = suite.run(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--qil-base: " in result.stderr.str()


def test_a_release_is_not_checked_against_a_variant_of_another_base(suite, capsys, monkeypatch):
    monkeypatch.chdir(suite.path)
    two_bases(suite, "mine")
    model = shutil.copytree(EMBEDDED, suite.path / "Qwen" / "Qwen-Image-2512")
    shutil.copy(FOUR_STEPS, suite.path / "new.safetensors")
    arguments = ["check", "--lora", "new.safetensors", "--like", "old", "--device", "cpu", "--model", str(model)]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "variant old is for Qwen/Qwen-Image, the model is Qwen/Qwen-Image-2512 (its folder's name)" in said
    assert "--base-model=ID says what the model is" in said
