"""Two LoRA files side by side, against dense arithmetic."""

import numpy as np
import pytest

from qiltest.errors import RecipeError
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
    assert (found.strength, found.cosine, found.identical) == (1.0, pytest.approx(1.0), True)
    assert [finding.code for finding in found.findings] == ["identical"]
    assert found.errors == ()
    assert found.difference == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("factor", [4.0, 0.25])
def test_alpha_off_by_four_is_an_error_that_names_both_scales(tmp_path, factor):
    found = likeness(tmp_path, lora(alpha=1.5 * factor), lora(alpha=1.5))
    assert found.strength == pytest.approx(factor)
    assert [finding.code for finding in found.findings] == ["alpha"]
    assert found.errors != ()
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


def scaled(arrays, factor, part="lora_up"):
    return {key: value * np.float32(factor) if part in key else value for key, value in arrays.items()}


def mixed(one, other, share):
    """Factors of twice the rank, whose delta is that of `one` and `share` times that of `other`."""
    made = {}
    for key, value in one.items():
        if "lora_down" in key:
            made[key] = np.concatenate([value, other[key]])
        elif "lora_up" in key:
            made[key] = np.concatenate([value, share * other[key]], axis=1).astype(np.float32)
        else:
            made[key] = value * 2
    return made


def test_another_training_in_the_same_direction_is_not_noted(tmp_path):
    found = likeness(tmp_path, mixed(lora(seed=1), lora(seed=2), 1.5), lora(seed=1))
    assert 0.5 < found.cosine < 0.6
    assert found.findings == ()


def test_a_direction_that_has_nothing_in_common_is_a_note(tmp_path):
    found = likeness(tmp_path, lora(seed=1), lora(seed=2))
    assert [finding.code for finding in found.findings] == ["direction"]
    assert "has nothing in common with that of" in found.warnings[0]
    against = likeness(tmp_path, mixed(lora(seed=1), lora(seed=2), -0.7), lora(seed=2))
    assert "points against that of" in against.warnings[0]


@pytest.mark.parametrize("factor", [-1.0, -0.1])
def test_a_delta_with_its_sign_turned_is_an_error_whatever_its_strength(tmp_path, factor):
    found = likeness(tmp_path, scaled(lora(), factor), lora())
    assert found.cosine == pytest.approx(-1)
    assert [finding.code for finding in found.findings] == ["negated"]
    assert "with its sign turned (cosine -1.000)" in found.errors[0]


def test_both_signs_turned_is_the_same_delta(tmp_path):
    assert likeness(tmp_path, scaled(scaled(lora(), -1), -1, "lora_down"), lora()).identical


def test_modules_with_their_sign_turned_are_noted_by_name(tmp_path):
    found = likeness(tmp_path, scaled(lora(), -1, "3.attn.to_q.lora_up"), lora())
    assert found.errors == ()
    assert "turned" in [finding.code for finding in found.findings]
    assert "1 module with the sign of" in found.warnings[0]
    assert found.turned == ("transformer_blocks.3.attn.to_q",)


def test_the_same_deltas_in_other_bytes_are_identical(tmp_path):
    other = {f"diffusion_model.{key}": value for key, value in lora().items()}
    assert likeness(tmp_path, other, lora()).identical
    less = {key: value for key, value in lora().items() if "0.attn.to_q" not in key}
    assert not likeness(tmp_path, less, lora()).identical
    assert not likeness(tmp_path, lora(), less).identical
    assert not likeness(tmp_path, scaled(lora(), 1 + 1e-6, "5.attn.to_q.lora_up"), lora()).identical


@pytest.mark.parametrize(("rank", "alpha"), [(64, 8.0), (64, 16.0)])
def test_an_alpha_that_was_taken_for_the_rank_is_an_error(tmp_path, rank, alpha):
    """sgl-project/sglang#17086: alpha 8 of rank 64 ignored, eight times too strong."""
    there = lora(rank=rank, alpha=alpha)
    without = {f"diffusion_model.{key}": value for key, value in there.items() if not key.endswith(".alpha")}
    for here in (lora(rank=rank, alpha=float(rank)), without):
        found = likeness(tmp_path, here, there)
        assert found.strength == pytest.approx(rank / alpha)
        assert [finding.code for finding in found.findings] == ["alpha"]
        assert f"(alpha / rank 1 here, {alpha / rank:g} there)" in found.errors[0]


@pytest.mark.parametrize("factor", [2.2, 0.4])
def test_another_strength_of_the_factors_is_a_note(tmp_path, factor):
    found = likeness(tmp_path, scaled(lora(), factor), lora())
    assert found.errors == ()
    assert [finding.code for finding in found.findings] == ["strength", "changed"]
    retrained = likeness(tmp_path, lora(seed=1, alpha=15.0), lora(seed=2))
    assert retrained.errors == ()
    assert "(alpha / rank 5 here, 0.5 there)" in retrained.warnings[0]


def test_modules_that_the_replaced_release_covers_and_this_one_does_not_are_a_note(tmp_path):
    here = {key: value for key, value in lora().items() if "img_mlp" not in key}
    found = likeness(tmp_path, here, lora())
    assert len(found.only_there) == 12
    assert found.errors == ()
    assert "12 modules" in found.findings[0].text


def test_nothing_in_common_is_a_note_and_json_has_no_nan(tmp_path):
    found = likeness(tmp_path, {}, lora())
    assert {"coverage", "nothing-in-common"} == {finding.code for finding in found.findings}
    assert found.errors == ()
    assert found.as_dict()["strength"] is None


def test_a_reference_that_is_not_whole_is_no_fault_of_the_file(tmp_path):
    there = tmp_path / "there.safetensors"
    there.write_bytes(b"\0" * 20)
    with pytest.raises(RecipeError) as caught:
        compare(write(tmp_path, lora()), there, BASE, reference_sha256="0" * 64)
    assert (caught.value.exit_code, caught.value.where) == (2, str(there))
