"""Bad editing LoRAs are caught by what they draw: the instruction ignored, another text, another rest."""

import functools
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
from qiltest.reading import open_reader
from qiltest.recipe import Size
from qiltest.suite.load import load_suite
from qiltest.suite.variants import LoraSource

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools" / "faulty_loras"))
import edit_faults  # noqa: E402

FOLDER = EMBEDDED_MODELS["tiny-edit"]
pytestmark = pytest.mark.slow
#: the case, on which faulty LoRAs are trained in some seconds each, and the steps and rates with which that will do.
CASE = "edit-notice"
TAUGHT = {"ignored": (8, 4e-3), "other-rest": (16, 2e-3)}


@pytest.fixture(scope="module")
def file_of(tmp_path_factory):
    """Return a LoRA's file by its name: the good one, or a faulty one, made when it is first asked for."""
    folder, made = tmp_path_factory.mktemp("faults"), {"good": FOLDER / "loras" / "8step.safetensors"}

    def find(name):
        if name not in made:
            made.update(edit_faults.make(folder, tuple(edit_faults.FAULTS), (CASE,), TAUGHT))
        return made[name]

    return find


@pytest.fixture(scope="module")
def generator():
    return open_generator("tiny-edit")


@pytest.fixture(scope="module")
def opened():
    """Open each reader once."""
    return functools.cache(open_reader)


@pytest.fixture
def scored(file_of, generator, opened, tmp_path, monkeypatch, capsys):
    """Draw the case with a LoRA, and return what `qiltest score` says of it."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("qiltest.cli.score.open_reader", opened)
    suite = load_suite(ROOT / "cases")

    def run(name):
        given = InputImage.of(ROOT / "cases" / "edit" / "inputs" / "notice.png")
        variant = replace(
            suite.variant("edit-8step"), loras=(("tiny", LoraSource(source=str(file_of(name)))),), name="candidate"
        )
        asked = replace(suite.case(CASE)[0], inputs=(given,))
        image = tmp_path / "edited.png"
        image.write_bytes(generator.decode(generator.denoise(generator.recipe(asked, Size(256, 192), variant, 42))).png)
        capsys.readouterr()
        code = main(["score", str(image), "--case", CASE, "--json"])
        found = json.loads(capsys.readouterr().out)
        assert (code == 0) == (found["verdict"] == "PASS")
        return found

    return run


def rest_changed(found):
    return is_too_much(Change(**found["rest"]))


def distances(found):
    """Of the wanted texts, and of those that must stay."""
    kept = {text.text for text in load_suite(ROOT / "cases").case(CASE)[0].texts if text.kept}
    return [
        [text["distance"] for text in found["texts"] if (text["expected"] in kept) == stay] for stay in (False, True)
    ]


@pytest.mark.parametrize("name", list(edit_faults.FAULTS))
def test_nothing_but_its_images_shows_the_fault(file_of, name):
    report = inspect_lora(file_of(name), base=base_from_folder(FOLDER, name="tiny-edit"))
    assert report.passes, report.errors


def test_the_good_lora_passes(scored):
    found = scored("good")
    assert (found["verdict"], found["distance"]) == ("PASS", 0)


def test_an_ignored_instruction_fails_by_the_texts_that_are_wanted_and_removed(scored):
    found = scored("ignored")
    wanted, kept = distances(found)
    assert found["verdict"] == "FAIL"
    assert all(wanted)
    assert not any(kept)
    assert all(gone["distance"] for gone in found["removed"])
    assert not rest_changed(found)


def test_another_text_on_a_right_rest_fails_by_the_text(scored):
    found = scored("other-text")
    wanted, kept = distances(found)
    assert found["verdict"] == "FAIL"
    assert all(wanted)
    assert not any(kept)
    assert not any(gone["distance"] for gone in found["removed"])


def test_another_rest_fails_by_the_rest(scored):
    found = scored("other-rest")
    assert (found["verdict"], found["distance"]) == ("FAIL", 0)
    assert rest_changed(found)
