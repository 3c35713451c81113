"""`--qil-images FOLDER`: images made elsewhere, judged with the same cases, goldens and gate."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from images_elsewhere import SAMPLES, TEXTS, make, make_all, note
from qiltest.gate.verdict import Verdict

MODEL = "--qil-model=tiny"
COFFEE_BASE, COFFEE_FAST, POSTER_BASE, POSTER_FAST = SAMPLES


@pytest.fixture
def images(suite):
    """The folder of images, with all four of the suite's plan; the plugin itself opens it."""
    path = suite.path / "conftest.py"
    own = '@pytest.fixture(scope="session")\ndef qil_generator('
    assert own in path.read_text()
    path.write_text(path.read_text().replace(own, "def standin_generator("))
    make_all(suite.path / "images", notes=suite.path)
    return suite.path / "images"


def judge(suite, *args):
    return suite.run("--qil-images=images", MODEL, *args)


#: goldens of the four images by what made them: they are recorded once, and copied.
RECORDED: dict[str, dict[str, bytes]] = {}


def record(suite, label="unnamed"):
    root = suite.path / "golden"
    if label not in RECORDED:
        assert judge(suite, "--qil-update=missing", f"--qil-images-from={label}").ret == 0
        RECORDED[label] = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.*")}
        return
    for name, data in RECORDED[label].items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def verdicts(suite):
    return {result.id: result.verdict for result in suite.latest().results}


def assert_says(result, *phrases):
    said = " ".join((result.stdout.str() + result.stderr.str()).split())
    for phrase in phrases:
        assert phrase in said


def list_images(folder, entries):
    (folder / "manifest.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def test_the_same_cases_goldens_and_gate(suite, images):
    record(suite, "comfyui")
    assert {Path(golden).parts[:2] for golden in suite.goldens()} == {("elsewhere", "comfyui")}
    result = judge(suite, "--qil-images-from=comfyui")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*4 images made elsewhere (comfyui), of tiny, in *images", "*not checked: weights, LoRA, scheduler*"]
    )
    run = suite.latest()
    assert (run.model, run.is_tiny) == ("elsewhere/comfyui", True)
    assert {one.verdict for one in run.results} == {Verdict.PASS}
    assert {(one.timing, one.latents, one.told_seconds) for one in run.results} == {(None, None, None)}
    assert {one.latency.verdict for one in run.results} == {Verdict.INCOMPARABLE}
    assert "latency not measured" in run.results[0].latency.reasons[0]
    recipe = run.result(POSTER_FAST).recipe
    assert recipe.elsewhere.file == f"{POSTER_FAST}.png"
    assert "seed" in recipe.elsewhere.not_checked
    make_all(images, notes=suite.path, typos={"Qwen Coffee": "Qwen Cofee"})
    result = judge(suite, "--qil-images-from=comfyui")
    assert result.ret == 1
    assert [name for name, verdict in verdicts(suite).items() if verdict is Verdict.FAIL] == [COFFEE_BASE, COFFEE_FAST]


def test_goldens_of_another_maker_are_not_used(suite, images):
    record(suite, "comfyui")
    assert judge(suite, "--qil-images-from=sdcpp").ret == 1
    assert set(verdicts(suite).values()) == {Verdict.NEW}


def test_a_golden_of_another_model_by_the_same_maker_is_not_compared(suite, images):
    record(suite)
    for golden in suite.path.joinpath("golden").rglob("*.json"):
        golden.write_text(golden.read_text().replace('"model": "tiny"', '"model": "someone/finetune"'))
    result = judge(suite)
    assert result.ret == 1
    assert_says(result, "the golden is of an image of someone/finetune, this one is of tiny: another model")
    assert set(verdicts(suite).values()) == {Verdict.INCOMPARABLE}
    assert judge(suite, "--qil-update=changed").ret == 0
    assert judge(suite).ret == 0


def test_a_missing_image_is_an_error_of_its_sample_and_is_named(suite, images):
    record(suite)
    (images / f"{POSTER_BASE}.png").unlink()
    result = judge(suite)
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"*{POSTER_BASE}: missing: no file {POSTER_BASE}.png", "*-> `qiltest plan` says*"])
    assert verdicts(suite) == dict.fromkeys(SAMPLES, Verdict.PASS) | {POSTER_BASE: Verdict.ERROR}


