"""Whole sessions against a server: verdicts with what was not checked, goldens of their own, and no key anywhere."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import httpcore  # noqa: F401 -- httpx loads it when it is used, and keeps its errors
import pytest

import qiltest.serving.client  # noqa: F401 -- inner sessions would import it again and again
from qiltest.cli.main import main
from served_standin import Painter, StandinServer, serving

#: the suite's conftest: the plugin's own generator, and a reader that knows what the stand-in server wrote.
CONFTEST = """
import hashlib

import numpy as np
import pytest
from PIL import Image

import served_standin
from qiltest.reading import Line, ReaderInfo, Reading


class WrittenReader:
    def __init__(self, name):
        self.info = ReaderInfo(name=name, engine="standin", version="1", weights_sha256="0" * 64)

    def read(self, image):
        with Image.open(image) as opened:
            pixels = np.asarray(opened)
        notes = served_standin.WRITTEN[hashlib.sha256(pixels.tobytes()).hexdigest()]
        lines = tuple(Line(text=n["text"], box=box(*map(float, n["box"])), confidence=0.99) for n in notes)
        return Reading(reader=self.info, width=pixels.shape[1], height=pixels.shape[0], lines=lines, seconds=0.001)


def box(left, top, right, bottom):
    return ((left, top), (right, top), (right, bottom), (left, bottom))


@pytest.fixture(scope="session")
def qil_open_reader():
    return WrittenReader
