"""`--qil-lora FILE --qil-like VARIANT`: may this LoRA file ship?"""

import json
import re
import shutil
import struct

import pytest
import scipy.stats
from safetensors.torch import load_file, save_file

import qiltest.report.comparison.page
from qiltest.generation.sources import EMBEDDED

#: loaded once and not by each inner session, see conftest.py.
LOADED = (scipy.stats, qiltest.report.comparison.page)
RELEASED = EMBEDDED / "loras" / "4step.safetensors"
TYPO = {"typos": {"Qwen Coffee": "Qwen Cofee", "Imagination Unleashed": "Imagination Unleashd"}}
SEEDS = "--qil-seeds=10"


@pytest.fixture
def lora(suite):
    """A suite whose `fast` is the embedded 4-step LoRA, and a new file that is to replace it."""
    path = suite.path / "cases" / "variants.toml"
    path.write_text(path.read_text().replace("embedded::fast", "embedded::4step"))
    new = suite.path / "new.safetensors"
    data = bytearray(RELEASED.read_bytes())
    data[-1] ^= 1  # the same file needs no image
    new.write_bytes(data)
    return new


def edit(path, change):
    """Change the header of a safetensors file."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = change(json.loads(data[8 : 8 + size]))
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])


def check(suite, *args):
    return suite.run("--qil-lora=new.safetensors", "--qil-like=fast", *args)


def test_a_release_that_is_not_worse_ships(suite, lora):
    result = check(suite, SEEDS)
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=40)
    result.stdout.fnmatch_lines(
        [
            "qiltest: comparison */comparison.html",
            "fast -> new.safetensors*",
            "Holm-corrected over 1 variant and 2 cases*",
            "SHIP: no worse (within the margin of 1 edit per 100 characters): new.safetensors (SHA-256 *) in place of "
            "fast; 2 of 2 cases, 1 size, 10 seeds (42 to 51), 20 images a side, model tiny, *",
        ]
    )
    run = suite.latest()
    assert {sample.variant for sample in run.planned} == {"fast", "candidate"}
    assert run.exit_status == 0
    assert "SHIP" in (run.path / "comparison.html").read_text()
    assert suite.goldens() == []


def test_the_file_that_the_variant_already_uses_ships_at_once(suite, lora):
    shutil.copy(RELEASED, lora)
    result = check(suite, SEEDS)
    assert result.ret == pytest.ExitCode.OK
    assert f"SHIP: {lora}: this is the file that fast already uses; nothing was generated" in result.stdout.str()
    assert suite.generated() == []
    assert not (suite.path / "runs").exists()


def test_a_worse_release_does_not_ship_although_every_test_passes(suite, lora):
    suite.plan(coffee__candidate=TYPO, poster__candidate=TYPO)
    result = check(suite, "--qil-seeds=4")
    result.assert_outcomes(passed=16)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["DO NOT SHIP   exact text: 8 images lost it*", "DO NOT SHIP: worse: new.*"])
    assert suite.latest().exit_status == 1


def test_too_few_images_cannot_tell_and_say_how_many_would(suite, lora):
    suite.plan(coffee__candidate=TYPO)
    result = check(suite)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["with 1 seed; about * should be enough*", "CANNOT TELL: not enough *"])


@pytest.mark.slow
def test_the_margin_decides_what_is_not_worse(suite, lora):
    suite.plan(coffee__candidate=TYPO)
    assert check(suite, "--qil-seeds=3", "--qil-margin=0.9", "--qil-case=poster").ret == 1
    result = check(suite, "--qil-seeds=8", "--qil-margin=0.5", "--qil-case=poster")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*margin 50.00 edits per 100 characters*"])


def test_what_is_replaced_comes_from_the_store_and_only_the_file_is_drawn(suite, lora):
    suite.run("--qil-variant=fast", "--qil-update=missing")
    assert len(suite.generated()) == 2
    check(suite)
    assert suite.generated() == ["coffee candidate 42", "poster candidate 42"]
    check(suite)
    assert suite.generated() == []
    check(suite, "--qil-fresh")
    assert len(suite.generated()) == 4


def test_goldens_are_not_asked(suite, lora):
    suite.run("--qil-variant=fast", "--qil-update=missing")
    suite.plan(coffee__fast=TYPO, weights="another machine")
    check(suite).assert_outcomes(passed=4)


def test_an_image_that_cannot_be_made_keeps_the_release_back(suite, lora):
    suite.plan(poster__candidate={"fault": "nan"})
    result = check(suite, SEEDS)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=30, failed=10)
    result.stdout.fnmatch_lines(
        ["ERROR poster@1328x1328-s42: after: *the image holds NaN -> use bfloat16", "ERROR: an image to be *"]
    )


@pytest.mark.slow
def test_a_stopped_session_has_no_verdict_to_ship(suite, lora):
    suite.plan(poster__fast={"fault": "interrupt"})
    result = suite.run_apart("--qil-lora=new.safetensors", "--qil-like=fast")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["MISSING poster@1328x1328-s42: before: planned, but not generated", "MISSING: *"])


def renamed(header):
    return {name.replace("transformer_blocks.0.", "transformer_blocks.77."): value for name, value in header.items()}


def as_lokr(header):
    return {name.replace(".lora_down.weight", ".lokr_w1"): value for name, value in header.items()}


def without_a_block(header):
    return {name: value for name, value in header.items() if not name.startswith("transformer_blocks.1.")}


def of_a_wider_base(header):
    """The same bytes as factors of half the rank for modules of twice the width."""
    made = {}
    for name, value in header.items():
        shape = value.get("shape", [])
        if len(shape) == 2:
            rows, columns = shape
            down = ".lora_down." in name
            value = {**value, "shape": [rows // 2, columns * 2] if down else [rows * 2, columns // 2]}
        made[name] = value
    return made


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (renamed, "keys with no match in tiny: *transformer_blocks.77.*"),
        (of_a_wider_base, "modules with another shape than in tiny: *"),
        (as_lokr, "a LoKr (Kronecker products), such as *"),
        (without_a_block, "tensor '*' starts at byte * where * was expected"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_before_anything_is_drawn(suite, lora, change, said):
    edit(lora, change)
    refused(suite, said)


def test_a_file_of_nothing_but_zeros_is_refused(suite, lora):
    data = lora.read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    lora.write_bytes(data[:size] + bytes(len(data) - size))
    refused(suite, "no effect: the delta of every module is zero")


def test_a_file_that_is_zero_in_some_blocks_is_refused(suite, lora):
    data = bytearray(lora.read_bytes())
    size = int.from_bytes(data[:8], "little")
    for name, value in json.loads(data[8 : 8 + size]).items():
        if name.startswith(("transformer_blocks.0.", "transformer_blocks.1.")) and ".lora_up." in name:
            start, end = (8 + size + offset for offset in value["data_offsets"])
            data[start:end] = bytes(end - start)
    lora.write_bytes(bytes(data))
    said = refused(suite, "2 of 8 blocks without effect (0-1), unlike the others: *")
    assert "  -> --allow-partial-lora (pytest: --qil-allow-partial-lora) generates with it all the same" in said
    result = check(suite, "--qil-allow-partial-lora")
    result.stdout.fnmatch_lines([f"note: {lora}: 2 of 8 blocks without effect (0-1), unlike the others: *"])
    assert len(suite.generated()) == 4


def test_a_file_of_another_strength_than_its_rank_means_is_refused(suite, lora):
    data = bytearray(lora.read_bytes())
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    for name, value in header.items():
        if name.endswith(".alpha"):
            start, end = (8 + size + offset for offset in value["data_offsets"])
            data[start:end] = struct.pack("<f", 64.0)
    lora.write_bytes(bytes(data))
    said = refused(suite, "the delta is 8 times as strong as that of *4step.safetensors (alpha / rank 8 here, 1 there)")
    assert "new.safetensors --base tiny --like fast` shows the whole inspection" in said


@pytest.mark.parametrize("factor", [2.2, 0.4])
def test_a_file_of_another_strength_is_noted_and_images_decide(suite, lora, factor):
    tensors = load_file(RELEASED)
    save_file({key: value * factor if "lora_up" in key else value for key, value in tensors.items()}, lora)
    result = check(suite)
    result.stdout.fnmatch_lines([f"note: {lora}: the delta is {factor:g} times as strong as that of *"])
    assert len(suite.generated()) == 4


def test_a_file_of_fewer_modules_is_noted_and_images_decide(suite, lora):
    tensors = load_file(RELEASED)
    save_file({key: value for key, value in tensors.items() if "mlp.net.0.proj" not in key}, lora)
    result = check(suite)
    result.stdout.fnmatch_lines([f"note: {lora}: 16 modules of *4step.safetensors not covered by the file"])
    assert len(suite.generated()) == 4


def test_a_file_with_its_sign_turned_is_refused(suite, lora):
    tensors = load_file(RELEASED)
    save_file({key: -value if "lora_up" in key else value for key, value in tensors.items()}, lora)
    refused(suite, "with its sign turned (cosine -1.000): it undoes what that release does")


def test_a_file_of_nan_is_refused(suite, lora):
    data = lora.read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    lora.write_bytes(data[:size] + b"\xff" * (len(data) - size))
    refused(suite, "* tensors with NaN or infinite values*")


def test_a_truncated_file_is_refused(suite, lora):
    lora.write_bytes(lora.read_bytes()[:5000])
    assert "new.safetensors --base tiny` shows the whole inspection" in refused(suite, "truncated: *")


def test_the_file_of_another_variant_is_refused(suite, lora):
    path = suite.path / "cases" / "variants.toml"
    more = path.read_text() + path.read_text()[path.read_text().index("[fast]") : path.read_text().index("[spare]")]
    first, _, second = more.rpartition("[fast]")
    second = second.replace("[fast.loras]", "[slow.loras]").replace("steps = 2", "steps = 8")
    path.write_text(first + "[slow]" + second.replace("embedded::4step", "embedded::8step"))
    shutil.copy(RELEASED.with_name("8step.safetensors"), lora)
    refused(suite, "this is the file of variant slow, which takes 8 steps; fast takes 2")


def refused(suite, said):
    result = check(suite)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    text = result.stdout.str() + result.stderr.str()
    assert "new.safetensors cannot replace fast; nothing was generated" in text
    assert re.search(f"  ERROR  .*{re.escape(said).replace(re.escape('*'), '.*')}", text)
    assert "shows the whole inspection" in text
    assert suite.generated() == []
    assert "new.safetensors cannot replace fast; nothing was generated" in suite.refusal()
    return text


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--qil-lora=new.safetensors",), "give both"),
        (("--qil-like=fast",), "give both"),
        (("--qil-margin=0.1",), "give both"),
        (("--qil-lora=x", "--qil-like=fast", "--qil-update=all"), "remove --qil-update"),
        (("--qil-lora=x", "--qil-like=fast", "--qil-variant=base"), "remove --qil-variant"),
        (("--qil-lora=x", "--qil-like=fast", "--qil-margin=nan"), "--qil-margin: nan is not a rate"),
        (("--qil-lora=x", "--qil-like=fast", "--qil-model=random"), "random weights write none"),
    ],
)
def test_options_that_contradict_each_other_are_refused(suite, lora, args, said):
    result = suite.run(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said in result.stderr.str()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--qil-lora=gone.safetensors", "--qil-like=fast"), "no such LoRA file"),
        (("--qil-lora=old.bin", "--qil-like=fast"), "pickles are never opened"),
        (("--qil-lora=new.safetensors", "--qil-like=fsat"), 'no variant is called "fsat"'),
    ],
)
def test_what_is_not_there_is_named(suite, lora, args, said):
    (suite.path / "old.bin").write_bytes(b"\x80\x04.")  # a pickle
    result = suite.run(*args)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert said in result.stdout.str()
    assert suite.generated() == []


def test_a_variant_of_the_candidates_name_is_refused(suite, lora):
    path = suite.path / "cases" / "variants.toml"
    path.write_text(path.read_text().replace("[spare]", "[candidate]"))
    result = check(suite)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "this name is reserved for candidate LoRA files (qiltest check)" in result.stdout.str()


def test_a_session_without_the_suite_compares_nothing_and_says_so(suite, lora):
    (suite.path / "test_other.py").write_text("def test_other():\n    assert True\n")
    result = suite.run("--qil-lora=new.safetensors", "--qil-like=fast", "test_other.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--qil-lora compares nothing: no test of the suite was selected" in result.stderr.str()
