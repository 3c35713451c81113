"""How much is decoded before the work of a report's images is looked at again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from PIL import Image

from qiltest.report.html import page
from qiltest.report.image_view import ImageView


@pytest.fixture
def cells(tmp_path: Path) -> Callable[[int, tuple[int, int]], list[ImageView]]:
    """Return a function that makes cells, each with a PNG of a size."""

    def make(number: int, size: tuple[int, int]) -> list[ImageView]:
        path = tmp_path / f"{size[0]}x{size[1]}.png"
        Image.new("RGB", size).save(path)
        image = SimpleNamespace(path=path)
        return [
            cast("ImageView", SimpleNamespace(result=SimpleNamespace(image=image, before=()), before=None))
            for _ in range(number)
        ]

    return make


def test_images_of_16_million_pixels_are_looked_at_one_at_a_time(
    cells: Callable[[int, tuple[int, int]], list[ImageView]],
) -> None:
    batches = list(page._batches(cells(5, (4096, 4096))))
    assert [len(some) for some in batches] == [1, 1, 1, 1, 1]


def test_images_of_a_models_size_are_looked_at_sixteen_at_a_time_and_none_is_lost(
    cells: Callable[[int, tuple[int, int]], list[ImageView]],
) -> None:
    made = cells(40, (1328, 1328))
    batches = list(page._batches(made))
    assert [len(some) for some in batches] == [16, 16, 8]
    assert [cell for some in batches for cell in some] == made
