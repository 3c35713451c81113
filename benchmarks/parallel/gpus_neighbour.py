"""Whether a neighbour on the host's other GPU makes an image slower: pinned to cores, or not, and beside readers.

Each GPU has a process with the random model at full size, which runs timed loops when it is told to. Run as a script,
this file is such a process: one JSON line in per order, one out per answer.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "gpu"))

from gpus_sessions import ROOT, Found, Lab, environment

#: seconds until a process must have its model.
LOADING = 120.0
#: what one order takes at most, in seconds.
ANSWERING = 60.0
#: how many timed loops of 4 steps, by the size's place in `Lines.sizes`.
LOOPS = (3, 1)
_FEEDING = 4


def main() -> None:
    """Serve orders until the input ends: `{"cores": [..]}` runs the loops on these cores."""
    import gpu_parts as parts

    from qiltest.recipe import Size
    from qiltest.suite.load import load_suite

    scale = parts.Scale(dry=sys.argv[1] == "dry")
    generator = parts.generator_of(scale)
    suite = load_suite(ROOT / "cases")
    sizes = [scale.size(size) for size in (Size(704, 1280), Size(1328, 1328))]
    case, variant = suite.case("pi-number")[0], suite.variant("4step")
    recipes = [generator.recipe(case, size, variant, 42) for size in sizes]
    generator.prepare({recipe.prompt for recipe in recipes})
    for recipe in recipes:
        generator.warm_up(recipe)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        _on(json.loads(line)["cores"])
        found = {}
        for recipe, loops in zip(recipes, LOOPS, strict=True):
            made = [generator.denoise(recipe) for _ in range(loops)]
            found[str(recipe.effective)] = {
                "seconds_a_forward": [one.denoise_seconds / recipe.nfe for one in made],
                "latents": sorted({one.latents_sha256 for one in made}),
            }
        print(json.dumps(found), flush=True)


def _on(cores: Sequence[int]) -> None:
    """Move all threads of this process to these cores."""
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            os.sched_setaffinity(int(thread.name), cores)


class Line:
    """A process on one GPU."""

    def __init__(self, lab: Lab, gpu: int) -> None:
        self._child = subprocess.Popen(
            [sys.executable, str(Path(__file__)), "dry" if lab.dry else "full"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env=environment("" if lab.dry else str(gpu)),
        )  # fmt: skip
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._answers.put(line)
        self._answers.put("")

    def order(self, cores: Sequence[int]) -> None:
        """Begin the loops."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps({"cores": list(cores)}) + "\n")
        self._child.stdin.flush()

    def answer(self, limit: float) -> Found:
        """Return the next answer. Raises RuntimeError where there is none in time."""
        end = time.monotonic() + limit
        while True:
            try:
                line = self._answers.get(timeout=max(0.1, end - time.monotonic()))
            except queue.Empty:
                raise RuntimeError(f"no answer after {limit:.0f} s") from None
            if not line:
                raise RuntimeError(f"a process ended with {self._child.wait(5)}")
            if line.startswith("{"):
                found: Found = json.loads(line)
                return found

    def close(self) -> None:
        """End the process."""
        self._child.kill()
        self._child.wait()


@contextmanager
def busy(cores: Sequence[int], number: int) -> Iterator[None]:
    """Keep so many processes busy on these cores: what reading may take at most."""
    command = ["taskset", "-c", ",".join(map(str, cores)), sys.executable, "-c", "while True: pass"]
    children = [subprocess.Popen(command) for _ in range(number)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
        for child in children:
            child.wait()


def neighbours(lab: Lab) -> Found:
    """Time loops of both GPUs alone, together, pinned, and beside busy readers."""
    begin = time.perf_counter()
    lines = [Line(lab, gpu) for gpu in (0, 1)]
    try:
        for line in lines:
            line.answer(min(LOADING, lab.left))
        found: Found = {"loading_seconds": time.perf_counter() - begin, "states": {}}
        every, share = lab.cores, min(_FEEDING, len(lab.cores) // 3) or 1
        pins = [every[-share:], every[-2 * share : -share] or every]
        rest = every[: -2 * share] or every
        states = found["states"]
        states["first alone"] = _run(lines, [every, None])
        states["second alone"] = _run(lines, [None, every])
        states["both"] = _run(lines, [every, every])
        states["both, pinned"] = _run(lines, pins)
        with busy(every, len(every)):
            states["both, all cores busy"] = _run(lines, [every, every])
            states["both, pinned, all cores busy"] = _run(lines, pins)
        with busy(rest, len(rest)):
            states["both, pinned, all other cores busy"] = _run(lines, pins)
    finally:
        for line in lines:
            line.close()
    latents = [one["latents"] for state in states.values() for by in state.values() for one in by.values()]
    kinds = {size for state in states.values() for by in state.values() for size in by}
    found["loops"] = sum(
        len(one["seconds_a_forward"]) for s in states.values() for b in s.values() for one in b.values()
    )
    found["different_latents"] = len({each for one in latents for each in one}) - len(kinds)
    return found


def _run(lines: Sequence[Line], cores: Sequence[Sequence[int] | None]) -> Found:
    """Run one order on the GPUs that have cores, at once; return the median seconds of a forward by GPU and size."""
    asked = [(number, line, on) for number, (line, on) in enumerate(zip(lines, cores, strict=True)) if on is not None]
    for _, line, on in asked:
        line.order(on)
    answers = {f"GPU {number}": line.answer(ANSWERING) for number, line, _ in asked}
    for answer in answers.values():
        for one in answer.values():
            one["median"] = median(one["seconds_a_forward"])
    return answers


if __name__ == "__main__":
    main()
