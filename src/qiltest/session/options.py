"""Turn pytest's parsed options into the session's options, and refuse contradictions."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from qiltest.arguments import AUTO
from qiltest.comparison.records import MARGIN
from qiltest.elsewhere.source import LABEL
from qiltest.engine.options import UNNAMED, Options, ReleaseRequest, Trial, Update, ci_variable
from qiltest.errors import DeviceError, StoreError
from qiltest.files import expanded
from qiltest.generation.settings import Offload, Settings
from qiltest.generation.sources import TINY, is_embedded, is_hub_id, is_random
from qiltest.hashing import forget
from qiltest.recipe import Size
from qiltest.runs.store import Reuse
from qiltest.session.guards import asks_for_gpu
from qiltest.session.server import read_server

REAL = "Qwen/Qwen-Image"
#: names of no device, and of torch's device that computes nothing.
_NOWHERE = frozenset({"", "meta"})
#: options that go with images made elsewhere; every other one says how images are generated and timed here.
_JUDGING = frozenset(
    {
        "qil_images",
        "qil_images_from",
        "qil_model",
        "qil_base",
        "qil_reader",
        "qil_case",
        "qil_variant",
        "qil_size",
        "qil_seeds",
        "qil_expect",
        "qil_update",
        "qil_accept",
        "qil_cases",
        "qil_golden",
        "qil_runs",
        "qil_rehash",
        "qil_fresh",
        "qil_reuse",
    }
)
#: options that do not select images.
_NOT_REPEATED = frozenset(
    {"qil_rehash", "qil_update", "qil_accept", "qil_fresh", "qil_reuse", "qil_readers", "qil_shard"}
)


def read_options(config: pytest.Config) -> Options:
    """Return the session's options. Raises pytest.UsageError."""
    asked: argparse.Namespace = config.option
    if asked.qil_rehash:
        _forget_hashes()
    gpu = asks_for_gpu(asked.markexpr)
    images = _images(config, gpu=gpu)
    model = asked.qil_model or (REAL if gpu or asked.qil_server or images is not None else TINY)
    server = read_server(asked, model=model)
    release = _release(config, model=model)
    _refuse_contradicting_ways(asked)
    alone = server is None or server.concurrency == 1
    rounds: int | str = asked.qil_rounds or (AUTO if gpu and alone else 1)
    return Options(
        model=model,
        base=_base(asked.qil_base, model=model),
        device=None if server else _device(asked.qil_device, gpu=gpu, model=model),
        gpu=gpu,
        threads=asked.qil_threads,
        workers=_workers(asked),
        cluster=asked.qil_cluster,
        readers=asked.qil_readers,
        shard=asked.qil_shard,
        reader=asked.qil_reader,
        cases=_unique(asked.qil_case),
        variants=_variants(asked, release),
        sizes=_sizes(_unique(asked.qil_size)),
        seed_count=asked.qil_seeds if isinstance(asked.qil_seeds, int) else None,
        seeds=asked.qil_seeds if isinstance(asked.qil_seeds, tuple) else (),
        update=_update(asked.qil_update),
        accept=_accept(asked),
        reuse=_reuse(asked, release=release, served=server is not None),
        merge=None if asked.qil_merge is None else asked.qil_merge == "yes",
        compiled=bool(asked.qil_compile),
        offload=Offload(asked.qil_offload or Offload.NONE),
        fp8=bool(asked.qil_fp8),
        allow_partial_lora=bool(asked.qil_allow_partial_lora),
        expect=asked.qil_expect,
        rounds=None if rounds == AUTO else int(rounds),
        latency_gates=alone and not asked.qil_report_latency,
        server=server,
        release=release,
        cases_folder=_folder(config, asked.qil_cases, "cases"),
        golden_folder=_folder(config, asked.qil_golden, "golden"),
        runs_folder=_folder(config, asked.qil_runs, "runs"),
        images=images,
        images_from=asked.qil_images_from or UNNAMED,
        given=tuple(_given(asked)),
    )


def _variants(asked: argparse.Namespace, release: ReleaseRequest | None) -> tuple[str, ...]:
    if release is None:
        return _unique(asked.qil_variant)
    # the candidate first, so that its errors show at once
    return (*(trial.name for trial in release.trials), release.like)


def _images(config: pytest.Config, *, gpu: bool) -> Path | None:
    """Return the folder of images made elsewhere. Options of generating are refused with it: they would do nothing."""
    asked: argparse.Namespace = config.option
    if asked.qil_images is None:
        if asked.qil_images_from is not None:
            what = "--qil-images-from says what made the images of --qil-images"
            raise pytest.UsageError(f"{what}\n  -> give both, or neither")
        return None
    if gpu:
        raise pytest.UsageError(
            "-m gpu and --qil-images exclude each other: these images are there already\n  -> remove one of them"
        )
    named = (name for name, value in vars(asked).items() if name.startswith("qil_") and value is not None)
    given = [f"--{name.replace('_', '-')}" for name in named if name not in _JUDGING]
    if given or is_random(asked.qil_model or ""):
        what = given[0] if given else f"--qil-model={asked.qil_model}"
        remedy = "compare two folders with `qiltest check --images NEW --against OLD`" if "lora" in what else ""
        raise pytest.UsageError(
            f"{what} is for images that this session generates, and --qil-images has them made elsewhere\n"
            f"  -> {remedy or f'remove {what}'}"
        )
    if asked.qil_images_from is not None and not LABEL.fullmatch(asked.qil_images_from):
        raise pytest.UsageError(
            f"--qil-images-from: {asked.qil_images_from!r} is no label\n"
            "  -> write letters, digits, '.', '_' and '-', at most 64, first a letter or digit"
        )
    return Path(config.invocation_params.dir / expanded(asked.qil_images))


