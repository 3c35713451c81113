"""The image stage that is loaded ahead is the one that is loaded when asked for; its faults show where it is used."""

import threading

import pytest
import torch
from accelerate import init_empty_weights

from qiltest.errors import ModelError
from qiltest.generation import Settings, _early
from qiltest.generation._early import EarlyImageStage
from qiltest.generation._fill import fill, onto
from qiltest.generation._load import empty_image_stage, load_image_stage
from qiltest.generation.sources import resolve_model

CPU = torch.device("cpu")


@pytest.fixture
def stage(folder):
    """Load on the CPU as a GPU would be loaded."""
    early = EarlyImageStage(resolve_model(str(folder)), torch.float32, CPU, Settings(device="cpu"))
    early._ahead = True
    yield early
    early.close()


@pytest.fixture
def plain(folder):
    return load_image_stage(resolve_model(str(folder)), torch.float32, CPU, Settings(device="cpu"))


def same(one, other):
    states = (one.transformer.state_dict(), other.transformer.state_dict())
    states += (one.vae.state_dict(), other.vae.state_dict())
    return all(a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a) for a, b in (states[:2], states[2:]))


def test_a_stage_that_was_begun_has_the_weights_of_one_that_was_not(stage, plain):
    stage.begin()
    assert stage.begun
    taken = stage.take()
    assert same(taken, plain)
    assert not any(parameter.requires_grad for parameter in taken.transformer.parameters())
    assert taken.scheduler.config == plain.scheduler.config


def test_nothing_is_begun_on_a_cpu_and_the_stage_is_there_all_the_same(folder, plain):
    early = EarlyImageStage(resolve_model(str(folder)), torch.float32, CPU, Settings(device="cpu"))
    early.begin()
    early.begin_beside()
    assert not early.begun
    assert same(early.take(), plain)


def test_it_is_begun_once(stage, monkeypatch):
    built, empty = [], empty_image_stage
    monkeypatch.setattr(_early, "empty_image_stage", lambda *args: (built.append(1), empty(*args))[1])
    stage.begin()
    stage.begin()
    stage.take()
    assert built == [1]


@pytest.mark.parametrize("fits", [True, False])
def test_beside_the_text_encoder_it_is_begun_only_where_both_fit(stage, monkeypatch, fits):
    monkeypatch.setattr(_early, "fit_together", lambda *_: fits)
    stage.begin_beside()
    assert stage.begun == fits


def test_what_loading_raised_is_raised_where_the_stage_is_used_and_the_next_use_tries_again(stage, plain, monkeypatch):
    def broken(*_args):
        raise ModelError("a shard is damaged")

    with monkeypatch.context() as patch:
        patch.setattr(_early, "filled_image_stage", broken)
        stage.begin()
        with pytest.raises(ModelError, match="a shard is damaged"):
            stage.take()
    assert same(stage.take(), plain)


def test_a_stage_that_nobody_wants_any_more_ends_with_the_weight_in_hand(stage, monkeypatch):
    from qiltest.generation import _load

    reached, on, tensors = threading.Event(), threading.Event(), _load.file_tensors
    given = []

    def slowly(weights):
        for name, tensor in tensors(weights):
            given.append(name)
            reached.set()
            on.wait(30)
            yield name, tensor

    monkeypatch.setattr(_load, "file_tensors", slowly)
    stage.begin()
    reached.wait(30)
    stage._unwanted.set()
    on.set()
    stage.close()
    assert len(given) == 1
    assert not stage.begun


def test_models_that_another_thread_builds_meanwhile_leave_no_weight_without_values(folder):
    """accelerate patches how every module registers its parameters while a model is built without memory."""
    source = resolve_model(str(folder))
    empty = empty_image_stage(source, torch.float32, Settings(device="cpu"))
    from qiltest.generation._fill import file_tensors
    from qiltest.generation.whole import weights_of

    with init_empty_weights():
        fill(
            empty.transformer,
            file_tensors(weights_of(source.folder, "transformer")),
            dtype=torch.float32,
            put=onto(CPU),
        )
    assert not any(tensor.is_meta for tensor in empty.transformer.state_dict().values())


def test_a_generator_that_looked_ahead_draws_the_same_image(fresh, generator, recipe):
    from .conftest import EIGHT

    early = fresh()
    early._early._ahead = True
    early.look_ahead([EIGHT], load=False)
    assert not early._early.begun
    early._early.begin()
    one = early.denoise(recipe(EIGHT))
    assert torch.equal(one.latents, generator.denoise(recipe(EIGHT)).latents)
    early.close()
