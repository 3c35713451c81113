"""What the stages of `gpu_suite.py` share: the models, the clock, and a session of the suite in this process."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import gpu_parts as parts

from qiltest.reading.images import Pixels
from qiltest.recipe import Recipe, Size

if TYPE_CHECKING:
    from qiltest.generation._generator import DiffusersGenerator
    from qiltest.generation.records import Decoded, Denoised


#: what a stage found, ready for JSON
Found = dict[str, object]


class Latency(TypedDict):
    """The denoise loop of one variant at one size."""

    way: str
    variant: str
    size: str
    nfe: int
    #: median of the rounds
    seconds: float
    rounds: list[float]
    warm_up_seconds: float
    step_seconds: tuple[float, ...]
    seconds_a_forward: float
    image_tokens: int
    prompt_tokens: int
    tera_operations_a_forward: float
    share_of_matrix_rate: float | None
    latents: list[str]
    state: list[Found]


@dataclass
class Lab:
    """What the stages share."""

    scale: parts.Scale
    scratch: Path
    #: fewer timed loops.
    quick: bool = False
    #: bf16 matrix rate, operations a second, measured here; 0 until then.
    matrix_rate: float = 0.0
    latencies: list[Latency] = field(default_factory=list)
    _generators: dict[str, DiffusersGenerator] = field(default_factory=dict)

    def generator(self, way: str = "unfused") -> DiffusersGenerator:
        """Return the random model, fused or compiled where asked; one is on the device at a time."""
        if way not in self._generators:
            self.let_go()
            options: dict[str, Any] = {"merge": way == "fused", "compiled": way == "compiled"}
            self._generators[way] = parts.generator_of(self.scale, **options)
        return self._generators[way]

    def let_go(self) -> None:
        """Free the device."""
        for generator in self._generators.values():
            generator.close()
        self._generators.clear()
        gc.collect()
        if not self.scale.dry:
            import torch

            torch.cuda.empty_cache()

    @cached_property
    def loras(self) -> dict[str, Path]:
        """LoRA files in the Lightning format."""
        return {
            name: parts.write_lora(self.scratch / "loras" / f"{name}.safetensors", self.scale, seed=seed)
            for seed, name in enumerate(("8step", "4step"), start=1)
        }

    def recipe(self, variant: str, size: Size, *, way: str = "unfused", steps: int | None = None) -> Recipe:
        """Return the recipe of the short prompt."""
        chosen = parts.variants_with(self.loras)[variant]
        if steps is not None:
            chosen = replace(chosen, steps=steps)
        return self.generator(way).recipe(parts.case_of("pi-number"), size, chosen, 42)

    def wait(self) -> None:
        """Wait for the device."""
        if not self.scale.dry:
            import torch

            torch.cuda.synchronize()


class OutOfTimeError(KeyboardInterrupt):
    """The budget is spent. A kind of Ctrl-C, for that is what ends a pytest session within a stage too."""


def writing(lab: Lab) -> DiffusersGenerator:
    """Let the random model's images be of written text once they are decoded, so that they are worth reading."""
    generator = lab.generator()
    kind = type(generator)
    if kind.__name__ == "Writing":
        return generator

    class Writing(kind):  # type: ignore[misc, valid-type]
        judges_text = True
        on_cpu = False  # also in the dry run, so that it overlaps as on a GPU

        def decode_pixels(self, denoised: Denoised) -> Decoded:
            decoded: Decoded = super().decode_pixels(denoised)
            return replace(decoded, pixels=_text_of(denoised.recipe.effective))

    generator.__class__ = Writing
    return generator


@cache
def _text_of(size: Size) -> Pixels:
    return parts.written(size)


def share(generator: object) -> None:
    """Give sessions in this process the generator, and a reader where none is installed."""
    parts.share(generator, None if parts.has_reader() else parts.no_reader)


def suite_run(folder: Path, args: list[str]) -> Found:
    """Run the suite of a folder in this process; return where its wall time went."""
    from qiltest.runs import RunStore
    from qiltest.runs.events import now
    from qiltest.runs.load import read_events

    called, begin = now(), time.perf_counter()
    # verdicts are not of interest: random weights draw no text, the images say something else than was asked
    status = parts.run_pytest(folder, args)
    wall = time.perf_counter() - begin
    returned = now()
    run = RunStore(root=folder / "runs").load("latest")
    generated = [result for result in run.results if result.timing and not result.reused_from]
    own = sum(result.timing.denoise_seconds + result.timing.decode_seconds for result in generated if result.timing)
    return {
        "exit_status": status,
        "wall_seconds": wall,
        "denoise_and_decode_seconds": own,
        "wall_over_denoise_and_decode": wall / own if own else None,
        "images_drawn": len(generated),
        "images_from_the_store": sum(1 for result in run.results if result.reused_from),
        "read_seconds": sum(result.reading.seconds for result in run.results if result.reading),
        "images_read": sum(1 for result in run.results if result.reading),
        "errors": sorted({result.error.splitlines()[0] for result in run.results if result.error})[:3],
        "order": [result.sample.variant for result in run.results],
        "first_to_last": [run.started, run.finished],
        # where the seconds beside drawing go: when pytest was called, each event, when it returned
        "timeline": [
            ["called", called],
            *([type(event).__name__.lower(), event.at] for event in read_events(run.path)[0]),
            ["returned", returned],
        ],
    }


@contextmanager
def timed(spent: dict[str, float], name: str) -> Iterator[None]:
    """Note under a name the seconds that a block takes."""
    begin = time.perf_counter()
    yield
    spent[name] = time.perf_counter() - begin


def folder_of(lab: Lab, name: str) -> Path:
    """Make a folder of the lab's scratch space."""
    folder = lab.scratch / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def reader_of() -> Callable[[Path], object] | None:
    """Return how images are read here; None without a reader."""
    if not parts.has_reader():
        return None
    from qiltest.reading import open_reader

    return open_reader().read


def allocated(lab: Lab) -> int:
    """Return the most bytes allocated on the device so far."""
    if lab.scale.dry:
        return 0
    import torch

    return int(torch.cuda.max_memory_allocated())


def peak(lab: Lab, act: Callable[[], object]) -> int:
    """Return the most bytes allocated on the device while something is done."""
    import torch

    if not lab.scale.dry:
        torch.cuda.reset_peak_memory_stats()
    with torch.no_grad():
        act()
    lab.wait()
    return allocated(lab)


Stage = Callable[[Lab], Found]
