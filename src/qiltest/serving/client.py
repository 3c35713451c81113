"""Ask a server: JSON there and back, with limits on time and size, and nothing told of the key.

Nothing is followed to another place, and an answer is read only as far as its size may reach. A request is repeated
once, and that is said, where the server cannot have begun it: a refused connection, 429 and 503. After a timeout it may
still be at work, and an error is an answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import httpx
from pydantic import SecretStr

from qiltest.errors import AnswerError, LateError, QiltestError, ServerError
from qiltest.serving.settings import CONNECT_SECONDS, KEY_VARIABLE, Server
from qiltest.strict_json import StrictJsonError, parse
from qiltest.text.escape import one_line

#: bytes of an answer that is no image: a page of fields has some hundred thousand.
MOST_BYTES = 16 << 20
#: seconds before a request is repeated, unless the server names others (at most so many).
_PAUSE, _LONGEST_PAUSE = 2.0, 60.0
#: bytes and characters of an error's page that are read and shown.
_ERROR_BYTES, _ERROR_SHOWN = 64 << 10, 300
_AGAIN = frozenset({429, 503})
#: waits before a request is repeated.
pause = time.sleep
_HIDDEN = f"[{KEY_VARIABLE}]"
#: what holds an image, in which a short key may stand by chance.
_IMAGE_FIELD = "b64_json"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server answered, and when."""

    #: the JSON value.
    value: Any
    #: from sending the request to the last byte of the answer, without an earlier attempt; `time.monotonic` both.
    began: float
    ended: float
    #: why the request was repeated.
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Seconds that the caller waited."""
        return self.ended - self.began


class _Repeatable(Exception):  # noqa: N818 -- it is no error yet
    """An attempt that the server did not begin."""

    def __init__(self, error: QiltestError, pause: float = _PAUSE) -> None:
        super().__init__(str(error))
        self.error, self.pause = error, pause


class Client:
    """Asks one server. Safe in several threads."""

    def __init__(self, server: Server, key: SecretStr | None) -> None:
        """Open no connection yet. Raises ServerError for a key that would be readable on its way."""
        self._server, self._key = server, key
        if key is not None:
            _check_key(server, key)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key.get_secret_value()}"
        self._http = httpx.Client(
            headers=headers,
            follow_redirects=False,
            trust_env=not server.is_loopback,  # a proxy is for what is elsewhere
            verify=server.is_encrypted,  # certificates take long to load, and plain http has none
            timeout=httpx.Timeout(server.read_seconds, connect=min(CONNECT_SECONDS, server.read_seconds)),
            # one that waited while an image was read may be closed by now, and nobody could tell that from a crash
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def get(self, path: str) -> Any:  # noqa: ANN401 -- JSON of any shape
        """Return what the server has at a path, None where it has nothing. Raises ServerError and AnswerError."""
        return self._asked("GET", path, None, MOST_BYTES).value

    def post(self, path: str, body: dict[str, Any], *, most: int = MOST_BYTES) -> Answer:
        """Send a body and return the answer, of at most `most` bytes. Raises ServerError and AnswerError."""
        answer = self._asked("POST", path, body, most)
        if answer.value is None:
            raise ServerError(
                "the server has no such address",
                where=self._server.url + path,
                remedy="check --qil-server and --qil-server-api; a language model's server makes no images",
            )
        return answer

    def close(self) -> None:
        """End all connections, also those that wait for an answer."""
        self._http.close()

    def _asked(self, method: str, path: str, body: dict[str, Any] | None, most: int) -> Answer:
        try:
            return self._attempt(method, path, body, most)
        except _Repeatable as first:
            note = f"the request was repeated after {first.pause:g} s: {first.error.what}"
            pause(first.pause)
        try:
            answer = self._attempt(method, path, body, most)
        except _Repeatable as second:
            raise second.error from None
        return Answer(value=answer.value, began=answer.began, ended=answer.ended, notes=(note,))

    def _attempt(self, method: str, path: str, body: dict[str, Any] | None, most: int) -> Answer:
        where = self._server.url + path
        began = time.monotonic()
        with self._told(where), self._http.stream(method, where, json=body) as response:
            if response.status_code == httpx.codes.NOT_FOUND:
                return Answer(value=None, began=began, ended=time.monotonic())
            if response.status_code != httpx.codes.OK:
                self._refuse(response, where)
            data = self._body(response, where, most, began)
        ended = time.monotonic()
        try:
            found = parse(data)
        except StrictJsonError as error:
            raise AnswerError(
                f"the answer is not JSON: {self._hidden(str(error))}",
                where=where,
                remedy="check --qil-server: a gateway, or another program, may answer there",
            ) from None
        if found is None:
            raise AnswerError("the answer is null", where=where, remedy="look into the server's log")
        return Answer(value=self._without_key(found), began=began, ended=ended)

    def _body(self, response: httpx.Response, where: str, most: int, began: float) -> bytes:
        """Return an answer's bytes. Raises AnswerError for too many, or too late."""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise AnswerError("the answer is compressed, which was not asked for", where=where)
        found = bytearray()
        for part in response.iter_raw():
            found += part
            if len(found) > most:
                raise AnswerError(
                    f"the answer has more than {most:,} bytes, which no answer to this request has",
                    where=where,
                    remedy="look at what answers there; the rest was not read",
                )
            if time.monotonic() - began > self._server.read_seconds:
                self._late(where)
        return bytes(found)

    def _refuse(self, response: httpx.Response, where: str) -> NoReturn:
        """Raise what an answer other than 200 means."""
        code = response.status_code
        if response.is_redirect or response.has_redirect_location:
            to = httpx.URL(response.headers.get("location", "")).host or "another address"
            raise ServerError(
                f"the server redirects to {self._hidden(to)}, which is not followed",
                where=where,
                remedy="give the address that answers itself with --qil-server",
            )
        said = self._hidden(_said(response))
        if code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            what = "asks for a key" if self._key is None else "refuses the key"
            raise ServerError(f"the server {what} ({code})", where=where, remedy=f"put its key into {KEY_VARIABLE}")
        what = f"the server answers {code}" + (f": {said}" if said else "")
        if code in _AGAIN:
            remedy = "wait until the server is ready, or ask for less at once (--qil-server-concurrency)"
            raise _Repeatable(AnswerError(what, where=where, remedy=remedy), _pause(response))
        remedy = (
            "the server does not take the request as it is: compare its version with docs/guide/served-model.md"
            if httpx.codes.is_client_error(code)
            else "look into the server's log; the request is not repeated, because the error is its answer"
        )
        raise AnswerError(what, where=where, remedy=remedy)

    @contextmanager
    def _told(self, where: str) -> Iterator[None]:
        """Raise what goes wrong on the way as errors of ours, without the client's own words about the request."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise _Repeatable(
                ServerError(
                    f"the server cannot be reached ({self._hidden(str(error)) or 'no connection in time'})",
                    where=where,
                    remedy="start it, or check --qil-server",
                )
            ) from None
        except httpx.TimeoutException:
            self._late(where)
        except httpx.TransportError as error:
            raise AnswerError(
                f"the connection ended before the answer ({self._hidden(str(error)) or type(error).__name__})",
                where=where,
                remedy="look into the server's log: it may have died. It may have begun, so it is not asked again",
            ) from None
        except (httpx.InvalidURL, httpx.HTTPError) as error:
            raise ServerError(f"cannot be asked: {self._hidden(str(error))}", where=where) from None

    def _late(self, where: str) -> NoReturn:
        raise LateError(
            f"no whole answer in {self._server.read_seconds:g} s",
            where=where,
            remedy="give it longer with --qil-server-timeout; it is not asked again, because it may still be at work",
        ) from None

    def _hidden(self, text: str) -> str:
        """Return a server's or a library's words without the key, on one line."""
        if self._key is not None:
            text = text.replace(self._key.get_secret_value(), _HIDDEN)
        return one_line(text, _ERROR_SHOWN)

    def _without_key(self, value: Any) -> Any:  # noqa: ANN401 -- JSON
        """Return an answer in which the key, which a server may repeat, is replaced."""
        if self._key is None:
            return value
        if isinstance(value, str):
            return value.replace(self._key.get_secret_value(), _HIDDEN)
        if isinstance(value, list):
            return [self._without_key(item) for item in value]
        if isinstance(value, dict):
            return {
                self._without_key(name): item if name == _IMAGE_FIELD else self._without_key(item)
                for name, item in value.items()
            }
        return value


def _check_key(server: Server, key: SecretStr) -> None:
    """Raise ServerError for a key that cannot be one, or that everybody on the way could read; it is never shown."""
    secret = key.get_secret_value()
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ServerError(
            "the key has characters that none has", where=KEY_VARIABLE, remedy="set it again, on one line"
        )
    if not server.is_encrypted and not server.is_loopback:
        raise ServerError(
            f"the key in {KEY_VARIABLE} would be sent readable to all on the way",
            where=server.url,
            remedy=f"use https, or a tunnel that ends on this machine; or unset {KEY_VARIABLE}",
        )


def _said(response: httpx.Response) -> str:
    """Return what an error's page says, "" for nothing."""
    found = bytearray()
    for part in response.iter_raw():
        found += part
        if len(found) > _ERROR_BYTES:
            break
    text = bytes(found[:_ERROR_BYTES]).decode("utf-8", "replace")
    try:
        value = parse(text)
    except StrictJsonError:
        return text
    for name in ("error", "detail", "message"):
        while isinstance(value, dict) and name in value:
            value = value[name]
    return value if isinstance(value, str) else str(value)


def _pause(response: httpx.Response) -> float:
    """Return the seconds after which the server wants to be asked again, within bounds."""
    asked = response.headers.get("retry-after", "")
    return min(float(asked), _LONGEST_PAUSE) if asked.isdecimal() and len(asked) < 10 else _PAUSE
