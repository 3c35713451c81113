"""The client: what it sends, what it never follows, and where the key stays."""

from __future__ import annotations

import logging

import httpx
import pytest
from pydantic import SecretStr

from qiltest.errors import AnswerError, ServerError
from qiltest.recipe import Size
from qiltest.serving import client as module
from qiltest.serving.client import Client
from qiltest.serving.image import most_bytes, pixels_of
from qiltest.serving.settings import Api, Server
from served_asks import asked, image

KEY = "sk-secret-0123456789"


def of(url="http://127.0.0.1:1", key="", **fields):
    return Client(Server(url=url, api=Api.OPENAI, **fields), SecretStr(key) if key else None)


@pytest.fixture
def answering(monkeypatch):
    """A client whose transport is a function of the test; returns (client, requests seen)."""

    def make(answer, key="", **fields):
        seen = []

        def handle(request):
            seen.append(request)
            made = answer(request) if callable(answer) else answer
            parts = Parts(made.content) if made.is_closed else made.stream  # as it comes from a connection
            return httpx.Response(made.status_code, headers=made.headers, stream=parts)

        client = of(key=key, **fields)
        client._http._mounts = {}
        client._http._transport = httpx.MockTransport(handle)
        return client, seen

    monkeypatch.setattr(module, "pause", lambda seconds: None)
    return make


def test_the_key_is_sent_as_a_header_alone(answering):
    client, seen = answering(httpx.Response(200, json={"a": 1}), key=KEY)
    assert client.post("/x", {"b": 2}).value == {"a": 1}
    assert seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in str(seen[0].url) + seen[0].content.decode()
    assert KEY not in repr(client.__dict__) + repr(client._http.headers)


def test_without_a_key_none_is_sent(answering):
    client, seen = answering(httpx.Response(200, json={"a": 1}))
    client.get("/x")
    assert "authorization" not in seen[0].headers


@pytest.mark.parametrize("url", ["http://10.0.0.1:8000", "http://gpu.example"])
def test_a_key_is_refused_over_plain_http_but_for_this_machine(url):
    with pytest.raises(ServerError, match="would be sent readable") as raised:
        of(url, KEY)
    assert KEY not in str(raised.value)
    of(url)
    of("http://localhost:1", KEY).close()
    of(url.replace("http", "https"), KEY).close()


@pytest.mark.parametrize("key", ["two words", "new\nline", "schlüssel", "\x1b[31m"])
def test_what_is_no_key_is_refused_and_not_shown(key):
    with pytest.raises(ServerError, match="characters that none has") as raised:
        of(key=key)
    assert key not in str(raised.value)


def test_a_proxy_is_for_what_is_elsewhere(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert not of("http://127.0.0.1:1")._http._mounts
    assert not of("http://localhost:1")._http._mounts
    assert of("http://gpu.example")._http._mounts


def test_a_key_that_the_server_repeats_is_hidden_wherever_it_stands(answering):
    said = {"a": f"x{KEY}", KEY: [f"{KEY} {KEY}", {"b64_json": KEY}], "c": 1}
    client, _ = answering(httpx.Response(200, json=said), key=KEY)
    hidden = "[QILTEST_API_KEY]"
    assert client.get("/x") == {"a": f"x{hidden}", hidden: [f"{hidden} {hidden}", {"b64_json": KEY}], "c": 1}
    for code in (400, 401, 500):
        client, _ = answering(httpx.Response(code, text=f"<p>{KEY}</p>"), key=KEY)
        with pytest.raises((AnswerError, ServerError)) as raised:
            client.get("/x")
        assert KEY not in str(raised.value) + repr(raised.value.args)


def test_an_error_is_told_in_the_servers_words_and_bounded(answering):
    client, _ = answering(httpx.Response(422, json={"detail": [{"msg": "too\nmany\x1b[31m steps"}]}))
    with pytest.raises(AnswerError, match="the server answers 422: ") as raised:
        client.get("/x")
    assert "\x1b" not in str(raised.value)
    client, _ = answering(httpx.Response(400, text="x" * 100_000))
    with pytest.raises(AnswerError) as raised:
        client.get("/x")
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(answering, code):
    client, seen = answering(httpx.Response(code, headers={"location": "https://elsewhere.example/x"}), key=KEY)
    with pytest.raises(ServerError, match=r"redirects to elsewhere\.example, which is not followed"):
        client.get("/x")
    assert len(seen) == 1


@pytest.mark.parametrize("code", [400, 404, 422, 500, 502, 504])
def test_an_error_is_an_answer_and_is_not_asked_for_again(answering, code):
    client, seen = answering(httpx.Response(code, json={}))
    with pytest.raises((AnswerError, ServerError)):
        client.post("/x", {})
    assert len(seen) == 1


@pytest.mark.parametrize("code", [429, 503])
def test_busy_twice_is_an_error_after_two_attempts(answering, code):
    client, seen = answering(httpx.Response(code, json={}))
    with pytest.raises(AnswerError, match=f"the server answers {code}"):
        client.get("/x")
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("0", 0.0), ("100000", 60.0), ("soon", 2.0), ("", 2.0), ("9" * 500, 2.0)]
)
def test_the_pause_that_a_server_asks_for_is_kept_within_bounds(answering, monkeypatch, header, seconds):
    client, _ = answering(httpx.Response(503, headers={"retry-after": header}))
    pauses = []
    monkeypatch.setattr(module, "pause", pauses.append)
    with pytest.raises(AnswerError):
        client.get("/x")
    assert pauses == [seconds]