def test_all_that_is_wrong_with_a_folder_is_told_at_once(suite, images):
    record(suite)
    (images / f"{COFFEE_FAST}.png").write_bytes((images / f"{COFFEE_BASE}.png").read_bytes())
    make(images / f"{POSTER_BASE}.png", *TEXTS["poster"], size=(256, 144), notes=suite.path)
    damaged = (images / f"{POSTER_FAST}.png").read_bytes()
    (images / f"{POSTER_FAST}.png").write_bytes(damaged[: len(damaged) // 2])
    make(images / "preview.png", "a preview", notes=suite.path)
    result = judge(suite)
    assert result.ret == 1
    assert_says(
        result,
        "images: 4 images cannot be judged, 1 file too many:",
        f"{COFFEE_BASE}: the same pixels as {COFFEE_FAST}.png: one image under several samples",
        f"{COFFEE_FAST}: the same pixels as {COFFEE_BASE}.png: one image under several samples",
        f"{POSTER_BASE}: {POSTER_BASE}.png is 256x144, asked was 256x128",
        f"{POSTER_FAST}: {POSTER_FAST}.png cannot be read:",
        "preview.png: no sample of the suite is called 'preview'",
    )
    assert set(verdicts(suite).values()) == {Verdict.ERROR}


def test_a_file_too_many_fails_the_session_although_every_image_passes(suite, images):
    record(suite)
    make(images / "old" / "coffee@1328x1328-gone-s42.png", "an old one", notes=suite.path)
    result = judge(suite)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*0 images cannot be judged, 1 file too many:", "*old/coffee@1328x1328-gone-s42.png:*"]
    )
    assert set(verdicts(suite).values()) == {Verdict.PASS}


def test_two_files_for_one_sample_and_a_link_out_are_errors(suite, images, tmp_path):
    record(suite)
    make(images / f"{COFFEE_BASE}.webp", *TEXTS["coffee"], notes=suite.path, lossless=True)
    outside = tmp_path / "outside.png"
    (images / f"{POSTER_BASE}.png").rename(outside)
    (images / f"{POSTER_BASE}.png").symlink_to(outside)
    result = judge(suite)
    assert result.ret == 1
    assert_says(
        result,
        f"2 files for one sample: {COFFEE_BASE}.png, {COFFEE_BASE}.webp",
        f"{POSTER_BASE}.png is a link out of the folder",
    )
    expected = {COFFEE_BASE: Verdict.ERROR, POSTER_BASE: Verdict.ERROR}
    assert verdicts(suite) == dict.fromkeys(SAMPLES, Verdict.PASS) | expected


def test_what_a_file_tells_otherwise_than_asked_is_an_error(suite, images):
    record(suite)
    settings = "A sign\nNegative prompt: blurry\nSteps: 4, Sampler: Euler, CFG scale: 4, Seed: 7, Size: 256x128"
    make(images / f"{COFFEE_BASE}.png", *TEXTS["coffee"], notes=suite.path, told={"parameters": settings})
    graph = {
        "3": {"class_type": "KSampler", "inputs": {"seed": 42, "steps": 20, "cfg": 1.0, "model": ["1", 0]}},
        "5": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 256, "height": 128}},
    }
    make(images / f"{POSTER_FAST}.png", *TEXTS["poster"], notes=suite.path, told={"prompt": json.dumps(graph)})
    result = judge(suite)
    assert result.ret == 1
    assert_says(
        result,
        f"{COFFEE_BASE}.png: the file tells seed 7 (a1111), asked was 42",
        f"{POSTER_FAST}.png: the file tells steps 20 (comfyui), asked was 2",
    )
    expected = {COFFEE_BASE: Verdict.ERROR, POSTER_FAST: Verdict.ERROR}
    assert verdicts(suite) == dict.fromkeys(SAMPLES, Verdict.PASS) | expected


