"""Spans of work: recorded by any thread, collected by a session."""

import threading
import time
from itertools import pairwise

import pytest

from qiltest import spans
from qiltest.spans import LEFT_OUT, Span, Timeline, Unread, process_begun, record, record_of, span


@pytest.fixture
def timeline():
    Timeline()  # the first of a process begins with the process
    return Timeline()


def test_a_block_is_a_span_of_its_kind_from_its_start_to_its_end(timeline):
    with span("load", "transformer"):
        time.sleep(0.02)
    (seen,) = timeline.take()
    assert (seen.name, seen.what, seen.where) == ("load", "transformer", "")
    assert 0 <= seen.start < seen.end
    assert seen.seconds >= 0.019


def test_a_block_that_raises_is_a_span_too(timeline):
    with pytest.raises(ValueError, match="no"), span("load"):
        raise ValueError("no")
    assert [one.name for one in timeline.take()] == ["load"]


def test_a_block_inside_another_is_work_of_its_own_kind_alone(timeline):
    with span("recipes"):
        time.sleep(0.01)
        with span("inspect"):
            time.sleep(0.01)
        time.sleep(0.01)
    seen = timeline.take()
    assert [one.name for one in seen] == ["recipes", "inspect", "recipes"]
    assert all(one.end <= other.start + 1e-3 for one, other in pairwise(seen))
    assert all(one.seconds >= 0.009 for one in seen)


def test_a_block_that_only_holds_others_is_recorded_once(timeline):
    with span("outer"):
        for _ in range(3):
            with span("inner"):
                time.sleep(0.002)
    assert [one.name for one in timeline.take()].count("outer") == 1


def test_threads_record_into_the_same_timeline_sorted_by_their_starts(timeline):
    begun, end = threading.Event(), threading.Event()

    def work():
        with span("hash"):
            begun.set()
            end.wait()

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    with span("encode"):
        pass
    end.set()
    thread.join()
    assert [one.name for one in timeline.take()] == ["hash", "encode"]


def test_each_span_is_taken_once(timeline):
    with span("load"):
        pass
    assert len(timeline.take()) == 1
    with span("report"):
        pass
    assert [one.name for one in timeline.take()] == ["report"]


def test_what_ended_before_the_session_began_is_not_its_own():
    Timeline()
    with span("of another session"):
        pass
    later = Timeline()
    with span("own"):
        pass
    assert [one.name for one in later.take()] == ["own"]


def test_spans_of_other_processes_are_named_by_them(timeline):
    here = time.monotonic()
    time.sleep(0.01)
    record_of([Span(name="denoise", start=here, end=time.monotonic())], "worker 2")
    (seen,) = timeline.take()
    assert (seen.name, seen.where) == ("denoise", "worker 2")
    assert seen.seconds >= 0.009


def test_a_worker_tells_each_of_its_spans_once():
    unread = Unread()
    unread.take()
    with span("denoise"):
        pass
    assert [one.name for one in unread.take()] == ["denoise"]
    assert unread.take() == ()


def test_what_goes_beyond_the_most_is_one_span_that_says_how_many(timeline, monkeypatch):
    monkeypatch.setattr(spans, "MOST", 3)
    for number in range(5):
        record(Span(name=f"n{number}", start=timeline.begun + number, end=timeline.begun + number + 1))
    seen = timeline.take()
    assert [one.name for one in seen] == ["n0", "n1", "n2", LEFT_OUT]
    assert (seen[-1].what, seen[-1].start, seen[-1].end) == ("2 spans", 3.0, 5.0)
    record(Span(name="later", start=timeline.begun + 9, end=timeline.begun + 9.5))
    assert [one.name for one in timeline.take()] == [LEFT_OUT]


def test_a_process_began_before_now_and_not_before_the_system(monkeypatch):
    now = time.monotonic()
    begun = process_begun(now)
    assert 0 < begun < now


def test_where_the_system_does_not_tell_when_the_process_began_it_is_now(monkeypatch):
    def refuse(*_args, **_options):
        raise OSError

    monkeypatch.setattr("pathlib.Path.read_text", refuse)
    assert process_begun(7.0) == 7.0
