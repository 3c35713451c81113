"""Images of the embedded model for `health.py`: good ones, noise left in latents, and schedulers that are wrong.

What is drawn with a wrong scheduler goes through `QwenImagePipeline` itself, because `qiltest` refuses to: a Lightning
LoRA on the base's scheduler, the base in few steps, another LoRA's steps, and a denoising that stops before its end.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, QwenImagePipeline
from quality_faults import Pixels
from quality_rates import faults_of, rate

from qiltest.errors import GenerationError, QiltestError
from qiltest.files import write_atomically
from qiltest.generation import Settings, open_generator
from qiltest.generation.images import encode_png
from qiltest.generation.schedule import LIGHTNING
from qiltest.generation.sources import EMBEDDED
from qiltest.quality import Fault, Health, examine, gating
from qiltest.reading import Reader
from qiltest.reading.images import load_image
from qiltest.scoring import score_case
from qiltest.suite.cases import Case, Resolution
from qiltest.suite.load import load_suite
from qiltest.suite.variants import Variant

SEED = 42
#: Standard deviation of the noise left in the latents, as a share of theirs.
LEFT_OVER = (0.2, 0.5, 1.0)
#: An image is decoded when so much noise is left (flow matching: sigma of noise and 1 - sigma of the image).
STOPS = (0.3, 0.2, 0.1)


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to draw. `stops`: decode where the sigma left is the nearest to these instead of at the end."""

    name: str
    lora: str | None
    steps: int
    #: "model", "lightning", or a shift.
    scheduler: str | float
    cfg: float = 1.0
    stops: tuple[float, ...] = (0.0,)


#: The first two are good, and show what the others are held against.
WAYS = (
    Way(name="8step, as it should be", lora="8step", steps=8, scheduler="lightning", stops=(0.0, 0.3, 0.5)),
    Way(name="4step, as it should be", lora="4step", steps=4, scheduler="lightning", stops=(0.0, 0.5)),
    Way(name="8-step LoRA on the base's scheduler", lora="8step", steps=8, scheduler="model"),
    Way(name="4-step LoRA on the base's scheduler", lora="4step", steps=4, scheduler="model"),
    Way(name="8-step LoRA with shift 1", lora="8step", steps=8, scheduler=1.0),
    Way(name="8-step LoRA in 4 steps", lora="8step", steps=4, scheduler="lightning"),
    Way(name="4-step LoRA in 8 steps", lora="4step", steps=8, scheduler="lightning"),
    Way(name="base in 4 steps, no LoRA", lora=None, steps=4, scheduler="model"),
    Way(name="base in 8 steps, no LoRA", lora=None, steps=8, scheduler="model"),
    Way(name="base, 50 steps, CFG 4", lora=None, steps=50, scheduler="model", cfg=4.0, stops=(0.0, *STOPS)),
)
GOOD = frozenset({("8step, as it should be", 0.0), ("4step, as it should be", 0.0), ("base, 50 steps, CFG 4", 0.0)})


class Studio:
    """Draws with the embedded model, smallest cases first, and keeps the images."""

    def __init__(self, cases: Path, store: Path) -> None:
        suite = load_suite(cases)
        self.store, self.variants = store, {variant.name: variant for variant in suite.variants}
        places = [(case, resolution) for case in suite.cases for resolution in case.resolutions]
        self.places = sorted(places, key=lambda place: place[1].tiny.width * place[1].tiny.height)
        self.generator = open_generator("tiny", Settings(threads=torch.get_num_threads()))

    def good(self, drawn: dict[str, int]) -> dict[str, Pixels]:
        """Return images of each variant's so many smallest cases."""
        found = {}
        for name, most in drawn.items():
            for case, resolution in self.places[:most]:
                found[f"{case.id}@{resolution.size}-{name}"] = self._image(case, resolution, self.variants[name])
        return found

    def _image(self, case: Case, resolution: Resolution, variant: Variant) -> Pixels:
        recipe = self.generator.recipe(case, resolution.tiny, variant, SEED)
        path = self.store / f"{recipe.key()}.png"
        if not path.is_file():
            write_atomically(path, self.generator.decode(self.generator.denoise(recipe)).png)
        return load_image(path)

    def left_over(self, most: int, reader: Reader) -> list[dict[str, object]]:
        """Decode latents with noise or a NaN in them."""
        found: dict[float, list[Health]] = {share: [] for share in LEFT_OVER}
        refused = 0
        places = self.places[:most]
        for number, (case, resolution) in enumerate(places):
            done = self.generator.denoise(self.generator.recipe(case, resolution.tiny, self.variants["8step"], SEED))
            clean = np.asarray(self.generator.decode_pixels(done).pixels)
            lines = reader.read(encode_png(clean)).lines
            noise = torch.randn(done.latents.shape, generator=torch.Generator().manual_seed(number))
            for share in LEFT_OVER:
                worse = replace(done, latents=done.latents + share * done.latents.std() * noise.to(done.latents))
                pixels = np.asarray(self.generator.decode_pixels(worse).pixels)
                found[share].append(examine(pixels).outside(lines))
            refused += self._refused(done)
            last = [found[share][-1] for share in LEFT_OVER]
            told = ", ".join(f"{_noise(health):.2f} / {health.specks or 0:.2f}" for health in last)
            print(f"  {case.id}: noise / specks {told}", flush=True)
        rows: list[dict[str, object]] = [
            {
                "set": "embedded",
                "planted": "noise in latents",
                "fault": str(fault),
                "strength": share,
                "unit": "of their σ",
            }
            | rate(sum(fault in faults_of(health) for health in healths), len(healths))
            | {"noise": round(statistics.median(map(_noise, healths)), 2)}
            for fault in (Fault.NOISE, Fault.SPECKS)
            for share, healths in found.items()
        ]
        nan = {"set": "embedded", "planted": "one NaN latent", "fault": "NaN", "strength": 1, "unit": "latent"}
        return [*rows, nan | rate(refused, len(places))]

    def _refused(self, done: Any) -> bool:  # noqa: ANN401
        """Say whether an image with one NaN in its latents is refused before it becomes 8 bits."""
        broken = done.latents.clone()
        broken.view(-1)[7] = float("nan")
        try:
            self.generator.decode_pixels(replace(done, latents=broken))
        except GenerationError:
            return True
        return False

    def schedulers(self, most: int, reader: Reader) -> list[dict[str, object]]:
        """Draw every way, measure and read; the good ways are in the table too."""
        bench = _Bench()
        seen: dict[tuple[str, float], list[_Seen]] = {}
        for case, resolution in self.places[:most]:
            began = time.monotonic()
            recipe = self.generator.recipe(case, resolution.tiny, self.variants["8step"], SEED)
            record = self.generator.denoise(recipe)
            for way in WAYS:
                for stop, left, latents in bench.draw(way, recipe.prompt, resolution):
                    pixels = np.asarray(self.generator.decode_pixels(replace(record, latents=latents)).pixels)
                    seen.setdefault((way.name, stop), []).append(_see(case, pixels, left, reader))
            print(f"  {case.id}: {time.monotonic() - began:.0f} s", flush=True)
        return [_row(name, stop, found) for (name, stop), found in seen.items()]


