"""Servers and generators that ask them, shared by the tests of this room."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from qiltest.serving.opening import open_served
from qiltest.serving.settings import KEY_VARIABLE, Api, Says, Server
from qiltest.suite.variants import ModelBase
from served_standin import Painter, StandinServer, serving


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def standin() -> Iterator[Callable[..., StandinServer]]:
    """Start a server: `standin("sglang", "jpeg")`."""
    with contextlib.ExitStack() as stack:

        def start(api: str = "vllm-omni", *faults: str, **fields: Any) -> StandinServer:
            return stack.enter_context(serving(api, fields.pop("paint", None) or Painter(), *faults, **fields))

        yield start


@pytest.fixture
def opened() -> Iterator[Callable[..., Any]]:
    """Open a generator that asks a server."""
    with contextlib.ExitStack() as stack:

        def open_one(server: StandinServer, *says: str, model: str = "tiny", **fields: Any) -> Any:
            api = Api(server.api)
            settings = Server(url=server.url, api=api, says=Says.parse(says, api=api), **fields)
            generator = open_served(settings, model, ModelBase(model=model))
            stack.callback(generator.close)
            return generator

        yield open_one
