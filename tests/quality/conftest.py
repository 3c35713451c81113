"""Images to measure: drawn fur and walls always, real images where they lie beside the repository."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "real-images"
# the faults that the benchmark plants
sys.path.insert(0, str(ROOT / "benchmarks" / "quality"))

from quality_images import fur, scene  # noqa: E402


def real(name, side=640):
    """The middle of a real image."""
    pixels = np.asarray(Image.open(REAL / f"{name}.png").convert("RGB"))
    top, left = (max(0, (length - side) // 2) for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


FURRY = ("flux_sign_svdq_int4", "sdcpp_flux2_klein_4b_edit", "lumina2_baseline")


@pytest.fixture(scope="session")
def wall():
    return scene()


@pytest.fixture(scope="session", params=["drawn", *FURRY])
def furry(request):
    if request.param == "drawn":
        return fur()
    if not REAL.is_dir():
        pytest.skip("no real images beside the repository (shared/real-images)")
    return real(request.param)
