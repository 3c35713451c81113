"""Choose workers, of this host or of a cluster, and open a generator over them."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial

from qiltest.arguments import ALL
from qiltest.engine.environment import visible_gpus
from qiltest.engine.loops import timed_by
from qiltest.engine.options import Options
from qiltest.engine.parallel.generator import WorkersGenerator
from qiltest.engine.parallel.pool import WorkerPool
from qiltest.engine.parallel.process import ProcessWorker
from qiltest.engine.parallel.records import OpenGenerator, Place, Setup, StartWorker, Worker
from qiltest.errors import DeviceError
from qiltest.generation.opening import open_generator
from qiltest.generation.settings import Settings
from qiltest.text.format import count

#: cores that feeding a GPU takes at most: the rest are for reading.
_FEEDING = 4


def open_workers(
    options: Options,
    settings: Settings,
    *,
    most: int | None = None,
    start: StartWorker | None = None,
    opener: OpenGenerator | None = None,
) -> WorkersGenerator:
    """Start the workers of `--qil-workers` or `--qil-cluster` without waiting for their models. Raises DeviceError.

    `most` is how many images there are: no worker is started that would have none.
    `opener` opens a generator in a worker; None: the one that `options` and `settings` describe.
    """
    on_cpu = (settings.device or "cuda").startswith("cpu")
    threads = (settings.threads or 1) if on_cpu else settings.threads
    if options.cluster is not None:
        return _open_cluster(options.cluster, options, replace(settings, threads=threads), on_cpu=on_cpu, opener=opener)
    places = cpu_places(options.workers, threads or 1, most) if on_cpu else gpu_places(options.workers, most)
    setup = _setup(options, replace(settings, threads=threads), opener)
    return WorkersGenerator(WorkerPool(places, setup, start or start_process))


def _open_cluster(
    address: str, options: Options, settings: Settings, *, on_cpu: bool, opener: OpenGenerator | None
) -> WorkersGenerator:
    """Start the workers of `--qil-cluster`, and wait until each has its place. Raises DeviceError."""
    from qiltest.engine.parallel import ray_cluster

    places, start = ray_cluster.join(address, options.workers, threads=settings.threads if on_cpu else None)
    started: list[Worker] = []

    def noting(place: Place, setup: Setup) -> Worker:
        started.append(start(place, setup))
        return started[-1]

    generator = WorkersGenerator(WorkerPool(places, _setup(options, settings, opener), noting), ray_cluster.leave)
    try:
        ray_cluster.placed(started)
    except DeviceError:
        generator.close()
        raise
    return generator


def _setup(options: Options, settings: Settings, opener: OpenGenerator | None) -> Setup:
    # what this process shows of its loops, no worker can show
    settings = replace(settings, on_step=None)
    timed = replace(timed_by(options), device=settings.device)
    return Setup(open_generator=opener or partial(open_generator, options.model, settings), timed=timed)


def start_process(place: Place, setup: Setup) -> Worker:
    """Start a worker process. Raises DeviceError."""
    try:
        return ProcessWorker(place, setup)
    except OSError as error:
        raise DeviceError(
            f"worker {place.number} cannot be started: {error.strerror or error}",
            remedy="close other programs, or give --qil-workers a smaller number",
        ) from error


def cpu_places(asked: int | str | None, threads: int, most: int | None = None) -> tuple[Place, ...]:
    """Return places of `threads` cores each, no core in two of them, and at most `most`.

    Raises DeviceError where there are too few cores.
    """
    own = cores()
    room = max(1, len(own) // threads)
    number = room if asked == ALL or asked is None else int(asked)
    if number * threads > len(own):
        raise DeviceError(
            f"{count(number, 'worker')} of {count(threads, 'thread')}, but {count(len(own), 'core')}",
            where="--qil-workers",
            remedy=f"give {room} or less, so that each has cores of its own",
        )
    number = min(number, most or number)
    shares = (own[k * threads : (k + 1) * threads] for k in range(number))
    return tuple(Place(number=k, cores=share) for k, share in enumerate(shares, start=1))


def gpu_places(asked: int | str | None, most: int | None = None) -> tuple[Place, ...]:
    """Return places of one GPU each, with cores of their own where there are enough, and at most `most`.

    Raises DeviceError where there are too few GPUs, or nobody can tell.
    """
    gpus = visible_gpus()
    if gpus is None:
        if asked == ALL:
            raise DeviceError(
                "nobody can tell how many GPUs there are: nvidia-ml-py is not installed",
                where="--qil-workers=all",
                remedy="pip install nvidia-ml-py, or give a number",
            )
        gpus = tuple(map(str, range(int(asked or 1))))
    number = len(gpus) if asked == ALL or asked is None else int(asked)
    if not 0 < number <= len(gpus):
        raise DeviceError(
            f"{count(number, 'worker')}, but {count(len(gpus), 'GPU')}",
            where="--qil-workers",
            remedy="give at most as many as there are GPUs (CUDA_VISIBLE_DEVICES hides others)",
        )
    number = min(number, most or number)
    own = cores()
    share = min(_FEEDING, len(own) // (number + 1))
    return tuple(
        Place(
            number=k + 1,
            gpu=gpus[k],
            # the first cores are left to this process and the readers
            cores=own[len(own) - (k + 1) * share : len(own) - k * share] if share else None,
            beside=number - 1,
        )
        for k in range(number)
    )


def cores() -> tuple[int, ...]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))
