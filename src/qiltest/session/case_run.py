"""One picture's way through a test: generate, read, score, judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import NoReturn, Protocol

import pytest

from qiltest.engine.context import Work
from qiltest.engine.options import Update
from qiltest.engine.producer import Sheet
from qiltest.errors import CaseError, GoldenError, QiltestError
from qiltest.gate.golden import Golden, golden_from
from qiltest.gate.judge import above_absolute, judge_image
from qiltest.gate.latency import LatencyJudgement, LatencyStore, judge_latency
from qiltest.gate.verdict import Judgement, Verdict
from qiltest.quality import gating
from qiltest.reading.records import Reading
from qiltest.recipe import Recipe
from qiltest.runs.events import Drawn, Failed, Judged, now
from qiltest.runs.images import StoreWriteError
from qiltest.runs.records import CaseResult, Picture
from qiltest.runs.store import usable
from qiltest.scoring import Score, score_case
from qiltest.session.clock import LoopClock
from qiltest.suite.cases import Case
from qiltest.suite.selection import Point, Task


class Benchmark(Protocol):
    """What is used of pytest-benchmark's fixture."""

    extra_info: dict[str, object]

    def pedantic(self, target: Callable[[], None], *, rounds: int) -> None:
        """Call the target `rounds` times, each timed."""
        ...


