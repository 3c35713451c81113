"""The chain of a run's lines, and what an event may name: edited, missing and moved lines, paths, keys, readings."""

import hashlib
import json
import os
import socket
import tracemalloc
from dataclasses import replace

import pytest

import builders
from qiltest.errors import StoreError
from qiltest.recipe import Size
from qiltest.runs import Reuse, RunStore, RunWriter, load_run
from qiltest.runs.events import Judged, decode, encode
from qiltest.runs.lines import EVENTS, MAX_LINE, MAX_NAMES, lines_of
from qiltest.runs.load import Bound
from qiltest.runs.readings import reading_digest
from qiltest.runs.store import readings_of


@pytest.fixture
def run(tmp_path, make):
    folder = tmp_path / "run"
    folder.mkdir()
    make.write(RunWriter(folder), range(2))
    return folder


def lines(run):
    return (run / EVENTS).read_bytes().splitlines(keepends=True)


def refused(run, lines=None):
    """Write these lines; return the error of reading them."""
    if lines is not None:
        (run / EVENTS).write_bytes(b"".join(lines))
    with pytest.raises(StoreError) as error:
        load_run(run)
    assert "\n" not in error.value.what
    return error.value


def forge(run, change):
    """Change each line's record and compute the chain anew, which whoever rewrites the whole file can."""
    before, out = "", []
    for line in lines(run):
        record = json.loads(line)
        change(record)
        record["before"] = before
        out.append(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode())
        before = hashlib.sha256(out[-1]).hexdigest()
    (run / EVENTS).write_bytes(b"\n".join(out) + b"\n")


def test_each_line_holds_its_number_and_the_hash_of_the_line_before(run):
    before = ""
    for number, line in enumerate(lines(run), start=1):
        record = json.loads(line)
        assert (record["line"], record["before"]) == (number, before)
        before = hashlib.sha256(line.rstrip(b"\n")).hexdigest()
    assert [line.number for line in lines_of(run)] == list(range(1, 8))


@pytest.mark.parametrize("number", range(1, 7))
def test_an_edited_line_is_named(run, number):
    known = lines(run)
    known[number - 1] = known[number - 1].replace(b'"at":"2', b'"at":"3')
    error = refused(run, known)
    assert error.what == "the line was changed after it was written: the next line holds another SHA-256 of it"
    assert error.where == f"{run / EVENTS}:{number}"


@pytest.mark.parametrize("number", range(1, 7))
def test_a_missing_line_is_named(run, number):
    known = lines(run)
    del known[number - 1]
    error = refused(run, known)
    assert error.where == f"{run / EVENTS}:{number}"
    assert error.what == (
        f"line {number + 1} of the run stands where line {number} belongs: a line was removed, added or moved"
    )


def test_a_line_that_was_moved_or_doubled_is_named(run):
    known = lines(run)
    assert refused(run, [*known[:3], known[4], known[3], *known[5:]]).where == f"{run / EVENTS}:4"
    assert refused(run, [*known[:3], known[2], *known[3:]]).where == f"{run / EVENTS}:4"


def test_every_fault_of_the_chain_is_told_where_all_are_asked_for(run):
    known = lines(run)
    known[2] = known[2].replace(b'"at":"2', b'"at":"3')
    (run / EVENTS).write_bytes(b"".join([*known[:4], *known[5:]]))
    faults = []
    assert len(list(lines_of(run, tolerate=faults.append))) == 6
    assert [fault.where.rpartition(":")[2] for fault in faults] == ["3", "5"]


def test_another_writer_continues_the_chain_and_takes_back_a_line_that_was_cut_short(run, make):
    whole = b"".join(lines(run)[:3])
    (run / EVENTS).write_bytes(whole + lines(run)[3][:70])
    with RunWriter(run) as writer:
        writer.append(make.failed(1))
    with RunWriter(run) as writer:
        # its image is known from before
        writer.append(make.judged(0))
        writer.append(make.ended())
    assert (run / EVENTS).read_bytes().startswith(whole)
    loaded = load_run(run)
    assert loaded.problems == ("a golden is unused",)
    assert [result.error for result in loaded.results] == ["", "out of memory"]
    assert json.loads(lines(run)[-1])["line"] == 6


