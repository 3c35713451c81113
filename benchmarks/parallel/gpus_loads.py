"""What two workers of one host cost each other while both read the same weights from the disk.

A file of bfloat16 matrices is put out of the page cache and read onto one GPU, then onto two at once, then onto two in
turns: seconds, bytes that came from the disk, and memory of the process beside the page cache. Run as a script, this
file is one reader: it reads when a line comes in.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from gpus_sessions import Found, Lab, environment

#: matrices of the file: rows and columns of Qwen-Image's feed-forward, 75 MB each.
_SHAPE, _COUNT = (12288, 3072), 106
_DRY = (512, 512), 16
_READY, _ANSWER = 120.0, 120.0


def main() -> None:
    """Read a file onto the device for each line that comes in."""
    import torch

    path, device = Path(sys.argv[1]), torch.device(sys.argv[2])
    torch.zeros(1, device=device)
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        before, begin = _read_bytes(), time.perf_counter()
        kept = list(_tensors(path, device))
        if device.type == "cuda":
            torch.cuda.synchronize()
        found = {
            "seconds": time.perf_counter() - begin,
            "bytes": sum(tensor.numel() * tensor.element_size() for tensor in kept),
            "from_disk": _read_bytes() - before,
            "own_memory_peak": _peak(),
        }
        del kept
        print(json.dumps(found), flush=True)


def _tensors(path: Path, device: Any) -> Iterator[Any]:  # noqa: ANN401  torch is imported by the reader alone
    """Yield the file's tensors on a device, as qiltest loads a model."""
    if device.type == "cuda" and find_spec("qiltest.generation._stream"):
        from importlib import import_module

        stream = import_module("qiltest.generation._stream")
        yield from (tensor for _, tensor in stream.device_tensors(stream.wanted_of([path]), device))
        return
    from safetensors import safe_open

    with safe_open(path, framework="pt", device="cpu") as file:
        for name in file.keys():  # noqa: SIM118  not a mapping
            yield file.get_tensor(name).to(device, copy=True)


def _read_bytes() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("read_bytes")).split()[1])


def _peak() -> int:
    """Return the memory of this process that is not of files, in bytes; the kernel keeps no peak of it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


def loads(lab: Lab) -> Found:
    """Read the same file on one and on two GPUs, at once and in turns."""
    folder = lab.scratch / "loads"
    folder.mkdir()
    path = folder / "weights.safetensors"
    begin = time.perf_counter()
    _write(path, lab)
    found: Found = {"bytes": path.stat().st_size, "writing_seconds": time.perf_counter() - begin}
    readers = [_Reader(path, lab, gpu) for gpu in (0, 1)]
    try:
        for reader in readers:
            reader.answer()
        first, second = readers
        _forget(path)
        found["one alone, cold"] = [first.read()]
        found["one alone, known"] = [first.read()]
        _forget(path)
        begin = time.perf_counter()
        first.order()
        second.order()
        found["two at once, cold"] = [first.answer(), second.answer()]
        found["two at once, wall"] = time.perf_counter() - begin
        _forget(path)
        begin = time.perf_counter()
        found["two in turns, cold"] = [first.read(), second.read()]
        found["two in turns, wall"] = time.perf_counter() - begin
    finally:
        for reader in readers:
            reader.close()
        path.unlink()
    return found


def _write(path: Path, lab: Lab) -> None:
    shape, number = _DRY if lab.dry else (_SHAPE, _COUNT)
    code = (
        "import sys, torch; from safetensors.torch import save_file; "
        f"save_file({{str(k): torch.randn({shape}, device=sys.argv[2]).bfloat16().cpu() for k in range({number})}}, "
        "sys.argv[1])"
    )
    device = "cpu" if lab.dry else "cuda"
    subprocess.run([sys.executable, "-c", code, str(path), device], check=True, timeout=max(1.0, min(120, lab.left)))
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _forget(path: Path) -> None:
    """Put a file out of the page cache."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class _Reader:
    """A process that reads onto one GPU."""

    def __init__(self, path: Path, lab: Lab, gpu: int) -> None:
        command = [sys.executable, __file__, str(path), "cpu" if lab.dry else "cuda"]
        self._child = subprocess.Popen(
            ["timeout", str(_READY + _ANSWER), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment("" if lab.dry else str(gpu)),
        )

    def order(self) -> None:
        """Begin to read."""
        assert self._child.stdin is not None
        self._child.stdin.write("\n")
        self._child.stdin.flush()

    def answer(self) -> Found:
        """Return what was measured. Raises RuntimeError where the process ended."""
        assert self._child.stdout is not None
        for line in self._child.stdout:
            if line.startswith("{"):
                found: Found = json.loads(line)
                return found
        raise RuntimeError(f"a reader ended with {self._child.wait(5)}")

    def read(self) -> Found:
        """Read, and return what was measured."""
        self.order()
        return self.answer()

    def close(self) -> None:
        """End the process."""
        self._child.terminate()
        self._child.wait()


if __name__ == "__main__":
    main()