class CaseRun:
    """One point of the suite, as the fixture `qil_case_run` gives it to a test.

    A test calls `generate`, `read`, `score` and `judge` in this order, or `check` for all four. Each writes to the run
    store before the next begins, so that a killed session loses at most the picture in hand. What does not hold ends
    the test with a message and no traceback.
    """

    def __init__(
        self, *, work: Work, task: Task, point: Point, node: str, benchmark: Benchmark, clock: LoopClock
    ) -> None:
        self.task = task
        self.point = point
        self._work = work
        self._node = node
        self._benchmark = benchmark
        self._clock = clock
        self._result = CaseResult(point=point)
        self._sheet: Sheet | None = None
        #: what happened after the picture was drawn, beside the notes of its drawing.
        self._notes: tuple[str, ...] = ()

    @property
    def case(self) -> Case:
        """The case."""
        return self.task.case

    @property
    def result(self) -> CaseResult:
        """What is known so far."""
        return self._result

    def check(self) -> CaseResult:
        """Generate, read, score and judge."""
        self.generate()
        self.read()
        self.score()
        self.judge()
        return self._result

    def generate(self) -> Picture:
        """Draw the picture, or take it from the store where one of equal recipe may stand for it.

        pytest-benchmark times the denoise loop alone: embeddings are made before, decoding comes after. Where a GPU
        draws, the picture may have been drawn while the one before was being read, and the next is drawn before this
        one's reading is asked for.
        """
        try:
            if self.case.doubts:
                # nothing is drawn for a text that its own prompt does not ask for; the other cases go on
                raise CaseError("\n".join(self.case.doubts), remedy=f"mend {self.case.path}")
            recipe = self._work.recipes[self.point]
            if isinstance(recipe, QiltestError):
                raise recipe
            stored = self._work.reusable.get(recipe.key())
            if stored and usable(stored):
                sheet = self._sheet = self._work.easel.reuse(self.point, stored)
            else:
                self._work.reusable.pop(recipe.key(), None)
                sheet = self._sheet = self._work.easel.take(self.point)
            self._replay(sheet)
            self._work.easel.look_ahead(self.point)
            drawn = sheet.drawn.result()
        except StoreWriteError as error:
            self._stop(error)
        except QiltestError as error:
            self._fail(error)
        self._work.reusable.pop(drawn.key, None)
        picture = Picture(path=self._work.writer.picture(drawn.sha256), sha256=drawn.sha256)
        self._result = replace(
            self._result,
            recipe=drawn.recipe,
            picture=picture,
            reused_from=drawn.reused_from,
            timing=drawn.timing,
            latents=drawn.latents,
            cohort=drawn.cohort,
            notes=drawn.notes,
        )
        self._benchmark.extra_info.update(_extra_info(drawn, sheet))
        return picture

    def read(self) -> Reading | None:
        """Read the picture; None where the model's text is not judged."""
        picture = self._result.picture
        if picture is None:
            raise RuntimeError("read() before generate()")
        if self._sheet is None or self._sheet.reading is None:
            return None
        try:
            examined = None if self._sheet.health is None else self._sheet.health.result()
            self._result = replace(self._result, health=None if examined is None else examined.health)
            reading = self._sheet.reading.result()
        except QiltestError as error:
            self._note_restart(picture)
            self._fail(error)
        self._note_restart(picture)
        self._result = replace(
            self._result,
            reading=reading,
            read_in=self._sheet.read_in,
            health=None if examined is None else examined.outside(reading.lines),
        )
        return reading

    def _note_restart(self, picture: Picture) -> None:
        """Keep with the picture that its reading was begun a second time."""
        if self._work.restarted_over(picture.path):
            self._notes = ("the process that reads pictures died over it and was started anew",)
            self._result = replace(self._result, notes=(*self._result.notes, *self._notes))

    def score(self) -> Score | None:
        """Match the reading to the expected texts; None where there is no reading.

        A reading without any text is an ERROR, not a distance.
        """
        reading = self._result.reading
        if reading is None:
            return None
        try:
            score = score_case(self.case, reading)
        except QiltestError as error:
            self._fail(error)
        self._result = replace(self._result, score=score)
        self._benchmark.extra_info["distance"] = score.distance
        return score

    def judge(self) -> None:
        """Compare with the goldens; fail the test unless text and, where it gates, latency hold."""
        result = self._result
        if result.recipe is None or result.timing is None:
            raise RuntimeError("judge() before generate()")
        try:
            if result.score is not None:
                self._judge_text(result.recipe, result.score)
            latency, recorded = self._judge_latency(result.timing.denoise_seconds)
        except QiltestError as error:
            self._fail(error)
        result = self._result = replace(self._result, latency=latency, latency_recorded=recorded)
        self._append(
            Judged(
                at=now(),
                point=self.point,
                reading=result.reading,
                score=result.score,
                judgement=result.judgement,
                latency=latency,
                golden=result.golden,
                golden_recorded=result.golden_recorded,
                latency_recorded=recorded,
                health=result.health,
                read_in=result.read_in,
                notes=self._notes,
            )
        )
        self._work.done.add(self.point)
        # a file on trial and what it replaces are held against each other at the session's end, not against goldens
        scored = self._work.options.release is not None and result.score is not None and not self._unhealthy
        if not (result.holds or scored):
            pytest.fail(self._message(), pytrace=False)

    @property
    def _unhealthy(self) -> bool:
        """True where the picture fails whatever its text says."""
        health = self._result.health
        return health is not None and self.case.limits.health_gates and bool(gating(health))

    def _replay(self, sheet: Sheet) -> None:
        """Show the benchmark the loops: its clock is moved on by each loop's own seconds, device synchronised."""
        loops = iter(sheet.loops)
        if sheet.loops:
            self._benchmark.pedantic(lambda: self._clock.advance(next(loops)), rounds=len(sheet.loops))

    def _judge_text(self, recipe: Recipe, score: Score) -> None:
        golden, broken = self._golden()
        reading, sheet = self._result.reading, self._sheet
        assert reading is not None
        assert sheet is not None
        assert sheet.health is not None
        judgement = judge_image(
            self.case,
            sheet.health.result(),
            reading,
            golden,
            effective=recipe.effective,
            tiny=self._work.generator.is_tiny,
            score=score,
        ).judgement
        self._result = replace(self._result, judgement=judgement, golden=golden)
        candidate = self._candidate(recipe, score, judgement)
        if self._accepts(judgement, golden, candidate, broken=broken) and not above_absolute(score, self.case.limits):
            self._work.goldens.save(candidate)
            self._result = replace(self._result, golden_recorded=True)

    def _golden(self) -> tuple[Golden | None, bool]:
        """Return the golden and whether the file there is none; an unreadable one may only be replaced on demand."""
        model = self._work.generator.model
        try:
            return self._work.goldens.load(model, self.point), False
        except GoldenError:
            if self._work.options.update in {Update.CHANGED, Update.ALL}:
                return None, True
            raise

    def _accepts(self, judgement: Judgement, golden: Golden | None, candidate: Golden, *, broken: bool) -> bool:
        update = self._work.options.update
        if update is None or judgement.verdict is Verdict.ERROR or self._unhealthy:
            return False
        if update is Update.ALL:
            return True
        if update is Update.MISSING:
            return golden is None
        return broken or (golden is not None and not golden.same_text(candidate))

    def _candidate(self, recipe: Recipe, score: Score, judgement: Judgement) -> Golden:
        return golden_from(
            self.point,
            model=self._work.generator.model,
            recipe=recipe,
            score=score,
            noise_floor=judgement.noise_floor,
            picture=self._result.picture.sha256 if self._result.picture else "",
        )

    def _judge_latency(self, seconds: float) -> tuple[LatencyJudgement, bool]:
        """Return the verdict on the latency, and whether this session's update will record it."""
        cohort = self._result.cohort
        assert cohort is not None
        gates = self._work.options.gpu and self._work.options.release is None
        golden = LatencyStore(goldens=self._work.goldens).load(cohort)
        latency = judge_latency(seconds, golden, gates=gates)
        if latency.verdict is not Verdict.ERROR:
            self._work.seconds.setdefault(cohort, []).append(seconds)
        if latency.verdict is Verdict.FAIL:
            self._work.slower.add(cohort)
        records = {Verdict.INCOMPARABLE: {Update.MISSING, Update.ALL}, Verdict.FAIL: {Update.CHANGED, Update.ALL}}
        return latency, self._work.options.update in records.get(latency.verdict, set())

    def _message(self) -> str:
        # the report's code is loaded when there is something to show, not by every pytest that has this plugin
        from qiltest.report.terminal.failure import failure_message

        return failure_message(self._result, self.task, command=self._accepting())

    def _accepting(self) -> str:
        result = self._result
        if result.score is not None and above_absolute(result.score, self.case.limits):
            return f"nothing does: the absolute limit holds whatever the golden says; see [limits] in {self.case.path}"
        if result.error or result.verdict is Verdict.ERROR:
            return ""
        if self._unhealthy:
            where = f'where a case asks for grain, set health = "report" under [limits] in {self.case.path}'
            return f"nothing does: noise or a grid is no golden; {where}"
        text = result.judgement.verdict if result.judgement else Verdict.PASS
        latency = result.latency.verdict if result.latency and result.latency.gates else Verdict.PASS
        if text in {Verdict.PASS, Verdict.NEW} and latency in {Verdict.PASS, Verdict.INCOMPARABLE}:
            return self._work.accept_command(self._node, Verdict.NEW)
        return self._work.accept_command(self._node, Verdict.FAIL)

    def _append(self, event: Drawn | Judged | Failed) -> None:
        try:
            self._work.append(event)
        except StoreWriteError as error:
            self._stop(error)

    def _stop(self, error: StoreWriteError) -> NoReturn:
        # nothing that follows could be kept: ending here leaves a run from which the same command goes on
        pytest.exit(f"qiltest: {error}", returncode=pytest.ExitCode.INTERRUPTED)

    def _fail(self, error: QiltestError) -> NoReturn:
        self._result = replace(self._result, error=str(error))
        self._append(
            Failed(
                at=now(),
                point=self.point,
                error=str(error),
                reading=self._result.reading,
                notes=self._notes,
                health=self._result.health,
            )
        )
        self._work.done.add(self.point)
        try:
            pytest.fail(self._message(), pytrace=False)
        except pytest.fail.Exception as failed:
            # the message says it all: the error that led here would only be printed once more
            raise failed from None


def _extra_info(drawn: Drawn, sheet: Sheet) -> dict[str, object]:
    recipe, timing = drawn.recipe, drawn.timing
    reused = {"reused_from": drawn.reused_from} if drawn.reused_from else {}
    return {
        **reused,
        "case": drawn.point.case,
        "variant": drawn.point.variant,
        "seed": drawn.point.seed,
        "asked": str(recipe.asked),
        "effective": str(recipe.effective),
        "denoise_seconds": timing.denoise_seconds,
        "decode_seconds": timing.decode_seconds,
        "forwards": timing.forwards,
        "device": drawn.cohort.device_name,
        "rounds": len(sheet.loops),
        "device_state": [asdict(state) for state in sheet.device],
        "recipe": drawn.key,
    }
