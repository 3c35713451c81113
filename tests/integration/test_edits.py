"""Edit cases in whole sessions: texts wanted, kept and removed, what else changed, rounds, inputs that are missing."""

import hashlib
import io
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

import apart
import builders
from qiltest.cli.main import main
from qiltest.engine.rescore import rescore
from qiltest.gate import GoldenStore, Verdict
from qiltest.reading.records import Line, Reading
from qiltest.runs import RunStore

sys.path.insert(0, str(Path(__file__).parents[1]))
from generation import stand_in_edit

CASE = """
id = "sign"
task = "edit"
title = "A sign is written anew"
language = "en"
prompt = "Replace SALE with OPEN."
removed = ["SALE 50%"]
{rounds}

[[inputs]]
file = "inputs/sign.png"
{more}

[[texts]]
text = "OPEN"

[[texts]]
text = "Main Street"
kept = true

[[resolutions]]
size = "1328x1328"
tiny = "256x128"
"""
SAMPLE = "sign@1328x1328-fast-s42"
FAST = ("--qil-case=sign", "--qil-variant=fast")


def sign(path: Path, *texts: str) -> str:
    """A picture of a street with texts, which notes what stands where; returns its SHA-256."""
    image = Image.effect_noise((256, 128), 60).convert("RGB").resize((32, 16)).resize((256, 128))
    pen, font, lines = ImageDraw.Draw(image), ImageFont.load_default(12), []
    for row, text in enumerate(texts):
        box = pen.textbbox((100, 20 + 50 * row), text, font=font)
        pen.rectangle((box[0] - 2, box[1] - 2, box[2] + 2, box[3] + 2), fill="white")
        pen.text((100, 20 + 50 * row), text, fill="black", font=font)
        lines.append({"text": text, "box": box})
    note, out = PngInfo(), io.BytesIO()
    note.add_itxt("lines", json.dumps(lines))
    image.save(out, "PNG", pnginfo=note)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out.getvalue())
    return hashlib.sha256(out.getvalue()).hexdigest()


@pytest.fixture
def street(suite, monkeypatch):
    """A suite with an edit case, whose input is there."""
    write(suite)
    sign(suite.path / "cases" / "edit" / "inputs" / "sign.png", "SALE 50%", "Main Street")
    monkeypatch.chdir(suite.path)
    return suite


def write(suite, *, rounds="", more=""):
    folder = suite.path / "cases" / "edit"
    folder.mkdir(exist_ok=True)
    (folder / "sign.toml").write_text(CASE.format(rounds=rounds, more=more))


def only(suite, sample=SAMPLE):
    return suite.latest().result(sample)


def test_edit_cases_are_left_out_with_a_word_unless_the_model_edits_or_one_is_named(street):
    result = street.run("--collect-only", "-q")
    result.stdout.fnmatch_lines(
        ["qiltest: 1 edit case left out: tiny does text-to-image; choose a model that does edit"]
    )
    assert not any("sign" in line for line in result.outlines if line.startswith("test_"))
    named = street.run("--collect-only", "-q", "--qil-case=sign")
    assert sum("sign@1328x1328" in line for line in named.outlines) == 2
    assert not any("left out" in line for line in named.outlines)


def test_an_edit_that_did_what_was_asked_is_new_and_then_passes(street):
    street.run(*FAST, "--qil-update=missing").assert_outcomes(passed=1)
    golden = json.loads((street.path / "golden/tiny/sign@1328x1328/fast-s42.json").read_text())
    assert golden["gone"] == [{"expected": "SALE 50%", "read": "", "distance": 0}]
    assert golden["change"] == {"version": 1, "share": 0.0, "patch": 0.0}
    assert "round" not in golden
    street.run(*FAST, "--qil-reuse").assert_outcomes(passed=1)
    result = only(street)
    assert (result.verdict, result.score.distance, result.change.share) == (Verdict.PASS, 0, 0.0)
    assert result.before[0].path.is_file()


