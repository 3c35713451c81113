"""Ctrl+C twice at once counts as once; later it interrupts anew."""

import signal

import pytest

from qiltest.session.interrupts import TOGETHER, Interrupts


@pytest.fixture(autouse=True)
def python_handler(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_press_right_after_the_first_does_nothing_and_a_later_one_interrupts():
    moment = [0.0]
    interrupts = Interrupts(clock=lambda: moment[0])
    interrupts.begin()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    moment[0] = TOGETHER - 0.01
    signal.raise_signal(signal.SIGINT)
    moment[0] = TOGETHER
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    interrupts.end()


def test_the_signal_is_given_back():
    interrupts = Interrupts()
    interrupts.begin()
    interrupts.begin()
    assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    interrupts.end()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_somebody_else_stays():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupts = Interrupts()
    interrupts.begin()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    interrupts.end()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
