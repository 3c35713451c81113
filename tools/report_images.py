"""The README's two images of a report, each of at most 150 kB: the top by day, wrong characters from near by night.

    pytest tests/report_cases -q                        # or `make demo`, on an idle machine: it shows latencies
    python tools/report_images.py runs/RUN/report.html  # writes docs/images/report-light.png and report-dark.png

Needs Chromium (`apt-get install chromium`, or one named in QILTEST_CHROMIUM) and playwright, both as the browser tests do.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from qiltest.arguments import existing_file

WIDTH, HEIGHT = 1280, 860
MOST_BYTES = 150_000
#: where a page is scrolled to: the first text with close-ups of what is wrong, or the worst case where there is none.
TO_THE_WORST = """
const near = document.querySelector('.near');
(near ? near.closest('.text') : document.querySelector('.case')).scrollIntoView({block: near ? 'center' : 'start'});
"""


def main() -> int:
    """Write both images. Returns 2 where there is no Chromium."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=existing_file, help="report.html of a run")
    parser.add_argument("--folder", type=Path, default=Path("docs/images"), help="default: docs/images")
    args = parser.parse_args()
    chromium = os.environ.get("QILTEST_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        print("no chromium: apt-get install chromium, or name one in QILTEST_CHROMIUM", file=sys.stderr)
        return 2
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"])
        looks: tuple[tuple[Literal["light", "dark"], str], ...] = (("light", ""), ("dark", TO_THE_WORST))
        for scheme, move in looks:
            path = args.folder / f"report-{scheme}.png"
            path.write_bytes(small(shot(browser, args.report.resolve(), scheme, move)))
            print(f"{path}: {path.stat().st_size} bytes")
        browser.close()
    return 0


def shot(browser: Browser, report: Path, scheme: Literal["light", "dark"], move: str) -> bytes:
    """Return what a window shows of the report, as PNG."""
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme, reduced_motion="reduce")
    page.goto(report.as_uri())
    if move:
        page.evaluate(move)
    page.wait_for_timeout(500)
    return page.screenshot()


def small(png: bytes) -> bytes:
    """Return the image with as many colours, of a palette, as its limit allows."""
    with Image.open(io.BytesIO(png)) as opened:
        image = opened.convert("RGB")
    for colours in (256, 128, 64, 32, 16):
        out = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() <= MOST_BYTES:
            return out.getvalue()
    raise ValueError(f"{out.tell()} bytes with 16 colours are more than {MOST_BYTES}")


if __name__ == "__main__":
    sys.exit(main())
