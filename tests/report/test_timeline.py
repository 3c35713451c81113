"""The report's section on where the time went: what ran alone, what beside what, and old runs without it."""

import json
import time
from dataclasses import replace

import pytest

from qiltest.report import write_html, write_json, write_markdown
from qiltest.report.timeline import MOST_STAGES, timeline_lines, timeline_of
from qiltest.spans import MOST, Span

#: a session of 12 seconds: loading beside encoding, then two images; one is read while the other is made.
SPANS = (
    Span(name="import libraries", start=0.0, end=2.0),
    Span(name="load transformer", start=2.0, end=6.0),
    Span(name="encode prompt", start=3.0, end=4.0),
    Span(name="encode prompt", start=4.0, end=5.0),
    Span(name="denoise", start=6.0, end=7.0, what="8step 64x64"),
    Span(name="decode", start=7.0, end=7.5),
    Span(name="denoise", start=8.0, end=9.0),
    Span(name="read", start=7.5, end=9.5, where="reader 7"),
    Span(name="write report", start=11.0, end=12.0),
)


@pytest.fixture
def timed(typical):
    run = typical
    return replace(run, spans=SPANS)


def stage(run, name):
    return next(one for one in timeline_of(run).stages if one.name == name)


def test_a_session_lasts_to_the_end_of_its_last_piece_of_work(timed):
    assert timeline_of(timed).wall == 12.0


def test_the_first_image_is_there_when_it_is_decoded(timed):
    assert timeline_of(timed).first_image == 7.5


def test_seconds_of_a_kind_are_those_in_which_a_piece_of_it_went_on(timed):
    encode = stage(timed, "encode prompt")
    assert (encode.times, encode.start, encode.end, encode.seconds) == (2, 3.0, 5.0, 2.0)


def test_seconds_alone_are_those_in_which_nothing_else_went_on(timed):
    assert stage(timed, "load transformer").alone == 2.0
    assert stage(timed, "encode prompt").alone == 0.0
    assert stage(timed, "read").alone == 1.0  # a second of it beside denoising


def test_what_ran_beside_is_told_with_its_seconds(timed):
    (beside,) = stage(timed, "load transformer").beside
    assert (beside.name, beside.seconds) == ("encode prompt", 2.0)
    assert stage(timed, "import libraries").beside == ()


def test_seconds_without_any_work_are_told(timed):
    assert timeline_of(timed).unrecorded == 1.5  # 9.5 to 11


def test_pieces_of_one_kind_at_the_same_time_count_once(timed):
    both = replace(timed, spans=(Span(name="hash", start=0.0, end=3.0), Span(name="hash", start=1.0, end=2.0)))
    hashing = stage(both, "hash")
    assert (hashing.seconds, hashing.alone, hashing.beside) == (3.0, 3.0, ())


def test_a_piece_of_no_length_takes_no_time_from_others(timed):
    spans = (Span(name="load", start=0.0, end=2.0), Span(name="known", start=1.0, end=1.0))
    assert stage(replace(timed, spans=spans), "load").alone == 2.0


def test_kinds_beyond_the_most_are_counted_not_listed(timed):
    spans = tuple(Span(name=f"kind {n}", start=float(n), end=n + 0.5 + n / 100) for n in range(MOST_STAGES + 3))
    seen = timeline_of(replace(timed, spans=spans))
    assert (len(seen.stages), seen.left_out) == (MOST_STAGES, 3)
    assert "3 further kinds of little time" in seen.sentence


def test_the_section_is_in_every_form_of_the_report(timed):
    for write, form in ((write_html, "html"), (write_markdown, "md"), (write_json, "json")):
        write(timed, timed.path / f"report.{form}")
    page, text = ((timed.path / f"report.{form}").read_text(encoding="utf-8") for form in ("html", "md"))
    for shown in (page, text):
        assert "Where the time went" in shown
        assert "load transformer" in shown
    told = json.loads((timed.path / "report.json").read_bytes())["timeline"]
    assert (told["wall"], told["first_image"]) == (12.0, 7.5)
    assert [one["name"] for one in told["stages"]][:2] == ["import libraries", "load transformer"]


def test_a_run_without_spans_has_no_such_section(typical):
    run = typical
    assert timeline_of(run) is None
    for write, form in ((write_html, "html"), (write_markdown, "md"), (write_json, "json")):
        write(run, run.path / f"report.{form}")
        assert "time went" not in (run.path / f"report.{form}").read_text(encoding="utf-8")
    assert "timeline" not in json.loads((run.path / "report.json").read_bytes())


def test_a_name_from_a_hostile_run_is_escaped(timed):
    hostile = replace(timed, spans=(Span(name="<script>alert(1)</script>|x", start=0.0, end=1.0),))
    for write, form in ((write_html, "html"), (write_markdown, "md")):
        write(hostile, hostile.path / f"report.{form}")
        assert "<script>alert" not in (hostile.path / f"report.{form}").read_text(encoding="utf-8")


def test_the_lines_for_a_terminal_have_a_row_for_each_kind(timed):
    lines = list(timeline_lines(timeline_of(timed)))
    assert len(lines) == 2 + len(timeline_of(timed).stages)
    assert lines[3] == "| load transformer | 1 | 2.0 | 6.0 | 4.00 | 2.00 | encode prompt 2.0 |"


def test_a_run_of_more_spans_than_any_session_stores_is_summed_up_in_a_moment(timed):
    spans = tuple(
        Span(name=f"kind {number % 40}", start=number / 100, end=number / 100 + 0.35) for number in range(60_000)
    )
    begin = time.process_time()
    seen = timeline_of(replace(timed, spans=spans))
    assert time.process_time() - begin < 5
    assert seen.wall == pytest.approx(2 * MOST / 100, abs=1)
