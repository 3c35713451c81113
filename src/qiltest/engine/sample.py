"""Generate, read, score and judge one sample: a test of the suite, without pytest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from qiltest.elsewhere.records import FindsImages
from qiltest.engine.context import RunContext
from qiltest.engine.edits import change_of_edit
from qiltest.engine.options import Update
from qiltest.engine.producer import PendingImage
from qiltest.errors import CaseError, GoldenError, OrderError, QiltestError, WorkersLostError
from qiltest.gate.change import changed_more, collapsed
from qiltest.gate.golden import Golden, golden_from
from qiltest.gate.judge import judge_image, not_golden, unseen
from qiltest.gate.latency import LatencyStore, judge_latency, not_measured
from qiltest.gate.scene import change_of
from qiltest.gate.small_copy import SmallCopies
from qiltest.gate.verdict import Verdict
from qiltest.image_files import ON_WHITE
from qiltest.quality.change import Change
from qiltest.reading.records import Reading
from qiltest.runs.events import Failed, Generated, Judged, now
from qiltest.runs.images import StoreWriteError
from qiltest.runs.records import CaseResult, Outcome, StoredImage, shared
from qiltest.scoring import EmptyReadingError, Score, score_case
from qiltest.suite.cases import Limits
from qiltest.suite.selection import Sample
from qiltest.text.format import seconds as seconds_words


class SampleRun:
    """One sample of a run. Call `generate`, `read`, `score` and `judge` in this order, or `run` for all four.

    Each step writes to the run store before the next begins, so that a killed run loses at most one image. A step
    raises its QiltestError after recording it, or StoreWriteError where the store cannot be written and the run must
    end.
    """

    def __init__(self, context: RunContext, sample: Sample) -> None:
        self.sample = sample
        self.task = context.tasks[sample]
        #: the result so far.
        self.result = CaseResult(sample=sample)
        #: the image and the background work on it; None before `generate`.
        self.pending: PendingImage | None = None
        self._context = context
        #: notes since the image was generated.
        self._notes: tuple[str, ...] = ()
        #: why the update may not write the golden, or "".
        self._unrecorded = ""

    def run(self) -> CaseResult:
        """Generate, read, score and judge."""
        self.generate()
        self.read()
        self.score()
        return self.judge()

    def generate(self) -> Generated:
        """Generate the image, or reuse a stored one of equal recipe; on a GPU, also prefetch the next image."""
        with self._recorded():
            if self.task.case.doubts:
                # the prompt does not ask for a text of the case; other cases are not affected
                raise CaseError("\n".join(self.task.case.doubts), remedy=f"fix {self.task.case.path}")
            self.pending = self._context.producer.take(self.sample)
            self._context.producer.prefetch(self.sample)
            generated = self.pending.generated.result()
        self.result = generated.result(self._context.writer.image(generated.sha256))
        return generated

    def read(self) -> Reading | None:
        """Read the image; None where the model's text is not judged."""
        pending, image = self.pending, self.result.image
        if pending is None or image is None:
            raise RuntimeError("read() before generate()")
        if pending.reading is None or pending.health is None:
            return None
        with self._recorded():
            try:
                examined = pending.health.result()
                self.result = replace(self.result, health=examined.health)
                reading = pending.reading.result()
            finally:
                self._note_restart(image)
        self.result = replace(
            self.result, reading=reading, read_in=pending.read_in, health=examined.outside(reading.lines)
        )
        return reading

    def score(self) -> Score | None:
        """Match the reading to the expected texts; None where the model's text is not judged.

        Raises ReaderError if the reading is empty, OrderError where there is none yet.
        """
        if self.result.reading is None:
            with self._recorded():
                self._refuse_unread()
            return None
        with self._recorded():
            score = self._scored(self.result.reading)
            change = self._change(self.result.reading, score)
        self.result = replace(self.result, score=score, change=change)
        return score

    def _scored(self, reading: Reading) -> Score:
        """Match a reading to the expected texts. Raises EmptyReadingError, which tells of white text on white."""
        try:
            return score_case(self.task.case, reading)
        except EmptyReadingError as error:
            source, recipe = self._context.generator, self.result.recipe
            if recipe is None or not isinstance(source, FindsImages) or not source.is_transparent(recipe):
                raise
            raise EmptyReadingError(f"{error.what}; {ON_WHITE}", where=error.where, remedy=error.remedy) from error

    def _change(self, reading: Reading, score: Score) -> Change | None:
        """Return what an edit changed besides its texts; None for text-to-image. Raises InputError, ReaderError."""
        case, image = self.task.case, self.result.image
        if case.edit is None or image is None or not self.result.before:
            return None
        before = self._context.before(case, self.result.before[0].sha256)
        return change_of_edit(case, before, image.path, reading, score)

    def judge(self) -> CaseResult:
        """Compare with the goldens, and write them according to `--qil-update`; see `passes` for the outcome.

        Raises OrderError, an ERROR of the sample, where its text was not scored before: it would pass unseen.
        """
        if self.result.cohort is None:
            raise RuntimeError("judge() before generate()")
        with self._recorded():
            self._check_accepted()
            if self.result.score is None and self._context.generator.judges_text:
                raise OrderError(
                    "judge() before score(): its text was not judged",
                    where=self.sample.id,
                    remedy="call generate(), read(), score() and judge() in this order, or check()",
                )
            if self.result.score is not None:
                self._judge_text(self.result.score)
            self._judge_latency()
            if self._unrecorded and self.passes:  # a test that passes would not say it
                remedy = "look at the image, then accept it with `qiltest review`"
                self._context.unrecorded.append(
                    f"{self.sample.id}: golden not recorded: {self._unrecorded}\n  -> {remedy}"
                )
            outcome = shared(self.result, Outcome)
            self._context.writer.append(Judged(at=now(), sample=self.sample, **outcome, notes=self._notes))
        self._context.done.add(self.sample)
        return self.result

    @property
    def passes(self) -> bool:
        """True if text and, where it gates, latency pass; see `RunContext.passes`."""
        return self._context.passes(self.result)

    @property
    def limits(self) -> Limits:
        """The case's limits on this image."""
        tiny = self._context.generator.is_tiny
        return self.task.case.limits_of(self.sample.size, self.sample.variant, tiny=tiny)

    @property
    def faulty(self) -> bool:
        """True if image quality fails the sample: noise, a grid, or a blank image."""
        return self._context.faulty(self.result)

    @property
    def broken(self) -> bool:
        """True where the image fails by its broken strokes, which no golden excuses."""
        return self.result.judgement is not None and self.result.judgement.broken_strokes > 0

    def _refuse_unread(self) -> None:
        if self._context.generator.judges_text:
            raise OrderError(
                "score() before read(): there is no reading to score",
                where=self.sample.id,
                remedy="call generate(), read(), score() and judge() in this order, or check()",
            )

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        """Record an error in the run before it is raised."""
        try:
            yield
        except (StoreWriteError, WorkersLostError):
            raise
        except QiltestError as error:
            self.result = replace(self.result, error=str(error))
            self._context.writer.append(
                Failed(
                    at=now(),
                    sample=self.sample,
                    error=str(error),
                    reading=self.result.reading,
                    notes=self._notes,
                    health=self.result.health,
                )
            )
            self._context.done.add(self.sample)
            raise

    def _note_restart(self, image: StoredImage) -> None:
        """Add a note if the OCR worker was restarted for the image."""
        if self._context.readers.restarted_over(image.path):
            self._note("OCR worker crashed on this image and was restarted")

    def _note(self, note: str) -> None:
        self._notes = (*self._notes, note)
        self.result = replace(self.result, notes=(*self.result.notes, note))

    def _judge_text(self, score: Score) -> None:
        reading, recipe, pending, image = self.result.reading, self.result.recipe, self.pending, self.result.image
        assert reading is not None
        assert recipe is not None
        assert image is not None
        assert pending is not None
        assert pending.health is not None
        golden, broken = self._golden()
        found = judge_image(
            self.task.case,
            pending.health.result(),
            reading,
            golden,
            sample=self.sample,
            effective=recipe.effective,
            parts=recipe.compared_parts,
            tiny=self._context.generator.is_tiny,
            score=score,
            change=self.result.change,
        )
        self.result = replace(self.result, judgement=found.judgement, golden=golden)
        candidate = golden_from(
            self.sample,
            model=self._context.generator.model,
            recipe=recipe,
            score=score,
            noise_floor=found.judgement.noise_floor,
            image=image.sha256,
            scene=found.health.scene,
            change=self.result.change,
        )
        copies = SmallCopies(goldens=self._context.goldens)
        if self._accepts(candidate, broken=broken):
            self._unrecorded = self._unfit(score)
            if self._unrecorded:
                self._note(f"golden not recorded: {self._unrecorded}")
                return
            copies.record(candidate, image.path)
            self.result = replace(self.result, golden_recorded=True)
        elif golden is not None and (fault := copies.fault(golden)):
            self._note(fault)

    def _unfit(self, score: Score) -> str:
        """Return why the update may not record the image, or ""; `--qil-accept` says that a person has seen it."""
        lost = collapsed(self.result.change)
        return not_golden(score, self.limits) or lost or ("" if self._context.options.accept else self._unseen(score))

    def _unseen(self, score: Score) -> str:
        """Return why only a person who has seen the image may make it a golden, or ""."""
        health, gates = self.result.health, self.task.case.limits.health_gates
        scene = change_of(health.scene, self.result.golden) if health is not None and gates else ""
        return unseen(score, self.result.golden) or scene or changed_more(self.result.change, self.result.golden)

    def _check_accepted(self) -> None:
        """Raise GoldenError where `--qil-accept` names another image: what was seen is accepted, and nothing else."""
        accepted, image = self._context.options.accept, self.result.image
        if accepted and image is not None and not image.sha256.startswith(accepted):
            raise GoldenError(
                f"this is image {image.sha256[:16]}, not {' or '.join(accepted)} (--qil-accept): nothing was recorded",
                where=str(image.path),
                remedy="the recipe was generated again since, with another result: look at this image first",
            )

    def _golden(self) -> tuple[Golden | None, bool]:
        """Return the golden and whether its file is invalid; that is an error unless the update replaces it."""
        try:
            return self._context.goldens.load(self._context.generator.model, self.sample, self.task.case), False
        except GoldenError:
            if self._context.options.update in {Update.CHANGED, Update.ALL}:
                return None, True
            raise

    def _accepts(self, candidate: Golden, *, broken: bool) -> bool:
        update, golden = self._context.options.update, self.result.golden
        if update is None or self.result.verdict is Verdict.ERROR or self.faulty or self.broken:
            return False
        if update is Update.ALL:
            return True
        if update is Update.MISSING:
            return golden is None
        return broken or (golden is not None and not golden.same_result(candidate))

    def _judge_latency(self) -> None:
        """Judge the latency, and note whether the run's update will record it."""
        context, cohort, timing = self._context, self.result.cohort, self.result.timing
        assert cohort is not None
        if timing is None:
            told = self.result.told_seconds
            tells = "" if told is None else f"; its manifest tells {seconds_words(told)}, of what nobody knows"
            why = f"latency not measured: the image was made elsewhere{tells}"
            self.result = replace(self.result, latency=not_measured(why))
            return
        seconds = timing.denoise_seconds
        options = context.options
        gates = options.gpu and options.latency_gates and options.release is None
        latency = judge_latency(seconds, LatencyStore(goldens=context.goldens).load(cohort), gates=gates)
        score = self.result.score
        fit = score is None or (not self.faulty and not self.broken and not self._unfit(score))
        if latency.verdict is not Verdict.ERROR and fit:
            context.seconds.setdefault(cohort, []).append(seconds)
        if latency.verdict is Verdict.FAIL:
            context.slower.add(cohort)
        records = {Verdict.INCOMPARABLE: {Update.MISSING, Update.ALL}, Verdict.FAIL: {Update.CHANGED, Update.ALL}}
        recorded = fit and context.options.update in records.get(latency.verdict, set())
        self.result = replace(self.result, latency=latency, latency_recorded=recorded)