def test_a_run_whose_chain_is_broken_is_not_written_to(run, make):
    known = lines(run)
    del known[2]
    (run / EVENTS).write_bytes(b"".join(known))
    with pytest.raises(StoreError, match="line 4 of the run stands where line 3 belongs"):
        RunWriter(run)
    assert lines(run) == known
    with pytest.raises(StoreError):  # and not: locked
        RunWriter(run)


def test_a_write_that_failed_leaves_the_chain_whole(run, make, monkeypatch):
    with RunWriter(run) as writer:
        monkeypatch.setattr("qiltest.runs.writer.os.write", lambda _file, _line: 0)
        with pytest.raises(StoreError):
            writer.append(make.failed())
        monkeypatch.undo()
        writer.append(make.failed())
    assert len(list(lines_of(run))) == 8


OUTSIDE = ("../../../../outside/x", "/tmp/x", "..", ".x", "", "a/b", "a\\b", "a\n", "a\0b", "x" * 97)


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("field", ["case", "variant"])
def test_a_sample_whose_name_could_be_a_path_is_refused(run, name, field):
    def change(record):
        if record["event"] != "started" and "sample" in record:
            record["sample"][field] = name

    forge(run, change)
    error = refused(run)
    assert error.what == f"invalid generated event: sample.{field}: {name[:60]!r} is no plain name"
    assert error.where == f"{run / EVENTS}:2"


def planned(record, name):
    record["planned"][1]["variant"] = name


PLACES = {
    "run": lambda record, name: record.update(run=name),
    "rescored_from": lambda record, name: record.update(rescored_from=name),
    "cases.0.id": lambda record, name: record["cases"][0].update(id=name),
    "variants.0.name": lambda record, name: record["variants"][0].update(name=name),
    "sample.variant": planned,
}


@pytest.mark.parametrize("place", PLACES)
def test_a_start_whose_names_could_be_paths_is_refused(run, place):
    forge(run, lambda record: PLACES[place](record, "../x") if record["event"] == "started" else None)
    assert refused(run).what == f"invalid started event: {place}: '../x' is no plain name"


@pytest.mark.parametrize("field", ["reused_from", "read_in"])
def test_another_runs_id_is_a_plain_name(run, field):
    forge(run, lambda record: record.update({field: "../x"}) if field in record else None)
    assert refused(run).what.endswith(f"event: {field}: '../x' is no plain name")


@pytest.mark.parametrize(
    ("size", "seed", "fault"),
    [
        (Size(0, 128), 42, "sample.size: 0x128 is no size"),
        (Size(128, 10**30), 42, f"sample.size: {str(Size(128, 10**30))[:60]} is no size"),
        (Size(128, 128), -1, "sample.seed: -1 is no seed"),
        (Size(128, 128), 2**63, f"sample.seed: {2**63} is no seed"),
    ],
)
def test_a_size_or_seed_that_no_image_has_is_refused(tmp_path, make, size, seed, fault):
    sample = replace(make.sample(), size=size, seed=seed)
    (tmp_path / "run").mkdir()
    with RunWriter(tmp_path / "run") as writer:
        writer.append(make.started("run"))
        writer.append(replace(make.failed(), sample=sample))
    assert refused(tmp_path / "run").what == f"invalid failed event: {fault}"


def test_a_key_that_is_not_its_recipes_is_refused_where_images_are_reused(run, make):
    other = make.recipe(1).key()
    forge(run, lambda record: record.update(key=other) if record["event"] == "generated" else None)
    assert refused(run).what == "invalid generated event: key: it is not that of the recipe"
    offer = RunStore(root=run.parent).offer(Reuse.ANY)
    assert offer.images == {}
    assert "key: it is not that of the recipe" in offer.problems[0]


def test_a_recipe_of_another_sample_is_refused(tmp_path, make):
    (tmp_path / "run").mkdir()
    with RunWriter(tmp_path / "run") as writer:
        writer.append(make.started("run"))
        writer.append(replace(make.generated("a" * 64, 1), sample=make.sample(0)))
    what = refused(tmp_path / "run").what
    assert what == "invalid generated event: recipe: it is of variant '4step' and seed 43, not of the sample"


