"""Readers in a process of their own: one that dies is started again once an image, and that is said."""

import pytest

from qiltest.engine.readers import Readers
from qiltest.engine.workers import ReadingProcess
from qiltest.errors import ReaderError

READERS = '''
import os
import signal
from pathlib import Path

from qiltest.reading import ReaderInfo, Reading


class Mortal:
    """Dies over an image as often as that image's file says."""

    def __init__(self, name):
        if name == "missing":
            raise ValueError("no such reader")
        self.info = ReaderInfo(name=name, engine="mortal", version="1", weights_sha256="0" * 64)

    def read(self, image):
        lives = Path(image)
        deaths = int(lives.read_text())
        if deaths:
            lives.write_text(str(deaths - 1))
            os.kill(os.getpid(), signal.SIGKILL)
        return Reading(reader=self.info, width=1, height=1, lines=(), seconds=float(os.getpid()))
'''


@pytest.fixture
def process(tmp_path, monkeypatch):
    """A process with readers that another process can import."""
    (tmp_path / "mortal_readers.py").write_text(READERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    from mortal_readers import Mortal

    made = ReadingProcess(Mortal)
    yield made
    made.close()


@pytest.fixture
def image(tmp_path):
    def make(deaths):
        path = tmp_path / f"dies-{deaths}-times.png"
        path.write_text(str(deaths))
        return path

    return make


def test_images_are_read_by_one_process_that_is_not_this_one(process, image):
    process.start("mortal")
    first, second = (process.read("mortal", image(0)).seconds for _ in range(2))
    assert first == second
    assert process.notices == []
    assert process.restarted == set()


def test_a_process_that_dies_is_started_anew_and_that_is_said(process, image):
    reading = process.read("mortal", image(1))
    assert reading.reader.name == "mortal"
    assert process.notices == ["OCR worker crashed on dies-1-times.png and was restarted"]
    assert {path.name for path in process.restarted} == {"dies-1-times.png"}


def test_an_image_over_which_it_dies_twice_is_an_error_and_the_next_one_is_read(process, image):
    with pytest.raises(ReaderError, match="the OCR worker crashed twice on this image") as caught:
        process.read("mortal", image(2))
    assert "dies-2-times.png" in str(caught.value)
    assert "repeat the command to resume" in str(caught.value)
    assert process.read("mortal", image(0)).reader.name == "mortal"


def test_an_error_within_a_reader_is_no_death_and_is_not_tried_again(process, image):
    with pytest.raises(ValueError, match="no such reader"):
        process.read("missing", image(0))
    assert process.notices == []


def test_the_run_keeps_a_restart_with_its_image_also_where_that_ends_in_an_error(suite, monkeypatch):
    suite.record()
    suite.plan(coffee__fast={"fault": "empty"}, poster__fast={"fault": "oom-once"})
    monkeypatch.setattr(Readers, "restarted_over", lambda self, image: True)
    suite.run()
    results = {result.id.partition("@")[0] + " " + result.sample.variant: result for result in suite.latest().results}
    note = "OCR worker crashed on this image and was restarted"
    assert results["coffee base"].notes == (note,)
    assert results["coffee fast"].error
    assert results["coffee fast"].notes == (note,)
    assert results["poster fast"].notes == ("generated on the second attempt, after: out of memory", note)
