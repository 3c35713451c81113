"""Whose a LoRA file is, where two models have the same modules and shapes."""

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from qiltest.generation.sources import EMBEDDED_MODELS, known_bases, open_base
from qiltest.lora import inspect_lora
from qiltest.lora.report import Severity
from small_loras import BASE, lora, write

PAIRS = [("tiny", "tiny-edit"), ("tiny-edit", "tiny")]
STEPS = ["4step", "8step"]


def file_of(model, name):
    return EMBEDDED_MODELS[model] / "loras" / f"{name}.safetensors"


def in_float32(path, to, factor=1.0):
    """Write a copy with other names, another dtype and another strength: other bytes, the same delta but for it."""
    values = {f"diffusion_model.{key}": value.float() for key, value in load_file(path).items()}
    save_file({key: value * factor if key.endswith("lora_up.weight") else value for key, value in values.items()}, to)
    return to


def findings(report, code):
    return [finding for finding in report.findings if finding.code == code]


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize(("model", "other"), PAIRS)
def test_a_lora_of_one_embedded_model_does_not_fit_the_other(model, other, name):
    report = inspect_lora(file_of(model, name), base=open_base(other))
    (finding,) = findings(report, "other-model")
    assert not report.passes
    assert finding.severity is Severity.ERROR
    assert finding.text == (
        f"this is the {name} LoRA of {model} by its SHA-256, and {other} is another model with the same modules and "
        f"shapes: take a LoRA that was trained on {other}, such as embedded::4step, or generate with {model}"
    )
    assert report.fits == (model,)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("model", EMBEDDED_MODELS)
def test_the_best_fit_of_several_is_the_model_that_it_was_trained_on(model, name):
    report = inspect_lora(file_of(model, name), known=known_bases())
    assert (report.base, report.fits, report.errors) == (model, (model,), ())


@pytest.mark.parametrize(("model", "other"), PAIRS)
@pytest.mark.parametrize("factor", [1.0, 0.5, -1.0], ids=["the same", "half as strong", "turned"])
def test_a_copy_with_other_names_dtype_and_strength_is_known_by_its_delta(tmp_path, model, other, factor):
    copy = in_float32(file_of(model, "4step"), tmp_path / "copy.safetensors", factor)
    assert inspect_lora(copy, known=known_bases()).fits == (model,)
    assert findings(inspect_lora(copy, base=open_base(model)), "other-model") == []
    (finding,) = findings(inspect_lora(copy, base=open_base(other)), "other-model")
    cosine = f"(cosine {np.sign(factor):.3f})"
    assert finding.text.startswith(f"its delta is that of the 4step LoRA of {model} {cosine}, and ")


def test_a_file_of_nobodys_fits_both_and_says_that_nothing_tells(tmp_path):
    base = open_base("tiny-edit")
    path = write(tmp_path, lora(base=base))
    report = inspect_lora(path, known=known_bases())
    assert report.fits == ("tiny", "tiny-edit")
    for each in (report, inspect_lora(path, base=base)):
        assert each.passes
        (finding,) = findings(each, "models")
        assert finding.severity is Severity.WARNING
        assert "tiny and tiny-edit have the same modules and shapes" in finding.text


def test_a_base_that_knows_no_loras_asks_nobody(tmp_path):
    report = inspect_lora(write(tmp_path, lora()), base=BASE)
    assert not [finding for finding in report.findings if finding.code in ("models", "other-model")]
    other_base = inspect_lora(file_of("tiny-edit", "4step"), base=BASE, known=known_bases())
    assert other_base.fits == ("tiny-edit",)
    assert findings(other_base, "other-model") == []


def test_a_copy_that_is_not_finite_is_refused_for_that(tmp_path):
    values = {key: value * np.nan for key, value in load_file(file_of("tiny", "4step")).items()}
    save_file(values, tmp_path / "nan.safetensors")
    report = inspect_lora(tmp_path / "nan.safetensors", base=open_base("tiny"))
    assert any("NaN" in error for error in report.errors)
    assert findings(report, "other-model") == []
