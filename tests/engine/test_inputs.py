"""Input images of edits that a text-to-image model generates: of a stored run, generated once, or missing."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

import builders as make
from fake_generator import FakeGenerator
from qiltest.engine.inputs import FOLDER, Inputs
from qiltest.errors import InputError
from qiltest.input_images import InputImage
from qiltest.recipe import Size
from qiltest.runs.store import RunStore
from qiltest.suite.cases import EditRules, ExpectedText, InputSample, InputSource
from qiltest.suite.load import Suite
from qiltest.suite.selection import Task
from qiltest.suite.variants import ModelKind

SHOP = make.case("shop", size=Size(64, 48))
WANTED = InputSource(sample=InputSample(case="shop", variant="base", seed=7))
SIGN = make.case("sign", texts=(ExpectedText(text="OPEN"),), edit=EditRules(inputs=(WANTED,), gone=("SALE",)))
BASE = make.variant("base")
SUITE = Suite(cases=(SHOP,), edits=(SIGN,), variants=(BASE,))


def task(kind):
    return Task(case=SIGN, resolution=SIGN.resolutions[0], variant=BASE, seed=1, kind=kind)


@pytest.fixture
def inputs(tmp_path):
    """The inputs of a session; each call opens a model of its own, and counts that."""
    opened = []

    def open_one(writer):
        def opener():
            opened.append(FakeGenerator())
            return opened[-1]

        return Inputs(SUITE, SimpleNamespace(runs_folder=tmp_path, threads=None), writer, opener=opener)

    with RunStore(root=tmp_path).create() as writer:
        yield SimpleNamespace(open=lambda: open_one(writer), opened=opened, writer=writer, folder=tmp_path / FOLDER)


def test_the_embedded_model_generates_an_input_once_and_the_next_session_takes_the_file(inputs):
    first, again = inputs.open().of(task(ModelKind.TINY)), inputs.open().of(task(ModelKind.TINY))
    assert first == again
    assert [Path(image.path).parent for image in first] == [inputs.folder]
    assert len(list(inputs.folder.iterdir())) == 1
    assert [len(each.prepared) for each in inputs.opened] == [1, 0]  # the second looked for its recipe alone


def test_a_real_models_input_that_no_run_has_says_how_to_generate_it(inputs):
    with pytest.raises(InputError, match="--qil-case=shop@64x48 --qil-variant=base --qil-seeds=7"):
        inputs.open().of(task(ModelKind.REAL))
    assert inputs.opened == []


def test_an_input_is_stored_as_it_is_where_it_is_a_png_and_as_png_otherwise(inputs, tmp_path):
    for name, mode in (("a.png", "RGB"), ("b.jpg", "RGB"), ("c.png", "L")):
        Image.new(mode, (20, 10), 77 if mode == "L" else (200, 10, 30)).save(tmp_path / name)
    given = tuple(InputImage.of(tmp_path / name) for name in ("a.png", "b.jpg", "c.png"))
    stored = inputs.open().store(given)
    assert [one == image.sha256 for one, image in zip(stored, given, strict=True)] == [True, False, False]
    for sha256 in stored:
        with Image.open(inputs.writer.image(sha256)) as opened:
            assert (opened.format, opened.mode, opened.size) == ("PNG", "RGB", (20, 10))
