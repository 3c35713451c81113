"""What benchmarks/parallel/gpus.py makes of a session's events, and that its table stands whatever was not run."""

from datetime import UTC, datetime

import pytest
from gpus_sessions import same_images, timeline, write_suite
from gpus_table import lines_of

from qiltest.suite.load import load_suite

BEGAN = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def event(number, *, stored, denoise=2.0, decode=0.5, worker=None, variant="8step", beside=0, sha256=""):
    return {
        "at": datetime.fromtimestamp(BEGAN + stored, UTC).isoformat(timespec="milliseconds"),
        "sample": {"case": f"c{number}", "size": {"width": 1328, "height": 1328}, "variant": variant, "seed": 42},
        "timing": {"denoise_seconds": denoise, "decode_seconds": decode, "forwards": 8},
        "latents": {"mean": 0.0, "std": 1.0},
        "cohort": {"variant": variant, "effective": "1328x1328", "beside": beside},
        "made_on": None if worker is None else {"worker": worker, "host": "h", "gpu": f"GPU-{worker}"},
        "sha256": sha256 or f"{number}" * 64,
        "key": f"k{number}",
        "notes": [],
    }


@pytest.fixture
def two():
    events = [event(1, stored=22.6, worker=1, beside=1), event(2, stored=23.5, worker=2, beside=1, denoise=2.4)]
    return timeline([*events, event(3, stored=25.1, worker=1, beside=1)], began=BEGAN)


def test_loading_ends_where_the_first_loop_begins(two):
    assert two["first_image_seconds"] == pytest.approx(22.6)
    assert two["last_image_seconds"] == pytest.approx(25.1)
    assert two["after_loading_seconds"] == pytest.approx(25.1 - (22.6 - 2.5))
    assert two["busy_share"] == pytest.approx((2.5 + 2.9 + 2.5) / 5.0 / 2)
    assert {name: (one["gpu"], one["images"]) for name, one in two["workers"].items()} == {
        "1": ("GPU-1", 2),
        "2": ("GPU-2", 1),
    }
    assert two["seconds_a_forward"] == {"8step at 1328x1328": {"1": pytest.approx(0.25), "2": pytest.approx(0.3)}}
    assert two["beside"] == [1]


def test_images_are_the_same_by_bytes_and_latents(two):
    alone = timeline([event(1, stored=22.6), event(2, stored=25.5, sha256="f" * 64)], began=BEGAN)
    assert same_images(alone, two) == {"compared": 2, "equal": 1, "equal_recipes": 2}
    assert same_images({}, two) == {"compared": 0, "equal": 0, "equal_recipes": 0}


def test_the_table_has_ratios_and_says_what_was_not_run(two):
    session = {"wall_seconds": 30.0, "exit_status": 1, "tail": ""}
    one = timeline([event(k, stored=20 + 2.6 * k, worker=1) for k in (1, 2, 3)], began=BEGAN)
    stages = {
        "machine": {"cores": 32, "gpus": ["NVIDIA H200, GPU-1"]},
        "neighbours": {"error": "RuntimeError: no answer after 120 s"},
        "one": session | one,
        "two": session | two | {"same_as_none": {"compared": 3, "equal": 3}},
        "loads": {"left_out": "3 s remained"},
        "ray": {"not_run": "Ray is not installed here"},
    }
    results = {"dry_run": False, "base_steps": 4, "seeds": 1, "wall_seconds": 99.0, "stages": stages}
    text = "\n".join(lines_of(results))
    assert "one worker over two: wall 1.000, last image 1.108, after loading 1.540" in text
    assert "one worker over none" not in text
    assert "neighbours: error: RuntimeError: no answer after 120 s" in text
    assert "loads: left out: 3 s remained" in text
    assert "ray: not run: Ray is not installed here" in text
    assert "3 of 3" in text


def test_a_table_of_nothing_is_a_table():
    results = {"dry_run": True, "base_steps": 4, "seeds": 1, "wall_seconds": 0.0, "stages": {}}
    assert next(iter(lines_of(results))).startswith("DRY RUN")


def test_only_the_steps_of_base_are_fewer(tmp_path):
    suite = load_suite(write_suite(tmp_path, base_steps=4) / "cases")
    assert {name: suite.variant(name).steps for name in ("base", "8step", "4step")} == {
        "base": 4,
        "8step": 8,
        "4step": 4,
    }
    assert suite.variant("base").true_cfg_scale == 4.0
