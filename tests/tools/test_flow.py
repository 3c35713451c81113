"""The training's exact velocities between a line's places (`tools/tiny_model/flow.py`), against draws and densities."""

from itertools import product
from types import SimpleNamespace

import pytest
import torch
from scipy.special import softmax
from scipy.stats import norm

LEVEL = 0.7
PLACES = 3


@pytest.fixture(scope="module")
def flow(training):
    return training("flow")


def every(line):
    """Room for all places."""
    return torch.full_like(line, PLACES)


def test_the_velocity_is_the_mean_of_all_places_by_their_densities(flow):
    """Images of two rows of two tokens, each row a line: all nine ways in which both may stand, one by one."""
    generator = torch.manual_seed(1)
    places = 0.3 * torch.randn(PLACES, 4, 4, 3, generator=generator)
    noise = torch.randn(4, 4, 3, generator=generator)
    line = torch.tensor([[1, 2]]).expand(4, -1)
    shares = torch.rand(4, PLACES, 2, generator=generator).softmax(1)
    level = torch.tensor([0.3, 0.5, 0.9, 0.99])
    state, velocity = flow.undecided(places, line, every(line), shares, level, noise)
    for i, s in enumerate(level.tolist()):
        rows = places[:, i].view(PLACES, 2, 2, 3)
        blend = torch.einsum("kr,krtd->rtd", shares[i], rows).flatten(0, 1)
        torch.testing.assert_close(state[i], (1 - s) * blend + s * noise[i])
        whole = [torch.cat([rows[a, 0], rows[b, 1]]) for a, b in product(range(PLACES), repeat=2)]
        weights = softmax([norm.logpdf(state[i].numpy(), (1 - s) * one.numpy(), s).sum() for one in whole])
        mean = sum(float(w) * one for w, one in zip(weights, whole, strict=True))
        torch.testing.assert_close(velocity[i], (state[i] - mean) / s, rtol=1e-4, atol=1e-4)


def test_rows_of_one_line_are_decided_together(flow):
    """The second row's places are far below the noise: alone it stays undecided, in a clear row's line it follows."""
    places = torch.zeros(PLACES, 1, 2, 4)
    places[1, :, 0], places[2, :, 0] = 10, -10
    places[:, :, 1, 0] = torch.tensor([[0.0], [0.3], [-0.3]])
    shares, level, still = flow.told(torch.tensor([[1, 1]])), torch.tensor([0.5]), torch.zeros(1, 2, 4)
    shown = []
    for line in (torch.tensor([[1, 1]]), torch.tensor([[1, 2]])):
        state, velocity = flow.undecided(places, line, every(line), shares, level, still)
        image = state - 0.5 * velocity
        torch.testing.assert_close(image[0, 0], torch.full((4,), 10.0))
        shown.append(float(image[0, 1, 0]))
    assert shown[0] == pytest.approx(0.3, abs=1e-5)
    assert 0 < shown[1] < 0.2


def test_over_many_draws_nothing_of_the_plain_target_is_lost(flow):
    """Flow matching learns the mean of noise - image given the state: the exact velocity must be that mean."""
    count, generator = 200_000, torch.manual_seed(2)
    places = torch.randn(PLACES, 1, 1, 2, generator=generator).expand(-1, count, -1, -1)
    noise = torch.randn(count, 1, 2, generator=generator)
    right = torch.randint(0, PLACES, (count, 1), generator=generator)
    line = torch.ones(count, 1, dtype=torch.long)
    state, velocity = flow.undecided(places, line, every(line), flow.told(right), torch.full((count,), LEVEL), noise)
    shown = places.permute(1, 0, 2, 3)[torch.arange(count), right[:, 0]]
    left = noise - shown - velocity
    assert left.abs().max() > 0.5
    for known in (torch.ones_like(state), state, state.sign(), state.pow(2)):
        errors = (left * known).mean(0) / (left * known).std(0) * count**0.5
        assert errors.abs().max() < 4


def test_a_noised_image_that_is_told_keeps_its_own_velocity(flow):
    places = 10 * torch.randn(PLACES, 2, 50, 64, generator=torch.manual_seed(3))
    noise = torch.randn(2, 50, 64, generator=torch.manual_seed(4))
    line, right = torch.arange(5).repeat(2, 1), torch.tensor([[0, 1, 2, 0, 1], [2, 2, 1, 1, 0]])
    _, velocity = flow.undecided(places, line, every(line), flow.told(right), torch.tensor([0.3, 0.8]), noise)
    rows = places.view(PLACES, 2, 5, 10, 64)
    mine = torch.stack([rows[right[i], i, torch.arange(5)].flatten(0, 1) for i in range(2)])
    torch.testing.assert_close(velocity, noise - mine, rtol=1e-3, atol=1e-3)


def test_any_shares_are_of_a_whole_line_and_add_up_to_one(flow):
    line = torch.tensor([[1, 1, 3, 3, 0], [1, 1, 1, 1, 1]])
    shares = flow.any_shares(line, every(line))
    assert shares.shape == (2, PLACES, 5)
    torch.testing.assert_close(shares.sum(1), torch.ones(2, 5))
    assert torch.equal(shares[:, :, 0], shares[:, :, 1])
    assert not torch.equal(shares[0, :, 1], shares[0, :, 2])
    assert torch.equal(shares[1, :, 0], shares[1, :, 4])
    less = flow.any_shares(line, torch.full_like(line, 2))
    assert not less[:, 2].any()
    torch.testing.assert_close(less.sum(1), torch.ones(2, 5))


def test_a_place_without_room_is_never_shown(flow):
    places = torch.randn(PLACES, 1, 2, 4, generator=torch.manual_seed(5))
    line, room = torch.tensor([[1, 2]]), torch.tensor([[2, 3]])
    shares = flow.told(torch.tensor([[0, 0]]))
    level, noise = torch.tensor([1.0]), torch.randn(1, 2, 4, generator=torch.manual_seed(6))
    _, velocity = flow.undecided(places, line, room, shares, level, noise)
    torch.testing.assert_close(velocity[0, 0], noise[0, 0] - places[:2, 0, 0].mean(0))
    torch.testing.assert_close(velocity[0, 1], noise[0, 1] - places[:, 0, 1].mean(0))


def test_every_line_moves_to_each_of_its_places(flow, monkeypatch):
    grid = torch.zeros(1, 4, 6, dtype=torch.long)
    grid[0, :2, 1:3], grid[0, 2:, 2:5] = 7, 8
    batch = {"grid": grid, "right": torch.tensor([[1, 1, 2, 2]])}

    def shown(images):
        """Latents that say what each token shows."""
        return images[:, None].float().expand(-1, 16, -1, -1).repeat_interleave(2, 2).repeat_interleave(2, 3)

    monkeypatch.setattr(flow, "encoded", lambda _, images: shown(images))
    found = flow.everywhere(SimpleNamespace(painter=lambda batch: batch["grid"]), batch)
    assert found.shape == (PLACES, 1, 24, 64)
    for right, moved in enumerate(found):
        expected = torch.zeros_like(grid)
        expected[0, :2, right : right + 2], expected[0, 2:, right : right + 3] = 7, 8
        assert torch.equal(moved, flow.packed(shown(expected)))
