"""Fake runs: images generated with Pillow, read by a reader that is told what to say, scored by the real scorer."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

import builders as make
from qiltest.gate.golden import Golden, GoldenExtra, GoldenStore, GoldenText
from qiltest.gate.judge import judge
from qiltest.gate.latency import Cohort, LatencyJudgement
from qiltest.gate.small_copy import SmallCopies, digest_of, make_copy
from qiltest.gate.verdict import Verdict
from qiltest.quality.change import VERSION as CHANGE_VERSION
from qiltest.quality.change import Change
from qiltest.reading.records import Line, ReaderInfo
from qiltest.recipe import LoraRecipe, Recipe, Size
from qiltest.report import write_html
from qiltest.runs import RunStore
from qiltest.runs.events import Ended, Failed, Generated, Judged, Started
from qiltest.runs.lines import SCHEMA
from qiltest.runs.records import CaseResult, Run, RunState, StoredImage
from qiltest.runs.writer import RunWriter
from qiltest.scoring import Score, score_case
from qiltest.suite.cases import Case, EditRules, ExpectedText, InputFile, InputSource, ReportVerdict
from qiltest.suite.selection import Sample
from qiltest.suite.variants import LoraSource, SchedulerKind

READER = ReaderInfo(name="fake", engine="told", version="1", weights_sha256="a" * 64)
VARIANTS = tuple(
    make.variant(
        name,
        title=title,
        steps=steps,
        true_cfg_scale=cfg,
        negative_prompt=" " if cfg > 1 else None,
        scheduler=SchedulerKind.MODEL if cfg > 1 else SchedulerKind.LIGHTNING,
        loras=() if cfg > 1 else (("tiny", LoraSource(source=f"embedded::{name}")),),
    )
    for name, title, steps, cfg in (
        ("base", "Qwen-Image, 50 steps, CFG 4", 50, 4.0),
        ("8step", "Lightning 8steps-V1.1", 8, 1.0),
        ("4step", "Lightning 4steps-V1.0", 4, 1.0),
    )
)
FONTS = ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",)


def make_case(identity: str, *texts: str, **changes: object) -> Case:
    """A case of one resolution, 256x256, that asks for the texts."""
    prompt = " ".join(f'A sign that reads "{text}".' for text in texts)
    return make.case(
        identity, **{"size": Size(256, 256), "prompt": prompt, "texts": tuple(make.texts(*texts))} | changes
    )


def edit_case(**changes: object) -> Case:
    """A case that has SALE 50% replaced by OPEN, and Main Street left as it is."""
    texts = (ExpectedText(text="OPEN"), ExpectedText(text="Main Street", kept=True))
    source = InputSource(file=InputFile(path="inputs/sign.png"))
    rules = EditRules(inputs=(source,), gone=("SALE 50%",))
    prompt = "Replace SALE 50% with OPEN."
    return make.case("sign", **{"size": Size(256, 256), "prompt": prompt, "texts": texts, "edit": rules} | changes)


def reported(case: Case, table: int, **marks: bool | None) -> Case:
    """The case as one of the report's, with its marks by variant (`base=True`, `step8=False`)."""
    names = {"step8": "8step", "step4": "4step"}
    verdicts = tuple(ReportVerdict(variant=names.get(k, k), passes=v, finding="said so") for k, v in marks.items())
    resolutions = tuple(replace(resolution, report=verdicts) for resolution in case.resolutions)
    return replace(case, report_table=table, resolutions=resolutions)


def lines_of(texts: Sequence[str], size: Size) -> tuple[Line, ...]:
    """One line a text, one below the other."""
    height = size.height / (len(texts) + 1)
    lines = []
    for number, text in enumerate(texts):
        top, bottom = height * (number + 0.3), height * (number + 1)
        right = min(size.width - 8.0, 16 + len(text) * 14.0)
        box = ((8.0, top), (right, top), (right, bottom), (8.0, bottom))
        lines.append(Line(text=text, box=box, confidence=0.97))
    return tuple(lines)


