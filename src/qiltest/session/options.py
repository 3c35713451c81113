"""The session's options, from what pytest has parsed; what contradicts itself is a pytest.UsageError."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from qiltest.arguments import AUTO
from qiltest.comparison.records import MARGIN
from qiltest.engine.options import Options, ReleaseRequest, Update, in_ci
from qiltest.generation.settings import Offload
from qiltest.generation.sources import RANDOM, TINY
from qiltest.recipe import Size
from qiltest.runs.store import Reuse
from qiltest.session.guards import asks_for_gpu
from qiltest.suite.variants import CANDIDATE

REAL = "Qwen/Qwen-Image"
#: options that do not say which image is meant.
_NOT_REPEATED = frozenset({"qil_update", "qil_fresh", "qil_reuse"})


def read_options(config: pytest.Config) -> Options:
    """Return the session's options. Raises pytest.UsageError that says what to write instead."""
    asked: argparse.Namespace = config.option
    gpu = asks_for_gpu(asked.markexpr)
    model = asked.qil_model or (REAL if gpu else TINY)
    release = _release(config, model=model)
    return Options(
        model=model,
        device=_device(asked.qil_device, gpu=gpu, model=model),
        gpu=gpu,
        threads=asked.qil_threads,
        reader=asked.qil_reader,
        cases=_unique(asked.qil_case),
        # the candidate first: what keeps it from being generated shows at once
        variants=_unique(asked.qil_variant) if release is None else (CANDIDATE, release.like),
        sizes=_sizes(_unique(asked.qil_size)),
        seed_count=asked.qil_seeds if isinstance(asked.qil_seeds, int) else None,
        seeds=asked.qil_seeds if isinstance(asked.qil_seeds, tuple) else (),
        update=_update(asked.qil_update),
        reuse=_reuse(asked, release=release),
        fuse=bool(asked.qil_fuse),
        compiled=bool(asked.qil_compile),
        offload=Offload(asked.qil_offload or Offload.NONE),
        allow_partial_lora=bool(asked.qil_allow_partial_lora),
        rounds=_rounds(asked.qil_rounds, gpu=gpu),
        release=release,
        cases_folder=_folder(config, asked.qil_cases, "cases"),
        golden_folder=_folder(config, asked.qil_golden, "golden"),
        runs_folder=_folder(config, asked.qil_runs, "runs"),
        given=tuple(_given(asked)),
    )


def _update(value: str | None) -> Update | None:
    if value is not None and in_ci():
        raise pytest.UsageError(
            f"--qil-update={value} is refused because CI is set: goldens change only where a person looks at them.\n"
            f"  -> run it on your machine and commit the files"
        )
    return None if value is None else Update(value)


def _release(config: pytest.Config, *, model: str) -> ReleaseRequest | None:
    asked: argparse.Namespace = config.option
    lora, like, margin = asked.qil_lora, asked.qil_like, asked.qil_margin
    if lora is None and like is None and margin is None:
        return None
    if lora is None or like is None:
        raise pytest.UsageError(
            "--qil-lora names the file on trial and --qil-like the variant that it is to replace\n  -> give both"
        )
    for flag, value in (("--qil-variant", asked.qil_variant), ("--qil-update", asked.qil_update)):
        if value:
            raise pytest.UsageError(
                f"{flag} and --qil-lora contradict each other: a file on trial is compared with --qil-like, and has no "
                f"golden\n  -> leave out {flag}"
            )
    if model == RANDOM:
        raise pytest.UsageError(
            "--qil-lora compares texts, and random weights write none\n  -> leave out --qil-model=random"
        )
    return ReleaseRequest(lora=_lora(config, lora), like=like, margin=MARGIN if margin is None else margin)


def _lora(config: pytest.Config, value: str) -> str:
    """Return the file as it is found from where pytest was called; `embedded::` and `repo::file` as they are."""
    return value if "::" in value else str(config.invocation_params.dir / Path(value).expanduser())


def _reuse(asked: argparse.Namespace, *, release: ReleaseRequest | None) -> Reuse:
    if asked.qil_fresh and asked.qil_reuse:
        raise pytest.UsageError("--qil-fresh and --qil-reuse contradict each other\n  -> give one of them")
    if asked.qil_fresh:
        return Reuse.NEVER
    # what is replaced need not be generated again for each file that is to replace it
    return Reuse.ANY if asked.qil_reuse or release is not None else Reuse.UNFINISHED


def _device(value: str | None, *, gpu: bool, model: str) -> str | None:
    if gpu and value == "cpu":
        raise pytest.UsageError("-m gpu and --qil-device=cpu contradict each other\n  -> leave one of them out")
    if value is not None:
        return value
    if gpu:
        return "cuda"
    # a machine with a GPU generates the embedded model as every other does, so that its goldens hold there
    return "cpu" if model == TINY else None


def _rounds(value: int | str | None, *, gpu: bool) -> int | None:
    """Return how often each image is denoised under the clock, None for as often as its cost allows."""
    if value is None:
        return None if gpu else 1
    return None if value == AUTO else int(value)


def _unique(names: list[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names or ()))


def _sizes(names: tuple[str, ...]) -> tuple[Size, ...]:
    try:
        return tuple(Size.parse(name) for name in names)
    except ValueError as error:
        raise pytest.UsageError(f"--qil-size: {error}") from error


def _folder(config: pytest.Config, value: str | None, name: str) -> Path:
    return config.invocation_params.dir / value if value else _home(config) / name


def _home(config: pytest.Config) -> Path:
    """Return the folder of the suite: pytest's root, or where pytest was called if only that has cases.

    Without a configuration file pytest takes every path on the command line into account for its root, also one that
    is the value of an option: `--qil-runs FOLDER` would move it.
    """
    here = config.invocation_params.dir
    return here if (here / "cases").is_dir() and not (config.rootpath / "cases").is_dir() else config.rootpath


def _given(asked: argparse.Namespace) -> Iterator[str]:
    """Yield the options that decide which image is meant, as they would be written again."""
    for name, value in vars(asked).items():
        if not name.startswith("qil_") or name in _NOT_REPEATED or value is None:
            continue
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            yield flag
        elif isinstance(value, tuple):
            yield f"{flag}={','.join(map(str, value))}{',' if len(value) == 1 else ''}"
        elif isinstance(value, list):
            yield from (f"{flag}={item}" for item in value)
        else:
            yield f"{flag}={value}"
