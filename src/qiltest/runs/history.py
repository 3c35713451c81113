"""History: one line per run in `<runs>/history.jsonl`, kept after the runs' folders are deleted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from filelock import FileLock
from pydantic import ConfigDict

from qiltest.errors import StoreError, os_errors_as
from qiltest.files import open_regular
from qiltest.recipe import TOLD_FACT, Scalar
from qiltest.runs.aggregate import ErrorRate
from qiltest.runs.records import CaseResult, Purpose, Run
from qiltest.runs.status import Status, status_of
from qiltest.strict_json import STORED, StrictJsonError, decode
from qiltest.suite.variants import is_candidate

HISTORY = "history.jsonl"
#: 3: what the images were made by, so that what changed between two runs can be said.
SCHEMA = 3
#: most runs that a chart shows.
MAX_RUNS = 20
#: bytes of the history that a chart is made of, those of 1,000 runs of the suite.
_LAST = 16 << 20
#: seconds to wait for another process that adds its line.
_PATIENCE = 30
#: bytes, brackets and names of a line, those of a run of 10,000 images: a parser takes a kilobyte for each bracket.
_MAX_LINE, _MAX_BRACKETS, _MAX_NAMES = 4 << 20, 10_100, 120_000
#: hexadecimal digits of hashes, enough to tell two apart.
_DIGITS = 12
#: facts of a recipe that differ from image to image, or name a place.
_OF_AN_IMAGE = frozenset(
    {
        "prompt",
        "seed",
        "asked",
        "effective",
        "sigmas",
        "variant",
        "model",
        "negative_prompt",
        "elsewhere.file_sha256",
    }
)


@dataclass(frozen=True, kw_only=True)
class HistorySample:
    """One sample of a run."""

    variant: str
    status: str
    #: edits and expected characters; None where nothing was scored.
    distance: int | None
    length: int | None
    #: denoise loop; None where it was not timed.
    seconds: float | None
    #: True where this run recorded the image, or its latency, as golden.
    accepted: bool = False
    #: first digits of the recipe's key, of the image's SHA-256 and of the golden's image; "" where there is none.
    recipe: str = ""
    image: str = ""
    golden: str = ""

    @property
    def fails(self) -> bool:
        """True where the image was judged and does not pass."""
        return self.status not in {Status.PASS, Status.WAITING} and not self.accepted

    @property
    def passes(self) -> bool:
        """True where the image passes."""
        return self.status == Status.PASS

    __pydantic_config__: ClassVar[ConfigDict] = STORED


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """One run in the history."""

    schema: int
    run: str
    #: ISO 8601.
    started: str
    model: str
    #: `ReaderInfo.fingerprint`: rates of different readers are not comparable.
    reader: str
    purpose: Purpose = Purpose.SUITE
    #: commit, versions, device, driver and the like, by name; "" for what is not known.
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    #: the facts of a variant's recipes that its images share, by variant: LoRA, scheduler, steps and the like.
    variants: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    #: by sample id.
    samples: Mapping[str, HistorySample] = field(default_factory=dict)

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    def facts_of(self, sample: str) -> dict[str, Scalar]:
        """Return all that is known of how a sample's image was made, read and judged."""
        own = self.samples.get(sample)
        # the session's facts come first; a recipe's versions are those that made the image, and its device has no name
        made = {**self.facts, **(self.variants.get(own.variant, {}) if own else {})}
        return made | {name: self.facts[name] for name in ("device",) if name in self.facts}

    @property
    def candidates(self) -> tuple[str, ...]:
        """The LoRA files that a check tried, each as its name and the first digits of its SHA-256."""
        found = (facts for name, facts in self.variants.items() if is_candidate(name))
        return tuple(
            f"{Path(str(facts.get('lora.source', '?'))).name} ({str(facts.get('lora.sha256', ''))[:_DIGITS]})"
            + (f" x {facts['lora.strength']}" if "lora.strength" in facts else "")
            for facts in found
        )

    def rates(self) -> dict[str, ErrorRate]:
        """Return the pooled error rate of each variant that has one."""
        found: dict[str, list[HistorySample]] = {}
        for sample in self.samples.values():
            if sample.distance is not None and sample.length:
                found.setdefault(sample.variant, []).append(sample)
        return {variant: _pooled(samples) for variant, samples in found.items()}


def _pooled(samples: list[HistorySample]) -> ErrorRate:
    distance = sum(sample.distance or 0 for sample in samples)
    return ErrorRate(distance=distance, length=sum(sample.length or 0 for sample in samples), count=len(samples))


def past_of(run: Run) -> HistoryEntry:
    """Return a run's history entry."""
    return HistoryEntry(
        schema=SCHEMA,
        run=run.id,
        started=run.started,
        model=run.model,
        reader=run.reader.fingerprint,
        purpose=run.purpose,
        facts=_facts(run),
        variants=_variants(run),
        samples={result.id: _sample(result) for result in run.results},
    )


def _facts(run: Run) -> dict[str, Scalar]:
    known: dict[str, Scalar] = {"commit": run.commit, "device": run.device_name, "driver": run.driver}
    reader: dict[str, Scalar] = {"reader": run.reader.fingerprint, "qiltest-reading": run.reader.code}
    return {**known, **reader, **dict(run.versions), "qiltest": run.qiltest_version}


