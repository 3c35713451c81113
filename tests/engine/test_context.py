"""How many images are read at once: by who generates them."""

from types import SimpleNamespace

import pytest

from fake_generator import FakeGenerator
from qiltest.engine import context
from qiltest.engine.parallel.generator import WorkersGenerator


class Pool:
    """Workers that are not up yet: asking one would wait for it."""

    def __init__(self, size):
        self.size = size


@pytest.mark.parametrize(
    ("workers", "device", "readers"),
    [(1, "cpu", 1), (2, "cpu", 1), (4, "cpu", 1), (8, "cpu", 2), (16, "cpu", 4), (64, "cpu", 4), (8, None, 1)],
)
def test_many_workers_on_a_cpu_have_several_readers_and_none_is_waited_for(monkeypatch, workers, device, readers):
    monkeypatch.setattr(context, "cores", lambda: tuple(range(16)))
    options = SimpleNamespace(readers=None, device=device)
    assert context._read_at_once(WorkersGenerator(Pool(workers)), options) == readers


@pytest.mark.parametrize(("on_cpu", "readers"), [(True, 0), (False, 1)])
def test_one_process_reads_in_turns_on_a_cpu_and_beside_a_gpu(on_cpu, readers):
    options = SimpleNamespace(readers=None, device=None)
    assert context._read_at_once(FakeGenerator(cpu=on_cpu), options) == readers


def test_the_option_decides():
    assert context._read_at_once(FakeGenerator(), SimpleNamespace(readers=3, device="cpu")) == 3
