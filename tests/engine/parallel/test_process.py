"""Workers in real processes: killed at each stage, hanging, orphaned; nothing is left behind."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from builders import case, variant
from fake_generator import FakeGenerator, Places, Unpickled
from qiltest.engine.loops import Timed
from qiltest.engine.parallel.generator import WorkersGenerator
from qiltest.engine.parallel.orders import Arrival, Limits
from qiltest.engine.parallel.pool import WorkerPool
from qiltest.engine.parallel.process import ProcessWorker
from qiltest.engine.parallel.records import Asked, Place, Setup, WorkerDiedError
from qiltest.errors import GenerationError
from qiltest.generation.opening import open_generator
from qiltest.generation.settings import Settings
from qiltest.recipe import Size
from qiltest.suite.load import load_suite

#: each worker is a process that imports qiltest
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
CASE, VARIANT = case(), variant("4step")
SIZE = CASE.resolutions[0].size
TIMED = Timed(rounds=1, warms_up=False, device=None)


def started(opener, **place):
    return ProcessWorker(Place(number=1, **place), Setup(open_generator=opener, timed=TIMED))


def asked(seed):
    return Asked(case=CASE, size=SIZE, variant=VARIANT, seed=seed)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def gone(pid, seconds=10):
    return any(not alive(pid) or time.sleep(0.02) for _ in range(int(seconds / 0.02)))


def images_of(opener, *, seeds=4, workers=2, limits=None):
    """What a pool of processes delivers, and its notices."""
    started = []

    def start(place, setup):
        started.append(ProcessWorker(place, setup))
        return started[-1]

    places = [Place(number=number) for number in range(1, workers + 1)]
    pool = WorkerPool(places, Setup(open_generator=opener, timed=TIMED), start, limits=limits)
    generator, found = WorkersGenerator(pool), {}
    recipes = {seed: generator.recipe(CASE, SIZE, VARIANT, seed) for seed in range(seeds)}
    generator.prepare(["p"])
    generator.begin(found.__setitem__)
    generator.order(recipes)
    deadline = time.monotonic() + 60
    while len(found) < seeds and time.monotonic() < deadline:
        time.sleep(0.01)
    generator.close()
    assert all(gone(worker.pid) for worker in started)
    return {seed: found[seed] for seed in range(seeds)}, pool.notices


@pytest.fixture(scope="module")
def alone():
    """The bytes of the images as this process makes them."""
    generator = FakeGenerator()
    recipes = [generator.recipe(CASE, SIZE, VARIANT, seed) for seed in range(4)]
    return [generator.decode(generator.denoise(recipe)).png for recipe in recipes]


# each process imports for a second: one beside the one that dies will do once
@pytest.mark.parametrize(
    ("fault", "workers"),
    [("load-kill", 1), ("prepare-kill", 1), ("denoise-kill", 2), ("decode-kill", 1), ("denoise-hang", 1)],
)
def test_a_process_that_is_killed_or_hangs_at_any_stage_costs_no_image(tmp_path, alone, fault, workers):
    (tmp_path / fault).touch()
    limits = Limits(start=20, image=2, more=2)
    found, notices = images_of(partial(FakeGenerator, wait=0.05, faults=tmp_path), workers=workers, limits=limits)
    assert all(isinstance(one, Arrival) for one in found.values()), found
    assert [one.image.png for one in found.values()] == alone
    why = "killed by SIGKILL" if fault.endswith("kill") else "it had no image after 2 s, and was ended"
    (notice,) = notices
    assert notice in {f"worker {number} died ({why}) and was replaced" for number in range(1, workers + 1)}
    noted = [note for one in found.values() for note in one.notes]
    assert len(noted) == fault.startswith(("denoise", "decode"))
    assert all("died over it" in note for note in noted)


def test_a_process_that_is_killed_while_its_image_travels_says_how_it_died():
    worker = started(FakeGenerator)
    recipe = worker.call("recipe", asked(1)).result(20)
    worker.call("make", 1, recipe, 0).result(20)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(WorkerDiedError, match=r"^killed by SIGKILL$"):
        worker.call("image", 1).result(20)
    with pytest.raises(WorkerDiedError, match=r"^killed by SIGKILL$"):
        worker.call("hello").result(20)
    worker.kill()
    worker.close()


def test_what_a_killed_process_wrote_before_is_not_called_the_reason():
    script = "import os, signal; print('a warning of a library', flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    worker = started(partial(exec, script))
    with pytest.raises(WorkerDiedError, match=r"^killed by SIGKILL$"):
        worker.call("hello").result(20)
    worker.close()


def test_a_process_has_its_gpu_and_cores_before_its_generator_opens_and_errors_travel_whole():
    core = min(os.sched_getaffinity(0))
    worker = started(partial(Places, broken=frozenset({3})), gpu="GPU-8f2a", cores=(core,))
    hello = worker.call("hello").result(20)
    assert hello.model == f"GPU-8f2a on {{{core}}}, {worker.pid}"
    assert hello.pid == worker.pid != os.getpid()
    recipe = worker.call("recipe", asked(3)).result(20)
    with pytest.raises(GenerationError) as caught:
        worker.call("make", 1, recipe, 0).result(20)
    assert (caught.value.what, caught.value.remedy) == ("seed 3 holds NaN", "use bfloat16")
    assert str(caught.value) == "seed 3 holds NaN\n  -> use bfloat16"
    with pytest.raises(ValueError, match="no call 'close'"):
        worker.call("close").result(20)
    worker.close()
    assert gone(worker.pid)
    unpickled = started(Unpickled)
    with pytest.raises(RuntimeError, match="Unpickled"):
        unpickled.call("hello").result(20)
    unpickled.close()


def test_the_last_line_of_a_process_says_why_it_ended():
    worker = started(partial(os.abort))
    with pytest.raises(WorkerDiedError, match="killed by SIGABRT"):
        worker.call("hello").result(20)
    script = partial(
        exec, "import sys, os; print('CUDA error: an illegal \\x1b[31mmemory access', flush=True); os._exit(3)"
    )
    worker = started(script)
    with pytest.raises(WorkerDiedError, match=r"^exit code 3: CUDA error: an illegal ␛\[31mmemory access$"):
        worker.call("hello").result(20)


ORPHANS = """
import sys, time
from functools import partial
from fake_generator import FakeGenerator
from qiltest.engine.loops import Timed
from qiltest.engine.parallel.process import ProcessWorker
from qiltest.engine.parallel.records import Place, Setup
setup = Setup(open_generator=partial(FakeGenerator, wait=60), timed=Timed(rounds=1, warms_up=False, device=None))
workers = [ProcessWorker(Place(number=number), setup) for number in (1, 2)]
workers[0].call("hello").result(30)
print(*(worker.pid for worker in workers), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_its_session_however_that_ends(number):
    path = os.pathsep.join(sys.path)
    session = subprocess.Popen(
        [sys.executable, "-c", ORPHANS],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    pids = [int(pid) for pid in session.stdout.readline().split()]
    assert all(map(alive, pids))
    session.send_signal(number)
    session.communicate(timeout=30)
    assert all(map(gone, pids))


def test_a_process_says_how_far_it_is_while_it_makes_an_image():
    worker = started(partial(FakeGenerator, wait=3.0))
    try:
        assert worker.call("progress").result(30) is None
        recipe = worker.call("recipe", asked(1)).result(30)
        made, heard = worker.call("make", 7, recipe, 0), []
        while not made.done():
            heard.append(worker.call("progress").result(10))
            time.sleep(0.02)
    finally:
        worker.kill()
    told = [step for step in heard if step is not None]
    assert {step.image for step in told} == {7}
    assert {0, 1, 2} < {step.done for step in told}
    assert sorted(told, key=lambda step: step.done) == told
    assert all(0 <= step.done <= recipe.steps and step.of in (0, recipe.steps) for step in told)


@pytest.fixture
def one_thread():
    """This process generates with one thread, as a worker on a CPU does."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    yield Settings(device="cpu", threads=1)
    torch.set_num_threads(before)


def test_two_workers_generate_the_embedded_models_bytes_of_one_process(one_thread):
    opener = partial(open_generator, "tiny", one_thread)
    cores = sorted(os.sched_getaffinity(0))
    places = [Place(number=k + 1, cores=(cores[k % len(cores)],)) for k in range(2)]
    pool = WorkerPool(places, Setup(open_generator=opener, timed=TIMED), ProcessWorker)
    suite = load_suite(ROOT / "cases", keep_doubtful=True)
    shown = next(one for one in suite.cases if one.id == "capybara")
    size, variants = Size(128, 96), [suite.variant(name) for name in ("4step", "8step")]
    wanted = [(shown, size, one, seed) for one in variants for seed in (42, 43)]
    generator, found = WorkersGenerator(pool), {}
    recipes = {number: generator.recipe(*one) for number, one in enumerate(wanted)}
    generator.prepare([recipe.prompt for recipe in recipes.values()])
    generator.begin(found.__setitem__)
    generator.order(recipes)
    alone = opener()
    assert {number: alone.recipe(*one).key() for number, one in enumerate(wanted)} == {
        number: recipe.key() for number, recipe in recipes.items()
    }
    images = {number: alone.decode(alone.denoise(recipe)) for number, recipe in recipes.items()}
    deadline = time.monotonic() + 200
    while len(found) < len(recipes) and time.monotonic() < deadline:
        time.sleep(0.05)
    generator.close()
    assert pool.notices == []
    assert {number: one.image.png for number, one in found.items()} == {n: image.png for n, image in images.items()}
    assert {one.image.latents for one in found.values()} == {image.latents for image in images.values()}
    assert {one.made_on.worker for one in found.values()} == {1, 2}