def test_a_cohort_of_another_recipe_is_refused(tmp_path, make):
    (tmp_path / "run").mkdir()
    with RunWriter(tmp_path / "run") as writer:
        writer.append(make.started("run"))
        writer.append(make.generated("a" * 64, cohort=replace(make.cohort(), variant="../../x")))
    assert refused(tmp_path / "run").what.endswith("cohort: its variant and size are not those of the recipe")


def test_a_second_start_is_refused(run, make):
    with RunWriter(run) as writer:
        writer.append(make.started("run"))
    error = refused(run)
    assert (error.what, error.where) == ("a second start in one run", f"{run / EVENTS}:8")
    assert "a second start" in RunStore(root=run.parent).offer(Reuse.ANY).problems[0]


def test_a_reading_that_was_edited_is_refused_and_never_reused(run):
    def change(record):
        if record["event"] == "judged":
            record["reading"]["lines"][0]["text"] = "Qwen Coffee"

    forge(run, change)
    error = refused(run)
    assert error.where == f"{run / EVENTS}:3"
    assert error.what == (
        "the reading of coffee@1328x1328-4step-s42 is not the one that was stored for its image: its digest differs"
    )
    with pytest.raises(StoreError, match="its digest differs"):
        readings_of(run)


def test_an_event_that_names_another_samples_image_takes_its_reading_from_it(run, make):
    hashes = [json.loads(line)["sha256"] for line in lines(run) if b'"event":"generated"' in line]

    def swap(record):
        if record["event"] == "generated":
            record["sha256"] = hashes[record["sha256"] == hashes[0]]

    forge(run, swap)
    assert "its digest differs" in refused(run).what


def test_the_digest_is_of_image_reader_text_and_quality(make):
    reading, health = make.reading(), builders.HEALTHY
    known = reading_digest(reading, health, image="a" * 64)
    line = reading.lines[0]
    others = [
        reading_digest(reading, health, image="b" * 64),
        reading_digest(reading, None, image="a" * 64),
        reading_digest(reading, replace(health, blur=None), image="a" * 64),
        reading_digest(replace(reading, reader=builders.unlike(reading.reader)), health, image="a" * 64),
        reading_digest(replace(reading, width=241), health, image="a" * 64),
        reading_digest(replace(reading, lines=()), health, image="a" * 64),
        reading_digest(replace(reading, lines=(replace(line, text="x"),)), health, image="a" * 64),
        reading_digest(replace(reading, lines=(replace(line, confidence=0.51),)), health, image="a" * 64),
        reading_digest(replace(reading, lines=(replace(line, characters=()),)), health, image="a" * 64),
        reading_digest(replace(reading, lines=(replace(line, box=line.box[::-1]),)), health, image="a" * 64),
    ]
    assert len({known, *others}) == 11
    whole = replace(line, confidence=1, box=tuple((int(x), int(y)) for x, y in line.box), characters=(1, 0))
    real = replace(line, confidence=1.0, characters=(1.0, 0.0))
    assert len({reading_digest(replace(reading, lines=(one,)), health, image="") for one in (whole, real)}) == 1


@pytest.mark.parametrize("text", ["a\ud800b", "\u2028", "咖啡", "e\u0301", "\x00\x1b"])
def test_a_reading_has_its_digest_when_it_is_read_back(tmp_path, make, text):
    reading = replace(make.reading(), lines=(replace(make.reading().lines[0], text=text, confidence=1),))
    (tmp_path / "run").mkdir()
    with RunWriter(tmp_path / "run") as writer:
        writer.append(make.started("run", 1))
        writer.append(make.generated(writer.put(make.png())))
        writer.append(make.judged(reading=reading))
    assert load_run(tmp_path / "run").results[0].reading.lines[0].text == text.replace("\ud800", "\ufffd")


