"""Markdown, job summary, annotations and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

from qiltest.quality import Health
from qiltest.report import job_summary, workflow_commands, write_html, write_json, write_markdown
from qiltest.report.json_report import SCHEMA_FILE, ReportModel, schema
from qiltest.runs.records import Run

Fake = Callable[..., Any]
Make = Callable[..., Any]
ALLOWED = {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "b", "br", "img", "strong", "em"}
ALLOWED |= {"blockquote", "ul", "li"}


class Elements(HTMLParser):
    """The elements and the text that a Markdown renderer makes."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.in_cell = False
        self.feed(MarkdownIt("commonmark").enable("table").render(source))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self.in_cell = self.in_cell and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        if self.in_cell:
            self.rows[-1][-1] += data.replace("\u00a0", " ").strip("\n")


def markdown(run: Run) -> Elements:
    path = run.path / "report.md"
    write_markdown(run, path)
    return Elements(path.read_text(encoding="utf-8"))


def test_the_tables_of_the_report_are_filled_one_column_a_variant(typical: Run) -> None:
    rows = markdown(typical).rows
    head = next(row for row in rows if row[0] == "Prompt")
    assert head == ["Prompt", "Resolution", "base NFE=100", "8step NFE=8", "4step NFE=4"]
    measured = [row for row in rows if row[1:2] == ["measured"]]
    assert any(
        cell.startswith("❌ FAIL 1 edit, limit 0, reader 0") and "-2384" in cell for row in measured for cell in row
    )
    latency = [row for row in rows if row[1:2] == ["latency"]]
    assert ["", "latency", "12 s", "1 s (12× base speed)", "500 ms (24× base speed)"] in latency


def test_what_the_report_said_stands_beside_what_was_measured(typical: Run) -> None:
    rows = markdown(typical).rows
    wrong = "❌ 1 edit: wrong too; the report does not say how"
    assert ["coffee-shop", "256x256", "base", "❌ said so", wrong, "agrees"] in rows
    assert ["finding", "report said", "tested", "measured", "answer"] in rows
    said = {row[0]: row[-1] for row in rows}
    assert said["Variability"] == "not decided: 1 seed drawn; about 8 would confirm it, if further ones come out alike"
    assert said["Fine detail"] == "not decided: nothing was measured"


def test_the_images_of_the_markdown_are_the_runs_own(typical: Run) -> None:
    sources = [attributes["src"] or "" for tag, attributes in markdown(typical).tags if tag == "img"]
    assert len(sources) == 7
    assert all(source.startswith("./") and (typical.path / unquote(source)).is_file() for source in sources)


def test_hostile_text_makes_no_markup_in_markdown(hostile: Run) -> None:
    found = markdown(hostile)
    assert {tag for tag, _ in found.tags} <= ALLOWED
    assert all(set(attributes) <= {"src", "width", "alt"} for _, attributes in found.tags)
    text = (hostile.path / "report.md").read_text(encoding="utf-8")
    assert not set("\0\x1b\u202e\u2066\r") & set(text)
    widths = {len(row) for row in found.rows if row[:1] == [""] and row[1:2] == ["measured"]}
    assert widths == {5}


def test_the_summary_has_the_worst_first_and_says_what_is_wrong(typical: Run) -> None:
    rows = Elements(job_summary(typical)).rows
    verdicts = [row[0] for row in rows if row[0] in {"FAIL", "ERROR", "NEW", "PASS"}]
    assert verdicts == ["FAIL", "FAIL", "FAIL", "ERROR", "NEW"]
    first = next(row for row in rows if row[0] == "FAIL")
    assert int(first[2]) > int(first[3])


