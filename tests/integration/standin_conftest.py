"""The conftest.py of a suite folder whose model and reader are stand-ins: images in milliseconds, without torch.

The stand-in model writes the expected texts with a PIL font and notes in the PNG what it wrote where; the stand-in
reader returns that note. `standin.json` in the suite's folder plants faults, by `case/variant`:

    {"coffee/4step": {"typos": {"Coffee": "Cofee"}, "extra": ["Coffee"], "fault": "oom-once", "seconds": 0.5},
     "coffee/8step": {"noise": 12, "scene": 1},
     "misread": {"Coffee": "Cofee"}}

With `"glyphs": "NETWORK"` that glyph network judges each character; `"strokes": 3` of an image breaks the first three.

Tests copy this file into a folder of their own; it is not a conftest of the repository.
"""

import hashlib
import io
import json
import math
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from qiltest.errors import GenerationError, ModelError, OutOfMemoryError, ReaderError, RecipeError
from qiltest.generation import Decoded, Denoised, Generation, Generator, LatentStats, Timing, finish
from qiltest.reading import Line, ReaderInfo, Reading
from qiltest.recipe import LoraRecipe, Recipe

HERE = Path(__file__).parent


def plan():
    path = HERE / "standin.json"
    return json.loads(path.read_text()) if path.exists() else {}


class StandinGenerator(Generator):
    model, is_tiny = "tiny", True
    judges_text = True

    def __init__(self, model="tiny", device="cpu"):
        self.model, self.device = model, plan().get("device_name", device)
        self.is_tiny = model != "Qwen/Qwen-Image"
        self.log = HERE / "generated.log"
        self.texts = {}
        self.failed = set()
        self.on_step = lambda step, steps: None

    def recipe(self, case, size, variant, seed):
        settings = plan().get(f"{case.id}/{variant.name}", {})
        if settings.get("fault") == "recipe":
            raise RecipeError("the LoRA has no effect", where=variant.name, remedy="use another file")
        named = [source.sha256 for kind, source in variant.loras if kind == "tiny" and source.sha256]
        strengths = [source.strength for kind, source in variant.loras if kind == "tiny"]
        digest, strength = (named or ["0" * 64])[0], (strengths or [1.0])[0]
        lora = LoraRecipe(source="standin", sha256=digest, rank=4, scale=1.0, merged=False, strength=strength)
        recipe = Recipe(
            model=self.model,
            model_revision="standin",
            model_sha256=hashlib.sha256(plan().get("weights", "").encode()).hexdigest(),
            model_parts=tuple(plan().get("model_parts", {}).items()),
            variant=variant.name,
            lora=lora if variant.loras else None,
            scheduler=(("shift", 3.0), ("use_dynamic_shifting", True)),
            sigmas=tuple(1 - i / variant.steps for i in range(variant.steps)),
            steps=variant.steps,
            true_cfg_scale=variant.true_cfg_scale,
            negative_prompt=variant.negative_prompt,
            prompt=variant.prompt(case.prompt, case.language),
            inputs=case.inputs,
            max_sequence_length=512,
            seed=seed,
            generator_device="cpu",
            asked=size,
            effective=size.effective(),
            dtype="float32",
            device=self.device,
            attention_backend="native",
            compiled=False,
            versions=(("torch", plan().get("torch", "2.14.1")),),
        )
        self.texts[recipe.key()] = (case, settings)
        return recipe

    def prepare(self, prompts):
        with self.log.open("a") as log:
            log.write(f"prepare {len(list(prompts))}\n")

    def report_steps(self, on_step):
        self.on_step = on_step

    def denoise(self, recipe):
        case, settings = self.texts[recipe.key()]
        fault = settings.get("fault", "")
        with self.log.open("a") as log:
            log.write(f"{case.id} {recipe.variant} {recipe.seed}\n")
        for step in range(recipe.steps):
            time.sleep(settings.get("wait", 0) / recipe.steps)
            self.on_step(step + 1, recipe.steps)
        if fault == "oom" or (fault == "oom-once" and recipe.key() not in self.failed):
            self.failed.add(recipe.key())
            raise OutOfMemoryError("out of memory", remedy="--qil-offload")
        if fault == "model":
            raise ModelError("the model cannot be loaded: damaged", where="folder", remedy="download it again")
        if fault == "crash":
            raise RuntimeError("illegal memory access")
        if fault == "interrupt":
            raise KeyboardInterrupt
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        seconds = settings.get("seconds", 0.5)
        seconds = math.nan if seconds == "nan" else seconds
        return Denoised(
            recipe=recipe,
            latents=None,
            timing=Timing(
                step_seconds=(seconds / recipe.steps,) * recipe.steps,
                denoise_seconds=seconds,
                decode_seconds=0.0,
                forwards=settings.get("forwards", recipe.nfe),
            ),
        )

    def decode(self, denoised):
        recipe = denoised.recipe
        case, settings = self.texts[recipe.key()]
        if settings.get("fault") == "nan":
            raise GenerationError("the image holds NaN", where=recipe.variant, remedy="use bfloat16")
        if settings.get("fault") == "blank":
            return finish(blank(denoised))
        png = draw(case, settings, recipe)
        return Generation(
            recipe=recipe,
            png=png,
            sha256=hashlib.sha256(png).hexdigest(),
            timing=replace(denoised.timing, decode_seconds=0.01),
            latents=LatentStats(mean=0.0, std=1.0, minimum=-3.0, maximum=3.0),
        )

    def close(self):
        pass


