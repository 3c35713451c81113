"""The manifest of a folder of images: read strictly, within bounds, with every mistake told at once."""

import csv
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qiltest.elsewhere.manifest import CSV, JSON_LINES, MOST_BYTES, MOST_LINE, path_fault, read_manifest
from qiltest.errors import ImagesError

SAMPLE = "cafe@512x512-4step-s42"
IN_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)


def lines(folder, *records):
    (folder / JSON_LINES).write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return read_manifest(folder)


def refused(folder):
    with pytest.raises(ImagesError) as caught:
        read_manifest(folder)
    return str(caught.value)


def test_without_one_there_is_none(tmp_path):
    assert read_manifest(tmp_path) is None


def test_a_sample_is_named_whole_or_by_its_parts(tmp_path):
    parts = {"file": "sub/b.png", "case": "cafe", "size": "512x512", "variant": "4step", "seed": 43}
    whole, by_parts = lines(tmp_path, {"file": "a.png", "sample": SAMPLE, "seconds": 2.5, "steps": 4}, parts)
    assert (whole.line, whole.file, whole.sample, whole.seconds) == (1, "a.png", SAMPLE, 2.5)
    assert whole.facts == {"steps": 4}
    assert (by_parts.file, by_parts.sample) == ("sub/b.png", "cafe@512x512-4step-s43")
    assert by_parts.facts == {"seed": 43}


def test_csv_says_the_same_as_json_lines(tmp_path):
    record = {"file": "a.png", "sample": SAMPLE, "seed": 42, "true_cfg_scale": 4.0, "engine": "x, y", "seconds": 1.5}
    from_json = lines(tmp_path, {**record, "told": {"quantisation": "int4"}})
    (tmp_path / JSON_LINES).unlink()
    with (tmp_path / CSV).open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([(*record, "told.quantisation", "model"), (*record.values(), "int4", "")])
    (entry,) = read_manifest(tmp_path)
    assert entry.facts == from_json[0].facts
    assert (entry.file, entry.sample, entry.seconds) == ("a.png", SAMPLE, 1.5)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({}, "file is missing"),
        ({"file": "a.png"}, "which image is it? Neither sample nor case, size, variant, seed"),
        ({"file": "a.png", "case": "cafe", "seed": 1}, "Neither sample nor size, variant"),
        ({"file": "a.png", "sample": SAMPLE, "case": "cafe"}, "both sample and case"),
        ({"file": "a.png", "sample": SAMPLE, "cfg": 4}, 'unknown key "cfg"'),
        ({"file": "a.png", "sample": SAMPLE, "seconds": 0}, "seconds: 0 is not allowed"),
        ({"file": "a.png", "sample": SAMPLE, "seed": "42"}, 'seed: "42" is not allowed'),
        ({"file": "a.png", "sample": SAMPLE, "seed": True}, "seed: true is not allowed"),
        ({"file": "a.png", "sample": SAMPLE, "lora_sha256": "abc"}, "lora_sha256: "),
        ({"file": "a.png", "sample": SAMPLE, "told": {"a": [1]}}, "told: "),
        ({"file": "a.png", "sample": SAMPLE, "told": {str(n): n for n in range(65)}}, "told: "),
        ({"file": "a.png", "case": "c", "size": "big", "variant": "v", "seed": 1}, "'big' is not a size"),
        ({"file": "/etc/passwd", "sample": SAMPLE}, "write its path inside the folder"),
        ({"file": "a/../../b.png", "sample": SAMPLE}, "write its path inside the folder"),
        ({"file": "..", "sample": SAMPLE}, "write its path inside the folder"),
        ({"file": "a\\b.png", "sample": SAMPLE}, "neither a backslash"),
        ({"file": "a\0.png", "sample": SAMPLE}, "nor a zero byte"),
    ],
)
def test_a_line_that_is_wrong_is_named_with_what_is_allowed(tmp_path, record, said):
    (tmp_path / JSON_LINES).write_text(json.dumps(record))
    assert said in refused(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it lists no image"),
        ("[]", "not a JSON object"),
        ('{"file": "a.png", "file": "b.png"}', "duplicate key 'file'"),
        ('{"seconds": NaN}', "NaN is not a finite number"),
        ('{"told": ' + "[" * 100 + "]" * 100 + "}", "levels"),
        ('{"file": "' + "a" * MOST_LINE + '"}', "more than 65,536 characters"),
        ("file: a.png", "Invalid JSON"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path, text, said):
    (tmp_path / JSON_LINES).write_text(text)
    assert said in refused(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,file\na,b\n", '"file" twice in the header'),
        (f"file,sample\na.png,{SAMPLE},x\n", "line 2: 3 cells, the header has 2"),
        (f'file,sample\n"a.png,{SAMPLE}\n', "not CSV"),
        (f"file,sample,seed\na.png,{SAMPLE},4.5\n", 'seed: "4.5" is not allowed'),
        (f"file,sample,seconds\na.png,{SAMPLE},nan\n", 'seconds: "nan" is not allowed'),
        ("file,sample\n", "it lists no image"),
    ],
)
def test_what_is_no_csv_is_refused(tmp_path, text, said):
    (tmp_path / CSV).write_text(text)
    assert said in refused(tmp_path)


def test_all_mistakes_of_all_lines_are_told_at_once_and_very_many_are_counted(tmp_path):
    (tmp_path / JSON_LINES).write_text("\n".join('{"fiel": "a.png"}' for _ in range(100)))
    said = refused(tmp_path)
    assert 'line 1: unknown key "fiel" (did you mean "file"?)' in said
    assert "line 20: file is missing" in said
    assert "and 160 more" in said


def test_a_file_that_is_listed_twice_is_a_mistake(tmp_path):
    for sample in (SAMPLE, "cafe@512x512-8step-s42"):
        with (tmp_path / JSON_LINES).open("a") as file:
            file.write(json.dumps({"file": "a.png", "sample": sample}) + "\n")
    assert 'line 2: file "a.png" is in line 1 already: one image is one sample' in refused(tmp_path)


def test_two_manifests_a_folder_a_link_out_and_a_huge_file_are_refused(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / JSON_LINES).mkdir()
    assert "cannot be read: Is a directory" in refused(folder)
    (folder / CSV).write_text("")
    assert "both manifest.jsonl and manifest.csv" in refused(folder)
    (folder / JSON_LINES).rmdir()
    (folder / CSV).unlink()
    (tmp_path / "secret").write_text("secret")
    (folder / CSV).symlink_to(tmp_path / "secret")
    assert "a link out of the folder" in refused(folder)
    (folder / CSV).unlink()
    with (folder / CSV).open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    assert "File too large" in refused(folder)
    (folder / CSV).write_bytes(b"file,sample\n\xff")
    assert "not UTF-8 at byte 12" in refused(folder)


@IN_FOLDER
@given(data=st.binary(max_size=300) | st.text(max_size=300).map(str.encode), name=st.sampled_from([JSON_LINES, CSV]))
def test_whatever_is_in_it_is_entries_or_one_error(tmp_path, data, name):
    for other in (JSON_LINES, CSV):
        (tmp_path / other).unlink(missing_ok=True)
    (tmp_path / name).write_bytes(data)
    try:
        entries = read_manifest(tmp_path)
    except ImagesError:
        return
    assert all(path_fault(entry.file) == "" for entry in entries)