def test_an_ignored_instruction_fails_by_the_text_that_is_not_gone(street):
    street.run(*FAST, "--qil-update=missing")
    street.plan(sign__fast={"ignore": True})
    result = street.run(*FAST)
    result.assert_outcomes(failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "must be gone  SALE 50%",
            "still read    SALE 50%   distance 6",
            "expected      OPEN",
            "read          (not found)*",
        ]
    )
    found = only(street)
    assert found.score.distance == 4 + 6
    assert "text that must be gone 'SALE 50%': 6 new errors: 'SALE 50%' is still read" in found.judgement.reasons


def test_a_right_text_on_another_image_is_a_collapse_that_no_golden_accepts(street):
    street.plan(sign__fast={"scene": 3})
    result = street.run(*FAST, "--qil-update=all")
    result.assert_outcomes(failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["FAIL          collapse: *% of the rest of the image changed*", "accept        not possible: collapse*"]
    )
    assert street.goldens() == []
    assert only(street).score.distance == 0


def test_a_text_that_must_stay_and_is_written_otherwise_fails(street):
    street.run(*FAST, "--qil-update=missing")
    street.plan(sign__fast={"typos": {"Main Street": "Maim Street"}})
    result = street.run(*FAST)
    result.stdout.fnmatch_lines(["must stay     Main Street", "read          Mai[[]-n-[]]{+m+} Street   distance 1*"])
    assert only(street).score.texts[1].kept


def test_a_missing_input_is_an_error_that_says_how_to_get_it(street):
    image = street.path / "cases/edit/inputs/sign.png"
    sha256 = hashlib.sha256(image.read_bytes()).hexdigest()
    write(street, more=f'sha256 = "{sha256}"\nget = "https://example.org/sign.png"')
    image.unlink()
    result = street.run(*FAST)
    result.assert_outcomes(failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*the input image inputs/sign.png of sign is not here",
            "*curl *--output*sign.png https://example.org/sign.png",
        ]
    )
    assert only(street).verdict is Verdict.ERROR


def test_another_file_than_the_case_names_is_an_error(street):
    write(street, more=f'sha256 = "{"0" * 64}"')
    result = street.run(*FAST)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*the input image has the SHA-256 *, the case names 000*"])


def test_an_input_that_does_not_show_what_the_case_says_is_an_error(street):
    sign(street.path / "cases/edit/inputs/sign.png", "CLOSED", "Main Street")
    result = street.run(*FAST)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*the input image does not show what is asked: 'SALE 50%' is to be removed*"])
    assert only(street).verdict is Verdict.ERROR


def test_each_round_takes_the_one_before_and_is_judged_by_itself(street):
    write(street, rounds="rounds = 3")
    street.run(*FAST, "--qil-update=missing").assert_outcomes(passed=3)
    assert street.goldens() == [f"tiny/sign@1328x1328/fast-s42{end}.json" for end in ("-r2", "-r3", "")]
    run = street.latest()
    first, second, third = (run.result(f"{SAMPLE}{end}") for end in ("", "-r2", "-r3"))
    assert second.recipe.inputs[0].sha256 == first.image.sha256
    assert third.recipe.inputs[0].sha256 == second.image.sha256
    assert {result.before[0].sha256 for result in (first, second, third)} == {first.recipe.inputs[0].sha256}
    street.run(*FAST).assert_outcomes(passed=3)


