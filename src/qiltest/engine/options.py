"""The options of the plugin: `--qil-…`."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from qiltest.comparison.records import MARGIN
from qiltest.generation.settings import Offload
from qiltest.generation.sources import RANDOM, TINY
from qiltest.recipe import Size
from qiltest.runs.store import Reuse
from qiltest.suite.variants import CANDIDATE

REAL = "Qwen/Qwen-Image"
#: more pictures than this a case are asked for by a list, so that a seed given as a number is not taken for a count.
MAX_SEED_COUNT = 64
AUTO = "auto"
MAX_ROUNDS = 100


class Update(StrEnum):
    """Which goldens a run may write (`--qil-update`)."""

    MISSING = "missing"
    CHANGED = "changed"
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Release:
    """What was asked: a LoRA file, the variant that it is to replace, and the margin of "not worse"."""

    lora: str
    like: str
    #: rise of the character error rate that is taken for not worse, 0 to 1.
    margin: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.margin) and 0 <= self.margin < 1):
            raise ValueError(f"a margin of {self.margin} is no share")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for on the command line, checked."""

    model: str
    #: device for the generator; None lets it choose.
    device: str | None
    #: True where `-m` asks for tests marked gpu.
    gpu: bool
    threads: int | None
    reader: str | None
    cases: tuple[str, ...]
    variants: tuple[str, ...]
    sizes: tuple[Size, ...]
    seed_count: int | None
    seeds: tuple[int, ...]
    update: Update | None
    reuse: Reuse
    #: merge LoRAs into the base's weights while their variant is drawn.
    fuse: bool
    #: compile the transformer's repeated blocks.
    compiled: bool
    offload: Offload
    allow_partial_lora: bool
    #: timed denoise loops a picture; None: by what one costs (`qiltest.engine.timing_rounds`).
    rounds: int | None
    #: the LoRA file on trial; None in a session that holds pictures against goldens.
    release: Release | None
    cases_folder: Path
    golden_folder: Path
    runs_folder: Path
    #: the options as given, to be repeated in the command that accepts a picture.
    given: tuple[str, ...]

    @property
    def is_tiny(self) -> bool:
        """True for the embedded model."""
        return self.model == TINY


def add_options(parser: pytest.Parser) -> None:
    """Add the plugin's options to pytest."""
    group = parser.getgroup("qiltest", "text in generated pictures (qiltest)")
    for flag, metavar, text in (*_SINGLE, *_RELEASE):
        group.addoption(flag, metavar=metavar, default=None, help=text)
    for flag, metavar, text in _LISTS:
        group.addoption(flag, metavar=metavar, action="append", default=[], help=text)
    group.addoption(
        "--qil-update",
        choices=[update.value for update in Update],
        default=None,
        help="write goldens: those that are missing, those that changed, or all. Refused where CI is set",
    )
    for flag, text in _FLAGS:
        group.addoption(flag, action="store_true", help=text)
    group.addoption("--qil-fresh", action="store_true", help="draw every picture, also those of an unfinished run")
    group.addoption(
        "--qil-reuse",
        action="store_true",
        help="take pictures of equal recipe from any run, with their latency and what the same reader read in them",
    )


_SINGLE = (
    ("--qil-model", "MODEL", f"tiny, random, a Hugging Face id or a folder. Default: {TINY}; with -m gpu {REAL}"),
    ("--qil-device", "DEVICE", "device to draw on, such as cuda:1. Default: the CPU for tiny; with -m gpu the GPU"),
    ("--qil-threads", "N", "CPU threads of the model"),
    ("--qil-offload", "WAY", "for a card that does not hold the model: none, model or sequential. Default: none"),
    ("--qil-rounds", "N|auto", "timed denoise loops a picture. Default: 1; with -m gpu auto, by what one costs"),
    ("--qil-reader", "READER", "reader of all cases that name none. Default: rapidocr"),
    ("--qil-seeds", "N|LIST", "N seeds a case, beginning with its own, or a list such as 42,43 (one seed: `42,`)"),
    ("--qil-cases", "DIR", "folder of case files and variants.toml. Default: cases"),
    ("--qil-golden", "DIR", "folder of goldens. Default: golden"),
    ("--qil-runs", "DIR", "folder of runs. Default: runs"),
)
_RELEASE = (
    ("--qil-lora", "FILE", "may this LoRA file replace a variant? Draws both and ends with the paired verdict"),
    ("--qil-like", "VARIANT", "the variant that --qil-lora is to replace: all but the LoRA is as in this one"),
    ("--qil-margin", "RATE", "rise of the character error rate that --qil-lora takes for not worse. Default: 0.01"),
)
_FLAGS = (
    ("--qil-fuse", "merge LoRAs into the base's weights while their variant is drawn; a recipe of its own"),
    ("--qil-compile", "compile the transformer's repeated blocks; a recipe of its own"),
    ("--qil-allow-partial-lora", "take a LoRA that leaves a module out, or is zero, in some blocks and not in others"),
)
_LISTS = (
    ("--qil-case", "ID[@WxH]", "this case alone; may be repeated, or several with commas"),
    ("--qil-variant", "NAME", "this variant alone; may be repeated, or several with commas; `all` for every one"),
    ("--qil-size", "WxH", "this resolution alone; may be repeated, or several with commas"),
)


