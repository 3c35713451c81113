"""Names, sizes and seeds of events at their limits."""

import pytest

import builders as make
from qiltest.recipe import Size
from qiltest.runs.names import not_hashes, not_plain, wrong_sample, wrong_size


@pytest.mark.parametrize("size", [Size(1, 1), Size(99_999, 99_999), Size(1, 99_999)])
def test_sizes_from_one_pixel_to_five_digits_are_sizes(size):
    assert list(wrong_size("size", size)) == []


@pytest.mark.parametrize("size", [Size(0, 1), Size(1, 0), Size(100_000, 1), Size(1, 100_000), Size(-1, 5)])
def test_other_sizes_are_not(size):
    assert list(wrong_size("recipe.effective", size)) == [f"recipe.effective: {size} is no size"]


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_seeds_of_63_bits_are_seeds(seed):
    assert list(wrong_sample(make.sample(seed))) == []


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_other_seeds_are_not(seed):
    assert list(wrong_sample(make.sample(seed))) == [f"sample.seed: {seed} is no seed"]


@pytest.mark.parametrize("name", ["a", "A-b_c.d", "0", "a" * 96])
def test_plain_names(name):
    assert list(not_plain(run=name)) == []


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "a/b", "a\\b", "a b", "é", "a\n", "-a", "a" * 97])
def test_names_that_could_lead_elsewhere(name):
    assert list(not_plain(run=name)) == [f"run: {name[:60]!r} is no plain name"]


def test_a_hash_is_64_hexadecimal_digits():
    assert list(not_hashes(sha256="a" * 64)) == []
    assert list(not_hashes(sha256="a" * 63, other="g" * 64)) == [
        f"sha256: {'a' * 60!r} is no SHA-256",
        f"other: {'g' * 60!r} is no SHA-256",
    ]
