"""Time and memory of `qiltest verify` on run folders made to hurt: each of 100 MB, with a whole chain.

pytest                                            # makes a run to begin with
python benchmarks/runs/hostile_runs.py runs/ID    # a table; exit code 1 where a limit is passed
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from qiltest.runs.events import Generated, Judged, Started, encode
from qiltest.runs.lines import EVENTS
from qiltest.runs.load import read_events
from qiltest.runs.readings import reading_digest

#: the limits on a folder of 100 MB.
SECONDS, MEGABYTES = 10.0, 300
#: planned images: about as many as a line can hold.
MOST = 15_000


class Chain:
    """Writes lines, each with its number and the hash of the one before."""

    def __init__(self, folder: Path) -> None:
        (folder / "images").mkdir(parents=True)
        self._file = (folder / EVENTS).open("wb")
        self.folder, self.number, self.last, self.size = folder, 0, "", 0

    def event(self, event: Started | Generated | Judged) -> None:
        """Write an event with its place in the chain."""
        self._write(encode(event, line=self.number + 1, before=self.last))

    def raw(self, fields: bytes) -> None:
        """Write an event with these fields, whatever they are."""
        head = f'{{"event":"judged","line":{self.number + 1},"before":"{self.last}",'.encode()
        self._write(head + fields + b"}\n")

    def junk(self, data: bytes) -> None:
        """Write what is no line of the chain."""
        self._file.write(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: bytes) -> None:
        self._file.write(line)
        self.number, self.last, self.size = (
            self.number + 1,
            hashlib.sha256(line[:-1]).hexdigest(),
            self.size + len(line),
        )


class Source:
    """The events of one image of a stored run, for as many seeds as are wanted."""

    def __init__(self, run: Path) -> None:
        events, _ = read_events(run)
        self.started = next(event for event in events if isinstance(event, Started))
        self.generated = next(event for event in events if isinstance(event, Generated))
        self.judged = next(event for event in events if isinstance(event, Judged) and event.reading is not None)
        self.generated = replace(self.generated, sample=self.judged.sample)

    def begin(self, chain: Chain, images: int) -> None:
        """Write a start that plans so many images."""
        planned = tuple(replace(self.judged.sample, seed=seed) for seed in range(images))
        chain.event(replace(self.started, planned=planned))

    def image(self, seed: int, sha256: str) -> Generated:
        """Return the event of an image of this seed."""
        assert self.generated.recipe is not None
        sample = replace(self.generated.sample, seed=seed)
        recipe = replace(self.generated.recipe, seed=seed, variant=sample.variant)
        return replace(self.generated, sample=sample, recipe=recipe, key=recipe.key(), sha256=sha256)

    def verdict(self, seed: int, sha256: str, times: int) -> Judged:
        """Return its verdict, on its reading so many times."""
        reading = self.judged.reading
        assert reading is not None
        longer = replace(reading, lines=(reading.lines * times)[:1_000])
        digest = reading_digest(longer, self.judged.health, image=sha256)
        return replace(self.judged, sample=replace(self.judged.sample, seed=seed), reading=longer, digest=digest)


def judged(times: int) -> Callable[[Chain, Source, int], None]:
    """Images with a whole verdict, whose readings are the stored one, repeated."""

    def fill(chain: Chain, source: Source, size: int) -> None:
        source.begin(chain, MOST)
        for seed in range(MOST):
            if chain.size >= size:
                return
            chain.event(source.image(seed, "a" * 64))
            chain.event(source.verdict(seed, "a" * 64, times))

    return fill


def fields(before: bytes, part: bytes, times: int, after: bytes) -> Callable[[Chain, Source, int], None]:
    """Lines whose one field is a part many times over."""

    def fill(chain: Chain, source: Source, size: int) -> None:
        source.begin(chain, 3)
        while chain.size < size:
            chain.raw(before + part * times + after)

    return fill


def junk(made: bytes) -> Callable[[Chain, Source, int], None]:
    """Lines that are no events."""

    def fill(chain: Chain, source: Source, size: int) -> None:
        source.begin(chain, 3)
        for _ in range(size // 1_000_000):
            chain.junk(made * (1_000_000 // len(made)))

    return fill


def starts(chain: Chain, source: Source, size: int) -> None:
    """Nothing but starts."""
    while chain.size < size:
        source.begin(chain, MOST)


def images(chain: Chain, source: Source, size: int) -> None:
    """Images that are large, as those of a real model are."""
    source.begin(chain, 20)
    for seed in range(20):
        data = os.urandom(size // 20)
        sha256 = hashlib.sha256(data).hexdigest()
        (chain.folder / "images" / f"{sha256}.png").write_bytes(data)
        chain.event(source.image(seed, sha256))
        chain.event(source.verdict(seed, sha256, 1))


KINDS: dict[str, Callable[[Chain, Source, int], None]] = {
    "images as large as that": images,
    "verdicts on short readings": judged(1),
    "verdicts on readings of up to 1,000 lines": judged(1_000),
    "starts": starts,
    "lists of brackets": fields(b'"x":[', b"[],", 1_300_000, b"[]]"),
    "names": fields(b'"x":[', b'{"a":0},', 99_000, b"0]"),
    "numbers": fields(b'"reading":{"lines":[{"characters":[', b"1,", 2_000_000, b"1]}]}"),
    "lines that are no event": junk(b"{}\n"),
    "empty lines": junk(b"\n"),
    "one line": junk(b"x"),
}


def measured(source: Source, size: int) -> Iterator[tuple[str, float, int, int]]:
    """Yield kind, seconds, peak memory in MB and exit code of each."""
    for name, fill in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            chain = Chain(Path(folder) / "runs" / "20261130-000000-000000-abcd")
            fill(chain, source, size)
            chain.close()
            words = [sys.executable, "-m", "qiltest", "verify", str(chain.folder)]
            begun, pid = time.monotonic(), subprocess.Popen(words, stdout=subprocess.DEVNULL).pid
            _, status, used = os.wait4(pid, 0)
            yield name, time.monotonic() - begun, used.ru_maxrss >> 10, os.waitstatus_to_exitcode(status)


def main() -> int:
    """Measure all kinds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a stored run of the cases here")
    parser.add_argument("--megabytes", type=int, default=100)
    arguments = parser.parse_args()
    print("| 100 MB of | seconds | MB of memory | exit code |\n|---|---:|---:|---:|")
    good = True
    for name, seconds, memory, code in measured(Source(arguments.run), arguments.megabytes * 10**6):
        print(f"| {name} | {seconds:.1f} | {memory} | {code} |", flush=True)
        good = good and seconds <= SECONDS and memory <= MEGABYTES and code == 1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
