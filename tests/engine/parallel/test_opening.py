"""Which GPUs and cores the workers of this host get."""

import sys
import types

import pytest

from qiltest.engine.environment import gpu_uuid, visible_gpus
from qiltest.engine.parallel import opening
from qiltest.engine.parallel.opening import cpu_places, gpu_places
from qiltest.errors import DeviceError


@pytest.fixture
def sixteen(monkeypatch):
    monkeypatch.setattr(opening, "cores", lambda: tuple(range(16)))


@pytest.fixture
def driver(monkeypatch):
    """The driver's library, with four GPUs."""
    library = types.SimpleNamespace(
        NVMLError=OSError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 4,
        nvmlDeviceGetHandleByIndex=lambda which: which,
        nvmlDeviceGetHandleByUUID=lambda which: which,
        nvmlDeviceGetUUID=lambda which: f"GPU-of-{which}",
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_each_worker_has_a_gpu_and_cores_of_its_own_and_some_are_left_for_reading(sixteen, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-11")
    first, second = gpu_places("all")
    assert (first.gpu, second.gpu) == ("3", "GPU-11")
    assert (first.cores, second.cores) == ((12, 13, 14, 15), (8, 9, 10, 11))
    assert (first.beside, second.beside) == (1, 1)
    (alone,) = gpu_places(1)
    assert (alone.gpu, alone.beside) == ("3", 0)
    assert gpu_places("all", 1) == (alone,)


def test_all_are_as_many_as_the_driver_says(sixteen, driver):
    assert [place.gpu for place in gpu_places("all")] == ["0", "1", "2", "3"]
    assert [place.cores for place in gpu_places("all")] == [(13, 14, 15), (10, 11, 12), (7, 8, 9), (4, 5, 6)]
    assert gpu_uuid("cuda:2") == "GPU-of-2"
    assert gpu_uuid("cpu") == ""


def test_more_workers_than_cores_share_them(driver, monkeypatch):
    monkeypatch.setattr(opening, "cores", lambda: (0, 1))
    assert {place.cores for place in gpu_places(4)} == {None}


@pytest.mark.parametrize(("visible", "asked"), [("0,1", 3), ("", "all"), ("", 1)])
def test_more_workers_than_gpus_are_refused(sixteen, monkeypatch, visible, asked):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(DeviceError, match=r"workers?, but . GPUs?|0 workers"):
        gpu_places(asked)


def test_without_the_drivers_library_a_number_is_taken_at_its_word_and_all_is_refused(sixteen, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() is None
    assert [place.gpu for place in gpu_places(2)] == ["0", "1"]
    with pytest.raises(DeviceError, match="nvidia-ml-py is not installed"):
        gpu_places("all")


def test_on_a_cpu_no_core_is_in_two_places(sixteen):
    places = cpu_places("all", 3)
    assert [place.cores for place in places] == [(0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11), (12, 13, 14)]
    assert {(place.gpu, place.beside) for place in places} == {(None, 0)}
    assert len(cpu_places("all", 1, 7)) == 7
    with pytest.raises(DeviceError, match="6 workers of 3 threads, but 16 cores"):
        cpu_places(6, 3)