def read_options(config: pytest.Config, *, gpu: bool) -> Options:
    """Return the session's options. Raises pytest.UsageError that says what to write instead."""
    values: Mapping[str, object] = vars(config.option)
    update = _update(config)
    model = config.getoption("--qil-model") or (REAL if gpu else TINY)
    count, seeds = _seeds(config.getoption("--qil-seeds"))
    release = _release(config, model=model)
    variants = _names(config.getoption("--qil-variant"))
    return Options(
        model=model,
        device=_device(config.getoption("--qil-device"), gpu=gpu, model=model),
        gpu=gpu,
        threads=_threads(config.getoption("--qil-threads")),
        reader=config.getoption("--qil-reader"),
        cases=_names(config.getoption("--qil-case")),
        # the candidate first: what keeps it from being drawn shows at once
        variants=variants if release is None else (CANDIDATE, release.like),
        sizes=_sizes(_names(config.getoption("--qil-size"))),
        seed_count=count,
        seeds=seeds,
        update=update,
        reuse=_reuse(config, release=release),
        fuse=config.getoption("--qil-fuse"),
        compiled=config.getoption("--qil-compile"),
        offload=_offload(config.getoption("--qil-offload")),
        allow_partial_lora=config.getoption("--qil-allow-partial-lora"),
        rounds=_rounds(config.getoption("--qil-rounds"), gpu=gpu),
        release=release,
        cases_folder=_folder(config, "--qil-cases", "cases"),
        golden_folder=_folder(config, "--qil-golden", "golden"),
        runs_folder=_folder(config, "--qil-runs", "runs"),
        given=tuple(_given(values)),
    )


