"""The options of a served model: wrong ones are refused, all at once, and no password is shown."""

from __future__ import annotations

import argparse

import pytest

from qiltest.errors import ServerError
from qiltest.serving.settings import Api, Says, Server
from qiltest.session.server import read_server
from qiltest.suite.variants import SchedulerKind


def server(url: str) -> Server:
    return Server(url=url, api=Api.SGLANG)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://user:hunter2@host:1", "holds a user or a password"),
        ("http://hunter2@host:1", "holds a user or a password"),
        ("ftp://host", "not an address of a server"),
        ("host:8000", "not an address of a server"),
        ("http://", "not an address of a server"),
        ("http://host:0", "not an address of a server"),
        ("http://host:99999", "not an address"),
        ("http://[::1", "not an address"),
        ("http://host?key=hunter2", "a query or a fragment"),
        ("http://host/#hunter2", "a query or a fragment"),
        ("http://host:8000/v1", "which is added to it"),
        ("http://ho st", "characters that none has"),
        ("http://host\r\nX: 1", "characters that none has"),
        ("http://höst", "characters that none has"),
        ("", "not an address of a server"),
    ],
)
def test_what_is_no_address_is_refused_and_not_shown(url, what):
    with pytest.raises(ServerError) as raised:
        server(url)
    assert what in raised.value.what
    assert raised.value.remedy
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "host", "loopback"),
    [
        ("http://127.0.0.1:8000/", "127.0.0.1", True),
        ("http://127.9.9.9", "127.9.9.9", True),
        ("http://[::1]:8000", "::1", True),
        ("http://localhost:8000", "localhost", True),
        ("https://gpu.example/base/", "gpu.example", False),
        ("http://10.0.0.1", "10.0.0.1", False),
        ("http://localhost.example", "localhost.example", False),
        ("http://127.0.0.1.example", "127.0.0.1.example", False),
    ],
)
def test_an_address_says_whether_it_is_this_machine(url, host, loopback):
    found = server(url)
    assert (found.host, found.is_loopback) == (host, loopback)
    assert found.is_encrypted == url.startswith("https")
    assert not found.url.endswith("/")


def test_what_is_said_of_a_server_is_kept_sorted():
    says = Says.parse(["scheduler=lightning", "lora.4step=/a=b, c", "device=NVIDIA H200"], api=Api.VLLM_OMNI)
    assert says.pairs == (("device", "NVIDIA H200"), ("lora.4step", "/a=b, c"), ("scheduler", "lightning"))
    assert says.scheduler is SchedulerKind.LIGHTNING
    assert (says.lora_path("4step"), says.lora_path("8step"), says["dtype"]) == ("/a=b, c", "", "")
    assert Says().scheduler is SchedulerKind.MODEL


def test_all_mistakes_are_named_at_once():
    texts = [
        "scheduler=fast",
        "shift=3",
        "device=",
        "lora.=x",
        "fixed=steps",
        "dtype=a",
        "dtype=b",
        "noequals",
        "weights=\x1b[31m",
    ]
    with pytest.raises(ServerError) as raised:
        Says.parse(texts, api=Api.SGLANG)
    for what in (
        "scheduler=fast is not one of model, lightning",
        "'shift' is no key of it",
        "device has no value",
        "'lora.' is no key of it",
        "fixed=steps is not one of",
        "fixed is for --qil-server-api=openai",
        "dtype is given twice",
        "weights has no value, one of more than 400 characters, or one that cannot be printed",
        "'noequals' is no key of it",
    ):
        assert what in raised.value.what
    assert "lora.VARIANT=" in raised.value.remedy


def options(**given):
    names = "server server_api server_says server_concurrency server_timeout rounds lora device threads merge compile"
    known = dict.fromkeys((*names.split(), "offload", "fp8", "allow_partial_lora", "workers", "cluster"))
    return argparse.Namespace(**{f"qil_{name}": value for name, value in {**known, **given}.items()})


def test_without_a_server_there_is_none():
    assert read_server(options(), model="tiny") is None


def test_a_server_has_its_dialect_and_limits():
    found = read_server(
        options(server="http://[::1]:1", server_api="openai", server_concurrency=4, server_timeout=5.0), model="tiny"
    )
    assert found == Server(url="http://[::1]:1", api=Api.OPENAI, concurrency=4, read_seconds=5.0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"server_says": ["dtype=int8"]}, "--qil-server-says is about a server"),
        ({"server_timeout": 3.0}, "--qil-server-timeout is about a server"),
        ({"server": "http://a"}, "--qil-server needs --qil-server-api"),
        ({"server": "http://a", "server_api": "sglang", "merge": "yes"}, "--qil-merge and --qil-server exclude"),
        ({"server": "http://a", "server_api": "sglang", "threads": 2}, "--qil-threads and --qil-server exclude"),
        ({"server": "http://a", "server_api": "sglang", "lora": "x"}, "--qil-lora and --qil-server exclude"),
        ({"server": "http://a", "server_api": "sglang", "server_concurrency": 65}, "is more than 64"),
        ({"server": "http://a", "server_api": "sglang", "server_concurrency": 2, "rounds": 3}, "--qil-rounds repeats"),
        ({"server": "http://a:b@c", "server_api": "sglang"}, "holds a user or a password"),
    ],
)
def test_options_that_contradict_each_other_are_refused_with_a_remedy(given, said):
    with pytest.raises(pytest.UsageError) as raised:
        read_server(options(**given), model="tiny")
    assert said in str(raised.value)
    assert "\n  -> " in str(raised.value)


def test_random_weights_are_not_served():
    with pytest.raises(pytest.UsageError, match="--qil-model=random is made in this process"):
        read_server(options(server="http://a", server_api="sglang"), model="random")
