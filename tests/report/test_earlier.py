"""The image that a golden accepted beside the image now, also where no earlier run is stored."""

import base64
import re

import pytest

from fake_runs import draw, lines_of
from qiltest.gate.golden import GoldenStore
from qiltest.gate.small_copy import SmallCopies
from qiltest.recipe import Size
from qiltest.report import write_html
from qiltest.report.earlier import goldens_of
from qiltest.report.view import view

SIZE = Size(256, 256)
THEN = draw(lines_of(("text",), SIZE), SIZE, 3)


@pytest.fixture
def compared(fake, case):
    """A maker of the run of one image whose golden accepted another, of which the small copy is stored."""
    run = fake(case("wall", "text"))
    run.keep_copy(run.add("wall", "base", "texd", golden=("text",)), THEN)
    return run


def html(run, **options):
    write_html(run, run.path / "report.html", **options)
    return (run.path / "report.html").read_text("utf-8")


def shown(page):
    """The images that a page shows as earlier ones, decoded."""
    return [base64.b64decode(data) for data in re.findall(r'class="before" src="data:image/webp;base64,([^"]+)"', page)]


def copy_of(run):
    copies = SmallCopies(goldens=GoldenStore(root=run.path.parent.parent / "golden"))
    return copies.path(run.results[0].golden)


def test_a_goldens_small_copy_is_shown_as_it_is_where_no_run_has_the_image(compared):
    run = compared.build()
    page = html(run)
    assert shown(page) == [copy_of(run).read_bytes()]
    for tab in ("now", "golden", "difference"):
        assert re.search(rf'<input type="radio" name="view-wall@256x256-base-s42" value="\w+"[^>]*> {tab}<', page)


def test_the_folder_of_goldens_may_be_another_one(compared, tmp_path):
    run = compared.build()
    golden = tmp_path / "golden"
    golden.rename(tmp_path / "elsewhere")
    assert shown(html(run)) == []
    assert len(shown(html(run, golden_folder=tmp_path / "elsewhere"))) == 1


@pytest.mark.parametrize("data", [None, b"", b"another file", b"x" * 50_000])
def test_a_small_copy_that_is_another_one_by_now_is_not_shown(compared, data):
    run = compared.build()
    copy_of(run).unlink()
    if data is not None:
        copy_of(run).write_bytes(data)
    assert view(run).cells[0].before is None
    assert "view-wall" not in html(run)


def test_a_small_copy_that_is_no_image_is_not_shown(compared):
    import hashlib
    from dataclasses import replace

    run = compared.build()
    copy_of(run).write_bytes(b"no image")
    golden = replace(run.results[0].golden, small_copy=hashlib.sha256(b"no image").hexdigest())
    assert shown(html(replace(run, results=(replace(run.results[0], golden=golden),)))) == []


def test_the_whole_image_of_an_earlier_run_comes_before_the_small_copy(fake, case):
    older = fake(case("wall", "text"), name="20261101-000000-000000")
    kept = older.add("wall", "base", "text").image
    run = fake(case("wall", "text"))
    run.keep_copy(run.add("wall", "base", "texd", golden=("text",), golden_image=kept.sha256), THEN)
    assert view(run.build()).cells[0].before.path == kept.path.absolute() == kept.path


def test_the_image_that_is_the_goldens_own_has_no_earlier_one(fake, case):
    run = fake(case("wall", "text"))
    now = run.add("wall", "base", "text")
    run.results.clear()
    run.keep_copy(run.add("wall", "base", "text", golden=("text",), golden_image=now.image.sha256), THEN)
    assert view(run.build()).cells[0].before is None


def test_of_an_image_that_could_not_be_made_the_expected_one_is_shown(fake, case):
    from dataclasses import replace

    run = fake(case("wall", "text"))
    run.keep_copy(run.add("wall", "base", "texd", golden=("text",)), THEN)
    lost = replace(run.results[0], image=None, error="the device was lost")
    page = html(run.build(results=(lost,)))
    assert "expected: golden" in page
    assert page.count("data:image/webp") == 1


def test_goldens_are_looked_for_in_the_folder_named_and_beside_the_runs(compared, tmp_path):
    run = compared.build()
    assert goldens_of(run.path) == (tmp_path / "golden",)
    assert goldens_of(run.path, tmp_path / "own") == (tmp_path / "own", tmp_path / "golden")
