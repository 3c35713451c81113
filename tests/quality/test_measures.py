"""Each measure against images whose true value is known."""

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw
from quality_faults import blurred, sharpened
from scipy.ndimage import gaussian_filter

from qiltest.quality.blur import blur
from qiltest.quality.detail import free_of_text
from qiltest.quality.grid import grid
from qiltest.quality.halo import halo
from qiltest.quality.noise import noise, speck_map, specks_outside
from qiltest.quality.planes import diagonal, filling_power, luma
from qiltest.quality.tone import tone
from qiltest.reading import Line

#: independent noise in three channels, seen in luma
IN_LUMA = math.sqrt(0.299**2 + 0.587**2 + 0.114**2)


def noisy(pixels, sigma, seed=5):
    values = pixels + np.random.default_rng(seed).normal(0, sigma, pixels.shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def speckled(pixels, count, seed=6):
    """Dark fragments of three by two pixels all over: what a VAE makes of noise that is left in the latents."""
    made, rng = pixels.copy(), np.random.default_rng(seed)
    for row, column in zip(*(rng.integers(0, side - 3, count) for side in pixels.shape[:2]), strict=True):
        made[row : row + 2, column : column + 3] //= 3
    return made


def specks(pixels, lines=()):
    found = speck_map(luma(pixels))
    return specks_outside(found, free_of_text(found.power.shape, lines))


def test_specks_are_seen_where_they_are_too_few_to_be_noise(wall):
    assert specks(wall) < 0.3
    pixels = speckled(wall, 1500)
    assert specks(pixels) > 2.5
    assert noise(luma(pixels)).coarse < 1


def test_specks_in_a_part_of_the_image_do_not_count(wall):
    pixels = wall.copy()
    pixels[:256] = speckled(pixels[:256], 1500)
    assert specks(pixels) < 0.3


def test_specks_are_not_measured_where_text_and_white_leave_hardly_a_block(wall):
    whole = Line(text="x", box=((0.0, 0.0), (512.0, 0.0), (512.0, 470.0), (0.0, 470.0)), confidence=0.9)
    assert specks(wall, [whole]) is None
    page = np.full((512, 512, 3), 255, np.uint8)
    page[::64, ::64] = 0
    page[:64, :64] = noisy(page[:64, :64] // 2, 20)
    assert specks(page) is None


@pytest.mark.parametrize("sigma", [2, 5, 10, 20])
def test_noise_is_measured_in_grey_levels(wall, sigma):
    assert noise(luma(noisy(wall, sigma))).fine == pytest.approx(sigma * IN_LUMA, rel=0.08)


def test_an_image_half_full_of_texture_is_not_noisy(wall):
    pixels = wall.copy()
    pixels[:, 256:] = noisy(pixels[:, 256:], 30)
    assert noise(luma(pixels)).fine < 1


def test_noise_that_is_softened_shows_in_the_coarser_band(wall):
    field = np.random.default_rng(1).normal(0, 1, wall.shape[:2])
    field = (field + np.roll(field, 1, 0) + np.roll(field, 1, 1) + np.roll(field, (1, 1), (0, 1))) / 2
    soft = np.clip(wall + 8 * field[..., None], 0, 255).astype(np.uint8)
    found = noise(luma(soft))
    assert found.coarse > 3
    assert found.coarse > found.fine


def test_the_haar_band_keeps_the_variance_of_white_noise_and_its_lower_half_tells_it():
    plane = np.random.default_rng(2).normal(0, 3, (512, 512)).astype(np.float32)
    band = diagonal(plane)
    assert band.std() == pytest.approx(3, rel=0.02)
    assert math.sqrt(filling_power(band.reshape(1, -1))[0]) == pytest.approx(3, rel=0.02)


def test_an_edge_does_not_fill_a_block():
    plane = np.random.default_rng(3).normal(100, 1, (32, 32)).astype(np.float32)
    edge = plane.copy()
    for row in range(32):
        edge[row, row // 2 + 8 :] += 100
    power = [filling_power(diagonal(p).reshape(1, -1))[0] for p in (plane, edge)]
    assert power[1] < 2 * power[0]


def tiled(pixels, period, strength, seed=3):
    tile = np.random.default_rng(seed).normal(0, 1, (period, period))
    tile = (tile - tile.mean()) / tile.std() * strength
    field = np.tile(tile, [-(-n // period) for n in pixels.shape[:2]])[: pixels.shape[0], : pixels.shape[1]]
    return np.clip(np.rint(pixels + field[..., None]), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("strength", [1, 2, 4])
def test_a_pattern_of_every_patch_is_measured_at_least_in_its_grey_levels(wall, strength):
    found = grid(luma(tiled(wall, 16, strength)))
    assert strength * 0.8 < found.patch < strength * 6


def test_a_pattern_of_every_latent_is_not_one_of_patches(wall):
    found = grid(luma(tiled(wall, 8, 2)))
    assert found.latent > 1.6
    assert found.patch < 0.3


@pytest.mark.parametrize("period", [10, 14, 18, 20, 22])
def test_other_periods_are_no_grid_of_the_model(wall, period):
    found = grid(luma(tiled(wall, period, 3)))
    assert max(found.latent, found.patch) < 0.8


def test_patches_lighter_and_darker_by_chance_show_their_seams(wall):
    field = np.random.default_rng(4).normal(0, 4, (32, 32)).repeat(16, 0).repeat(16, 1)
    found = grid(luma(np.clip(wall + field[..., None], 0, 255).astype(np.uint8)))
    assert found.patch > 0.8


def test_text_set_on_a_lattice_of_patches_is_no_grid():
    image = Image.new("RGB", (512, 512), (240, 240, 235))
    pen = ImageDraw.Draw(image)
    rng = np.random.default_rng(0)
    for row in range(4, 30, 2):
        for column in range(2, 30):
            pen.text((column * 16, row * 16), chr(rng.integers(65, 91)), fill=(10, 10, 10), font_size=15)
    found = grid(luma(np.asarray(image)))
    assert max(found.latent, found.patch) < 0.4


def test_an_image_too_small_or_too_busy_has_no_grid(wall):
    assert grid(luma(tiled(wall, 16, 8)[:64, :64])).patch == 0.0
    busy = np.random.default_rng(0).integers(0, 256, wall.shape).astype(np.uint8)
    assert grid(luma(busy)).patch == 0.0


@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.5])
def test_blur_is_measured_in_pixels(sigma):
    image = Image.new("RGB", (512, 512), (60, 60, 60))
    pen = ImageDraw.Draw(image)
    for k in range(6):
        pen.rectangle([40 + 80 * k, 40, 80 + 80 * k, 470], fill=(200, 200, 200))
    soft = gaussian_filter(np.asarray(image), (sigma, sigma, 0))
    assert blur(luma(soft)) == pytest.approx(sigma, rel=0.15)


def test_a_soft_background_behind_a_sharp_subject_is_no_blur(wall):
    pixels = blurred(wall, 6).copy()
    pixels[:, 256:] = wall[:, 256:]
    assert blur(luma(pixels)) < 0.6


def test_an_image_without_edges_has_no_blur_to_tell():
    ramp = np.tile(np.linspace(0, 255, 256), (256, 1)).astype(np.float32)
    assert blur(ramp) is None
    assert halo(ramp) is None


def test_sharpening_shows_as_overshoot_and_a_clean_edge_as_none():
    image = Image.new("RGB", (512, 512), (80, 80, 80))
    pen = ImageDraw.Draw(image)
    for k in range(5):
        pen.rectangle([40 + 96 * k, 40, 88 + 96 * k, 470], fill=(170, 170, 170))
    clean = blurred(np.asarray(image), 0.8)
    assert abs(halo(luma(clean))) < 0.03
    overshoots = [halo(luma(sharpened(clean, amount))) for amount in (50, 100, 200)]
    assert overshoots == sorted(overshoots)
    assert overshoots[0] > 0.04


def test_tone_counts_values():
    pixels = np.zeros((90, 90, 3), np.uint8)
    pixels[:, 45:] = (255, 100, 0)
    found = tone(pixels)
    assert found.clipped == pytest.approx((1 + 2 / 3) / 2)
    assert found.saturation == pytest.approx(0.5)
    assert found.spread == pytest.approx(127.5)