def test_a_manifest_lists_files_of_any_name_and_what_it_tells_is_kept(suite, images):
    record(suite)
    entries = []
    for number, sample in enumerate(SAMPLES):
        (images / f"{sample}.png").rename(images / f"{number}.png")
        case, _, rest = sample.partition("@")
        size, variant, seed = rest.split("-")
        seconds = {"seconds": 1.5} if number == 0 else {}
        own = {"file": f"{number}.png", "case": case, "size": size, "variant": variant, "seed": int(seed[1:])}
        entries.append({**own, **seconds, "engine": "some engine", "told": {"quantisation": "int4"}})
    list_images(images, entries)
    assert judge(suite).ret == 0
    result = suite.latest().result(COFFEE_BASE)
    assert result.told_seconds == 1.5
    assert "its manifest tells 1.5" in result.latency.reasons[0]
    assert dict(result.recipe.elsewhere.told) == {
        "manifest.engine": "some engine",
        "manifest.quantisation": "int4",
        "manifest.seed": 42,
    }
    (images / "manifest.jsonl").unlink()
    with (images / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "sample", "seconds", "told.quantisation"))
        writer.writerows((f"{number}.png", sample, "2.5", "int4") for number, sample in enumerate(SAMPLES))
    result = judge(suite)
    assert result.ret == 0
    assert_says(result, "PASS ✓ 0/18 11 not checked")
    assert_says(result, "told 2.5s")
    run = suite.latest()
    assert {one.told_seconds for one in run.results} == {2.5}
    (images / "manifest.csv").write_text((images / "manifest.csv").read_text().replace("2.5,int4", "3.5,int8"))
    assert judge(suite, "--qil-reuse").ret == 0
    reused = suite.latest().results
    assert {(one.told_seconds, bool(one.reused_from)) for one in reused} == {(3.5, True)}
    assert {dict(one.recipe.elsewhere.told)["manifest.quantisation"] for one in reused} == {"int8"}
    assert "latency, as told" in (run.path / "report.html").read_text(encoding="utf-8")
    assert "told 2.5" in (run.path / "report.md").read_text(encoding="utf-8")


def test_a_manifest_with_mistakes_ends_the_session_and_names_all(suite, images):
    list_images(
        images,
        [
            {"file": "../outside.png", "sample": COFFEE_BASE},
            {"file": "a.png", "sample": COFFEE_BASE, "sed": 42},
            {"file": "b.png", "case": "coffee", "seed": -1},
        ],
    )
    result = judge(suite)
    assert result.ret != 0
    assert_says(
        result,
        'line 1: file "../outside.png": write its path inside the folder',
        'line 2: unknown key "sed" (did you mean "seed"?)',
        "line 3: seed: -1 is not allowed",
    )
    assert suite.refusal()


def test_a_sample_that_a_manifest_leaves_out_is_missing_although_its_file_is_there(suite, images):
    record(suite)
    list_images(images, [{"file": f"{sample}.png", "sample": sample} for sample in SAMPLES[1:]])
    result = judge(suite)
    assert result.ret == 1
    assert_says(
        result,
        f"{COFFEE_BASE}: missing: no file {COFFEE_BASE}.png",
        f"{COFFEE_BASE}.png: not in the manifest",
    )


def test_a_folder_that_is_not_there_ends_the_session(suite, images):
    result = suite.run("--qil-images=imagse", MODEL)
    assert result.ret != 0
    assert_says(result, "imagse: no such folder of images")


def test_a_conftest_that_generates_in_place_of_the_images_is_refused(suite):
    make_all(suite.path / "images", notes=suite.path)
    result = judge(suite)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert_says(result, "replaces the fixture qil_generator")
    assert suite.generated() == []


def test_a_blank_image_made_elsewhere_is_an_error(suite, images):
    record(suite)
    Image.new("RGB", (256, 128), "grey").save(images / f"{COFFEE_BASE}.png")
    result = judge(suite)
    assert result.ret == 1
    assert_says(result, "the image is blank")
    assert verdicts(suite)[COFFEE_BASE] is Verdict.ERROR


