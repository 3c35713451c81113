"""An edit's input, output and what was wanted: tabs, wipe and the map of what else changed, in a real Chromium."""

import pytest

from fake_runs import edit_case, with_input

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def page(fake, open_report):
    """The report of an edit that left the old text and changed a part of the rest."""
    run = fake(edit_case())
    with_input(run, run.add("sign", "base", "SALE 50%", "Main Street"), "....", ".##.", "..#.")
    return open_report(run.build())


def test_the_tabs_show_the_input_in_the_outputs_place(page):
    given = page.tab.locator(".frame .input")
    assert not given.is_visible()
    page.tab.locator(".views label", has_text="input").click()
    assert given.is_visible()
    assert not page.tab.locator(".frame .boxes").first.is_visible()
    page.tab.locator(".views label", has_text="output").click()
    assert not given.is_visible()
    assert page.problems == []


def test_the_wipe_goes_between_input_and_output(page):
    button = page.tab.locator(".compare")
    assert button.inner_text() == "Wipe: input / output"
    button.click()
    names = [page.tab.locator(f"#flip .name.{side}").inner_text() for side in "ab"]
    assert names == ["input of base", "base"]
    assert page.tab.locator("#flip .stage img").count() == 2
    assert page.problems == []


def test_what_was_wanted_stands_above_and_what_is_left_below(page):
    meta = page.tab.locator(".case > header").inner_text()
    assert "wanted: “OPEN”" in meta
    assert "must stay: “Main Street”" in meta
    assert "must be gone: “SALE 50%”" in meta
    assert "still read as “SALE 50%”" in page.tab.locator(".cell").inner_text()


def test_the_map_covers_the_blocks_that_changed(page):
    bars = page.tab.locator(".frame .rest rect")
    frame, first = page.tab.locator(".frame").bounding_box(), bars.first.bounding_box()
    assert bars.count() == 2
    assert first["x"] - frame["x"] == pytest.approx(frame["width"] / 4, abs=2)
    assert first["width"] == pytest.approx(frame["width"] / 2, abs=2)
