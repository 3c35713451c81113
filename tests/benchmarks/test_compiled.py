"""How the benchmark of compiling counts a profile, and what its table says of what failed."""

import importlib
from pathlib import Path

import pytest

GPU = Path(__file__).parents[2] / "benchmarks" / "gpu"


@pytest.fixture
def splitting(monkeypatch):
    monkeypatch.syspath_prepend(str(GPU))
    return importlib.import_module("compiled_split")


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(str(GPU))
    return importlib.import_module("compiled_table").table


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("nvjet_tst_128x256_64x4_1x2_h_bz_coopB_bias_TNT", "products"),
        ("sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize64x64x64_cublas", "products"),
        ("cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_knob_7_64x128x128", "attention"),
        ("void pytorch_flash::flash_fwd_kernel<...>", "attention"),
        ("triton_poi_fused__scaled_dot_product_cudnn_attention_cat_permute_view_5", "elementwise"),
        ("triton_per_fused__to_copy_add_flip_mean_mul_pow_rsqrt_unbind_unsqueeze_view_4", "elementwise"),
        ("triton_tem_fused_mm_0", "products"),
        ("triton_red_fused_add_mul_native_layer_norm_1", "elementwise"),
        ("Memcpy DtoD (Device -> Device)", "copies"),
    ],
)
def test_a_kernel_is_of_the_kind_that_its_name_says(splitting, name, kind):
    assert splitting.kind_of(name) == kind


def test_kernels_that_overlap_are_busy_once_and_what_lies_between_is_gap(splitting):
    kernels = [("gemm", 0.0, 10.0), ("triton_poi", 12.0, 4.0), ("flash", 14.0, 6.0), ("gemm", 30.0, 10.0)]
    found = splitting.summed(kernels, 2)
    assert found["milliseconds"] == {"products": 0.01, "elementwise": 0.002, "attention": 0.003}
    assert found["busy_milliseconds"] == pytest.approx(0.014)
    assert found["gap_share_in_profile"] == pytest.approx(12 / 40)
    assert found["kernels"] == 2


def test_a_profile_without_kernels_says_so(splitting):
    assert "no kernel" in splitting.summed([], 2)["left_out"]


def test_the_table_says_of_a_step_why_it_has_no_number(table):
    steps = {
        "eager": {"sizes": {"8x8": {"error": "RuntimeError: out of memory"}}},
        "graph": {"left_out": "12 s remained", "sizes": {}},
    }
    text = table({"steps": steps, "floor": {"error": "no rate"}})
    for said in ("out of memory", "12 s remained", "floor: no rate"):
        assert said in text
