"""Read and score the images of a run again, into a new run. No torch, model or GPU is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache

from qiltest import __version__
from qiltest.engine.edits import Before, change_of_edit
from qiltest.errors import CaseError, GoldenError, QiltestError
from qiltest.gate.golden import GoldenStore
from qiltest.gate.judge import judge_image
from qiltest.quality import examine
from qiltest.reading.images import load_image
from qiltest.reading.records import Reader
from qiltest.reading.registry import open_reader
from qiltest.runs.events import Ended, Failed, Generated, Judged, Started, now
from qiltest.runs.lines import SCHEMA
from qiltest.runs.load import load_run
from qiltest.runs.records import CaseResult, Origin, Run, RunState, Setup, shared
from qiltest.runs.store import RunStore
from qiltest.runs.writer import RunWriter
from qiltest.scoring.alphabet import reader_for, require_readable_case
from qiltest.scoring.scorer import score_case
from qiltest.suite.cases import Case
from qiltest.suite.selection import Sample
from qiltest.text.format import count


@dataclass(frozen=True, kw_only=True)
class ImageChange:
    """What changed for one image."""

    sample: str
    distance: tuple[int | None, int | None]
    verdict: tuple[str | None, str | None]
    #: (read before, read now) of each expected text where the two differ.
    texts: tuple[tuple[str, str], ...]
    error: str = ""

    @property
    def moved(self) -> bool:
        """True if anything differs."""
        return self.distance[0] != self.distance[1] or self.verdict[0] != self.verdict[1] or bool(self.texts)


@dataclass(frozen=True, kw_only=True)
class Rescored:
    """Both runs and their differences."""

    before: Run
    after: Run
    changes: tuple[ImageChange, ...]

    @property
    def passes(self) -> bool:
        """True if there were images, none is missing or damaged and every image passes."""
        return bool(self.changes) and not self.after.problems and all(result.passes for result in self.after.results)


def rescore(
    run: Run,
    *,
    store: RunStore,
    goldens: GoldenStore,
    reader: str | None = None,
    cases: Sequence[Case] | None = None,
    opener: Callable[[str], Reader] | None = None,
) -> Rescored:
    """Read, score and judge the images of `run` again and write a new run; `run` is not changed.

    `reader` and `cases` replace the run's own reader and cases; `opener` replaces `qiltest.reading.open_reader`.
    Latencies are copied. A planned image that `run` does not have is MISSING. Raises ReaderError, StoreError, and
    CaseError for a case of the run that `cases` lack.
    """
    open_once = cache(opener or open_reader)
    known = _cases(run, cases)
    default = open_once(reader or run.reader.name)
    with store.create() as writer:
        writer.append(_started(run, writer, default, tuple(known.values())))
        for result in run.results:
            if result.image is not None:
                own = result.reading.reader.name if result.reading is not None else run.reader.name
                case = known[result.sample.case]
                _again(
                    result, case, open_once(reader_for(reader or own, case.texts, case.forgiven)), run, writer, goldens
                )
        problems = tuple(_missing(run, known, writer, goldens))
        good = not problems and all(result.passes for result in load_run(writer.folder).results)
        writer.append(Ended(at=now(), state=RunState.FINISHED, exit_status=int(not good), problems=problems))
    after = load_run(writer.folder)
    changes = tuple(_change(old, new) for new in after.results if (old := run.result(new.id)) is not None)
    return Rescored(before=run, after=after, changes=changes)


def _cases(run: Run, cases: Sequence[Case] | None) -> dict[str, Case]:
    known = {case.id: case for case in run.cases if cases is None} or {case.id: case for case in cases or ()}
    missing = sorted({sample.case for sample in _samples(run)} - set(known))
    if missing:
        raise CaseError(
            f"no case file for {', '.join(missing)}, which the run has images of",
            where=str(run.path),
            remedy="leave out --cases to use the run's own copy of its cases",
        )
    return known


def _samples(run: Run) -> dict[Sample, CaseResult | None]:
    """Return what the run planned or has, each with its result."""
    return dict.fromkeys(run.planned) | {result.sample: result for result in run.results}


def _missing(run: Run, known: Mapping[str, Case], writer: RunWriter, goldens: GoldenStore) -> Iterator[str]:
    """Give the verdict MISSING to every sample that has no image, and yield a problem that lists them."""
    left = {sample: result for sample, result in _samples(run).items() if result is None or result.image is None}
    for sample, result in left.items():
        why = (result.error if result is not None else "") or f"run {run.id} has no image of it"
        golden = None
        with suppress(GoldenError):  # that it cannot be read is not the problem here
            golden = goldens.load(run.model, sample, known[sample.case])
        writer.append(Judged.missing(sample, why.splitlines()[0], golden))
    if left:
        yield (
            f"run {run.id} has no image of {len(left)} of {count(len(_samples(run)), 'planned image')}\n"
            "  -> generate them: repeat the command that made the run, then rescore the run that it makes"
        )


def _started(run: Run, writer: RunWriter, reader: Reader, cases: tuple[Case, ...]) -> Started:
    own: dict[str, object] = {
        "command": ("qiltest", "rescore", run.id),
        "qiltest_version": __version__,
        "reader": reader.info,
        "cases": cases,
        "rescored_from": run.id,
    }
    return Started(schema=SCHEMA, run=writer.id, at=now(), **shared(run, Setup) | own)


def _again(result: CaseResult, case: Case, reader: Reader, run: Run, writer: RunWriter, goldens: GoldenStore) -> None:
    image, recipe = result.image, result.recipe
    assert image is not None
    assert recipe is not None
    for stored in (image, *result.before):
        writer.link(stored.path, stored.sha256)
    origin = shared(result, Origin) | {"reused_from": result.reused_from or run.id, "notes": result.notes}
    writer.append(Generated(at=now(), sample=result.sample, key=recipe.key(), sha256=image.sha256, **origin))
    try:
        require_readable_case(case, reader)
        examined = examine(load_image(image.path))
        reading = reader.read(image.path)
        golden = goldens.load(run.model, result.sample, case)
        score = score_case(case, reading)
        change = None
        if case.edit is not None and result.before:
            before = Before.of(result.before[0].path, reader.read)
            change = change_of_edit(case, before, image.path, reading, score)
        found = judge_image(
            case,
            examined,
            reading,
            golden,
            sample=result.sample,
            effective=recipe.effective,
            parts=recipe.compared_parts,
            tiny=run.is_tiny,
            score=score,
            change=change,
        )
    except QiltestError as error:
        writer.append(Failed(at=now(), sample=result.sample, error=str(error)))
        return
    writer.append(
        Judged(
            at=now(),
            sample=result.sample,
            reading=reading,
            score=found.score,
            judgement=found.judgement,
            # reported, but nothing was measured in this run
            latency=None if result.latency is None else replace(result.latency, gates=False),
            golden=golden,
            golden_recorded=False,
            health=found.health,
            change=change,
        )
    )


def _change(old: CaseResult, new: CaseResult) -> ImageChange:
    before = {text.expected: text.read for text in old.score.texts} if old.score else {}
    after = {text.expected: text.read for text in new.score.texts} if new.score else {}
    return ImageChange(
        sample=new.id,
        distance=(old.score.distance if old.score else None, new.score.distance if new.score else None),
        verdict=(old.verdict and str(old.verdict), new.verdict and str(new.verdict)),
        texts=tuple((before.get(text, ""), read) for text, read in after.items() if before.get(text, "") != read),
        error=new.error,
    )
