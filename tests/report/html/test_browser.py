"""The report in a real headless Chromium: no console error, nothing leaves the file, and it does what it offers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from qiltest.report import write_html
from qiltest.runs.records import Run

pytestmark = pytest.mark.timeout(180)
#: elements of the page per image, on a page of 200.
MOST_NODES = 120
#: layouts of the page while one filter is set.
MOST_LAYOUTS = 20

Fake = Callable[..., Any]
Make = Callable[..., Any]


@pytest.mark.parametrize("name", ["typical", "hostile"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_without_an_error_a_request_or_a_sideways_scroll(
    name: str, width: int, scheme: str, request: pytest.FixtureRequest, open_report: Callable[..., Any]
) -> None:
    page = open_report(request.getfixturevalue(name), width=width, scheme=scheme)
    page.tab.wait_for_timeout(200)
    assert page.problems == []
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
    assert page.shown() == page.tab.locator(".cell").count() > 0


def test_every_embedded_image_is_really_shown(typical: Run, open_report: Callable[..., Any]) -> None:
    page = open_report(typical)
    sizes = page.tab.evaluate(
        "Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth, () => 0)))"
    )
    assert len(sizes) > 7
    assert all(sizes)


def test_what_the_policy_forbids_does_not_happen(typical: Run, open_report: Callable[..., Any]) -> None:
    page = open_report(typical)
    page.tab.evaluate(
        """() => {
            const script = document.createElement('script');
            script.textContent = 'window.broken = true';
            document.body.append(script);
            const image = new Image();
            image.src = 'file:///etc/hostname.png';
            document.body.append(image);
        }"""
    )
    page.tab.wait_for_timeout(200)
    assert page.tab.evaluate("window.broken") is None
    assert sum("Content Security Policy" in problem for problem in page.problems) >= 2


def test_a_command_is_copied_as_it_is_and_the_button_says_so(
    fake: Fake, case: Make, open_report: Callable[..., Any]
) -> None:
    run = fake(case("wall", "text"))
    run.add("wall", "base", "texd", golden=("text",))
    page = open_report(run.build(command=("pytest", "-k", "a <b> & 'c'")))
    page.tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.tab.locator(".command .copy").first.click()
    page.tab.locator(".command .copy", has_text="Copied").wait_for()
    copied = page.tab.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("""pytest -k 'a <b> & '"'"'c'"'"'' --qil-case=wall@256x256 """)
    page.tab.locator(".command .copy", has_text="Copied").wait_for(state="detached")
    assert page.problems == []


def test_without_leave_to_write_the_clipboard_the_command_is_selected_or_copied_the_old_way(
    typical: Run, open_report: Callable[..., Any]
) -> None:
    page = open_report(typical)
    page.tab.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no leave')); }")
    page.tab.locator(".command .copy").first.click()
    page.tab.locator(".command .copy", has_text=re.compile("Copied|Selected")).wait_for()
    selected = page.tab.evaluate("getSelection().toString()")
    assert selected == page.tab.locator(".command code").first.text_content()


def test_filters_by_verdict_case_variant_language_and_word(typical: Run, open_report: Callable[..., Any]) -> None:
    page = open_report(typical)
    form = page.tab.locator(".filters")
    form.locator("label.fail").click()
    assert page.shown() == 3
    form.locator("label.error").click()
    assert page.shown() == 4
    assert form.locator("output").inner_text() == "4 of 8 images"
    form.locator("[name=variant]").select_option("base")
    assert page.labels() == ["base"]
    form.locator("button[type=reset]").click()
    assert page.shown() == 8
    form.locator("[name=case]").select_option(label="whiteboard")
    assert page.labels() == ["base", "4step"]
    form.locator("button[type=reset]").click()
    form.locator("[name=language]").select_option("en")
    assert page.shown() == 8
    form.locator("[name=find]").fill("classroom 8step")
    assert page.labels() == ["8step"]
    form.locator("[name=find]").fill("nobody")
    assert page.shown() == 0
    assert page.tab.locator(".empty").is_visible()
    assert page.problems == []


def test_a_link_to_an_image_that_a_filter_hides_shows_it(typical: Run, open_report: Callable[..., Any]) -> None:
    page = open_report(typical)
    page.tab.locator(".filters [name=variant]").select_option("8step")
    page.tab.locator(".matrix td.fail a").first.click()
    assert page.tab.locator(".cell:target").is_visible()
    assert page.shown() == 8


def test_the_boxes_can_be_taken_off_and_the_wrong_character_has_one(
    typical: Run, open_report: Callable[..., Any]
) -> None:
    page = open_report(typical)
    cell = page.tab.locator(".cell.fail", has_text="extra “4”").first
    assert cell.locator(".image polygon.spot").count() == 1
    assert cell.locator(".image .boxes").is_visible()
    page.tab.keyboard.press("b")
    assert not cell.locator(".image .boxes").is_visible()
    page.tab.locator(".filters [name=boxes]").check()
    assert cell.locator(".image .boxes").is_visible()


def test_two_variants_are_compared_by_wiping_and_flipping(typical: Run, open_report: Callable[..., Any]) -> None:
    page = open_report(typical)
    page.tab.locator("[id=case-coffee-shop] .compare").first.click()
    dialog = page.tab.locator("#flip")
    assert dialog.is_visible()
    names = [dialog.locator(f".name.{side}").inner_text() for side in "ab"]
    assert names == ["base", "8step"]
    share = "document.querySelector('#flip .over').style.clipPath"
    assert page.tab.evaluate(share) == "inset(0px 50% 0px 0px)"
    page.tab.keyboard.press("Space")
    flipped = page.tab.evaluate(share)
    page.tab.keyboard.press("Space")
    assert {flipped, page.tab.evaluate(share)} == {"inset(0px 0% 0px 0px)", "inset(0px 100% 0px 0px)"}
    dialog.locator("[name=b]").select_option(label="4step")
    assert dialog.locator(".name.b").inner_text() == "4step"
    page.tab.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.problems == []


def test_the_golden_and_now_are_compared(fake: Fake, case: Make, open_report: Callable[..., Any]) -> None:
    older = fake(case("wall", "text"), name="20261101-000000-000000")
    kept = older.add("wall", "base", "text").image
    run = fake(case("wall", "text"))
    run.add("wall", "base", "texd", golden=("text",), golden_image=kept.sha256)
    page = open_report(run.build())
    page.tab.locator(".compare").click()
    names = {page.tab.locator(f"#flip .name.{side}").inner_text() for side in "ab"}
    assert names == {"base, now", "base, golden"}
    sources = page.tab.evaluate("[...document.querySelectorAll('#flip .stage img')].map(i => i.src)")
    assert len(set(sources)) == 2


def test_what_a_key_leads_to_is_not_hidden_by_the_filters(typical: Run, open_report: Callable[..., Any]) -> None:
    page = open_report(typical)
    for _ in range(3):
        page.tab.keyboard.press("n")
        top = "document.activeElement.getBoundingClientRect().top"
        bar = "document.querySelector('.filters').getBoundingClientRect().bottom"
        assert page.tab.evaluate(f"{top} - {bar}") >= 0


def test_the_keys_lead_from_one_bad_image_to_the_next(typical: Run, open_report: Callable[..., Any]) -> None:
    page = open_report(typical)
    seen = []
    for _ in range(6):
        page.tab.keyboard.press("n")
        seen.append(page.tab.evaluate("document.activeElement.dataset.status"))
    assert seen[:5] == ["FAIL", "FAIL", "FAIL", "NEW", "ERROR"]
    page.tab.keyboard.press("p")
    assert page.tab.evaluate("document.activeElement.className").startswith("cell")
    page.tab.keyboard.press("k")
    page.tab.keyboard.press("/")
    page.tab.keyboard.type("jnpk")
    assert page.tab.locator("[name=find]").input_value() == "jnpk"


def test_the_page_is_whole_without_its_script(typical: Run, browser: Any) -> None:
    path = typical.path / "report.html"
    write_html(typical, path)
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(path.as_uri())
    assert tab.locator(".cell").count() == 8
    assert not tab.locator(".filters").is_visible()
    assert tab.locator("mark.read").first.is_visible()
    context.close()


@pytest.mark.slow
def test_filtering_two_hundred_images_takes_a_few_layouts_and_an_image_a_few_nodes(
    fake: Fake, case: Make, open_report: Callable[..., Any]
) -> None:
    from PIL import Image

    run = fake(case("wall", "some text", "another text"))
    result = run.add("wall", "base", "some text", "an0ther text", golden=("some text", "another text"))
    images = [run._store(_noise(Image, seed)) for seed in range(200)]
    samples = [replace(result.sample, seed=seed) for seed in range(200)]
    results = tuple(replace(result, sample=p, image=q) for p, q in zip(samples, images, strict=True))
    many = run.build(results=results, planned=tuple(samples))
    page = open_report(many)
    assert (many.path / "report.html").stat().st_size > 3 << 20
    assert page.tab.evaluate("document.querySelectorAll('*').length") < 200 * MOST_NODES
    session = page.tab.context.new_cdp_session(page.tab)
    session.send("Performance.enable")
    before = _layouts(session)
    answer = page.tab.evaluate(
        """() => {
            const find = document.querySelector(".filters [name=find]");
            find.value = "s199";
            find.dispatchEvent(new InputEvent("input", { bubbles: true }));
            void document.body.offsetHeight;
            return document.querySelector(".filters output").textContent;
        }"""
    )
    assert answer == "1 of 200 images"
    # a script that reads a size after each write would take one layout per image
    assert _layouts(session) - before <= MOST_LAYOUTS
    assert page.problems == []


def _layouts(session: Any) -> int:
    """How often the browser has laid the page out since the session's Performance.enable."""
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    return int(metrics["LayoutCount"])


def _noise(image: Any, seed: int) -> bytes:
    """An image that compresses badly, as PNG bytes."""
    import io
    import random

    small = image.frombytes("RGB", (64, 64), random.Random(seed).randbytes(64 * 64 * 3))
    buffer = io.BytesIO()
    small.resize((300, 300)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
