"""The state of the GPU that generates, as the driver's library tells it."""

import sys
import types

import pytest

from qiltest.engine.environment import device_state, gpu_state


@pytest.fixture
def asked(monkeypatch):
    """Stand in for the driver's library; what it was asked for."""
    found = []

    def handle(which):
        found.append(which)
        return which

    monkeypatch.setitem(
        sys.modules,
        "pynvml",
        types.SimpleNamespace(
            NVMLError=OSError,
            NVML_CLOCK_SM=0,
            NVML_CLOCK_MEM=1,
            NVML_TEMPERATURE_GPU=0,
            nvmlInit=lambda: None,
            nvmlDeviceGetHandleByIndex=handle,
            nvmlDeviceGetHandleByUUID=handle,
            nvmlSystemGetDriverVersion=lambda: "580.1",
            nvmlDeviceGetClockInfo=lambda _handle, _clock: 1980,
            nvmlDeviceGetTemperature=lambda _handle, _sensor: 36,
            nvmlDeviceGetPowerUsage=lambda _handle: 103_931,
        ),
    )
    return found


@pytest.mark.parametrize(
    ("visible", "which"),
    [(None, 0), ("", 0), ("0", 0), ("1", 1), ("3,1", 3), ("GPU-8f2a,GPU-11", "GPU-8f2a")],
)
def test_it_is_the_state_of_the_first_gpu_that_the_process_sees(asked, monkeypatch, visible, which):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    (state,) = gpu_state()
    assert asked == [which]
    assert (state.driver, state.sm_mhz, state.celsius, state.watts) == ("580.1", 1980, 36, 103.931)


@pytest.mark.parametrize(
    ("visible", "device", "which"),
    [
        ("", None, 0),
        ("", "cuda", 0),
        ("", "cuda:1", 1),
        ("3,1", "cuda:1", 1),
        ("3, GPU-11", "cuda:1", "GPU-11"),
        ("3,1", "cuda:0", 3),
    ],
)
def test_a_session_asks_for_the_gpu_that_it_was_told_to_draw_on(asked, monkeypatch, visible, device, which):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert device_state(device)
    assert asked == [which]


@pytest.mark.parametrize("device", ["cpu", "npu:0", "cuda:x", "cuda:-1"])
def test_what_is_no_gpu_of_nvidia_has_no_state(asked, device):
    assert device_state(device) == ()
    assert asked == []