def test_of_five_hundred_images_of_long_texts_the_summary_has_the_worst_first_and_stays_below_github_s_limit(
    fake: Fake, case: Make
) -> None:
    asked = "&" * 360
    run = fake(case("wall", asked))
    result = run.add("wall", "base", "<" * 160 + asked[:200], golden=(asked,))
    worst = run.add("wall", "base", "<" * 161 + asked[:199], golden=(asked,), seed=5_000)
    samples = [replace(result.sample, seed=seed) for seed in range(499)]
    results = (*(replace(result, sample=sample) for sample in samples), worst)
    text = job_summary(run.build(results=results, planned=(*samples, worst.sample)))
    # what a step writes is refused as a whole from 1 MiB on
    assert 900_000 < len(text.encode("utf-8")) < 1 << 20
    rows = [line for line in text.splitlines() if line.startswith("| FAIL |")]
    left = re.search(r"and (\d+) more images that did not fit", text)
    assert left is not None
    assert len(rows) + int(left[1]) == 500
    assert "-s5000 |" in rows[0]


def test_hostile_text_makes_no_markup_in_the_summary(hostile: Run) -> None:
    found = Elements(job_summary(hostile))
    assert {tag for tag, _ in found.tags} <= ALLOWED
    assert all(not attributes for _, attributes in found.tags)


def test_at_most_ten_annotations_and_the_last_counts_the_rest(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "text"))
    result = run.add("wall", "base", "texd", golden=("text",))
    for amount, expected in ((10, 10), (11, 10), (200, 10)):
        samples = [replace(result.sample, seed=seed) for seed in range(amount)]
        many = run.build(results=tuple(replace(result, sample=sample) for sample in samples), planned=tuple(samples))
        commands = workflow_commands(many)
        assert len(commands) == expected
    assert commands[-1] == "::error title=qiltest::and 191 more images; see the report"
    commands = workflow_commands(replace(many, problems=("one", "two")))
    assert commands[:2] == ("::error title=qiltest::one", "::error title=qiltest::two")
    assert commands[-1] == "::error title=qiltest::and 193 more images; see the report"
    commands = workflow_commands(replace(many, problems=("one",) * 12))
    assert commands[-1] == "::error title=qiltest::and 203 more problems; see the report"


def test_an_annotation_names_the_image_and_the_character(typical: Run) -> None:
    commands = workflow_commands(typical)
    assert len(commands) == 5
    assert any("title=qiltest FAIL%3A coffee-shop@256x256-base-s42::" in c and "extra “4”" in c for c in commands)


def test_what_is_wrong_with_the_session_and_an_image_without_a_golden_are_annotated(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "text"))
    run.add("wall", "base", "text")
    recorded = run.add("wall", "8step", "text")
    run.results[-1] = replace(recorded, golden_recorded=True)
    commands = workflow_commands(run.build(problems=("1 golden is not used\n  -> remove it",)))
    assert commands == (
        "::error title=qiltest::1 golden is not used%0A  -> remove it",
        "::error title=qiltest NEW%3A wall@256x256-base-s42::no golden for this image yet",
    )


def test_what_got_worse_stands_first_in_summary_annotation_markdown_and_json(accepted_error: Run) -> None:
    (annotation,) = workflow_commands(accepted_error)
    assert "“HAPPY HAIRR” for “HAPPY HAIR”: extra “R” after “HAI”; 1 error as in the golden" in annotation
    assert "胆" not in annotation
    (row,) = (row for row in Elements(job_summary(accepted_error)).rows if row[0] == "FAIL")
    assert row[4] == "HAPPY HAI▁R"
    assert row[5] == "HAPPY HAIRR1 error as in the golden"
    (measured,) = (row[2] for row in markdown(accepted_error).rows if row[1:2] == ["measured"])
    assert measured.index("HAPPY HAIRR") < measured.index("(new since the golden)") < measured.index("胆")
    assert measured.endswith("(as in the golden: accepted)")
    write_json(accepted_error, path := accepted_error.path / "report.json")
    texts = json.loads(path.read_bytes())["images"][0]["texts"]
    assert [text["since"] for text in texts] == ["as in the golden: accepted", "new since the golden", None]


def test_a_passing_image_has_no_annotation(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "text"))
    run.add("wall", "base", "text", golden=("text",))
    assert workflow_commands(run.build()) == ()