def draw(lines: Sequence[Line], size: Size, shade: int) -> bytes:
    """An image of the lines, as PNG bytes."""
    image = Image.new("RGB", (size.width, size.height), (shade % 90 + 30, shade % 70 + 40, 90))
    pen = ImageDraw.Draw(image)
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont = ImageFont.load_default(14)
    if Path(FONTS[0]).exists():
        font = ImageFont.truetype(FONTS[0], 14, layout_engine=ImageFont.Layout.BASIC)
    for line in lines:
        text = line.text.encode("utf-8", "replace").decode().replace("\0", "")
        pen.text(line.box[0], text, fill=(250, 240, 200), font=font)
    # on a machine without Chinese fonts all such characters look alike; other texts are other bytes all the same
    told = PngInfo()
    told.add_itxt("lines", repr([line.text for line in lines]))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=told)
    return buffer.getvalue()


def make_golden(score: Score, sample: Sample, image: str = "f" * 64) -> Golden:
    """What would be recorded if this score was accepted."""
    return make.golden(
        score.distance,
        case=sample.case,
        size=str(sample.size),
        variant=sample.variant,
        seed=sample.seed,
        effective=str(sample.size),
        reader=score.reader.fingerprint,
        distance_alnum=score.distance_alnum,
        length=score.length,
        texts=tuple(GoldenText(expected=t.expected, read=t.read, distance=t.distance) for t in score.texts),
        extra=tuple(GoldenExtra(text=e.text, kind=e.kind.value, distance=e.distance) for e in score.extra),
        recipe={"torch": "2.11"},
        image=image,
    )


@dataclass
class FakeRun:
    """Builds a run image by image."""

    folder: Path
    cases: tuple[Case, ...]
    results: list[CaseResult] = field(default_factory=list)
    planned: list[Sample] = field(default_factory=list)
    changes: dict[str, object] = field(default_factory=dict)

    def add(
        self,
        case: str,
        variant: str,
        *read: str,
        lines: tuple[Line, ...] | None = None,
        golden: Sequence[str] | None = None,
        seconds: float = 1.0,
        size: Size | None = None,
        seed: int = 42,
        noise_floor: float | None = 0.0,
        latency: LatencyJudgement | None = None,
        error: str = "",
        image: bool = True,
        golden_image: str = "f" * 64,
        generated: bytes | None = None,
        glyphs: str = "",
    ) -> CaseResult:
        """Add an image in which `read` is read; `golden`: what was read when it was accepted."""
        record = next(item for item in self.cases if item.id == case)
        size = size or record.resolutions[0].size
        sample = Sample(case=case, size=size, variant=variant, seed=seed)
        self.planned.append(sample)
        lines = lines_of(read, size) if lines is None else lines
        png = generated or draw(lines, size, len(self.results) * 17)
        reading = make.reading(lines, size.width, size.height, reader=READER, seconds=0.2, glyphs=glyphs)
        result = CaseResult(sample=sample, error=error, recipe=self._recipe(record, sample))
        steps = next(v for v in VARIANTS if v.name == variant).steps
        timing = make.timing(seconds, steps, decode_seconds=0.05)
        if image:
            result = replace(result, image=self._store(png), timing=timing, cohort=_cohort(sample))
        if error:
            self.results.append(result)
            return result
        score = score_case(record, reading)
        before = None
        if golden is not None:
            old = replace(reading, lines=lines_of(golden, size))
            before = make_golden(score_case(record, old), sample, golden_image)
        judgement = judge(score, before, record.limits, case=record, effective=size, noise_floor=noise_floor)
        result = replace(result, reading=reading, score=score, judgement=judgement, golden=before, latency=latency)
        self.results.append(result)
        return result

    def keep_copy(self, result: CaseResult, png: bytes) -> CaseResult:
        """Keep a small copy of the image that the golden of a result accepted, in the folder `golden` beside `runs`."""
        assert result.golden is not None
        copy = make_copy(png)
        golden = replace(result.golden, small_copy=digest_of(copy))
        copies = SmallCopies(goldens=GoldenStore(root=self.folder.parent.parent / "golden"))
        copies.goldens.write(copies.path(golden), copy)
        self.results[self.results.index(result)] = kept = replace(result, golden=golden)
        return kept

    def _store(self, png: bytes) -> StoredImage:
        sha256 = hashlib.sha256(png).hexdigest()
        path = self.folder / "images" / f"{sha256}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png)
        return StoredImage(path=path, sha256=sha256)

    def _recipe(self, case: Case, sample: Sample) -> Recipe:
        variant = next(v for v in VARIANTS if v.name == sample.variant)
        lora = LoraRecipe(source=f"embedded::{variant.name}", sha256="b" * 64, rank=8, scale=1.0, merged=False)
        return make.recipe(
            size=sample.size,
            variant=variant.name,
            lora=lora if variant.loras else None,
            scheduler=(("shift", 1.0),),
            sigmas=(1.0, 0.5),
            steps=variant.steps,
            true_cfg_scale=variant.true_cfg_scale,
            negative_prompt=variant.negative_prompt,
            prompt=case.prompt.encode("utf-8", "replace").decode(),
            seed=sample.seed,
            versions=(("torch", "2.14.1"),),
        )

    def build(self, **changes: object) -> Run:
        """Return the run as it would be read back."""
        return make.run(
            self.folder.name,
            **{
                "path": self.folder,
                "finished": "2026-11-23T02:04:00+00:00",
                "exit_status": 1 if any(r.verdict is not Verdict.PASS for r in self.results) else 0,
                "device_name": "A CPU",
                "versions": (("torch", "2.14.1"),),
                "reader": READER,
                "cases": self.cases,
                "variants": VARIANTS,
                "planned": tuple(self.planned),
                "results": tuple(self.results),
            }
            | changes,
        )


