"""An edit whose image may change everywhere is not judged as one whose rest is unchanged."""

import numpy as np
import pytest
from PIL import Image

import builders as make
from qiltest.engine.edits import Before, change_of_edit
from qiltest.errors import InputError
from qiltest.quality.change import Change
from qiltest.scoring import score
from qiltest.suite.cases import EditRules, ExpectedText, Region


@pytest.fixture
def changed(tmp_path):
    """Return a function that measures an edit to another image, where these parts may change."""
    for name, value in (("before.png", 40), ("after.png", 220)):
        Image.fromarray(np.full((256, 256, 3), value, np.uint8)).save(tmp_path / name)
    text = ExpectedText(text="OPEN")
    reading = make.reading([make.line("OPEN", 10, 10, 60, 20)], 256, 256)

    def measure(*regions: Region) -> Change:
        case = make.case("sign", texts=(text,), edit=EditRules(inputs=(), may_change=regions))
        before = Before.of(tmp_path / "before.png", lambda _: reading)
        return change_of_edit(case, before, tmp_path / "after.png", reading, score([text], reading))

    return measure


def test_regions_that_leave_nothing_to_compare_are_an_error(changed):
    with pytest.raises(InputError, match="nothing of the image is left to compare with the input"):
        changed(Region(left=0.0, top=0.0, right=1.0, bottom=1.0))


def test_regions_that_leave_half_are_compared(changed):
    assert 0.4 < changed(Region(left=0.0, top=0.0, right=1.0, bottom=0.5)).compared < 0.6