def blank(denoised):
    """An image of one colour, as it comes off the device."""
    size = denoised.recipe.effective
    return Decoded(
        recipe=denoised.recipe,
        pixels=np.zeros((size.height, size.width, 3), np.uint8),
        timing=replace(denoised.timing, decode_seconds=0.01),
        latents=LatentStats(mean=0.0, std=1.0, minimum=-3.0, maximum=3.0),
        judges_text=True,
    )


def draw(case, settings, recipe):
    """Write the expected texts, with the planted faults, as a PNG that notes what stands where."""
    if recipe.inputs:
        return edit(case, settings, recipe)
    size = (recipe.effective.width, recipe.effective.height)
    image = paint(size, settings["scene"]) if "scene" in settings else Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(12)
    lines = []
    typos = settings.get("typos", {})
    wanted = [] if settings.get("fault") == "empty" else [typos.get(t.text, t.text) for t in case.texts]
    for row, text in enumerate([*wanted, *settings.get("extra", [])]):
        if text:
            box = pen.textbbox((8, 8 + 24 * row), text, font=font)
            pen.text((8, 8 + 24 * row), text, fill="black", font=font)
            lines.append({"text": text, "box": box})
    if lines and "strokes" in settings:
        lines[0]["broken"] = settings["strokes"]
    if settings.get("noise"):
        values = (
            np.asarray(image) * 0.8 + 20 + np.random.default_rng(0).normal(0, settings["noise"], (*image.size[::-1], 3))
        )
        image = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    return noted_png(image, lines, recipe)


def noted_png(image, lines, recipe):
    """Encode an image with what stands where in it; two seeds or variants never draw the same bytes."""
    note = PngInfo()
    note.add_itxt("lines", json.dumps(lines))
    note.add_itxt("recipe", recipe.key())
    out = io.BytesIO()
    image.save(out, "PNG", pnginfo=note)
    return out.getvalue()


