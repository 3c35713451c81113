"""Which tasks a model does, by its folder or its name."""

import json

import pytest

from qiltest.generation.sources import base_of_model
from qiltest.generation.tasks import EDIT, TEXT_TO_IMAGE, tasks_of


@pytest.mark.parametrize(
    ("pipeline", "tasks"),
    [
        ("QwenImagePipeline", TEXT_TO_IMAGE),
        ("QwenImageEditPipeline", EDIT),
        ("QwenImageEditPlusPipeline", EDIT),
        ("SomeNewEditPipeline", EDIT),
        ("SomeNewPipeline", TEXT_TO_IMAGE),
    ],
)
def test_a_folder_is_known_by_its_pipeline_whatever_its_name(tmp_path, pipeline, tasks):
    folder = tmp_path / "my-edit-experiments"
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    assert tasks_of(str(folder)) == tasks


@pytest.mark.parametrize("name", ["tiny", "random", "Qwen/Qwen-Image", "Qwen/Qwen-Image-2512", "editors/model", "none"])
def test_models_of_text_alone_are_told_by_their_names(name):
    assert tasks_of(name) == TEXT_TO_IMAGE


@pytest.mark.parametrize("name", ["Qwen/Qwen-Image-Edit", "Qwen/Qwen-Image-Edit-2511", "tiny-edit"])
def test_editing_models_are_told_by_their_names(name):
    assert tasks_of(name) == EDIT


def test_a_model_that_nothing_names_does_what_the_base_does_that_it_is_said_to_be():
    assert tasks_of("my/own", base_of_model("my/own", insisted="Qwen/Qwen-Image-Edit-2511")) == EDIT
    assert tasks_of("my/edit", base_of_model("my/edit", insisted="Qwen/Qwen-Image")) == TEXT_TO_IMAGE
    assert tasks_of("my/own", base_of_model("my/own")) == TEXT_TO_IMAGE
