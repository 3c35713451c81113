"""The state of the GPU that generates, as the driver's library tells it."""

import subprocess
import sys
import types

import pytest

from qiltest.engine.environment import commit_of, device_state, gpu_state


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


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one commit and a folder of cases."""
    for name in ("GITHUB_SHA", "GIT_DIR", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "a.toml").write_text("a = 1")
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.invalid", "-c", "commit.gpgsign=false")
    for words in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "first")):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    return tmp_path


def test_the_commit_is_that_of_the_repository_with_the_cases_and_says_where_files_were_changed(repository):
    head = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    )
    assert commit_of(repository / "cases") == head.stdout[:12]
    (repository / "cases" / "a.toml").write_text("a = 2")
    assert commit_of(repository / "cases") == f"{head.stdout[:12]}-dirty"


def test_without_a_repository_or_git_the_commit_is_the_jobs_or_none(tmp_path, repository, monkeypatch):
    elsewhere = tmp_path.parent
    assert commit_of(elsewhere / "nowhere") == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of(repository) == ""
    monkeypatch.setenv("GITHUB_SHA", "0123456789abcdef0123456789abcdef01234567")
    assert commit_of(repository) == "0123456789ab"
    monkeypatch.setenv("GITHUB_SHA", "$(touch x)")
    assert commit_of(repository) == ""
