"""A server of images for tests: it speaks the dialects as their schemas say, with a switch for each fault.

    with serving("vllm-omni", Painter(), "jpeg") as server: ...  # server.url, server.orders

`faults` may be changed while it runs. Behind it is anything that makes pixels from an `Order`.
"""

from __future__ import annotations

import ast
import asyncio
import base64
import contextlib
import hashlib
import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import uvicorn
from PIL import Image, ImageDraw, ImageFont
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from served_schemas import REQUESTS

IMAGES = "/v1/images/generations"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a request asks for, after the server's defaults."""

    prompt: str
    negative_prompt: str | None
    width: int
    height: int
    steps: int
    cfg: float
    seed: int
    device: str
    #: path of the LoRA, "" for none.
    lora: str
    #: scheduler of the server: "model", "lightning", or "guarded", the model's own where dividing by zero is caught.
    scheduler: str


#: what painters wrote where, by the hash of the pixels: for a reader that needs no OCR.
WRITTEN: dict[str, list[dict[str, Any]]] = {}


class Painter:
    """Paints in a millisecond: the texts that the stand-in suite's prompts ask for, and marks of every parameter."""

    def __init__(self, typos: dict[str, str] | None = None) -> None:
        self.typos = typos or {}

    def __call__(self, order: Order) -> np.ndarray:
        if order.steps == 1 and order.scheduler == "model":  # divides by zero, and NaN becomes black
            return np.zeros((order.height, order.width, 3), np.uint8)
        image = Image.new("RGB", (order.width, order.height), "white")
        pen, lines = ImageDraw.Draw(image), []
        asked = re.search(r"A sign reads (.+?) and another ([\w ]+)", order.prompt)
        for row, text in enumerate(asked.groups() if asked else ()):
            text = self.typos.get(text, text)
            place = (8, 8 + 24 * row)
            box = pen.textbbox(place, text, font=ImageFont.load_default(12))
            pen.text(place, text, fill="black", font=ImageFont.load_default(12))
            lines.append({"text": text, "box": box})
        guided = order.negative_prompt if order.cfg > 1 else None
        steps = 2 if order.scheduler == "guarded" and order.steps == 1 else order.steps  # which are nearly the same
        marks = repr((order.seed, steps, order.cfg if guided is not None else 1, guided, order.lora))
        rng = np.random.default_rng(int(hashlib.sha256(marks.encode()).hexdigest()[:8], 16))
        for k in range(8):
            left = 8 + k * 24
            pen.rectangle((left, 80, left + 16, 110), fill=tuple(int(v) for v in rng.integers(30, 220, 3)))
        pixels = np.asarray(image)
        WRITTEN[hashlib.sha256(pixels.tobytes()).hexdigest()] = lines
        return pixels