def test_hostile_text_ends_no_annotation_and_begins_none(hostile: Run) -> None:
    commands = workflow_commands(hostile)
    assert commands
    for command in commands:
        assert len(command.splitlines()) == 1
        assert re.match(r"::error (file=[^,:]*,)?title=[^,:]*::", command)
        assert not set("\0\x1b\u202e\ud800") & set(command)


def test_the_published_schema_is_the_one_that_the_report_keeps() -> None:
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == json.loads(json.dumps(schema())), (
        "src/qiltest/report/report-1.schema.json is not what the models say: write json.dumps(schema(), indent=1) to it"
    )


@pytest.mark.parametrize("name", ["typical", "hostile"])
def test_the_json_report_keeps_the_schema_and_is_plain_ascii(name: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(name)
    path = run.path / "report.json"
    write_json(run, path)
    raw = path.read_bytes()
    assert raw.isascii()
    report = ReportModel.model_validate_json(raw, by_alias=True)
    assert len(report.images) == len(run.results)
    ranks = [image.status.rank for image in report.images]
    assert ranks == sorted(ranks)
    json.dumps(json.loads(raw), ensure_ascii=False).encode("utf-8")


def test_the_json_report_keeps_text_as_it_was_read(hostile: Run) -> None:
    path = hostile.path / "report.json"
    write_json(hostile, path)
    texts = json.loads(path.read_bytes())["images"][0]["texts"]
    assert any("\0" in text["expected"] for text in texts)
    assert any("\u202e" in text["expected"] for text in texts)


def test_the_json_report_gives_edits_latency_and_the_image(typical: Run) -> None:
    path = typical.path / "report.json"
    write_json(typical, path)
    images = {image["id"]: image for image in json.loads(path.read_bytes())["images"]}
    wrong = images["coffee-shop@256x256-base-s42"]
    assert wrong["status"] == "FAIL"
    assert wrong["change"] == "worse"
    assert (wrong["distance"], wrong["limit"], wrong["golden_distance"], wrong["noise_floor"]) == (1, 0, 0, 0.0)
    assert [edit["read"] for text in wrong["texts"] for edit in text["edits"]] == ["4"]
    assert (typical.path / wrong["image"]).is_file()
    assert images["coffee-shop@256x256-4step-s42"]["latency"]["speed_up"] == 24.0
    lost = images["classroom@256x256-4step-s42"]
    assert (lost["status"], lost["verdict"], lost["latency"], lost["image"]) == ("ERROR", "ERROR", None, None)


def test_the_json_report_has_the_published_reports_findings_and_verdicts_in_a_place_of_their_own(typical: Run) -> None:
    path = typical.path / "report.json"
    write_json(typical, path)
    published = json.loads(path.read_bytes())["published"]
    assert [finding["title"] for finding in published["findings"]][:2] == ["Speed", "Basic tasks"]
    verdicts = {verdict["sample"]: verdict for verdict in published["verdicts"]}
    found = verdicts["coffee-shop@256x256-base-s42"]
    assert (found["said"], found["said_why"], found["measured"]) == (False, "said so", False)
    assert (found["distance"], found["agreement"]) == (1, "agrees")


def test_the_json_report_gives_the_health_of_each_image_and_what_is_beyond_a_limit(typical: Run) -> None:
    health = Health(
        version=1, spread=60.0, noise_fine=3.1, noise_coarse=0.2, grid_latent=0.1, grid_patch=0.05, blur=2.0,
        clipped=0.01, saturation=0.15, halo=None, detail=0.9,
    )  # fmt: skip
    first, *rest = typical.results
    path = typical.path / "report.json"
    write_json(replace(typical, results=(replace(first, health=health), *rest)), path)
    images = {image["id"]: image["health"] for image in json.loads(path.read_bytes())["images"]}
    found = images.pop(first.id)
    assert (found["noise_fine"], found["halo"], found["detail"]) == (3.1, None, 0.9)
    told = [(symptom["fault"], symptom["gates"]) for symptom in found["symptoms"]]
    assert told == [("noise", True), ("blur", False)]
    assert "denoising is incomplete" in found["symptoms"][0]["message"]
    # a run of before health was measured has none
    assert set(images.values()) == {None}


def test_a_report_that_cannot_be_written_leaves_the_old_one(typical: Run, tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "report.md"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_markdown(typical, path)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["report.md"]


def test_the_reports_set_a_run_beside_published_benchmarks(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "one two three four"), case("gate", "通义千问"), case("door", "안녕"))
    run.add("wall", "base", "one two three four")
    run.add("wall", "base", "one two tree four", seed=43)
    run.add("wall", "base", error="the device was lost", image=False, seed=44)
    run.add("wall", "8step", "one")
    run.add("gate", "base", "通义干问")
    run.add("door", "base", "안녕")
    built = run.build()
    write_json(built, path := built.path / "report.json")
    report = json.loads(path.read_bytes())
    english = {"edit_distance": 0.5, "completion_rate": 0.5, "word_accuracy": 0.875}
    assert report["benchmarks"] == [
        {
            "variant": "base",
            "language": "en",
            "images": 2,
            "not_read": 1,
            "longtext": {"text_accuracy": 0.875},
            "oneig": english | {"text_score": pytest.approx(1 - 0.5 * 0.5 * 0.125 / 100)},
        },
        {
            "variant": "base",
            "language": "zh",
            "images": 1,
            "not_read": 1,
            "longtext": {"text_accuracy": 0.75},
            "oneig": {
                "edit_distance": 1.0,
                "completion_rate": 0.0,
                "word_accuracy": 0.75,
                "text_score": pytest.approx(1 - 0.25 / 50),
            },
        },
        {
            "variant": "8step",
            "language": "en",
            "images": 1,
            "not_read": 0,
            "longtext": {"text_accuracy": 0.25},
            "oneig": {
                "edit_distance": 15.0,
                "completion_rate": 0.0,
                "word_accuracy": 0.25,
                "text_score": pytest.approx(1 - 15 * 0.75 / 100),
            },
        },
    ]
    images = {image["id"]: image["benchmarks"] for image in report["images"]}
    assert images["wall@256x256-base-s43"]["longtext"] == {"text_accuracy": 0.75}
    assert images["wall@256x256-base-s44"] is None
    assert images["door@256x256-base-s42"] is None
    rows = markdown(built).rows
    assert ["base", "en", "2", "1", "0.875", "1.000", "0.5", "0.500", "0.875"] in rows
    assert ["8step", "en", "1", "0", "0.250", "0.887", "15.0", "0.000", "0.250"] in rows


def test_the_numbers_of_published_benchmarks_decide_nothing(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "one two"))
    run.add("wall", "base", "two", "one", golden=("two", "one"))
    built = run.build()
    write_json(built, path := built.path / "report.json")
    report = json.loads(path.read_bytes())
    assert report["benchmarks"][0]["oneig"]["completion_rate"] == 0
    assert (report["status"], built.exit_status) == ("PASS", 0)


def test_the_notes_of_a_session_are_in_every_report(fake: Fake, case: Make, tmp_path: Path) -> None:
    note = "base not checked: nothing tells which base model /models/<mine> is"
    made = fake(case("wall", "text"))
    made.add("wall", "base", "text", golden=("text",))
    run = made.build(notes=(note,))
    assert "Note: base not checked: nothing tells which base model /models/&lt;mine&gt; is" in job_summary(run)
    write_markdown(run, tmp_path / "report.md")
    assert "Note: base not checked" in (tmp_path / "report.md").read_text(encoding="utf-8")
    write_html(run, tmp_path / "report.html")
    assert "<dt>note</dt><dd>base not checked: nothing tells which base model /models/&lt;mine&gt; is</dd>" in (
        tmp_path / "report.html"
    ).read_text(encoding="utf-8")
    write_json(run, tmp_path / "report.json")
    found = json.loads((tmp_path / "report.json").read_text())
    assert (found["notes"], found["problems"]) == ([note], [])