def _cohort(sample: Sample) -> Cohort:
    return make.cohort(device_name="A CPU", effective=str(sample.size), variant=sample.variant, nfe=8)


@pytest.fixture
def fake(tmp_path: Path) -> Callable[..., FakeRun]:
    """A maker of fake runs: `fake(case, case, name="now")`."""

    def maker(*cases: Case, name: str = "20261123-020000-abcdef") -> FakeRun:
        return FakeRun(folder=tmp_path / "runs" / name, cases=cases)

    return maker


@pytest.fixture
def case() -> Callable[..., Case]:
    """`make_case`, for tests: `case("id", "text", ..., report_table=2)`."""
    return make_case


@pytest.fixture
def told() -> Callable[..., Case]:
    """`reported`, for tests: `told(case, table, base=True)`."""
    return reported


@pytest.fixture
def typical(fake: Callable[..., FakeRun]) -> Run:
    """A regression, an improvement, a text twice, a missing sign, an error, a new and a good image."""
    coffee = reported(make_case("coffee-shop", "π≈3.1415926-53589793-23846264", "通义千问"), 6, base=False, step8=True)
    school = reported(make_case("classroom", "a foundational image generation model"), 5, base=False, step8=True)
    board = reported(make_case("whiteboard", "支持中英渲染、自动布局"), 2)
    run = fake(coffee, school, board)
    good = ("π≈3.1415926-53589793-23846264", "通义千问")
    run.add("coffee-shop", "base", "π≈3.1415926-53589793-238446264", "通义千问", golden=good, seconds=12.0)
    run.add("coffee-shop", "8step", *good, golden=good, seconds=1.0)
    run.add("coffee-shop", "4step", good[0], golden=good, seconds=0.5)
    run.add(
        "classroom", "base", "a fundational image generation model", golden=("a fundational imoge generation model",)
    )
    run.add("classroom", "8step", "a foundational image generation model")
    run.add("classroom", "4step", error="the device was lost", image=False)
    run.add("whiteboard", "base", "支持中英渲染、自动布局", golden=("支持中英渲染、自动布局",), seconds=12.0)
    run.add(
        "whiteboard", "4step", "支持中英渲染、自动布局", "自动布局", golden=("支持中英渲染、自动布局",), seconds=0.6
    )
    return run.build()


