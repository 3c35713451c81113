"""Events of a small run, as the suite writes them."""

import numpy as np
import pytest

from qiltest.gate import Cohort, Judgement, LatencyJudgement, Verdict
from qiltest.generation import LatentStats
from qiltest.generation.images import encode_png
from qiltest.reading import Line, ReaderInfo, Reading
from qiltest.recipe import LoraRecipe, Recipe, Size
from qiltest.runs import RunState, RunWriter, Timing
from qiltest.runs.events import SCHEMA, Drawn, Ended, Failed, Judged, Started
from qiltest.scoring import Edit, EditKind, Score, TextScore
from qiltest.suite.cases import Case, ExpectedText, Limits, Resolution
from qiltest.suite.selection import Point
from qiltest.suite.variants import SchedulerKind, Variant

AT = "2026-11-23T02:00:00.000+00:00"
READER = ReaderInfo(name="rapidocr", engine="standin", version="1", weights_sha256="0" * 64)


class Maker:
    """Makes events; `number` tells pictures and points apart."""

    def point(self, number: int = 0) -> Point:
        return Point(case="coffee", size=Size(1328, 1328), variant="4step", seed=42 + number)

    def png(self, number: int = 0) -> bytes:
        ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
        return encode_png(np.stack([ramp, ramp.T, np.full_like(ramp, number)], axis=-1))

    def recipe(self, number: int = 0) -> Recipe:
        return Recipe(
            model="tiny",
            model_revision="embedded",
            model_sha256="1" * 64,
            variant="4step",
            lora=LoraRecipe(source="embedded::4step", sha256="2" * 64, rank=4, scale=1.0, fused=False),
            scheduler=(("base_shift", 1.0986), ("shift_terminal", None), ("steps", 4), ("use_dynamic_shifting", True)),
            sigmas=(1.0, 0.9, 0.75, 0.5),
            steps=4,
            true_cfg_scale=1.0,
            negative_prompt=None,
            prompt="一块牌子 “咖啡”\u2028 \U0001f60a",
            max_sequence_length=512,
            seed=42 + number,
            generator_device="cpu",
            asked=Size(250, 128),
            effective=Size(240, 128),
            dtype="float32",
            device="cpu",
            attention_backend="native",
            compiled=False,
            versions=(("torch", "2.14.1"),),
        )

    def started(self, run: str, pictures: int = 3, **fields: object) -> Started:
        text = ExpectedText(text="Qwen Coffee", optional_marks=("\U0001f60a",))
        case = Case(
            id="coffee",
            title="Coffee",
            prompt="p",
            language="en",
            report_table=6,
            texts=(text,),
            resolutions=(Resolution(size=Size(1328, 1328), tiny=Size(256, 128)),),
            limits=Limits(tolerance=0, noise_floor=(("rapidocr", 0.0),)),
        )
        variant = Variant(
            name="4step",
            title="Four",
            steps=4,
            true_cfg_scale=1.0,
            negative_prompt=None,
            scheduler=SchedulerKind.LIGHTNING,
            prompt_suffix=(("en", ", 4K"),),
        )
        known = {
            "schema": SCHEMA,
            "run": run,
            "at": AT,
            "command": ("pytest", "-m", "gpu"),
            "qiltest_version": "0.1.0",
            "model": "tiny",
            "device": "cpu",
            "device_name": "a CPU",
            "versions": (("torch", "2.14.1"),),
            "reader": READER,
            "cases": (case,),
            "variants": (variant,),
            "planned": tuple(self.point(n) for n in range(pictures)),
            "full": True,
        }
        return Started(**{**known, **fields})

    def drawn(self, sha256: str, number: int = 0, **fields: object) -> Drawn:
        recipe = self.recipe(number)
        known = {
            "at": AT,
            "point": self.point(number),
            "recipe": recipe,
            "key": recipe.key(),
            "sha256": sha256,
            "timing": Timing(step_seconds=(0.1,) * 4, denoise_seconds=0.4, decode_seconds=0.1, forwards=4),
            "latents": LatentStats(mean=0.1, std=1.0, minimum=-3.0, maximum=3.0),
            "cohort": self.cohort(),
        }
        return Drawn(**{**known, **fields})

    def cohort(self) -> Cohort:
        return Cohort(
            model="tiny",
            device_name="a CPU",
            dtype="float32",
            effective="240x128",
            variant="4step",
            nfe=4,
            attention_backend="native",
            compiled=False,
            torch="2.14",
        )

    def reading(self) -> Reading:
        box = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
        line = Line(text="Qwen Cofee", box=box, confidence=0.5, characters=(0.5, 1.0))
        return Reading(reader=READER, width=240, height=128, lines=(line,), seconds=0.2)

    def score(self) -> Score:
        edit = Edit(kind=EditKind.DELETE, position=6, expected="f", read="")
        text = TextScore(
            expected="Qwen Coffee",
            read="Qwen Cofee",
            distance=1,
            distance_alnum=1,
            length=10,
            edits=(edit,),
            lines=(0,),
        )
        return Score(reader=READER, texts=(text,), extra=(), distance=1, distance_alnum=1, length=10)

    def judged(self, number: int = 0, **fields: object) -> Judged:
        judgement = Judgement(
            verdict=Verdict.FAIL,
            reasons=("distance 1 is above 0",),
            distance=1,
            limit=0,
            golden_distance=0,
            noise_floor=0.0,
        )
        latency = LatencyJudgement(
            verdict=Verdict.INCOMPARABLE, seconds=0.4, golden_seconds=None, limit_seconds=None, gates=False
        )
        known = {
            "at": AT,
            "point": self.point(number),
            "reading": self.reading(),
            "score": self.score(),
            "judgement": judgement,
            "latency": latency,
            "golden": None,
            "golden_recorded": False,
        }
        return Judged(**{**known, **fields})

    def failed(self, number: int = 0, error: str = "out of memory") -> Failed:
        return Failed(at=AT, point=self.point(number), error=error, notes=("tried twice",))

    def ended(self, state: RunState = RunState.FINISHED) -> Ended:
        return Ended(at=AT, state=state, exit_status=1, problems=("a golden is unused",))

    def write(self, writer: RunWriter, numbers: range, state: RunState | None = RunState.FINISHED) -> None:
        """Write a run with these pictures, ended as `state` says or not at all."""
        with writer:
            writer.append(self.started(writer.id))
            for number in numbers:
                sha256 = writer.put(self.png(number))
                writer.append(self.drawn(sha256, number))
                writer.append(self.judged(number))
            if state is not None:
                writer.append(self.ended(state))


@pytest.fixture
def make() -> Maker:
    return Maker()
