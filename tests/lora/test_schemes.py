"""Every way of writing a LoRA file that was seen in public, with diffusers as the judge."""

import sys
from pathlib import Path

import pytest
from safetensors.torch import save_file

from qiltest.lora import inspect_lora, qwen_image

sys.path.insert(0, str(Path(__file__).parents[2] / "tools" / "lora_schemes"))
from scheme_judge import Judge
from scheme_table import SCHEMES
from schemes import ACCEPTED

from lora_schemes import BASE, ask, main

NAMES = [scheme.name for scheme in SCHEMES]


@pytest.fixture(scope="module")
def judge():
    return Judge(BASE)


@pytest.mark.parametrize("scheme", SCHEMES, ids=NAMES)
def test_the_answer_is_that_of_diffusers_or_a_decision_says_why_not(judge, tmp_path, scheme):
    answers = ask(scheme, judge, tmp_path)
    assert answers.agree == (scheme.decision == ""), (answers.diffusers.shown(answers.modules), answers.ours)
    if scheme.answer == ACCEPTED:
        assert answers.report.passes, answers.report.errors
        assert len(answers.report.modules) == answers.modules
        assert scheme.note in "; ".join(answers.report.warnings)
    else:
        (sentence,) = answers.report.errors
        assert scheme.answer in sentence
        assert "\n" not in sentence


def test_no_scheme_stands_twice_and_every_kind_is_there():
    assert len(set(NAMES)) == len(NAMES) >= 41
    said = " ".join(scheme.answer for scheme in SCHEMES)
    for kind in (
        "LoKr",
        "LoHa",
        "DoRA",
        ".diff",
        "quantised",
        "checkpoint",
        "FLUX",
        "Wan",
        "of the text encoder alone",
    ):
        assert kind in said


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("down/up + alpha, bf16", 720),
        ("A/B.default", 840),
        ("transformer. A/B", 720),
        ("transformer. lora.down/lora.up", 720),
        ("diffusion_model. A/B", 720),
        ("lora_unet_ + alpha, all layers", 846),
        ("fp8 e4m3, transformer. A/B", 720),
    ],
)
def test_a_file_with_the_shapes_of_qwen_image_fits_it(tmp_path, name, modules):
    scheme = SCHEMES[NAMES.index(name)]
    path = tmp_path / "lora.safetensors"
    save_file({key: value.clone() for key, value in scheme.tensors(qwen_image()).items()}, path, scheme.header())
    report = inspect_lora(path, base=qwen_image())
    assert (report.errors, len(report.modules)) == ((), modules)
    assert "qwen-image" in report.fits


def test_the_table_says_what_differs_and_the_exit_code_whether_that_is_decided(capsys):
    assert main(["A/B.default", "dora_scale"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert "| loads 28 of 28 modules | accepts 28 modules | same |" in rows[0]
    assert "differs: diffusers drops the magnitudes" in rows[-1]