def _variants(run: Run) -> dict[str, dict[str, Scalar]]:
    found: dict[str, dict[str, Scalar]] = {}
    for result in run.results:
        if result.recipe is not None and result.sample.variant not in found:
            facts = result.recipe.facts().items()
            found[result.sample.variant] = {name: value for name, value in facts if name not in _OF_AN_IMAGE}
        elif result.recipe is not None and result.recipe.elsewhere is not None:
            _keep_shared(found[result.sample.variant], result.recipe.facts())
    return found


def _keep_shared(facts: dict[str, Scalar], other: Mapping[str, Scalar]) -> None:
    """Take away what is told of an image made elsewhere and is not told of another one of its variant."""
    for name in [name for name in facts if name.startswith(TOLD_FACT) and other.get(name) != facts[name]]:
        del facts[name]


def _sample(result: CaseResult) -> HistorySample:
    score = result.score
    return HistorySample(
        variant=result.sample.variant,
        status=status_of(result).value,
        distance=None if score is None else score.distance,
        length=None if score is None else score.length,
        seconds=None if result.timing is None else result.timing.denoise_seconds,
        accepted=(result.golden_recorded or result.latency_recorded) and not result.error,
        recipe="" if result.recipe is None else result.recipe.key()[:_DIGITS],
        image="" if result.image is None else result.image.sha256[:_DIGITS],
        golden="" if result.golden is None else result.golden.image[:_DIGITS],
    )


def record(run: Run) -> Path:
    """Add a run to the history beside its folder and return the file. Raises OSError.

    Safe with several processes. Of a run that is recorded twice the last line counts.
    """
    path = run.path.parent / HISTORY
    if path.exists() and not path.is_file():
        raise OSError(22, "it is not a plain file", str(path))
    line = json.dumps(asdict(past_of(run)), allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
    with FileLock(path.with_name(f".{HISTORY}.lock"), timeout=_PATIENCE), path.open("ab+") as file:
        # keep this line apart from one that a killed process cut short
        if file.tell() and _last_byte(file.fileno()) != b"\n":
            line = b"\n" + line
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return path


def _last_byte(handle: int) -> bytes:
    return os.pread(handle, 1, os.fstat(handle).st_size - 1)


def read(path: Path, *, last: int | None = None) -> tuple[tuple[HistoryEntry, ...], int]:
    """Return the runs of a history file, oldest first, and the number of lines that are damaged or of another version.

    Only of its `last` bytes, if given. A missing file is an empty history. Raises StoreError for one that cannot be
    read.
    """
    found: dict[str, HistoryEntry] = {}
    bad = 0
    for line in _lines(path, last):
        entry = _decoded(line)
        if entry is None:
            bad += 1
        else:
            found[entry.run] = entry
    return tuple(sorted(found.values(), key=lambda entry: (entry.started, entry.run))), bad


def _lines(path: Path, last: int | None) -> Iterator[bytes]:
    """Yield the lines that are not empty; a line that is too long comes in parts, none of which is an entry."""
    remedy = "make it a readable file, or move it away: the next run begins a new one"
    with os_errors_as(StoreError, "the history cannot be read", where=str(path), remedy=remedy):
        try:
            file = open_regular(path)
        except FileNotFoundError:
            return
    with file:
        if last is not None and os.fstat(file.fileno()).st_size > last:
            file.seek(-last, os.SEEK_END)
            file.readline(_MAX_LINE)  # the rest of a line
        while line := file.readline(_MAX_LINE):
            if line.strip():
                yield line.removesuffix(b"\n")


def _decoded(line: bytes) -> HistoryEntry | None:
    if line.count(b"{") + line.count(b"[") > _MAX_BRACKETS or line.count(b'":') > _MAX_NAMES:
        return None
    try:
        entry = decode(HistoryEntry, line)
    except StrictJsonError:
        return None
    return entry if entry.schema == SCHEMA else None


def history(run: Run, limit: int = MAX_RUNS) -> tuple[HistoryEntry, ...]:
    """Return the recorded runs of the same model, reader and samples up to this one, oldest first, and this one."""
    now = past_of(run)
    same = [e for e in before(run) if (e.reader, e.samples.keys()) == (now.reader, now.samples.keys())]
    return (*same, now)[-limit:]


def before(run: Run) -> tuple[HistoryEntry, ...]:
    """Return the recorded runs of the same model and purpose that began before this one, oldest first."""
    path = run.path.parent / HISTORY
    entries: tuple[HistoryEntry, ...] = ()
    # a report is written without the past; that it cannot be read is told by `record`
    with suppress(StoreError, OSError):
        state = path.stat()
        entries = _remembered(path, state.st_size, state.st_mtime_ns, state.st_ino)
    return tuple(
        entry
        for entry in entries
        if (entry.model, entry.purpose) == (run.model, run.purpose)
        and entry.run != run.id
        and entry.started <= run.started
    )


@lru_cache(maxsize=1)
def _remembered(path: Path, *_: int) -> tuple[HistoryEntry, ...]:
    """Return the runs of a file as it is: the reports of one session ask for them several times."""
    return read(path, last=_LAST)[0]
