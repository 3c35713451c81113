"""How well the scheduler alone keeps N workers busy: the report's images with 8 seeds, on a clock that is only counted.

    python benchmarks/parallel/scaling.py [--out benchmarks/results/scaling.json]

The workers are fakes that take the seconds measured on an H100 for each variant and size (docs/measurements/gpu.md,
LoRAs merged), and those measured on an H200 for decoding and for going to another variant; each image varies by up to
1 %. They share nothing. Scaling is the time of one worker over that of N. Two nights are shown: the first, whose
scheduler knows forwards and sizes alone, and a later one, which knows the seconds of the history.

No scheduler can reach N where the long images do not divide: with 64 workers and 72 images of 31.6 s some worker makes
two. `possible` is the scaling that no order of these images can exceed, switches left out, and N at most.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import time
from pathlib import Path

from qiltest.engine.parallel.plan import Job
from qiltest.engine.parallel.pool import WINDOW
from qiltest.engine.parallel.scheduler import Scheduler, estimated_load, estimated_seconds
from qiltest.recipe import Size

SEEDS, VARIATION = 8, 0.01
#: per variant: images of the report, by size.
SIZES = {Size(1328, 1328): 9, Size(1280, 1280): 1, Size(704, 1280): 1}
NFE = {"base": 100, "8step": 8, "4step": 4}
#: seconds of a denoise loop.
MEASURED = {
    ("base", Size(1328, 1328)): 31.50,
    ("8step", Size(1328, 1328)): 2.52,
    ("4step", Size(1328, 1328)): 1.26,
    ("base", Size(1280, 1280)): 29.83,
    ("8step", Size(1280, 1280)): 2.37,
    ("4step", Size(1280, 1280)): 1.19,
    ("base", Size(704, 1280)): 16.19,
    ("8step", Size(704, 1280)): 1.67,
    ("4step", Size(704, 1280)): 0.64,
}
DECODING, SWITCH = 0.15, 6.5
COUNTS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64)


def images(*, history: bool) -> list[tuple[Job, float]]:
    """Return all images in the order of tests, each with the seconds that it takes."""
    chance = random.Random(1)
    found: list[tuple[Job, float]] = []
    for variant, nfe in NFE.items():
        for size, number in SIZES.items():
            known = MEASURED[variant, size] + DECODING
            estimate = estimated_seconds(nfe=nfe, width=size.width, height=size.height)
            for _ in range(number * SEEDS):
                job = Job(
                    number=len(found),
                    variant=variant,
                    kind=(variant, str(size)),
                    seconds=known if history else estimate,
                    load=estimated_load(width=size.width, height=size.height),
                )
                found.append((job, known * chance.uniform(1 - VARIATION, 1 + VARIATION)))
    return found


def night(workers: int, *, history: bool) -> tuple[float, int, float]:
    """Return the seconds until the last image, the switches, and the seconds of real time per choice."""
    wanted = images(history=history)
    seconds = {job.number: value for job, value in wanted}
    scheduler = Scheduler(window=WINDOW)
    scheduler.add(job for job, _ in wanted)
    loaded: dict[int, str] = {}
    ends: list[tuple[float, int, int, float]] = []
    idle, now, switches, choices = set(range(workers)), 0.0, 0, 0
    made: set[int] = set()
    untaken = 0
    for worker in idle:
        scheduler.join(worker)
    begin = time.perf_counter()
    scheduler.wanted(untaken)
    while True:
        for worker in sorted(idle):
            choices += 1
            job = scheduler.next(worker, now=now)
            if job is None:
                continue
            load = SWITCH if loaded.get(worker, job.variant) != job.variant else 0.0
            switches += load > 0
            loaded[worker] = job.variant
            idle.discard(worker)
            heapq.heappush(ends, (now + load + seconds[job.number], worker, job.number, load))
        if not ends:
            break
        now, worker, number, load = heapq.heappop(ends)
        scheduler.done(worker, seconds=seconds[number], load=load)
        idle.add(worker)
        made.add(number)
        while untaken in made:
            scheduler.taken(untaken)
            untaken += 1
            scheduler.wanted(untaken)
    assert len(made) == len(wanted)
    return now, switches, (time.perf_counter() - begin) / choices


def least(workers: int) -> float:
    """Return seconds below which no order of the images can end: of all work, and of long images on one worker."""
    times = sorted((value for _, value in images(history=True)), reverse=True)
    found = sum(times) / workers
    for together in range(1, len(times) // workers + 1):
        shared = times[: together * workers + 1]
        if len(shared) > together * workers:
            found = max(found, sum(shared[-together - 1 :]))
    return max(found, times[0])


def main() -> None:
    """Print the table, and write it as JSON where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    alone = {history: night(1, history=history)[0] for history in (False, True)}
    print(f"{len(images(history=True))} images, one worker {alone[True]:.0f} s")
    print("workers  possible/N | first night/N  switches | later night/N  switches | ms per choice")
    for workers in COUNTS:
        possible = min(1.0, alone[True] / least(workers) / workers)
        first, first_switches, _ = night(workers, history=False)
        later, later_switches, choice = night(workers, history=True)
        row = {
            "workers": workers,
            "possible": round(possible, 4),
            "first_night": round(alone[False] / first / workers, 4),
            "later_night": round(alone[True] / later / workers, 4),
            "seconds": round(later, 1),
            "switches": [first_switches, later_switches],
        }
        rows.append(row)
        print(
            f"{workers:7}  {possible:10.3f} | {row['first_night']:13.3f}  {first_switches:8} | "
            f"{row['later_night']:13.3f}  {later_switches:8} | {choice * 1000:.1f}"
        )
    if args.out is not None:
        args.out.write_text(json.dumps({"images": len(images(history=True)), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
