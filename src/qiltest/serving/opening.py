"""Open a served model: reach the server, see which model it serves and which parameters it lists."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from qiltest.errors import AnswerError, ServerError
from qiltest.generation.sources import kind_of
from qiltest.serving.dialect import IMAGES, Dialect, plain
from qiltest.serving.generator import ServedGenerator
from qiltest.serving.openai import OpenAI
from qiltest.serving.openapi import PAGE, fields_of
from qiltest.serving.recipes import Served
from qiltest.serving.settings import KEY_VARIABLE, Api, Server
from qiltest.serving.sglang import SGLang
from qiltest.serving.vllm_omni import VllmOmni
from qiltest.suite.variants import ModelBase

if TYPE_CHECKING:
    from qiltest.serving.client import Client

_DIALECTS: dict[Api, type[Dialect]] = {Api.VLLM_OMNI: VllmOmni, Api.SGLANG: SGLang, Api.OPENAI: OpenAI}
_MODELS = "/v1/models"
#: an id on the hub or a plain name, which may name a folder of goldens.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,79})?")
#: models that an error lists.
_SHOWN = 5


def open_served(server: Server, model: str, base: ModelBase) -> ServedGenerator:
    """Return a generator that asks a server for images of `model` (`--qil-model`), whose base is `base`.

    The key is read from `QILTEST_API_KEY`. Raises ServerError where the server cannot be reached, refuses the key,
    serves another model or lacks a parameter.
    """
    secret = os.environ.get(KEY_VARIABLE, "")
    try:
        from qiltest.serving.client import Client
    except ImportError as error:
        raise ServerError(f"asking a server needs httpx: {error}", remedy="pip install --upgrade httpx") from error
    client = Client(server, SecretStr(secret) if secret else None)
    dialect = _DIALECTS[server.api]()
    try:
        served, notes = _look(server, dialect, client, model, base)
    except BaseException:
        client.close()
        raise
    return ServedGenerator(server, dialect, client, served, notes)


def _look(
    server: Server, dialect: Dialect, client: Client, model: str, base: ModelBase
) -> tuple[Served, tuple[str, ...]]:
    card = _card(client, model, where=server.url + _MODELS)
    page = _page(client)
    served = Served(
        model=_golden_name(server, model if card is None else str(card["id"])),
        id=model if card is None else str(card["id"]),
        kind=kind_of(model),
        base=base,
        host=server.host,
        version=server.says["version"] or dialect.version(client),
        card=tuple(sorted(plain(card).items())),
        fields=fields_of(page, IMAGES),
        page=server.url + PAGE,
    )
    return served, tuple(_notes(server, served, card))


def _page(client: Client) -> Any:  # noqa: ANN401 -- JSON
    """Return the page on which the server lists its fields, None where something else is there; that is noted."""
    try:
        return client.get(PAGE)
    except AnswerError:
        return None


def _notes(server: Server, served: Served, card: dict[str, Any] | None) -> Iterator[str]:
    """Yield what every reader of the run should know of its images."""
    said = ", ".join(f"{key}={value}" for key, value in server.says.pairs)
    version = f"version {served.version}" if served.version else "of a version that it does not tell"
    yield f"a server ({server.api}, {version}) made the images; each lists what was not checked"
    if said:
        yield f"said of the server and not checked: {said}"
    if card is None:
        yield f"the server has no {_MODELS}: which model it serves is not checked"
    if served.fields is None:
        yield f"the server lists no parameters ({PAGE}): whether it has them is shown by probes alone"
    if server.concurrency > 1:
        yield f"{server.concurrency} requests in flight: latency does not gate, and batching may change pixels"


def _card(client: Client, model: str, *, where: str) -> dict[str, Any] | None:
    """Return the card of the model; None where the server lists none. Raises ServerError where it serves another."""
    found = client.get(_MODELS)
    if found is None:
        return None
    cards = found.get("data") if isinstance(found, dict) else None
    cards = [one for one in cards if isinstance(one, dict) and isinstance(one.get("id"), str)] if cards else []
    ids = [str(card["id"]) for card in cards]
    for card in cards:
        if card["id"] == model or card["id"].endswith(f"/{model}"):
            return dict(card)
    listed = ", ".join(ids[:_SHOWN]) or "no model"
    raise ServerError(
        f"the server serves {listed}, not {model}",
        where=where,
        remedy=f"--qil-model={ids[0]}, or another server" if ids else "wait until it has loaded its model",
    )


def _golden_name(server: Server, name: str) -> str:
    """Return the name under which goldens and latencies are kept; a path counts by its last part."""
    if _NAME.fullmatch(name) is None:
        name = name.rstrip("/").rpartition("/")[2]
    whole = f"{server.api}--{name.replace('/', '--')}"
    if _NAME.fullmatch(name) is None or len(whole) > 96:
        raise ServerError(
            f"the model's name on the server, {name!r:.100}, cannot name a folder of goldens",
            where=server.url + _MODELS,
            remedy="start the server with a plain name (--served-model-name)",
        )
    return f"served/{whole}"
