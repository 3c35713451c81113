"""axe-core finds nothing in the pages, at either theme, on a desktop and on a phone."""

from dataclasses import replace

import pytest

from fake_runs import draw, edit_case, lines_of, not_run, with_input
from qiltest.cli.main import main
from qiltest.comparison.compare import compare_runs
from qiltest.recipe import Size
from qiltest.report import write_html
from qiltest.report.comparison.page import write_page
from qiltest.runs.history import record

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]
SIZE = Size(256, 256)
#: all is open, and laid out also where it is far below.
ALL = """() => {
    for (const one of document.querySelectorAll('details')) one.open = true;
    for (const one of document.querySelectorAll('.case')) one.style.contentVisibility = 'visible';
}"""


@pytest.fixture(scope="module")
def axe():
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        not_run("the accessibility tests need `pip install axe-playwright-python`")
    return Axe()


def record_nights(run, days):
    """Record a run as if it had been the same on these days of November."""
    for day in days:
        record(replace(run, id=f"night-{day:02}", started=f"2026-11-{day:02}T02:00:00+00:00"))


@pytest.fixture
def report(typical):
    """A report of every verdict, with an image whose golden's is stored, and nights before it."""
    record_nights(typical, range(1, 4))
    write_html(typical, typical.path / "report.html")
    return typical.path / "report.html"


@pytest.fixture
def review(fake, case):
    """The page that `qiltest review` opens: one image beside its golden's."""
    run = fake(case("wall", "text"))
    run.keep_copy(run.add("wall", "base", "texd", golden=("text",)), draw(lines_of(("text",), SIZE), SIZE, 0))
    write_html(run.build(), run.folder / "review.html")
    return run.folder / "review.html"


@pytest.fixture
def edits(fake):
    """A report of two edits: one that did nothing, beside its input, and one that changed the rest."""
    run = fake(edit_case())
    with_input(run, run.add("sign", "base", "SALE 50%", "Main Street"), "....", "....")
    with_input(run, run.add("sign", "4step", "OPEN", "Main Street", golden=("OPEN", "Main Street")), ".##.", "..#.")
    write_html(run.build(), run.folder / "edits.html")
    return run.folder / "edits.html"


@pytest.fixture
def comparison(typical, tmp_path):
    path = tmp_path / "comparison.html"
    write_page(
        compare_runs(typical, typical, variant="base", with_variant="4step"),
        typical,
        typical,
        path,
        variant="base",
        with_variant="4step",
    )
    return path


@pytest.fixture
def trends(typical, tmp_path):
    record_nights(typical, range(1, 13))
    assert main(["history", "--runs", str(typical.path.parent), "--html", str(tmp_path / "trends.html")]) == 0
    return tmp_path / "trends.html"


def findings(axe, tab):
    return [
        f"{found['id']}: {node['html'][:200]}"
        for found in axe.run(tab).response["violations"]
        for node in found["nodes"]
    ]


@pytest.mark.parametrize("name", ["report", "review", "edits", "comparison", "trends"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing(name, scheme, width, axe, open_page, request):
    page = open_page(request.getfixturevalue(name), width=width, scheme=scheme)
    page.tab.evaluate(ALL)
    assert findings(axe, page.tab) == []


def test_axe_finds_nothing_in_the_dialogs(review, axe, open_page):
    page = open_page(review)
    page.tab.locator(".compare").click()
    assert findings(axe, page.tab) == []
    page.tab.keyboard.press("Escape")
    page.tab.keyboard.press("?")
    assert findings(axe, page.tab) == []


def test_axe_finds_what_is_wrong(review, axe, open_page):
    page = open_page(review)
    page.tab.evaluate("document.querySelector('img.now').removeAttribute('alt')")
    assert [found.partition(":")[0] for found in findings(axe, page.tab)] == ["image-alt"]
