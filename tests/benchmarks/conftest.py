"""What the benchmarks' tests need: their folder on the path, and drawing that needs neither fonts nor real images."""

import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks" / "readers"))
sys.path.insert(0, str(ROOT / "benchmarks" / "parallel"))


@pytest.fixture(scope="session")
def faces():
    """Those faces of the training half that are installed here."""
    from drawn.faces import listed_faces

    found = [face for face in listed_faces("train") if face.path.is_file()]
    if not any("cjk" in face.styles for face in found):
        pytest.skip("no font with ideographs: apt-get install fonts-noto-cjk fonts-dejavu-core fonts-liberation")
    return found


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """A folder with one gradient under the names of all real images that backgrounds are cut from."""
    from drawn.backgrounds import sources

    folder = tmp_path_factory.mktemp("photographs")
    first = folder / "gradient.png"
    Image.linear_gradient("L").resize((1700, 1400)).convert("RGB").save(first, compress_level=1)
    for half in ("train", "test"):
        for source in sources(half):
            (folder / source.file).hardlink_to(first)
    return folder
