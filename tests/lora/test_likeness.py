"""Two LoRA files side by side, against dense arithmetic."""

import numpy as np
import pytest

from qiltest.lora import compare
from small_loras import BASE, lora, write


def likeness(tmp_path, here, there):
    return compare(
        write(tmp_path, here, "here.safetensors"),
        write(tmp_path, there, "there.safetensors"),
        BASE,
        reference_sha256="0" * 64,
    )


def dense(arrays):
    names = [key.removesuffix(".alpha") for key in arrays if key.endswith(".alpha")]
    deltas = []
    for name in names:
        up, down = arrays[f"{name}.lora_up.weight"], arrays[f"{name}.lora_down.weight"]
        deltas.append((arrays[f"{name}.alpha"] / down.shape[0] * up.astype(np.float64) @ down).ravel())
    return np.concatenate(deltas)


def test_numbers_are_those_of_the_dense_deltas(tmp_path):
    here, there = lora(seed=1, rank=2, alpha=3.0), lora(seed=2)
    found = likeness(tmp_path, here, there)
    one, other = dense(here), dense(there)
    assert found.strength == pytest.approx(np.linalg.norm(one) / np.linalg.norm(other), rel=1e-5)
    assert found.cosine == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other), abs=1e-5)
    assert found.difference == pytest.approx(np.linalg.norm(one - other) / np.linalg.norm(other), rel=1e-5)
    assert found.modules == 72


def test_a_file_is_like_itself(tmp_path):
    found = likeness(tmp_path, lora(), lora())
    assert (found.strength, found.cosine, found.findings) == (1.0, pytest.approx(1.0), ())
    assert found.difference == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("factor", [4.0, 0.25])
def test_alpha_off_by_four_is_an_error_that_names_both_scales(tmp_path, factor):
    found = likeness(tmp_path, lora(alpha=1.5 * factor), lora(alpha=1.5))
    assert found.strength == pytest.approx(factor)
    assert [finding.code for finding in found.findings] == ["strength"]
    assert f"(alpha / rank {0.5 * factor:g} here, 0.5 there)" in found.findings[0].text


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1])
def test_perturbed_weights_are_measured_by_their_share_of_the_norm(tmp_path, share):
    random = np.random.default_rng(5)
    here = lora()
    for key in here:
        if "lora_up" in key:
            noise = random.normal(size=here[key].shape)
            here[key] = here[key] + share * noise * np.linalg.norm(here[key]) / np.linalg.norm(noise)
    found = likeness(tmp_path, here, lora())
    assert found.difference == pytest.approx(share, rel=0.1)
    assert found.errors == ()
    noted = f"changed by {found.difference:.1%} of its norm, more than rounding does"
    assert [noted in text for text in found.warnings] == ([True] if found.difference > 0.01 else [])


def test_a_bfloat16_copy_is_not_called_changed(tmp_path):
    copy = {key: (value.view(np.uint32) + 0x8000 >> 16 << 16).view(np.float32) for key, value in lora().items()}
    found = likeness(tmp_path, copy, lora())
    assert 0 < found.difference < 0.005
    assert found.findings == ()


def test_another_training_is_not_called_changed(tmp_path):
    assert likeness(tmp_path, lora(seed=1), lora(seed=2)).findings == ()


def test_modules_that_the_replaced_release_covers_and_this_one_does_not_are_an_error(tmp_path):
    here = {key: value for key, value in lora().items() if "img_mlp" not in key}
    found = likeness(tmp_path, here, lora())
    assert len(found.only_there) == 12
    assert "12 modules" in found.findings[0].text


def test_nothing_in_common_is_an_error_and_json_has_no_nan(tmp_path):
    found = likeness(tmp_path, {}, lora())
    assert {"coverage", "nothing-in-common"} == {finding.code for finding in found.findings}
    assert found.as_dict()["strength"] is None or found.as_dict()["strength"] >= 0