"""
SECRET = "sk-secret-0123456789abcdef"
LISTED = "weights, scheduler, sigmas, forwards, text encoder, dtype, attention, caches"


class Served:
    """The stand-in suite and a server."""

    def __init__(self, suite: Any, server: StandinServer) -> None:
        self.suite, self.server = suite, server
        (suite.path / "conftest.py").write_text(CONFTEST)

    def run(self, *args: str, variant: str = "base") -> pytest.RunResult:
        where = (f"--qil-server={self.server.url}", f"--qil-server-api={self.server.api}")
        return self.suite.run(*where, "--qil-model=tiny", f"--qil-variant={variant}", *args)


@pytest.fixture
def served(suite, monkeypatch) -> Callable[..., Served]:
    monkeypatch.delenv("QILTEST_API_KEY", raising=False)
    with contextlib.ExitStack() as stack:

        def start(api: str = "vllm-omni", *faults: str, **fields: Any) -> Served:
            return Served(suite, stack.enter_context(serving(api, Painter(), *faults, **fields)))

        yield start


def test_served_images_have_goldens_of_their_own_and_every_verdict_says_what_was_not_checked(served):
    session = served()
    result = session.run("--qil-update=missing")
    assert result.ret == 0
    assert {path.split("/")[0] for path in session.suite.goldens()} == {"served"}
    assert all(path.startswith("served/vllm-omni--tiny/") for path in session.suite.goldens())
    drawn = len(session.server.orders)
    result = session.run("--junitxml=junit.xml")
    assert result.ret == 0
    assert len(session.server.orders) == 2 * drawn  # nothing is reused unless asked for, probes neither
    result.stdout.fnmatch_lines(
        [
            f"qiltest: 2 images, model tiny, asked of {session.server.url} (vllm-omni)",
            "*PASS ? 0/* 8 not checked *wall*",
            f"qiltest: not checked of these images: {LISTED}",
            "| 256x128 | base | 1 | 2 |*",
        ]
    )
    run = session.suite.latest()
    assert run.model == "served/vllm-omni--tiny"
    assert "a server (vllm-omni, version 0.30.0) made the images; each lists what was not checked" in run.notes
    assert f"Not checked: {LISTED}" in (run.path / "report.html").read_text()
    assert f"not checked: {LISTED}" in (run.path / "report.md").read_text().replace("\\", "")
    assert "images per minute" in (run.path / "report.md").read_text()
    assert "Speed of the server" in (run.path / "report.html").read_text()
    assert LISTED in (session.suite.path / "junit.xml").read_text()
    assert json.loads((run.path / "served.json").read_text())["rows"][0]["images"] == 2
    reused = session.run("--qil-reuse")
    assert reused.ret == 0
    assert len(session.server.orders) == 2 * drawn
    reused.stdout.fnmatch_lines(["qiltest: reused 2 images*"])


def test_the_report_for_machines_lists_what_was_not_checked_and_a_run_can_be_verified(served, capsys, monkeypatch):
    session = served()
    session.run("--qil-update=missing")
    session.run()
    monkeypatch.chdir(session.suite.path)
    capsys.readouterr()
    assert main(["report", "latest", "--format", "json", "--output", "-"]) == 0
    found = json.loads(capsys.readouterr().out)["images"][0]
    assert ", ".join(found["not_checked"]) == LISTED
    assert (found["latency"]["kind"], found["latency"]["concurrency"]) == ("wall", 1)
    assert main(["verify", "latest"]) == 0
    first, second = (run.name for run in sorted((session.suite.path / "runs").iterdir()) if run.is_dir())
    capsys.readouterr()
    assert main(["compare", first, second]) == 1  # two images decide nothing
    assert f"run {second}: not checked of its images: {LISTED}" in capsys.readouterr().out


def test_a_failing_served_image_says_what_was_not_checked(served):
    session = served()
    session.run("--qil-update=missing")
    session.server.paint = Painter({"Qwen Coffee": "Qwen Cofee"})
    result = session.run("-x")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*interrupted: repeat the command with --qil-reuse, if the server is still the same*"])
    result.stdout.fnmatch_lines(["distance *", f"not checked   {LISTED}", "accept        pytest *--qil-server=http*"])


def test_the_key_is_in_no_file_of_a_run_no_log_and_no_error(served, monkeypatch):
    session = served("vllm-omni", key=SECRET)
    monkeypatch.setenv("QILTEST_API_KEY", SECRET)
    told = [session.run("--qil-update=missing", "--log-level=DEBUG", "--showlocals", "--junitxml=a.xml", "-rA")]
    assert told[0].ret == 0
    monkeypatch.setenv("QILTEST_API_KEY", other := SECRET[::-1])
    told.append(session.run("--log-level=DEBUG", "--showlocals", "--junitxml=b.xml", "-rA"))  # the server repeats it
    assert told[1].ret == 1
    session.server.key, session.server.faults = "", {"echo"}
    told.append(session.run("--log-level=DEBUG", "--showlocals", "--junitxml=c.xml", "-rA"))
    texts = ["\n".join(result.outlines + result.errlines) for result in told]
    assert "refuses the key (401)" in texts[1]
    assert "CUDA error with [QILTEST_API_KEY]" in texts[2]
    files = [path for path in session.suite.path.rglob("*") if path.is_file()]
    assert any(path.name == "events.jsonl" for path in files)
    for secret in (SECRET, other):
        assert not any(secret in text for text in texts)
        assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_a_server_that_is_not_there_fails_every_test_with_its_remedy(served, monkeypatch):
    monkeypatch.setattr("qiltest.serving.client.pause", lambda seconds: None)
    session = served()
    session.server.url = "http://127.0.0.1:9"
    result = session.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*the server cannot be reached*", "*-> start it, or check --qil-server"])
    assert "the server cannot be reached" in session.suite.refusal()


def test_a_server_that_refuses_the_key_fails_every_test(served):
    result = served("vllm-omni", "401").run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*the server asks for a key (401)", "*-> put its key into QILTEST_API_KEY"])


def test_a_key_that_all_could_read_is_not_sent(served, monkeypatch):
    monkeypatch.setenv("QILTEST_API_KEY", SECRET)
    session = served()
    session.server.url = "http://gpu-host.example:8000"
    result = session.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*would be sent readable*", "*-> use https, or a tunnel*"])


def test_a_server_of_another_model_is_refused(served):
    result = served("sglang", "other-model").run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*the server serves other/model, not tiny", "*-> --qil-model=other/model*"])


def test_a_parameter_that_the_server_ignores_is_an_error_of_each_image(served):
    session = served("sglang", "ignores:num_inference_steps")
    result = session.run("--qil-update=missing")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR *num_inference_steps has no effect*", "*-> the server ignores it*"])
    assert session.suite.goldens() == []
    assert len(session.server.orders) == 4  # one image, the same again, another seed, another step


def test_a_parameter_that_the_server_does_not_list_is_an_error_before_anything_is_asked_for(served):
    session = served("vllm-omni", "unlisted:true_cfg_scale")
    result = session.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*does not list true_cfg_scale*", "*-> use a version of the server that has*"])
    assert session.server.orders == []


def test_an_answer_that_is_no_png_is_an_error(served):
    result = served("openai", "jpeg").run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR *a JPEG, a PNG was asked for", "*-> the server ignores output_format*"])


def test_an_image_of_another_size_is_an_error(served):
    result = served("sglang", "size").run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR *240x128, 256x128 was asked for", "*-> the server rounds*"])


def test_an_answer_that_does_not_come_is_an_error(served):
    result = served("vllm-omni", "hang").run("--qil-server-timeout=1", "--qil-case=coffee")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR *no whole answer in 1 s", "*-> give it longer with --qil-server-timeout*"])


def test_lightning_is_refused_on_a_server_of_which_nobody_says_that_it_has_the_scheduler(served):
    result = served().run(variant="fast")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR *it needs Lightning's scheduler*", "*-> serve a copy of the model's folder*"])


def test_another_scheduler_than_was_said_is_an_error(served):
    says = ("--qil-server-says=scheduler=lightning", "--qil-server-says=lora.fast=/loras/fast.safetensors")
    result = served("vllm-omni", "scheduler:model").run(*says, variant="fast")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["ERROR *the server's scheduler is not Lightning's*", "*-> serve Lightning's scheduler*"]
    )


def test_latency_gates_within_its_kind(served):
    session = served("vllm-omni", diffuse=0.002, seconds=0.01)
    assert session.run("-m", "gpu", "--qil-rounds=1", "--qil-update=missing").ret == 0
    [golden] = (session.suite.path / "golden/served/vllm-omni--tiny/latency").iterdir()
    assert json.loads(golden.read_text())["cohort"]["kind"] == "diffuse"
    session.server.diffuse, session.server.seconds = 0.06, 0.061
    slow = session.run("-m", "gpu", "--qil-rounds=1", "--qil-case=coffee")
    assert slow.ret == 1
    slow.stdout.fnmatch_lines(["latency       0.060 s, limit 0.052 s"])


def test_several_in_flight_are_timed_and_never_gate(served):
    session = served(seconds=0.01)
    assert session.run("--qil-update=missing").ret == 0
    several = session.run("-m", "gpu", "--qil-server-concurrency=2")
    assert several.ret == 0  # without a latency golden, one in flight would be INCOMPARABLE
    several.stdout.fnmatch_lines(
        ["| 256x128 | base | 1 | 2 |*", "| 256x128 | base | 2 | 2 |*", "*0 of 2 images have other*"]
    )


def test_a_conftest_that_generates_in_place_of_the_server_is_refused(suite):
    result = suite.run("--qil-server=http://127.0.0.1:9", "--qil-server-api=sglang", "--qil-model=tiny")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*a conftest replaces the fixture qil_generator*", "*-> remove --qil-server*"])


def test_options_that_contradict_a_server_are_refused(served):
    session = served()
    for option, said in (
        ("--qil-device=cuda", "--qil-device and --qil-server exclude"),
        ("--qil-fp8", "--qil-fp8 and"),
    ):
        result = session.run(option)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"*{said}*"])
    result = session.suite.run("--qil-server-api=sglang")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--qil-server-api is about a server*"])