def _workers(asked: argparse.Namespace) -> int | str | None:
    """Return the number of workers, each of which gets a GPU of its own."""
    found: int | str | None = asked.qil_workers
    if (found is not None or asked.qil_cluster is not None) and ":" in (asked.qil_device or ""):
        raise pytest.UsageError(
            f"--qil-workers and --qil-device={asked.qil_device} exclude each other: each worker has a GPU of its own\n"
            "  -> choose GPUs by CUDA_VISIBLE_DEVICES, on a cluster where its nodes are started"
        )
    return found


def _refuse_contradicting_ways(asked: argparse.Namespace) -> None:
    """Refuse ways to generate that exclude each other now, and not once per test when the model is opened."""
    offload = Offload(asked.qil_offload or Offload.NONE)
    try:
        Settings(compiled=bool(asked.qil_compile), offload=offload, fp8=bool(asked.qil_fp8))
    except DeviceError as error:
        raise pytest.UsageError(str(error)) from error


def _base(value: str | None, *, model: str) -> str | None:
    if value is not None and (is_embedded(model) or not is_hub_id(value)):
        what = "the embedded model has no base model" if is_embedded(model) else f"{value!r} is no Hugging Face id"
        raise pytest.UsageError(f"--qil-base: {what}\n  -> give it with --qil-model, as in --qil-base=Qwen/Qwen-Image")
    return value


def _update(value: str | None) -> Update | None:
    if value is not None and (variable := ci_variable()):
        raise pytest.UsageError(
            f"--qil-update={value} is refused because {variable} is set: a person must look at goldens before they "
            f"change\n  -> run it on your machine and commit the files"
        )
    return None if value is None else Update(value)


def _accept(asked: argparse.Namespace) -> tuple[str, ...]:
    if asked.qil_accept and not asked.qil_update:
        raise pytest.UsageError("--qil-accept says whose golden --qil-update may write\n  -> give both, or neither")
    return asked.qil_accept or ()


def _release(config: pytest.Config, *, model: str) -> ReleaseRequest | None:
    asked: argparse.Namespace = config.option
    lora, like, margin = asked.qil_lora, asked.qil_like, asked.qil_margin
    if lora is None and like is None and margin is None:
        return None
    if lora is None or like is None:
        raise pytest.UsageError(
            "--qil-lora (the candidate file) and --qil-like (the variant it replaces) need each other\n  -> give both"
        )
    for flag, value in (("--qil-variant", asked.qil_variant), ("--qil-update", asked.qil_update)):
        if value:
            raise pytest.UsageError(
                f"{flag} and --qil-lora exclude each other: a candidate is compared with --qil-like, not with goldens\n"
                f"  -> remove {flag}"
            )
    if is_random(model):
        raise pytest.UsageError(
            f"--qil-lora compares texts, but random weights write none\n  -> remove --qil-model={model}"
        )
    return ReleaseRequest(
        trials=(Trial(lora=_lora(config, lora)),), like=like, margin=MARGIN if margin is None else margin
    )


def _lora(config: pytest.Config, value: str) -> str:
    """Return the path from the folder in which pytest was called; `embedded::` and `repo::file` unchanged."""
    return value if "::" in value else str(config.invocation_params.dir / expanded(value))


def _reuse(asked: argparse.Namespace, *, release: ReleaseRequest | None, served: bool) -> Reuse:
    if asked.qil_fresh and asked.qil_reuse:
        raise pytest.UsageError("--qil-fresh and --qil-reuse exclude each other\n  -> give one of them")
    if asked.qil_fresh:
        return Reuse.NEVER
    if served and not asked.qil_reuse:
        return Reuse.NEVER  # whether the server is still the same, nobody can see
    # the replaced variant need not be generated again for each candidate
    return Reuse.ANY if asked.qil_reuse or release is not None else Reuse.UNFINISHED


def _forget_hashes() -> None:
    try:
        forget()
    except StoreError as error:
        raise pytest.UsageError(f"--qil-rehash: {error}") from None


def _device(value: str | None, *, gpu: bool, model: str) -> str | None:
    """Return the device, as torch takes it. With `-m gpu` none that is no GPU: it would generate and be recorded."""
    kind = "" if value is None else value.partition(":")[0].strip().lower()
    if value is not None and kind in _NOWHERE:
        raise pytest.UsageError(f"--qil-device: {value!r} is no device that generates\n  -> write cpu, cuda or cuda:0")
    if gpu and kind == "cpu":
        raise pytest.UsageError(f"-m gpu and --qil-device={value} exclude each other\n  -> remove one of them")
    if value is not None:
        return value
    if gpu:
        return "cuda"
    # on every machine, so that the embedded model's goldens are valid on all
    return "cpu" if is_embedded(model) else None


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
    """Return the suite's folder: pytest's root, or the current folder if only that has cases.

    Without a configuration file, paths in options such as `--qil-runs FOLDER` influence pytest's root.
    """
    here = config.invocation_params.dir
    return here if (here / "cases").is_dir() and not (config.rootpath / "cases").is_dir() else config.rootpath


def _given(asked: argparse.Namespace) -> Iterator[str]:
    """Yield the options that select images, as written on a command line."""
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