@dataclass
class StandinServer:
    """A server that runs in a thread of the test."""

    api: str
    paint: Callable[[Order], np.ndarray]
    faults: set[str] = field(default_factory=set)
    model: str = "tiny"
    #: scheduler of the model's folder.
    scheduler: str = "model"
    key: str = ""
    #: what `--qil-server-api` of vLLM-Omni tells with its profiler: seconds of the denoise loop; None: nothing.
    diffuse: float | None = None
    #: seconds that each image takes at least.
    seconds: float = 0.0
    url: str = ""
    orders: list[Order] = field(default_factory=list)
    #: most requests in flight at once.
    most: int = 0
    #: the LoRA of the whole server, as nickname, path, strength.
    lora: tuple[str, str, float] | None = None
    #: the key of the last request.
    given: str = ""
    _inside: int = 0
    _served: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def app(self) -> Starlette:
        routes = [
            Route(IMAGES, self.images, methods=["POST"]),
            Route("/v1/models", self.models),
            Route("/openapi.json", self.page),
        ]
        if self.api == "vllm-omni":
            routes.append(Route("/version", lambda request: JSONResponse({"version": "0.30.0"})))
        if self.api == "sglang":
            routes += [
                Route("/server_info", lambda request: JSONResponse({"version": "0.5.23"})),
                Route("/v1/set_lora", self.set_lora, methods=["POST"]),
                Route("/v1/unmerge_lora_weights", self.unmerge, methods=["POST"]),
                Route("/v1/list_loras", self.list_loras),
            ]
        return Starlette(routes=routes)

    def models(self, request: Request) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        name = "other/model" if "other-model" in self.faults else self.model
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "model", "created": 1, "root": name}]})

    def page(self, request: Request) -> Response:
        if "no-page" in self.faults:
            return PlainTextResponse("not found", 404)
        if "html-page" in self.faults:
            return Response("<html>a gateway's page for everything</html>", media_type="text/html")
        schema = REQUESTS[self.api].model_json_schema()
        for fault in self.named("unlisted"):
            del schema["properties"][fault]
        body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/R"}}}}
        paths = {IMAGES: {"post": {"requestBody": body}}}
        return JSONResponse({"paths": paths, "components": {"schemas": {"R": schema}}})

    def refused(self, request: Request) -> Response | None:
        given = request.headers.get("authorization", "")
        self.given = given.removeprefix("Bearer ")
        if "401" in self.faults or (self.key and given != f"Bearer {self.key}"):
            said = f"invalid key: {given}"  # as some servers do
            return JSONResponse({"error": {"message": said}}, 401)
        return None

    def named(self, fault: str) -> list[str]:
        return [one.partition(":")[2] for one in sorted(self.faults) if one.startswith(f"{fault}:")]

    async def images(self, request: Request) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        self._served += 1
        if (early := await self.early()) is not None:
            return early
        sent = await request.json()
        for name in self.named("ignores"):
            sent.pop(name, None)
        try:
            asked = REQUESTS[self.api].model_validate(sent)
        except ValidationError as error:
            return JSONResponse({"detail": json.loads(error.json(include_url=False, include_input=False))}, 422)
        return await self.answer(asked)

    async def early(self) -> Response | None:
        """What the faults make of a request before anything is generated."""
        for code in ("503", "429"):
            if code in self.faults or f"{code}-once" in self.faults:
                self.faults.discard(f"{code}-once")
                return JSONResponse({"error": {"message": "busy"}}, int(code), {"Retry-After": "0"})
        if "hang" in self.faults:
            with contextlib.suppress(asyncio.CancelledError):  # the end of the test
                await asyncio.sleep(1.5)
            return PlainTextResponse("late", 500)  # which nobody waits for
        if "redirect" in self.faults:
            return RedirectResponse("http://elsewhere.example/v1/images/generations", 307)
        if "echo" in self.faults:
            return JSONResponse({"error": {"message": f"CUDA error with {self.given}"}}, 500)
        if "500" in self.faults:
            return JSONResponse({"error": {"message": "CUDA error \x1b[31m"}}, 500)
        if "html" in self.faults:
            return Response("<html>gateway</html>", media_type="text/html")
        if "oversized" in self.faults:
            return Response(b'{"data": "' + b"x" * (20 << 20) + b'"}', media_type="application/json")
        return None

    async def answer(self, asked: Any) -> Response:
        order = self.order(asked)
        began = time.perf_counter()
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
            self.orders.append(order)
        try:
            pixels = await run_in_threadpool(self._painted, order)
        except Exception as error:  # noqa: BLE001 -- as a server does
            return JSONResponse({"error": {"message": str(error)}}, 500)
        finally:
            with self._lock:
                self._inside -= 1
        seconds = time.perf_counter() - began
        data = self.encoded(pixels, asked)
        text = base64.b64encode(data).decode()
        text = text[:-7] if "truncated" in self.faults else text
        wants_url = asked.response_format == "url" or "url" in self.faults
        item = {"url": "http://elsewhere.example/image.png"} if wants_url else {"b64_json": text}
        items = [item, item] if "two" in self.faults else [item]
        value = {"created": 1, "data": items, **self.times(seconds)}
        if "dies" in self.faults:
            return _Dying(value)
        return JSONResponse(value)

    def times(self, seconds: float) -> dict[str, Any]:
        """What the server tells of its time, in the dialect's words."""
        lies = "lies" in self.faults
        if self.api == "sglang":
            return {"id": "1", "inference_time_s": 3600.0 if lies else seconds}
        told = 3600.0 if lies else self.diffuse
        if self.api != "vllm-omni" or told is None:
            return {}
        stages = {"QwenImagePipeline.diffuse": told, "QwenImagePipeline.vae.decode": 0.001}
        return {"metrics": {"stage_durations": stages, "peak_memory_mb": None}}

    def _painted(self, order: Order) -> np.ndarray:
        time.sleep(self.seconds)
        pixels = self.paint(order)
        if "batched" in self.faults and self._inside > 1:
            pixels = pixels.copy()
            pixels[0, 0] = 200
        if "unsteady" in self.faults:
            pixels = pixels.copy()
            pixels[0, 0] = self._served % 7
        return pixels

    def encoded(self, pixels: np.ndarray, asked: Any) -> bytes:
        image = Image.fromarray(pixels)
        jpeg = "jpeg" in self.faults or (self.api == "sglang" and asked.output_format is None)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG" if jpeg else "PNG")
        data = buffer.getvalue()
        return data[: len(data) // 2 // 3 * 3] if "cut" in self.faults else data

    def order(self, asked: Any) -> Order:
        width, height = map(int, asked.size.split("x"))
        if "size" in self.faults:
            width, height = width - 16, height
        lora = self.lora[1] if self.lora is not None else ""
        if self.api == "vllm-omni":
            lora = (asked.lora or {}).get("path", "")
            if "keeps-lora" in self.faults:
                self.lora = ("", lora, 1.0) if lora else self.lora
                lora = self.lora[1] if self.lora is not None else ""
        if "no-lora" in self.faults:
            lora = ""
        if "one-lora" in self.faults and lora:
            lora = "the first"
        scale = asked.guidance_scale if self.api == "openai" else asked.true_cfg_scale
        negative = asked.negative_prompt
        if self.api == "sglang" and negative is None:
            negative = " "
        seed = asked.seed if asked.seed is not None else self._served
        return Order(
            prompt=asked.prompt,
            negative_prompt=negative,
            width=width,
            height=height,
            steps=asked.num_inference_steps or 50,
            cfg=4.0 if scale is None else scale,
            seed=seed,
            device=getattr(asked, "generator_device", None) or "cuda",
            lora=lora,
            scheduler=(self.named("scheduler") or [self.scheduler])[0],
        )

    async def set_lora(self, request: Request) -> Response:
        body = await request.json()
        self.lora = (body["lora_nickname"], body["lora_path"], float(body["strength"]))
        return JSONResponse({"status": "ok", "message": "set"})

    async def unmerge(self, request: Request) -> Response:
        if "keeps-lora" not in self.faults:
            self.lora = None
        return JSONResponse({"status": "ok", "message": "unmerged"})

    def list_loras(self, request: Request) -> Response:
        if "loras-off" in self.faults:
            return JSONResponse({"detail": "Lora is not enabled"}, 500)
        told = (self.lora is not None and not {"untold-lora", "no-lora"} & self.faults) or "told-lora" in self.faults
        name, path, strength = self.lora or ("other", "/other", 1.0)
        for other in self.named("strength"):
            strength = ast.literal_eval(other)
        one = {"nickname": name, "path": path, "merged": True, "strength": strength}
        return JSONResponse({"loaded_adapters": [], "active": {"transformer": [one]} if told else {}})


class _Dying(JSONResponse):
    """Half an answer; then the connection ends."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})
        raise ConnectionAbortedError("the stand-in dies")


@contextlib.contextmanager
def serving(api: str, paint: Callable[[Order], np.ndarray], *faults: str, **fields: Any) -> Iterator[StandinServer]:
    """Run a server in a thread, on a port of this machine alone."""
    standin = StandinServer(api=api, paint=paint, faults=set(faults), **fields)
    config = uvicorn.Config(standin.app(), host="127.0.0.1", port=0, log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.002)
    port = server.servers[0].sockets[0].getsockname()[1]
    standin.url = f"http://127.0.0.1:{port}"
    try:
        yield standin
    finally:
        server.should_exit = server.force_exit = True  # within a tenth of a second, for which nobody waits


def guided(order: Order) -> Order:
    """The order without what has no effect, for comparisons."""
    return order if order.cfg > 1 else replace(order, negative_prompt=None)
