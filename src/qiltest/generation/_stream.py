"""Read tensors of safetensors files straight onto a GPU: several files' pieces at once, through pinned memory.

A mapped tensor that is copied to a GPU is read by one thread, page by page, through the driver's own small buffer: a
few GB per second. Here each of several threads reads pieces into pinned memory of its own, from where the GPU fetches
them while the thread reads on. The bytes are the same.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import torch

from qiltest.errors import ModelError
from qiltest.files import stamp
from qiltest.lora.safetensors_file import SafetensorsFile, TensorInfo, open_safetensors

#: threads that read at once, bytes that each reads at once, and pieces of pinned memory that each has.
_READERS, _PIECE, _PIECES = 8, 16 << 20, 2
#: tensors that are read or wait to be taken, for each thread.
_AHEAD = 2
#: safetensors' names of the dtypes that are read so.
DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A tensor to read: its name, and where it lies."""

    name: str
    file: SafetensorsFile
    info: TensorInfo


def streams(device: torch.device) -> bool:
    """Return whether tensors for a device are read so."""
    return device.type == "cuda" and hasattr(os, "preadv")


def wanted_of(paths: Iterable[Path]) -> list[Wanted]:
    """Return all tensors of files, in the order in which they lie there. Raises RecipeError for a damaged file."""
    files = [open_safetensors(path) for path in paths]
    found = [Wanted(name=name, file=file, info=info) for file in files for name, info in file.tensors.items()]
    order = {id(file): number for number, file in enumerate(files)}
    return sorted(found, key=lambda one: (order[id(one.file)], one.info.start))


def readable(wanted: Iterable[Wanted]) -> bool:
    """Return whether all tensors have dtypes that are read so."""
    return all(one.info.dtype in DTYPES for one in wanted)


def device_tensors(
    wanted: Sequence[Wanted], device: torch.device, *, readers: int | None = None
) -> Generator[tuple[str, torch.Tensor], None, None]:
    """Yield tensors as they are stored, on a device, in the order asked for; later ones are read meanwhile.

    Raises ModelError where a file is not the one whose header was read, OSError where it cannot be read.
    """
    count = readers or min(_READERS, _cores())
    with ExitStack() as stack:
        files = {one.file.path: one.file for one in wanted}
        handles = {path: stack.enter_context(_descriptor(file)) for path, file in files.items()}
        lanes: SimpleQueue[_Lane] = SimpleQueue()
        for _ in range(count):
            lanes.put(_Lane(device))

        def read(one: Wanted) -> torch.Tensor:
            lane = lanes.get()
            try:
                return lane.read(handles[one.file.path], one)
            finally:
                lanes.put(lane)

        pool = stack.enter_context(ThreadPoolExecutor(count, thread_name_prefix="qiltest-weights"))
        stack.callback(pool.shutdown, cancel_futures=True)
        pending: deque[tuple[str, Future[torch.Tensor]]] = deque()
        for one in wanted:
            pending.append((one.name, pool.submit(read, one)))
            if len(pending) > count * _AHEAD:
                name, coming = pending.popleft()
                yield name, coming.result()
        for name, coming in pending:
            yield name, coming.result()


@contextmanager
def _descriptor(file: SafetensorsFile) -> Iterator[int]:
    """Open a file for reading. Raises ModelError where it is not the one whose header was read."""
    number = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if stamp(os.fstat(number)) != file.state:
            raise _changed(file.path)
        yield number
    finally:
        os.close(number)


class _Lane:
    """What one thread at a time reads with: pinned memory, and on a GPU a stream of its own."""

    def __init__(self, device: torch.device) -> None:
        self._device, gpu = device, device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if gpu else None  # type: ignore[no-untyped-call]
        self._pieces = [torch.empty(_PIECE, dtype=torch.uint8, pin_memory=gpu) for _ in range(_PIECES)]
        self._fetched = [torch.cuda.Event() if gpu else None for _ in range(_PIECES)]  # type: ignore[no-untyped-call]

    def read(self, handle: int, one: Wanted) -> torch.Tensor:
        """Return one tensor on the device; nothing of the copy is left to be done."""
        start, end = one.info.start, one.info.end
        flat = torch.empty(end - start, dtype=torch.uint8, device=self._device)
        if self._stream is not None:  # the memory may have been another tensor's a moment ago
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
        at, turn = start, 0
        while at < end:
            at += self._piece(handle, at, flat[at - start : at - start + _PIECE], turn, one)
            turn = (turn + 1) % _PIECES
        if self._stream is not None:
            self._stream.synchronize()
        return flat.view(DTYPES[one.info.dtype]).view(one.info.shape)

    def _piece(self, handle: int, at: int, target: torch.Tensor, turn: int, one: Wanted) -> int:
        """Read a piece and let the device fetch it; return how many bytes it had."""
        piece, fetched = self._pieces[turn], self._fetched[turn]
        if fetched is not None:
            fetched.synchronize()
        got = os.preadv(handle, [piece.numpy().data[: target.numel()]], at)
        if got == 0:
            raise _changed(one.file.path)
        if self._stream is None or fetched is None:
            target[:got].copy_(piece[:got])
        else:
            with torch.cuda.stream(self._stream):
                target[:got].copy_(piece[:got], non_blocking=True)
            fetched.record(self._stream)
        return got


def _changed(path: Path) -> ModelError:
    return ModelError(
        "the file was changed while it was read",
        where=str(path),
        remedy="run again; leave the model alone until the session ends",
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