def edit(case, settings, recipe):
    """Write the wanted texts where the input has those that must go; "ignore", "scene" and "patch" do otherwise."""
    with Image.open(recipe.inputs[0].path) as opened:
        lines, image = json.loads(opened.text["lines"]), opened.convert("RGB")
    if "scene" in settings:
        image = paint(image.size, settings["scene"])
    if "patch" in settings:
        ImageDraw.Draw(image).rectangle((10, 20, 70, 90), fill="red")
    typos = settings.get("typos", {})
    wanted = [typos.get(text.text, text.text) for text in case.texts if not text.kept]
    ignores = settings.get("ignore", False)
    pen, font, noted = ImageDraw.Draw(image), ImageFont.load_default(12), []
    for line in lines:
        replaced = line["text"] in case.edit.gone and not ignores
        text = (wanted.pop(0) if wanted else "") if replaced else typos.get(line["text"], line["text"])
        if replaced or "scene" in settings:
            left, top, right, bottom = line["box"]
            pen.rectangle((left, top, right, bottom), fill="white")
            pen.text((left, top - 3), text, fill="black", font=font)
        if text:
            box = pen.textbbox((line["box"][0], line["box"][1] - 3), text, font=font) if replaced else line["box"]
            noted.append({"text": text, "box": box})
    return noted_png(image, noted, recipe)


def paint(size, number):
    """A scene: stripes and blocks in colours of its own, otherwise for each number."""
    rng = np.random.default_rng(number)
    colours = (rng.integers(0, 2, 3) * 120 + rng.integers(40, 100, (60, 3))).astype(int)
    image = Image.new("RGB", size, tuple(map(int, colours[0])))
    pen = ImageDraw.Draw(image)
    for colour in colours:
        x, y = (int(rng.integers(0, length)) for length in size)
        pen.rectangle((x, y, x + 12, y + 20), fill=tuple(map(int, colour)))
    return image


class StandinReader:
    def __init__(self, name):
        weights = plan().get("reader_weights", "")
        self.info = ReaderInfo(
            name=name,
            engine="standin",
            version="1",
            weights_sha256=hashlib.sha256(weights.encode()).hexdigest(),
            code=plan().get("reader_code", 0),
        )
        if "alphabet" in plan():
            self.alphabet = plan()["alphabet"]

    def read(self, image):
        with Image.open(image if isinstance(image, Path) else io.BytesIO(image)) as opened:
            lines = json.loads(opened.text["lines"]) if "lines" in opened.text else drawn_elsewhere(opened)
            width, height = opened.size
        misread = plan().get("misread", {})
        lines = [{**note, "text": misread.get(note["text"], note["text"])} for note in lines]
        read, glyphs = tuple(map(line, lines)), plan().get("glyphs", "")
        if glyphs:
            read = tuple(judged(one, note.get("broken", 0)) for one, note in zip(read, lines, strict=True))
        return Reading(reader=self.info, width=width, height=height, lines=read, seconds=0.001, glyphs=glyphs)


def drawn_elsewhere(image):
    """What tests/images_elsewhere.py wrote in an image, which keeps no note of it."""
    known = json.loads((HERE / "lines.json").read_text())
    return known[hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()]


def line(note):
    left, top, right, bottom = map(float, note["box"])
    box = ((left, top), (right, top), (right, bottom), (left, bottom))
    return Line(text=note["text"], box=box, confidence=0.99)


def judged(line, broken):
    """The line with log-odds of its characters, of which the first have broken strokes."""
    return replace(line, strokes=tuple(3.0 if k < broken else -3.0 for k in range(len(line.text))))


@pytest.fixture(scope="session")
def qil_generator(pytestconfig):
    gpu = pytestconfig.option.markexpr == "gpu"
    model = pytestconfig.getoption("--qil-model") or ("Qwen/Qwen-Image" if gpu else "tiny")
    return StandinGenerator(model=model, device="cuda" if gpu else "cpu")


@pytest.fixture(scope="session")
def qil_open_reader():
    def open_reader(name):
        if name not in {"rapidocr", "other"}:
            raise ReaderError(f"unknown reader {name!r}", remedy="use one of: rapidocr, other")
        return StandinReader(name)

    return open_reader