def test_twins_among_keys_nesting_and_huge_numbers_are_one_line(run):
    head = b'{"event":"ended","line":1,"before":"",'
    for tail, why in (
        (b'"at":"x","at":"y"}', "duplicate key 'at'"),
        (b'"at":' + b"[" * 100_000 + b"]" * 100_000 + b"}", ""),
        (b'"exit_status":' + b"9" * 5000 + b"}", ""),
        (b'"exit_status":NaN}', "NaN"),
    ):
        error = refused(run, [head + tail + b"\n"])
        assert error.what.startswith("not an event of a run")
        assert why in error.what
        assert len(error.what) < 400
        assert error.where == f"{run / EVENTS}:1"


def test_a_line_of_many_wrong_values_is_refused_in_little_memory(run):
    for wrong in (b"{}", b"[]", b"1", b'{"case":1}'):
        line = b'{"event":"started","line":1,"before":"","planned":[' + b",".join([wrong] * 90_000) + b"]}\n"
        tracemalloc.start()
        error = refused(run, [line])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert error.what.startswith("invalid started event: ")
        assert peak < 60_000_000


def test_a_line_that_is_too_long_or_has_too_many_names_is_refused_unread_and_never_written(run, make):
    head = b'{"event":"ended","line":1,"before":"","at":"'
    assert "longer than 4194304 bytes" in refused(run, [head + b"x" * MAX_LINE + b'"}\n']).what
    assert "longer than 4194304 bytes" in refused(run, [head + b"x" * MAX_LINE]).what
    names = b",".join(b'"a%d":1' % number for number in range(MAX_NAMES))
    assert "more than 100000 names" in refused(run, [head + b'",' + names + b"}\n"]).what
    with pytest.raises(StoreError, match="a failed event is longer than 4194304 bytes"):
        encode(make.failed(error="x" * MAX_LINE))


@pytest.mark.parametrize("kind", ["fifo", "folder", "socket"])
def test_events_that_are_no_plain_file_are_said_and_not_waited_for(run, monkeypatch, kind):
    path = run / EVENTS
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        monkeypatch.chdir(run)  # the name of a socket is short
        socket.socket(socket.AF_UNIX).bind(EVENTS)
    error = refused(run)
    assert error.what.startswith("not a run: ")
    offer = RunStore(root=run.parent).offer(Reuse.ANY)
    assert offer.images == {}
    assert "not a run: " in offer.problems[0]


def test_the_writer_sets_the_digest_whatever_the_caller_says(run):
    stored = [json.loads(line)["digest"] for line in lines(run) if b'"event":"judged"' in line]
    assert all(len(digest) == 64 for digest in stored)
    assert len(set(stored)) == 2
    assert Judged.__dataclass_fields__["digest"].default == ""


HOSTILE = (
    "10" * 200, "9" * 4299, "-1", "1e400", '""', r'"\ud800"', r'"\u0000"', "null", "[]", "{}", "true", "0", "-0.0",
    "1.5", '"' + "y" * 5000 + '"', "[null]", '{"a":1}', '"NaN"',
)  # fmt: skip


def places(value, path=()):
    """Yield the way to each value of a record; of lists to the first two items."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for name, inner in items:
        yield from places(inner, (*path, name))


def with_mark(value, path):
    """The record with a mark at that place."""
    if not path:
        return "@@"
    items = dict(value) if isinstance(value, dict) else dict(enumerate(value))
    items[path[0]] = with_mark(items[path[0]], path[1:])
    return items if isinstance(value, dict) else list(items.values())


@pytest.mark.parametrize("kind", ["started", "generated", "judged", "failed", "ended", "reported"])
def test_whatever_stands_in_a_field_an_event_is_read_or_refused_in_one_line(make, kind):
    golden = builders.golden(effective="240x128")
    fields = {"judged": {"health": builders.HEALTHY, "golden": golden}}.get(kind, {})
    arguments = {"started": ("run", 1), "generated": ("a" * 64,)}.get(kind, ())
    record = json.loads(encode(getattr(make, kind)(*arguments, **fields)))
    refusals = []
    for path in places(record):
        for value in HOSTILE:
            line = json.dumps(with_mark(record, path)).replace('"@@"', value).encode()
            try:
                Bound().fault(decode(line, where="here"))
            except StoreError as error:
                refusals.append(error.what)
    assert len(refusals) > 30
    assert all("\n" not in what and len(what) < 400 for what in refusals)