def test_a_later_round_alone_says_that_the_one_before_is_missing(street):
    write(street, rounds="rounds = 2")
    result = street.run(*FAST, "-k", "r2")
    result.assert_outcomes(failed=1, deselected=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*round 1 of this edit is not part of the session*"])


def test_the_input_may_be_the_image_of_a_sample(street):
    case = street.path / "cases/edit/sign.toml"
    text = case.read_text().replace('file = "inputs/sign.png"', 'case = "coffee"\nvariant = "fast"\nseed = 42')
    case.write_text(text.replace("SALE 50%", "2 dollars").replace("Main Street", "Qwen Coffee"))
    street.run("--qil-case=coffee", "--qil-variant=fast", "--qil-update=missing").assert_outcomes(passed=1)
    image = street.latest().results[0].image
    street.run(*FAST, "--qil-update=missing").assert_outcomes(passed=1)
    result = only(street)
    assert (result.recipe.inputs[0].sha256, result.before[0].sha256) == (image.sha256, image.sha256)
    assert [gone.distance for gone in result.score.gone] == [0]


def reader_of(run):
    """A reader that returns what the stand-in noted in each image."""

    class Noted:
        info = run.reader

        def read(self, image):
            with Image.open(image if isinstance(image, Path) else io.BytesIO(image)) as opened:
                noted, (width, height) = json.loads(opened.text["lines"]), opened.size
            lines = []
            for each in noted:
                left, top, right, bottom = map(float, each["box"])
                box = ((left, top), (right, top), (right, bottom), (left, bottom))
                lines.append(Line(text=each["text"], box=box, confidence=0.99))
            return Reading(reader=self.info, width=width, height=height, lines=tuple(lines), seconds=0.001)

    return Noted()


def test_a_stored_run_is_scored_again_without_the_files_of_the_case(street):
    street.run(*FAST, "--qil-update=missing")
    street.plan(sign__fast={"ignore": True})
    street.run(*FAST)
    run = street.latest()
    shutil.rmtree(street.path / "cases/edit")
    store, goldens = RunStore(root=street.path / "runs"), GoldenStore(root=street.path / "golden")
    found = rescore(run, store=store, goldens=goldens, opener=lambda _: reader_of(run))
    before, again = run.result(SAMPLE), found.after.result(SAMPLE)
    assert (again.change, again.score, again.verdict) == (before.change, before.score, Verdict.FAIL)
    assert again.before[0].path.parent.parent == found.after.path


def test_a_run_of_edits_verifies_and_its_input_is_part_of_it(street, capsys):
    street.run(*FAST, "--qil-update=missing")
    street.run(*FAST)
    assert main(["verify", "latest"]) == 0
    path = only(street).before[0].path
    path.write_bytes(b"another")
    assert main(["verify", "latest"]) == 1
    assert "bytes have another SHA-256" in capsys.readouterr().out


def test_the_report_shows_before_after_and_wanted(street):
    street.run(*FAST, "--qil-update=missing")
    street.plan(sign__fast={"ignore": True})
    street.run(*FAST)
    page = (street.latest().path / "report.html").read_text()
    assert 'class="input"' in page
    assert "Wipe: input / output" in page
    assert "must be gone: “<bdi" in page
    markdown = (street.latest().path / "report.md").read_text()
    assert "must be gone: “SALE 50%”, still read as “SALE 50%”" in markdown
    assert markdown.count("<img src") == 2


def test_a_variant_that_changes_the_rest_is_found_worse_although_its_texts_are_right(street, capsys):
    street.plan(sign__fast={"patch": True})
    street.run("--qil-case=sign", "--qil-seeds=12")
    assert main(["compare", "latest", "--variant", "base", "--with", "fast", "--report", "page.html"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "DO NOT SHIP rest of the image: 12 images lost it and 0 gained it, p = " in out
    assert "wanted texts: right in both 12, lost 0, gained 0, in neither 0" in out
    assert "texts that must be gone: right in both 12" in out
    assert "Rest of the image: right in both 0, lost 12" in (street.path / "page.html").read_text()


def test_an_image_that_collapsed_is_not_shipped_however_few_there_are(street, capsys):
    street.plan(sign__fast={"scene": 3})
    street.run("--qil-case=sign")
    assert main(["compare", "latest", "--variant", "base", "--with", "fast"]) == 1
    assert "DO NOT SHIP 1 of 1 image lost identity or layout" in " ".join(capsys.readouterr().out.split())


def edited(path, target, text):
    """What an edit makes of a picture: another first text, and the rest as it was; returns the lines of it."""
    with Image.open(path) as opened:
        lines, image = json.loads(opened.text["lines"]), opened.convert("RGB")
    left, top, right, bottom = lines[0]["box"]
    pen = ImageDraw.Draw(image)
    pen.rectangle((left, top, right, bottom), fill="white")
    pen.text((left, top - 3), text, fill="black", font=ImageFont.load_default(12))
    made = [{"text": text, "box": lines[0]["box"]}, *lines[1:]]
    note = PngInfo()
    note.add_itxt("lines", json.dumps(made))
    image.save(target, pnginfo=note)
    return hashlib.sha256(image.tobytes()).hexdigest(), made


def test_edits_that_were_made_elsewhere_are_judged_by_name(street):
    write(street, rounds="rounds = 2")
    folder = street.path / "made"
    folder.mkdir()
    given = street.path / "cases/edit/inputs/sign.png"
    texts = {"": "OPEN", "-r2": "OPEN!"}
    lines = dict(edited(given, folder / f"{SAMPLE}{end}.png", text) for end, text in texts.items())
    (street.path / "lines.json").write_text(json.dumps(lines))
    conftest = street.path / "conftest.py"  # the plugin itself opens the folder
    own = '@pytest.fixture(scope="session")\ndef qil_generator('
    conftest.write_text(conftest.read_text().replace(own, "def standin_generator("))
    street.run(*FAST, "--qil-images=made", "--qil-model=tiny", "--qil-update=missing").assert_outcomes(passed=2)
    second = only(street, f"{SAMPLE}-r2")
    assert (second.score.distance, second.score.gone[0].distance, second.change.share) == (1, 0, 0)


def test_a_plan_says_where_the_input_images_come_from(street, capsys):
    write(street, rounds="rounds = 2", more=f'sha256 = "{"a" * 64}"\nget = "https://example.org/sign.png"')
    options = ["plan", "--cases", "cases", "--case", "sign", "--variant", "fast"]
    assert main([*options, "--model", "tiny"]) == 2
    assert "case sign: it has 1 input image, and the model generates from text alone" in capsys.readouterr().err
    assert main([*options, "--model", "random/qwen-image-edit-plus"]) == 0
    first, second = json.loads(capsys.readouterr().out)["images"]
    assert first["inputs"] == [{"file": "inputs/sign.png", "sha256": "a" * 64, "get": "https://example.org/sign.png"}]
    assert second["inputs"] == [{"sample": SAMPLE}]


@pytest.fixture
def score(street, capsys, monkeypatch):
    """Score an image as the stand-in noted it; returns the exit code and what was printed."""
    info = builders.FAKE
    monkeypatch.setattr("qiltest.cli.score.open_reader", lambda _: reader_of(SimpleNamespace(reader=info)))

    def run(*args):
        code = main(["score", "output.png", *args])
        return code, " ".join(capsys.readouterr().out.split())

    return run


def test_one_edit_is_scored_against_its_input(street, score):
    given = "cases/edit/inputs/sign.png"
    edited(street.path / given, street.path / "output.png", "OPEN")
    code, said = score("--case=sign")
    assert (code, "rest of the image: 0 % changed" in said, "PASS: distance 0, limit 0" in said) == (0, True, True)
    assert score("--expect", "OPEN", "Main Street", "--removed", "SALE 50%", "--input", given)[0] == 0
    shutil.copy(street.path / given, street.path / "output.png")
    code, said = score("--case=sign")
    assert code == 1
    assert "not gone: 'SALE 50%', read as 'SALE 50%', distance 6" in said
    code, said = score("--case=sign", "--json")
    record = json.loads(said)
    assert (record["removed"][0]["distance"], record["rest"]["share"]) == (6, 0.0)


def test_a_score_without_the_input_says_what_was_not_compared(street, score, capsys):
    edited(street.path / "cases/edit/inputs/sign.png", street.path / "output.png", "OPEN")
    assert "rest of the image: not compared" in score("--expect", "OPEN", "--removed", "SALE 50%")[1]
    shutil.rmtree(street.path / "cases/edit/inputs")
    assert main(["score", "output.png", "--case=sign"]) == 2
    assert "or name it: --input IMAGE" in capsys.readouterr().err
    assert main(["score", "output.png", "--case=coffee", "--input", "output.png"]) == 2
    assert "coffee is no edit case" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--removed", ""), '--removed: "" has no letter or digit'),
        (("--removed", "SALE 50%", "--removed=!!!"), '--removed: "!!!" has no letter or digit'),
        (("--removed", "open"), '--removed: "open" is also expected, "OPEN"'),
        (("--removed", "SALE", "sale"), '--removed: "sale" duplicates removed[0]'),
        (("--optional", "Z"), '--optional: "Z" is in none of the texts'),
        (("--optional", "OPEN"), '--expect: "OPEN" has only white space, optional marks'),
        (("--expect", " "), '--expect: " " has only white space'),
    ],
)
def test_texts_that_no_case_could_have_are_refused_before_anything_is_read(street, capsys, options, message):
    assert main(["score", "output.png", "--expect", "OPEN", *options]) == 2
    assert message in capsys.readouterr().err


def test_a_removed_text_that_stands_in_a_kept_one_alone_is_said_to(street, tmp_path):
    write(street)
    case = street.path / "cases/edit/sign.toml"
    case.write_text(case.read_text().replace('removed = ["SALE 50%"]', 'removed = ["Main"]'))
    street.run(*FAST)
    assert "'Main' is to be removed, and was read in 'Main Street' alone, which is to stay" in only(street).error


@pytest.mark.parametrize("fault", ["transparent", "several frames", "another format"])
def test_a_score_refuses_the_inputs_that_a_session_refuses(street, score, capsys, fault):
    edited(street.path / "cases/edit/inputs/sign.png", street.path / "output.png", "OPEN")
    with Image.open(street.path / "cases/edit/inputs/sign.png") as opened:
        image = opened.convert("RGB")
    given = street.path / ("given.gif" if fault == "another format" else "given.webp")
    more = {"save_all": True, "append_images": [Image.new("RGB", image.size)]} if fault == "several frames" else {}
    if fault == "transparent":
        image.putalpha(100)
    image.save(given, lossless=True, **more)
    for asked in (("--case=sign",), ("--expect", "OPEN", "--removed", "SALE 50%")):
        assert main(["score", "output.png", *asked, "--input", str(given)]) == 2
        assert fault in capsys.readouterr().err
    shutil.copy(given, street.path / "cases/edit/inputs/sign.png")
    assert main(["score", "output.png", "--case=sign"]) == 2
    assert fault in capsys.readouterr().err
    street.run(*FAST).assert_outcomes(failed=1)
    assert fault in only(street).error


def test_of_an_animated_image_it_is_said_that_its_first_frame_is_scored(street, score, capsys):
    edited(street.path / "cases/edit/inputs/sign.png", street.path / "output.png", "OPEN")
    with Image.open(street.path / "output.png") as opened:
        note = PngInfo()
        note.add_itxt("lines", opened.text["lines"])
        frame = opened.convert("RGB")
    frame.save(street.path / "output.png", pnginfo=note, save_all=True, append_images=[Image.new("RGB", frame.size)])
    assert main(["score", "output.png", "--case=sign"]) == 0
    assert "output.png has several frames (an animation, or pages): the first one is read" in capsys.readouterr().err


EDITING = """
[plain]
title = "Plain"
steps = 2
true_cfg_scale = 1.0
scheduler = "model"
"""


@pytest.mark.slow
def test_a_session_on_an_editing_model_takes_the_edit_cases_alone_and_its_rounds_follow_each_other(street, tmp_path):
    model = stand_in_edit.build(tmp_path / "stand-in-edit", "QwenImageEditPlusPipeline")
    street.pytester.makeconftest("")
    (street.path / "cases" / "variants.toml").write_text(EDITING)
    write(street, rounds="rounds = 2")
    case = street.path / "cases/edit/sign.toml"
    case.write_text(case.read_text().replace('size = "1328x1328"', 'size = "64x64"'))
    result = street.run_apart(f"--qil-model={model}", "--qil-device=cpu", loads=apart.MODEL)
    result.stdout.fnmatch_lines(["qiltest: 2 text-to-image cases left out: * does edit; --qil-model=* generates them"])
    first, second = street.latest().results  # random weights write nothing, which is an error of each
    assert [one.id for one in (first, second)] == ["sign@64x64-plain-s42", "sign@64x64-plain-s42-r2"]
    assert second.recipe.inputs[0].sha256 == first.image.sha256
    assert first.before[0].sha256 == second.before[0].sha256 == first.recipe.inputs[0].sha256
