"""Where a GPU generates: the next image is made while the last is read, and each error belongs to its own image."""

import pytest

from qiltest.gate import Verdict

ON_DEVICE = """

class OnDevice(StandinGenerator):
    on_cpu = False

    def warm_up(self, recipe):
        self._note(f"warm {recipe.variant}")

    def decode_pixels(self, denoised):
        return self.decode(denoised)

    def _note(self, text):
        with self.log.open("a") as log:
            log.write(text + "\\n")


def drawn_so_far():
    lines = (HERE / "generated.log").read_text().splitlines()
    return [line for line in lines if line.startswith(("coffee", "poster"))]


class SlowReader(StandinReader):
    count = 0

    def read(self, image):
        SlowReader.count += 1
        mine = SlowReader.count
        settings = plan()
        if settings.get("read_waits") and mine < 4:
            # nothing but the next image's beginning ends this: without overlap it never would
            for _ in range(400):
                if len(drawn_so_far()) > mine:
                    break
                time.sleep(0.05)
            else:
                raise ReaderError(f"image {mine + 1} was not begun while image {mine} was read")
        if mine == settings.get("read_fails"):
            raise ReaderError(f"image {mine} cannot be read", remedy="look at it")
        with (HERE / "generated.log").open("a") as log:
            log.write(f"read {mine}\\n")
        return super().read(image)


@pytest.fixture(scope="session")
def qil_generator(pytestconfig):
    gpu = pytestconfig.option.markexpr == "gpu"
    return OnDevice(model="Qwen/Qwen-Image" if gpu else "tiny", device="cuda" if gpu else "cpu")


@pytest.fixture(scope="session")
def qil_open_reader():
    return SlowReader
"""
IDS = [f"{case}@1328x1328-{variant}-s42" for variant in ("base", "fast") for case in ("coffee", "poster")]


@pytest.fixture
def ahead(suite):
    """The suite, its goldens recorded, with a model that generates on a device of its own."""
    suite.record()
    path = suite.path / "conftest.py"
    path.write_text(path.read_text() + ON_DEVICE)
    return suite


def verdicts(suite):
    return [suite.latest().result(one).verdict for one in IDS]


def test_the_next_image_begins_before_the_reading_of_the_last_ends(ahead):
    ahead.plan(read_waits=True)
    ahead.run().assert_outcomes(passed=4)
    log = ahead.generated()
    for number, following in enumerate(["poster base 42", "coffee fast 42", "poster fast 42"], start=1):
        assert log.index(following) < log.index(f"read {number}")
    assert verdicts(ahead) == [Verdict.PASS] * 4


def test_one_image_is_drawn_ahead_and_no_more(ahead):
    ahead.plan(coffee__base={"typos": {"Qwen Coffee": "Qwen Cofee"}})
    ahead.run("-x").assert_outcomes(failed=1)
    assert [line for line in ahead.generated() if not line.startswith("read")] == ["coffee base 42", "poster base 42"]


def test_an_error_of_the_reading_in_the_background_belongs_to_its_own_image(ahead):
    ahead.plan(read_fails=2)
    ahead.run().assert_outcomes(passed=3, failed=1)
    assert verdicts(ahead) == [Verdict.PASS, Verdict.ERROR, Verdict.PASS, Verdict.PASS]
    assert "image 2 cannot be read" in ahead.latest().result(IDS[1]).error


@pytest.mark.parametrize(("fault", "told"), [("oom", "out of memory"), ("nan", "NaN"), ("crash", "illegal memory")])
def test_an_error_of_an_image_drawn_ahead_belongs_to_its_own_test(ahead, fault, told):
    ahead.plan(poster__base={"fault": fault})
    ahead.run().assert_outcomes(passed=3, failed=1)
    assert verdicts(ahead) == [Verdict.PASS, Verdict.ERROR, Verdict.PASS, Verdict.PASS]
    assert told in ahead.latest().result(IDS[1]).error


def test_a_wrong_number_of_forwards_is_found_in_the_background_and_told_by_its_own_test(ahead):
    ahead.plan(coffee__fast={"forwards": 4})
    ahead.run().assert_outcomes(passed=3, failed=1)
    assert "4 forwards instead of the recipe's 2" in ahead.latest().result(IDS[2]).error


def test_every_cohort_is_warmed_up_once_before_its_first_image_on_the_gpu(ahead):
    ahead.run("-m", "gpu", "--qil-update=all", "--qil-rounds=1")
    log = [line for line in ahead.generated() if not line.startswith("read")]
    assert log == ["warm base", "coffee base 42", "poster base 42", "warm fast", "coffee fast 42", "poster fast 42"]


def test_nothing_is_warmed_up_without_it(ahead):
    ahead.run()
    assert not [line for line in ahead.generated() if line.startswith("warm")]
