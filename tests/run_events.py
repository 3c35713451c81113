"""Events of a small run, as the suite writes them."""

import numpy as np
import pytest

import builders
from qiltest.gate import Cohort, LatencyJudgement, Verdict
from qiltest.generation.images import encode_png
from qiltest.reading import Line, Reading
from qiltest.recipe import LoraRecipe, Recipe, Size
from qiltest.runs import RunState, RunWriter
from qiltest.runs.events import Ended, Failed, Generated, Judged, Reported, Started
from qiltest.runs.lines import SCHEMA
from qiltest.scoring import Edit, EditKind, Score
from qiltest.suite.cases import ExpectedText, Limits
from qiltest.suite.selection import Sample

AT = "2026-11-23T02:00:00.000+00:00"
LARGE = Size(1328, 1328)


class Maker:
    """Makes events; `number` tells images and points apart."""

    def sample(self, number: int = 0) -> Sample:
        return builders.sample(42 + number, size=LARGE)

    def png(self, number: int = 0) -> bytes:
        ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
        return encode_png(np.stack([ramp, ramp.T, np.full_like(ramp, number)], axis=-1))

    def recipe(self, number: int = 0) -> Recipe:
        return builders.recipe(
            lora=LoraRecipe(source="embedded::4step", sha256="2" * 64, rank=4, scale=1.0, merged=False),
            scheduler=(("base_shift", 1.0986), ("shift_terminal", None), ("steps", 4), ("use_dynamic_shifting", True)),
            sigmas=(1.0, 0.9, 0.75, 0.5),
            steps=4,
            prompt="一块牌子 “咖啡”\u2028 \U0001f60a",
            seed=42 + number,
            asked=Size(250, 128),
            effective=Size(240, 128),
            versions=(("torch", "2.14.1"),),
        )

    def started(self, run: str, images: int = 3, **fields: object) -> Started:
        text = ExpectedText(text="Qwen Coffee", optional_marks=("\U0001f60a",))
        limits = Limits(tolerance=0, noise_floor=(("rapidocr", 0.0),))
        case = builders.case(size=LARGE, tiny=builders.SIZE, texts=(text,), limits=limits, report_table=6)
        known = builders.SESSION | {
            "command": ("pytest", "-m", "gpu"),
            "versions": (("torch", "2.14.1"),),
            "cases": (case,),
            "variants": (builders.variant(prompt_suffix=(("en", ", 4K"),)),),
            "planned": tuple(self.sample(n) for n in range(images)),
        }
        return Started(**{"schema": SCHEMA, "run": run, "at": AT, **known, **fields})

    def generated(self, sha256: str, number: int = 0, **fields: object) -> Generated:
        recipe = self.recipe(number)
        known = {
            "at": AT,
            "sample": self.sample(number),
            "recipe": recipe,
            "key": recipe.key(),
            "sha256": sha256,
            "timing": builders.timing(0.4),
            "latents": builders.LATENTS,
            "cohort": self.cohort(),
        }
        return Generated(**{**known, **fields})

    def cohort(self) -> Cohort:
        return builders.cohort(effective="240x128", nfe=4)

    def reading(self) -> Reading:
        box = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
        line = Line(text="Qwen Cofee", box=box, confidence=0.5, characters=(0.5, 1.0))
        return builders.reading((line,), 240, 128, reader=builders.READER, seconds=0.2)

    def score(self) -> Score:
        edit = Edit(kind=EditKind.DELETE, position=6, expected="f", read="")
        return builders.score(1, read="Qwen Cofee", edits=(edit,))

    def judged(self, number: int = 0, **fields: object) -> Judged:
        judgement = builders.judgement(
            Verdict.FAIL, reasons=("distance 1 is above 0",), distance=1, limit=0, golden_distance=0, noise_floor=0.0
        )
        latency = LatencyJudgement(
            verdict=Verdict.INCOMPARABLE, seconds=0.4, golden_seconds=None, limit_seconds=None, gates=False
        )
        known = {
            "at": AT,
            "sample": self.sample(number),
            "reading": self.reading(),
            "score": self.score(),
            "judgement": judgement,
            "latency": latency,
            "golden": None,
            "golden_recorded": False,
        }
        return Judged(**{**known, **fields})

    def failed(self, number: int = 0, error: str = "out of memory") -> Failed:
        return Failed(at=AT, sample=self.sample(number), error=error, notes=("tried twice",))

    def ended(self, state: RunState = RunState.FINISHED) -> Ended:
        return Ended(at=AT, state=state, exit_status=1, problems=("a golden is unused",))

    def reported(self) -> Reported:
        return Reported(at=AT)

    def write(self, writer: RunWriter, numbers: range, state: RunState | None = RunState.FINISHED) -> None:
        """Write a run with these images, ended as `state` says and reported, or not ended at all."""
        with writer:
            writer.append(self.started(writer.id, len(numbers)))
            for number in numbers:
                sha256 = writer.put(self.png(number))
                writer.append(self.generated(sha256, number))
                writer.append(self.judged(number))
            if state is not None:
                writer.append(self.ended(state))
                writer.append(self.reported())


@pytest.fixture
def make() -> Maker:
    return Maker()
