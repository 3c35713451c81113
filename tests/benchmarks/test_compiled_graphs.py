"""A forward is replayed only for inputs and weights of which it was recorded. No GPU here: a recorder stands for it."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "gpu"))

from compiled_graphs import Replayed


class Transformer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 4).requires_grad_(False)
        self.calls = 0

    def forward(self, hidden_states, timestep, return_dict=True, shapes=()):
        self.calls += 1
        made = self.layer(hidden_states) * timestep
        return {"sample": made} if return_dict else (made,)


class Recorder:
    made = 0

    def __init__(self, forward, inputs, pool):
        type(self).made += 1
        self.forward, self.pool = forward, pool

    def replay(self, inputs):
        return ("replayed", *self.forward(**inputs))


@pytest.fixture
def transformer():
    made = Transformer()
    Recorder.made = 0
    made.forward = Replayed(made, up_to=8, record=Recorder, device_type="cpu")
    return made


def given(tokens=8, **others):
    return {"hidden_states": torch.ones(1, tokens, 4), "timestep": torch.tensor(0.5), "return_dict": False} | others


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


def test_the_first_call_runs_the_second_is_recorded_and_all_later_ones_are_replayed(transformer):
    made = [transformer(**given()) for _ in range(4)]
    assert [one[0] == "replayed" if isinstance(one[0], str) else False for one in made] == [False, True, True, True]
    assert Recorder.made == 1
    torch.testing.assert_close(made[0][0], made[3][1])


def test_other_values_of_the_same_form_are_replayed(transformer):
    for timestep in (0.1, 0.2, 0.3):
        made = transformer(**given(timestep=torch.tensor(timestep)))
    assert made[0] == "replayed"
    assert Recorder.made == 1


@pytest.mark.parametrize(
    "other",
    [
        {"tokens": 7},
        {"timestep": torch.tensor(0.5, dtype=torch.float64)},
        {"shapes": [(1, 2, 4)]},
    ],
)
def test_a_form_of_its_own_is_a_record_of_its_own(transformer, other):
    for kind in ({}, other) * 2:
        transformer(**given(**kind))
    assert Recorder.made == 2


def test_a_weight_that_was_moved_is_not_replayed_and_one_written_in_place_is(transformer):
    for _ in range(2):
        transformer(**given())
    transformer.layer.weight.data.copy_(torch.zeros(4, 4))
    assert transformer(**given())[0] == "replayed"
    transformer.layer.weight.data = torch.ones(4, 4)
    assert isinstance(transformer(**given())[0], torch.Tensor)


@pytest.mark.parametrize(
    "other",
    [{"return_dict": True}, {"tokens": 9}],
    ids=["an output that is no tuple", "an image that is too large"],
)
def test_what_cannot_be_replayed_runs(transformer, other):
    for _ in range(3):
        transformer(**given(**other))
    assert Recorder.made == 0
    assert transformer.calls == 3


@pytest.mark.parametrize("mark", ["peft_config", "_hf_hook"])
def test_lora_layers_and_weights_that_come_and_go_run(transformer, mark):
    setattr(transformer, mark, {"adapter": 1})
    for _ in range(3):
        transformer(**given())
    assert Recorder.made == 0


def test_inputs_without_names_and_gradients_run(transformer):
    for _ in range(3):
        transformer(torch.ones(1, 8, 4), torch.tensor(0.5), False)
    with torch.enable_grad():
        for _ in range(3):
            transformer(**given())
    assert Recorder.made == 0


def test_hooks_on_the_transformer_still_see_every_forward(transformer):
    seen = []
    transformer.register_forward_pre_hook(lambda *_: seen.append(1))
    for _ in range(3):
        transformer(**given())
    assert len(seen) == 3


def test_the_oldest_record_makes_room(transformer, monkeypatch):
    monkeypatch.setattr("compiled_graphs._KEPT", 2)
    for tokens in (3, 4, 5):
        for _ in range(2):
            transformer(**given(tokens=tokens))
    assert Recorder.made == 3
    transformer(**given(tokens=5))
    assert Recorder.made == 3
    transformer(**given(tokens=3))
    assert Recorder.made == 4
