"""Work ahead of who asks for it: order, bounds, errors, and an end that waits for nothing."""

from __future__ import annotations

import threading
import time

import pytest

from qiltest.serving.ahead import Ahead


class Gate:
    """Work that goes on when it is let."""

    def __init__(self):
        self.begun, self.inside, self.most = [], 0, 0
        self.open = threading.Event()
        self.lock = threading.Lock()

    def __call__(self, key):
        with self.lock:
            self.begun.append(key)
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.open.wait(5)
        with self.lock:
            self.inside -= 1
        if key == "bad":
            raise ValueError(key)
        return f"done {key}"


def until(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.001)
    raise AssertionError("it never came")


def test_what_follows_is_begun_in_order_and_never_more_than_the_threads():
    gate = Gate()
    ahead = Ahead(gate, threads=3)
    gate.open.set()
    keys = [str(k) for k in range(20)]
    assert [ahead.take(key, keys[place + 1 :]) for place, key in enumerate(keys)] == [f"done {key}" for key in keys]
    assert sorted(gate.begun, key=int) == keys  # each once
    assert gate.most <= 3


def test_no_more_than_twice_the_threads_wait_in_memory():
    gate = Gate()
    ahead = Ahead(gate, threads=2)
    gate.open.set()
    ahead.take("0", [str(k) for k in range(1, 100)])
    ahead.drain()
    assert gate.begun == ["0", "1", "2", "3"]


def test_an_error_is_raised_by_who_takes_it():
    gate = Gate()
    gate.open.set()
    ahead = Ahead(gate, threads=2)
    assert ahead.take("1", ["bad", "2"]) == "done 1"
    with pytest.raises(ValueError, match="bad"):
        ahead.take("bad", ["2"])
    assert ahead.take("2", []) == "done 2"


def test_the_end_waits_for_nothing_and_begins_nothing():
    gate = Gate()
    ahead = Ahead(gate, threads=1)
    thread = threading.Thread(target=lambda: ahead.take("1", ["2"]), daemon=True)
    thread.start()
    until(lambda: gate.begun and ahead._futures)
    began = time.monotonic()
    ahead.close()
    assert time.monotonic() - began < 1
    assert all(one.daemon for one in ahead._started)
    gate.open.set()
    thread.join(5)
    until(lambda: not ahead._started[0].is_alive())
    assert gate.begun == ["1"]
