"""The checked options of a served model: where it is, which dialect it speaks, what the user says of it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from qiltest.errors import ServerError
from qiltest.suite.variants import SchedulerKind
from qiltest.text.escape import printable_line

#: the only place that a server's key is read from.
KEY_VARIABLE = "QILTEST_API_KEY"
#: seconds until a connection stands, and until a whole answer is there; servers' own tests wait 600 to 1200.
CONNECT_SECONDS, READ_SECONDS = 10.0, 600.0
#: most requests in flight at once.
MOST_CONCURRENT = 64
_LORA = "lora."
#: letters, digits and what names, paths and versions have; no space at an end.
_VALUE = re.compile(r"\S(?:[^\n\r]{0,398}\S)?")
#: parameters that a server of the plain OpenAI dialect may not take.
FIXABLE = ("seed", "num_inference_steps", "guidance_scale", "negative_prompt")
#: schedulers that a server may be said to have.
_SCHEDULERS = (SchedulerKind.MODEL, SchedulerKind.LIGHTNING)
_KEYS = {
    "scheduler": "model or lightning: the scheduler that the server uses for every image",
    "lora": "VARIANT: the server was started with the LoRA of this variant, and uses it for every image",
    "generator_device": "cpu, cuda or another: where the noise is made (default: cuda; the embedded model's: cpu)",
    "device": "the hardware, such as NVIDIA H200: latencies are compared on equal devices only",
    "dtype": "the precision, such as bfloat16 or int8: latencies are compared with equal ones only",
    "weights": "which weights are served, such as a revision",
    "version": "the server's version, where it tells none itself",
    "fixed": f"{', '.join(FIXABLE)}: parameters that the server sets itself (openai alone; several with commas)",
}


class Api(StrEnum):
    """The dialects of servers."""

    VLLM_OMNI = "vllm-omni"
    SGLANG = "sglang"
    OPENAI = "openai"


@dataclass(frozen=True, kw_only=True)
class Says:
    """What the user says of a server (`--qil-server-says`): told in every recipe, and not checked."""

    pairs: tuple[tuple[str, str], ...] = ()

    def __getitem__(self, key: str) -> str:
        """Return what is said of a key, "" for nothing."""
        return dict(self.pairs).get(key, "")

    @property
    def scheduler(self) -> SchedulerKind:
        """The scheduler that the server uses: the model's own unless the user says otherwise."""
        return SchedulerKind(self["scheduler"] or SchedulerKind.MODEL)

    @property
    def fixed(self) -> frozenset[str]:
        """Parameters that the server sets itself, whatever is asked."""
        return frozenset(part.strip() for part in self["fixed"].split(",") if part.strip())

    def lora_path(self, variant: str) -> str:
        """Return where the LoRA of a variant lies on the server, "" where that is not said."""
        return self[_LORA + variant]

    @classmethod
    def parse(cls, texts: Iterable[str], *, api: Api) -> Says:
        """Read `KEY=VALUE` each. Raises ServerError that names every mistake."""
        pairs = [tuple(text.partition("=")[::2]) for text in texts]
        faults = [fault for key, value in pairs for fault in _faults(key, value, api)]
        names = [key for key, _ in pairs]
        faults += [f"{key} is given twice" for key in dict.fromkeys(names) if names.count(key) > 1]
        if faults:
            known = "; ".join(f"{key}={what}" for key, what in _known().items())
            raise ServerError("; ".join(faults), where="--qil-server-says", remedy=f"write {known}")
        return cls(pairs=tuple(sorted((key, value) for key, value in pairs)))


def _known() -> dict[str, str]:
    return {**_KEYS, f"{_LORA}VARIANT": "the path of a variant's LoRA on the server"}


def _faults(key: str, value: str, api: Api) -> Iterator[str]:
    named = key.startswith(_LORA) and len(key) > len(_LORA)
    if not named and key not in _KEYS:
        yield f"{key[:40]!r} is no key of it"
    elif _VALUE.fullmatch(value) is None or not value.isprintable():
        yield f"{key} has no value, one of more than 400 characters, or one that cannot be printed"
    elif key == "scheduler" and value not in _SCHEDULERS:
        yield f"scheduler={value[:40]} is not one of {', '.join(_SCHEDULERS)}"
    elif key == "fixed":
        yield from (f"fixed={name[:40]} is not one of {', '.join(FIXABLE)}" for name in _unfixable(value))
        if api is not Api.OPENAI:
            yield f"fixed is for --qil-server-api=openai: {api} takes these parameters, and ignoring one is an error"


def _unfixable(value: str) -> Iterator[str]:
    yield from (name.strip() for name in value.split(",") if name.strip() not in FIXABLE)


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server of images. Raises ServerError for an address that cannot be one."""

    #: `http(s)://host[:port][/path]`, without user, query and slash at the end.
    url: str
    api: Api
    says: Says = Says()
    #: requests in flight at once.
    concurrency: int = 1
    #: seconds until a whole answer must be there.
    read_seconds: float = READ_SECONDS

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", self.url.rstrip("/"))
        for what, remedy in _url_faults(self.url):
            raise ServerError(what, where="--qil-server", remedy=remedy)

    @property
    def host(self) -> str:
        """The host's name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_loopback(self) -> bool:
        """True where nothing leaves this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_encrypted(self) -> bool:
        """True for https."""
        return urlsplit(self.url).scheme == "https"


def _url_faults(url: str) -> Iterator[tuple[str, str]]:
    """Yield why an address is none. It may hold a password, so it is not shown whole."""
    form = "write http://HOST:PORT or https://HOST, such as http://127.0.0.1:8000"
    if not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
        yield "the address has characters that none has", form
        return
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        yield f"not an address: {printable_line(str(error), 80)}", form
        return
    if parts.username is not None or parts.password is not None:
        yield "the address holds a user or a password", f"leave it out, and put the server's key into {KEY_VARIABLE}"
    elif parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        yield "not an address of a server", form
    elif parts.query or parts.fragment or url.endswith(("?", "#")):
        yield "the address has a query or a fragment", form
    elif parts.path.endswith("/v1"):
        yield "the address ends with /v1, which is added to it", "leave /v1 out"