def in_ci() -> bool:
    """Say whether the environment says that this is a CI machine, where goldens never change."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


def _update(config: pytest.Config) -> Update | None:
    value = config.getoption("--qil-update")
    if value is None:
        return None
    if in_ci():
        raise pytest.UsageError(
            f"--qil-update={value} is refused because CI is set: goldens change only where a person looks at them.\n"
            f"  -> run it on your machine and commit the files"
        )
    return Update(value)


def _release(config: pytest.Config, *, model: str) -> Release | None:
    lora, like = config.getoption("--qil-lora"), config.getoption("--qil-like")
    margin = config.getoption("--qil-margin")
    if lora is None and like is None and margin is None:
        return None
    if lora is None or like is None:
        raise pytest.UsageError(
            "--qil-lora names the file on trial and --qil-like the variant that it is to replace\n  -> give both"
        )
    for flag in ("--qil-variant", "--qil-update"):
        if config.getoption(flag):
            raise pytest.UsageError(
                f"{flag} and --qil-lora contradict each other: a file on trial is compared with --qil-like, and has no "
                f"golden\n  -> leave out {flag}"
            )
    if model == RANDOM:
        raise pytest.UsageError(
            "--qil-lora compares texts, and random weights write none\n  -> leave out --qil-model=random"
        )
    try:
        return Release(lora=_lora(config, lora), like=like, margin=MARGIN if margin is None else float(margin))
    except ValueError:
        raise pytest.UsageError(
            f"--qil-margin={margin} is not a rate\n  -> write edits per character, such as 0.01"
        ) from None


def _lora(config: pytest.Config, value: str) -> str:
    """Return the file as it is found from where pytest was called; `embedded::` and `repo::file` as they are."""
    return value if "::" in value else str(config.invocation_params.dir / Path(value).expanduser())


def _reuse(config: pytest.Config, *, release: Release | None) -> Reuse:
    fresh, reuse = config.getoption("--qil-fresh"), config.getoption("--qil-reuse")
    if fresh and reuse:
        raise pytest.UsageError("--qil-fresh and --qil-reuse contradict each other\n  -> give one of them")
    if fresh:
        return Reuse.NEVER
    # what is replaced need not be drawn again for each file that is to replace it
    return Reuse.ANY if reuse or release is not None else Reuse.UNFINISHED


def _device(value: str | None, *, gpu: bool, model: str) -> str | None:
    if gpu and value == "cpu":
        raise pytest.UsageError("-m gpu and --qil-device=cpu contradict each other\n  -> leave one of them out")
    if value is not None:
        return value
    if gpu:
        return "cuda"
    # a machine with a GPU draws the embedded model as every other does, so that its goldens hold there
    return "cpu" if model == TINY else None


def _threads(value: str | None) -> int | None:
    if value is None:
        return None
    if not value.isdecimal() or int(value) < 1:
        raise pytest.UsageError(f"--qil-threads={value} is not a number of threads\n  -> write 1 or more")
    return int(value)


def _offload(value: str | None) -> Offload:
    try:
        return Offload(value or Offload.NONE)
    except ValueError:
        ways = ", ".join(way.value for way in Offload)
        raise pytest.UsageError(f"--qil-offload={value} is not known\n  -> write one of {ways}") from None


def _rounds(value: str | None, *, gpu: bool) -> int | None:
    """Return how often each picture is denoised under the clock, None for as often as its cost allows."""
    if value is None:
        return None if gpu else 1
    if value == AUTO:
        return None
    if not value.isdecimal() or not 1 <= int(value) <= MAX_ROUNDS:
        raise pytest.UsageError(
            f"--qil-rounds={value} is not a number of denoise loops\n  -> write {AUTO}, or 1 to {MAX_ROUNDS}"
        )
    return int(value)


def _names(values: list[str]) -> tuple[str, ...]:
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    return tuple(dict.fromkeys(names))


def _sizes(names: tuple[str, ...]) -> tuple[Size, ...]:
    try:
        return tuple(Size.parse(name) for name in names)
    except ValueError as error:
        raise pytest.UsageError(f"--qil-size: {error}") from error


def _seeds(value: str | None) -> tuple[int | None, tuple[int, ...]]:
    """Return (count, ()) for a number and (None, seeds) for a list."""
    if value is None:
        return None, ()
    parts = [part.strip() for part in value.split(",")]
    numbers = [int(part) for part in parts if part.isdecimal()]
    if len(numbers) != sum(1 for part in parts if part) or not numbers:
        raise pytest.UsageError(f"--qil-seeds={value} is neither a number nor a list\n  -> write 8, or 42,43,44")
    if len(parts) > 1:
        return None, tuple(dict.fromkeys(numbers))
    if not 1 <= numbers[0] <= MAX_SEED_COUNT:
        raise pytest.UsageError(
            f"--qil-seeds={value} asks for {value} seeds a case\n"
            f"  -> write `{value},` for the one seed {value}, or a number from 1 to {MAX_SEED_COUNT}"
        )
    return numbers[0], ()


def _folder(config: pytest.Config, flag: str, name: str) -> Path:
    value = config.getoption(flag)
    return config.invocation_params.dir / value if value else _home(config) / name


def _home(config: pytest.Config) -> Path:
    """Return the folder of the suite: pytest's root, or where pytest was called if only that has cases.

    Without a configuration file pytest takes every path on the command line into account for its root, also one that
    is the value of an option: `--qil-runs DIR` would move it.
    """
    here = config.invocation_params.dir
    return here if (here / "cases").is_dir() and not (config.rootpath / "cases").is_dir() else config.rootpath


def _given(values: Mapping[str, object]) -> Iterator[str]:
    """Yield the options that decide which picture is meant, as they would be written again."""
    for flag, _, _ in (*_SINGLE, *_RELEASE, *_LISTS):
        value = values.get(flag.removeprefix("--").replace("-", "_"))
        if isinstance(value, str):
            yield f"{flag}={value}"
        elif isinstance(value, list):
            yield from (f"{flag}={item}" for item in value)
    yield from (flag for flag, _ in _FLAGS if values.get(flag.removeprefix("--").replace("-", "_")))
