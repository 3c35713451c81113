"""Turn the options of a served model into its settings, and refuse what a server cannot be told."""

from __future__ import annotations

import argparse

import pytest

from qiltest.errors import ServerError
from qiltest.generation.sources import is_random
from qiltest.serving.settings import MOST_CONCURRENT, READ_SECONDS, Api, Says, Server

#: options about how this process generates, which a server decides itself.
_OF_THIS_PROCESS = (
    "device",
    "threads",
    "merge",
    "compile",
    "offload",
    "fp8",
    "allow_partial_lora",
    "workers",
    "cluster",
)
_OF_A_SERVER = ("server_api", "server_says", "server_concurrency", "server_timeout")


def read_server(asked: argparse.Namespace, *, model: str) -> Server | None:
    """Return the settings of the server, None where this process generates. Raises pytest.UsageError."""
    if asked.qil_server is None:
        _refuse(asked, _OF_A_SERVER, "is about a server", "give --qil-server=URL too")
        return None
    _refuse(asked, _OF_THIS_PROCESS, "and --qil-server exclude each other: the server decides that", "start it so")
    _refuse(asked, ("lora",), "and --qil-server exclude each other: it inspects and loads a file here", _CANDIDATE)
    if asked.qil_server_api is None:
        raise pytest.UsageError(
            f"--qil-server needs --qil-server-api: how the server is asked\n  -> write one of: {', '.join(Api)}"
        )
    if is_random(model):
        raise pytest.UsageError(
            f"--qil-model={model} is made in this process\n  -> name the model that the server serves with --qil-model"
        )
    several = asked.qil_server_concurrency or 1
    if several > MOST_CONCURRENT:
        raise pytest.UsageError(f"--qil-server-concurrency={several} is more than {MOST_CONCURRENT}\n  -> give fewer")
    if several > 1 and asked.qil_rounds not in {None, 1}:
        raise pytest.UsageError(
            "--qil-rounds repeats images for their latency, which gates with one request in flight alone\n"
            "  -> remove it, or --qil-server-concurrency"
        )
    try:
        api = Api(asked.qil_server_api)
        return Server(
            url=asked.qil_server,
            api=api,
            says=Says.parse(asked.qil_server_says or (), api=api),
            concurrency=several,
            read_seconds=asked.qil_server_timeout or READ_SECONDS,
        )
    except ServerError as error:
        raise pytest.UsageError(str(error)) from None


_CANDIDATE = "make the file a variant, serve it (--qil-server-says lora.VARIANT=PATH), and `qiltest compare` the runs"


def _refuse(asked: argparse.Namespace, names: tuple[str, ...], why: str, remedy: str) -> None:
    for name in names:
        if getattr(asked, f"qil_{name}") is not None:
            raise pytest.UsageError(f"--qil-{name.replace('_', '-')} {why}\n  -> {remedy}")
