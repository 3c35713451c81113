"""docs/reference/gate.md works examples by hand: each number on the page is what the code gives."""

import re
from pathlib import Path

import pytest

from qiltest.arguments import MAX_SEED_COUNT
from qiltest.calibration.store import read_floor
from qiltest.comparison.compare import compare
from qiltest.comparison.pairing import Pair, Pairing
from qiltest.comparison.records import Release
from qiltest.comparison.sample_size import MOST_SEEDS
from qiltest.gate import Golden, Verdict, judge
from qiltest.gate.golden import SCHEMA, GoldenText
from qiltest.gate.judge import noise_floor_of
from qiltest.gate.latency import limit_seconds
from qiltest.recipe import Size
from qiltest.suite.cases import Limits
from qiltest.suite.load import load_cases

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/gate.md").read_text(encoding="utf-8")
IMAGE = ROOT.parent / "shared" / "real-images" / "qi50_cache_f8b0_taylor4_compile.png"


def said(*phrases: str) -> None:
    missing = [phrase for phrase in phrases if phrase not in PAGE]
    assert missing == []


@pytest.mark.skipif(not IMAGE.is_file(), reason=f"the real images are not part of the repository: no {IMAGE}")
def test_the_image_is_read_scored_and_judged_as_the_page_says():
    from qiltest.reading import open_reader
    from qiltest.scoring import score_case

    (case,) = (case for case in load_cases(ROOT / "cases") if case.id == "coffee-shop")
    reading = open_reader("rapidocr", threads=1).read(IMAGE)
    score = score_case(case, reading)
    said(" | ".join(line.text for line in reading.lines), score.reader.fingerprint)
    assert [(text.distance, text.length) for text in score.texts] == [(0, 18), (0, 4), (1, 47)]
    assert (score.distance, score.length, score.extra) == (1, 69, ())
    assert [edit.position for edit in score.texts[2].edits] == [33]
    said("distance = 0 + 0 + 1 + 0 = 1", "length = 18 + 4 + 47 = 69", f"1 / 69 = {score.cer:.4f}", "at position 33")
    size = Size(reading.width, reading.height)
    golden = Golden(
        schema=SCHEMA,
        case=case.id,
        size=str(size),
        variant="base",
        seed=42,
        model="Qwen/Qwen-Image",
        effective=str(size),
        reader=score.reader.fingerprint,
        distance=0,
        distance_alnum=0,
        length=69,
        noise_floor=0.0,
        texts=tuple(GoldenText(expected=text.expected, read=text.expected, distance=0) for text in score.texts),
        extra=(),
        recipe_key="",
        recipe={},
        image="",
    )
    floor = noise_floor_of(case, score.reader, tiny=False)
    assert floor == 0
    judgement = judge(score, golden, case.limits, case=case, effective=size, noise_floor=floor)
    said(f"{judgement.verdict}: {judgement.reasons[0]}", judgement.reasons[1])
    assert len(judgement.reasons) == 2
    assert judge(score, None, case.limits, case=case, effective=size, noise_floor=floor).verdict is Verdict.NEW
    assert (
        judge(score, golden, Limits(tolerance=1), case=case, effective=size, noise_floor=floor).verdict is Verdict.PASS
    )


@pytest.mark.skipif(not IMAGE.is_file(), reason=f"the real images are not part of the repository: no {IMAGE}")
def test_the_image_is_as_healthy_as_the_page_says():
    from qiltest.quality import examine, gating
    from qiltest.reading.images import load_image

    health = examine(load_image(IMAGE)).health
    said(f"noise of {max(health.noise_fine, health.noise_coarse):.2f} grey levels")
    said(f"a grid of {max(health.grid_latent, health.grid_patch):.2f} (limit")
    assert gating(health) == ()


@pytest.mark.parametrize(("golden", "limit"), [(2.0, "2.16"), (0.3, "0.35")])
def test_the_limits_of_latency_are_those_of_the_page(golden, limit):
    assert f"{limit_seconds(golden):.2f}" == limit
    said(f"golden {golden} s: max(", f") = {limit} s")


def test_the_noise_floor_is_the_stored_one():
    floor = read_floor("coffee-shop", "rapidocr", ROOT / "cases" / "floors")
    texts = floor.exact_texts
    said(f"that is {floor.floor:g} over {floor.images} images", f"{texts.found} of {texts.of} texts read exactly")


def test_the_page_names_the_limits_on_seeds():
    said(f"at most {MOST_SEEDS:,}.", f"generate at most {MAX_SEED_COUNT};")


def test_the_verdicts_of_the_page_are_those_of_the_code():
    table = PAGE.partition("## 4. The verdict")[2].partition("One further verdict, `MISSING`,")[0]
    assert set(re.findall(r"^\| `([A-Z]+)` \|", table, re.MULTILINE)) | {"MISSING"} == set(Verdict)


def compared(changes, length=69):
    pairs = tuple(
        Pair(case="coffee-shop", size="1x1", seed=seed, before=0, after=change, length=length)
        for seed, change in enumerate(changes)
    )
    return compare([Pairing(before="a", after="b", pairs=pairs)]).comparisons[0]


def test_the_release_examples_are_those_of_the_page():
    six, five, same = compared([1] * 6), compared([1] * 5), compared([0] * 6)
    assert (six.verdict, five.verdict, same.verdict) == (Release.DO_NOT_SHIP, Release.CANNOT_TELL, Release.SHIP)
    said(f"(1/2)^6 = {six.exact.p}", f"(1/2)^5 = {five.exact.p}", f"about {five.plan.seeds} seeds would decide")
    said(f"6 / (6 x 69) = {six.difference:.4f}", f"0.46 / 69 = {same.unseen:.4f}")
    assert compared([0] * 36, length=10).verdict is Release.SHIP
    assert compared([0] * 35, length=10).verdict is Release.CANNOT_TELL
    said("For texts of 10 characters 36 images are needed.")