@pytest.fixture
def accepted_error(fake: Callable[..., FakeRun]) -> Run:
    """An image with three errors in one text that its golden has too, and one in another that is new."""
    run = fake(make_case("street", "臘月二十四日家家", "HAPPY HAIR", "OPEN ALL DAY"))
    good = "OPEN ALL DAY"
    was = ("胆月二十四曰冢家", "HAPPY HAIR", good)
    run.add("street", "base", was[0], "HAPPY HAIRR", good, golden=was)
    return run.build()


@pytest.fixture
def slow() -> LatencyJudgement:
    """A latency that fails and gates."""
    return LatencyJudgement(
        verdict=Verdict.FAIL,
        seconds=2.0,
        golden_seconds=1.0,
        limit_seconds=1.2,
        gates=True,
        reasons=("2 s is above the limit 1.2 s",),
    )


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "\u202egnp.exe",
    "nul\0byte \x1b[31mred\x07",
    "lone \ud800 surrogate",
    "{{ 7*7 }} {% raw %}",
    "| a | b |\n|---|---|",
    "\n::error file=x::injected",
    "]]> <!-- --> &amp; </style></script>",
    "https://example.org www.example.org @someone #12 ![x](y)",
)


@pytest.fixture
def hostile(fake: Callable[..., FakeRun]) -> Run:
    """A run in which every text that somebody else chose is hostile: prompt, title, expected, read, id, errors."""
    texts = tuple(f"{text} {number}" for number, text in enumerate(HOSTILE))
    case = make_case(
        'x"><script>alert(2)</script>',
        *texts,
        title="<b>\u202etitle\0</b>",
        prompt="\n".join(HOSTILE),
        language='"><script>',
        path="cases/<x>\u202e,:%.toml",
        report_table=6,
    )
    verdicts = tuple(ReportVerdict(variant=name, passes=None, finding="\n".join(HOSTILE)) for name in ("base", "8step"))
    case = replace(case, resolutions=(replace(case.resolutions[0], report=verdicts),))
    run = fake(case)
    run.add(case.id, "base", *(text.upper() for text in texts), golden=texts)
    run.add(case.id, "8step", *texts, "<svg onload=alert(3)>\u2066", golden=texts)
    run.add(case.id, "4step", error="\n".join(HOSTILE), image=False)
    return run.build(
        model=HOSTILE[0],
        device_name=HOSTILE[3],
        command=HOSTILE,
        problems=HOSTILE,
        versions=((HOSTILE[1], HOSTILE[4]),),
    )


def stored(root: Path, run: Run) -> str:
    """Write the run as a session would; returns its id."""
    writer = RunStore(root=root).create()
    with writer:
        writer.append(
            Started(
                schema=SCHEMA,
                run=writer.id,
                at=run.started,
                command=run.command,
                qiltest_version=run.qiltest_version,
                model=run.model,
                device=run.device,
                device_name=run.device_name,
                versions=run.versions,
                reader=run.reader,
                cases=run.cases,
                variants=run.variants,
                planned=run.planned,
                full=run.full,
                shards=run.shards,
                purpose=run.purpose,
            )
        )
        for result in run.results:
            append(writer, result)
        writer.append(
            Ended(
                at=run.started, state=RunState.FINISHED, exit_status=1 if run.exit_status is None else run.exit_status
            )
        )
    return writer.id


