"""A session on a GPU begins to hash its model before a test asks for it; nobody else does, and no error comes early."""

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

import builders as make
from qiltest.cli.common import session_options
from qiltest.errors import DeviceError
from qiltest.generation import opening
from qiltest.session.generating import Generating


class Begun:
    """Stands for `Ahead`."""

    def __init__(self):
        self.inspected, self.closed = [], False

    def inspect(self, variants):
        self.inspected += variants

    def close(self):
        self.closed = True


@pytest.fixture
def begun(monkeypatch):
    """What was begun ahead, by model."""
    seen = {}
    monkeypatch.setattr(opening, "begin_ahead", lambda model, _settings: seen.setdefault(model, Begun()))
    return seen


def generating(tmp_path, **changes):
    args = argparse.Namespace(
        model="Qwen/Qwen-Image", base_model=None, reader=None, case=[], cases=tmp_path, runs=tmp_path
    )
    options = replace(session_options(args), **{"gpu": True, "device": "cuda", **changes})
    one = Generating(options)
    one.start()
    if one._starting is not None:
        one._starting.join()
    return one


def test_a_gpu_session_begins_and_inspects_the_loras_of_what_was_selected(begun, tmp_path):
    one = generating(tmp_path)
    one.expect([make.variant("8step")])
    assert [variant.name for variant in begun["Qwen/Qwen-Image"].inspected] == ["8step"]
    one.stop()
    assert begun["Qwen/Qwen-Image"].closed


@pytest.mark.parametrize(
    "changes",
    [
        {"gpu": False},
        {"model": "tiny"},
        {"model": "random"},
        {"images": Path("elsewhere")},
    ],
)
def test_who_reads_no_model_on_a_gpu_begins_nothing(begun, tmp_path, changes):
    one = generating(tmp_path, **changes)
    one.expect([make.variant("8step")])
    one.stop()
    assert begun == {}


def test_what_is_wrong_with_the_model_is_told_when_a_test_asks_for_it(monkeypatch, tmp_path):
    def refuse(*_args, **_options):
        raise DeviceError("not found in the Hugging Face cache")

    monkeypatch.setattr(opening, "begin_ahead", refuse)
    monkeypatch.setattr("qiltest.generation.open_generator", refuse)
    one = generating(tmp_path)
    one.expect([make.variant("8step")])
    with pytest.raises(DeviceError, match="not found"):
        one.open(lambda *_: None)
    one.stop()


def test_the_generator_takes_over_what_was_begun(begun, monkeypatch, tmp_path):
    monkeypatch.setattr("qiltest.generation.open_generator", lambda _model, _settings, *, ahead: ahead)
    one = generating(tmp_path)
    assert one.open(lambda *_: None) is begun["Qwen/Qwen-Image"]
    one.stop()
