"""Spans in a run's lines: written with its end and its reports, read back as one timeline."""

from dataclasses import replace

import pytest

from qiltest.errors import StoreError
from qiltest.runs import RunStore
from qiltest.runs.events import decode, encode
from qiltest.runs.load import load_run
from qiltest.runs.records import RunState
from qiltest.spans import Span

LOAD = Span(name="load", start=0.5, end=2.25, what="transformer", where="worker 1")
REPORT = Span(name="write report", start=3.0, end=4.0)


def test_spans_come_back_as_they_were_and_those_of_the_reports_after_those_of_the_end(make, tmp_path):
    with RunStore(root=tmp_path).create() as writer:
        writer.append(make.started(writer.id, 0))
        writer.append(replace(make.ended(RunState.FINISHED), spans=(LOAD,)))
        writer.append(replace(make.reported(), spans=(REPORT,)))
    assert load_run(writer.folder).spans == (LOAD, REPORT)


def test_a_line_from_before_there_were_spans_has_none(make):
    for event in (make.ended(), make.reported()):
        line = encode(event)
        old = line.replace(b',"spans":[]', b"")
        assert old != line
        assert decode(old, where="here").spans == ()


@pytest.mark.parametrize("span", [replace(LOAD, end=0.25), replace(LOAD, start=-1.0)])
def test_a_span_that_ends_before_it_begins_or_begins_before_the_command_is_refused(make, span):
    line = encode(replace(make.ended(), spans=(REPORT, span)))
    with pytest.raises(StoreError, match=r"spans\.1: it ends before it begins"):
        decode(line, where="here")
