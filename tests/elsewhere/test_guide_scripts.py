"""The scripts of docs/guide/images-from-elsewhere.md, each run against a stand-in of its engine."""

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from images_elsewhere import make
from qiltest.elsewhere.folder import samples_in, survey
from qiltest.elsewhere.formats import as_comfyui, as_json
from qiltest.elsewhere.plan import plan, planned_model
from qiltest.suite.load import load_suite
from qiltest.suite.selection import select
from qiltest.suite.variants import ModelKind

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guide/images-from-elsewhere.md").read_text(encoding="utf-8")
SCRIPTS = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL))
SUITE = load_suite(ROOT / "cases")
#: the embedded model's sizes are small, and draw fast.
TASKS = {
    task.sample: task
    for task in select(SUITE, kind=ModelKind.TINY, cases=("pi-number",), variants=("base", "4step"), seeds=(42, 43))
}
MODEL = planned_model("tiny", kind=ModelKind.TINY)
IMAGES = plan(TASKS.values(), MODEL)


def run(folder, name, **environment):
    (folder / name).write_text(SCRIPTS[name])
    command = [sys.executable, name]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found = survey(folder / "images", TASKS, SUITE)
    assert found.problems == ()
    assert set(samples_in(folder / "images", SUITE)) == set(TASKS)
    return found


def drawn(folder, graph):
    """What ComfyUI would save for a graph, with its prompt in the file."""
    latent, name = graph["latent"]["inputs"], graph["saved"]["inputs"]["filename_prefix"]
    path = folder / "server" / f"{name}_00001_.png"
    size = (latent["width"], latent["height"])
    make(path, name, size=size, notes=folder, told={"prompt": json.dumps(graph)})
    return path


@pytest.fixture
def comfyui(tmp_path):
    """A server that speaks the three routes that the script needs; it is busy at first."""
    saved, asked = {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            assert self.path == "/prompt"
            graph = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["prompt"]
            asked.append(graph)
            saved[str(len(saved))] = drawn(tmp_path, graph)
            self.answer(json.dumps({"prompt_id": str(len(saved) - 1), "number": 1, "node_errors": {}}).encode())

        def do_GET(self):
            url = urlsplit(self.path)
            if url.path.startswith("/history/"):
                number = url.path.rpartition("/")[2]
                image = {"filename": saved[number].name, "subfolder": "", "type": "output"}
                self.answer(json.dumps({number: {"outputs": {"saved": {"images": [image]}}}}).encode())
            else:
                assert url.path == "/view"
                query = parse_qs(url.query)
                assert query["type"] == ["output"]
                self.answer((tmp_path / "server" / query["filename"][0]).read_bytes())

        def answer(self, body):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_comfyui(tmp_path, comfyui, monkeypatch):
    address, asked = comfyui
    (tmp_path / "plan.json").write_text(as_comfyui(IMAGES, planned_model("Qwen/Qwen-Image", kind=ModelKind.REAL)))
    monkeypatch.setitem(SCRIPTS, "comfyui.py", SCRIPTS["comfyui.py"].replace("http://127.0.0.1:8188", address))
    found = run(tmp_path, "comfyui.py")
    assert len(asked) == len(TASKS)
    told = [dict(image.told) for image in found.images.values()]
    assert {one["comfyui.model"] for one in told} == {"qwen_image_bf16.safetensors"}
    assert [one["comfyui.steps"] for one in told] == [50, 50, 4, 4]


SD_CLI = """#!{python}
import sys
from PIL import Image
from PIL.PngImagePlugin import PngInfo
words = sys.argv[1:]
options = dict(zip(words[::2], words[1::2]))
sigmas = options["--sigmas"].split(",")
assert float(sigmas[-1]) == 0 and len(sigmas) == int(options["--steps"]) + 1, sigmas
known = {{"--diffusion-model", "--llm", "--vae", "--lora-model-dir", "--prompt", "--negative-prompt", "--width",
    "--height", "--steps", "--cfg-scale", "--seed", "--sampling-method", "--sigmas", "--output"}}
assert options.keys() == known, options
assert options["--prompt"].endswith("<lora:4step:1>") == (options["--steps"] == "4")
width, height, seed = (int(options[name]) for name in ("--width", "--height", "--seed"))
note = PngInfo()
settings = f"Steps: {{options['--steps']}}, CFG scale: 1, Seed: {{seed}}, Size: {{width}}x{{height}}"
note.add_text("parameters", options["--prompt"] + "\\n" + settings)
colour = (seed, int(options["--steps"]), 90)
Image.new("RGB", (width, height), colour).save(options["--output"], pnginfo=note)
"""


@pytest.mark.slow
def test_stable_diffusion_cpp(tmp_path):
    (tmp_path / "plan.json").write_text(as_json(IMAGES, MODEL))
    program = tmp_path / "bin" / "sd-cli"
    program.parent.mkdir()
    program.write_text(SD_CLI.format(python=sys.executable))
    program.chmod(0o755)
    found = run(tmp_path, "sdcpp.py", PATH=f"{program.parent}:{os.environ['PATH']}")
    assert [image.told["a1111.Seed"] for image in found.images.values()] == [42, 43, 42, 43]


STUBS = {
    "torch.py": """
bfloat16 = "bfloat16"
class Generator:
    def __init__(self, device): assert device == "cuda"
    def manual_seed(self, seed): self.seed = seed; return self
""",
    "diffusers.py": """
class FlowMatchEulerDiscreteScheduler:
    @classmethod
    def from_config(cls, config): assert "class" not in config; return config
""",
    "nunchaku/utils.py": "def get_precision(): return 'int4'\n",
    "nunchaku/models/transformers/transformer_qwenimage.py": """
class NunchakuQwenImageTransformer2DModel:
    @classmethod
    def from_pretrained(cls, name): assert name.endswith(".safetensors") and "_r32-qwen-image" in name; return name
""",
    "nunchaku/pipeline/pipeline_qwenimage.py": """
from types import SimpleNamespace
from PIL import Image
class NunchakuQwenImagePipeline:
    @classmethod
    def from_pretrained(cls, name, *, transformer, scheduler, torch_dtype):
        made = cls(); made.four = "4steps" in transformer; return made
    def to(self, device): return self
    def __call__(
        self, *, prompt, negative_prompt, width, height, num_inference_steps, sigmas, true_cfg_scale, generator
    ):
        assert sigmas is None
        assert (num_inference_steps == 4) == self.four and (negative_prompt is None) == self.four
        colour = (generator.seed, num_inference_steps, 90)
        return SimpleNamespace(images=[Image.new("RGB", (width, height), colour)])
""",
}


@pytest.mark.slow
def test_nunchaku(tmp_path):
    (tmp_path / "plan.json").write_text(as_json(IMAGES, MODEL))
    for name, source in STUBS.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    found = run(tmp_path, "nunchaku_images.py", PYTHONPATH=str(tmp_path))
    assert all(image.seconds is not None for image in found.images.values())
    assert {image.told["manifest.engine"] for image in found.images.values()} == {"nunchaku"}


def test_there_is_a_test_for_every_script():
    assert set(SCRIPTS) == {"comfyui.py", "sdcpp.py", "nunchaku_images.py"}
