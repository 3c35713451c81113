"""The fixture `qil_case_run`: one sample of the suite as a pytest test."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Protocol

import pytest

from qiltest.engine.options import Options, Update
from qiltest.engine.producer import PendingImage
from qiltest.engine.sample import SampleRun
from qiltest.errors import ModelError, QiltestError, WorkersLostError
from qiltest.gate.change import collapsed
from qiltest.gate.judge import above_absolute, not_golden
from qiltest.gate.verdict import Verdict
from qiltest.generation.records import Denoised, Timing
from qiltest.reading.records import Reading
from qiltest.runs.events import Generated
from qiltest.runs.images import StoreWriteError
from qiltest.runs.records import CaseResult, StoredImage
from qiltest.scoring import Score
from qiltest.suite.cases import Case
from qiltest.suite.selection import Sample, Task

#: digits of an image's hash in the command that accepts it: what was shown is accepted, and no other image.
HASH_SHOWN = 16


class Benchmark(Protocol):
    """The used part of pytest-benchmark's fixture."""

    extra_info: dict[str, object]

    def pedantic(self, target: Callable[[], None], *, rounds: int) -> None:
        """Call the target `rounds` times, each timed."""


class LoopClock:
    """The timer of pytest-benchmark: it advances by the denoise times that the generator measured.

    A wall clock would include loading the model and switching variants.
    """

    def __init__(self) -> None:
        self._seconds = 0.0

    def read(self) -> float:
        """Return the seconds of all denoise loops so far."""
        return self._seconds

    def advance(self, denoised: Denoised) -> None:
        """Advance by one denoise loop."""
        self._seconds += denoised.denoise_seconds


class CaseRun:
    """One sample of the suite, as the fixture `qil_case_run` gives it to a test.

    A test calls `generate`, `read`, `score` and `judge` in this order, or `check` for all four. Each writes to the run
    store before the next begins, so that a killed session loses at most one image. A failure has a message and no
    traceback.
    """

    def __init__(
        self, *, sample: SampleRun, options: Options, node: str, benchmark: Benchmark, clock: LoopClock
    ) -> None:
        self._sample, self._options, self._node = sample, options, node
        self._benchmark, self._clock = benchmark, clock

    @property
    def task(self) -> Task:
        """What to generate."""
        return self._sample.task

    @property
    def sample(self) -> Sample:
        """The sample's place in the grid case x resolution x variant x seed."""
        return self._sample.sample

    @property
    def case(self) -> Case:
        """The case."""
        return self.task.case

    @property
    def result(self) -> CaseResult:
        """The result so far."""
        return self._sample.result

    def check(self) -> CaseResult:
        """Generate, read, score and judge."""
        self.generate()
        self.read()
        self.score()
        self.judge()
        return self.result

    def generate(self) -> StoredImage:
        """Generate the image, or reuse a stored one of equal recipe.

        pytest-benchmark times only the denoise loop, without prompt encoding and decoding.
        """
        with self._failing():
            try:
                generated = self._sample.generate()
            finally:
                self._replay(self._sample.pending)
        self._benchmark.extra_info.update(_extra_info(generated, self._sample.pending))
        assert self.result.image is not None
        return self.result.image

    def read(self) -> Reading | None:
        """Read the image; None where the model's text is not judged."""
        with self._failing():
            return self._sample.read()

    def score(self) -> Score | None:
        """Match the reading to the expected texts; None without a reading. An empty reading is an ERROR."""
        with self._failing():
            score = self._sample.score()
        if score is not None:
            self._benchmark.extra_info["distance"] = score.distance
        return score

    def judge(self) -> None:
        """Compare with the goldens and fail the test unless text and, where it gates, latency pass."""
        with self._failing():
            self._sample.judge()
        if not self._sample.passes:
            pytest.fail(self._message(), pytrace=False)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Fail the test on an error, and end the session where the store cannot be written."""
        try:
            yield
        except StoreWriteError as error:
            # no later image could be stored; the run can be resumed
            pytest.exit(f"qiltest: {error}", returncode=pytest.ExitCode.INTERRUPTED)
        except WorkersLostError as error:
            # none could generate a later image; the run can be resumed
            raise pytest.exit.Exception(f"qiltest: {error}", pytest.ExitCode.INTERRUPTED) from None
        except ModelError as error:
            # it would be read again for each image, in vain
            raise pytest.exit.Exception(f"qiltest: {error}", pytest.ExitCode.USAGE_ERROR) from None
        except QiltestError:
            # the message includes the error
            raise pytest.fail.Exception(self._message(), pytrace=False) from None

    def _replay(self, pending: PendingImage | None) -> None:
        """Report the denoise loops to pytest-benchmark."""
        loops = () if pending is None else pending.loops
        following = iter(loops)
        if loops:
            self._benchmark.pedantic(lambda: self._clock.advance(next(following)), rounds=len(loops))

    def _message(self) -> str:
        # a slow import that only failures need
        from qiltest.report.terminal.failure import failure_message

        return failure_message(self.result, self.task, command=self._accepting())

    def _accepting(self) -> str:
        """Return the command that accepts this image, or why that is not possible."""
        result = self.result
        if result.score is not None and above_absolute(result.score, self._sample.limits):
            return f"not possible: above the case's absolute limit; see [limits] in {self.case.path}"
        if result.error or result.verdict is Verdict.ERROR:
            return ""
        if self._sample.faulty:
            remedy = f'if the prompt asks for grain, set quality = "report" under [limits] in {self.case.path}'
            return f"not possible: the image has noise, a grid artefact or is blank; {remedy}"
        if why := collapsed(result.change):
            return f"not possible: {why}"
        if self._sample.broken:
            remedy = f'if the writing is meant to look so, set quality = "report" under [limits] in {self.case.path}'
            return f"not possible: no golden excuses broken strokes; {remedy}"
        if result.score is not None and (why := not_golden(result.score, self._sample.limits)):
            return f"not possible: {why}; look at the image and at what the reader made of it"
        text = result.judgement.verdict if result.judgement else Verdict.PASS
        latency = result.latency.verdict if result.latency and result.latency.gates else Verdict.PASS
        new = text in {Verdict.PASS, Verdict.NEW} and latency in {Verdict.PASS, Verdict.INCOMPARABLE}
        update = Update.MISSING if new else Update.CHANGED
        marks = ["-m", "gpu"] if self._options.gpu else []
        named = [f"--qil-accept={result.image.sha256[:HASH_SHOWN]}"] if result.image else []
        return shlex.join(
            ["pytest", *marks, self._node, *self._options.given, "--qil-reuse", f"--qil-update={update}", *named]
        )


def _extra_info(generated: Generated, pending: PendingImage | None) -> dict[str, object]:
    recipe = generated.recipe
    reused = {"reused_from": generated.reused_from} if generated.reused_from else {}
    return {
        **reused,
        "case": generated.sample.case,
        "variant": generated.sample.variant,
        "seed": generated.sample.seed,
        "asked": str(recipe.asked),
        "effective": str(recipe.effective),
        **_timed(generated.timing),
        "device": generated.cohort.device_name,
        "rounds": 0 if pending is None else len(pending.loops),
        "device_state": [] if pending is None else [asdict(state) for state in pending.device],
        "recipe": generated.key,
    }


def _timed(timing: Timing | None) -> dict[str, object]:
    """Return what was timed; nothing of an image made elsewhere."""
    if timing is None:
        return {}
    return {
        "denoise_seconds": timing.denoise_seconds,
        "decode_seconds": timing.decode_seconds,
        "forwards": timing.forwards,
    }