def append(writer: RunWriter, result: CaseResult) -> None:
    if result.error:
        writer.append(Failed(at=make.AT, sample=result.sample, error=result.error))
        return
    assert result.recipe is not None
    assert result.image is not None
    assert result.cohort is not None
    writer.append(
        Generated(
            at=make.AT,
            sample=result.sample,
            recipe=result.recipe,
            key=result.recipe.key(),
            sha256=writer.put(result.image.path.read_bytes()),
            timing=result.timing,
            latents=None if result.timing is None else make.LATENTS,
            told_seconds=result.told_seconds,
            cohort=result.cohort,
        )
    )
    writer.append(
        Judged(
            at=make.AT,
            sample=result.sample,
            reading=result.reading,
            score=result.score,
            judgement=result.judgement,
            latency=result.latency,
            golden=result.golden,
            golden_recorded=result.golden_recorded,
        )
    )


@pytest.fixture
def store() -> Callable[[Path, Run], str]:
    """Writes a run into a folder of runs as a session would, and returns its id."""
    return stored


#: names of a browser that `tools/fetch_browser.sh` looks for too.
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("QILTEST_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium; a test that asks for it does not run where there is none."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        not_run("the browser tests need `pip install playwright`")
    with sync_playwright() as driver:
        found = CHROMIUM or driver.chromium.executable_path
        if not Path(found).exists():
            not_run("no chromium: `apt-get install chromium`, or name one in QILTEST_CHROMIUM")
        # launch() gives the browser an empty profile of its own, in a temporary folder
        browser = driver.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


def not_run(why: str) -> NoReturn:
    """Skip a test that needs a browser; fail it with QILTEST_BROWSER=require, as CI has it, so that none is lost."""
    if os.environ.get("QILTEST_BROWSER") == "require":
        pytest.fail(f"QILTEST_BROWSER=require, but {why}", pytrace=False)
    pytest.skip(why)


@dataclass
class Opened:
    """A page in a tab, with all that went wrong there."""

    tab: Any
    problems: list[str] = field(default_factory=list)

    def shown(self) -> int:
        return int(self.tab.locator(".cell:visible").count())

    def labels(self) -> list[str]:
        return [str(cell.get_attribute("data-variant")) for cell in self.tab.locator(".cell:visible").all()]


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Opens a file: `open_page(path, width=390, scheme="dark")`."""
    contexts = []

    def opener(path: Path, *, width: int = 1440, scheme: str = "light") -> Opened:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        tab = context.new_page()
        page = Opened(tab=tab)
        tab.on("console", lambda message: page.problems.append(f"console: {message.text}"))
        tab.on("pageerror", lambda error: page.problems.append(f"error: {error}"))
        tab.on("dialog", lambda dialog: (page.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))

        def request(seen: Any) -> None:
            if not seen.url.startswith("data:") and seen.url != path.as_uri():
                page.problems.append(f"request: {seen.url}")

        tab.on("request", request)
        tab.goto(path.as_uri())
        return page

    yield opener
    for context in contexts:
        context.close()


@pytest.fixture
def open_report(open_page: Callable[..., Opened]) -> Callable[..., Opened]:
    """Writes the report of a run and opens it: `open_report(run, previous=None, width=390)`."""

    def opener(run: Run, *, previous: Run | None = None, **look: Any) -> Opened:
        path = run.path / "report.html"
        write_html(run, path, previous=previous)
        return open_page(path, **look)

    return opener


def with_input(run: FakeRun, result: CaseResult, *blocks: str) -> CaseResult:
    """Give an edit's result an input image that reads "SALE 50%", and a map of what else changed."""
    size = result.sample.size
    before = run._store(draw(lines_of(("SALE 50%", "Main Street"), size), size, 3))
    share = sum(row.count("#") for row in blocks) / max(1, sum(map(len, blocks)))
    change = Change(
        version=CHANGE_VERSION, share=share, patch=share, compared=0.9, right=0.01, down=-0.005, scale=1.02,
        colour=0.5, layout=0.9, may_change=(), blocks=blocks,
    )  # fmt: skip
    run.results[run.results.index(result)] = found = replace(result, before=(before,), change=change)
    return found
