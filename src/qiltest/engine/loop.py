"""Run all samples of a run one after the other, without pytest: for `qiltest check` and `qiltest stability`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from qiltest.engine.context import RunContext
from qiltest.engine.ending import Ending, finish_run
from qiltest.engine.sample import SampleRun
from qiltest.errors import ModelError, QiltestError, WorkersLostError
from qiltest.runs.images import StoreWriteError
from qiltest.runs.status import Status, status_of
from qiltest.suite.selection import Sample

FAILED, INTERRUPTED = 1, 2


class Progress(Protocol):
    """Shows the progress of a run."""

    def begin(self, total: int) -> None:
        """Set the number of images."""

    def watch(self, working: Callable[[], Sequence[str]]) -> None:
        """Show these lines below the current image from now on: what each worker does."""

    def show(self, text: str) -> None:
        """Name the current image."""

    def hide(self, verdict: Status | None = None) -> None:
        """Count the current image."""


@dataclass(frozen=True, kw_only=True)
class _Through:
    status: int
    problems: tuple[str, ...] = ()
    complete: bool = False


def run_all(context: RunContext, progress: Progress) -> Ending:
    """Generate, read and score every sample of a run, close it and return its result.

    Ctrl-C and a store that cannot be written end the run early; generated images are stored. Raises ModelError where
    the model is not whole or does not fit.
    """
    through = _run_through(context, progress)
    unjudged: dict[Sample, str] | None = {} if through.complete else None
    expected = len(context.tasks) if through.complete else None
    return finish_run(
        context, exit_status=through.status, problems=through.problems, unjudged=unjudged, expected=expected
    )


def _run_through(context: RunContext, progress: Progress) -> _Through:
    status = 0
    progress.watch(context.working)
    try:
        for sample in context.tasks:
            status = max(status, _take(context, sample, progress))
    except KeyboardInterrupt:
        return _Through(status=INTERRUPTED)
    except (StoreWriteError, WorkersLostError) as error:
        return _Through(status=INTERRUPTED, problems=(str(error),))
    except ModelError:
        context.stop()
        raise
    finally:
        progress.hide()
    return _Through(status=status, complete=True)


def _take(context: RunContext, sample: Sample, progress: Progress) -> int:
    """Run one sample and return 0, or `FAILED` where it has no score."""
    one = SampleRun(context, sample)
    progress.show(sample.id)
    try:
        one.run()
    except (StoreWriteError, ModelError, WorkersLostError):
        raise
    except QiltestError:
        pass  # recorded in the run
    except Exception as error:  # noqa: BLE001  a crash ends one sample, as under pytest
        context.crashed(sample, error)
    progress.hide(Status.ERROR if one.result.verdict is None else status_of(one.result))
    return 0 if one.passes else FAILED
