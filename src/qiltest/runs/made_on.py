"""Which worker generated which images, and which one was slower or faster than the others."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from qiltest.gate.latency import RELATIVE_FLOOR, Cohort
from qiltest.runs.records import MadeOn, Run
from qiltest.text.escape import one_line
from qiltest.text.format import count


def made_on_lines(run: Run) -> Iterator[str]:
    """Yield a line for each worker that generated images in this run; none for a run without workers."""
    images: dict[MadeOn, int] = {}
    for result in run.results:
        if result.made_on is not None and not result.reused_from:
            images[result.made_on] = images.get(result.made_on, 0) + 1
    off = _off(run)
    for worker in sorted(images, key=lambda one: (one.host, one.worker, one.gpu)):
        yield f"{_name(worker)}: {count(images[worker], 'image')}{off.get(worker, '')}"


def _name(worker: MadeOn) -> str:
    gpu = f", {one_line(worker.gpu, 60)}" if worker.gpu else ""
    return f"worker {worker.worker} on {one_line(worker.host, 60)}{gpu}"


def _off(run: Run) -> dict[MadeOn, str]:
    """Return, for workers whose loops take more than 8 % longer or shorter than their cohort's, by how much at most."""
    seconds: dict[Cohort, dict[MadeOn, list[float]]] = {}
    for result in run.results:
        timing, cohort, worker = result.timing, result.cohort, result.made_on
        if timing is not None and cohort is not None and worker is not None and timing.comparable:
            seconds.setdefault(cohort, {}).setdefault(worker, []).append(timing.denoise_seconds)
    found: dict[MadeOn, tuple[float, str]] = {}
    for cohort, workers in seconds.items():
        usual = median(value for values in workers.values() for value in values)
        for worker, values in workers.items():
            share = median(values) / usual - 1
            if abs(share) > RELATIVE_FLOOR and abs(share) > abs(found.get(worker, (0.0, ""))[0]):
                way = "slower" if share > 0 else "faster"
                told = f"; {abs(share) * 100:.0f} % {way} than its cohort ({cohort.variant} at {cohort.effective})"
                found[worker] = share, told
    return {worker: told for worker, (_, told) in found.items()}
