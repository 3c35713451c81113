"""The training's exact velocities between two places (`tools/tiny_model/flow.py`), against draws and densities."""

import importlib
import sys
from pathlib import Path

import pytest
import torch
from scipy.special import softmax
from scipy.stats import norm

TOOLS = Path(__file__).parents[2] / "tools" / "tiny_model"
LEVEL = 0.7


@pytest.fixture(scope="module")
def flow():
    """The module, and none of its neighbours (`data`, `models`) left behind under their plain names."""
    before = set(sys.modules)
    sys.path.insert(0, str(TOOLS))
    try:
        yield importlib.import_module("flow")
    finally:
        sys.path.remove(str(TOOLS))
        for name in set(sys.modules) - before:
            if getattr(sys.modules[name], "__file__", None) and Path(sys.modules[name].__file__).parent == TOOLS:
                del sys.modules[name]


def test_the_velocity_is_the_mean_of_both_pictures_by_their_densities(flow):
    here, there, noise = torch.randn(3, 4, 2, 3, generator=torch.manual_seed(1)).unbind()
    share = torch.tensor([0.0, 0.3, 0.5, 1.0])
    level = torch.tensor([0.7, 0.9, 0.99, 0.95])
    state, velocity = flow.undecided(here, there, share, level, noise)
    for i, s in enumerate(level.tolist()):
        blend = share[i] * here[i] + (1 - share[i]) * there[i]
        torch.testing.assert_close(state[i], (1 - s) * blend + s * noise[i])
        far = [norm.logpdf(state[i].numpy(), (1 - s) * one[i].numpy(), s).sum() for one in (here, there)]
        mine, other = softmax(far)
        mean = float(mine) * here[i] + float(other) * there[i]
        torch.testing.assert_close(velocity[i], (state[i] - mean) / s, rtol=1e-4, atol=1e-4)


def test_over_many_draws_nothing_of_the_plain_target_is_lost(flow):
    """Flow matching learns the mean of noise - picture given the state: the exact velocity must be that mean."""
    count, generator = 200_000, torch.manual_seed(2)
    here, there = torch.randn(2, 1, 1, 2, generator=generator).unbind()
    noise = torch.randn(count, 1, 2, generator=generator)
    first = torch.rand(count, generator=generator) < 0.5
    shown = torch.where(first[:, None, None], here, there)
    hidden = torch.where(first[:, None, None], there, here)
    state, velocity = flow.undecided(shown, hidden, torch.ones(count), torch.full((count,), LEVEL), noise)
    left = noise - shown - velocity
    assert left.abs().max() > 0.5
    for told in (torch.ones_like(state), state, state.sign(), state.pow(2)):
        errors = (left * told).mean(0) / (left * told).std(0) * count**0.5
        assert errors.abs().max() < 4


def test_a_noised_picture_that_is_told_keeps_its_own_velocity(flow):
    here, there, noise = (10 * torch.randn(3, 2, 50, 64, generator=torch.manual_seed(3))).unbind()
    _, velocity = flow.undecided(here, there, torch.ones(2), torch.tensor([0.3, 0.8]), noise)
    torch.testing.assert_close(velocity, noise - here, rtol=1e-3, atol=1e-3)


def test_a_picture_moves_to_its_other_place_and_back_where_there_is_room(flow):
    grid = torch.zeros(3, 4, 5, dtype=torch.long)
    grid[0, :2, :2], grid[1, 1:3, 1:3], grid[2, :4, :2] = 7, 7, 7
    batch = {"grid": grid, "shift": torch.tensor([0, 1, 0]), "room": torch.tensor([True, True, False])}
    moved = flow.elsewhere(batch)["grid"]
    assert torch.equal(moved[0], grid[1])
    assert torch.equal(moved[1], grid[0])
    assert torch.equal(moved[2], grid[2])
