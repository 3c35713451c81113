"""The stand-in model of a suite's folder in worker processes: recipes that one built, all can generate."""

from __future__ import annotations

import importlib.util
import pickle
from functools import partial
from pathlib import Path

from qiltest.engine.parallel.process import ProcessWorker
from qiltest.engine.parallel.records import Place, Setup
from qiltest.generation.records import Generator

#: the end of a suite's conftest.py whose sessions start such workers.
OWN_WORKERS = """

if __name__ != "standin_conftest_copy":  # and no worker starts workers
    from functools import partial

    import qiltest.engine.parallel.opening
    from standin_workers import start

    qiltest.engine.parallel.opening.start_process = partial(start, HERE)
    qiltest.engine.parallel.opening.cores = lambda: (0, 1)
"""


class Texts(dict):
    """Cases and settings by recipe key, in a folder that all workers share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def __setitem__(self, key: str, value: object) -> None:
        (self._folder / key).write_bytes(pickle.dumps(value))

    def __getitem__(self, key: str) -> object:
        return pickle.loads((self._folder / key).read_bytes())


def opened(folder: Path) -> Generator:
    """Open the stand-in model of a suite's conftest.py."""
    spec = importlib.util.spec_from_file_location("standin_conftest_copy", folder / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    generator = module.StandinGenerator()
    generator.texts = Texts(folder / "texts")
    return generator


def start(folder: Path, place: Place, setup: Setup) -> ProcessWorker:
    """Start a worker process with the stand-in model, and note its id in `pids`."""
    worker = ProcessWorker(place, Setup(open_generator=partial(opened, folder), timed=setup.timed))
    with (folder / "pids").open("a") as file:
        file.write(f"{worker.pid}\n")
    return worker
