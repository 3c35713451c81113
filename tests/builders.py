"""Records for tests, each with defaults that fit one another: name only the fields that a test is about.

Every builder takes fields of its record as keywords and passes them on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qiltest.gate import Cohort, Golden, Judgement, Verdict
from qiltest.gate.golden import SCHEMA, GoldenText
from qiltest.generation.records import LatentStats, Timing
from qiltest.quality import Health
from qiltest.quality.scene import Scene
from qiltest.quality.scene.records import Cell
from qiltest.reading import Line, ReaderInfo, Reading
from qiltest.recipe import Recipe, Size
from qiltest.runs import Run, RunState
from qiltest.scoring import Score, TextScore
from qiltest.suite.cases import Case, ExpectedText, Limits, Resolution
from qiltest.suite.selection import Sample
from qiltest.suite.variants import SchedulerKind, Variant

AT = "2026-11-23T02:00:00+00:00"
SIZE = Size(256, 128)
READER = ReaderInfo(name="rapidocr", engine="standin", version="1", weights_sha256="0" * 64)
#: the reader of readings that a test writes by hand
FAKE = ReaderInfo(name="fake", engine="fake", version="1", weights_sha256="0" * 64)
LATENTS = LatentStats(mean=0.1, std=1.0, minimum=-3.0, maximum=3.0)


def scene(*cells: Cell | None, text: float = 0.1, structure: float = 8.0, **fields: Any) -> Scene:
    """A scene of these cells, the last one repeated to fill the grid, with as much structure at every scale."""
    known = cells or (Cell(lightness=50, a=10, b=-20, texture=4),)
    grid = [*known, *[known[-1]] * (64 - len(known))]
    codes = ["-" * 8 if cell is None else cell.code() for cell in grid]
    rows = tuple(" ".join(codes[k : k + 8]) for k in range(0, 64, 8))
    found: dict[str, Any] = {"version": 1, "text": text, "structure": (structure,) * 5, "cells": rows}
    return Scene(**{**found, **fields})


SCENE = scene()
HEALTHY = Health(
    version=1,
    spread=60.0,
    noise_fine=0.3,
    noise_coarse=0.2,
    grid_latent=0.1,
    grid_patch=0.05,
    blur=0.3,
    clipped=0.01,
    saturation=0.15,
    halo=0.03,
    detail=2.0,
    scene=SCENE,
)


def case(id: str = "coffee", *texts: str, size: Size = SIZE, tiny: Size | None = None, **fields: Any) -> Case:  # noqa: A002
    """A case of one resolution that asks for the texts, or for "Qwen Coffee"."""
    known: dict[str, Any] = {
        "id": id,
        "title": id.replace("-", " ").capitalize(),
        "prompt": "p",
        "language": "en",
        "report_table": None,
        "texts": tuple(ExpectedText(text=text) for text in texts or ("Qwen Coffee",)),
        "resolutions": (Resolution(size=size, tiny=tiny or size),),
        "limits": Limits(tolerance=0),
    }
    return Case(**{**known, **fields})


def variant(name: str = "4step", **fields: Any) -> Variant:
    known: dict[str, Any] = {
        "name": name,
        "title": "Four",
        "steps": 4,
        "true_cfg_scale": 1.0,
        "negative_prompt": None,
        "scheduler": SchedulerKind.LIGHTNING,
        "prompt_suffix": (),
    }
    return Variant(**{**known, **fields})


def sample(seed: int = 42, case: str = "coffee", variant: str = "4step", size: Size = SIZE) -> Sample:
    return Sample(case=case, size=size, variant=variant, seed=seed)


def recipe(**fields: Any) -> Recipe:
    """A recipe of one step on a CPU; `size` stands for both the asked and the effective size."""
    size = fields.pop("size", SIZE)
    known: dict[str, Any] = {
        "model": "tiny",
        "model_revision": "embedded",
        "model_sha256": "1" * 64,
        "variant": "4step",
        "lora": None,
        "scheduler": (),
        "sigmas": (1.0,),
        "steps": 1,
        "true_cfg_scale": 1.0,
        "negative_prompt": None,
        "prompt": "p",
        "max_sequence_length": 512,
        "seed": 42,
        "generator_device": "cpu",
        "asked": size,
        "effective": size,
        "dtype": "float32",
        "device": "cpu",
        "attention_backend": "native",
        "compiled": False,
        "versions": (),
    }
    return Recipe(**{**known, **fields})


def cohort(**fields: Any) -> Cohort:
    known: dict[str, Any] = {
        "model": "tiny",
        "device_name": "a CPU",
        "dtype": "float32",
        "effective": str(SIZE),
        "variant": "4step",
        "nfe": 1,
        "attention_backend": "native",
        "compiled": False,
        "torch": "2.14",
    }
    return Cohort(**{**known, **fields})


def gpu_cohort(**fields: Any) -> Cohort:
    known = {"device_name": "NVIDIA H100 80GB HBM3", "dtype": "bfloat16", "effective": "1328x1328", "nfe": 4}
    return cohort(**{**known, **fields})


def timing(seconds: float = 0.4, steps: int = 4, decode_seconds: float = 0.1) -> Timing:
    """As many equal steps as are asked for, `seconds` together."""
    shares = tuple(seconds / steps for _ in range(steps))
    return Timing(step_seconds=shares, denoise_seconds=seconds, decode_seconds=decode_seconds, forwards=steps)


def line(text: str, left: float, top: float, width: float, height: float, confidence: float = 0.99) -> Line:
    right, bottom = left + width, top + height
    return Line(text=text, box=((left, top), (right, top), (right, bottom), (left, bottom)), confidence=confidence)


def stack(*texts: str, left: float = 100, top: float = 100, size: float = 40) -> list[Line]:
    """Lines one under another, the way wrapped text stands."""
    return [
        line(text, left, top + i * size * 1.4, size * 0.6 * max(1, len(text)), size) for i, text in enumerate(texts)
    ]


def column(text: str, left: float, top: float, size: float = 60) -> Line:
    """One line that runs downwards."""
    return line(text, left, top, size, size * len(text))


def reading(
    lines: Sequence[Line] = (), width: int = 2000, height: int = 2000, *, reader: ReaderInfo = FAKE, **fields: Any
) -> Reading:
    known: dict[str, Any] = {"reader": reader, "width": width, "height": height, "lines": tuple(lines), "seconds": 0.1}
    return Reading(**{**known, **fields})


def texts(*wanted: str, marks: tuple[str, ...] = ()) -> list[ExpectedText]:
    return [ExpectedText(text=text, optional_marks=marks) for text in wanted]


def text_score(distance: int = 0, **fields: Any) -> TextScore:
    known: dict[str, Any] = {
        "expected": "Qwen Coffee",
        "read": "as read",
        "distance": distance,
        "distance_alnum": distance,
        "length": 10,
        "edits": (),
        "lines": (0,),
    }
    return TextScore(**{**known, **fields})


def score(distance: int = 0, *, reader: ReaderInfo = READER, **fields: Any) -> Score:
    """A score of one text of ten characters."""
    text = text_score(distance, **fields)
    return Score(reader=reader, texts=(text,), extra=(), distance=distance, distance_alnum=distance, length=10)


def judgement(verdict: Verdict = Verdict.NEW, **fields: Any) -> Judgement:
    known: dict[str, Any] = {
        "verdict": verdict,
        "reasons": ("why",),
        "distance": None,
        "limit": None,
        "golden_distance": None,
        "noise_floor": None,
    }
    return Judgement(**{**known, **fields})


def golden(distance: int = 0, **fields: Any) -> Golden:
    """The golden of `score(distance)`, of the resolution 1328x1328 as the embedded model generates it."""
    known: dict[str, Any] = {
        "schema": SCHEMA,
        "case": "coffee",
        "size": "1328x1328",
        "variant": "4step",
        "seed": 42,
        "model": "tiny",
        "effective": str(SIZE),
        "reader": READER.fingerprint,
        "distance": distance,
        "distance_alnum": distance,
        "length": 10,
        "noise_floor": None,
        "texts": (GoldenText(expected="Qwen Coffee", read="as read", distance=distance),),
        "extra": (),
        "recipe_key": "a" * 64,
        "recipe": {"torch": "2.11", "steps": 4},
        "image": "b" * 64,
        "scene": SCENE,
        "small_copy": "c" * 64,
    }
    return Golden(**{**known, **fields})


def kept(golden: Golden) -> Golden:
    """The golden of a score with what is kept of its image, so that it can be saved."""
    return replace(golden, scene=SCENE, small_copy="c" * 64)


#: what a finished run and its first event say alike
SESSION: dict[str, Any] = {
    "command": ("pytest",),
    "qiltest_version": "0.1.0",
    "model": "tiny",
    "device": "cpu",
    "device_name": "a CPU",
    "versions": (),
    "reader": READER,
    "variants": (),
    "planned": (),
    "full": True,
}


def run(id: str, **fields: Any) -> Run:  # noqa: A002
    """A finished run of the case "coffee"; of what has results, those points are planned."""
    known: dict[str, Any] = {
        **SESSION,
        "id": id,
        "path": Path("runs") / id,
        "state": RunState.FINISHED,
        "started": AT,
        "finished": None,
        "exit_status": 0,
        "cases": (case(),),
        "results": (),
        "planned": tuple(result.sample for result in fields.get("results", ())),
    }
    return Run(**{**known, **fields})


def unlike(reader: ReaderInfo = READER, version: str = "2") -> ReaderInfo:
    """The reader in another version."""
    return replace(reader, version=version)
