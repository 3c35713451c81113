from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from qiltest.gate.latency import LatencyJudgement
from qiltest.reading.records import Line
from qiltest.recipe import Size
from qiltest.report import write_html
from qiltest.report.html.page import embed, href
from qiltest.report.html.preview import MAX_BYTES, budget, crop, open_image, preview
from qiltest.report.templating import html_environment
from qiltest.report.view import view
from qiltest.runs.records import Run, RunState

Fake = Callable[..., Any]
Make = Callable[..., Any]
VOID = {"meta", "link", "img", "input", "br"}
SVG_LEAVES = {"rect", "line", "path"}


class Page(HTMLParser):
    """The elements of a page, with a check that they are closed as they were opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID | SVG_LEAVES:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in {"script", "style"}:
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text)).replace("\u00a0", " ")


@pytest.fixture
def page() -> Callable[..., Page]:
    def write(run: Run, **options: Any) -> Page:
        path = run.path / "report.html"
        write_html(run, path, **options)
        return Page(path.read_text(encoding="utf-8"))

    return write


def test_the_verdict_stands_first_and_the_worst_case_before_the_others(typical: Run, page: Callable[..., Page]) -> None:
    words = page(typical).words
    assert (
        words.index("5 of 8 images do not pass: 3 worse, 1 not judged, 1 new")
        < words.index("What changed")
        < words.index("Overview")
    )
    cases = [attributes["id"] for attributes in page(typical).all("article")]
    assert cases == ["case-coffee-shop", "case-whiteboard", "case-classroom"]


def test_the_character_that_is_wrong_is_named_marked_and_cut_out(typical: Run, page: Callable[..., Page]) -> None:
    assert "extra “4” after “-238”" in page(typical).words
    html = (typical.path / "report.html").read_text(encoding="utf-8")
    assert '-238<mark class="read" title="extra">4</mark>46264' in html
    assert '-238<span class="gap expected" title="extra in the image: 4">' in html
    assert 'alt="cut-out of the image where this was read"' in html


def test_distance_limit_golden_floor_latency_and_speed_up_are_shown(typical: Run, page: Callable[..., Page]) -> None:
    words = page(typical).words
    for shown in ("edits 1 ", "limit 0", "golden → now 0 → 1", "reader’s own error 0", "denoise 12 s", "24×"):
        assert shown in words


def test_the_page_refers_to_nothing_but_itself_and_the_images_beside_it(
    typical: Run, page: Callable[..., Page]
) -> None:
    found = page(typical)
    addresses = [
        value
        for _, attributes in found.elements
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "action", "data", "poster", "background", "xlink:href"} and value
    ]
    assert addresses
    for address in addresses:
        if address.startswith("./"):
            assert (typical.path / unquote(address)).is_file()
        else:
            assert address.startswith(("#", "data:"))
    anchors = {attributes["id"] for _, attributes in found.elements if "id" in attributes}
    assert {address[1:] for address in addresses if address.startswith("#")} <= anchors


def test_the_policy_allows_this_style_and_this_script_alone(typical: Run, page: Callable[..., Page]) -> None:
    policy = next(a["content"] for a in page(typical).all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    html = (typical.path / "report.html").read_text(encoding="utf-8")
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in (policy or "")
    assert "default-src 'none'" in (policy or "")
    assert "unsafe" not in (policy or "")


def test_no_element_carries_a_style_or_a_handler(typical: Run, page: Callable[..., Page]) -> None:
    names = {name for _, attributes in page(typical).elements for name in attributes}
    assert "style" not in names
    assert not [name for name in names if name.startswith("on")]


def test_hostile_text_becomes_no_element_and_acts_on_nothing(hostile: Run, page: Callable[..., Page]) -> None:
    found = page(hostile)
    assert len(found.all("script")) == 1
    names = {name for _, attributes in found.elements for name in attributes}
    assert not [name for name in names if name.startswith("on")]
    assert not [a for a in found.all("img") if not (a["src"] or "").startswith("data:image/webp;base64,")]
    html = (hostile.path / "report.html").read_text(encoding="utf-8")
    assert not set("\0\x1b\x07\u202e\u2066\ud800") & set(html)
    for shown in (
        "<script>alert(1)</script>",
        "«U+202E»gnp.exe",
        "nul␀byte ␛[31mred␇",
        "lone � surrogate",
        "{{ 7*7 }}",
    ):
        assert shown in found.words


def test_two_runs_of_the_same_data_give_the_same_bytes(typical: Run) -> None:
    first, second = typical.path / "a.html", typical.path / "b.html"
    write_html(typical, first)
    write_html(typical, second)
    assert first.read_bytes() == second.read_bytes()


def test_a_report_elsewhere_still_finds_the_images(typical: Run, tmp_path: Path) -> None:
    path = tmp_path / "else where" / "report.html"
    write_html(typical, path)
    links = [a["href"] for a in Page(path.read_text(encoding="utf-8")).all("a") if (a["href"] or "").startswith("./")]
    assert links
    assert all((path.parent / unquote(link or "")).is_file() for link in links)


@pytest.mark.parametrize("name", ["javascript:alert(1).png", "a b&c.png", '"><x.png', "#?.png", "%41.png"])
def test_an_address_keeps_to_the_file_whatever_its_name(tmp_path: Path, name: str) -> None:
    address = href(tmp_path / name, tmp_path)
    assert address.startswith("./")
    assert not set('"<>#?& ') & set(address)
    assert unquote(address) == f"./{name}"


def test_the_goldens_image_is_there_to_flip_to_where_it_is_stored(
    fake: Fake, case: Make, page: Callable[..., Page]
) -> None:
    older = fake(case("wall", "text"), name="20261101-000000-000000")
    kept = older.add("wall", "base", "text").image
    run = fake(case("wall", "text"))
    run.add("wall", "base", "texd", golden=("text",), golden_image=kept.sha256)
    found = page(run.build())
    assert [a["data-label"] for a in found.all("img") if a.get("class") == "before"] == ["base, golden"]
    assert "Wipe: golden / now" in found.words
    kept.path.write_bytes(b"something else")
    assert "Wipe" not in page(run.build()).words


def test_the_earlier_runs_image_is_there_to_flip_to(fake: Fake, case: Make, page: Callable[..., Page]) -> None:
    older = fake(case("wall", "text"), name="20261101-000000-000000")
    older.add("wall", "base", "text")
    run = fake(case("wall", "text"))
    run.add("wall", "base", "texd")
    found = page(run.build(), previous=older.build())
    assert "against run 20261101-000000-000000" in found.words
    assert "Wipe: run 20261101-000000-000000 / now" in found.words


def test_a_run_that_was_killed_says_so(typical: Run, page: Callable[..., Page]) -> None:
    cut = replace(typical, state=RunState.UNFINISHED, finished=None, exit_status=None, results=typical.results[:2])
    words = page(cut).words
    assert "The run is unfinished: 2 of 8 images begun." in words
    assert "6 images not begun" in words


def test_an_empty_run_has_a_report_that_claims_nothing(fake: Fake, case: Make, page: Callable[..., Page]) -> None:
    words = page(fake(case("wall", "text")).build()).words
    assert "No image was selected" in words
    assert "PASS" not in words.split("Keys")[0]


def test_all_good_but_a_problem_of_the_session_is_no_pass(fake: Fake, case: Make, page: Callable[..., Page]) -> None:
    run = fake(case("wall", "text"))
    run.add("wall", "base", "text", golden=("text",))
    good = run.build()
    assert "The image passes" in page(good).words
    assert "FAIL" not in page(good).words
    bad = replace(good, problems=("golden/tiny/x.json was used by nobody",), exit_status=1)
    assert "FAIL The image passes, but the session failed" in page(bad).words


def test_an_image_that_cannot_be_opened_is_said_in_its_place(typical: Run, page: Callable[..., Page]) -> None:
    image = typical.results[0].image
    assert image is not None
    image.path.write_bytes(b"not an image")
    assert "The image cannot be opened" in page(typical).words


def test_a_template_with_an_undefined_name_does_not_render() -> None:
    with pytest.raises(Exception, match="undefined"):
        html_environment().from_string("{{ nobody }}").render()


def test_previews_keep_to_their_budget(fake: Fake, case: Make) -> None:
    import random

    from PIL import Image

    noise = Image.frombytes("RGB", (1000, 700), random.Random(1).randbytes(1000 * 700 * 3))
    made = preview(noise, 20_000)
    data = base64.b64decode(made.uri.split(",")[1])
    assert len(data) <= 20_000
    assert max(made.width, made.height) <= 800
    assert abs(made.width / made.height - 1000 / 700) < 0.02
    assert budget(1) == MAX_BYTES
    assert budget(1000) * 1000 <= 30 << 20


def test_a_small_image_is_not_blown_up(fake: Fake, case: Make) -> None:
    image = fake(case("wall", "text")).add("wall", "base", "text").image
    opened = open_image(image.path)
    assert opened is not None
    made = preview(opened)
    assert (made.width, made.height) == (256, 256)


def test_a_cut_out_keeps_within_the_image_and_is_none_where_it_says_no_more(fake: Fake, case: Make) -> None:
    image = fake(case("wall", "text")).add("wall", "base", "text").image
    opened = open_image(image.path)
    assert opened is not None
    made = crop(opened, (10, 10, 100, 40), reading_size=(256, 256))
    assert made is not None
    left, top, width, height = made.box
    assert (left, top) <= (10, 10)
    assert left + width >= 100
    assert top + height >= 40
    assert crop(opened, (0, 0, 256, 256), reading_size=(256, 256)) is None
    assert crop(opened, (300, 300, 400, 400), reading_size=(256, 256)) is None


def test_a_low_cut_out_is_enlarged_so_that_a_character_can_be_seen(fake: Fake, case: Make) -> None:
    image = fake(case("wall", "text")).add("wall", "base", "text").image
    opened = open_image(image.path)
    assert opened is not None
    low = crop(opened, (10, 10, 90, 26), reading_size=(256, 256))
    assert low is not None
    assert 60 <= low.preview.height <= 64
    assert abs(low.preview.width / low.preview.height - low.box[2] / low.box[3]) < 0.2


def test_seeds_of_a_case_stand_in_rows_of_their_own(fake: Fake, case: Make, page: Callable[..., Page]) -> None:
    run = fake(case("wall", "text"))
    for seed in (1, 2):
        run.add("wall", "base", "text", seed=seed, size=Size(256, 256))
    words = page(run.build()).words
    assert "256x256, seed 1" in words
    assert "256x256, seed 2" in words


def test_a_run_of_random_weights_says_that_no_text_was_judged(
    typical: Run, slow: LatencyJudgement, page: Callable[..., Page]
) -> None:
    silent = replace(typical.results[1], reading=None, score=None, judgement=None, golden=None, latency=slow)
    words = page(replace(typical, results=(silent,), planned=(silent.sample,))).words
    assert "Text was not judged" in words
    assert "1 of 1 image is slower than its golden" in words


def test_the_headline_counts_every_image_that_does_not_pass(fake: Fake, case: Make, page: Callable[..., Page]) -> None:
    run = fake(case("wall", "text"))
    run.add("wall", "base", "test", golden=("text",))
    assert "FAIL 1 of 1 image is worse than its golden" in page(run.build()).words
    run.add("wall", "4step", "text")
    assert "FAIL 2 of 2 images do not pass: 1 worse, 1 new" in page(run.build()).words


def test_goldens_that_the_run_recorded_are_said(typical: Run, page: Callable[..., Page]) -> None:
    results = tuple(replace(result, golden_recorded=True) for result in typical.results[:3])
    words = page(replace(typical, results=results, planned=typical.planned[:3], exit_status=0)).words
    assert "NEW 3 of 3 images new; 3 goldens were recorded" in words
    assert "accepted: this run recorded it as the golden" in words


def test_a_wrong_character_of_a_long_text_is_shown_near_and_one_of_a_short_text_is_not_shown_twice(
    fake: Fake, case: Make
) -> None:
    asked, read = "a text that is long enough", "a text that is l0ng enough"
    run = fake(case("wall", asked, "ab"))
    boxes = ((8.0, 40.0, 248.0, 56.0), (8.0, 100.0, 60.0, 130.0))
    lines = tuple(
        Line(text=text, box=((left, top), (right, top), (right, bottom), (left, bottom)), confidence=0.9)
        for text, (left, top, right, bottom) in zip((read, "ad"), boxes, strict=True)
    )
    run.add("wall", "base", lines=lines)
    page = view(run.build())
    (cell,) = page.cells
    made = embed(page.cells, run.folder)[cell.anchor]
    assert {number: len(cuts) for number, cuts in made.close.items()} == {0: 1, 1: 0}
    left, _, width, _ = made.close[0][0].box
    ((spot_left, _, spot_right, _),) = cell.spots(cell.texts[0])
    assert left < spot_left < spot_right < left + width < cell.extent[0]
    assert width < 0.5 * made.crops[0].box[2]


def test_characters_that_were_not_judged_and_the_reader_doubts_are_shown_with_their_place(
    typical: Run, page: Callable[..., Page]
) -> None:
    found = typical.results[1]
    assert found.reading is not None
    first, *others = found.reading.lines
    doubted = replace(first, characters=tuple(0.55 if i == 2 else 1.0 for i in range(len(first.text))))
    result = replace(found, reading=replace(found.reading, lines=(doubted, *others)))
    words = page(replace(typical, results=(typical.results[0], result, *typical.results[2:]))).words
    assert "Broken strokes, perhaps: 1 character not judged and read with low confidence" in words
    assert f"{first.text[2]} 0.55 at" in words
    assert "Broken strokes" not in page(typical).words


def test_a_run_stands_beside_published_benchmarks_with_what_may_be_compared(
    typical: Run, fake: Fake, case: Make, page: Callable[..., Page]
) -> None:
    words = page(typical).words
    assert "Beside published benchmarks By the formulas of LongText-Bench and OneIG-Bench, but on this suite" in words
    assert "They do not gate." in words
    # coffee-shop and whiteboard: 28 of 28 and 11 of 11 characters, the first with one too many
    assert "base zh 2 0 1.000 1.000 0.5 0.500 1.000" in words
    unread = fake(case("wall", "text"))
    unread.add("wall", "base", error="the device was lost", image=False)
    assert "Beside published benchmarks" not in page(unread.build()).words


def test_what_is_new_since_the_golden_comes_before_what_it_accepted(
    accepted_error: Run, page: Callable[..., Page]
) -> None:
    words = page(accepted_error).words
    new, accepted = words.index("new since the golden"), words.index("as in the golden: accepted")
    assert words.index("HAPPY HAIRR") < new < accepted
    assert "“HAPPY HAIRR” for “HAPPY HAIR”: extra “R” after “HAI”; 1 error as in the golden" in words


def test_a_card_that_does_not_pass_has_the_commands_that_repeat_and_accept_it(
    fake: Fake, case: Make, page: Callable[..., Page]
) -> None:
    run = fake(case("wall", "text"))
    run.add("wall", "base", "texd", golden=("text",))
    run.add("wall", "8step", "text", golden=("text",))
    found = page(run.build(command=("pytest", "tests", "--qil-seeds=42,43", "-q")))
    again = "pytest tests -q --qil-case=wall@256x256 --qil-variant=base --qil-seeds=42, --qil-fresh"
    assert found.words.count(again) == 1
    assert "qiltest review 20261123-020000-abcdef --case=wall@256x256" in found.words
    copies = [button for button in found.all("button") if button.get("class") == "js copy"]
    assert [button["aria-label"] for button in copies] == ["Copy the command: reproduce", "Copy the command: accept"]