class _Bench:
    """The embedded model under schedulers that qiltest would refuse."""

    def __init__(self) -> None:
        self.pipeline = QwenImagePipeline.from_pretrained(EMBEDDED, dtype=torch.float32, local_files_only=True)
        self.pipeline.set_progress_bar_config(disable=True)
        self.own = dict(self.pipeline.scheduler.config)
        for name in ("8step", "4step"):
            self.pipeline.load_lora_weights(
                str(EMBEDDED / "loras"), weight_name=f"{name}.safetensors", adapter_name=name
            )

    def draw(self, way: Way, prompt: str, resolution: Resolution) -> Iterator[tuple[float, float, torch.Tensor]]:
        """Yield (stop asked for, sigma left, latents)."""
        pipeline, kept = self.pipeline, {}
        pipeline.scheduler = FlowMatchEulerDiscreteScheduler.from_config(_config(self.own, way.scheduler))
        if way.lora is None:
            pipeline.disable_lora()
        else:
            pipeline.enable_lora()
            pipeline.set_adapters([way.lora])

        def after(_pipeline: object, index: int, _t: object, tensors: dict[str, Any]) -> dict[str, Any]:
            kept[float(pipeline.scheduler.sigmas[index + 1])] = tensors["latents"].clone()
            return {}

        with torch.no_grad():
            pipeline(
                prompt=prompt,
                negative_prompt=" " if way.cfg > 1 else None,
                true_cfg_scale=way.cfg,
                width=resolution.tiny.width,
                height=resolution.tiny.height,
                num_inference_steps=way.steps,
                max_sequence_length=1024,
                generator=torch.Generator().manual_seed(SEED),
                callback_on_step_end=after,
                output_type="latent",
            )
        for stop in way.stops:
            left = min(kept, key=lambda sigma: abs(sigma - stop))
            yield stop, left, kept[left]


def _config(own: dict[str, Any], scheduler: str | float) -> dict[str, Any]:
    if scheduler == "model":
        return own
    if scheduler == "lightning":
        return {**own, **LIGHTNING}
    shift = math.log(float(scheduler))
    return {**own, **LIGHTNING, "base_shift": shift, "max_shift": shift}


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """One image: its health, the sigma left in it, and its edits (None where nothing was read) of so many."""

    health: Health
    left: float
    edits: int | None
    characters: int


def _see(case: Case, pixels: Pixels, left: float, reader: Reader) -> _Seen:
    reading = reader.read(encode_png(pixels))
    health = examine(pixels).outside(reading.lines)
    try:
        score = score_case(case, reading)
    except QiltestError:
        return _Seen(health=health, left=left, edits=None, characters=0)
    return _Seen(health=health, left=left, edits=score.distance, characters=score.length)


def _row(name: str, stop: float, found: Sequence[_Seen]) -> dict[str, object]:
    healths = [seen.health for seen in found]
    told = [faults_of(health) for health in healths]
    read = [seen for seen in found if seen.edits is not None]
    return {
        "way": name,
        "good": (name, stop) in GOOD,
        "sigma_left": round(statistics.median(seen.left for seen in found), 3),
        "noise": round(statistics.median(map(_noise, healths)), 2),
        "most_noise": round(max(map(_noise, healths)), 2),
        "specks": _middle(health.specks for health in healths),
        "as_noise": rate(sum(Fault.NOISE in faults for faults in told), len(told)),
        "as_specks": rate(sum(Fault.SPECKS in faults for faults in told), len(told)),
        "gating": rate(sum(bool(gating(health)) for health in healths), len(healths)),
        "named": sorted({str(fault) for faults in told for fault in faults}),
        "edits": sum(seen.edits for seen in read if seen.edits is not None),
        "characters": sum(seen.characters for seen in read),
        "unread": len(found) - len(read),
    }


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 2) if known else None


def _noise(health: Health) -> float:
    return max(health.noise_fine, health.noise_coarse)
