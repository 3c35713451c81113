"""Bad editing LoRAs are caught by what they draw: the instruction ignored, another text, another rest."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from qiltest.cli.main import main
from qiltest.gate.change import is_too_much
from qiltest.generation import open_generator
from qiltest.generation.sources import EMBEDDED_MODELS
from qiltest.input_images import InputImage
from qiltest.lora import base_from_folder, inspect_lora
from qiltest.quality.change import Change
from qiltest.recipe import Size
from qiltest.suite.load import load_suite
from qiltest.suite.variants import LoraSource

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools" / "faulty_loras"))
import edit_faults  # noqa: E402

FOLDER = EMBEDDED_MODELS["tiny-edit"]
pytestmark = pytest.mark.slow
#: the cases, and their input images.
CASES = {"edit-menu": "menu", "edit-notice": "notice"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The faulty LoRAs by name, and the good one."""
    made = edit_faults.make(tmp_path_factory.mktemp("faults"))
    return {**made, "good": FOLDER / "loras" / "8step.safetensors"}


@pytest.fixture(scope="module")
def generator():
    return open_generator("tiny-edit")


@pytest.fixture
def scored(files, generator, tmp_path, monkeypatch, capsys):
    """Draw a case with a LoRA, and return what `qiltest score` says of it."""
    monkeypatch.chdir(ROOT)
    suite = load_suite(ROOT / "cases")

    def run(name, case):
        given = InputImage.of(ROOT / "cases" / "edit" / "inputs" / f"{CASES[case]}.png")
        variant = replace(
            suite.variant("edit-8step"), loras=(("tiny", LoraSource(source=str(files[name]))),), name="candidate"
        )
        asked = replace(suite.case(case)[0], inputs=(given,))
        image = tmp_path / "edited.png"
        image.write_bytes(generator.decode(generator.denoise(generator.recipe(asked, Size(256, 192), variant, 42))).png)
        capsys.readouterr()
        code = main(["score", str(image), "--case", case, "--json"])
        found = json.loads(capsys.readouterr().out)
        assert (code == 0) == (found["verdict"] == "PASS")
        return found

    return run


def rest_changed(found):
    return is_too_much(Change(**found["rest"]))


def wanted(found, case):
    kept = {text.text for text in load_suite(ROOT / "cases").case(case)[0].texts if text.kept}
    return [text for text in found["texts"] if text["expected"] not in kept]


@pytest.mark.parametrize("name", list(edit_faults.FAULTS))
def test_nothing_but_its_images_shows_the_fault(files, name):
    report = inspect_lora(files[name], base=base_from_folder(FOLDER, name="tiny-edit"))
    assert report.passes, report.errors


@pytest.mark.parametrize("case", list(CASES))
def test_the_good_lora_passes(scored, case):
    found = scored("good", case)
    assert (found["verdict"], found["distance"]) == ("PASS", 0)


@pytest.mark.parametrize("case", list(CASES))
def test_an_ignored_instruction_fails_by_the_texts_that_are_wanted_and_removed(scored, case):
    found = scored("ignored", case)
    assert found["verdict"] == "FAIL"
    assert all(text["distance"] for text in wanted(found, case))
    assert all(gone["distance"] for gone in found["removed"])
    assert not rest_changed(found)


@pytest.mark.parametrize("case", list(CASES))
def test_another_text_on_a_right_rest_fails_by_the_text(scored, case):
    found = scored("other-text", case)
    assert found["verdict"] == "FAIL"
    assert all(text["distance"] for text in wanted(found, case))
    assert not any(gone["distance"] for gone in found["removed"])
    assert not rest_changed(found)


@pytest.mark.parametrize("case", list(CASES))
def test_a_right_text_on_another_rest_fails_by_the_rest(scored, case):
    found = scored("other-rest", case)
    assert found["verdict"] == "FAIL"
    assert found["distance"] == 0
    assert rest_changed(found)