def test_white_text_on_transparency_is_said_to_be_white_on_white(suite, images):
    record(suite)
    Image.new("RGBA", (256, 128), (255, 255, 255, 0)).save(images / f"{COFFEE_BASE}.png")
    result = judge(suite)
    assert result.ret == 1
    assert_says(
        result,
        "the image is blank: its standard deviation is 0.00 of 255; it is transparent in places, which are laid on "
        "white: white text there cannot be seen",
    )
    image = Image.new("RGBA", (256, 128), (255, 255, 255, 0))
    image.paste((0, 0, 0, 255), (0, 0, 20, 20))
    image.save(images / f"{COFFEE_BASE}.png")
    note(images / f"{COFFEE_BASE}.png", [], suite.path)
    result = judge(suite)
    assert result.ret == 1
    assert_says(result, "returned no text; it is transparent in places, which are laid on white: white text there")


@pytest.mark.parametrize(
    "options",
    [
        ("-m", "gpu"),
        ("--qil-rounds=2",),
        ("--qil-lora=x.safetensors", "--qil-like=fast"),
        ("--qil-images-from=a/b",),
    ],
)
def test_options_of_generating_are_refused(suite, images, options):
    result = judge(suite, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert_says(result, "--qil-images")


def test_a_label_without_a_folder_is_refused(suite, images):
    result = suite.run("--qil-images-from=comfyui")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert_says(result, "give both, or neither")


def test_images_that_are_not_selected_are_counted_and_not_judged(suite, images):
    record(suite)
    result = judge(suite, "--qil-case=coffee")
    assert result.ret == 0
    assert_says(result, "2 images of the folder not selected")
    assert sorted(verdicts(suite)) == [COFFEE_BASE, COFFEE_FAST]


def test_one_image_under_two_samples_does_not_pass_where_the_second_is_not_selected(suite, images):
    record(suite)
    (images / f"{COFFEE_FAST}.png").write_bytes((images / f"{COFFEE_BASE}.png").read_bytes())
    result = judge(suite, "--qil-case=coffee", "--qil-variant=base")
    assert result.ret == 1
    assert_says(result, f"{COFFEE_BASE}: the same file as {COFFEE_FAST}.png, which is not selected")
    assert set(verdicts(suite).values()) == {Verdict.ERROR}


def test_a_stored_run_is_verified_and_read_again_without_the_folder(suite, images, monkeypatch, capsys):
    from qiltest.cli.main import main

    record(suite)
    assert judge(suite, "--junitxml=junit.xml").ret == 0
    for file in images.iterdir():
        file.unlink()
    monkeypatch.chdir(suite.path)
    assert main(["verify", "latest"]) == 0
    capsys.readouterr()
    assert main(["report", "latest", "--format", "json", "--output", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [image["latency"] for image in told["images"]] == [None] * 4
    assert "qiltest.denoise_seconds" not in (suite.path / "junit.xml").read_text()


def test_images_of_several_frames_are_judged_by_their_first_and_named(suite, images):
    record(suite)
    path = images / f"{COFFEE_BASE}.png"
    with Image.open(path) as opened:
        first = opened.convert("RGB")
    path.unlink()
    first.save(path.with_suffix(".webp"), lossless=True, save_all=True, append_images=[Image.new("RGB", first.size)])
    result = judge(suite)
    assert result.ret == 0
    assert_says(result, f"1 image has several frames, of which the first is judged: {COFFEE_BASE}.webp")


def test_images_that_are_transparent_in_places_are_judged_on_white_and_named(suite, images):
    record(suite)
    path = images / f"{COFFEE_BASE}.png"
    with Image.open(path) as opened:
        seen = opened.convert("RGBA")
    seen.putpixel((0, 0), (0, 0, 0, 0))
    seen.save(path)
    result = judge(suite)
    assert result.ret == 0
    assert_says(result, f"1 image has transparent places, which are judged on white: {COFFEE_BASE}.png")


def test_images_of_one_variant_that_tell_of_several_models_are_named(suite, images):
    entries = [{"file": f"{name}.png", "sample": name, "model": "q8" if "base" in name else "q4"} for name in SAMPLES]
    list_images(images, entries)
    assert "models (" not in " ".join((judge(suite).stdout.str()).split())
    entries[0]["model"] = "q2"
    list_images(images, entries)
    assert_says(judge(suite), "images of base tell of 2 models (q2, q8): give each a label, --qil-images-from")
