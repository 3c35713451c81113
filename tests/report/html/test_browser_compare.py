"""What was accepted, what is there now, and where they differ: tabs, wipe and addresses, in a real Chromium."""

import pytest

from fake_runs import draw, lines_of
from qiltest.comparison.compare import compare_runs
from qiltest.recipe import Size
from qiltest.report.comparison.page import write_page

pytestmark = pytest.mark.timeout(180)
SIZE = Size(256, 256)


@pytest.fixture
def page(fake, case, open_report):
    """The report of an image whose golden accepted another one, in a fresh clone: no run has that image."""
    run = fake(case("wall", "text"))
    run.keep_copy(run.add("wall", "base", "texd", golden=("text",)), draw(lines_of(("text",), SIZE), SIZE, 0))
    return open_report(run.build())


def address(page):
    """Query and hash as the page has them; Playwright hears of a new address only a moment later."""
    return page.tab.evaluate("location.search + location.hash")


def look_of(page):
    """How the earlier image is laid over the one of now."""
    style = "(e => [getComputedStyle(e).display, getComputedStyle(e).mixBlendMode])"
    return page.tab.evaluate(f"{style}(document.querySelector('.frame .before'))")


def test_the_tabs_show_now_the_golden_and_where_they_differ(page):
    assert look_of(page)[0] == "none"
    page.tab.locator(".views label", has_text="golden").click()
    assert look_of(page) == ["block", "normal"]
    assert not page.tab.locator(".frame .boxes").is_visible()
    page.tab.locator(".views label", has_text="difference").click()
    assert look_of(page) == ["block", "difference"]
    page.tab.locator(".views label", has_text="now").click()
    assert look_of(page)[0] == "none"
    assert page.problems == []


def test_the_tabs_work_without_a_script(page, browser):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(page.tab.url)
    tab.locator(".views label", has_text="golden").click()
    assert tab.locator(".frame .before").is_visible()
    context.close()


def test_the_wipe_has_a_handle_that_goes_with_it_and_shows_the_golden_at_its_left(page):
    page.tab.locator(".compare").click()
    names = [page.tab.locator(f"#flip .name.{side}").inner_text() for side in "ab"]
    assert names == ["base, golden", "base, now"]
    handle, stage = page.tab.locator("#flip .divider"), page.tab.locator("#flip .stage")
    assert handle.is_visible()
    page.tab.locator("#flip [name=wipe]").fill("20")
    box, whole = handle.bounding_box(), stage.bounding_box()
    assert box["x"] + box["width"] / 2 == pytest.approx(whole["x"] + 0.2 * whole["width"], abs=1.5)
    page.tab.keyboard.press("d")
    assert not handle.is_visible()
    assert page.tab.locator("#flip [name=difference]").is_checked()
    page.tab.keyboard.press("d")
    assert handle.is_visible()
    assert page.problems == []


def test_the_filters_are_in_the_address_and_come_back_with_it(typical, open_report):
    page = open_report(typical)
    page.tab.locator(".filters label.fail").click()
    page.tab.locator(".filters [name=variant]").select_option("4step")
    page.tab.locator(".filters [name=find]").fill("coffee & <tea>")
    assert address(page) == "?status=FAIL&variant=4step&find=coffee+%26+%3Ctea%3E"
    page.tab.locator(".filters [name=find]").fill("coffee")
    shown = page.labels()
    page.tab.reload()
    assert page.labels() == shown == ["4step"]
    assert page.tab.locator(".filters [name=find]").input_value() == "coffee"
    page.tab.locator(".filters button[type=reset]").click()
    assert address(page) == ""


def test_an_address_with_values_that_the_page_has_not_filters_nothing(typical, open_report):
    page = open_report(typical)
    page.tab.goto(page.tab.url + "?variant=nosuch&status=NOSUCH&case=x&other=1#%E0%A4%A")
    assert page.shown() == 8
    assert [problem for problem in page.problems if not problem.startswith("request")] == []


def test_an_image_is_linked_by_its_name_and_the_keys_take_the_address_along(typical, open_report):
    page = open_report(typical)
    page.tab.keyboard.press("n")
    assert address(page) == "#coffee-shop@256x256-base-s42"
    page.tab.keyboard.press("n")
    assert address(page) == "#coffee-shop@256x256-4step-s42"
    title = page.tab.locator("[id=case-coffee-shop] h3").bounding_box()
    bar = page.tab.locator(".filters").bounding_box()
    assert title["y"] >= bar["y"] + bar["height"] - 1
    link = page.tab.locator("[id='coffee-shop@256x256-8step-s42'] a.here")
    link.click()
    assert page.tab.locator("[id='coffee-shop@256x256-8step-s42']:target").count() == 1


def test_on_a_phone_no_case_of_the_comparisons_table_is_broken_inside_a_word(fake, case, tmp_path, open_page):
    names = ("anime-street", "movie-poster", "coffee-shop", "handwriting-on-paper")
    runs = []
    for name in ("20261101-000000-000000", "20261102-000000-000000"):
        run = fake(*(case(one, "some text") for one in names), name=name)
        for one in names:
            run.add(one, "base", "some text" if name.startswith("20261101") else "some texd", seconds=1.0)
        runs.append(run.build())
    path = tmp_path / "comparison.html"
    write_page(compare_runs(*runs), *runs, path)
    page = open_page(path, width=390)
    lines = page.tab.evaluate(
        """[...document.querySelectorAll('.tally tbody th')].map(cell => {
            const range = document.createRange(), text = cell.firstChild, lines = [''];
            let top = null;
            for (let i = 0; i < text.length; i++) {
                range.setStart(text, i); range.setEnd(text, i + 1);
                const now = range.getBoundingClientRect().top;
                if (top !== null && now > top + 2) lines.push('');
                top = now;
                lines[lines.length - 1] += text.data[i];
            }
            return lines;
        })"""
    )
    assert len(lines) == len(names)
    assert all(line.endswith("-") for parts in lines for line in parts[:-1])
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert (
        page.tab.evaluate("(e => e.scrollWidth - e.clientWidth)(document.querySelector('.tally').parentElement)") <= 0
    )
    assert page.problems == []
