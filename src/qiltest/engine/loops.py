"""Generate one image: warm-up, timed denoise loops, decoding. The same code in this process and in a worker."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from qiltest.engine.environment import DeviceState, cohort_of, device_state
from qiltest.engine.options import Options
from qiltest.errors import GenerationError, OutOfMemoryError
from qiltest.gate.latency import Cohort, LatencyGolden, limit_seconds
from qiltest.generation.records import Decoded, Denoised, Generation, Generator
from qiltest.recipe import Recipe
from qiltest.spans import Span, record, span
from qiltest.text.format import count

#: timed loops that a cohort should have; its latency golden is the median over them.
LOOPS = 3
#: most seconds for the loops of one image, unless a single loop takes longer.
SECONDS = 6.0


#: share of the way from a cohort's golden to its limit beyond which one loop does not decide.
NEAR = 0.5
#: the latency golden of a cohort; None where there is none.
GoldenOf = Callable[[Cohort], LatencyGolden | None]


def most_rounds(asked: int | None, *, seconds: float, known: int) -> int:
    """Return the number of timed denoise loops that an image may have.

    `asked` is `--qil-rounds` (None: auto), `seconds` the image's first loop, `known` the loops that images before it
    may have had in its cohort. Auto repeats short loops until the cohort has `LOOPS`; long ones are steady enough.
    """
    return asked or max(1, min(LOOPS - known, int(SECONDS / seconds)))


def rounds_of(asked: int | None, *, seconds: float, known: int, golden: LatencyGolden | None) -> int:
    """Return the number of timed denoise loops of an image: `most_rounds`, or one where one decides.

    That is where nobody asked for more, and the first loop is nearer to the cohort's golden than to its limit. Loops
    that are not made are counted as if they were, so that no later image of the cohort has more than it ever had.
    """
    if asked is None and golden is not None:
        near = golden.seconds + NEAR * (limit_seconds(golden.seconds) - golden.seconds)
        if seconds <= near:
            return 1
    return most_rounds(asked, seconds=seconds, known=known)


@dataclass(frozen=True, kw_only=True)
class Timed:
    """How loops are timed: what the options of a session say about it."""

    #: `--qil-rounds`; None adapts to the loop's time.
    rounds: int | None
    #: True with `-m gpu`: a first loop of a size and variant is not timed.
    warms_up: bool
    #: the generator's device, as torch names it; None: its own default.
    device: str | None


@dataclass(frozen=True, kw_only=True)
class Made:
    """A decoded image with what was measured while it was made."""

    #: every timed denoise loop, in order.
    loops: tuple[Denoised, ...]
    decoded: Decoded | Generation
    notes: tuple[str, ...]
    #: `Timing.disturbed` of the chosen loop.
    disturbed: float
    #: state of the device before and after the loops.
    device: tuple[DeviceState, ...]
    #: loops that the image might have had, but one decided.
    spared: int = 0


def timed_by(options: Options) -> Timed:
    """Return how a session times its loops."""
    # the latencies of a release check are compared with no golden
    rounds = options.rounds or (None if options.release is None else 1)
    return Timed(rounds=rounds, warms_up=options.gpu, device=options.device)


class Loops:
    """Runs the loops of one generator."""

    def __init__(self, generator: Generator, timed: Timed, golden_of: GoldenOf | None = None) -> None:
        """`golden_of` None: nobody here knows the goldens, and no loop is spared."""
        self._generator, self._timed, self._golden_of = generator, timed, golden_of
        #: what this process has generated: the first loop of each size and variant includes one-time work.
        self._warm: set[Cohort] = set()

    def make(self, recipe: Recipe, *, known: int) -> Made:
        """Generate an image; `known` are the loops that the session has timed in its cohort, spared ones included.

        Out of memory is retried once, with a note. Raises RecipeError, GenerationError and ModelError.
        """
        before = self._device_state(recipe)
        loops, notes, most = self._loops(recipe, known)
        after = self._device_state(recipe)
        chosen = sorted(loops, key=lambda loop: loop.denoise_seconds)[(len(loops) - 1) // 2]
        disturbed = _disturbed(chosen, loops) if self._generator.on_cpu else 0.0
        with span("decode", _named(recipe)):
            decoded = self._generator.decode_pixels(chosen)
        return Made(
            loops=loops,
            decoded=decoded,
            notes=notes,
            disturbed=disturbed,
            device=(*before, *after),
            spared=most - len(loops),
        )

    def _loops(self, recipe: Recipe, known: int) -> tuple[tuple[Denoised, ...], tuple[str, ...], int]:
        """Return the timed loops, notes, and how many loops there might have been."""
        cohort = cohort_of(recipe, model=self._generator.model, device=recipe.device)
        notes: tuple[str, ...] = ()
        try:
            if cohort not in self._warm and self._timed.warms_up:
                with span("warm up", _named(recipe)):
                    self._generator.warm_up(recipe)
            first = self._denoise(recipe)
        except OutOfMemoryError as error:
            first, notes = self._denoise(recipe), (f"generated on the second attempt, after: {error.what}",)
        golden = None if self._golden_of is None else self._golden_of(cohort)
        asked, seconds = self._timed.rounds, first.denoise_seconds
        rounds = rounds_of(asked, seconds=seconds, known=known, golden=golden)
        loops = (first, *(self._denoise(recipe, "denoise again") for _ in range(rounds - 1)))
        self._warm.add(cohort)
        told = dict.fromkeys(note for loop in loops for note in loop.notes)
        return loops, (*notes, *told, *_unsteady(loops)), most_rounds(asked, seconds=seconds, known=known)

    def _denoise(self, recipe: Recipe, name: str = "denoise") -> Denoised:
        begun = time.monotonic()
        denoised = self._generator.denoise(recipe)
        seconds, end = denoised.denoise_seconds, time.monotonic()
        if not (math.isfinite(seconds) and seconds > 0):
            raise GenerationError(
                f"invalid denoise time: {seconds} s",
                where=recipe.variant,
                remedy="the generator must time each loop",
            )
        # the loop alone: what the generator loads and merges for it is work of other kinds
        record(Span(name=name, start=max(begun, end - seconds), end=end, what=_named(recipe)))
        return denoised

    def _device_state(self, recipe: Recipe) -> tuple[DeviceState, ...]:
        elsewhere = self._generator.on_cpu or recipe.served is not None
        return () if elsewhere else device_state(self._timed.device)


def _named(recipe: Recipe) -> str:
    return f"{recipe.variant} {recipe.effective}"


def _disturbed(chosen: Denoised, loops: tuple[Denoised, ...]) -> float:
    """Return how much other work on the CPU lengthened a loop (`Timing.disturbed`): its waiting, or the loops' spread.

    The spread is range over median, without the first loop, which includes one-time work.
    """
    seconds = [loop.denoise_seconds for loop in loops[1:]]
    spread = (max(seconds) - min(seconds)) / median(seconds) if seconds else 0.0
    return max(min(1.0, chosen.waited_seconds / chosen.denoise_seconds), spread)


def _unsteady(loops: tuple[Denoised, ...]) -> tuple[str, ...]:
    """Return a note where rounds of the same recipe gave different latents."""
    other = sum(loop.latents_sha256 != loops[0].latents_sha256 for loop in loops[1:])
    what = "latents" if loops[0].recipe.served is None else "images"
    return (f"the same recipe gave different {what} in {other} of {count(len(loops) - 1, 'repeat')}",) if other else ()