def test_a_read_timeout_is_not_repeated_and_a_refused_connection_is(answering):
    def late(request):
        raise httpx.ReadTimeout("late", request=request)

    client, seen = answering(late, read_seconds=3.0)
    with pytest.raises(AnswerError, match="no whole answer in 3 s"):
        client.post("/x", {})
    assert len(seen) == 1

    def refused(request):
        if len(seen) == 1:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200, json={"a": 1})

    client, seen = answering(refused)
    answer = client.post("/x", {})
    assert answer.notes == ("the request was repeated after 2 s: the server cannot be reached (refused)",)


def test_an_answer_that_trickles_is_late_as_a_whole(standin, monkeypatch):
    """The limit is on the whole answer, not on each of its parts."""
    client = of(read_seconds=5.0)
    clock = iter([0.0, 1.0, 2.0, 6.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    client._http._transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=Parts(b"{", b" ", b"}")))
    with pytest.raises(AnswerError, match="no whole answer in 5 s"):
        client.get("/x")


class Parts(httpx.SyncByteStream):
    """An answer in parts."""

    def __init__(self, *parts):
        self.parts = parts

    def __iter__(self):
        yield from self.parts


@pytest.mark.parametrize("body", [b"", b"null", b"NaN", b'{"a": 1, "a": 2}', b"[" * 200, b"\xff"])
def test_what_is_no_strict_json_is_an_error(answering, body):
    client, _ = answering(httpx.Response(200, content=body))
    with pytest.raises(AnswerError, match=r"not JSON|is null"):
        client.get("/x")


def test_a_compressed_answer_is_refused(answering):
    client, _ = answering(httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Parts(b"x")))
    with pytest.raises(AnswerError, match="compressed, which was not asked for"):
        client.get("/x")


def test_an_answer_is_read_no_further_than_it_may_reach(answering):
    read = []

    class Endless(httpx.SyncByteStream):
        def __iter__(self):
            while True:
                read.append(1)
                yield b"x" * (1 << 20)

    client, _ = answering(httpx.Response(200, stream=Endless()))
    with pytest.raises(AnswerError, match="more than"):
        client.post("/x", {}, most=most_bytes(Size(256, 128)))
    assert len(read) <= 5


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({}, "it has nothing"),
        ([], "it has list"),
        ({"data": {}}, "no images"),
        ({"data": [1]}, "no images"),
        ({"data": []}, "0 images"),
        ({"data": [{}]}, "empty"),
        ({"data": [{"b64_json": ""}]}, "empty"),
        ({"data": [{"b64_json": 5}]}, "empty"),
        ({"data": [{"b64_json": "AAAA"}]}, "no image that is known"),
        ({"data": [{"b64_json": "ä"}]}, "no base64"),
    ],
)
def test_an_answer_without_its_image_is_an_error(value, what):
    with pytest.raises(AnswerError, match=what):
        pixels_of(value, Size(16, 16), where="x")


def test_no_log_has_the_key(standin, opened, monkeypatch, caplog):
    monkeypatch.setenv("QILTEST_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    generator = opened(standin("vllm-omni", key=KEY))
    image(generator)
    assert caplog.records
    assert KEY not in caplog.text
    assert KEY not in repr(vars(generator)) + asked(generator).canonical()
